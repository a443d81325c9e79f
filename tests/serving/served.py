"""A server of the serving code as a child process, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serving_interpreters import Interpreter

PACKAGES = Path(__file__).resolve().parent / "packages"
START_TIMEOUT_S = 30
STOP_TIMEOUT_S = 15
BOUNDARY = "----------airlock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One response."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def json(self) -> Any:
        """The body as JSON (NaN is read too)."""
        return json.loads(self.body.decode("utf-8"))


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Server:
    """A running server; ``folder`` is its own and holds its home, its log and its socket."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.home = folder / "home"
        self.port = 0
        self._is_told = False

    @property
    def log(self) -> str:
        """Everything that the server wrote so far."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def connection(self, *, unix: bool = False, timeout: float = 20) -> http.client.HTTPConnection:
        """Open a connection over TCP, or over the Unix socket."""
        if unix:
            return UnixConnection(str(self.folder / "socket"), timeout)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        unix: bool = False,
        timeout: float = 20,
    ) -> Answer:
        """Send one request on a connection of its own."""
        connection = self.connection(unix=unix, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(status=response.status, body=response.read(), headers=dict(response.getheaders()))
        finally:
            connection.close()

    def post(self, document: Any, path: str = "/", **options: Any) -> Answer:
        """Send a JSON document."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        return self.request("POST", path, body, {"Content-Type": "application/json"}, **options)

    def post_form(self, *parts: tuple[str, str | None, bytes], path: str = "/", **options: Any) -> Answer:
        """Send a multipart form of (field, file name or None, content)."""
        body, content_type = form(*parts)
        return self.request("POST", path, body, {"Content-Type": content_type}, **options)

    def wait_for_log(self, pattern: str, timeout: float = 10) -> re.Match[str]:
        """Wait until the log matches."""
        return wait_for(lambda: re.search(pattern, self.log), timeout, f"no {pattern!r} in the log")

    def lines(self, label: str) -> list[dict[str, Any]]:
        """Return the JSON of every log line with that label."""
        return [json.loads(line) for line in re.findall(rf"^{label} (\{{.*\}})$", self.log, re.MULTILINE)]

    def workers(self) -> list[int]:
        """Return the process identifiers of the workers that live now."""
        listing = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(self.process.pid)], capture_output=True, text=True, check=False
        )
        return [int(pid) for pid in listing.stdout.split()]

    def connections(self) -> int:
        """Return how many connections over TCP the workers have."""
        listens = "0A"
        sockets = {os.readlink(link) for pid in self.workers() for link in Path(f"/proc/{pid}/fd").iterdir()}
        rows = [line.split() for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        return sum(f"socket:[{row[9]}]" in sockets and row[3] != listens for row in rows)

    def tell_to_stop(self, kind: int = signal.SIGTERM) -> None:
        """Send the signal, once: a second one may meet an interpreter that has put its own handlers away."""
        if not self._is_told and self.process.poll() is None:
            self.process.send_signal(kind)
        self._is_told = True

    def stop(self, kind: int = signal.SIGTERM) -> int:
        """Stop the server and return its exit status."""
        self.tell_to_stop(kind)
        try:
            return self.process.wait(STOP_TIMEOUT_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


def form(*parts: tuple[str, str | None, bytes]) -> tuple[bytes, str]:
    """Return the body and the content type of a multipart form."""
    body = b""
    for field, file_name, content in parts:
        disposition = f'form-data; name="{field}"'
        if file_name is not None:
            disposition += f'; filename="{file_name}"'
        body += f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def wait_for(check: Any, timeout: float, message: str) -> Any:
    """Call until the result is true, and return it."""
    ends_at = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > ends_at:
            raise AssertionError(f"{message} within {timeout:g} s")
        time.sleep(0.02)


@contextmanager
def launch(interpreter: Interpreter, package: Path | None, **variables: str) -> Iterator[Server]:
    """Start a server on a package folder and leave at once; it is stopped and swept in the end."""
    # Short, because the path of a Unix socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="airlock-"))
    defaults = {"AIRLOCK_HOME": str(folder / "home"), "AIRLOCK_BIND": f"127.0.0.1:0,unix:{folder / 'socket'}"}
    if package is not None:
        defaults["AIRLOCK_PACKAGE_DIR"] = str(package)
    start = folder / "start"
    start.mkdir()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            interpreter.command("-m", "model_service.server"),
            env=interpreter.environment(**{**defaults, **variables}),
            cwd=start,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    server = Server(process, folder)
    try:
        yield server
    finally:
        try:
            server.stop()
        finally:
            shutil.rmtree(folder)


@contextmanager
def serve(interpreter: Interpreter, package: Path | str, **variables: str) -> Iterator[Server]:
    """Start a server and wait until it answers."""
    path = PACKAGES / package if isinstance(package, str) else package
    with launch(interpreter, path, **variables) as server:

        def listening() -> re.Match[str] | None:
            if server.process.poll() is not None:
                raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log}")
            return re.search(r"Listening at: http://127\.0\.0\.1:(\d+)", server.log)

        server.port = int(wait_for(listening, START_TIMEOUT_S, "the server does not listen").group(1))
        wait_for(lambda: _answers(server), START_TIMEOUT_S, "the server does not answer")
        yield server


def fails_to_start(interpreter: Interpreter, package: Path, **variables: str) -> tuple[dict[str, Any], str]:
    """Start a server that must not come up; return its one startup line, and its log."""
    with launch(interpreter, package, **variables) as server:
        try:
            status = server.process.wait(START_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            raise AssertionError(f"the server still runs:\n{server.log}") from error
        lines = server.lines("AIRLOCK-STARTUP-ERROR")
        log = server.log
    assert status == 3, log
    assert len(lines) == 1, log
    assert log.count("Booting worker") <= 1, "the worker was started again"
    return lines[0], log


def _answers(server: Server) -> bool:
    if server.process.poll() is not None:
        raise AssertionError(f"the server ended with {server.process.returncode}:\n{server.log}")
    try:
        server.request("GET", "/health", timeout=1)
    except OSError:
        return False
    return True
