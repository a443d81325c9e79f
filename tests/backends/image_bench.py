"""An engine with images of the user's own that no other session has, and imports of them on it."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

import pytest
import user_images as images
from backend_bench import BASE_IMAGE, Bench
from image_registry import ImageRegistry

from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_backend import DockerBackend
from airlock.domain.image import Image
from airlock.domain.image_reference import parse_reference
from airlock.domain.smoke import SmokeReport
from airlock.errors import AirlockError
from tests.fakes.package_store import FakeStore
from tests.unit.given import RUN
from tests.unit.line import Line


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
        return found + [
            item.name for item in self.client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
        ]
