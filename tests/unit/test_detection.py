"""Detection: the evidence of names and first bytes, and what contradicts model_type."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.domain.catalogue import Catalogue
from airlock.domain.config import ModelConfig
from airlock.domain.detection import (
    HEAD_BYTES,
    Detection,
    Evidence,
    detect,
    files_to_read,
    gather_evidence,
    has_service_code,
    runtime_of,
)
from airlock.domain.device import Device
from airlock.domain.engines import ENGINES
from airlock.errors import EngineNotDetected, RuntimeUnavailable
from tests.unit.given import BOOSTER, CATALOGUE, PICKLE, ZIPPED, manifest_of, runtime
from tests.unit.line import Line


def config_of(model_type: str, runtime: str | None = None) -> ModelConfig:
    return ModelConfig(
        model_type=model_type, model_algorithm="a", runtime=runtime, metrics={}, apis=(), dependencies=()
    )


def evidence_of(**files: bytes) -> dict[str, Evidence]:
    named = {f"model/{name.replace('_dot_', '.')}": data for name, data in files.items()}
    manifest = manifest_of(named)
    heads = {path: named[f"model/{path}"][:HEAD_BYTES] for path in files_to_read(manifest)}
    return {item.file: item for item in gather_evidence(manifest, heads)}


def detected(
    model_type: str, files: dict[str, bytes], name: str | None = None, catalogue: Catalogue = CATALOGUE
) -> Detection:
    manifest = manifest_of({f"model/{path}": data for path, data in files.items()})
    heads = {path: files[path][:HEAD_BYTES] for path in files_to_read(manifest)}
    return detect(manifest, heads, config_of(model_type, name), catalogue)


BOTH = ("Scikit_Learn", "XGBoost")


@pytest.mark.parametrize(
    "head,engines,says",
    [
        (PICKLE, BOTH, "is a pickle"),
        (b"\x80\x02}q\x00.", BOTH, "is a pickle"),
        (BOOSTER, ("XGBoost",), "booster"),
        (b"binf\x00\x00", ("XGBoost",), "booster"),
        (b'{"learner":{"attributes"', ("XGBoost",), "booster"),
        (b'{"version":[1,0,0]', ("XGBoost",), "booster"),
        (b"x\x9c\x01", BOTH, "compressed joblib"),
        (b"x^\x01", BOTH, "compressed joblib"),
        (b"\x1f\x8b\x08", BOTH, "compressed joblib"),
        (b"BZh9", BOTH, "compressed joblib"),
        (b"\xfd7zXZ\x00", BOTH, "compressed joblib"),
        (b"\x04\x22M\x18", BOTH, "compressed joblib"),
        (ZIPPED, ("PyTorch",), "zip archive"),
        (b"\x00\x00\x00?", BOTH, "no known form"),
        (b"", BOTH, "no known form"),
        (b"\x80", BOTH, "no known form"),
        (b"\x80\x7f", BOTH, "no known form"),
    ],
)
def test_the_first_bytes_of_an_m_file_say_which_engines_it_fits(
    head: bytes, engines: tuple[str, ...], says: str
) -> None:
    item = evidence_of(iris_dot_m=head)["model/iris.m"]
    assert item.engines == engines
    assert says in item.says


@pytest.mark.parametrize(
    "head,says",
    [
        (ZIPPED, "zip archive"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02", "before 1.6"),
        (PICKLE, "is a pickle"),
        (b"x\x9c", "compressed"),
        (b"???", "no known form"),
    ],
)
def test_a_pth_file_is_pytorchs_in_any_form(head: bytes, says: str) -> None:
    item = evidence_of(net_dot_pth=head)["model/net.pth"]
    assert item.engines == ("PyTorch",)
    assert says in item.says


def test_a_booster_under_a_torch_name_is_a_booster() -> None:
    assert evidence_of(net_dot_pth=BOOSTER)["model/net.pth"].engines == ("XGBoost",)


@pytest.mark.parametrize(
    "path,engine",
    [
        ("saved_model.pb", "TensorFlow"),
        ("variables/variables.index", "TensorFlow"),
        ("variables/variables.data-00000-of-00001", "TensorFlow"),
        ("resnet-symbol.json", "MXNet"),
        ("resnet-0000.params", "MXNet"),
        ("deploy.prototxt", "Caffe"),
        ("net.caffemodel", "Caffe"),
        ("spark_model/metadata/part-00000", "Spark_MLlib"),
        ("net.ckpt", "MindSpore"),
    ],
)
def test_the_names_of_other_engines_files_are_evidence(path: str, engine: str) -> None:
    (item,) = gather_evidence(manifest_of({f"model/{path}": b"x"}), {})
    assert (item.file, item.engines) == (f"model/{path}", (engine,))


@pytest.mark.parametrize(
    "path", ["labels.txt", "sub/iris.m", "sub/saved_model.pb", "net-00.params", "x.PTH", "spark_model/x"]
)
def test_other_names_and_places_are_no_evidence(path: str) -> None:
    manifest = manifest_of({f"model/{path}": b"x"})
    assert files_to_read(manifest) == ()
    assert gather_evidence(manifest, {}) == ()


def test_only_the_files_at_the_top_that_no_name_explains_are_read() -> None:
    files = ["a.m", "b.pth", "c.pt", "d.pb", "sub/e.m"]
    assert files_to_read(manifest_of({f"model/{path}": b"" for path in files})) == ("a.m", "b.pth", "c.pt")


# ── the decision ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "model_type,files",
    [
        ("Scikit_Learn", {"iris.m": PICKLE}),
        ("XGBoost", {"iris.m": PICKLE}),
        ("XGBoost", {"iris.m": BOOSTER}),
        ("PyTorch", {"net.pth": ZIPPED}),
        ("PyTorch", {"net.pt": PICKLE}),
        ("TensorFlow", {"saved_model.pb": b"x"}),
        ("TensorFlow", {"net.h5": b"x", "customize_service.py": b""}),
        ("Scikit_Learn", {"iris.m": PICKLE, "saved_model.pb": b"of a tokenizer"}),
    ],
)
def test_files_that_fit_model_type_decide_with_evidence(model_type: str, files: dict[str, bytes]) -> None:
    detection = detected(model_type, files)
    assert detection.engine == model_type
    default = CATALOGUE.default(model_type)
    assert default is not None
    assert (detection.runtime, detection.python) == (default.name, default.python)
    assert detection.evidence[0] == Evidence(
        file="model/config.json", says=f"names model_type {model_type}", engines=(model_type,)
    )
    assert all(model_type in item.engines for item in detection.evidence)


@pytest.mark.parametrize(
    "model_type,files,other",
    [
        ("Scikit_Learn", {"iris.m": BOOSTER}, "XGBoost"),
        ("Scikit_Learn", {"iris.m": ZIPPED}, "PyTorch"),
        ("XGBoost", {"iris.m": ZIPPED}, "PyTorch"),
        ("PyTorch", {"net.pth": BOOSTER}, "XGBoost"),
    ],
)
def test_a_file_that_contradicts_model_type_is_shown(model_type: str, files: dict[str, bytes], other: str) -> None:
    with pytest.raises(EngineNotDetected) as caught:
        detected(model_type, files)
    assert caught.value.code == "DET001"
    for text in (f"config.json says {model_type}", f"model/{next(iter(files))}", other):
        assert text in caught.value.message


def test_the_runtime_that_is_named_is_taken() -> None:
    detection = detected("PyTorch", {"net.pth": ZIPPED}, "pytorch2.13-python3.11-gpu")
    assert detection.runtime == "pytorch2.13-python3.11-gpu"
    assert detection.devices == (Device.CPU, Device.GPU)


def test_a_runtime_nobody_has_is_refused_with_those_there_are() -> None:
    with pytest.raises(EngineNotDetected, match="DET002") as caught:
        detected("Scikit_Learn", {"iris.m": PICKLE}, "python3.5")
    assert "'python3.6'" in caught.value.remedy


def test_an_engine_without_a_default_is_refused() -> None:
    with pytest.raises(EngineNotDetected, match="a default runtime"):
        detected("MindSpore", {"a.ckpt": b""})


@pytest.mark.parametrize("nearest,remedy", [("python3.6", "Use 'python3.6' instead."), ("", "")])
def test_a_runtime_that_cannot_be_had_says_why_and_what_is_near(nearest: str, remedy: str) -> None:
    row = runtime(default=True, available=False, unavailable_reason="its wheels are gone.", nearest=nearest)
    with pytest.raises(RuntimeUnavailable, match="its wheels are gone") as caught:
        runtime_of(config_of("Scikit_Learn"), Catalogue.of([row]))
    assert (caught.value.code, caught.value.remedy) == ("DET003", remedy)


def test_a_package_that_is_only_an_image_is_refused_with_the_engines_there_are() -> None:
    with pytest.raises(RuntimeUnavailable, match="DET004") as caught:
        detected("Image", {})
    assert all(engine in caught.value.remedy for engine in ENGINES)


def test_inference_code_is_code_at_the_top() -> None:
    assert has_service_code(manifest_of({"model/customize_service.py": b""}))
    assert not has_service_code(manifest_of({"model/old/customize_service.py": b""}))


def test_the_step_reads_no_more_than_the_first_bytes(monkeypatch: Any) -> None:
    line = Line()
    accepted = line.accept()
    package = line.fetch(accepted)
    validated = line.validate(accepted, package)
    limits = []
    read = line.store.read
    monkeypatch.setattr(
        line.store, "read", lambda digest, entry, limit: limits.append(limit) or read(digest, entry, limit)
    )
    line.detect(accepted, package, validated)
    assert limits == [HEAD_BYTES]


# ── the catalogue ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_row_is_found_by_engine_and_name_only() -> None:
    assert CATALOGUE.find("Scikit_Learn", "python3.6") is not None
    assert CATALOGUE.find("XGBoost", "python3.6") is None
    assert CATALOGUE.default("Caffe") is None
    assert [row.name for row in CATALOGUE.of_engine("Scikit_Learn")] == [
        "python2.7",
        "python3.6",
        "sklearn1.9-python3.11",
    ]


def test_a_suggestion_names_the_likeliest_then_all_that_can_be_had_then_the_default() -> None:
    assert CATALOGUE.suggestion("Scikit_Learn", "python3.7") == (
        "Did you mean 'python3.6'? Runtimes of Scikit_Learn: python3.6, sklearn1.9-python3.11. "
        "Its default is 'sklearn1.9-python3.11'."
    )
    assert CATALOGUE.suggestion("Caffe", "x") == "Runtimes of Caffe: none."
