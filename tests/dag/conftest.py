"""A whole installation for the tests: Airflow's database, registry, store, a real S3 server and both backends."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import ROOT, Bucket

if TYPE_CHECKING:
    from airlock.adapters.wiring import Wiring
    from tests.dag.runtime_matrix import Workshop

SWEEP_DAG_ID = "revalidate_models"
SKLEARN_RUNTIME = "sklearn1.9-python3.11"


@dataclass
class Installation:
    """What the tests of one session run in.

    Attributes:
        home: AIRFLOW_HOME; store, registry and work folders lie in it.
        backend: `docker` or `process`.
    """

    home: Path
    backend: str

    def wiring(self) -> Wiring:
        from airlock.adapters.settings import from_environment
        from airlock.adapters.wiring import Wiring

        return Wiring(from_environment())


@dataclass
class Outcome:
    """How a run ended.

    Attributes:
        state: The DAG run's state.
        tasks: Task → state; those of a mapped group with their index, as `batch.check[0]`.
        record: What `register` gave.
        run_id: The run.
    """

    state: str
    tasks: dict[str, str]
    record: dict[str, Any] | None
    run_id: str
    xcom: dict[str, Any] = field(default_factory=dict)


def docker_answers() -> bool:
    from airlock.adapters.docker_backend import docker_answers as answers

    return answers()


@pytest.fixture(scope="package")
def installation(object_server: Any) -> Iterator[Installation]:
    """Everything but a scheduler: `dag.test()` runs the tasks in this process."""
    home = Path(os.environ["AIRFLOW_HOME"])
    before = dict(os.environ)
    os.environ.update(
        AIRFLOW__AIRLOCK__STORE=str(home / "store"),
        AIRFLOW__AIRLOCK__REGISTRY_URL=f"sqlite:///{home / 'registry.db'}",
        AIRFLOW__AIRLOCK__WORK_DIR=str(home / "work"),
        # Environments are named by their inputs, so runs may share them.
        AIRFLOW__AIRLOCK__RUNTIMES_DIR=str(ROOT / ".airlock" / "runtimes"),
        AIRFLOW_CONN_AIRLOCK_S3=object_server.airflow_connection_json(),
    )
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True, env=os.environ)
    subprocess.run([sys.executable, "-m", "airlock", "registry", "upgrade"], check=True, env=path_env())
    try:
        yield Installation(home=home, backend="")
    finally:
        os.environ.clear()
        os.environ.update(before)


def path_env() -> dict[str, str]:
    """The environment of a child process that imports the project."""
    return {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}"}


def use_backend(installation: Installation, kind: str, monkeypatch: pytest.MonkeyPatch) -> Installation:
    if kind == "docker" and not docker_answers():
        pytest.skip("no container engine answers")
    monkeypatch.setenv("AIRFLOW__AIRLOCK__BACKEND", kind)
    installation.backend = kind
    return installation


@pytest.fixture(params=["docker", "process"])
def either(request: pytest.FixtureRequest, installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation with each backend in turn."""
    return use_backend(installation, request.param, monkeypatch)


