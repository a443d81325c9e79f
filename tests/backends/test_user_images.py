"""Images of the user's own on a real engine and a real registry: had, started in the sandbox, asked, and removed."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import user_images as images
from backend_bench import BASE_IMAGE, ROOT, Bench
from image_registry import ACCOUNT, PASSWORD, ImageRegistry, installed

from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_backend import DockerBackend
from airlock.adapters.docker_pull import Credentials
from airlock.adapters.image_credentials import from_connections
from airlock.domain.device import Device
from airlock.domain.health import Health
from airlock.domain.image import Image
from airlock.domain.image_reference import parse_reference
from airlock.domain.record import ModelVersion
from airlock.domain.smoke import SmokeReport
from airlock.domain.user_image import NOBODY
from airlock.errors import AirlockError, BackendUnavailable, ImageRefused, SmokeFailed
from airlock.ports import ImageLaunch
from tests.fakes import FakeStore
from tests.unit.given import RUN
from tests.unit.line import Line

ROOT_USER = "0:0"


@dataclass
class Images:
    """The engine with this session's images on it.

    Attributes:
        client: The engine's client.
        token: In the name of every image that a test makes.
    """

    client: Any
    token: str
    bench: Bench
    made: list[str] = field(default_factory=list)

    def name(self, what: str, host: str = "") -> str:
        """A name that no other session has; its image is removed at the session's end."""
        name = f"{host}/{what}-{self.token}:1" if host else f"airlock-test/{what}-{self.token}:1"
        self.made.append(name)
        return name

    def python(self, what: str, *lines: str) -> str:
        """The Python service with further lines of its Dockerfile."""
        name = self.name(what)
        images.python_image(self.client, name, *lines)
        return name

    def push(self, name: str, registry: ImageRegistry, what: str, **credentials: str) -> str:
        """Put an image of this engine into a registry, and take the name there off the engine again."""
        there = f"{registry.host}/team/{what}:1"
        self.client.images.get(name).tag(there)
        said = self.client.images.push(there, auth_config=credentials or None)
        assert "errorDetail" not in said, said
        self.client.images.remove(there)
        return there

    def has(self, name: str) -> bool:
        import docker

        try:
            self.client.images.get(name)
        except docker.errors.ImageNotFound:
            return False
        return True

    def backend(self, **changes: Any) -> DockerBackend:
        """A new backend object, as each Airflow task has one."""
        changes.setdefault("relay_image", BASE_IMAGE)
        backend = self.bench.backend(**changes)
        assert isinstance(backend, DockerBackend)
        return backend

    def obtain(self, name: str, **changes: Any) -> Image:
        return self.backend(**changes).obtain(parse_reference(name), lambda line: None)

    def refusal(self, name: str, **changes: Any) -> AirlockError:
        with pytest.raises(AirlockError) as caught:
            self.obtain(name, **changes)
        return caught.value

    def line(self, files: dict[str, bytes], **changes: Any) -> Line:
        """The straight line of an import on this engine; storage and registry of models are in memory."""
        line = Line(files)
        line.store = FakeStore(self.bench.folder / "packages" / uuid.uuid4().hex[:8])
        line.clock = SystemClock()  # type: ignore[assignment]
        line.backend = self.backend(package_folder=line.store.folder, **changes)  # type: ignore[assignment]
        return line

    def smoked(self, files: dict[str, bytes], **conf: Any) -> SmokeReport:
        line = self.line(files)
        try:
            return line.smoke(line.until_built(**conf))
        finally:
            assert self.leftovers() == []

    def failure(self, files: dict[str, bytes], **conf: Any) -> AirlockError:
        with pytest.raises(AirlockError) as caught:
            self.smoked(files, **conf)
        return caught.value

    def leftovers(self) -> list[str]:
        """Whatever the tests' run has left."""
        found = [str(path) for path in (self.bench.folder / "work" / "runs").glob("*/*")]
        label = f"io.airlock.run={RUN}"
        return found + [item.name for item in self.client.containers.list(all=True, filters={"label": label})]


