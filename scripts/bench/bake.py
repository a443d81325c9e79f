"""Images: the model laid into one, against a build with COPY; and how soon a second model has its image."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scripts import container_engine
from scripts.bench.measure import Taken, in_turns, median_s, take
from scripts.bench.table import Row
from scripts.local_state import ROOT

_PART_BYTES = 64 * 1024 * 1024
_OTHER_TAG = "airlock-bench/copied:1"
SMALL_BYTES = 1_000_000


class BakeBench:
    """An engine with a runtime on it, and both ways to lay a model into its image.

    Args:
        folder: Where everything lies; gone at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._client = container_engine.connect()
        self._env = {
            **os.environ,
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'plugins'}",
            "AIRFLOW__AIRLOCK__WORK_DIR": str(folder / "work"),
            # The other side is the engine's own, classic build, which clients of its API have.
            "DOCKER_BUILDKIT": "0",
        }
        self._report: dict[str, Any] = {}
        self._made: set[str] = set()

    def close(self) -> None:
        """Removes the images that were made here; the runtime's stays."""
        self.clean()
        self._client.close()

    def package(self, name: str, size_bytes: int) -> Path:
        """Writes a package of random bytes, and its manifest beside it."""
        package = self._folder / name
        path = package / "model" / "weights.bin"
        path.parent.mkdir(parents=True)
        digest = hashlib.sha256()
        with path.open("wb") as file:
            left = size_bytes
            while left:
                part = os.urandom(min(left, _PART_BYTES))
                digest.update(part)
                left -= file.write(part)
        rows = [["model/weights.bin", size_bytes, digest.hexdigest()]]
        (package / "manifest.json").write_text(json.dumps(rows), encoding="utf-8")
        return package

    def ready(self, package: Path, *, bake: bool = False) -> Taken:
        """Has the package's image, as a process of its own does it from its start to its end."""
        report = self._folder / "report.json"
        taken = take(
            [
                *(sys.executable, "-m", "scripts.bench.bake_once", str(package)),
                *(["--bake"] if bake else []),
                *("--report", str(report)),
            ],
            env=self._env,
            cwd=ROOT,
            log=self._folder / "ours.log",
        )
        self._report = json.loads(report.read_text(encoding="utf-8"))
        self._made.update(self._report["made"])
        return taken

    def baked(self, package: Path) -> Taken:
        """Lays the package into its runtime's image; neither the start of Python counts nor the look at the runtime."""
        taken = self.ready(package, bake=True)
        return Taken(
            seconds=self._report["bake_s"], cpu_seconds=taken.cpu_seconds, peak_bytes=int(self._report["peak_bytes"])
        )

    def copied(self, package: Path) -> Taken:
        """The same by `docker build` with COPY."""
        lines = f"FROM {self._report['runtime']}\nCOPY model/ /opt/airlock/package/model/\n"
        (package / "Dockerfile").write_text(lines, encoding="utf-8")
        (package / ".dockerignore").write_text("manifest.json\n", encoding="utf-8")
        self._made.add(_OTHER_TAG)
        return take(
            ["docker", "build", "--quiet", "--tag", _OTHER_TAG, str(package)],
            env=self._env,
            cwd=package,
            log=self._folder / "docker-build.log",
        )

    def clean(self) -> None:
        """Removes what both sides made, and waits until the disk has nothing left to write."""
        import docker

        for tag in sorted(self._made):
            with contextlib.suppress(docker.errors.ImageNotFound):
                self._client.images.remove(tag, force=True)
        self._made.clear()
        os.sync()


@contextlib.contextmanager
def bake_bench(folder: Path) -> Iterator[BakeBench]:
    """The bench, and the end of what it made."""
    folder.mkdir()
    bench = BakeBench(folder)
    try:
        yield bench
    finally:
        bench.close()


def rows(bench: BakeBench, *, runs: int, big_bytes: int, tell: Callable[[str], None]) -> Iterator[Row]:
    """The rows about images.

    Args:
        bench: The engine.
        runs: How often each side is run.
        big_bytes: Length of the large model.
        tell: Takes a line of progress.
    """
    first, second = (bench.package(name, SMALL_BYTES) for name in ("first", "second"))
    tell("making the runtime's image, where it is missing")
    bench.ready(first)
    for name, bake in (("", False), (", with the model inside", True)):
        taken = in_turns(runs, {name: lambda: bench.ready(second, bake=bake)}, bench.clean)  # noqa: B023
        ready = median_s(taken[name])
        yield Row(name=f"image of a second model of 1 MB on the same runtime{name}", value=ready, unit="s", target=3.0)
    tell(f"writing a model of {big_bytes:,} bytes")
    big = bench.package("big", big_bytes)
    tell(f"laying it into an image {runs} times each way")
    taken = in_turns(runs, {"ours": lambda: bench.baked(big), "copied": lambda: bench.copied(big)}, bench.clean)
    ours, other = median_s(taken["ours"]), median_s(taken["copied"])
    name = f"laying {big_bytes / 1e9:g} GB into an image, to docker build with COPY"
    yield Row(name=name, value=ours / other, unit="ratio", target=0.7, ours=ours, anchor=other)
    peak = max(each.peak_bytes for each in taken["ours"])
    yield Row(name="peak memory of it", value=peak / 1e6, unit="MB", target=300)
    bench.clean()
    shutil.rmtree(big)
