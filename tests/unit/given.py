"""Values that many tests start from."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from airlock.domain.catalogue import Catalogue, Runtime, ServiceSpec
from airlock.domain.config import ModelConfig, parse_config
from airlock.domain.device import Device
from airlock.domain.findings import Finding
from airlock.domain.package import FileEntry, Manifest
from airlock.domain.version import RunRef

ROOT = Path(__file__).resolve().parents[2]
RUN = RunRef(dag_id="import_model", run_id="manual__1")

#: First bytes of real files.
PICKLE = b"\x80\x04N."
BOOSTER = b"{L\x00\x00\x00\x00\x00\x00\x00\x07learner{"


def archive(*files: tuple[str, bytes]) -> bytes:
    """A zip archive as PyTorch writes it: stored, in this order."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as whole:
        for name, data in files:
            whole.writestr(zipfile.ZipInfo(name), data)
    return target.getvalue()


ZIPPED = archive(("net/data.pkl", b"\x80\x02}."), ("net/version", b"3\n"))

SERVICE = b"""\
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    pass
"""


def runtime(engine: str = "Scikit_Learn", name: str = "sklearn1.9-python3.11", **changes: Any) -> Runtime:
    """A row of a catalogue."""
    values: dict[str, Any] = {
        "engine": engine,
        "name": name,
        "engine_version": "1.9.1",
        "status": "current",
        "python": "3.11",
        "architectures": ("x86_64",),
        "devices": (Device.CPU,),
        "default": False,
        "available": True,
        "unavailable_reason": "",
        "nearest": "",
        "base_image": "python:3.11-slim-bookworm",
        "base_image_digest": "",
        "system_packages": ("libgomp1",),
        "extra_index_urls": (),
        "service": ServiceSpec(
            base_class="model_service.python_model_service:XgSklServingBaseService", model_path="*.m"
        ),
        "environment": (),
        "startup_timeout_s": 60.0,
        "memory_mb": 1024,
        "constraints": "numpy==2.4.6\nscikit-learn==1.9.1\n",
    }
    return Runtime(**{**values, **changes})


CATALOGUE = Catalogue.of([
    runtime("Scikit_Learn", "sklearn1.9-python3.11", default=True),
    runtime("Scikit_Learn", "python3.6", status="seed", python="3.6", engine_version="0.18.1"),
    runtime(
        "Scikit_Learn",
        "python2.7",
        status="seed",
        python="2.7",
        available=False,
        unavailable_reason="its wheels are no longer published.",
        nearest="python3.6",
    ),
    runtime("XGBoost", "xgboost3.2-python3.11-cpu", default=True, engine_version="3.2.0"),
    runtime("PyTorch", "pytorch2.13-python3.11-cpu", default=True, engine_version="2.13.0"),
    runtime("PyTorch", "pytorch2.13-python3.11-gpu", engine_version="2.13.0", devices=(Device.CPU, Device.GPU)),
    runtime("TensorFlow", "tf2.20-python3.11-cpu", default=True, engine_version="2.20.0"),
    *(
        runtime(
            engine,
            name,
            default=True,
            engine_version=version,
            service=ServiceSpec(base_class=f"model_service.{base}", model_path=model_path),
        )
        for engine, name, version, base, model_path in (
            ("ONNX", "onnxruntime1.32-python3.11-cpu", "1.32.0", "onnx_model_service:OnnxServingBaseService", "*.onnx"),
            (
                "LightGBM",
                "lightgbm4.7-python3.11-cpu",
                "4.7.0",
                "lightgbm_model_service:LightGbmServingBaseService",
                "*.lgb,*.m",
            ),
            (
                "CatBoost",
                "catboost1.2-python3.11-cpu",
                "1.2.10",
                "catboost_model_service:CatBoostServingBaseService",
                "*.cbm,*.m",
            ),
            (
                "Transformers",
                "transformers5.23-python3.11-cpu",
                "5.23.0",
                "transformers_model_service:TransformersServingBaseService",
                "folder",
            ),
        )
    ),
])

#: A configuration that keeps every rule without a warning.
IRIS_CONFIG: dict[str, Any] = {
    "model_type": "Scikit_Learn",
    "model_algorithm": "predict_analysis",
    "runtime": "sklearn1.9-python3.11",
    "metrics": {"f1": 0.9, "accuracy": 0.95},
    "apis": [
        {
            "protocol": "http",
            "url": "/",
            "method": "post",
            "request": {
                "Content-type": "application/json",
                "data": {
                    "type": "object",
                    "properties": {
                        "data": {
                            "type": "object",
                            "properties": {
                                "req_data": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "properties": {"sepal": {"type": "number"}, "petal": {"type": "number"}},
                                    },
                                }
                            },
                        }
                    },
                },
            },
            "response": {
                "Content-type": "application/json",
                "data": {
                    "type": "object",
                    "required": ["data"],
                    "properties": {
                        "data": {
                            "type": "object",
                            "required": ["resp_data"],
                            "properties": {
                                "resp_data": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["predictresult"],
                                        "properties": {"predictresult": {"type": "integer"}},
                                    },
                                }
                            },
                        }
                    },
                },
            },
        }
    ],
}

IRIS_ANSWER = b'{"data": {"resp_data": [{"predictresult": 1}]}}'


def iris_files(config: Mapping[str, Any] | None = None, **files: bytes) -> dict[str, bytes]:
    """A whole package: path → bytes. Further files are named with `__` for `/` and `_dot_` for `.`."""
    return {
        "model/config.json": json.dumps(IRIS_CONFIG if config is None else config).encode(),
        "model/iris.m": PICKLE,
        **{name.replace("__", "/").replace("_dot_", "."): data for name, data in files.items()},
    }


CONF: dict[str, Any] = {"model_name": "iris", "source_location": "s3://models/iris/"}


@functools.cache
def config_schema() -> Mapping[str, Any]:
    """include/specs/config.schema.json."""
    schema: Mapping[str, Any] = json.loads((ROOT / "include/specs/config.schema.json").read_text(encoding="utf-8"))
    return schema


def read_config(value: Any, catalogue: Catalogue = CATALOGUE) -> tuple[ModelConfig | None, tuple[Finding, ...]]:
    """Read a configuration given as a value, a text or bytes."""
    if isinstance(value, str):
        value = value.encode()
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse_config(data, config_schema(), catalogue)


def good_config(value: Any) -> ModelConfig:
    """Read a configuration that is accepted."""
    config, findings = read_config(value)
    assert config is not None, [item.line() for item in findings]
    return config


def changed(**changes: Any) -> dict[str, Any]:
    """The iris configuration with top-level fields replaced; None removes one."""
    value = {**json.loads(json.dumps(IRIS_CONFIG)), **changes}
    return {key: item for key, item in value.items() if item is not None}


def codes(findings: tuple[Finding, ...]) -> list[str]:
    """Codes of the findings."""
    return [item.code for item in findings]


def manifest_of(files: Mapping[str, bytes]) -> Manifest:
    """The manifest of these files."""
    return Manifest.of(
        FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in files.items()
    )