@pytest.fixture(scope="module")
def here(docker_bench: Bench) -> Iterator[Images]:
    import docker

    client = docker.from_env()
    found = Images(client, uuid.uuid4().hex[:10], docker_bench)
    yield found
    for name in {*found.made, *(tag for image in client.images.list() for tag in image.tags if found.token in tag)}:
        with contextlib.suppress(docker.errors.APIError):
            client.images.remove(name, force=True)
    client.close()


def _registry(folder: Path, here: Images, guarded: bool) -> Iterator[ImageRegistry]:
    if not installed():
        pytest.skip("docker-registry is not installed")
    registry = ImageRegistry(folder, guarded=guarded)
    yield registry
    for image in here.client.images.list():
        for name in (*image.tags, *(image.attrs.get("RepoDigests") or ())):
            if name.startswith(f"{registry.host}/"):
                with contextlib.suppress(Exception):
                    here.client.images.remove(name, force=True)
    registry.close()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, here: Images) -> Iterator[ImageRegistry]:
    """A registry that gives to everybody."""
    yield from _registry(tmp_path_factory.mktemp("registry") / "open", here, False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, here: Images) -> Iterator[ImageRegistry]:
    """A registry that wants a name and a password."""
    yield from _registry(tmp_path_factory.mktemp("registry") / "guarded", here, True)


@pytest.fixture(scope="module")
def plain(here: Images) -> str:
    """The Python service as it is."""
    return here.python("plain")


@pytest.fixture(scope="module")
def shell(here: Images) -> str:
    """An image of two megabytes: no Python, no libraries, no passwd, no folders."""
    program = images.static_shell()
    if program is None:
        pytest.skip("busybox-static is not installed")
    name = here.name("shell")
    images.shell_image(here.client, name, program)
    return name


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
    assert json.loads(report.golden_response) == {"sum": 6}
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
    facts = json.loads(report.golden_response)
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
    assert here.smoked(files).checked == ("two.json",)
    assert here.obtain(shell).size_bytes < 5_000_000


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
    assert error.log_tail.strip() == "no model here"


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


# ── registries ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_is_pulled_and_kept_by_its_digest(here: Images, registry: ImageRegistry, shell: str) -> None:
    there = here.push(shell, registry, "pulled")
    line = here.line(images.package(images.a_shell_config(there)))
    built = line.until_built()
    image = built[-1]
    assert image.reference == f"{registry.host}/team/pulled@{image.digest}"
    assert not image.layers[0].reused
    # The tag moves, here and in the registry; another worker has neither.
    registry.put_image("team/pulled", "1")
    here.client.images.remove(there)
    assert not here.has(image.reference)
    assert line.smoke(built).verdict.value == "passed"
    assert line.register(built, line.smoke(built)).summary()["image"] == image.reference
    again = here.obtain(image.reference)
    assert (again.digest, again.layers[0].reused) == (image.digest, True)


def test_an_image_that_is_here_is_not_pulled_unless_the_setting_says_so(
    here: Images, registry: ImageRegistry, shell: str
) -> None:
    there = here.push(shell, registry, "moving")
    first = here.obtain(there)
    registry.put_image("team/moving", "1")
    assert here.obtain(there).digest == first.digest
    assert here.obtain(there, image_pull="always").digest != first.digest
    here.client.images.remove(there)
    error = here.refusal(there, image_pull="never")
    assert error.code == "IMG001"
    assert "image_pull" in error.message


@pytest.mark.parametrize("path", ["team/absent:1", "team/pinned@sha256:" + "ab" * 32])
def test_an_image_that_the_registry_does_not_have_is_told(here: Images, registry: ImageRegistry, path: str) -> None:
    error = here.refusal(f"{registry.host}/{path}")
    assert isinstance(error, ImageRefused)
    assert error.code == "IMG001"
    assert registry.host in error.message


