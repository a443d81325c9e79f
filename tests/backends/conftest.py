from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import user_images as images
from backend_bench import BASE_IMAGE, Bench
from image_bench import Images

from airlock.adapters import bubblewrap
from airlock.adapters.docker_client import docker_answers


def _need_docker() -> None:
    import docker

    if not docker_answers():
        pytest.skip("no container engine answers")
    client = docker.from_env()
    try:
        client.images.get(BASE_IMAGE)
    except docker.errors.ImageNotFound:
        pytest.skip(f"the image {BASE_IMAGE} is not on this machine (make base-images)")
    finally:
        client.close()


TEST_RUNTIMES = tuple(f"scikit-learn-{name}-" for name in ("tiny", "slow", "offline", "secret"))


@pytest.fixture(scope="session")
def short_folder() -> Iterator[Path]:
    """A folder with a short path: a Unix socket's path has 107 bytes at most, and pytest's own folders are long."""
    folder = Path(tempfile.mkdtemp(prefix="alt-"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def _make(kind: str, folder: Path, isolation: str = "none") -> Iterator[Bench]:
    bench = Bench(kind, folder / (kind if isolation == "none" else "room"), uuid.uuid4().hex[:12], isolation=isolation)
    yield bench
    if kind == "docker":
        import docker

        client = docker.from_env()
        # By the names of runtimes that only these tests have.
        for found in client.images.list(filters={"label": "io.airlock.layer"}):
            for tag in found.tags:
                if tag.partition(":")[2].startswith(TEST_RUNTIMES):
                    with contextlib.suppress(docker.errors.APIError):
                        client.images.remove(tag, force=True)
        client.close()


@pytest.fixture(scope="session")
def docker_bench(short_folder: Path) -> Iterator[Bench]:
    _need_docker()
    yield from _make("docker", short_folder)


@pytest.fixture(scope="session")
def process_bench(short_folder: Path) -> Iterator[Bench]:
    if not os.path.isdir("/proc/self"):
        pytest.skip("the process backend needs Linux")
    yield from _make("process", short_folder)


@pytest.fixture(scope="session")
def bubblewrap_bench(short_folder: Path) -> Iterator[Bench]:
    if not bubblewrap.is_usable():
        pytest.skip("bubblewrap is not installed or may not make namespaces")
    yield from _make("process", short_folder, "bubblewrap")


@pytest.fixture(scope="session", params=["docker", "process", "bubblewrap"])
def bench(request: pytest.FixtureRequest) -> Bench:
    """Each backend in turn."""
    found: Bench = request.getfixturevalue(f"{request.param}_bench")
    return found


@pytest.fixture(scope="session")
def here(docker_bench: Bench) -> Iterator[Images]:
    import docker

    client = docker.from_env()
    found = Images(client, uuid.uuid4().hex[:10], docker_bench)
    yield found
    for name in {*found.made, *(tag for image in client.images.list() for tag in image.tags if found.token in tag)}:
        with contextlib.suppress(docker.errors.APIError):
            client.images.remove(name, force=True)
    client.close()


@pytest.fixture(scope="session")
def plain(here: Images) -> str:
    """The Python service as it is."""
    return here.python("plain")


@pytest.fixture(scope="session")
def shell(here: Images) -> str:
    """An image of two megabytes: no Python, no libraries, no passwd, no folders."""
    program = images.static_shell()
    if program is None:
        pytest.skip("busybox-static is not installed")
    name = here.name("shell")
    images.shell_image(here.client, name, program)
    return name


@pytest.fixture
def client() -> Iterator[Any]:
    """The engine, asked without the backend."""
    import docker

    engine = docker.from_env()
    yield engine
    engine.close()
