"""The REST API, in process, on a real registry."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.web.conftest import Site, without_own_script

API = "/api/v1"
ONE = f"{API}/models/iris/versions/0.0.1"
PROBLEM = "application/problem+json"


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    told: dict[str, Any] = answer.json()
    assert (told["status"], told["code"], told["type"]) == (status, code, f"urn:airlock:problem:{code}")
    assert told["title"]
    assert told["detail"]
    return told


class Runs:
    """Starts nothing, and remembers what was asked for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.error = error

    async def start(self, dag_id: str, conf: Any, credentials: Any) -> Any:
        from airlock.domain.version import RunRef

        self.asked.append((dict(conf), dict(credentials)))
        if self.error:
            raise self.error
        return RunRef(dag_id=dag_id, run_id="manual__2026-01-01T00:00:00+00:00")


@pytest.fixture
def runs(site: Site) -> Runs:
    from airlock.web import wired

    made = Runs()
    site.put(wired.runs, made)
    return made


# ── who may ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def routes(app: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Method and path of everything that an application answers."""
    for route in app.routes:
        if hasattr(route, "app") and hasattr(route.app, "routes"):
            yield from routes(route.app, prefix + route.path)
        else:
            for method in sorted(route.methods):
                yield method, prefix + route.path


def test_nobody_who_is_not_signed_in_gets_anything() -> None:
    import asyncio

    from airlock.web.app import create_app

    app = create_app()
    known = list(routes(app))
    assert ("GET", "/api/v1/openapi.json") in known
    assert ("DELETE", "/api/v1/models/{model_name}/versions/{model_version}") in known

    async def go() -> dict[str, int]:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://airlock") as client:
            found = {}
            for method, path in known:
                for value in ("0.0.1", "%00"):
                    url = re.sub(r"\{[^}]*\}", value, path)
                    found[f"{method} {url}"] = (await client.request(method, url)).status_code
            return found

    statuses = asyncio.run(go())
    assert {told for told, status in statuses.items() if status != 401} == set()
    assert len(statuses) > 40


def test_who_may_only_read_changes_nothing(site: Site, imported_iris: Any, runs: Runs) -> None:
    from fastapi import HTTPException

    from airlock.web.access import may_change

    def refuse() -> None:
        raise HTTPException(403, "Forbidden")

    for overrides in site.overrides:
        overrides[may_change.dependency] = refuse
    changing = [
        (method, path.replace("{model_name}", "iris").replace("{model_version}", "0.0.1").replace("{alias}", "best"))
        for method, path in routes(site.app)
        if method not in ("GET", "HEAD") and path.startswith(API)
    ]
    assert len(changing) >= 8
    for method, path in changing:
        is_problem(site.ask(method, path, json={}), 403, "WEB003")
    assert site.get(ONE).json()["model_status"] == "Normal"
    assert runs.asked == []


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def imported_iris(site: Site) -> Any:
    return site.line().import_model(
        labels=["garden", "a"],
        description="Flowers",
        min_cpu=2,
        model_docs=[{"doc_name": "Card", "doc_url": "https://example.com/card"}],
        install_type=["real-time", "batch"],
    )


def test_a_version_has_the_originals_names(site: Site, imported_iris: Any) -> None:
    found = site.get(ONE).json()
    assert found["model_id"] == "iris/0.0.1"
    assert (found["model_name"], found["model_version"], found["model_status"]) == ("iris", "0.0.1", "Normal")
    assert (found["model_type"], found["runtime"]) == ("Scikit_Learn", "sklearn1.9-python3.11")
    assert found["model_size"] == imported_iris.package.size_bytes
    assert (found["labels"], found["description"]) == (["a", "garden"], "Flowers")
    assert found["model_docs"] == [{"doc_name": "Card", "doc_url": "https://example.com/card"}]
    assert found["install_type"] == ["batch", "real-time"]
    assert found["source_location"] == "s3://models/iris/"
    assert found["package_digest"] == f"sha256:{imported_iris.package.digest}"
    assert found["image_digest"] == imported_iris.image.digest
    assert found["devices"] == {"cpu": "passed", "gpu": "not served", "ascend": "not served"}
    assert found["specification"] == {"min_cpu": 2.0, "min_memory_mb": None, "min_gpu": 0, "min_ascend": 0}
    assert found["model_algorithm"] == imported_iris.validated.config.model_algorithm
    assert [api["url"] for api in found["apis"]] == ["/"]
    assert found["parameters"][0]["inputs"]
    assert found["run"]["href"] == "/dags/import_model/runs/manual__1"


