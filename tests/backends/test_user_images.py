"""Images of the user's own on a real engine: started in the sandbox, asked, judged, and removed."""

from __future__ import annotations

import json

import pytest
import user_images as images
from backend_bench import BASE_IMAGE, ROOT, Bench
from image_bench import Images

from airlock.domain.device import Device
from airlock.domain.health import Health
from airlock.domain.image_reference import parse_reference
from airlock.domain.record import ModelVersion
from airlock.domain.user_image import NOBODY
from airlock.errors import ImageRefused, SmokeFailed
from airlock.ports.running_service import ImageLaunch
from tests.unit.given import RUN

ROOT_USER = "0:0"


# ── the service in the sandbox ───────────────────────────────────────────────────────────────────────────────────────


def test_an_image_of_this_engine_answers_as_declared_and_leaves_nothing(here: Images, plain: str) -> None:
    files = images.package(images.a_config(plain), three={"numbers": [1, 2, 3]})
    files["model/samples/three.response.json"] = b'{"sum": 6}'
    line = here.line(files)
    built = line.until_built()
    image = built[-1]
    assert image.digest == here.client.images.get(plain).id, "no registry knows it"
    assert (image.own.user, image.own.ports) == ("", (8080,))  # type: ignore[union-attr]
    report = line.smoke(built)
    assert report.checked == ("POST /v1/sum three.json", "GET /v1/about generated")
    assert json.loads(report.golden[0].answer) == {"sum": 6}
    assert report.user == NOBODY
    assert report.peak_memory_bytes
    assert report.latency is not None
    version: ModelVersion = line.register(built, report)
    assert version.summary()["image_digest"] == image.digest
    assert here.leftovers() == []


def test_the_example_of_an_image_answers(here: Images) -> None:
    folder = ROOT / "examples/image"
    name = here.name("trend")
    here.client.images.build(path=str(folder), tag=name, rm=True, forcerm=True)
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in (folder / "model").rglob("*")
        if path.is_file()
    }
    config = json.loads(files["model/config.json"])
    files["model/config.json"] = json.dumps({**config, "swr_location": name}).encode()
    report = here.smoked(files)
    assert report.checked == ("POST /v1/trend falling.json", "POST /v1/trend rising.json", "GET /v1/about generated")
    assert report.user == "1000:1000"


def test_the_container_has_no_network_no_rights_and_nothing_to_write_to_but_memory(here: Images) -> None:
    name = here.python("facts", "VOLUME /var/cache/models", "RUN chmod 777 /opt /srv")
    folders = ["/", "/opt", "/srv", "/tmp", "/var/tmp", "/run", "/var/cache/models", "/dev/shm", "/home/mind/model"]
    schema = {"type": "object", "required": ["user"], "properties": {"user": {"type": "array"}}}
    config = images.a_config(name, apis=[{"url": "/v1/facts", "response": images.body(schema)}])
    report = here.smoked(images.package(config, facts={"folders": folders}))
    facts = json.loads(report.golden[0].answer)
    assert facts["user"] == [65534, 65534]
    assert facts["interfaces"] == ["lo"]
    assert facts["writable"] == ["/tmp", "/var/tmp", "/run", "/var/cache/models", "/dev/shm"]
    assert facts["model"] == ["config.json", "samples"]
    assert facts["capabilities"].strip("0") == ""
    assert not [name for name in facts["environment"] if name.startswith(("AIRLOCK", "AIRFLOW"))]


def test_an_image_that_only_root_can_run_runs_as_root_without_its_rights(here: Images) -> None:
    name = here.python("root", "ENV NEEDS_ROOT=1")
    report = here.smoked(images.package(images.a_config(name)))
    assert report.user == ROOT_USER


def test_an_images_own_user_and_port_are_kept(here: Images) -> None:
    name = here.python("own", "ENV PORT=80", "EXPOSE 80", "USER 1234:4321")
    apis = [{**images.a_config(name)["apis"][0], "port": 80}]
    # Port 80 without root: the namespace has no privileged ports.
    assert here.smoked(images.package(images.a_config(name, apis=apis))).user == "1234:4321"