def test_a_registry_that_the_installation_does_not_name_is_not_asked(here: Images, registry: ImageRegistry) -> None:
    error = here.refusal(f"{registry.host}/team/absent:1", image_registries=("swr.example.com",))
    assert error.code == "IMG012"


def test_a_registry_that_does_not_answer_may_answer_later(here: Images) -> None:
    error = here.refusal("127.0.0.1:1/team/iris:1")
    assert isinstance(error, BackendUnavailable)
    assert error.code == "IMG003"


def test_a_guarded_registry_gives_to_the_connection_that_names_it_only(
    here: Images, guarded: ImageRegistry, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = here.push(shell, guarded, "guarded", username=ACCOUNT, password=PASSWORD)

    def asked(**connection: Any) -> Callable[[str], Credentials | None]:
        value = {"conn_type": "docker", "login": ACCOUNT, "password": PASSWORD, **connection}
        monkeypatch.setenv("AIRFLOW_CONN_IMAGES", json.dumps(value))
        return from_connections(("images",))

    nobody = here.refusal(there)
    assert (type(nobody), nobody.code) == (ImageRefused, "IMG002")
    assert "without credentials" in nobody.message
    wrong = here.refusal(there, credentials_of=asked(host="127.0.0.1", port=guarded.port, password="a-wrong-one"))
    assert (type(wrong), wrong.code) == (ImageRefused, "IMG002")
    assert "a-wrong-one" not in str(wrong)
    assert here.refusal(there, credentials_of=asked(host="other.example.com")).code == "IMG002"
    image = here.obtain(there, credentials_of=asked(host=f"http://{guarded.host}/v2/"))
    assert image.reference.startswith(f"{guarded.host}/team/guarded@sha256:")


def test_a_layer_that_is_not_what_its_digest_says_is_told(here: Images, registry: ImageRegistry) -> None:
    manifest = json.loads(registry.put_image("team/damaged", "1"))
    registry.damage(manifest["layers"][0]["digest"])
    error = here.refusal(f"{registry.host}/team/damaged:1")
    assert (type(error), error.code) == (ImageRefused, "IMG004")


def test_an_image_for_another_architecture_is_refused_and_removed(here: Images, registry: ImageRegistry) -> None:
    manifest = registry.put_image("team/arm", "1", architecture="arm64")
    registry.put_list("team/arm", "list", {"arm64": manifest})
    for tag in ("1", "list"):
        error = here.refusal(f"{registry.host}/team/arm:{tag}")
        assert (type(error), error.code) == (ImageRefused, "IMG006")
        assert not here.has(f"{registry.host}/team/arm:{tag}")


def test_an_image_that_is_too_large_is_refused_with_the_number_and_removed(
    here: Images, registry: ImageRegistry, shell: str
) -> None:
    registry.put_image("team/large", "1", size_bytes=300_000)
    compressed = here.refusal(f"{registry.host}/team/large:1", max_image_bytes=200_000)
    assert compressed.code == "IMG005"
    assert "even when compressed, at most 200,000 are taken" in compressed.message
    there = here.push(shell, registry, "large-one")
    whole = here.refusal(there, max_image_bytes=1_900_000)
    assert whole.code == "IMG005"
    assert "at most 1,900,000 are taken" in whole.message
    assert not here.has(there)
    assert here.has(shell), "an image that was here before stays"


def test_what_a_killed_task_leaves_is_swept(here: Images, shell: str) -> None:
    folder = here.bench.folder / "killed"
    (folder / "model").mkdir(parents=True)
    backend = here.backend(package_folder=lambda digest: str(folder))
    launch = ImageLaunch(
        image=here.obtain(shell), package_digest="", device=Device.CPU, cpus=None, memory_mb=200, user=NOBODY,
        ports=(8080,), health=Health(), run=RUN, task="killed",
    )  # fmt: skip
    # Entered and not left, as by a task that is killed.
    serving = backend.serve_image(launch)
    serving.__enter__()
    assert len(here.leftovers()) == 3, "the relay, the service, their folder"
    assert here.backend().sweep(RUN) == 3
    assert here.leftovers() == []