@pytest.fixture
def docker(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation with the container backend."""
    return use_backend(installation, "docker", monkeypatch)


@pytest.fixture
def process(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation with the process backend."""
    return use_backend(installation, "process", monkeypatch)


@pytest.fixture
def workshop(docker: Installation, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Workshop]:
    """A workshop whose images are removed at the end, but those that every run wants."""
    from tests.dag.runtime_matrix import Workshop

    made = Workshop(docker, tmp_path, measure=request.config.getoption("--measure"))
    try:
        yield made
    finally:
        made.clear()


def load_dag(dag_id: str = "import_model") -> Any:
    """The DAG, without retries: `dag.test()` waits for their delays."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    dag = bag.dags[dag_id]
    for task in dag.tasks:
        task.retries = 0
    return dag


def run_dag(dag_id: str, result: str, conf: dict[str, Any]) -> Outcome:
    """Run a whole DAG with `dag.test()`.

    Args:
        dag_id: Its id.
        result: The task that gives the run's record.
        conf: The run's form.
    """
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    dag_run = load_dag(dag_id).test(run_conf=conf)
    with create_session() as session:
        tasks = {
            ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else ""): str(ti.state)
            for ti in dag_run.get_task_instances(session=session)
        }
        rows = session.query(XComModel).filter_by(dag_id=dag_id, run_id=dag_run.run_id, key="return_value")
        xcom = {row.task_id: XComModel.deserialize_value(row) for row in rows}
    return Outcome(state=str(dag_run.state), tasks=tasks, record=xcom.get(result), run_id=dag_run.run_id, xcom=xcom)


@pytest.fixture
def run_import(installation: Installation) -> Callable[..., Outcome]:
    """Runs an import."""
    return lambda **conf: run_dag("import_model", "register", conf)


@pytest.fixture
def run_sweep(installation: Installation) -> Callable[..., Outcome]:
    """Runs a sweep."""
    return lambda **conf: run_dag(SWEEP_DAG_ID, "report", conf)


@pytest.fixture(scope="session")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes an example package: engine → its folder, which contains `model/`."""
    out = ROOT / ".airlock" / "examples" / "packages"
    made: dict[str, Path] = {}

    def make(engine: str) -> Path:
        if engine not in made:
            done = subprocess.run(
                [sys.executable, str(ROOT / "examples" / "make_package.py"), "--engine", engine, "--out", str(out)],
                check=True,
                capture_output=True,
                text=True,
            )
            made[engine] = Path(done.stdout.strip().splitlines()[-1])
        return made[engine]

    return make


# ── packages that need no training ───────────────────────────────────────────────────────────────────────────────────

SERVICE = """\
import json
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        self.model_path = model_path

    def _preprocess(self, data):
        return json.loads(data)["data"]["req_data"]

    def _inference(self, data):
        return [sum(row.values()) for row in data]

    def _postprocess(self, data):
        return [{"predictresult": value} for value in data]
"""
ROWS = {
    "type": "array",
    "items": [{"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}],
}
RESULTS = {"type": "array", "items": [{"type": "object", "properties": {"predictresult": {"type": "number"}}}]}


def wrapped(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    inner = {"type": "object", "properties": {name: schema}, "required": [name]}
    return {"type": "object", "properties": {"data": inner}, "required": ["data"]}


def a_config(**changes: Any) -> dict[str, Any]:
    config = {
        "model_algorithm": "predict_analysis",
        "model_type": "Scikit_Learn",
        "runtime": SKLEARN_RUNTIME,
        "metrics": {"f1": 0.9, "accuracy": 0.9, "precision": 0.9, "recall": 0.9},
        "apis": [
            {
                "protocol": "http",
                "url": "/",
                "method": "post",
                "request": {"Content-type": "application/json", "data": wrapped("req_data", ROWS)},
                "response": {"Content-type": "application/json", "data": wrapped("resp_data", RESULTS)},
            }
        ],
    }
    return {key: value for key, value in {**config, **changes}.items() if value is not None}


def a_wheel(name: str, text: str) -> bytes:
    """A wheel of one module that holds a text."""
    info = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": f"TEXT = {text!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    return target.getvalue()


@pytest.fixture
def alone(process: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installation:
    """The installation with a store and a registry that nothing was imported into: a sweep looks at all there is."""
    from airlock.adapters.registry_schema import open_engine, upgrade

    url = f"sqlite:///{tmp_path / 'registry.db'}"
    monkeypatch.setenv("AIRFLOW__AIRLOCK__STORE", str(tmp_path / "store"))
    monkeypatch.setenv("AIRFLOW__AIRLOCK__REGISTRY_URL", url)
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    return process


@dataclass
class Upload:
    """A package under way to a bucket: change its files, then `go`."""

    bucket: Bucket
    files: dict[str, bytes]

    def go(self, prefix: str = "package/") -> str:
        for path, body in self.files.items():
            self.bucket.put(f"{prefix}{path}", body)
        return f"s3://{self.bucket.name}/{prefix}"


@pytest.fixture
def upload(bucket: Bucket) -> Upload:
    """A small package that is right: its model file is not even a pickle that holds something."""
    return Upload(
        bucket,
        {
            "model/config.json": json.dumps(a_config(), indent=2).encode(),
            "model/customize_service.py": SERVICE.encode(),
            # A pickle of None.
            "model/model.m": b"\x80\x02N.",
        },
    )
