"""Fetching a package: ours, hashed and synced to the disk, against s5cmd, which does neither."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.bench.measure import Taken, in_turns, median_s, take
from scripts.bench.servers import BUCKET, BenchServer, LightServer, SwiftServer, client_environment
from scripts.bench.table import Row
from scripts.local_state import ROOT

CONNECTION = "airlock_s3"


class FetchBench:
    """A server with packages in it, and both ways to get them.

    Args:
        folder: Where everything lies; gone at the end.
        server: The running server.
        s5cmd: The other side's program.
    """

    def __init__(self, folder: Path, server: BenchServer, s5cmd: Path) -> None:
        self.folder = folder
        self.server = server
        self._s5cmd = s5cmd
        self._copies = 0
        self._target = folder / "copy-0"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW"))},
            **client_environment(server),
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
            "AIRFLOW_HOME": str(folder / "airflow"),
            f"AIRFLOW_CONN_{CONNECTION.upper()}": server.airflow_connection_json(),
        }

    def s5cmd(self, package: str) -> Taken:
        """One copy by s5cmd."""
        argv = [str(self._s5cmd), "cp", f"s3://{BUCKET}/{package}/*", f"{self._target}/"]
        return take(argv, env=self.env, cwd=self.folder, log=self.folder / "s5cmd.log")

    def ours(self, package: str) -> Taken:
        """One fetch into a new store; the start of Python and of Airflow's libraries is not counted."""
        take(
            [
                *(sys.executable, "-m", "scripts.bench.fetch_once", f"s3://{BUCKET}/{package}/"),
                *("--connection", CONNECTION, "--store", str(self._target / "store")),
                *("--report", str(self.folder / "ours.json")),
            ],
            env=self.env,
            cwd=ROOT,
            log=self.folder / "ours.log",
        )
        report = self.report()
        return Taken(seconds=report["seconds"], cpu_seconds=report["cpu_seconds"], peak_bytes=int(report["peak_bytes"]))

    def report(self) -> dict[str, float]:
        """What the last fetch of ours said."""
        report: dict[str, float] = json.loads((self.folder / "ours.json").read_text(encoding="utf-8"))
        return report

    def clean(self, *, keep: bool = False) -> None:
        """A new folder for a copy, once the disk has nothing left to write.

        Args:
            keep: Whether what the last copy made stays until the end. Many small files must: for a minute ext4 does not
                give the number of a deleted file to another one, and looks past all of them for each file it makes, so
                that every copy would take longer than the one before.
        """
        if not keep:
            shutil.rmtree(self._target, ignore_errors=True)
        self._copies += 1
        self._target = self.folder / f"copy-{self._copies}"
        self._target.mkdir()
        os.sync()


@contextmanager
def fetch_bench(folder: Path, s5cmd: Path, server: str = "light") -> Iterator[FetchBench]:
    """A server of its own, and the bench on it.

    Args:
        folder: Where everything lies.
        s5cmd: The other side's program.
        server: `light`, or `swift` for the one that the tests use.
    """
    folder.mkdir()
    if server == "light":
        with LightServer(folder / "server") as light:
            yield FetchBench(folder, light, s5cmd)
    else:
        swift = SwiftServer(folder, s5cmd)
        with swift:
            yield FetchBench(folder, swift, s5cmd)


def rows(
    bench: FetchBench, *, runs: int, big_bytes: int, huge_bytes: int, tell: Callable[[str], None]
) -> Iterator[Row]:
    """The rows about fetching.

    Args:
        bench: The server.
        runs: How often each side is run.
        big_bytes: Length of the one long object.
        huge_bytes: Length of the package whose memory is measured; 0 leaves that row out.
        tell: Takes a line of progress.
    """
    for package, sizes, name, target, keep in (
        # First, while nothing was deleted yet that a copy after it would have to look past.
        ("many", [20_000] * 2000, "fetch of 2,000 objects of 20 KB, hashed and synced, to s5cmd", 0.7, True),
        ("one", [big_bytes], f"fetch of one object of {big_bytes / 1e9:g} GB, hashed and synced, to s5cmd", 1.0, False),
    ):
        tell(f"making {sum(sizes):,} bytes in {len(sizes):,} objects")
        bench.server.put(package, sizes)
        tell(f"fetching them {runs} times each way")
        taken = in_turns(
            runs,
            {"ours": lambda: bench.ours(package), "s5cmd": lambda: bench.s5cmd(package)},  # noqa: B023
            lambda: bench.clean(keep=keep),  # noqa: B023
        )
        ours, other = median_s(taken["ours"]), median_s(taken["s5cmd"])
        yield Row(name=name, value=ours / other, unit="ratio", target=target, ours=ours, anchor=other)
    yield from _again(bench)
    if huge_bytes:
        yield _memory(bench, huge_bytes, tell)
    bench.clean()


def _again(bench: FetchBench) -> Iterator[Row]:
    bench.clean()
    bench.ours("one")
    before = bench.server.object_requests()
    again = bench.ours("one")
    yield Row(
        name="import of the same bytes again, until the package is there", value=again.seconds, unit="s", target=3
    )
    asked = bench.server.object_requests() - before
    yield Row(name="requests for an object's body that it made", value=asked, unit="requests", target=0)


def _memory(bench: FetchBench, size_bytes: int, tell: Callable[[str], None]) -> Row:
    # Zeros: they take no room where they are served from, and the same way through the step as any other bytes.
    bench.server.put("huge", [size_bytes // 4] * 4, sparse=True)
    bench.clean()
    tell(f"fetching {size_bytes:,} bytes")
    peak = bench.ours("huge").peak_bytes
    return Row(name=f"peak memory of the fetch of {size_bytes / 1e9:g} GB", value=peak / 1e6, unit="MB", target=300)
