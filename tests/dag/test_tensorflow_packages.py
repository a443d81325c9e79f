"""TensorFlow packages as people write them: code that loads the model its own way, models of another TensorFlow."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.image import Image
from airlock.domain.smoke import HttpRequest, HttpResponse
from airlock.domain.version import RunRef
from airlock.ports.running_service import Launch
from tests.conftest import Bucket
from tests.dag.conftest import Installation, Outcome, use_backend
from tests.dag.runtime_matrix import CATALOGUE, RUNS, Workshop, cases

Run = Callable[..., Outcome]
CODE = Path(__file__).parent / "tensorflow_code"
ROWS = [row for row in RUNS if row.engine == "TensorFlow"]
pytestmark = pytest.mark.timeout(2400)


@dataclass
class Made:
    """A row's image, and the package of a model that was trained in it."""

    row: Runtime
    workshop: Workshop
    image: Image
    package: Path

    def with_code(self, name: str) -> Path:
        """A copy of the package with inference code of ours."""
        copy = self.package.parent.with_name(name) / self.package.name
        shutil.copytree(self.package, copy)
        shutil.copyfile(CODE / f"{name}.py", copy / "model" / "customize_service.py")
        return copy


@pytest.fixture(scope="module", params=cases(ROWS))
def made(
    request: pytest.FixtureRequest, installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Made]:
    """Made once for all tests of a row."""
    row = request.param
    with pytest.MonkeyPatch.context() as patch:
        use_backend(installation, "docker", patch)
        workshop = Workshop(installation, tmp_path_factory.mktemp("made"), measure=False)
        try:
            image = workshop.build(row)
            yield Made(row, workshop, image, workshop.pack(row, workshop.train(row, image)))
        finally:
            workshop.clear()


def send(bucket: Bucket, package: Path) -> str:
    bucket.put_folder("package/", package)
    return f"s3://{bucket.name}/package/"


def test_code_with_a_session_of_its_own_loads_below_a_folder_named_1_in_a_thread(
    made: Made, bucket: Bucket, run_import: Run
) -> None:
    outcome = run_import(model_name="own-session", source_location=send(bucket, made.with_code("own_session")))
    assert outcome.state == "success", outcome.tasks
    assert len(outcome.xcom["smoke_cpu"]["checked"]) == 2


@pytest.mark.runtimes
def test_code_that_loads_a_keras_file_needs_no_saved_model(made: Made, bucket: Bucket, run_import: Run) -> None:
    package = made.with_code("keras_file")
    model = package / "model"
    (model / "saved_model.pb").unlink()
    shutil.rmtree(model / "variables")
    # The answers of the other model.
    for path in model.glob("samples/*.response.json"):
        path.unlink()
    made.workshop.run(made.image, CODE / "save_keras.py", model)
    outcome = run_import(model_name="keras-file", source_location=send(bucket, package))
    assert outcome.state == "success", outcome.tasks
    assert len(outcome.xcom["smoke_cpu"]["checked"]) == 2


def test_a_request_that_does_not_fit_the_signature_is_the_client_s_fault(
    made: Made, bucket: Bucket, run_import: Run
) -> None:
    outcome = run_import(model_name="client-s-fault", source_location=send(bucket, made.package))
    assert outcome.record is not None
    launch = Launch(
        image=made.image,
        runtime=made.row,
        package_digest=outcome.record["package_digest"].removeprefix("sha256:"),
        model_name="client-s-fault",
        device=Device.CPU,
        cpus=None,
        memory_mb=made.row.memory_mb,
        run=RunRef(dag_id="import_model", run_id=outcome.run_id),
        task="client-s-fault",
        attempt=1,
    )
    with made.workshop.installation.wiring().backend.serve(launch) as service:
        for document, said in [
            ({"flower": [[1, 2, 3, 4]]}, "the inputs flowers of the signature are missing; the request has flower"),
            ({"flowers": [[1, 2]]}, "the input flowers takes the shape ("),
            ({"flowers": "many"}, "the input flowers takes float32: "),
            ([[1, 2, 3, 4]], "the signature takes an object with flowers"),
        ]:
            request = HttpRequest(
                method="POST", path="/", content_type="application/json", body=json.dumps(document).encode()
            )
            answer = service.send(request, 40, 10_000)
            while not isinstance(answer, HttpResponse):
                assert service.exit() is None, service.log_tail()
                answer = service.send(request, 40, 10_000)
            error = json.loads(answer.body)
            assert (answer.status, error["error_code"]) == (400, "MR.0105")
            assert said in error["error_msg"]


@pytest.mark.runtimes
@pytest.mark.parametrize("name", ["tf2.1-python3.7", "tf2.21-python3.11-cpu"])
def test_a_model_that_tensorflow_1_saved_is_served_by_tensorflow_2(
    name: str, workshop: Workshop, bucket: Bucket, run_import: Run
) -> None:
    old, new = CATALOGUE.find("TensorFlow", "python2.7"), CATALOGUE.find("TensorFlow", name)
    assert old is not None
    assert new is not None
    package = workshop.pack(new, workshop.model_of(old))
    outcome = run_import(model_name="from-1-to-2", source_location=send(bucket, package))
    workshop.removes(outcome.xcom["build"]["layers"])
    assert outcome.state == "success", outcome.tasks
    assert len(outcome.xcom["smoke_cpu"]["checked"]) == 2
