"""A real S3-compatible server on this machine: OpenStack Swift with its s3api, on the loopback interface by default.

    python -m scripts.object_server            runs until Ctrl-C and prints how to reach it
    python -m scripts.object_server --port 9000

In code:

    with ObjectServer(Path("some/folder")) as server:
        boto3.client("s3", endpoint_url=server.endpoint_url, …)

Credentials are made at the first start and kept in the state folder, in a file that only the owner can read. Objects
stay in the state folder, too. The environment that Swift runs in is made once, from requirements-object-server.lock.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import getpass
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

from scripts import bootstrap, swift_config
from scripts.children import ChildFailed, Interrupted, Keeper, interruptible
from scripts.local_state import (
    ROOT,
    LocalError,
    claim,
    free_ports,
    kept_values,
    port_is_free,
    private_dir,
    read_json,
    state_dir,
    write_private,
)

REGION = "us-east-1"
LOOPBACK = "127.0.0.1"
LOCK_FILE = ROOT / "requirements-object-server.lock"
#: For every secret of a server the function that makes it.
CREDENTIALS = {
    "account": lambda: f"airlock{secrets.token_hex(4)}",
    "user": lambda: "airlock",
    "secret_key": lambda: secrets.token_urlsafe(30),
    "hash_prefix": lambda: secrets.token_hex(16),
    "hash_suffix": lambda: secrets.token_hex(16),
}
START_TIMEOUT_S = 60.0
# Nothing of worth is in flight when these are asked to end.
GRACE_S = 3.0
CLAIM_TRIES = 3


class ObjectServerError(LocalError):
    """The object server cannot run here; the message says why and what helps."""


class ObjectServer:
    """Swift's four servers (account, container, object, proxy) as children of this process.

    Attributes:
        state_dir: Folder of objects, configuration, credentials and logs. One running server for each.
        endpoint_url: Where S3 clients connect, path-style addressing. Known after start().
        region: The region for signatures.
        access_key: The S3 access key, `account:user`.
        secret_key: The S3 secret key.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        host: str = LOOPBACK,
        port: int | None = None,
        venv_dir: Path | None = None,
        credentials: Path | None = None,
    ) -> None:
        """Prepares nothing yet.

        Args:
            state_dir: Where it keeps everything; it must be on a file system with extended attributes.
            host: The address that the proxy listens on; the other three servers keep to the loopback interface.
            port: The proxy's port; the last one or any free one when None.
            venv_dir: A virtual environment with Swift in it, used as it is; by default the one that all servers of
                this project share, which is made when it is missing.
            credentials: The file of the credentials, by default one in the state folder.
        """
        self.state_dir = state_dir.absolute()
        self.region = REGION
        self.endpoint_url = ""
        self._host = host
        self._port = port
        self._venv = venv_dir
        self._keeper = Keeper(GRACE_S)
        self._lock: int | None = None
        self._stopping = threading.Lock()
        private_dir(self.state_dir)
        #: Its own file; one that was given is somebody else's to write.
        self._own_file = None if credentials else self.state_dir / "credentials.json"
        kept = kept_values(credentials or self.state_dir / "credentials.json", CREDENTIALS)
        self._kept = kept
        self.access_key = f"{kept['account']}:{kept['user']}"
        self.secret_key = kept["secret_key"]

    def __enter__(self) -> ObjectServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def log_dir(self) -> Path:
        """Folder of one log per server."""
        return self.state_dir / "log"

    def start(self) -> None:
        """Starts the four servers and returns when all of them answer.

        Raises:
            ObjectServerError: It cannot run on this machine.
            ChildFailed: A server ended, its log says why.
        """
        if sys.platform != "linux":
            raise ObjectServerError("the object server (OpenStack Swift) runs on Linux only")
        if self._venv is None:
            bootstrap.sync_environment(default_venv_dir(), LOCK_FILE)
        _check_extended_attributes(self.state_dir)
        try:
            self._claim()
            for attempt in range(1, CLAIM_TRIES + 1):
                ports = self._choose_ports()
                swift_config.write(
                    self.state_dir,
                    ports,
                    account=self._kept["account"],
                    user=self._kept["user"],
                    secret_key=self.secret_key,
                    hash_prefix=self._kept["hash_prefix"],
                    hash_suffix=self._kept["hash_suffix"],
                    region=REGION,
                    host=self._host,
                    run_as=getpass.getuser(),
                )
                try:
                    self._launch(ports, attempt)
                    break
                except ChildFailed:
                    # Between choosing a port and listening on it another program can take it.
                    if attempt == CLAIM_TRIES or all(port_is_free(port) for port in ports.values()):
                        raise
                    self._keeper.stop()
                    self._keeper = Keeper(GRACE_S)
                    self._claim()
            self._write_keys()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends the four servers; what they stored stays."""
        self._keeper.stop()
        # A start in one thread and a stop in another may both come here.
        with self._stopping:
            lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def check(self) -> None:
        """Raises ChildFailed when one of the servers has ended."""
        self._keeper.check(swift_config.SERVERS)

    def airflow_connection_json(self) -> str:
        """Returns the value of an AIRFLOW_CONN_… variable for this server."""
        return json.dumps(airflow_connection(self.endpoint_url, self.region, self.access_key, self.secret_key))

    def _write_keys(self) -> None:
        """Writes what a client needs beside the secrets that it comes from: the access key is made of two of them."""
        if self._own_file is not None:
            told = {"endpoint": self.endpoint_url, "access_key": self.access_key, **self._kept}
            write_private(self._own_file, json.dumps(told, indent=2) + "\n")

    def _claim(self) -> None:
        if self._lock is None:
            self._lock = claim(self.state_dir / "server.lock")
            if self._lock is None:
                raise ObjectServerError(f"another object server runs from {self.state_dir}")
        self._keeper.hold(self._lock)

    def _choose_ports(self) -> dict[str, int]:
        last = read_json(self.state_dir / "ports.json") or {}
        if self._port is not None and not port_is_free(self._port):
            raise ObjectServerError(f"port {self._port} of 127.0.0.1 is in use; choose another with --port")
        wanted = [last.get(name, 0) for name in swift_config.SERVERS]
        if self._port is not None:
            wanted[swift_config.SERVERS.index("proxy")] = self._port
        # The same ports again mean the same rings and, for whoever wrote it down, the same address.
        if not all(wanted) or not all(port_is_free(port) for port in wanted):
            wanted = free_ports(len(swift_config.SERVERS))
            if self._port is not None:
                wanted[swift_config.SERVERS.index("proxy")] = self._port
        ports = dict(zip(swift_config.SERVERS, wanted, strict=True))
        write_private(self.state_dir / "ports.json", json.dumps(ports) + "\n")
        return ports

    def _launch(self, ports: dict[str, int], attempt: int) -> None:
        folder = (self._venv or default_venv_dir()) / "bin"
        python = folder / "python"
        self.log_dir.mkdir(exist_ok=True)
        env = bootstrap.clean_environment()
        env["PYTHONWARNINGS"] = "ignore"
        swift_config.make_rings(self._keeper, python, self.state_dir, ports, env=env, name=f"rings-{attempt}")
        for name in swift_config.SERVERS:
            log = self.log_dir / f"{name}.log"
            log.unlink(missing_ok=True)
            argv = [str(python), str(folder / f"swift-{name}-server"), str(self.state_dir / f"{name}.conf"), "-v"]
            self._keeper.start(name, argv, env=env, log=log, cwd=self.state_dir)
        self._wait_until_healthy(ports)
        self.endpoint_url = f"http://127.0.0.1:{ports['proxy']}"

    def _wait_until_healthy(self, ports: dict[str, int]) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        waiting = set(swift_config.SERVERS)
        # Never by way of a proxy that the environment may name.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while waiting:
            for name in sorted(waiting):
                # Before it listens, and when the answer is not 200.
                with contextlib.suppress(OSError):
                    opener.open(f"http://127.0.0.1:{ports[name]}/healthcheck", timeout=5).close()
                    waiting.discard(name)
            if waiting:
                if time.monotonic() > deadline:
                    name = min(waiting)
                    reason = f"did not answer within {START_TIMEOUT_S:.0f} s"
                    raise ChildFailed(name, reason, self.log_dir / f"{name}.log")
                self._keeper.wait_any(swift_config.SERVERS, 0.05)
        self.check()


def airflow_connection(endpoint_url: str, region: str, access_key: str, secret_key: str) -> dict[str, Any]:
    """Returns the Airflow Connection to an object server."""
    return {
        "conn_type": "aws",
        "login": access_key,
        "password": secret_key,
        "extra": {
            "endpoint_url": endpoint_url,
            "region_name": region,
            "config_kwargs": {
                "s3": {"addressing_style": "path"},
                # Swift checks the new default checksums but does not send them back.
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            },
        },
    }


def default_venv_dir() -> Path:
    """Returns the environment that all object servers of this project share."""
    return state_dir() / "object-server" / "venv"


def _check_extended_attributes(folder: Path) -> None:
    """Swift keeps what it knows of an object in extended attributes of its file."""
    descriptor, name = tempfile.mkstemp(dir=folder)
    os.close(descriptor)
    try:
        os.setxattr(name, "user.airlock", b"1")
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.EPERM):
            raise ObjectServerError(
                f"{folder} is on a file system without extended attributes, which Swift needs; "
                "set AIRLOCK_STATE to a folder on ext4, xfs or btrfs"
            ) from error
        raise
    finally:
        os.unlink(name)


def main() -> int:
    """Runs the server in the foreground."""
    parser = argparse.ArgumentParser(prog="python -m scripts.object_server", description=__doc__.split("\n")[0])
    parser.add_argument("--host", default=LOOPBACK, help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", type=int, help="port (default: the last one, or any that is free)")
    parser.add_argument("--state", type=Path, help="state folder (default: .airlock/object-server/state)")
    parser.add_argument("--credentials", type=Path, help="file of its secrets (default: one in the state folder)")
    parser.add_argument("--venv", type=Path, help="environment with Swift in it (default: one that is made here)")
    parser.add_argument("--wipe", action="store_true", help="start without the objects of earlier runs")
    arguments = parser.parse_args()
    folder = arguments.state or state_dir() / "object-server" / "state"
    if arguments.wipe:
        shutil.rmtree(folder / "disk", ignore_errors=True)
    try:
        server = ObjectServer(
            folder,
            host=arguments.host,
            port=arguments.port,
            venv_dir=arguments.venv,
            credentials=arguments.credentials,
        )
        with interruptible(), server:
            print(f"endpoint    {server.endpoint_url} (path-style, region {server.region})")
            print(f"access key  {server.access_key}")
            print(f"secret key  in {arguments.credentials or folder / 'credentials.json'}", flush=True)
            while True:
                server.check()
                time.sleep(0.5)
    except Interrupted as interrupted:
        print("stopped")
        return interrupted.exit_code
    except (LocalError, OSError) as error:
        print(f"object server: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
