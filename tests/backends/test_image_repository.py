"""The installation's own images in a real registry: pushed, named by digest, and pulled by whoever lacks them."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from backend_bench import Bench, ask, plan_baked, until_ready
from image_registry import ACCOUNT, PASSWORD, ImageRegistry, installed

from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_backend import DockerBackend
from airlock.adapters.docker_pull import Credentials
from airlock.adapters.install_settings import InstallSettings
from airlock.domain.catalogue import Runtime
from airlock.domain.image import BuildPlan, Image
from airlock.errors import AirlockError, BackendUnavailable, BuildFailed, SettingInvalid

PINNED = re.compile(r"127\.0\.0\.1:\d+/team/airlock/(serving|model)@sha256:[0-9a-f]{64}")


class Impatient(SystemClock):
    """Waits for nothing, and remembers for how long it would have."""

    def __init__(self) -> None:
        self.waited: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waited.append(seconds)


class Door:
    """In front of a registry: it slams so many times, and then lets everybody through."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.slams = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                visitor, _ = self._listener.accept()
            except OSError:
                return
            if self.slams:
                self.slams -= 1
                visitor.close()
                continue
            threading.Thread(target=self._lead, args=(visitor,), daemon=True).start()

    def _lead(self, visitor: socket.socket) -> None:
        with visitor, socket.create_connection(("127.0.0.1", self._port)) as inside:
            back = threading.Thread(target=_pass_on, args=(inside, visitor), daemon=True)
            back.start()
            _pass_on(visitor, inside)
            back.join()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    engine = docker.from_env()
    yield engine
    engine.close()


def _registry(folder: Path, client: Any, guarded: bool) -> Iterator[ImageRegistry]:
    if not installed():
        pytest.skip("docker-registry is not installed")
    registry = ImageRegistry(folder, guarded=guarded)
    yield registry
    forget(client, f"{registry.host}/")
    registry.close()


def forget(client: Any, prefix: str, token: str = "") -> None:
    """Take the images below a name off this engine, as if it were another worker."""
    for image in client.images.list():
        for name in (*image.tags, *(image.attrs.get("RepoDigests") or ())):
            if name.startswith(prefix) and token in name:
                with contextlib.suppress(docker.errors.APIError):
                    client.images.remove(name, force=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, docker_bench: Bench, client: Any) -> Iterator[ImageRegistry]:
    """A registry that takes from everybody."""
    yield from _registry(tmp_path_factory.mktemp("repository") / "open", client, False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, docker_bench: Bench, client: Any) -> Iterator[ImageRegistry]:
    """A registry that wants a name and a password."""
    yield from _registry(tmp_path_factory.mktemp("repository") / "guarded", client, True)


@pytest.fixture
def runtime(docker_bench: Bench, request: pytest.FixtureRequest) -> Runtime:
    """A runtime that shares its base with the others, and whose serving layer no other test has."""
    docker_bench.image()
    pushed = ("PUSHED", request.node.name)
    return replace(docker_bench.runtime, environment=(*docker_bench.runtime.environment, pushed))


def backend(bench: Bench, host: str, **changes: Any) -> DockerBackend:
    found = bench.backend(image_repository=f"{host}/team/airlock", **changes)
    assert isinstance(found, DockerBackend)
    return found


def build(bench: Bench, plan: BuildPlan, host: str, **changes: Any) -> Image:
    return backend(bench, host, **changes).build(plan, bench.lines.append)


def refused(bench: Bench, plan: BuildPlan, host: str, **changes: Any) -> AirlockError:
    with pytest.raises(AirlockError) as caught:
        build(bench, plan, host, **changes)
    return caught.value


def test_what_is_made_is_pushed_and_another_worker_pulls_it_by_its_digest(
    docker_bench: Bench, registry: ImageRegistry, runtime: Runtime, client: Any
) -> None:
    plan = docker_bench.plan(runtime=runtime)
    image = build(docker_bench, plan, registry.host)
    assert PINNED.fullmatch(image.reference), image.reference
    assert image.reference.endswith(f"@{image.digest}")
    assert backend(docker_bench, registry.host).image_present(image)
    # Somebody moves the tag; another worker has neither the tag nor the image.
    registry.put_image("team/airlock/serving", plan.key)
    forget(client, plan.layers[-1].tag)
    forget(client, f"{registry.host}/")
    other = backend(docker_bench, registry.host)
    assert not other.image_present(image)
    # Asking the registry for it pulls nothing.
    assert other.image_in_registry(image)
    lost = f"{image.reference.partition('@')[0]}@sha256:{'0' * 64}"
    assert not other.image_in_registry(replace(image, reference=lost))
    assert not other.image_present(image)
    with other.serve(docker_bench.launch(image=image)) as service:
        until_ready(service)
        assert ask(service) == 6
    assert other.image_present(image)


def test_what_another_worker_has_made_is_pulled_and_not_made_again(
    docker_bench: Bench, registry: ImageRegistry, client: Any
) -> None:
    own = replace(docker_bench.runtime, constraints=f"# pushed\n{docker_bench.runtime.constraints}", environment=())
    plan = docker_bench.plan(runtime=own)
    first = build(docker_bench, plan, registry.host)
    assert [layer.reused for layer in first.layers] == [False, False]
    forget(client, f"{registry.host}/")
    for layer in reversed(plan.layers):
        forget(client, layer.tag)
    # Without an index nothing could be made here.
    nowhere = InstallSettings(no_index=True)
    again = build(docker_bench, plan, registry.host, install=nowhere)
    assert [layer.reused for layer in again.layers] == [True, True]
    assert again.digest == first.digest
    # Of a runtime that shares the base alone, the base is pulled.
    forget(client, f"{registry.host}/")
    for layer in reversed(plan.layers):
        forget(client, layer.tag)
    sharing = replace(own, environment=(("SHARES", "the base"),))
    shared = build(docker_bench, docker_bench.plan(runtime=sharing), registry.host, install=nowhere)
    assert [(layer.name, layer.reused) for layer in shared.layers] == [("base", True), ("serving", False)]


