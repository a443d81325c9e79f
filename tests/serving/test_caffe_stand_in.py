"""The stand-in for pycaffe: on the OpenCV and the Python of each row, by itself and behind the serving code."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
import uv
from served import serve
from serving_interpreters import ROOT, SERVING, Interpreter, prepare

STAND_IN = ROOT / "include" / "runtimes" / "stand_ins" / "Caffe"
CONSTRAINTS = ROOT / "include" / "runtimes" / "images" / "constraints" / "Caffe"
CHECKS = Path(__file__).with_name("caffe_checks.py")
EXAMPLE = ROOT / "examples" / "caffe"
#: Python → a row of it. The oldest and a current one are tried in every run.
ROWS = {
    "3.6": "python3.6",
    "3.7": "python3.7",
    "3.11": "opencv4.14-python3.11-cpu",
    "3.12": "opencv4.14-python3.12-cpu",
}
#: What a Python can hardly change is tried on a current one alone.
CURRENT = [pytest.param(python, marks=() if python == "3.11" else pytest.mark.runtimes) for python in ROWS]
on_current_pythons = pytest.mark.parametrize("python", CURRENT, indirect=True, scope="module")
PYTHONS = [pytest.param(python, marks=() if python in ("3.6", "3.11") else pytest.mark.runtimes) for python in ROWS]
NAMES = [
    node.name
    for node in ast.parse(CHECKS.read_text(encoding="utf-8")).body
    if isinstance(node, ast.FunctionDef) and node.name.startswith("check_")
]
TIMEOUT_S = 300


class CaffeInterpreter:
    """A Python with a Caffe row's pins and the stand-in."""

    def __init__(self, version: str) -> None:
        python = prepare(version)
        self.interpreter = Interpreter(
            version=version, executable=python.executable, libraries=_libraries(version, python.executable)
        )
        self.path = os.pathsep.join([str(SERVING), str(STAND_IN), str(self.interpreter.libraries)])
        self._told: dict[str, str | None] = {}

    def run(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(
            self.interpreter.command(*arguments),
            cwd=folder,
            env=self.interpreter.environment(PYTHONPATH=self.path, PYTHONDONTWRITEBYTECODE="1", HOME=str(folder)),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def told(self, folder: Path) -> dict[str, str | None]:
        """What every check said, from one run."""
        if not self._told:
            self._told = json.loads(self.run(folder, str(CHECKS), str(folder)))
        return self._told


def _libraries(version: str, executable: Path) -> Path:
    """The row's pins in a folder, made once: uv knows the wheels of every Python, also of those that it cannot run."""
    pins = CONSTRAINTS / f"{ROWS[version]}.txt"
    state = Path(os.environ.get("AIRLOCK_STATE") or ROOT / ".airlock")
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()[:12]
    folder = state / "test-serving" / f"caffe-{version}-{digest}"
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{folder.name}.{os.getpid()}")
    ask = [str(executable), "-c", "import platform; print(platform.python_version())"]
    full = subprocess.run(ask, capture_output=True, text=True, timeout=TIMEOUT_S, check=True).stdout.strip()
    command = [uv.find_uv_bin(), "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--target"]
    command += [str(unfinished), "--python-version", full, "--python-platform", "x86_64-unknown-linux-gnu"]
    done = subprocess.run([*command, "-r", str(pins)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode:
        shutil.rmtree(unfinished, ignore_errors=True)
        pytest.fail(f"uv cannot install {pins}:\n{done.stderr[-3000:]}")
    try:
        unfinished.rename(folder)
    except OSError:  # another run was quicker
        shutil.rmtree(unfinished)
    return folder


@pytest.fixture(scope="module", params=PYTHONS)
def python(request: pytest.FixtureRequest) -> CaffeInterpreter:
    return CaffeInterpreter(request.param)


@pytest.fixture(scope="module")
def trained(python: CaffeInterpreter, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example's model, trained by this very Python."""
    folder = tmp_path_factory.mktemp("trained")
    python.run(folder, str(EXAMPLE / "train.py"), "--out", str(folder))
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_stand_in_does_as_pycaffe_does(
    name: str, python: CaffeInterpreter, tmp_path_factory: pytest.TempPathFactory
) -> None:
    told = python.told(tmp_path_factory.mktemp("checks"))
    assert told[name] is None, told[name]


def package(folder: Path, trained: Path, config: dict[str, Any], code: str = "") -> Path:
    model = folder / "package" / "model"
    model.mkdir(parents=True)
    for name in ("digits.prototxt", "digits.caffemodel"):
        shutil.copy(trained / name, model)
    (model / "config.json").write_text(json.dumps(config))
    if code:
        (model / "customize_service.py").write_text(code)
    return model.parent


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def near(one: Any, two: Any) -> bool:
    """Whether two answers are the same but for the last digits of their numbers."""
    if isinstance(two, float):
        return abs(one - two) < 1e-4
    if isinstance(two, list):
        return len(one) == len(two) and all(map(near, one, two))
    if isinstance(two, dict):
        return one.keys() == two.keys() and all(near(one[key], two[key]) for key in two)
    return bool(one == two)


@on_current_pythons
def test_the_example_without_code_answers_what_numpy_computed(
    python: CaffeInterpreter, trained: Path, tmp_path: Path
) -> None:
    answers_what_numpy_computed("", python, trained, tmp_path)


def test_the_example_with_code_answers_what_numpy_computed(
    python: CaffeInterpreter, trained: Path, tmp_path: Path
) -> None:
    answers_what_numpy_computed("own_code", python, trained, tmp_path)


def answers_what_numpy_computed(further: str, python: CaffeInterpreter, trained: Path, tmp_path: Path) -> None:
    source = EXAMPLE / further
    code = source / "customize_service.py"
    made = package(tmp_path, trained, read(source / "config.json"), code.read_text() if code.exists() else "")
    expected = read(trained / "training.json")["responses"]
    with serve(python.interpreter, made, PYTHONPATH=python.path) as server:
        for name in ("one-digit", "three-digits", "one-digit"):
            answer = server.post(read(source / "samples" / f"{name}.json"))
            assert answer.status == 200, server.log
            assert near(answer.json, expected[f"{further}/{name}".lstrip("/")])
        assert "This caffe is a stand-in: OpenCV" in server.log


#: As the specification's sample for Caffe goes: the constructor's transformer, images as uploads, one at a time.
FROM_THE_SPECIFICATION = """\
import caffe
import numpy as np
from PIL import Image
from model_service.caffe_model_service import CaffeBaseService


class LenetService(CaffeBaseService):

    def __init__(self, model_name, model_path):
        super(LenetService, self).__init__(model_name, model_path)
        transformer = caffe.io.Transformer({'data': self.net.blobs['data'].data.shape})
        transformer.set_transpose('data', (2, 0, 1))
        transformer.set_raw_scale('data', 16.0)
        self.net.blobs['data'].reshape(1, 1, 8, 8)
        self.transformer = transformer

    def _preprocess(self, data):
        for k, v in data.items():
            for file_name, file_content in v.items():
                im = caffe.io.load_image(file_content, color=False)
                self.net.blobs['data'].data[...] = self.transformer.preprocess('data', im)
        return

    def _postprocess(self, data):
        data = data['prob'][0, :]
        predicted = np.argmax(data)
        return {"predicted": str(predicted)}
"""


def png(rows: list[list[int]]) -> bytes:
    """A grey image of values between 0 and 16."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = struct.pack(">IIBBBBB", len(rows[0]), len(rows), 8, 0, 0, 0, 0)
    pixels = b"".join(b"\0" + bytes(round(value * 255 / 16) for value in row) for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(pixels)) + chunk(b"IEND", b"")


@on_current_pythons
def test_the_specification_s_own_sample_predicts_from_an_upload(
    python: CaffeInterpreter, trained: Path, tmp_path: Path
) -> None:
    made = package(tmp_path, trained, read(EXAMPLE / "config.json"), FROM_THE_SPECIFICATION)
    images = [image for (image,) in read(EXAMPLE / "samples" / "three-digits.json")["data"]]
    answers = read(trained / "training.json")["responses"]["three-digits"]["prob"]
    with serve(python.interpreter, made, PYTHONPATH=python.path) as server:
        for image, chances in zip(images, answers, strict=True):
            answer = server.post_form(("images", "digit.png", png(image)))
            assert answer.json == {"predicted": str(chances.index(max(chances)))}, server.log
        assert server.post_form(("images", "digit.png", b"no image")).status == 500


@on_current_pythons
def test_the_default_service_takes_no_request_that_names_no_input(
    python: CaffeInterpreter, trained: Path, tmp_path: Path
) -> None:
    made = package(tmp_path, trained, read(EXAMPLE / "config.json"))
    with serve(python.interpreter, made, PYTHONPATH=python.path) as server:
        answer = server.post({"image": [[[[0] * 8] * 8]]})
        assert answer.status == 400
        assert "data" in answer.json["error_msg"]
