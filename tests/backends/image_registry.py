"""A real container registry on loopback, and images to put into it that no build can make."""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
import time
from pathlib import Path
from typing import Any

ACCOUNT, PASSWORD = "reader", "let-me-read"
#: bcrypt of the password, which is all that the registry takes.
_ENTRY = "reader:$2a$04$abcdefghijklmnopqrstuuChb8jVI3HQ4A3k82nxM57Wn5aI.G0Jq\n"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
PROGRAM = "docker-registry"


def installed() -> bool:
    """Whether the registry's program is there (Debian: docker-registry)."""
    return shutil.which(PROGRAM) is not None


class ImageRegistry:
    """A registry process with its own storage.

    Attributes:
        host: Its address, as image references name it.
    """

    def __init__(self, folder: Path, *, guarded: bool = False) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.host = f"127.0.0.1:{self.port}"
        folder.mkdir(parents=True)
        config: dict[str, Any] = {
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(folder / "data")}},
            "http": {"addr": self.host},
        }
        if guarded:
            (folder / "accounts").write_text(_ENTRY)
            config["auth"] = {"htpasswd": {"realm": "images", "path": str(folder / "accounts")}}
        # JSON is YAML.
        (folder / "config.yml").write_text(json.dumps(config))
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "serve", str(folder / "config.yml")], stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            self._until_it_answers()
        except BaseException:
            self.close()
            raise

    def _until_it_answers(self) -> None:
        deadline = time.monotonic() + 60
        while True:
            try:
                with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                    return
            except OSError:
                said = (self.folder / "log").read_text()
                assert self._process.poll() is None, said
                assert time.monotonic() < deadline, said
                time.sleep(0.05)

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=10)

    # ── images made by hand ──────────────────────────────────────────────────────────────────────────────────────────

    def put_image(self, repository: str, tag: str, *, architecture: str = "amd64", size_bytes: int = 1000) -> bytes:
        """An image of one file with random bytes, which starts nothing that exists.

        Returns:
            Its manifest.
        """
        raw = io.BytesIO()
        with tarfile.open(fileobj=raw, mode="w") as archive:
            entry = tarfile.TarInfo("data")
            entry.size = size_bytes
            archive.addfile(entry, io.BytesIO(os.urandom(size_bytes)))
        layer = gzip.compress(raw.getvalue())
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/data"]},
            "rootfs": {"type": "layers", "diff_ids": [_digest(raw.getvalue())]},
        }
        text = json.dumps(config).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": {
                "mediaType": "application/vnd.docker.container.image.v1+json",
                "size": len(text),
                "digest": self._put_blob(repository, text),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",
                    "size": len(layer),
                    "digest": self._put_blob(repository, layer),
                }
            ],
        }
        return self._put_manifest(repository, tag, manifest)

    def put_list(self, repository: str, tag: str, architectures: dict[str, bytes]) -> None:
        """A list of manifests: architecture → manifest."""
        entries = [
            {
                "mediaType": _MANIFEST,
                "size": len(manifest),
                "digest": _digest(manifest),
                "platform": {"architecture": architecture, "os": "linux"},
            }
            for architecture, manifest in architectures.items()
        ]
        self._put_manifest(repository, tag, {"schemaVersion": 2, "mediaType": _LIST, "manifests": entries})

    def damage(self, digest: str) -> None:
        """Change the end of a blob in the registry's storage, behind its back."""
        name = digest.removeprefix("sha256:")
        path = self.folder / "data/docker/registry/v2/blobs/sha256" / name[:2] / name / "data"
        path.write_bytes(path.read_bytes()[:-5] + b"other")

    def _put_blob(self, repository: str, data: bytes) -> str:
        digest = _digest(data)
        _, headers = self._ask("POST", f"/v2/{repository}/blobs/uploads/")
        place = headers["Location"].partition(self.host)[2]
        self._ask("PUT", f"{place}&digest={digest}", data, "application/octet-stream")
        return digest

    def _put_manifest(self, repository: str, tag: str, manifest: dict[str, Any]) -> bytes:
        data = json.dumps(manifest).encode()
        self._ask("PUT", f"/v2/{repository}/manifests/{tag}", data, manifest["mediaType"])
        return data

    def _ask(self, method: str, path: str, data: bytes = b"", kind: str = "") -> tuple[bytes, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body=data, headers={"Content-Type": kind} if kind else {})
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status < 300, (method, path, answer.status, body)
            return body, answer.headers
        finally:
            connection.close()


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()
