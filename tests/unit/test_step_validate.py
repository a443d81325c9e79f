"""validate on fakes: what passes with a word, and what the request overrides."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from airlock.domain.dependencies import Dependency
from airlock.domain.findings import Finding
from airlock.domain.record import Validated
from airlock.domain.request_form import parse_request
from airlock.domain.rules import RULES
from airlock.errors import PackageRejected, StoreDamaged
from tests.unit.given import CONF, SERVICE, ZIPPED, changed, iris_files
from tests.unit.line import Line
from tests.unit.model_bytes import saved_model, written
from tests.unit.rule_cases import whole_catalogue

NUMPY = [{"installer": "pip", "packages": [{"package_name": "numpy"}]}]
TENSORFLOW = changed(model_type="TensorFlow", runtime="tf2.20-python3.11-cpu")


def validated(files: dict[str, bytes], **conf: Any) -> Validated:
    line = Line(files)
    accepted = line.accept(**conf)
    return line.validate(accepted, line.fetch(accepted))


def rejected(files: dict[str, bytes], **conf: Any) -> PackageRejected:
    with pytest.raises(PackageRejected) as caught:
        validated(files, **conf)
    return caught.value


def findings_of(files: dict[str, bytes]) -> list[Finding]:
    """All findings of a package that is refused, with the whole catalogue."""
    line = Line(files, whole_catalogue())
    accepted = line.accept()
    with pytest.raises(PackageRejected) as caught:
        line.validate(accepted, line.fetch(accepted))
    return list(caught.value.findings)


def noticed(files: dict[str, bytes], **conf: Any) -> list[str]:
    return [item.code for item in validated(files, **conf).findings]


def test_a_package_without_fault_passes_without_a_word() -> None:
    assert noticed(iris_files()) == []


def test_inference_code_is_optional_for_scikit_learn() -> None:
    assert noticed(iris_files(model__customize_service_dot_py=SERVICE)) == []


def test_dependencies_that_nothing_uses_are_a_warning() -> None:
    assert noticed(iris_files(changed(dependencies=NUMPY))) == ["DEP005"]
    assert noticed(iris_files(changed(dependencies=NUMPY), model__customize_service_dot_py=SERVICE)) == []


def test_tensorflow_code_that_loads_another_file_is_a_warning() -> None:
    keras = written("tensorflow-1.8.0/net.h5")
    files = iris_files(TENSORFLOW, model__customize_service_dot_py=SERVICE, model__net_dot_h5=keras)
    assert noticed(files) == ["PKG004", "PKG004", "PKG004"]


@pytest.mark.parametrize(
    "engine, file, name, fix",
    [
        (
            "XGBoost", "xgboost-3.2.0/booster.json", "model.json",
            "Rename model/model.json to model/model.m: it is a booster of XGBoost in JSON.",
        ),
        (
            "LightGBM", "lightgbm-4.7.0/model.txt", "model.txt",
            "Rename model/model.txt to model/model.lgb: it is a model of LightGBM as text.",
        ),
        (
            "PyTorch", "torch-2.13.0/net.pth", "pytorch_model.bin",
            "Rename model/pytorch_model.bin to model/pytorch_model.pth: it is an archive of PyTorch.",
        ),
        (
            "PyTorch", "torch-2.13.0/net.pth", "weights/net.pt",
            "Move model/weights/net.pt to model/net.pt: it is an archive of PyTorch.",
        ),
        (
            "PyTorch", "torch-2.13.0/net.pth", "weights/net.bin",
            "Move model/weights/net.bin to model/net.pth: it is an archive of PyTorch.",
        ),
    ],
)  # fmt: skip
def test_a_model_under_another_name_is_told_its_right_one(engine: str, file: str, name: str, fix: str) -> None:
    files = iris_files(changed(model_type=engine, runtime=None), model__customize_service_dot_py=SERVICE)
    del files["model/iris.m"]
    findings = findings_of(files | {f"model/{name}": written(file)})
    assert [item.fix for item in findings if item.code == "PKG004"] == [fix]


def test_a_form_that_no_service_loads_is_renamed_to_nothing() -> None:
    files = iris_files(changed(model_type="CatBoost", runtime=None))
    del files["model/iris.m"]
    findings = findings_of(files | {"model/model.json": written("catboost-1.2.10/model.json")})
    assert {"PKG004", "MDL010"} <= {item.code for item in findings}
    assert not any("Rename" in item.fix for item in findings)


def test_a_part_of_a_model_that_is_a_folder_is_told_no_other_name() -> None:
    files = iris_files(changed(model_type="Spark_MLlib", runtime=None))
    del files["model/iris.m"]
    part = written("spark-4.0.2/spark_model/metadata/part-00000")
    findings = findings_of(files | {"model/my_model/metadata/part-00000": part})
    assert [item.fix for item in findings if item.code == "PKG004"] == [RULES["PKG004"].remedy]


def test_a_whole_saved_model_is_taken() -> None:
    saved = {
        "model/saved_model.pb": saved_model("Placeholder"),
        "model/variables/variables.index": b"x",
        "model/variables/variables.data-00000-of-00001": b"x",
    }
    assert noticed({**iris_files(TENSORFLOW), **saved}) == []


def test_another_config_json_deeper_down_belongs_to_the_model() -> None:
    assert noticed(iris_files(model__tokenizer__config_dot_json=b"not even JSON")) == []


def test_pytorch_takes_pt_as_well_as_pth() -> None:
    config = changed(model_type="PyTorch", runtime="pytorch2.13-python3.11-cpu")
    files = {"model/net.pt": ZIPPED, "model/customize_service.py": SERVICE}
    assert noticed({**iris_files(config), **files}) == []


def test_the_history_counts_the_warnings() -> None:
    line = Line(iris_files(changed(author="me")))
    accepted = line.accept()
    line.validate(accepted, line.fetch(accepted))
    assert line.events()[-1] == "The package keeps the rules of Scikit_Learn; 1 warnings."


def test_a_rejected_package_is_named_with_all_its_errors_and_leaves_no_word_of_success() -> None:
    line = Line({"model/config.json": b"{", "model/a/customize_service.py": b"", "model/b/customize_service.py": b""})
    accepted = line.accept()
    package = line.fetch(accepted)
    with pytest.raises(PackageRejected) as caught:
        line.validate(accepted, package)
    assert sorted(item.code for item in caught.value.findings) == ["CFG001", "PKG003"]
    assert str(caught.value).startswith("[PKG003] 2 rules are broken in the package s3://models/iris/:")
    assert len(line.events()) == 2


# ── overrides ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_configuration_of_the_request_replaces_the_packages() -> None:
    result = validated(
        {**iris_files(), "model/config.json": b"broken"}, config_override=changed(model_algorithm="other")
    )
    assert result.config.model_algorithm == "other"


def test_a_configuration_of_the_request_serves_a_package_that_has_none() -> None:
    assert validated({"model/iris.m": b"x"}, config_override=changed()).config.model_type == "Scikit_Learn"


@pytest.mark.parametrize(
    "override,code",
    [({"model_type": "x\ud800"}, "CFG001"), ({"a": float("nan")}, "CFG001"), ({"model_type": "x"}, "CFG007")],
)
def test_a_broken_configuration_of_the_request_is_refused_where_it_stands(override: dict[str, Any], code: str) -> None:
    line = Line()
    accepted = line.accept()
    package = line.fetch(accepted)
    # Half a surrogate pair reaches us in conf, for JSON's escapes can spell it.
    request = parse_request({**CONF, "config_override": override})
    with pytest.raises(PackageRejected) as caught:
        line.validate(replace(accepted, request=request), package)
    assert code in [item.code for item in caught.value.findings]
    assert "request config_override" in str(caught.value)


def test_dependencies_of_the_request_replace_those_of_the_configuration() -> None:
    files = iris_files(changed(dependencies=NUMPY), model__customize_service_dot_py=SERVICE)
    scipy = [{"packages": [{"package_name": "scipy"}]}]
    assert validated(files, dependencies=scipy).config.dependencies == (Dependency(name="scipy"),)
    assert validated(files, dependencies=[]).config.dependencies == ()
    assert validated(files).config.dependencies == (Dependency(name="numpy"),)


def test_a_wheel_that_only_the_request_names_must_be_in_the_package() -> None:
    wheel = [{"packages": [{"package_name": "/home/mind/model/x.whl"}]}]
    files = iris_files(model__customize_service_dot_py=SERVICE)
    assert [item.code for item in rejected(files, dependencies=wheel).findings] == ["DEP001"]
    assert noticed({**files, "model/x.whl": b"x"}, dependencies=wheel) == []


def placed(*packages: dict[str, str], code: bool) -> list[tuple[str, str]]:
    """Code → place of every finding about these packages, which stand in a file of several lines."""
    config = json.dumps(changed(dependencies=[{"installer": "pip", "packages": list(packages)}]), indent=1).encode()
    more = {"model/customize_service.py": SERVICE} if code else {}
    line = Line({**iris_files(), "model/config.json": config, **more})
    accepted = line.accept()
    try:
        findings = line.validate(accepted, line.fetch(accepted)).findings
    except PackageRejected as rejected:
        findings = rejected.findings
    lines = config.decode().splitlines()
    for item in findings:
        assert lines[item.place.line - 1][item.place.column - 1] == "{"
    return [(item.code, item.place.pointer) for item in findings]


def test_what_is_wrong_with_a_dependency_is_told_at_its_line_and_column() -> None:
    numpy = {"package_name": "numpy", "package_version": "1.16.6", "restraint": "EXACT"}
    wheel = {"package_name": "/home/mind/model/x-1.0-py3-none-any.whl"}
    six = {"package_name": "six"}
    assert placed(six, numpy, code=True) == [("DEP006", "/dependencies/0/packages/1")]
    assert placed(six, six, wheel, code=True) == [("DEP001", "/dependencies/0/packages/2")]
    assert placed(six, code=False) == [("DEP005", "/dependencies/0/packages/0")]


def test_a_conflict_of_what_the_request_asks_for_is_told_at_the_request() -> None:
    numpy = {"package_name": "numpy", "package_version": "1.16.6", "restraint": "EXACT"}
    files = iris_files(model__customize_service_dot_py=SERVICE)
    (item,) = rejected(files, dependencies=[{"packages": [{"package_name": "six"}, numpy]}]).findings
    assert (item.code, str(item.place)) == ("DEP006", "request dependencies/0/packages/1")


# ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_damaged_store_is_no_fault_of_the_package() -> None:
    line = Line()
    accepted = line.accept()
    package = line.fetch(accepted)
    line.store.packages[package.digest]["model/config.json"] += b" "
    with pytest.raises(StoreDamaged):
        line.validate(accepted, package)
    del line.store.packages[package.digest]
    with pytest.raises(StoreDamaged):
        line.validate(accepted, package)


def test_a_configuration_over_a_megabyte_is_refused_without_reading_more() -> None:
    line = Line(iris_files() | {"model/config.json": b" " * 1_500_000})
    line.limits = type(line.limits)(max_package_bytes=10**9, max_objects=50)
    accepted = line.accept()
    with pytest.raises(PackageRejected, match="CFG004"):
        line.validate(accepted, line.fetch(accepted))
