"""Detection: the evidence of names and first bytes, and what contradicts model_type."""

from __future__ import annotations

import functools
import io

import pytest

from airlock.adapters import catalogue_files
from airlock.domain.catalogue import Catalogue
from airlock.domain.config import ModelConfig
from airlock.domain.detection import (
    Detection,
    Evidence,
    detect,
    has_service_code,
    likeliest,
    runtime_of,
)
from airlock.domain.device import Device
from airlock.domain.evidence import MAX_FILES_READ, files_to_read, gather_evidence
from airlock.domain.model_files.facts import Facts
from airlock.domain.model_files.forms import facts_of
from airlock.domain.model_files.streams import Unreadable
from airlock.errors import EngineNotDetected, RuntimeUnavailable
from tests.unit.given import BOOSTER, CATALOGUE, PICKLE, ROOT, ZIPPED, changed, iris_files, manifest_of, runtime
from tests.unit.line import Line
from tests.unit.model_bytes import PROTOTXT, caffemodel, field, onnx_model, saved_model, written


def config_of(model_type: str, runtime: str | None = None) -> ModelConfig:
    return ModelConfig(
        model_type=model_type, model_algorithm="a", runtime=runtime, metrics={}, apis=(), dependencies=()
    )


def evidence_of(**files: bytes) -> dict[str, Evidence]:
    named = {f"model/{name.replace('_dot_', '.')}": data for name, data in files.items()}
    return {item.file: item for item in gathered(named)}


def gathered(files: dict[str, bytes]) -> tuple[Evidence, ...]:
    manifest = manifest_of(files)
    return gather_evidence(
        manifest, {path: facts_or_none(path, files[f"model/{path}"]) for path in files_to_read(manifest)}
    )


def facts_or_none(path: str, data: bytes) -> Facts | None:
    try:
        return facts_of(path, len(data), io.BytesIO(data))
    except Unreadable:
        return None


def detected(
    model_type: str, files: dict[str, bytes], name: str | None = None, catalogue: Catalogue = CATALOGUE
) -> Detection:
    manifest = manifest_of({f"model/{path}": data for path, data in files.items()})
    evidence = gathered({f"model/{path}": data for path, data in files.items()})
    return detect(manifest, evidence, config_of(model_type, name), catalogue)


LOADING = ("Scikit_Learn", "XGBoost", "LightGBM", "CatBoost")


