"""Which files of an engine a package may hold: the check says before what the engine's service says at its start."""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from airlock.domain.config import ModelConfig
from airlock.domain.engines import ENGINES
from airlock.domain.findings import Finding
from airlock.steps.examine import check_files
from tests.unit.given import ROOT, manifest_of

NETWORKS = ("deploy.prototxt", "a_deploy.prototxt", "train_val.prototxt", "solver.prototxt", "._x.prototxt")
WEIGHTS = ("net.caffemodel", "net_iter_2.caffemodel", ".hidden.caffemodel", "old/net.caffemodel")
SYMBOLS = ("net-symbol.json", "other-symbol.json", "._net-symbol.json", "-symbol.json", "n[e]t-symbol.json")
PARAMETERS = (
    "net-0000.params",
    "net-0012.params",
    "other-0000.params",
    "net-1-0000.params",
    "net-00.params",
    "-0001.params",
)


@pytest.fixture(scope="module")
def serving() -> Iterator[dict[str, ModuleType]]:
    """The serving code's own choice of files."""
    folder = str(ROOT / "include/runtimes/serving")
    before = set(sys.modules)
    sys.path.insert(0, folder)
    try:
        names = ("model_service.caffe_model_service", "mms.model_service.mxnet_manifest")
        yield {name.rpartition(".")[2]: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(folder)
        for name in set(sys.modules) - before:
            del sys.modules[name]


def told(engine: str, names: tuple[str, ...], *more: str) -> list[Finding]:
    config = ModelConfig(model_type=engine, model_algorithm="a", runtime=None, metrics={}, apis=(), dependencies=())
    manifest = manifest_of({f"model/{name}": b"x" for name in ("config.json", *names, *more)})
    return check_files(config, manifest, lambda: ())


def some_of(*names: str, most: int = 3) -> list[tuple[str, ...]]:
    return [chosen for count in range(most + 1) for chosen in itertools.combinations(names, count)]


def made(folder: Path, names: tuple[str, ...]) -> str:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"{}")
    return str(folder)


def test_caffe_packages_are_told_what_their_service_finds(serving: dict[str, ModuleType], tmp_path: Path) -> None:
    base = serving["caffe_model_service"].CaffeBaseService

    def starts(folder: str) -> bool:
        service = base.__new__(base)
        service.model_path = folder
        try:
            service._only("*.prototxt", prefer="deploy")
            service._only("*.caffemodel")
        except RuntimeError:
            return False
        return True

    cases = list(itertools.product(some_of(*NETWORKS), some_of(*WEIGHTS)))
    for index, (networks, weights) in enumerate(cases):
        names = networks + weights
        findings = told("Caffe", names)
        assert starts(made(tmp_path / str(index), names)) == (not any(item.is_error for item in findings)), names


def test_mxnet_packages_are_told_what_their_service_finds(serving: dict[str, ModuleType], tmp_path: Path) -> None:
    cases = list(itertools.product(some_of(*SYMBOLS, most=2), some_of(*PARAMETERS)))
    for index, (symbols, parameters) in enumerate(cases):
        names = symbols + parameters
        files = serving["mxnet_manifest"].read_manifest(made(tmp_path / str(index), names))["Model"]
        starts = bool(files["Symbol"] and files["Parameters"])
        assert starts == (not any(item.is_error for item in told("MXNet", names))), names


@pytest.mark.parametrize(
    "engine,names,code,message,fix",
    [
        (
            "MXNet", ("resnet-symbol.json", "other-0000.params"), "PKG004",
            "MXNet needs `resnet-NNNN.params` for resnet-symbol.json; there is other-0000.params.",
            "Bring the file that belongs to resnet-symbol.json, or give both the same prefix.",
        ),
        (
            "MXNet", ("a-symbol.json", "b-symbol.json", "a-0000.params"), "PKG005",
            "MXNet loads one `*-symbol.json`; 2 are there: a-symbol.json, b-symbol.json.", "Keep one of them",
        ),
        (
            "Caffe", ("deploy.prototxt", "a.caffemodel", "b.caffemodel"), "PKG005",
            "Caffe loads one `*.caffemodel`; 2 are there: a.caffemodel, b.caffemodel.", "Keep one of them",
        ),
        (
            "Caffe", ("solver.prototxt", "train.prototxt", "a.caffemodel"), "PKG005",
            "Caffe loads one `*.prototxt`; 2 are there: solver.prototxt, train.prototxt.",
            "Keep one of them, or put `deploy` into its name.",
        ),
        (
            "Caffe", ("a-deploy.prototxt", "b-deploy.prototxt", "c.prototxt", "a.caffemodel"), "PKG005",
            "Caffe loads one `*.prototxt`; 2 are there: a-deploy.prototxt, b-deploy.prototxt.", "Keep one of them",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_and_inference_code_may_choose(
    engine: str, names: tuple[str, ...], code: str, message: str, fix: str
) -> None:
    (found,) = told(engine, names)
    assert (found.code, found.message, found.is_error) == (code, message, True)
    assert found.fix.startswith(fix)
    (borne,) = told(engine, names, "customize_service.py")
    assert (borne.code, borne.message, borne.is_error) == (code, message, False)


def test_the_last_of_several_epochs_is_loaded_and_nobody_needs_to_choose() -> None:
    assert told("MXNet", ("net-symbol.json", "net-0001.params", "net-0090.params", "old-0000.params")) == []
    assert told("Caffe", ("deploy.prototxt", "train_val.prototxt", "solver.prototxt", "net.caffemodel")) == []


@pytest.mark.parametrize("engine", ["Scikit_Learn", "PyTorch", "ONNX"])
def test_an_engine_whose_code_gets_one_file_cannot_choose(engine: str) -> None:
    ending = ENGINES[engine].model_files[0].patterns[0].removeprefix("*")
    (found,) = told(engine, (f"a{ending}", f"b{ending}"), "customize_service.py")
    assert (found.code, found.is_error) == ("PKG005", True)
