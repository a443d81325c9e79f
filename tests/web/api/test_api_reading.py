"""The REST API shows what a real registry holds."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.api_answers import API, ONE, is_problem
from tests.web.conftest import Site


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