@pytest.mark.parametrize(
    "head,engines,says",
    [
        (PICKLE, LOADING, "is a pickle"),
        (b"\x80\x02}q\x00.", LOADING, "is a pickle"),
        (BOOSTER, ("XGBoost",), "booster"),
        (b"binf\x00\x00", ("XGBoost",), "old binary form"),
        (b'{"learner":{"attributes"', ("XGBoost",), "booster of XGBoost in JSON"),
        (b'{"version":[1,0,0]', ("XGBoost",), "booster of XGBoost in JSON"),
        (b"x\x9c\x01", LOADING, "compressed joblib"),
        (b"x^\x01", LOADING, "compressed joblib"),
        (b"\x1f\x8b\x08", LOADING, "compressed joblib"),
        (b"BZh9", LOADING, "compressed joblib"),
        (b"\xfd7zXZ\x00", LOADING, "compressed joblib"),
        (b"\x04\x22M\x18", LOADING, "compressed joblib"),
        (ZIPPED, ("PyTorch",), "archive of PyTorch"),
        (b"\x00\x00\x00?", LOADING, "no known form"),
        (b"just some text", LOADING, "no known form"),
        (b"", LOADING, "is empty"),
        (ZIPPED[:-9], LOADING, "no known form"),
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
        (ZIPPED, "archive of PyTorch"),
        (b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02", "before 1.6"),
        (PICKLE, "is a pickle"),
        (b"x\x9c", "compressed"),
        (ZIPPED[:-9], "no known form"),
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


@pytest.mark.parametrize("path", ["labels.txt", "sub/iris.m", "sub/saved_model.pb", "net-00.params", "spark_model/x"])
def test_other_names_and_places_are_no_evidence(path: str) -> None:
    assert gathered({f"model/{path}": b"x"}) == ()


def test_what_an_engine_loads_and_what_may_be_a_model_is_read_wherever_it_lies() -> None:
    files = [
        "a.m",
        "b.pth",
        "sub/e.m",
        "sub/labels.txt",
        "f.py",
        "config.json",
        "spark_model/metadata/part-00000",
        "variables/variables.index",
    ]
    assert set(files_to_read(manifest_of({f"model/{path}": b"" for path in files}))) == {
        "a.m",
        "b.pth",
        "sub/e.m",
        "spark_model/metadata/part-00000",
    }


def test_only_so_many_files_are_read_and_those_that_engines_load_come_first() -> None:
    files = {f"model/{index:04}.txt": b"" for index in range(1000)} | {"model/z.m": PICKLE}
    read = files_to_read(manifest_of(files))
    assert (len(read), read[0]) == (MAX_FILES_READ, "z.m")
    deep = {f"model/a/{index:04}.h5": b"" for index in range(1000)} | {"model/net.h5": b"", "model/z.m": PICKLE}
    assert files_to_read(manifest_of(deep))[:3] == ("z.m", "net.h5", "a/0000.h5")


# ── how sure ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_pieces_of_evidence_leave_the_product_of_their_doubts() -> None:
    detection = detected("Scikit_Learn", {"iris.m": PICKLE})
    assert [item.confidence("Scikit_Learn") for item in detection.evidence] == [0.5, 0.3]
    assert detection.confidence == 0.65
    assert detected("Scikit_Learn", {"iris.m": written("scikit-learn-1.9.1/iris.m")}).confidence == 0.97


@pytest.mark.parametrize(
    "files,engine",
    [
        ({"iris.m": written("scikit-learn-1.9.1/iris.m")}, "Scikit_Learn"),
        ({"iris.m": written("xgboost-3.2.0/pickled.m")}, "XGBoost"),
        ({"iris.m": written("lightgbm-4.7.0/model.txt")}, "LightGBM"),
        ({"net.pth": written("torch-1.4.0/net.pth")}, "PyTorch"),
        ({"net.keras": written("tensorflow-2.21.0/net.keras")}, "TensorFlow"),
        ({"net-symbol.json": written("mxnet-1.9.1/net-symbol.json"), "net-0000.params": b"?"}, "MXNet"),
        ({"net.onnx": written("onnx-1.23.2/net.onnx"), "labels.txt": b"cat"}, "ONNX"),
        ({"deploy.prototxt": PROTOTXT.encode(), "net.caffemodel": caffemodel(("ip", "InnerProduct"))}, "Caffe"),
    ],
)
def test_the_folder_alone_says_which_engine_it_is(files: dict[str, bytes], engine: str) -> None:
    ranked = likeliest(gathered({f"model/{path}": data for path, data in files.items()}))
    assert ranked[0][0] == engine
    assert ranked[0][1] >= 0.95
    assert all(confidence < ranked[0][1] for _, confidence in ranked[1:])


def test_a_folder_without_models_says_nothing() -> None:
    assert likeliest(gathered({"model/labels.txt": b"cat"})) == ()


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
        ("Scikit_Learn", {"iris.m": PICKLE, "saved_model.pb": saved_model("Add")}),
        ("PyTorch", {"net.pth": ZIPPED, "net.onnx": onnx_model()}),
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
        ("MindSpore", {"net.ckpt": ZIPPED}, "PyTorch"),
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


def test_inference_code_is_code_at_the_top() -> None:
    assert has_service_code(manifest_of({"model/customize_service.py": b""}))
    assert not has_service_code(manifest_of({"model/old/customize_service.py": b""}))


def test_what_travels_on_is_small_and_printable_whatever_the_files_say() -> None:
    nodes = [field(4, "a\x1b[2J" + "x" * 3000, str(index)) for index in range(50)]
    files = {f"{index}.json": b'{"learner":{}}' for index in range(100)} | {"net.onnx": onnx_model(*nodes)}
    detection = detected("ONNX", files, catalogue=WHOLE_CATALOGUE())
    assert len(detection.evidence) == 2
    assert all(len(text) <= 301 and text.isprintable() for item in detection.evidence for _, text in item.details)
    many = {f"{index:03}.m": PICKLE for index in range(100)}
    assert len(detected("Scikit_Learn", many).evidence) == 31


def test_a_conflict_names_every_side_with_its_version_and_what_to_do() -> None:
    with pytest.raises(EngineNotDetected) as caught:
        detected("Scikit_Learn", {"a.m": written("catboost-1.2.10/model.cbm"), "net.onnx": onnx_model()})
    assert caught.value.message == (
        "config.json says Scikit_Learn, the files say otherwise: model/a.m is a model of CatBoost, written by "
        "CatBoost 1.2.10 (CatBoost 0.95). Also there: model/net.onnx is an ONNX model, written by ONNX opset 17 "
        "(ONNX 0.95)."
    )
    assert caught.value.remedy.startswith("Set `model_type` to CatBoost (confidence 0.95), or ")


# ── what does not fit and refuses nothing ────────────────────────────────────────────────────────────────────────────


WHOLE_CATALOGUE = functools.cache(lambda: catalogue_files.load_catalogue(ROOT / "include"))


def told(model_type: str, files: dict[str, bytes], name: str | None = None) -> list[tuple[str, str, str]]:
    findings = detected(model_type, files, name, WHOLE_CATALOGUE()).findings
    assert not any(item.is_error for item in findings)
    return [(item.code, item.place.file, item.fix) for item in findings]


def test_a_library_that_the_engine_does_not_have_is_a_warning() -> None:
    (warned,) = told("Scikit_Learn", {"iris.m": written("xgboost-3.2.0/pickled.m")}, "sklearn1.9-python3.11")
    assert warned[:2] == ("DET005", "model/iris.m")
    assert "`dependencies`" in warned[2]


def test_a_package_whose_files_speak_for_another_engine_alone_is_a_warning() -> None:
    (warned,) = told("TensorFlow", {"net.pth": ZIPPED, "customize_service.py": b""}, "tf2.21-python3.11-cpu")
    assert warned[:2] == ("DET005", "model/")
    assert told("TensorFlow", {"labels.txt": b"", "customize_service.py": b""}, "tf2.21-python3.11-cpu") == []


@pytest.mark.parametrize(
    "model_type,name,file,as_name,fit",
    [
        ("TensorFlow", None, "tensorflow-2.21.0/net.keras", "net.keras", "'tf2.21-python3.11-cpu' (2.21.0)"),
        ("TensorFlow", None, "tensorflow-2.21.0/net.h5", "net.h5", "'tf2.21-python3.11-cpu' (2.21.0)"),
        ("TensorFlow", "tf2.1-python3.7", "tensorflow-2.21.0/saved_model.pb", "saved_model.pb", "'tf2.21-python3.11"),
        ("TensorFlow", None, "tensorflow-2.1.0/saved_model.pb", "saved_model.pb", "'tf2.1-python3.7' (2.1)"),
        ("Scikit_Learn", "python3.6", "scikit-learn-1.9.1/iris.m", "iris.m", "'sklearn1.9-python3.11' (1.9.1)"),
        ("Scikit_Learn", "python3.6", "scikit-learn-1.9.1/zlib.m", "iris.m", "'sklearn1.9-python3.11' (1.9.1)"),
        ("Scikit_Learn", "sklearn1.9-python3.11", "scikit-learn-0.18.1/iris.m", "iris.m", "'python3.6' (0.18.1)"),
        ("PyTorch", "pytorch1.4-python3.7", "torch-2.13.0/net.pth", "net.pth", "'pytorch2.13-python3.11-cpu' (2.13.0)"),
        ("PyTorch", None, "torch-2.13.0/script.pt", "net.pt", "'pytorch2.13-python3.11-cpu' (2.13.0)"),
        ("XGBoost", "python3.6", "xgboost-3.2.0/booster.ubj", "iris.m", "'xgboost3.2-python3.11-cpu' (3.2.0)"),
        ("XGBoost", "python3.6", "xgboost-3.2.0/pickled.m", "iris.m", "'xgboost3.2-python3.11-cpu' (3.2.0)"),
        ("XGBoost", "xgboost3.2-python3.11-cpu", "xgboost-0.80/booster.m", "iris.m", "'python3.6' (0.80)"),
        ("XGBoost", "xgboost3.2-python3.11-cpu", "xgboost-0.80/pickled.m", "iris.m", "'python3.6' (0.80)"),
        ("TensorFlow", "tf2.1-python3.7", "tensorflow-1.8.0/net.h5", "net.h5", "'python2.7' (1.8.0)"),
        ("MXNet", None, "mxnet-1.9.1/net-symbol.json", "net-symbol.json", "'mxnet1.9-python3.11-cpu' (1.9.1)"),
        ("ONNX", "onnxruntime1.31-python3.11-gpu", "onnx-1.23.2/latest.onnx", "net.onnx", "'onnxruntime1.32-"),
        ("Spark_MLlib", "python3.6", "spark-4.0.2/spark_model/metadata/part-00000", "spark_model/metadata/part-00000",
         "'spark4.0-python3.11' (4.0.2)"),
    ],
)  # fmt: skip
def test_a_file_of_another_version_is_a_warning_that_names_a_runtime(
    model_type: str, name: str | None, file: str, as_name: str, fit: str
) -> None:
    (warned,) = told(model_type, {as_name: written(file), "customize_service.py": b""}, name)
    assert warned[:2] == ("DET006", f"model/{as_name}")
    assert fit in warned[2]


@pytest.mark.parametrize("file,name", [("net.keras", "model/weights/net.keras"), ("net.h5", "model/a/b/net.h5")])
def test_a_file_that_code_loads_from_a_folder_warns_as_one_beside_it(file: str, name: str) -> None:
    files = {name.removeprefix("model/"): written(f"tensorflow-2.21.0/{file}"), "customize_service.py": b""}
    detection = detected("TensorFlow", files, None, WHOLE_CATALOGUE())
    assert [item.file for item in detection.evidence] == ["model/config.json", name]
    (warned,) = detection.findings
    assert (warned.code, warned.place.file, warned.is_error) == ("DET006", name, False)
    assert "'tf2.21-python3.11-cpu' (2.21.0)" in warned.fix


def test_a_file_in_a_folder_contradicts_nothing() -> None:
    files = {"iris.m": PICKLE, "old/iris.m": BOOSTER, "old/net.pth": ZIPPED, "old/net.onnx": onnx_model()}
    detection = detected("Scikit_Learn", files)
    assert (detection.engine, detection.findings) == ("Scikit_Learn", ())


def test_of_many_files_those_at_the_top_are_told_first() -> None:
    keras = written("tensorflow-2.21.0/net.h5")
    files = {f"a/{index:02}.h5": keras for index in range(40)} | {"z.h5": keras, "customize_service.py": b""}
    detection = detected("TensorFlow", files, None, WHOLE_CATALOGUE())
    assert [item.file for item in detection.evidence[:3]] == ["model/config.json", "model/z.h5", "model/a/00.h5"]
    assert [item.place.file for item in detection.findings[:2]] == ["model/z.h5", "model/a/00.h5"]


def test_a_level_that_no_runtime_has_asks_for_the_model_again() -> None:
    (warned,) = told("ONNX", {"net.onnx": onnx_model(opset=99)})
    assert warned[2] == "Save the model again with ONNX 1.32.0; no runtime fits it."


@pytest.mark.parametrize(
    "model_type,name,file,as_name",
    [
        ("TensorFlow", None, "tensorflow-1.8.0/saved_model.pb", "saved_model.pb"),
        ("TensorFlow", None, "tensorflow-1.8.0/net.h5", "net.h5"),
        ("TensorFlow", "tf2.1-python3.7", "tensorflow-2.1.0/net.h5", "net.h5"),
        ("TensorFlow", "tf2.21-python3.11-cpu", "tensorflow-2.1.0/saved_model.pb", "saved_model.pb"),
        ("Scikit_Learn", "python3.6", "scikit-learn-0.18.1/zlib.m", "iris.m"),
        ("Scikit_Learn", "sklearn1.9-python3.12", "scikit-learn-1.9.1/iris.m", "iris.m"),
        ("PyTorch", "pytorch1.4-python3.7", "torch-1.4.0/net.pth", "net.pth"),
        ("PyTorch", "pytorch1.4-python3.7", "torch-1.4.0/script.pt", "net.pt"),
        ("PyTorch", "pytorch2.13-python3.11-cpu", "torch-1.4.0/net.pth", "net.pth"),
        ("XGBoost", "python3.6", "xgboost-0.80/booster.m", "iris.m"),
        ("XGBoost", "xgboost3.2-python3.11-cpu", "xgboost-3.2.0/booster.json", "iris.m"),
        ("XGBoost", "xgboost3.2-python3.11-cpu", "xgboost-3.2.0/pickled.m", "iris.m"),
        ("XGBoost", "python3.6", "xgboost-0.80/pickled.m", "iris.m"),
        ("TensorFlow", "tf2.21-python3.11-cpu", "tensorflow-2.1.0/net.h5", "net.h5"),
        ("LightGBM", None, "lightgbm-4.7.0/model.txt", "iris.m"),
        ("CatBoost", None, "catboost-1.2.10/model.cbm", "iris.m"),
        ("ONNX", None, "onnx-1.23.2/latest.onnx", "net.onnx"),
        ("MXNet", None, "mxnet-1.2.1/net-symbol.json", "net-symbol.json"),
        ("Spark_MLlib", "spark4.3-python3.12", "spark-4.0.2/spark_model/metadata/part-00000",
         "spark_model/metadata/part-00000"),
    ],
)  # fmt: skip
def test_a_file_that_the_runtime_reads_is_no_warning(
    model_type: str, name: str | None, file: str, as_name: str
) -> None:
    assert told(model_type, {as_name: written(file), "customize_service.py": b""}, name) == []


def test_the_step_reads_the_headers_and_keeps_the_warnings() -> None:
    line = Line(iris_files(changed(runtime="python3.6"), **{"model__iris_dot_m": written("scikit-learn-1.9.1/iris.m")}))
    accepted = line.accept()
    package = line.fetch(accepted)
    detection = line.detect(accepted, package, line.validate(accepted, package))
    assert [item.code for item in detection.findings] == ["DET006"]
    assert "needs Scikit_Learn 1.9; 'python3.6' has 0.18.1" in line.events()[-1]


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
