"""What images leave out of what they install, by the program that runs in them, on the ends of their Pythons."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from serving_interpreters import Interpreter

from airlock.domain.slimming import SURPLUS, Surplus, slim_program

SURPLUS_FILES = (
    "numpy/tests/__init__.py",
    "numpy/linalg/tests/test_linalg.py",
    "numpy/linalg/tests/__pycache__/test_linalg.cpython-311.pyc",
    "numpy/linalg/tests/data/table.npy",
    "numpy/random/bit_generator.pxd",
    "numpy/random/mtrand.pyi",
    "pandas/tests/frame/test_api.py",
    "joblib/test/test_disk.py",
    "torch/include/ATen/ATen.h",
    "torch/bin/test_api",
    "torch/bin/protoc-3.13.0.0",
    "torch/test/gpu_test",
    "tensorflow/include/tensorflow/core/public/session.h",
)
NEEDED_FILES = (
    "numpy/testing/__init__.py",
    "numpy/linalg/linalg.py",
    "numpy/linalg/__pycache__/linalg.cpython-311.pyc",
    "numpy/_core/include/numpy/arrayobject.h",
    "pandas/_testing/__init__.py",
    "sklearn/utils/_testing.py",
    "scipy/stats/_hypotests.py",
    "tensorflow/_api/v2/test/__init__.py",
    "tensorflow/python/platform/test.py",
    "torch/testing/__init__.py",
    "torch/bin/torch_shm_manager",
    "lazy_loading/__init__.pyi",
    "mypackage/tests/__init__.py",
    "nested/numpy/tests/data.bin",
)


def installed(prefix: Path) -> Path:
    """A prefix as pip leaves it: files, and the list of them."""
    root = prefix / "lib" / "python3.11" / "site-packages"
    lines = []
    for name in (*SURPLUS_FILES, *NEEDED_FILES, "numpy-2.4.6.dist-info/METADATA"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
        lines.append(f"{name},sha256=abc,1\n")
    lines += ['"numpy/tests/a,b.txt",,\n', '"numpy/a,b.txt",,\n', "numpy-2.4.6.dist-info/RECORD,,\n"]
    (root / "numpy-2.4.6.dist-info" / "RECORD").write_text("".join(lines))
    return root


def run(interpreter: Interpreter, tmp_path: Path) -> None:
    program = tmp_path / "slim.py"
    program.write_text(slim_program())
    subprocess.run(interpreter.command(str(program), str(tmp_path / "prefix")), check=True, timeout=60)


def test_tests_headers_and_sources_go_and_what_is_imported_stays(interpreter: Interpreter, tmp_path: Path) -> None:
    root = installed(tmp_path / "prefix")
    run(interpreter, tmp_path)
    left = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert left == {*NEEDED_FILES, "numpy-2.4.6.dist-info/METADATA", "numpy-2.4.6.dist-info/RECORD"}
    assert not (root / "numpy" / "linalg" / "tests").exists()


def test_the_list_of_installed_files_names_what_is_left(interpreter: Interpreter, tmp_path: Path) -> None:
    record = installed(tmp_path / "prefix") / "numpy-2.4.6.dist-info" / "RECORD"
    before = record.read_text().splitlines()
    run(interpreter, tmp_path)
    gone = {f"{name},sha256=abc,1" for name in SURPLUS_FILES} | {'"numpy/tests/a,b.txt",,'}
    assert record.read_text().splitlines() == [line for line in before if line not in gone]


def test_a_prefix_without_packages_is_left_alone(interpreter: Interpreter, tmp_path: Path) -> None:
    run(interpreter, tmp_path)
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize("surplus", SURPLUS, ids=lambda surplus: surplus.pattern)
def test_every_pattern_names_its_distribution_and_its_reason(surplus: Surplus) -> None:
    pattern, reason = surplus.pattern, surplus.reason
    assert pattern.partition("/")[0].replace("_", "").isalnum(), "no wildcard: other projects import their `tests`"
    assert reason.endswith(".")