def test_models_are_listed_folded_and_versions_flat(site: Site) -> None:
    line = site.line()
    for number in range(3):
        line.import_model(run=run_named(f"r{number}"))
    line.import_model(run=run_named("other"), model_name="sums", labels=["odd"])
    models = site.get(f"{API}/models").json()
    assert (models["total_count"], models["count"], models["total_is_exact"]) == (2, 2, True)
    assert [(each["model_name"], each["version_count"]) for each in models["models"]] == [("sums", 1), ("iris", 3)]
    assert [each["model_version"] for each in models["models"][1]["versions"]] == ["0.0.3", "0.0.2", "0.0.1"]
    page = site.get(f"{API}/versions?limit=2&offset=1").json()
    assert (page["total_count"], page["count"]) == (4, 2)
    assert [each["model_id"] for each in page["models"]] == ["iris/0.0.3", "iris/0.0.2"]
    for query, expected in {
        "model_name=su": ["sums/0.0.1"],
        "label=odd": ["sums/0.0.1"],
        "text=ODD": ["sums/0.0.1"],
        "model_type=PyTorch": [],
        "model_status=Failed": [],
        "device=gpu": [],
        "device=cpu&model_type=Scikit_Learn&model_status=Normal&install_type=real-time&stage=None&label=odd": [
            "sums/0.0.1"
        ],
    }.items():
        assert [each["model_id"] for each in site.get(f"{API}/versions?{query}").json()["models"]] == expected, query
    assert site.get(f"{API}/models?label=odd").json()["models"][0]["model_name"] == "sums"
    assert site.get(f"{API}/models/iris").json()["version_count"] == 3
    assert site.get(f"{API}/models/iris/versions").json()["total_count"] == 3
    assert site.get(f"{API}/facets").json() == {
        "model_type": {"Scikit_Learn": 4}, "labels": {"odd": 1}, "model_status": {"Normal": 4},
    }  # fmt: skip


def run_named(name: str) -> Any:
    from airlock.domain.version import RunRef

    return RunRef(dag_id="import_model", run_id=name)


def test_history_reports_golden_pairs_and_health_are_shown(site: Site, imported_iris: Any) -> None:
    events = site.get(f"{ONE}/events").json()["events"]
    assert events[-1]["event_info"] == "Model imported."
    assert {event["event_type"] for event in events} == {"Normal"}
    assert site.get(f"{ONE}/events?after={events[-2]['id']}").json()["events"] == events[-1:]
    reports = site.get(f"{ONE}/reports").json()["reports"]
    assert (reports[0]["device"], reports[0]["verdict"]) == ("cpu", "passed")
    golden = site.get(f"{ONE}/golden").json()["golden"]
    assert list(golden) == ["cpu"]
    assert golden["cpu"][0]["body"]
    (point,) = site.get(f"{ONE}/health").json()["points"]
    assert (point["device"], point["verdict"]) == ("cpu", "passed")
    (entry,) = site.get(f"{API}/audit?model_name=iris").json()["entries"]
    assert entry["action"] == "import"


def test_two_versions_are_compared(site: Site) -> None:
    line = site.line()
    line.import_model(run=run_named("r1"), description="One")
    line.import_model(run=run_named("r2"), description="Two", min_cpu=4)
    told = site.get(f"{API}/models/iris/compare?left=0.0.1&right=0.0.2").json()
    found = {each["field"]: (each["left"], each["right"]) for each in told["differences"]}
    assert found["description"] == ("One", "Two")
    assert found["specification/min_cpu"] == (None, 4.0)
    assert "package_digest" not in found
    assert (told["left"]["model_version"], told["right"]["model_version"]) == ("0.0.1", "0.0.2")
    is_problem(site.get(f"{API}/models/iris/compare?left=0.0.1&right=9.9.9"), 404, "REG008")


