"""Bad input: a coded sentence, a Failed version with its event, and nothing left behind."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.dag.conftest import RESULTS, SERVICE, Installation, Outcome, Upload, a_config, wrapped

Run = Callable[..., Outcome]


def leftovers(installation: Installation, run_id: str) -> list[str]:
    """Containers, processes, half copies and working files that a run left."""
    found: list[str] = []
    incoming = installation.home / "store" / "incoming"
    if incoming.exists():
        found += [f"copy {path.name}" for path in incoming.iterdir()]
    runs = installation.home / "work" / "runs"
    if runs.exists():
        found += [f"folder {path}" for path in runs.glob("*/*")]
    if installation.backend == "docker":
        import docker

        client = docker.from_env()
        found += [
            f"container {one.name}"
            for one in client.containers.list(
                all=True, filters={"label": f"io.airlock.run=import_model/{run_id}"}, ignore_removed=True
            )
        ]
        client.close()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if (
                b"model_service.server" in command
                and str(installation.home).encode() in (entry / "environ").read_bytes()
            ):
                found.append(f"process {entry.name}")
    return found


def refused(installation: Installation, outcome: Outcome, task: str, name: str, *parts: str) -> str:
    """Check that the run failed in that task with that sentence, and return the version's reason."""
    assert outcome.state == "failed"
    assert outcome.tasks[task] == "failed", outcome.tasks
    assert outcome.tasks["register"] == "upstream_failed"
    assert outcome.tasks["close"] == "success"
    row = installation.wiring().registry_reader.find(name, "0.0.1")
    assert row is not None
    assert row.status.value == "Failed"
    for part in parts:
        assert part in row.reason, row.reason
    last = row.events[-1]
    assert (last.kind.value, last.text) == ("Abnormal", f"Import failed: {row.reason}")
    assert leftovers(installation, outcome.run_id) == []
    return row.reason


def set_config(upload: Upload, **changes: Any) -> None:
    upload.files["model/config.json"] = json.dumps(a_config(**changes), indent=2).encode()


def test_a_folder_without_model_is_refused(process: Installation, upload: Upload, run_import: Run) -> None:
    upload.files = {"weights/model.m": b"x", "readme.txt": b"x"}
    outcome = run_import(model_name="no-folder", source_location=upload.go())
    refused(process, outcome, "fetch", "no-folder", "[PKG001]", "readme.txt", "weights/model.m")


def test_a_package_without_config_is_refused(process: Installation, upload: Upload, run_import: Run) -> None:
    del upload.files["model/config.json"]
    outcome = run_import(model_name="no-config", source_location=upload.go())
    refused(process, outcome, "validate", "no-config", "[PKG002]", "model/config.json")


def test_broken_json_is_refused_with_line_and_column(process: Installation, upload: Upload, run_import: Run) -> None:
    upload.files["model/config.json"] = b'{\n  "model_type": "Scikit_Learn"\n  "runtime": "x"\n}\n'
    outcome = run_import(model_name="broken-json", source_location=upload.go())
    refused(process, outcome, "validate", "broken-json", "CFG001 model/config.json:3:3", "comma")


def test_an_unknown_engine_is_refused_with_the_one_that_is_meant(
    process: Installation, upload: Upload, run_import: Run
) -> None:
    set_config(upload, model_type="ScikitLearn")
    outcome = run_import(model_name="no-engine", source_location=upload.go())
    refused(process, outcome, "validate", "no-engine", "CFG007 model/config.json:3:17 /model_type", "'Scikit_Learn'?")


def test_a_missing_model_file_is_refused(process: Installation, upload: Upload, run_import: Run) -> None:
    del upload.files["model/model.m"]
    outcome = run_import(model_name="no-weights", source_location=upload.go())
    refused(process, outcome, "validate", "no-weights", "PKG004", "one `*.m` file")


def test_all_broken_rules_are_told_at_once(process: Installation, upload: Upload, run_import: Run) -> None:
    set_config(upload, runtime="python9", model_algorithm="1<2")
    upload.files["model/second.m"] = b"x"
    outcome = run_import(model_name="many", source_location=upload.go())
    reason = refused(process, outcome, "validate", "many", "CFG009")
    assert "2 rules" in reason or "CFG008" in reason


def test_a_dependency_that_does_not_exist_is_named(either: Installation, upload: Upload, run_import: Run) -> None:
    packages = [{"package_name": "no-such-package-airlock-x", "package_version": "1.0", "restraint": "EXACT"}]
    set_config(upload, dependencies=[{"installer": "pip", "packages": packages}])
    name = f"no-dependency-{either.backend}"
    outcome = run_import(model_name=name, source_location=upload.go())
    refused(either, outcome, "build", name, "[BLD002]", "no-such-package-airlock-x")


def test_code_that_raises_on_import_is_shown_with_its_place(
    either: Installation, upload: Upload, run_import: Run
) -> None:
    upload.files["model/customize_service.py"] = f'import json\n\nLABELS = json.loads("[")\n{SERVICE}'.encode()
    name = f"import-error-{either.backend}"
    outcome = run_import(model_name=name, source_location=upload.go())
    refused(either, outcome, "smoke_cpu", name, "[SMK010]", "JSONDecodeError", "customize_service.py:3")


def test_code_that_imports_what_nobody_has_is_refused_without_running_it(
    process: Installation, upload: Upload, run_import: Run
) -> None:
    upload.files["model/customize_service.py"] = f"import there_is_no_such_module\n{SERVICE}".encode()
    outcome = run_import(model_name="import-missing", source_location=upload.go())
    refused(
        process,
        outcome,
        "validate",
        "import-missing",
        "SVC008 model/customize_service.py:1:1",
        "there_is_no_such_module",
    )


