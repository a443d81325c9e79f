"""The REST API starts imports, checks, tests and rebuilds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.web.api.api_answers import API, ONE, is_problem
from tests.web.api.api_fakes import Adapters, Runs
from tests.web.conftest import Site


def test_an_import_is_started_in_the_name_of_who_asks(site: Site, runs: Runs) -> None:
    form = {"model_name": "iris", "source_location": "s3://models/iris/"}
    answer = site.ask("POST", f"{API}/imports", json=form, headers={"Authorization": "Bearer word"})
    assert answer.status_code == 202
    assert answer.json() == {
        "dag_id": "import_model",
        "run_id": "manual__2026-01-01T00:00:00+00:00",
        "href": "/dags/import_model/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00",
        "state": "queued",
    }
    ((conf, credentials),) = runs.asked
    assert (conf, credentials["authorization"]) == (form, "Bearer word")


def test_a_field_that_is_not_given_is_not_handed_on(site: Site, runs: Runs) -> None:
    form = {"model_name": " iris", "source_location": "s3://models/iris/", "labels": None, "min_cpu": "", "min_gpu": 0}
    assert site.ask("POST", f"{API}/imports", json=form).status_code == 202
    ((conf, _),) = runs.asked
    assert conf == {"model_name": "iris", "source_location": "s3://models/iris/", "min_gpu": 0}


def test_a_broken_form_is_told_at_once_and_starts_nothing(site: Site, runs: Runs) -> None:
    told = is_problem(site.ask("POST", f"{API}/imports", json={"model_name": "a b", "colour": 1}), 422, "REQ001")
    assert [finding["code"] for finding in told["findings"]] == ["REQ001", "REQ002", "REQ004"]
    assert runs.asked == []


def test_a_version_that_exists_is_told_at_once_and_one_that_is_rebuilt_must(
    site: Site, imported_iris: Any, runs: Runs
) -> None:
    form = {"model_name": "iris", "source_location": "s3://models/iris/", "model_version": "0.0.1"}
    told = is_problem(site.ask("POST", f"{API}/imports", json=form), 409, "REG004")
    assert "The next free version is 0.0.2" in told["remedy"]
    site.ask("DELETE", ONE)
    is_problem(site.ask("POST", f"{API}/imports", json=form), 409, "REG004")
    assert runs.asked == []
    assert site.ask("POST", f"{API}/imports", json={**form, "model_version": "0.0.2"}).status_code == 202
    assert site.ask("POST", f"{API}/imports", json={**form, "dependencies": [], "rebuild": True}).status_code == 202


def test_what_airflow_refuses_is_a_problem(site: Site, imported_iris: Any) -> None:
    from airlock.errors import FormRefused, RunRefused
    from airlock.web import wired

    site.put(wired.runs, Runs(RunRefused("RUN002", "Airflow does not start a run (HTTP 404): gone", "Look.")))
    form = {"model_name": "iris", "source_location": "s3://models/iris/"}
    is_problem(site.ask("POST", f"{API}/imports", json=form), 409, "RUN002")
    site.put(wired.runs, Runs(FormRefused("RUN003", "Airflow does not take the form: no.", "Correct it.")))
    is_problem(site.ask("POST", f"{API}/imports", json=form), 422, "RUN003")


def test_a_version_is_tested_again_when_it_is_asked_for(
    site: Site, imported_iris: Any, runs: Runs, reserve: Callable[..., Any]
) -> None:
    answer = site.ask("POST", f"{ONE}/revalidation")
    assert (answer.status_code, answer.json()["dag_id"]) == (202, "revalidate_models")
    ((conf, _),) = runs.asked
    assert conf == {"model_name": "iris", "model_version": "0.0.1"}
    reserve("run-2")
    is_problem(site.ask("POST", f"{API}/models/iris/versions/0.0.2/revalidation"), 409, "REG009")
    is_problem(site.ask("POST", f"{API}/models/iris/versions/0.0.9/revalidation"), 404, "REG008")
    assert len(runs.asked) == 1


def test_other_dependencies_start_a_rebuild(site: Site, imported_iris: Any, runs: Runs) -> None:
    packages = [{"installer": "pip", "packages": [{"package_name": "itsdangerous"}]}]
    assert site.ask("PUT", f"{ONE}/dependencies", json={"dependencies": packages}).status_code == 202
    ((conf, _),) = runs.asked
    assert conf == {
        "model_name": "iris", "model_version": "0.0.1", "source_location": "s3://models/iris/",
        "dependencies": packages, "rebuild": True,
    }  # fmt: skip
    bad = [{"installer": "conda", "packages": []}]
    is_problem(site.ask("PUT", f"{ONE}/dependencies", json={"dependencies": bad}), 422, "DEP003")
    site.ask("DELETE", ONE)
    is_problem(site.ask("PUT", f"{ONE}/dependencies", json={"dependencies": packages}), 404, "REG008")


def test_a_connection_that_is_not_there_is_no_answer_of_the_storage(site: Site) -> None:
    from airlock.errors import SourceRefused
    from airlock.web import wired

    class WithoutConnection(Adapters):
        def storage(self, scheme: Any, connection_id: str) -> Any:
            raise SourceRefused("SRC005", f"There is no Airflow Connection {connection_id!r}.", "Create it.")

    site.put(wired.wiring, WithoutConnection({}))
    told = is_problem(site.ask("POST", f"{API}/checks", json={"source_location": "s3://models/iris/"}), 422, "SRC005")
    assert told["title"].startswith("The source cannot be had")


def test_a_source_is_checked_without_an_import(site: Site) -> None:
    from airlock.web import wired
    from tests.unit.given import iris_files

    files = {f"iris/{path}": data for path, data in iris_files().items()}
    site.put(wired.wiring, Adapters({**files, "bad/model/config.json": b"{"}))
    good = site.ask("POST", f"{API}/checks", json={"source_location": "s3://models/iris/"}).json()
    assert (good["passed"], good["model_type"], good["refusal"]) == (True, "Scikit_Learn", None)
    assert good["file_count"] == len(files)
    bad = site.ask("POST", f"{API}/checks", json={"source_location": "s3://models/bad/"}).json()
    assert (bad["passed"], bad["findings"][0]["code"]) == (False, "CFG001")
    is_problem(site.ask("POST", f"{API}/checks", json={"source_location": "nowhere"}), 422, "REQ008")
    is_problem(site.ask("POST", f"{API}/checks", json={"source_location": "s3://none/x/"}), 422, "SRC001")
    assert site.get(f"{API}/versions").json()["total_count"] == 0