@pytest.mark.parametrize(
    "path",
    ["/models/nobody", "/models/iris/versions/9.9.9", "/models/iris/versions/9.9.9/events",
     "/models/iris/versions/9.9.9/reports", "/models/iris/versions/9.9.9/health", "/models/iris/versions/9.9.9/golden"],
)  # fmt: skip
def test_what_is_not_there_is_a_problem_with_its_code(site: Site, path: str) -> None:
    is_problem(site.get(API + path), 404, "REG008")


@pytest.mark.parametrize(
    "path,field",
    [
        ("/versions?limit=0", "query/limit"),
        ("/versions?limit=201", "query/limit"),
        ("/versions?offset=-1", "query/offset"),
        ("/versions?model_status=Good", "query/model_status"),
        ("/versions?device=tpu", "query/device"),
        ("/versions?text=%00", "query/text"),
        ("/models/a%20b", "path/model_name"),
        ("/models/iris/versions/1.0", "path/model_version"),
    ],
)
def test_what_breaks_its_form_names_the_field(site: Site, path: str, field: str) -> None:
    told = is_problem(site.get(API + path), 422, "WEB001")
    assert [finding["field"] for finding in told["findings"]] == [field]


def test_a_registry_that_is_away_is_a_problem_too(site: Site) -> None:
    from airlock.adapters.clock import SystemClock
    from airlock.adapters.registry_reads import SqlRegistryReader
    from airlock.adapters.registry_schema import open_engine

    site.show(SqlRegistryReader(open_engine("postgresql+psycopg://u:secret@127.0.0.1:1/x"), SystemClock()))
    assert "secret" not in str(is_problem(site.get(f"{API}/models"), 503, "REG001"))


def test_a_defect_is_told_without_what_it_is(site: Site) -> None:
    site.show(object())
    told = is_problem(site.get(f"{API}/models"), 500, "WEB006")
    assert "object" not in told["detail"]


# ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_description_and_labels_are_changed_by_name(site: Site, imported_iris: Any) -> None:
    answer = site.ask("PATCH", ONE, json={"description": "New", "labels": ["b"]})
    assert (answer.json()["description"], answer.json()["labels"]) == ("New", ["b"])
    assert site.ask("PATCH", ONE, json={"labels": []}).json()["description"] == "New"
    last = site.get(f"{ONE}/events").json()["events"][-1]
    assert (last["event_info"], last["actor"]) == ("Labels updated by ada.", "ada")


def test_a_change_keeps_the_rules_of_the_form(site: Site, imported_iris: Any) -> None:
    told = is_problem(site.ask("PATCH", ONE, json={"description": "<b>", "labels": list("abcdef")}), 422, "REQ006")
    assert {finding["code"] for finding in told["findings"]} == {"REQ006", "REQ007"}
    is_problem(site.ask("PATCH", ONE, json={"engine": "PyTorch"}), 422, "WEB001")
    assert site.get(ONE).json()["description"] == "Flowers"


def test_a_version_is_deleted_for_good(site: Site, imported_iris: Any) -> None:
    assert site.ask("DELETE", ONE).status_code == 204
    assert site.get(ONE).json()["model_status"] == "Deleted"
    is_problem(site.ask("DELETE", ONE), 404, "REG008")
    assert site.get(f"{API}/versions").json()["total_count"] == 0


def test_aliases_and_stages_are_set_and_shown(site: Site, imported_iris: Any) -> None:
    alias = f"{API}/models/iris/aliases/champion"
    is_problem(site.get(alias), 404, "REG011")
    assert site.ask("PUT", alias, json={"model_version": "0.0.1"}).json()["set_by"] == "ada"
    assert site.get(alias).json()["model_version"] == "0.0.1"
    assert site.get(f"{API}/models/iris").json()["aliases"] == {"champion": "0.0.1"}
    is_problem(site.ask("PUT", alias, json={"model_version": "9.9.9"}), 404, "REG008")
    assert site.ask("DELETE", alias).status_code == 204
    assert site.ask("PUT", f"{ONE}/stage", json={"stage": "Production"}).json()["stage"] == "Production"
    is_problem(site.ask("PUT", f"{ONE}/stage", json={"stage": "Live"}), 422, "WEB001")


# ── imports, checks, rebuilds ────────────────────────────────────────────────────────────────────────────────────────


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


