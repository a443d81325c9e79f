"""The layer of a package's own dependencies on a real engine: shared wheels, sources without them, and nothing kept."""

from __future__ import annotations

import functools
import gzip
import http.server
import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import docker
import pytest
from backend_bench import Bench

from airlock.adapters.install_settings import InstallSettings
from airlock.domain.dependencies import Dependency, Restraint
from airlock.domain.image import Image
from airlock.domain.installing import CACHE_VOLUME
from airlock.errors import BuildFailed

SECRETS = ("geheim", "geheimer", "a-company-of-our-own")

_BUILD_BACKEND = """
import pathlib
import zipfile


def build_wheel(folder, *more, **options):
    pathlib.Path("/mnt/from-NAME").write_text("was here")
    name, about = "NAME-VERSION-py3-none-any.whl", "NAME-VERSION.dist-info"
    with zipfile.ZipFile(pathlib.Path(folder, name), "w") as wheel:
        wheel.writestr("NAME.py", "ANSWER = 43")
        wheel.writestr(about + "/METADATA", "Metadata-Version: 2.1\\nName: NAME\\nVersion: VERSION\\n")
        wheel.writestr(about + "/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
        wheel.writestr(about + "/RECORD", "")
    return name
"""


class Index:
    """A package index of this machine, which counts what is fetched from it.

    Attributes:
        folder: One folder per project.
        asked: Paths of the files that were fetched.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        index = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                if not self.path.endswith("/"):
                    index.asked.append(self.path.rpartition("/")[2])
                super().do_GET()

            def end_headers(self) -> None:
                # As public indexes say of their files.
                if self.path.endswith(".whl"):
                    self.send_header("Cache-Control", "max-age=365000000, immutable, public")
                super().end_headers()

            def log_message(self, *arguments: object) -> None:
                return

        handler = functools.partial(Handler, directory=str(folder))
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.host = f"127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def add_wheel(self, name: str, version: str = "1.0") -> None:
        project = self.folder / name
        project.mkdir(parents=True, exist_ok=True)
        about = f"{name}-{version}.dist-info"
        with zipfile.ZipFile(project / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"{name}.py", "ANSWER = 42\n")
            # What a new distribution would run at the start of every Python that reads it.
            wheel.writestr(f"{name}.pth", f"import pathlib; pathlib.Path('/mnt/{name}').write_text('was here')\n")
            wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{about}/RECORD", "")

    def add_source(self, name: str, version: str = "1.0") -> None:
        """A distribution without a wheel, whose build leaves a word in the shared cache if it finds one."""
        project = self.folder / name
        project.mkdir(parents=True, exist_ok=True)
        backend = _BUILD_BACKEND.replace("NAME", name).replace("VERSION", version)
        settings = "[build-system]\nrequires = []\nbuild-backend = 'own'\nbackend-path = ['.']\n"
        about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as tar:
            for path, text in (("own.py", backend), ("pyproject.toml", settings), ("PKG-INFO", about)):
                entry = tarfile.TarInfo(f"{name}-{version}/{path}")
                entry.size = len(text)
                tar.addfile(entry, io.BytesIO(text.encode()))
        (project / f"{name}-{version}.tar.gz").write_bytes(gzip.compress(raw.getvalue()))

    def settings(self, bench: Bench, **changes: Any) -> InstallSettings:
        """The index, with a password in its address, and a company's own certificate authority."""
        authority = self.folder / "ca.pem"
        authority.write_text(f"# a-company-of-our-own\n{_some_certificates()}")
        values: dict[str, Any] = {
            "index_url": f"http://user:geheim@{self.host}/",
            "trusted_host": (self.host.partition(":")[0], self.host),
            "cert": str(authority),
            "http_proxy": "",
            "https_proxy": "http://proxy:geheimer@127.0.0.1:9",
        }
        return InstallSettings(**{**values, **changes})


def _some_certificates() -> str:
    import certifi

    return Path(certifi.where()).read_text()


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, docker_bench: Bench) -> Iterator[Index]:
    found = Index(tmp_path_factory.mktemp("index"))
    yield found
    found.close()


def build(bench: Bench, install: InstallSettings, *names: str, lines: list[str] | None = None, **changes: Any) -> Image:
    bench.image()
    wanted = [Dependency(name=name, version="1.0", restraint=Restraint.EXACT) for name in names]
    told = bench.lines if lines is None else lines
    # Where the index listens.
    changes.setdefault("build_network", "host")
    return bench.backend(install=install, **changes).build(bench.plan(*wanted), told.append)


def answer(client: Any, image: Image, module: str) -> str:
    code = f"import {module}; print({module}.ANSWER)"
    said: bytes = client.containers.run(image.reference, ["python", "-c", code], remove=True, network_mode="none")
    return said.decode().strip()


def in_the_cache(client: Any, bench: Bench) -> list[str]:
    """Names at the top of the shared cache."""
    mount = docker.types.Mount("/mnt", CACHE_VOLUME, type="volume", read_only=True)
    said: bytes = client.containers.run(bench.image().reference, ["ls", "/mnt"], remove=True, mounts=[mount])
    return said.decode().split()


def names(bench: Bench, *stems: str) -> list[str]:
    """Names that no other session has put into the cache."""
    return [f"{stem}{bench.token}" for stem in stems]


