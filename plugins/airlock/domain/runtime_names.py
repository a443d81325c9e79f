"""Runtime names of the newer, unified form: `pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64`.

Source: AI engines and their runtime, unified runtimes of images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from airlock.domain.device import Device

#: Engine names of this form and the `model_type` that each stands for.
UNIFIED_ENGINES = {
    "caffe": "Caffe",
    "catboost": "CatBoost",
    "lightgbm": "LightGBM",
    "mindspore": "MindSpore",
    "mxnet": "MXNet",
    "onnx": "ONNX",
    "onnxruntime": "ONNX",
    "pytorch": "PyTorch",
    "scikit_learn": "Scikit_Learn",
    "sklearn": "Scikit_Learn",
    "spark": "Spark_MLlib",
    "spark_mllib": "Spark_MLlib",
    "tensorflow": "TensorFlow",
    "torch": "PyTorch",
    "transformers": "Transformers",
    "xgboost": "XGBoost",
}
_ACCELERATORS = {"cpu": Device.CPU, "cuda": Device.GPU, "cann": Device.ASCEND}
MAX_LENGTH = 128

_VERSION = r"[0-9]{1,6}(?:\.[0-9]{1,6}){0,3}"
_UNIFIED = re.compile(
    rf"(?P<engine>[a-z]+(?:_[a-z]+)?)_(?P<version>{_VERSION})"
    rf"-(?:cpu|(?P<accelerator>cuda|cann)_(?P<accelerator_version>{_VERSION}(?:\.rc[0-9]+)?))"
    r"-py_(?P<python>[0-9]\.[0-9]{1,2})(?:\.[0-9]{1,2})?"
    rf"-(?P<os>[a-z]+_{_VERSION})"
    r"-(?P<architecture>x86_64|aarch64)"
    # The kind of chip, where one name has several images.
    r"(?:-[a-z0-9]{1,16})?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnifiedName:
    """What such a name says.

    Attributes:
        engine: As `model_type` spells it.
        version: Version of the engine.
        accelerator: The kind of device that the runtime is made for.
        accelerator_version: Version of CUDA or CANN, empty for the CPU.
        python: Python version, `X.Y`.
        os: Operating system and its version, such as `ubuntu_18.04`.
        architecture: Machine architecture as `uname -m` names it.
    """

    engine: str
    version: str
    accelerator: Device
    accelerator_version: str
    python: str
    os: str
    architecture: str


def parse_unified_name(name: str) -> UnifiedName | None:
    """Reads a runtime's name.

    Returns:
        What it says, or None where it has another form or names an engine that nobody knows.
    """
    match = _UNIFIED.fullmatch(name) if len(name) <= MAX_LENGTH else None
    engine = UNIFIED_ENGINES.get(match["engine"]) if match else None
    if match is None or engine is None:
        return None
    return UnifiedName(
        engine=engine,
        version=match["version"],
        accelerator=_ACCELERATORS[match["accelerator"] or "cpu"],
        accelerator_version=match["accelerator_version"] or "",
        python=match["python"],
        os=match["os"],
        architecture=match["architecture"],
    )


def version_distance(one: str, other: str) -> tuple[int, ...]:
    """How far two versions of numbers are apart: by the first number, then by the next, four in all."""
    pairs = zip(_numbers(one), _numbers(other), strict=True)
    return tuple(abs(left - right) for left, right in pairs)


def _numbers(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")[:4]]
    return tuple(numbers + [0] * (4 - len(numbers)))
