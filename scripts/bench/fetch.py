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
from scripts.bench.table import Row
from scripts.local_state import ROOT
from scripts.object_server import ObjectServer

BUCKET = "bench"
CONNECTION = "airlock_s3"
_PART_BYTES = 64 * 1024 * 1024


class FetchBench:
    """A server with packages in it, and both ways to get them.

    Args:
        folder: Where everything lies; gone at the end.
        server: The running server.
        s5cmd: The other side's program.
    """

    def __init__(self, folder: Path, server: ObjectServer, s5cmd: Path) -> None:
        self.folder = folder
        self.server = server
        self._s5cmd = s5cmd
        self._target = folder / "target"
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "AIRFLOW"))},
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
            "AIRFLOW_HOME": str(folder / "airflow"),
            f"AIRFLOW_CONN_{CONNECTION.upper()}": server.airflow_connection_json(),
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
            "S3_ENDPOINT_URL": server.endpoint_url,
        }

    def upload(self, package: str, sizes: list[int]) -> None:
        """Writes a package of random files into the bucket."""
        source = self.folder / "source" / package / "model"
        source.mkdir(parents=True)
        for number, size in enumerate(sizes):
            with (source / f"{number:05d}.bin").open("wb") as file:
                left = size
                while left:
                    left -= file.write(os.urandom(min(left, _PART_BYTES)))
        self._s5("cp", f"{source.parent}/", f"s3://{BUCKET}/{package}/")
        shutil.rmtree(source.parent)

    def make_bucket(self) -> None:
        """Makes the bucket."""
        self._s5("mb", f"s3://{BUCKET}")

    def s5cmd(self, package: str) -> Taken:
        """One copy by s5cmd."""
        return self._s5("cp", f"s3://{BUCKET}/{package}/*", f"{self._target}/")

    def _s5(self, *arguments: str) -> Taken:
        return take([str(self._s5cmd), *arguments], env=self.env, cwd=self.folder, log=self.folder / "s5cmd.log")

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

    def clean(self) -> None:
        """Removes what a copy made, and waits until the disk has nothing left to write."""
        shutil.rmtree(self._target, ignore_errors=True)
        self._target.mkdir()
        os.sync()


@contextmanager
def fetch_bench(folder: Path, s5cmd: Path) -> Iterator[FetchBench]:
    """A server of its own, and the bench on it."""
    folder.mkdir()
    with ObjectServer(folder / "server") as server:
        bench = FetchBench(folder, server, s5cmd)
        bench.make_bucket()
        yield bench


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
    for package, sizes, name, target in (
        ("one", [big_bytes], f"fetch of one object of {big_bytes / 1e9:g} GB, hashed and synced, to s5cmd", 1.0),
        ("many", [20_000] * 2000, "fetch of 2,000 objects of 20 KB, hashed and synced, to s5cmd", 0.7),
    ):
        tell(f"uploading {sum(sizes):,} bytes in {len(sizes):,} objects")
        bench.upload(package, sizes)
        tell(f"fetching them {runs} times each way")
        taken = in_turns(
            runs,
            {"ours": lambda: bench.ours(package), "s5cmd": lambda: bench.s5cmd(package)},  # noqa: B023
            bench.clean,
        )
        ours, other = median_s(taken["ours"]), median_s(taken["s5cmd"])
        yield Row(name=name, value=ours / other, unit="ratio", target=target, ours=ours, anchor=other)
    bench.clean()
    bench.ours("one")
    again = bench.ours("one")
    name = "fetch of the same bytes again, no object body read"
    yield Row(name=name, value=again.seconds, unit="s", target=3.0)
    yield Row(name="bytes that the second fetch read", value=bench.report()["bytes_read"], unit="bytes", target=0)
    if huge_bytes:
        tell(f"uploading {huge_bytes:,} bytes")
        bench.upload("huge", [huge_bytes // 4] * 4)
        bench.clean()
        tell("fetching them")
        peak = bench.ours("huge").peak_bytes
        name = f"peak memory of the fetch of {huge_bytes / 1e9:g} GB"
        yield Row(name=name, value=peak / 1e6, unit="MB", target=300)
    bench.clean()
