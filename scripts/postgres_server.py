"""A real PostgreSQL on this machine, on the loopback interface only, for tests and benchmarks.

    with PostgresServer(Path("some/folder")) as server:
        open_engine(server.database_url("registry"))

It runs from Debian's package `postgresql` (or any whose programs are on the PATH), as the user `postgres` where this
process is root's, because PostgreSQL refuses to be root. Nothing of it is kept: what it writes is gone with its folder.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path
from types import TracebackType

import psycopg
import psycopg.sql

from scripts.bootstrap import clean_environment
from scripts.children import ChildFailed, Keeper
from scripts.local_state import LocalError, free_ports

USER = "postgres"
START_TIMEOUT_S = 60.0
# Whoever is still connected when it ends is not waited for.
GRACE_S = 3.0
#: Nothing that it holds must outlive a loss of power, so nothing waits for the disk.
OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=64MB", "max_connections=100")


class PostgresUnavailable(LocalError):
    """It is not installed here."""


class PostgresServer:
    """One throwaway cluster.

    Attributes:
        folder: Its data and its log.
        port: Where it listens on 127.0.0.1. Known after start().
    """

    def __init__(self, folder: Path) -> None:
        """Prepares nothing yet.

        Args:
            folder: An empty or missing folder, which the user `postgres` must be able to reach.
        """
        self.folder = folder.absolute()
        self.port = 0
        self._password = secrets.token_urlsafe(24)
        self._keeper = Keeper(GRACE_S)
        self._pid = 0
        self._starts = 0

    def __enter__(self) -> PostgresServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Makes the cluster, starts it, and returns when it answers.

        Raises:
            PostgresUnavailable: No PostgreSQL is installed.
            ChildFailed: It ended, its log says why.
        """
        programs = program_folder()
        data, log, word = self.folder / "data", self.folder / "postgres.log", self.folder / "password"
        self.folder.mkdir(parents=True, exist_ok=True)
        word.write_text(self._password)
        if os.geteuid() == 0:
            for path in (self.folder, word):
                shutil.chown(path, USER, USER)
        made = subprocess.run(
            [
                *_as_user(), programs / "initdb", "--pgdata", data, "--username", USER, "--pwfile", word,
                "--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync",
            ],
            cwd="/", env=clean_environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        word.unlink()
        if made.returncode:
            log.write_text(made.stdout + made.stderr)
            raise ChildFailed("initdb", f"ended with exit code {made.returncode}", log)
        (self.port,) = free_ports(1)
        try:
            self._launch()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it."""
        self._keeper.stop()

    def interrupt(self) -> None:
        """Ends it as a crash does, which breaks off every connection; resume() starts it again."""
        os.kill(self._pid, signal.SIGQUIT)
        self._keeper.wait(self._name, START_TIMEOUT_S)

    def resume(self) -> None:
        """Starts it again after interrupt(), with its data, on its port.

        Raises:
            ChildFailed: It ended, its log says why.
        """
        self._launch()

    @property
    def _name(self) -> str:
        return f"postgres-{self._starts}"

    def _launch(self) -> None:
        programs, log = program_folder(), self.folder / "postgres.log"
        options = [
            word
            for option in (
                "listen_addresses=127.0.0.1", f"port={self.port}", f"unix_socket_directories={self.folder}", *OPTIONS,
            )
            for word in ("-c", option)
        ]  # fmt: skip
        self._starts += 1
        self._pid = self._keeper.start(
            self._name, [*_as_user(), programs / "postgres", "-D", self.folder / "data", *options],
            env=clean_environment(), log=log, cwd=Path("/"),
        )  # fmt: skip
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            if time.monotonic() > deadline:
                raise ChildFailed("postgres", f"did not answer within {START_TIMEOUT_S:.0f} s", log)
            self._keeper.wait_any([self._name], 0.1)
            self._keeper.check([self._name])

    def database_url(self, name: str = "") -> str:
        """Makes an empty database and returns its SQLAlchemy URL.

        Args:
            name: Its name; one that no other has when empty.
        """
        name = name or f"d{uuid.uuid4().hex[:12]}"
        with self._connect() as connection:
            connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name)))
        return f"postgresql+psycopg://{USER}:{self._password}@127.0.0.1:{self.port}/{name}"

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, password=self._password, dbname=USER, autocommit=True
        )

    def _answers(self) -> bool:
        try:
            self._connect().close()
        except psycopg.OperationalError:
            return False
        return True


def program_folder() -> Path:
    """Where PostgreSQL's programs are, the newest of several.

    Raises:
        PostgresUnavailable: Nowhere.
    """
    folders = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))
    on_path = shutil.which("postgres")
    if on_path:
        folders.append(str(Path(on_path).parent))
    for folder in map(Path, reversed(folders)):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise PostgresUnavailable("PostgreSQL is not installed here; Debian's package is `postgresql`")


def _as_user() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--init-groups"]