def test_a_wheel_that_one_build_has_fetched_is_there_for_the_next(
    docker_bench: Bench, index: Index, client: Any
) -> None:
    shared, own, other = names(docker_bench, "shared", "own", "other")
    for name in (shared, own, other):
        index.add_wheel(name)
    first = build(docker_bench, index.settings(docker_bench), shared, own)
    fetched = len(index.asked)
    assert any(shared in path for path in index.asked)
    second = build(docker_bench, index.settings(docker_bench), shared, other)
    assert [layer.reused for layer in second.layers] == [True, False, False]
    assert not any(shared in path and path.endswith(".whl") for path in index.asked[fetched:])
    assert any(other in path for path in index.asked[fetched:])
    assert answer(client, first, own) == answer(client, second, other) == "42"


def test_what_has_no_wheel_is_made_without_the_shared_cache(docker_bench: Bench, index: Index, client: Any) -> None:
    [source] = names(docker_bench, "source")
    index.add_source(source)
    lines: list[str] = []
    image = build(docker_bench, index.settings(docker_bench), source, lines=lines)
    assert answer(client, image, source) == "43"
    assert any("without the shared cache" in line for line in lines)
    assert f"from-{source}" not in in_the_cache(client, docker_bench)


def test_nothing_that_was_installed_runs_beside_the_shared_cache(
    docker_bench: Bench, index: Index, client: Any
) -> None:
    [lurking] = names(docker_bench, "lurking")
    index.add_wheel(lurking)
    build(docker_bench, index.settings(docker_bench), lurking)
    assert lurking not in in_the_cache(client, docker_bench)


def test_a_python_that_uv_does_not_serve_is_served_by_pip_and_its_cache(
    docker_bench: Bench, index: Index, client: Any
) -> None:
    """The real thing is an image of Python 3.7; here the row says so, and pip is what is left."""
    old, newer = names(docker_bench, "old", "newer")
    for name in (old, newer):
        index.add_wheel(name)
    runtime = replace(docker_bench.runtime, python="3.7")
    settings = index.settings(docker_bench)
    images = []
    for wanted in ((old,), (old, newer)):
        fetched = len(index.asked)
        plan = docker_bench.plan(
            *(Dependency(name=name, version="1.0", restraint=Restraint.EXACT) for name in wanted), runtime=runtime
        )
        images.append(
            docker_bench.backend(install=settings, build_network="host").build(plan, docker_bench.lines.append)
        )
    assert "Successfully installed" in Path(images[-1].layers[1].log).read_text()
    assert not any(old in path and path.endswith(".whl") for path in index.asked[fetched:])
    assert answer(client, images[-1], newer) == "42"


def test_without_an_index_a_folder_of_wheels_is_enough(docker_bench: Bench, index: Index, client: Any) -> None:
    [wheel] = names(docker_bench, "wheelhouse")
    index.add_wheel(wheel)
    closed = InstallSettings(no_index=True, find_links=(str(index.folder / wheel),))
    fetched = len(index.asked)
    image = build(docker_bench, closed, wheel, build_network="none")
    assert answer(client, image, wheel) == "42"
    assert len(index.asked) == fetched
    with pytest.raises(BuildFailed) as caught:
        build(docker_bench, closed, *names(docker_bench, "absent"), build_network="none")
    assert caught.value.code == "BLD002"
    assert docker_bench.token in caught.value.message


def test_no_password_authority_or_wheel_is_in_the_image_its_history_or_its_log(
    docker_bench: Bench, index: Index, client: Any, tmp_path: Path
) -> None:
    """The password of an index that the base layer is made with is looked for in `test_container_sandbox`."""
    [clean] = names(docker_bench, "clean")
    index.add_wheel(clean)
    lines: list[str] = []
    image = build(docker_bench, index.settings(docker_bench), clean, lines=lines)
    found = client.images.get(image.reference)
    told = json.dumps([found.attrs, found.history()]) + "\n".join(lines)
    told += "".join(Path(layer.log).read_text() for layer in image.layers if layer.log)
    for secret in SECRETS:
        assert secret not in told
    saved = tmp_path / "image.tar"
    with saved.open("wb") as file:
        for piece in found.save():
            file.write(piece)
    seen = 0
    with tarfile.open(saved) as outer:
        # Beside the base image's own layers, which nothing here has written.
        base = set(client.images.get(docker_bench.runtime.base_image).attrs["RootFS"]["Layers"])
        manifest = json.load(_file(outer, "manifest.json"))[0]
        config = json.load(_file(outer, manifest["Config"]))
        for layer, identity in zip(manifest["Layers"], config["rootfs"]["diff_ids"], strict=True):
            if identity in base:
                continue
            with tarfile.open(fileobj=_file(outer, layer)) as inner:
                for member in inner:
                    name = member.name.lstrip("./")
                    assert not name.endswith((".whl", "ca.pem")), name
                    assert not name.startswith(("tmp/", "mnt/")), name
                    if member.isfile():
                        content = _file(inner, member.name).read()
                        seen += 1
                        for secret in SECRETS:
                            assert secret.encode() not in content, (name, secret)
    assert seen > 100


def _file(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    assert file is not None, name
    return file