def test_an_image_with_the_model_inside_is_pushed_too(
    docker_bench: Bench, registry: ImageRegistry, client: Any
) -> None:
    plan, manifest = plan_baked(docker_bench, "adds")
    image = backend(docker_bench, registry.host).bake(plan, manifest, docker_bench.lines.append)
    assert PINNED.fullmatch(image.reference)
    assert "/model@" in image.reference
    forget(client, f"{registry.host}/")
    for tag in (plan.model.tag, plan.content_tag):
        forget(client, tag)
    again = backend(docker_bench, registry.host).bake(plan, manifest, docker_bench.lines.append)
    assert (again.digest, again.layers[-2].reused) == (image.digest, True)
    with backend(docker_bench, registry.host).serve(docker_bench.launch(image=again)) as service:
        until_ready(service)
        assert ask(service) == 6


def test_a_registry_that_slams_the_door_is_asked_again(
    docker_bench: Bench, registry: ImageRegistry, runtime: Runtime, client: Any
) -> None:
    door, clock = Door(registry.port), Impatient()
    try:
        plan = docker_bench.plan(runtime=runtime)
        # The engine itself knocks twice: with TLS first, because it cannot know.
        door.slams = 4
        image = DockerBackend(
            settings=replace(docker_bench.settings, image_repository=f"{door.host}/team/airlock"),
            install=InstallSettings.from_settings(docker_bench.settings),
            package_folder=docker_bench.package_folder,
            clock=clock,
        ).build(plan, docker_bench.lines.append)
        assert PINNED.fullmatch(image.reference)
        assert clock.waited[0] == 1.0, "it was refused at least once"
    finally:
        door.close()
        forget(client, f"{door.host}/")


def test_a_registry_that_is_away_may_come_back(docker_bench: Bench, runtime: Runtime, client: Any) -> None:
    clock = Impatient()
    away = DockerBackend(
        settings=replace(docker_bench.settings, image_repository="127.0.0.1:1/airlock"),
        install=InstallSettings.from_settings(docker_bench.settings),
        package_folder=docker_bench.package_folder,
        clock=clock,
    )
    with pytest.raises(BackendUnavailable) as caught:
        away.build(docker_bench.plan(), docker_bench.lines.append)
    forget(client, "127.0.0.1:1/")
    assert caught.value.code == "BLD014"
    assert "127.0.0.1:1" in caught.value.message
    assert clock.waited == [1.0, 2.0, 4.0, 8.0]


def test_a_guarded_registry_takes_from_its_connection_only_and_keeps_the_secret(
    docker_bench: Bench, guarded: ImageRegistry, runtime: Runtime, client: Any
) -> None:
    def known(login: str, password: str) -> Callable[[str], Credentials | None]:
        return lambda host: Credentials(login, password) if host == guarded.host else None

    docker_bench.lines.clear()
    plan = docker_bench.plan(runtime=runtime)
    for credentials_of in (lambda host: None, known(ACCOUNT, "a-wrong-one")):
        error = refused(docker_bench, plan, guarded.host, credentials_of=credentials_of)
        assert (type(error), error.code) == (SettingInvalid, "SET014")
        assert "a-wrong-one" not in str(error)
        assert "image_connections" in error.remedy
        assert not client.images.list(plan.layers[-1].tag), "it is refused before anything is made"
    image = build(docker_bench, plan, guarded.host, credentials_of=known(ACCOUNT, PASSWORD))
    assert PINNED.fullmatch(image.reference)
    forget(client, f"{guarded.host}/")
    forget(client, plan.layers[-1].tag)
    unknown = backend(docker_bench, guarded.host)
    with pytest.raises(AirlockError) as caught, unknown.serve(docker_bench.launch(image=image)):
        raise AssertionError("nobody may have it")
    assert caught.value.code == "SET014"
    other = backend(docker_bench, guarded.host, credentials_of=known(ACCOUNT, PASSWORD))
    with other.serve(docker_bench.launch(image=image)) as service:
        until_ready(service)
    told = json.dumps([client.images.get(image.reference).attrs, client.images.get(image.reference).history()])
    for text in (
        told,
        "\n".join(docker_bench.lines),
        *(Path(layer.log).read_text() for layer in image.layers if layer.log),
    ):
        assert PASSWORD not in text
        assert "a-wrong-one" not in text


def test_an_image_that_the_registry_has_lost_is_told(
    docker_bench: Bench, registry: ImageRegistry, runtime: Runtime
) -> None:
    image = replace(
        docker_bench.image(),
        reference=f"{registry.host}/team/airlock/serving@sha256:{'ab' * 32}",
        digest=f"sha256:{'ab' * 32}",
    )
    other = backend(docker_bench, registry.host)
    with pytest.raises(BuildFailed) as caught, other.serve(docker_bench.launch(image=image)):
        raise AssertionError("there is none")
    assert caught.value.code == "BLD015"


@pytest.mark.parametrize("name", ["airlock", "http://registry.example.com/airlock", "registry.example.com/a:1"])
def test_a_name_that_is_none_of_a_repository_is_refused_with_its_form(docker_bench: Bench, name: str) -> None:
    with pytest.raises(SettingInvalid) as caught:
        docker_bench.backend(image_repository=name).build(docker_bench.plan(), docker_bench.lines.append)
    assert caught.value.code == "SET014"
    assert "registry.example.com:5000/airlock" in caught.value.remedy