def test_code_that_raises_on_predict_is_shown_with_its_place(
    either: Installation, upload: Upload, run_import: Run
) -> None:
    upload.files["model/customize_service.py"] = SERVICE.replace("sum(row.values())", "1 // 0").encode()
    name = f"predict-error-{either.backend}"
    outcome = run_import(model_name=name, source_location=upload.go())
    refused(either, outcome, "smoke_cpu", name, "[SMK003]", "ZeroDivisionError", "customize_service.py:13")


def test_an_answer_that_breaks_its_schema_is_refused(either: Installation, upload: Upload, run_import: Run) -> None:
    text = json.loads(json.dumps(RESULTS))
    text["items"][0]["properties"]["predictresult"]["type"] = "string"
    apis = a_config()["apis"]
    apis[0]["response"]["data"] = wrapped("resp_data", text)
    set_config(upload, apis=apis)
    name = f"schema-{either.backend}"
    outcome = run_import(model_name=name, source_location=upload.go())
    refused(
        either, outcome, "smoke_cpu", name, "[SMK005]", "/data/resp_data/0/predictresult", "is not of type 'string'"
    )


def test_a_service_that_never_gets_ready_is_refused_in_time(
    either: Installation, upload: Upload, run_import: Run
) -> None:
    upload.files["model/customize_service.py"] = SERVICE.replace(
        "self.model_path = model_path", "import time; time.sleep(600)"
    ).encode()
    name = f"never-ready-{either.backend}"
    outcome = run_import(model_name=name, source_location=upload.go(), startup_timeout_s=5)
    refused(either, outcome, "smoke_cpu", name, "[SMK011]", "not ready", "startup_timeout_s")


def test_a_version_that_exists_is_refused_and_stays_as_it_is(
    process: Installation, upload: Upload, run_import: Run
) -> None:
    from airlock.domain.version import RunRef

    source = upload.go()
    assert run_import(model_name="twice", source_location=source, model_version="0.0.1").state == "success"
    before = process.wiring().registry_reader.find("twice", "0.0.1")
    outcome = run_import(model_name="twice", source_location=source, model_version="0.0.1")
    assert outcome.state == "failed"
    assert outcome.tasks["accept"] == "failed"
    assert process.wiring().registry_reader.find("twice", "0.0.1") == before
    told = process.wiring().reports.find(RunRef(dag_id="import_model", run_id=outcome.run_id)).refusal
    assert told is not None
    assert told.reason.startswith("[REG004] twice 0.0.1 exists already, with status Normal.")


def test_of_two_imports_of_one_version_at_once_exactly_one_wins(installation: Installation) -> None:
    from airlock.domain.version import RunRef
    from airlock.errors import VersionExists
    from airlock.steps.accept import accept

    def attempt(number: int) -> str:
        wiring = installation.wiring()
        conf = {"model_name": "race", "model_version": "1.0.0", "source_location": "s3://bucket/x/"}
        try:
            run = RunRef(dag_id="import_model", run_id=f"race-{number}")
            return accept(conf, run, registry=wiring.registry, clock=wiring.clock).reservation.run.run_id
        except VersionExists as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        results = sorted(pool.map(attempt, range(2)))
    assert results[0] == "REG004"
    assert results[1].startswith("race-")


def test_an_unknown_field_and_every_broken_rule_of_the_form_are_named(
    process: Installation, run_import: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    # What the form's parameters say is checked by Airflow before.
    outcome = run_import(model_name="ab", source_location="s3://x", modell_version="1", description="<b>")
    assert outcome.state == "failed"
    assert outcome.tasks["accept"] == "failed"
    printed = capsys.readouterr().out
    for part in ("REQ001 request modell_version", "'model_version'?", "REQ007 request description", "REQ008"):
        assert part in printed, part


def connection(monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    value = json.loads(os.environ["AIRFLOW_CONN_AIRLOCK_S3"])
    extra = value["extra"] if isinstance(value["extra"], dict) else json.loads(value["extra"])
    extra["config_kwargs"] = {**extra.get("config_kwargs", {}), "retries": {"max_attempts": 1}, "connect_timeout": 2}
    extra.update(changes.pop("extra", {}))
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_S3", json.dumps({**value, **changes, "extra": extra}))


def test_a_storage_that_is_away_is_named(
    process: Installation, run_import: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(monkeypatch, extra={"endpoint_url": "http://127.0.0.1:1"})
    outcome = run_import(model_name="s3-away", source_location="s3://bucket/x/", source_connection="other_s3")
    refused(process, outcome, "fetch", "s3-away", "[SRC004]", "http://127.0.0.1:1", "other_s3")


def test_wrong_credentials_are_named_and_not_shown(
    process: Installation, upload: Upload, run_import: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection(monkeypatch, password="not-the-secret")
    outcome = run_import(model_name="s3-denied", source_location=upload.go(), source_connection="other_s3")
    reason = refused(process, outcome, "fetch", "s3-denied", "[SRC003]", "other_s3")
    assert "not-the-secret" not in reason


def test_a_missing_bucket_is_named(process: Installation, run_import: Run) -> None:
    outcome = run_import(model_name="no-bucket", source_location="s3://there-is-no-such-bucket/x/")
    refused(process, outcome, "fetch", "no-bucket", "[SRC001]", "there-is-no-such-bucket")
