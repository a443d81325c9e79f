"""Whole imports, from the trigger to Normal, on an Airflow and an object server of their own."""

from __future__ import annotations

import io
import os
import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from scripts import example_packages
from scripts.airflow_local import CONNECTION_VARIABLE, AirflowLocal
from scripts.bench.measure import median_s, take
from scripts.bench.table import Row
from scripts.children import Keeper
from scripts.import_run import DAG_ID, ImportRun
from scripts.local_state import LocalError, state_dir
from scripts.object_server import ObjectServer
from scripts.progress import Progress

ENGINE = "Scikit_Learn"
SMALL_BYTES = 1_000_000
DAG_TIMEOUT_S = 120.0
# The first one installs an engine.
IMPORT_TIMEOUT_S = 1800.0
#: What is asked while a measured import runs takes processor time from it.
POLL_S = 1.0
_PART_BYTES = 64 * 1024 * 1024
#: What every step says of itself at its end.
_STEP = re.compile(r"Step (?P<step>\w+) took (?P<seconds>[0-9.]+) s and at most (?P<megabytes>\d+) MB")


class Measured(NamedTuple):
    """One import.

    Attributes:
        seconds: From the trigger to the end of registration.
        step_seconds: How long the steps themselves ran, those beside each other once.
        peak_megabytes: The most that any step's process had.
        peak_step: Which one that was.
    """

    seconds: float
    step_seconds: float
    peak_megabytes: float
    peak_step: str


class ImportBench:
    """A running Airflow and object server.

    Args:
        folder: Where everything lies; gone at the end.
        server: The object server.
        airflow: Airflow.
        s5cmd: The other side's program.

    Attributes:
        api: Airflow's API.
    """

    def __init__(self, folder: Path, server: ObjectServer, airflow: AirflowLocal, s5cmd: Path) -> None:
        self._folder = folder
        self._server = server
        self._airflow = airflow
        self._s5cmd = s5cmd
        self.api = airflow.api()

    def wait(self, seconds: float) -> None:
        """Waits, and looks whether everything still runs."""
        self._airflow.check()
        self._airflow.wait(seconds)

    def upload(self, name: str, example: Path, more_bytes: int) -> str:
        """Uploads the example with a further file of random bytes beside its model, and returns its location."""
        package = self._folder / "upload" / name
        shutil.copytree(example, package)
        with (package / "model" / "more.dat").open("wb") as file:
            left = more_bytes
            while left:
                left -= file.write(os.urandom(min(left, _PART_BYTES)))
        location = example_packages.upload(package, name, self._server)
        shutil.rmtree(package)
        return location

    def imported(self, name: str, location: str) -> Measured:
        """Imports a package as the next version of a model."""
        conf = {"model_name": name, "source_location": location}
        run = ImportRun(self.api, Progress(io.StringIO()), name, ENGINE, conf)
        deadline = time.monotonic() + IMPORT_TIMEOUT_S
        while not run.is_finished:
            if time.monotonic() > deadline:
                raise LocalError(f"the import of {name} has not ended after {IMPORT_TIMEOUT_S:.0f} s")
            self.wait(POLL_S)
            run.follow()
        if not run.is_normal:
            raise LocalError(f"the import of {name} failed: {run.error}")
        return self._measured(run)

    def _measured(self, run: ImportRun) -> Measured:
        seconds: dict[str, float] = {}
        peaks: dict[str, float] = {}
        for task in self.api.task_instances(DAG_ID, run.run_id):
            for line in self.api.log_lines(DAG_ID, run.run_id, task["task_id"], task["try_number"]):
                found = _STEP.search(str(line.get("event")))
                if found:
                    seconds[found["step"]] = float(found["seconds"])
                    peaks[found["step"]] = float(found["megabytes"])
        # The version is Normal before the last task, which clears up.
        seconds.pop("close", None)
        beside = [seconds.pop(step) for step in list(seconds) if step.startswith("smoke_")]
        worst = max(peaks, key=peaks.__getitem__)
        return Measured(run.seconds, sum(seconds.values()) + max(beside), peaks[worst], worst)

    def forget_packages(self) -> None:
        """Empties the package store, and waits until the disk has nothing left to write."""
        shutil.rmtree(self._folder / "airflow" / "store", ignore_errors=True)
        os.sync()

    def downloaded(self, location: str) -> Any:
        """The same bytes by s5cmd."""
        target = self._folder / "downloaded"
        shutil.rmtree(target, ignore_errors=True)
        os.sync()
        env = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": self._server.access_key,
            "AWS_SECRET_ACCESS_KEY": self._server.secret_key,
            "AWS_REGION": self._server.region,
            "S3_ENDPOINT_URL": self._server.endpoint_url,
        }
        taken = take(
            [str(self._s5cmd), "cp", f"{location}*", f"{target}/"], env=env, cwd=self._folder, log=self._folder / "s5"
        )
        shutil.rmtree(target)
        return taken


