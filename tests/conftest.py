"""What all tests share: real servers for a session, and no skip that hides a gap where everything must be there."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

    from scripts.mlflow_server import MlflowServer
    from scripts.object_server import ObjectServer
    from scripts.postgres_server import PostgresServer

#: Set where every part must be there (`.ci/run`): a skip is then a failure.
REQUIRE_ALL = "AIRLOCK_REQUIRE_ALL"


#: Folders whose tests look at containers, processes and ports of the whole machine, or start everything there is: one
#: process has all of them, one after the other, while another one runs the rest file by file.
ALONE = ("backends", "compose", "dag", "distributed", "examples", "platform", "running")

ROOT = Path(__file__).resolve().parents[1]
_home = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """An Airflow home of the session's own, before anything imports Airflow, which reads its place once."""
    home = tempfile.mkdtemp(prefix="airlock-tests-")
    config.stash[_home] = home
    for name in [name for name in os.environ if name.startswith(("AIRFLOW_", "_AIRFLOW_"))]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__DAGS_FOLDER=str(ROOT / "dags"),
        AIRFLOW__CORE__PLUGINS_FOLDER=str(ROOT / "plugins"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__UNIT_TEST_MODE="False",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        # It ends with the folder.
        AIRFLOW__AIRLOCK__JUDGE_DIR=f"{home}/judge",
    )


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.stash[_home], ignore_errors=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runtimes", action="store_true", help="test every runtime of the catalogue, not only a few")
    parser.addoption("--large", action="store_true", help="with --runtimes: build those of many gigabytes, too")
    parser.addoption("--many", action="store_true", help="fetch ten thousand objects from the S3 server, too")
    parser.addoption("--kills", type=int, default=4, help="how often an importer is killed in the middle")
    parser.addoption("--compose", action="store_true", help="start the whole stack of docker-compose.yaml, too")
    parser.addoption("--mlflow", action="store_true", help="mirror into a real MLflow server, too")
    parser.addoption("--distribution", action="store_true", help="run Airflow on several workers, too")
    parser.addoption("--measure", action="store_true", help="record each runtime's figures in the catalogue's page")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left = [
        name
        for name in ("runtimes", "large", "many", "compose", "mlflow", "distribution")
        if not config.getoption(f"--{name}")
    ]
    more = [item for item in items if any(item.get_closest_marker(name) for name in left)]
    config.hook.pytest_deselected(items=more)
    items[:] = [item for item in items if item not in more]


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Say which tests stay together where several processes run them (``make test``)."""
    from xdist.scheduler import LoadScopeScheduling

    class ByFolderOrFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", 1)[0]
            return "alone" if path.split("/")[1] in ALONE else path

    return ByFolderOrFile(config, log)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    outcome: Any = yield
    report = outcome.get_result()
    if report.skipped and os.environ.get(REQUIRE_ALL) and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"skipped where {REQUIRE_ALL} is set: {reason}"


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    """A real S3 server (OpenStack Swift) on loopback."""
    from scripts.object_server import ObjectServer

    with ObjectServer(tmp_path_factory.mktemp("object-server")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL on loopback, in a folder that its own user can reach."""
    from scripts.postgres_server import PostgresServer, PostgresUnavailable, program_folder

    try:
        program_folder()
    except PostgresUnavailable as missing:
        pytest.skip(str(missing))
    folder = Path(tempfile.mkdtemp(prefix="airlock-postgres-"))
    try:
        with PostgresServer(folder) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MlflowServer]:
    """A real MLflow server on loopback."""
    from scripts.mlflow_server import MlflowServer

    with MlflowServer(tmp_path_factory.mktemp("mlflow")) as server:
        yield server


def mlflow_versions(mlflow: MlflowServer, name: str) -> dict[str, dict[str, Any]]:
    """What MLflow shows of a model: version by its tag, with the aliases that point to it."""
    import requests

    api = f"{mlflow.url}/api/2.0/mlflow"
    model = requests.get(f"{api}/registered-models/get", params={"name": name}, timeout=30).json()["registered_model"]
    found = requests.get(
        f"{api}/model-versions/search", params={"filter": f"name = '{name}'"}, timeout=30
    ).json()  # fmt: skip
    versions = {}
    for each in found.get("model_versions", ()):
        each["tags"] = {tag["key"]: tag["value"] for tag in each.get("tags", ())}
        each["aliases"] = sorted(
            alias["alias"] for alias in model.get("aliases", ()) if alias["version"] == each["version"]
        )
        versions[each["tags"]["airlock.version"]] = each
    return versions


@pytest.fixture(scope="session")
def s3_client(object_server: ObjectServer) -> Any:
    """A plain client of the S3 server, as a user's upload tool is."""
    import boto3
    from botocore.config import Config

    return boto3.client(
        "s3",
        endpoint_url=object_server.endpoint_url,
        region_name=object_server.region,
        aws_access_key_id=object_server.access_key,
        aws_secret_access_key=object_server.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


class Bucket:
    """A bucket of one test.

    Attributes:
        name: Its name.
    """

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        client.create_bucket(Bucket=name)

    def put(self, key: str, body: bytes) -> None:
        """Write one object."""
        self.client.put_object(Bucket=self.name, Key=key, Body=body)

    def put_folder(self, prefix: str, folder: Path) -> None:
        """Upload a folder's files below a prefix."""
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())

    def delete(self, key: str) -> None:
        """Delete one object."""
        self.client.delete_object(Bucket=self.name, Key=key)


@pytest.fixture
def bucket(s3_client: Any, request: pytest.FixtureRequest) -> Bucket:
    """A fresh bucket."""
    import uuid

    return Bucket(s3_client, f"test-{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a registry without versions; making its schema takes longer than most tests."""
    from airlock.adapters.registry_schema import open_engine, upgrade

    path = tmp_path_factory.mktemp("registry") / "empty.db"
    engine = open_engine(f"sqlite:///{path}")
    upgrade(engine)
    # The last connection to close writes everything into the one file.
    engine.dispose()
    return path