class Adapters:
    """What a check needs of an installation, with a storage in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        from airlock.domain.package import FetchLimits
        from tests.fakes.object_storage import FakeStorage
        from tests.unit.given import CATALOGUE, config_schema

        self._storage = FakeStorage({"models": files})
        self.catalogue, self.config_schema = CATALOGUE, config_schema()
        self.fetch_limits = FetchLimits(max_package_bytes=1_000_000, max_objects=50)

    def storage(self, scheme: Any, connection_id: str) -> Any:
        return self._storage


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


# ── deployment ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_normal_version_is_handed_over_as_a_manifest(site: Site, imported_iris: Any) -> None:
    import yaml

    from airlock.web import wired

    site.put(wired.packages, Packages())
    command = site.get(f"{ONE}/deployment?type=docker")
    assert command.headers["content-type"] == "text/x-shellscript; charset=utf-8"
    assert command.text.startswith("#!/bin/sh\ndocker stop iris-0-0-1 ")
    assert "\nexec docker run " in command.text
    assert f"source=/store/{imported_iris.package.digest}" in command.text
    pinned = "registry.example.com/iris@sha256:" + "a" * 64
    manifest = site.get(f"{ONE}/deployment?type=kubernetes&image={pinned}")
    assert manifest.headers["content-type"] == "application/yaml"
    assert [each["kind"] for each in yaml.safe_load_all(manifest.text)] == ["Deployment", "Service"]
    is_problem(site.get(f"{ONE}/deployment?type=kubernetes"), 409, "HND005")
    is_problem(site.get(f"{ONE}/deployment?type=docker&device=gpu"), 409, "HND003")
    is_problem(site.get(f"{ONE}/deployment?type=swarm"), 422, "WEB001")
    site.ask("DELETE", ONE)
    is_problem(site.get(f"{ONE}/deployment?type=docker"), 409, "HND001")


class Packages:
    def folder(self, digest: str) -> str:
        return f"/store/{digest}"


# ── its description ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_description_is_readable_without_the_internet(site: Site) -> None:
    described = site.get(f"{API}/openapi.json").json()
    assert "/models/{model_name}/versions/{model_version}" in described["paths"]
    assert "Problem" in described["components"]["schemas"]
    page = site.get(f"{API}/docs").text
    assert "PATCH /airlock/api/v1/models/{model_name}/versions/{model_version}" in page
    assert re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page) == []
    assert "<script" not in without_own_script(page)


def test_the_description_has_every_field_of_the_import_form(site: Site) -> None:
    import jsonschema

    from airlock.domain.request_form import FIELDS

    described = site.get(f"{API}/openapi.json").json()
    body = described["paths"]["/imports"]["post"]["requestBody"]
    assert (body["required"], body["content"]["application/json"]["schema"]) == (
        True, {"$ref": "#/components/schemas/ImportForm"},
    )  # fmt: skip
    form = described["components"]["schemas"]["ImportForm"]
    assert set(form["properties"]) == set(FIELDS)
    assert (form["required"], form["additionalProperties"]) == (["model_name", "source_location"], False)
    assert form["properties"]["labels"]["default"] == []
    assert all(field["description"] and field["title"] for field in form["properties"].values())
    takes = jsonschema.Draft202012Validator(form)
    least = {"model_name": "语_iris-1", "source_location": "s3://models/iris/"}
    assert takes.is_valid({**least, "labels": None, "install_type": ["edge"], "model_version": None})
    for broken in ({"model_name": "a b"}, {"colour": 1}, {"labels": "a"}, {"min_cpu": 0}, {"install_type": ["cloud"]}):
        assert not takes.is_valid({**least, **broken}), broken


def test_every_route_that_changes_asks_for_more_than_reading() -> None:
    from airlock.web.access import may_change
    from airlock.web.api.app import create_api

    checked = 0
    for route in create_api().routes:
        methods: set[str] = getattr(route, "methods", set())
        if methods - {"GET", "HEAD"}:
            dependencies: Callable[..., Any] = [each.dependency for each in route.dependencies]  # type: ignore[attr-defined, assignment]
            assert may_change.dependency in dependencies, route
            checked += 1
    assert checked >= 8
