"""docker-compose.yaml, started for real: one import by REST to Normal, and what each part may see and do."""

from __future__ import annotations

import base64
import json
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from scripts.airflow_api import ApiError
from tests.compose.stack import Stack, compose_answers, stack_user
from tests.dag.conftest import SERVICE, a_config

pytestmark = [pytest.mark.compose, pytest.mark.timeout(3600)]
DAG_ID = "import_model"
PACKAGE = {
    "model/config.json": json.dumps(a_config()).encode(),
    "model/customize_service.py": SERVICE.encode(),
    # A pickle of None.
    "model/model.m": b"\x80\x02N.",
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    if not compose_answers():
        pytest.skip("Docker Compose v2 is not there (scripts/get-compose)")
    made = Stack(tmp_path_factory.mktemp("stack"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="module")
def imported(stack: Stack) -> dict[str, Any]:
    """The tasks and the record of one import."""
    client = stack.s3_client()
    for path, body in PACKAGE.items():
        client.put_object(Bucket="models", Key=f"small/{path}", Body=body)
    api = stack.api()
    api.wait_for_dag(DAG_ID, 180)
    run_id = api.trigger(DAG_ID, {"model_name": "small", "source_location": "s3://models/small/"})
    api.wait_for_run(DAG_ID, run_id, 1200)
    tasks = {task["task_id"]: task for task in api.task_instances(DAG_ID, run_id)}
    failed = {name for name, task in tasks.items() if task["state"] == "failed"}
    logs = {name: api.log_lines(DAG_ID, run_id, name, tasks[name]["try_number"])[-20:] for name in failed}
    assert not failed, logs
    return {"tasks": tasks, "record": api.xcom(DAG_ID, run_id, "register"), "run_id": run_id}


def test_a_package_goes_from_the_bucket_to_normal(imported: dict[str, Any]) -> None:
    record = imported["record"]
    assert (record["status"], record["backend"], record["isolation"]) == ("Normal", "docker", "container")
    assert record["devices"] == {"cpu": "passed", "gpu": "not served", "ascend": "not served"}
    assert imported["tasks"]["smoke_cpu"]["queue"] == "cpu"
    assert imported["tasks"]["smoke_gpu"]["state"] == "skipped"


def test_the_package_lies_where_worker_and_engine_see_it_under_one_path(stack: Stack, imported: dict[str, Any]) -> None:
    digest = imported["record"]["package_digest"].removeprefix("sha256:")
    found = [path for path in (stack.data / "store").rglob("config.json") if digest in str(path)]
    assert len(found) == 1
    assert found[0].stat().st_uid == stack_user()
    assert not list((stack.data / "work" / "runs").glob("*/*")), "nothing of the run is left"


def test_the_pages_ask_for_a_sign_in_and_show_the_version(stack: Stack, imported: dict[str, Any]) -> None:
    assert _ask(f"{stack.url}/airlock/")[0] == 401
    api = stack.api()
    api.health()
    for path in ("models/small/0.0.1", f"reports/{DAG_ID}/{quote(imported['run_id'])}"):
        status, page = _ask(f"{stack.url}/airlock/{path}", Authorization=f"Bearer {api._token}")
        assert status == 200, path
        assert "s3://models/small/" in page, path


def test_a_wrong_password_is_refused(stack: Stack) -> None:
    from scripts.airflow_api import AirflowApi

    with pytest.raises(ApiError) as refused:
        AirflowApi(stack.url, "admin", "admin").health()
    assert refused.value.status == 401


def test_the_registry_takes_its_own_password_only(stack: Stack) -> None:
    url = f"http://{stack.registry}/v2/"
    assert _ask(url)[0] == 401
    known = base64.b64encode(f"airlock:{stack.secret('registry_password')}".encode()).decode()
    assert _ask(url, Authorization=f"Basic {known}")[0] == 200


def test_the_image_is_in_the_registry_by_the_digest_that_the_record_names(
    stack: Stack, imported: dict[str, Any]
) -> None:
    repository, _, digest = imported["record"]["image"].partition("@")
    assert repository.startswith(f"{stack.registry}/airlock/"), imported["record"]
    known = base64.b64encode(f"airlock:{stack.secret('registry_password')}".encode()).decode()
    url = f"http://{stack.registry}/v2/{repository.partition('/')[2]}/manifests/{digest}"
    accepted = "application/vnd.docker.distribution.manifest.v2+json"
    assert _ask(url, Authorization=f"Basic {known}", Accept=accepted)[0] == 200


@pytest.mark.parametrize(
    "call",
    [
        "client.volumes.create('any')",
        "client.networks.list()",
        "client.api.exec_create('any', 'id')",
        "client.swarm.init()",
        "client.api.get_archive('any', '/etc/shadow')",
        "list(client.api.export('any'))",
        "client.api.rename('any', 'other')",
        "client.images.prune()",
        "client.containers.prune()",
    ],
)
def test_the_proxy_refuses_what_airlock_never_asks(stack: Stack, call: str) -> None:
    code = f"""
import docker
client = docker.from_env()
try:
    {call}
except docker.errors.APIError as error:
    print(error.status_code, error.explanation)
"""
    said = stack.python_in("worker-cpu", code)
    assert said.startswith("403 the stack allows no such call"), said


def test_only_workers_reach_the_proxy(stack: Stack) -> None:
    code = "import os; print(os.path.exists('/run/docker-proxy/docker.sock'), os.path.exists('/var/run/docker.sock'))"
    assert stack.python_in("worker-cpu", code).split() == ["True", "False"]
    assert stack.python_in("api-server", code).split() == ["False", "False"]


def test_workers_have_no_secret_of_airflows_own(stack: Stack) -> None:
    code = "import os; print(*sorted(os.listdir('/run/secrets')))"
    assert stack.python_in("worker-cpu", code).split() == ["broker_url", "build_ca", "pgpass_worker"]
    code = """
import psycopg
try:
    psycopg.connect("host=postgres user=airlock dbname=airflow")
except psycopg.OperationalError as error:
    print(error)
"""
    assert "permission denied" in stack.python_in("worker-cpu", code)


def test_no_secret_shows_in_a_container_or_an_image(stack: Stack) -> None:
    names = [one["Name"] for one in stack.containers()]
    texts = [_docker("inspect", *names)]
    for image in ("airlock-test/airlock", "airlock-test/object-server"):
        texts += [_docker("history", "--no-trunc", image), _docker("image", "inspect", image)]
        kept = _docker("run", "--rm", "--network=none", image, "sh", "-c", "ls /run/secrets /etc/pip.conf 2>&1; env")
        assert "BEGIN CERTIFICATE" not in kept
        assert "cannot access '/run/secrets'" in kept or "build_ca" not in kept
        assert "PIP_" not in kept
    for path in (stack.folder / "secrets").glob("*_password"):
        assert path.read_text(encoding="utf-8") not in "".join(texts), path.name
    for name in ("fernet_key", "jwt_secret", "api_secret_key"):
        assert stack.secret(name) not in "".join(texts), name


def test_nothing_of_ours_runs_as_root_or_can_become_it(stack: Stack) -> None:
    for service in ("api-server", "scheduler", "worker-cpu", "object-storage"):
        status = stack.python_in(service, "print(open('/proc/self/status').read())")
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == [str(stack_user())] * 4, service
        assert (int(fields["CapBnd"], 16), fields["NoNewPrivs"].strip()) == (0, "1"), service


def test_a_second_start_keeps_what_is_there(stack: Stack, imported: dict[str, Any]) -> None:
    stack.compose("down", "--timeout", "30", timeout_s=300)
    stack.compose("up", "--detach", timeout_s=900)
    stack.wait_until_healthy(600)
    api = stack.api()
    assert api.run_of(DAG_ID, imported["run_id"])["state"] == "success"
    assert stack.s3_client().list_objects_v2(Bucket="models")["KeyCount"] == len(PACKAGE)


def _ask(url: str, **headers: str) -> tuple[int, str]:
    """Status and text of an answer."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _docker(*arguments: str) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr
