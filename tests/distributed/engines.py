"""A second container engine beside the machine's own: what one has, the other gets by a registry only.

It has a bridge of its own. Told to have none, an engine takes away `docker0`, which is the other one's.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from pathlib import Path

import docker

PROGRAM = "dockerd"
TIMEOUT_S = 60.0
#: Source: RFC 2544, appendix C.2.2.
BRIDGE_ADDRESS = "198.18.255.1/24"


def can_be_made() -> bool:
    """Whether this user may start one."""
    return shutil.which(PROGRAM) is not None and shutil.which("ip") is not None and os.geteuid() == 0


class Engine:
    """A Docker Engine of its own, whose containers reach nothing: services under test have no network anyway.

    Attributes:
        url: Where it answers, as DOCKER_HOST takes it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._folder = folder
        self._bridge = f"al{secrets.token_hex(4)}"
        _ip("link", "add", "name", self._bridge, "type", "bridge")
        self.url = f"unix://{folder / 'e.sock'}"
        arguments = [
            f"--host={self.url}", f"--data-root={folder / 'data'}", f"--exec-root={folder / 'exec'}",
            f"--pidfile={folder / 'pid'}", f"--bridge={self._bridge}", "--iptables=false", "--ip6tables=false",
            f"--storage-driver={_driver()}",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None
        try:
            # Of the addresses for benchmarks, which nobody else routes.
            _ip("address", "add", BRIDGE_ADDRESS, "dev", self._bridge)
            with (folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [PROGRAM, *arguments], stdout=log, stderr=log, stdin=subprocess.DEVNULL
                )
            self._until_it_answers(self._process)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End it, and forget what it had."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(TIMEOUT_S)
        _ip("link", "delete", self._bridge)
        shutil.rmtree(self._folder, ignore_errors=True)

    def client(self) -> docker.DockerClient:
        """A client of it."""
        return docker.DockerClient(base_url=self.url)

    def _until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + TIMEOUT_S
        while True:
            said = (self._folder / "log").read_text()
            assert process.poll() is None, said[-4000:]
            assert time.monotonic() < deadline, said[-4000:]
            # Not by the client, which leaves a socket open where nobody listens.
            with socket.socket(socket.AF_UNIX) as probe:
                if probe.connect_ex(self.url.removeprefix("unix://")) == 0:
                    break
            time.sleep(0.1)
        client = self.client()
        try:
            client.ping()
        finally:
            client.close()


def _driver() -> str:
    """What the machine's own engine uses: it works here."""
    client = docker.from_env()
    try:
        return str(client.info()["Driver"])
    finally:
        client.close()


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