def test_an_image_of_nothing_but_a_shell_answers(here: Images, shell: str) -> None:
    files = images.package(images.a_shell_config(shell), two={"numbers": [2, 3]})
    files["model/samples/two.response.json"] = b'{"sum": 5}'
    report = here.smoked(files)
    assert report.checked == ("two.json",)
    assert report.has_shell is True
    assert here.obtain(shell).size_bytes < 5_000_000


def test_an_image_without_a_shell_answers_and_its_report_says_so(here: Images) -> None:
    report = here.smoked(images.package(images.a_config(here.python("bare", "RUN rm /bin/sh"))))
    assert report.has_shell is False


def test_the_engine_runs_the_health_command(here: Images) -> None:
    name = here.python("command", "ENV HEALTH=500")
    command = "python -c 'import urllib.request; urllib.request.urlopen(\"http://localhost:8080/v1/about\")'"
    config = images.a_config(name, health={"check_method": "EXEC", "command": command, "period_seconds": 0.5})
    assert here.smoked(images.package(config)).ready_s


# ── services that fail ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_service_that_is_never_healthy_is_told_with_its_answer(here: Images) -> None:
    name = here.python("ill", "ENV HEALTH=500")
    error = here.failure(images.package(images.a_config(name)), startup_timeout_s=4)
    assert error.code == "SMK014"
    assert "last with 500: ok" in error.message


def test_a_service_on_another_port_is_told_with_the_port_that_was_asked(here: Images, plain: str) -> None:
    apis = [{**images.a_config(plain)["apis"][0], "port": 9000}]
    error = here.failure(images.package(images.a_config(plain, apis=apis)), startup_timeout_s=2)
    assert error.code == "SMK015"
    assert "port 9000" in error.message


def test_a_service_that_ends_at_once_is_told_with_its_log(here: Images) -> None:
    name = here.name("ends")
    images.build(here.client, name, f"FROM {BASE_IMAGE}\nCMD echo no model here; exit 7\n")
    error = here.failure(images.package(images.a_config(name)))
    assert isinstance(error, SmokeFailed)
    assert error.code == "SMK010"
    assert "ended with status 7 before it was healthy" in error.message
    assert error.report
    assert error.report.log.strip() == "no model here"


@pytest.mark.parametrize(
    "what,line", [("program", 'CMD ["/no/such/program"]'), ("user", "USER nobody-there\nCMD sleep 9")]
)
def test_an_image_whose_program_or_user_is_missing_is_told(here: Images, what: str, line: str) -> None:
    name = here.name(f"missing-{what}")
    images.build(here.client, name, f"FROM {BASE_IMAGE}\n{line}\n")
    error = here.failure(images.package(images.a_config(name)))
    assert (type(error), error.code) == (ImageRefused, "IMG010")
    assert {"program": "/no/such/program", "user": "nobody-there"}[what] in error.message


def test_a_removed_image_that_no_registry_has_is_told(here: Images) -> None:
    name = here.python("gone", f"LABEL token={here.token}")
    line = here.line(images.package(images.a_config(name)))
    built = line.until_built()
    here.client.images.remove(name)
    with pytest.raises(ImageRefused, match="IMG009"):
        line.smoke(built)
    assert here.leftovers() == []


def test_the_process_backend_says_that_it_runs_no_images(process_bench: Bench) -> None:
    with pytest.raises(ImageRefused, match="needs Docker Engine"):
        process_bench.backend().obtain(parse_reference("iris:1"), lambda line: None)


def test_what_a_killed_task_leaves_is_swept(here: Images, shell: str) -> None:
    folder = here.bench.folder / "killed"
    (folder / "model").mkdir(parents=True)
    backend = here.backend(package_folder=lambda digest: str(folder))
    launch = ImageLaunch(
        image=here.obtain(shell), package_digest="", device=Device.CPU, cpus=None, memory_mb=200, user=NOBODY,
        ports=(8080,), health=Health(), run=RUN, task="killed", attempt=1,
    )  # fmt: skip
    # Entered and not left, as by a task that is killed.
    serving = backend.serve_image(launch)
    serving.__enter__()
    assert len(here.leftovers()) == 3, "the relay, the service, their folder"
    assert here.backend().sweep(RUN) == 3
    assert here.leftovers() == []