@contextmanager
def import_bench(folder: Path, s5cmd: Path, tell: Callable[[str], None]) -> Iterator[tuple[ImportBench, Path]]:
    """Airflow and object server of their own, and the example's package."""
    folder.mkdir()
    keeper = Keeper(grace_s=5)
    try:
        tell("training the example's model")
        [example] = example_packages.choose(ENGINE)
        log = folder / "train.log"
        package = example_packages.train(example, keeper, state_dir() / "examples" / "packages", log)
    finally:
        keeper.stop()
    tell("starting Airflow")
    # The path of a service's socket has room for a short folder only.
    with ObjectServer(folder / "server") as server, tempfile.TemporaryDirectory(prefix="airlock-bench-") as work:
        environment = {
            CONNECTION_VARIABLE: server.airflow_connection_json(),
            "AIRFLOW__AIRLOCK__BACKEND": "docker",
            "AIRFLOW__AIRLOCK__WORK_DIR": work,
        }
        with AirflowLocal(state=folder / "airflow", extra_env=environment) as airflow:
            airflow.api().wait_for_dag(DAG_ID, DAG_TIMEOUT_S, airflow.launched_at)
            yield ImportBench(folder, server, airflow, s5cmd), package


def rows(bench: ImportBench, example: Path, *, runs: int, big_bytes: int, tell: Callable[[str], None]) -> Iterator[Row]:
    """The rows about whole imports.

    Args:
        bench: The running parts.
        example: The example's package.
        runs: How often each.
        big_bytes: Length of the large model.
        tell: Takes a line of progress.
    """
    small = bench.upload("small", example, SMALL_BYTES)
    tell("importing it once, so that everything is there")
    bench.imported("small", small)
    tell(f"importing it {runs} times")
    measured = [bench.imported("small", small) for _ in range(runs)]
    seconds = statistics.median(each.seconds for each in measured)
    own = statistics.median(each.seconds - each.step_seconds for each in measured)
    yield Row(name="import of 1 MB, everything cached, trigger to Normal", value=seconds, unit="s", target=15)
    yield Row(name="of which Airflow itself", value=own, unit="s", target=4)
    tell(f"uploading {big_bytes:,} bytes")
    big = bench.upload("big", example, big_bytes)
    imports, downloads = [], []
    for _ in range(runs):
        bench.forget_packages()
        imports.append(bench.imported("big", big))
        downloads.append(bench.downloaded(big))
    ours, other = statistics.median(each.seconds for each in imports), median_s(downloads)
    name = f"import of {big_bytes / 1e9:g} GB, runtime cached, to 2 × its download + 15 s"
    yield Row(name=name, value=ours, unit="s", target=round(2 * other + 15, 2), ours=ours, anchor=other)
    worst = max((*measured, *imports), key=lambda each: each.peak_megabytes)
    name = f"peak memory of any step of it ({worst.peak_step})"
    yield Row(name=name, value=worst.peak_megabytes, unit="MB", target=300)
