"""`python -m airlock check`: the verdict, its forms, and that it agrees with the pipeline."""

from __future__ import annotations

import errno
import functools
import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlock.__main__ import main
from airlock.adapters import catalogue_files
from tests.unit.given import ROOT, iris_files
from tests.unit.model_bytes import written

CATALOGUE_ONCE = functools.cache(catalogue_files.load_catalogue)
REJECTED = ROOT / "tests/packages/reject"


@pytest.fixture(autouse=True)
def _catalogue_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_files, "load_catalogue", CATALOGUE_ONCE)


@pytest.fixture
def iris(tmp_path: Path) -> Path:
    for path, data in iris_files().items():
        target = tmp_path / "iris" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    return tmp_path / "iris"


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = main(["check", *arguments])
    return status, capsys.readouterr().out


def test_a_package_without_fault_passes(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = output(capsys, str(iris))
    assert status == 0
    assert len(text.splitlines()) == 1
    assert "would be taken: 0 errors, 0 warnings, 0 infos" in text


def test_the_model_folder_itself_means_the_one_above(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, text = output(capsys, str(iris / "model"))
    assert status == 0
    assert "PKG011" in text


def test_the_model_folder_may_have_one_of_its_name_inside(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (iris / "model/model").mkdir()
    (iris / "model/model/labels.txt").write_bytes(b"")
    status, text = output(capsys, str(iris / "model"))
    assert status == 0
    assert "PKG011" in text
    assert "would be taken: 0 errors" in output(capsys, str(iris))[1]


def test_a_folder_that_happens_to_be_called_model_may_hold_a_package(
    iris: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    above = iris.rename(iris.parent / "model")
    status, text = output(capsys, str(above))
    assert status == 0
    assert "PKG011" not in text


@pytest.mark.parametrize("form", ["text", "github", "sarif"])
def test_names_are_those_of_files_that_are_there(iris: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    (iris / "model/a.txt").write_bytes(b"")
    (iris / "model/A.txt").write_bytes(b"")
    (iris / "model/ b.txt").write_bytes(b"")
    status, text = output(capsys, "--format", form, str(iris))
    assert status == 1
    quoted = {"sarif": "%20b.txt"}.get(form, " b.txt")
    for name in ("a.txt", quoted):
        assert f"{os.path.relpath(iris)}/model/{name}" in text


def test_the_length_of_a_path_is_that_of_the_whole_path(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = iris / "model" / "/".join(["d" * 200] * 5)
    folder.mkdir(parents=True)
    (folder / ("f" * 13)).write_bytes(b"")
    assert output(capsys, str(iris))[0] == 0
    (folder / ("f" * 14)).write_bytes(b"")
    status, text = output(capsys, str(iris))
    assert status == 1
    assert "is longer than 1,024 bytes" in text


#: Decided by the catalogue, which is another one in the tests of the pipeline.
BY_CATALOGUE = ("unknown-runtime", "runtime-that-cannot-be-had", "engine-without-runtimes", "tensorflow-")
#: What is refused for its request or for the names in its bucket is no folder of this machine.
CASES = [
    case
    for case in sorted(REJECTED.iterdir())
    if not case.name.startswith(BY_CATALOGUE) and not (case / "request.json").exists()
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_verdict_is_that_of_the_pipeline(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = json.loads((case / "expected.json").read_text(encoding="utf-8"))
    status, text = output(capsys, "--format", "json", str(case / "package"))
    report = json.loads(text)
    codes = [item["code"] for item in report["findings"] if item["severity"] == "error"]
    codes += [report["refusal"]["code"]] if "refusal" in report else []
    assert status == 1
    assert sorted(codes) == expected["codes"]
    assert not report["passed"]


def test_text_names_file_line_and_column(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = output(capsys, str(REJECTED / "two-apis/package"))
    assert status == 1
    assert "model/config.json:5:11: error API001: " in text
    assert "    Keep the one with the URL `/`." in text.splitlines()
    assert "\x1b" not in text


def test_machines_get_sarif_and_annotations(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = output(capsys, "--format", "sarif", str(REJECTED / "two-apis/package"))
    run = json.loads(text)["runs"][0]
    assert [result["ruleId"] for result in run["results"]] == ["API001"]
    region = run["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 5, "startColumn": 11}
    assert [rule["id"] for rule in run["tool"]["driver"]["rules"]] == ["API001"]
    _, text = output(capsys, "--format", "github", str(REJECTED / "two-apis/package"))
    assert text.startswith("::error file=")
    assert ",line=5,col=11,title=API001::" in text


def test_a_package_that_detection_refuses_is_refused_in_every_form(capsys: pytest.CaptureFixture[str]) -> None:
    case = str(REJECTED / "torch-archive-called-xgboost/package")
    for form in ("text", "json", "sarif", "github"):
        status, text = output(capsys, "--format", form, case)
        assert status == 1
        assert "DET001" in text


def test_code_in_a_model_is_a_warning_once_it_is_trusted(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (iris / "model/iris.m").write_bytes(b"cposix\nsystem\n(S'id'\ntR.")
    status, text = output(capsys, str(iris))
    assert status == 1
    assert "model/iris.m: error MDL001: " in text
    assert "posix.system" in text
    status, text = output(capsys, "--trust-model-code", str(iris))
    assert status == 0
    assert "warning MDL001" in text


def test_the_evidence_of_each_file_is_shown_where_it_is_asked_for(
    iris: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (iris / "model/iris.m").write_bytes(written("scikit-learn-1.9.1/iris.m"))
    _, text = output(capsys, "--evidence", str(iris))
    assert (
        "evidence: model/iris.m is a pickle of scikit-learn, written by scikit-learn 1.9.1 (Scikit_Learn 0.95" in text
    )
    assert "(confidence 0.97)" in text.splitlines()[-1]
    _, text = output(capsys, "--format", "json", str(iris))
    report = json.loads(text)
    assert report["confidence"] == 0.97
    assert report["evidence"][0]["written_by"] == ["scikit-learn 1.9.1"]
    assert next(iter(report["likeliest"])) == "Scikit_Learn"


def test_a_package_without_a_usable_configuration_says_which_engine_its_files_fit(
    iris: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (iris / "model/iris.m").write_bytes(written("scikit-learn-1.9.1/iris.m"))
    (iris / "model/config.json").unlink()
    status, text = output(capsys, str(iris))
    assert status == 1
    assert "files that fit Scikit_Learn (confidence 0.95)" in text


def test_a_model_of_another_version_is_a_warning_that_names_a_runtime(
    iris: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (iris / "model/iris.m").write_bytes(written("scikit-learn-0.18.1/iris.m"))
    status, text = output(capsys, str(iris))
    assert status == 0
    assert (
        "model/iris.m: warning DET006: It was written with scikit-learn 0.18.1, so it needs Scikit_Learn 0.18;" in text
    )
    assert "    Use the runtime 'python3.6' (0.18.1)." in text.splitlines()


def test_links_are_named_and_not_followed(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (iris / "model/labels.txt").symlink_to("/etc/passwd")
    (iris / "model/more").symlink_to("/etc")
    status, text = output(capsys, str(iris))
    assert status == 1
    assert text.count("error PKG013") == 2


def test_a_linked_model_folder_is_refused_as_an_import_refuses_it(
    iris: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (iris / "model").rename(iris / "real")
    (iris / "model").symlink_to("real")
    status, text = output(capsys, str(iris))
    assert status == 1
    assert f"{os.path.relpath(iris)}/model: error PKG013: " in text
    assert "error PKG001" in text


def test_a_package_with_a_folder_that_cannot_be_listed_is_not_checked(
    iris: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Rights do not hold for root; a path longer than the system takes holds for everybody.
    monkeypatch.chdir(iris / "model")
    for _ in range(20):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    Path("hidden.pkl").write_bytes(b"cposix\nsystem\n(S'id'\ntR.")
    os.chdir(iris)
    assert main(["check", str(iris)]) == 2
    told = capsys.readouterr().err
    assert told.startswith("airlock: [STO003] model/ddd")
    assert "cannot be read: File name too long. Check the folder." in told
    assert len(told) < 500


def test_a_package_with_a_folder_that_may_not_be_read_is_not_checked(
    iris: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (iris / "model/sub").mkdir()
    listed = os.scandir

    def refusing(path: str) -> Any:
        if path.endswith("/sub"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return listed(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert main(["check", str(iris)]) == 2
    assert "model/sub cannot be read: Permission denied." in capsys.readouterr().err


def test_a_name_cannot_command_the_terminal(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (iris / "model/\x1b[2Jx.txt").write_bytes(b"")
    status, text = output(capsys, str(iris))
    assert status == 1
    assert "\x1b" not in text


def test_a_rule_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    status, text = output(capsys, "--explain", "mdl001")
    assert status == 0
    assert text.startswith("MDL001 (error): Loading a model file runs code")
    assert main(["check", "--explain", "XYZ999"]) == 2


def test_wrong_usage_has_a_status_of_its_own(tmp_path: Path) -> None:
    assert main(["check", str(tmp_path / "nowhere")]) == 2
    assert main(["check"]) == 2
    assert main(["check", str(tmp_path)]) == 1


#: CPU seconds that the start may take here; `make bench-validation` holds it to 0.5 s on a machine of its own.
MAX_START_S = 1.5


@pytest.mark.parametrize(
    "arguments,absent",
    [
        (
            ["--explain", "CFG001"],
            {"airflow", "boto3", "docker", "jsonschema", "parso", "pydantic", "sqlalchemy", "yaml"},
        ),
        (["{iris}"], {"airflow", "boto3", "docker", "obstore", "parso", "pydantic", "sqlalchemy"}),
    ],
    ids=["explain", "folder"],
)
def test_it_starts_fast_because_it_imports_no_more_than_it_needs(
    iris: Path, arguments: list[str], absent: set[str]
) -> None:
    code = (
        "import sys; from airlock.__main__ import main; status = main(['check', *sys.argv[2:]]);"
        "heavy = set(sys.argv[1].split(',')) & set(sys.modules);"
        "sys.exit(f'{heavy}' if heavy else status)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "plugins")}
    argv = [sys.executable, "-c", code, ",".join(sorted(absent)), *(each.format(iris=iris) for each in arguments)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=60)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stderr) == (0, "")
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MAX_START_S


def test_the_report_stays_small_whatever_is_wrong_however_often(iris: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = iris / "model/config.json"
    config.write_text(config.read_text(encoding="utf-8") + "/**/" * 200_000, encoding="utf-8")
    for number in range(400):
        (iris / f"model/{number}.py").write_bytes(b"(")
        (iris / f"model/{number}.txt ").write_bytes(b"")
        (iris / f"model/{number}.lnk").symlink_to("/etc/passwd")
        (iris / f"model/{number}").mkdir()
        (iris / f"model/{number}/customize_service.py").write_bytes(b"")
    for form in ("text", "json", "sarif", "github"):
        status, text = output(capsys, "--format", form, str(iris))
        assert status == 1
        assert "more like it." in text
        assert len(text) < 500_000
    assert " 199,950 more like it." in text
    assert " 200400 warnings" in text


# ── the text ─────────────────────────────────────────────────────────────────────────────────────────────────────────

#: Packages whose report is kept as text: many findings at once, code in a model, and a refusal by the evidence.
GOLDEN = (
    "everything-wrong-in-the-files",
    "several-faults-in-the-code",
    "code-in-a-pickle",
    "torch-archive-called-xgboost",
)


@pytest.mark.parametrize("case", GOLDEN)
@pytest.mark.parametrize("form", ["text", "github"])
def test_the_report_is_the_one_that_was_read(
    case: str,
    form: str,
    capsys: pytest.CaptureFixture[str],
    golden: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(REJECTED / case)
    _, text = output(capsys, "--format", form, "package")
    golden(f"check-{case}.{form}.txt", text)


def test_a_terminal_gets_colours_unless_it_wants_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REJECTED / "two-apis")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    _, text = output(capsys, "package")
    assert "\x1b[1mpackage/model/config.json:5:11\x1b[0m: \x1b[31merror API001\x1b[0m: " in text
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in output(capsys, "package")[1]
    monkeypatch.delenv("NO_COLOR")
    assert "\x1b" not in output(capsys, "--format", "json", "package")[1]


def test_sarif_has_what_its_readers_ask_for(capsys: pytest.CaptureFixture[str]) -> None:
    for case in GOLDEN:
        _, text = output(capsys, "--format", "sarif", str(REJECTED / case / "package"))
        report = json.loads(text)
        assert (report["version"], set(report)) == ("2.1.0", {"$schema", "version", "runs"})
        (run,) = report["runs"]
        driver = run["tool"]["driver"]
        rules = [rule["id"] for rule in driver["rules"]]
        assert driver["name"] == "airlock"
        assert len(rules) == len(set(rules))
        assert run["results"]
        for result in run["results"]:
            assert result["level"] in ("none", "note", "warning", "error")
            assert result["message"]["text"]
            for location in result.get("locations", ()):
                physical = location["physicalLocation"]
                assert " " not in physical["artifactLocation"]["uri"]
                region = physical.get("region")
                assert region is None or (region["startLine"] >= 1 and region["startColumn"] >= 1)
