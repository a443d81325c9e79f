"""A refused import in a running Airflow: its task links to the report, and the report is there."""

from __future__ import annotations

import json

from tests.conftest import Bucket
from tests.dag.conftest import a_config
from tests.running.conftest import DAG_ID, Running
from tests.running.test_pages_in_airflow import ask


def test_the_task_that_refused_a_package_links_to_its_report(running: Running, bucket: Bucket) -> None:
    bucket.put("hostile/model/config.json", json.dumps(a_config()).encode())
    bucket.put("hostile/model/model.m", b"cposix\nsystem\n(S'id'\ntR.")
    conf = {"model_name": "hostile", "source_location": f"s3://{bucket.name}/hostile/"}
    run_id = running.api.trigger(DAG_ID, conf, "hostile+1")
    tasks = running.wait(run_id, 300)
    assert tasks["validate"]["state"] == "failed"

    path = f"/api/v2/dags/{DAG_ID}/dagRuns/hostile%2B1/taskInstances/validate/links"
    links = running.api.request("GET", path)["extra_links"]
    inside = "/plugin/airlock-models"
    assert links == {
        "Model": f"{inside}/airlock/runs/{DAG_ID}/hostile%2B1",
        "Validation report": f"{inside}/airlock/reports/{DAG_ID}/hostile%2B1",
    }
    address = links["Validation report"].removeprefix(inside)
    status, page = ask(running, address, running.api._token)
    assert status == 200
    assert "<code>MDL001</code>" in page
    assert "posix.system" in page
    # Great Expectations itself was at work, in the run's last task.
    assert "inventory, judged in close" in page
    assert '<td class="text">No rule is broken in any file.</td><td>error</td><td>not met</td>' in page
    status, text = ask(running, address + "/report.json", running.api._token)
    assert [file["path"] for file in json.loads(text)["package"]["files"]] == ["model/config.json", "model/model.m"]
