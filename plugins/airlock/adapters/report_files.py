"""Reports of imports as JSON files, a folder for each run: what validation found, and what each task judged.

Each task writes a file of its own, whole or not at all, so that tasks of one run need no lock. The page is made from
them when it is asked for.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from airlock.codec import decode, encode
from airlock.domain.expectations import SuiteReport
from airlock.domain.import_report import ImportReport, PackageReport, Refusal
from airlock.domain.revalidation import SweepReport
from airlock.domain.version import RunRef
from airlock.errors import ReportsUnavailable

_PACKAGE = "package"
_SWEEP = "sweep"
_REFUSAL = "refusal"
_NAME_CHARACTERS = 32


class ReportFolders:
    """The folders below one.

    Args:
        root: It.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def keep_package(self, run: RunRef, report: PackageReport) -> None:
        """Keep what validation found; what an earlier try kept is removed."""
        with self._guarded():
            for old in self._folder(run).glob("*.json"):
                old.unlink(missing_ok=True)
            self._write(run, _PACKAGE, encode(report))

    def keep_suites(self, run: RunRef, task: str, suites: Sequence[SuiteReport]) -> None:
        """Keep what was judged in a task."""
        with self._guarded():
            # A task's name is the DAG's own: no path can be in it.
            self._write(run, f"task-{task}", [encode(suite) for suite in suites])

    def keep_sweep(self, run: RunRef, report: SweepReport) -> None:
        """Keep what a sweep over registered versions did."""
        with self._guarded():
            self._write(run, _SWEEP, encode(report))

    def keep_refusal(self, run: RunRef, refusal: Refusal) -> None:
        """Keep why a run got no version."""
        with self._guarded():
            self._write(run, _REFUSAL, encode(refusal))

    def find(self, run: RunRef) -> ImportReport:
        """What is kept of a run so far."""
        with self._guarded():
            folder = self._folder(run)
            package, sweep, refusal = (folder / f"{name}.json" for name in (_PACKAGE, _SWEEP, _REFUSAL))
            return ImportReport(
                package=decode(PackageReport, json.loads(package.read_bytes())) if package.exists() else None,
                suites={
                    path.stem.removeprefix("task-"): tuple(
                        decode(SuiteReport, suite) for suite in json.loads(path.read_bytes())
                    )
                    for path in sorted(folder.glob("task-*.json"))
                },
                sweep=decode(SweepReport, json.loads(sweep.read_bytes())) if sweep.exists() else None,
                refusal=decode(Refusal, json.loads(refusal.read_bytes())) if refusal.exists() else None,
            )

    def _folder(self, run: RunRef) -> Path:
        # A run's id is up to whoever starts it.
        return self._root / hashlib.sha256(str(run).encode()).hexdigest()[:_NAME_CHARACTERS]

    def _write(self, run: RunRef, name: str, value: Any) -> None:
        folder = self._folder(run)
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, path = tempfile.mkstemp(prefix=f".{name}-", dir=folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
            # The pages may be another user's.
            os.chmod(path, 0o644)
            os.replace(path, folder / f"{name}.json")
        except BaseException:
            Path(path).unlink(missing_ok=True)
            raise

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:
            raise ReportsUnavailable(
                "RPT001",
                f"The reports in {self._root} cannot be read or written: {error}.",
                "Let every worker and the API server see the folder, or name another one in `[airlock] reports`.",
            ) from None
