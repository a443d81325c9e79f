"""Suites of expectations, judged by Great Expectations in a child process."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airlock.domain.expectations import ExpectationResult, SuiteReport
from airlock.domain.findings import Severity, shown
from airlock.errors import BackendUnavailable, SettingInvalid
from airlock.ports import Clock

#: Seconds for importing the library on a loaded machine, and for one table.
START_S = 180.0
JUDGE_S = 120.0
MAX_SHOWN_CHARACTERS = 300
_READ_BYTES = 1 << 16
_SEVERITIES = {"critical": Severity.ERROR, "warning": Severity.WARNING, "info": Severity.INFO}
_PLUGINS = Path(__file__).resolve().parents[2]


class ExpectationSuites:
    """The suites of a folder.

    Args:
        folder: Where they lie, `<name>.json` each.
        clock: Time.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    @contextlib.contextmanager
    def judging(self) -> Iterator[SuiteJudge]:
        """Start a judge; leaving the context ends it."""
        # Its own few variables: nothing of Airflow's configuration and no secret is needed to judge a table.
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
        process = subprocess.Popen(
            [sys.executable, "-m", "airlock.adapters.expectations_worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**kept, "PYTHONPATH": str(_PLUGINS)},
        )
        try:
            yield SuiteJudge(process, self._folder, self._clock)
        finally:
            process.kill()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()


class SuiteJudge:
    """A running judge.

    Args:
        process: It.
        folder: The suites.
        clock: Time.
    """

    def __init__(self, process: subprocess.Popen[bytes], folder: Path, clock: Clock) -> None:
        self._process = process
        self._folder = folder
        self._clock = clock
        self._ready = False
        self._text = b""

    def ready(self) -> None:
        """Wait until it has started: before that it takes a processor that a measurement would miss.

        Raises:
            BackendUnavailable: It does not start.
        """
        if not self._ready:
            self._answer(START_S, "starting")
            self._ready = True

    def judge(self, suite: str, rows: Sequence[Mapping[str, Any]]) -> SuiteReport:
        """Apply a suite to a table.

        Raises:
            SettingInvalid: The suite cannot be used.
            BackendUnavailable: The judge ended or took too long.
        """
        self.ready()
        path = self._folder / f"{suite}.json"
        try:
            text = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise _unusable(path, str(error)) from None
        if not rows:
            # Great Expectations finds no fault with columns that are not there at all.
            return SuiteReport(suite=suite, rows=0, results=(_NOTHING,))
        questions = self._process.stdin
        if questions is None:
            raise ValueError("the judge has no input")
        try:
            questions.write(json.dumps({"suite": text, "rows": list(rows)}).encode() + b"\n")
            questions.flush()
        except OSError:
            raise self._gone("judging") from None
        answer = self._answer(JUDGE_S, f"judging by {path.name}")
        if "error" in answer:
            raise _unusable(path, str(answer["error"]))
        results = tuple(_result(path, each) for each in answer["results"])
        return SuiteReport(suite=suite, rows=len(rows), results=results)

    def _answer(self, limit_s: float, doing: str) -> dict[str, Any]:
        if self._process.stdout is None:
            raise ValueError("the judge has no output")
        source, deadline = self._process.stdout.fileno(), self._clock.monotonic() + limit_s
        while b"\n" not in self._text:
            readable, _, _ = select.select([source], [], [], max(0.0, deadline - self._clock.monotonic()))
            read = os.read(source, _READ_BYTES) if readable else b""
            if not read:
                raise self._gone(doing)
            self._text += read
        line, _, self._text = self._text.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _gone(self, doing: str) -> BackendUnavailable:
        status = self._process.poll()
        how = "did not answer in time" if status is None else f"ended with status {status}"
        return BackendUnavailable(
            "EXP001",
            f"Great Expectations {how} while {doing}.",
            "See that `python -c 'import great_expectations'` works on this worker and has 300 MB of memory.",
        )


_NOTHING = ExpectationResult(
    says="There is something to judge.",
    expectation="",
    column="",
    severity=Severity.ERROR,
    met=False,
    observed="no row",
)


def _result(path: Path, row: Mapping[str, Any]) -> ExpectationResult:
    if not row["says"]:
        raise _unusable(path, f"{row['expectation']} has no sentence in `meta.says`")
    return ExpectationResult(
        says=row["says"],
        expectation=row["expectation"],
        column=row["column"],
        severity=_SEVERITIES[row["severity"]],
        met=row["met"],
        observed=shown(row["observed"], MAX_SHOWN_CHARACTERS),
    )


def _unusable(path: Path, reason: str) -> SettingInvalid:
    return SettingInvalid(
        "EXP002",
        f"The suite of expectations {path} cannot be used: {shown(reason, MAX_SHOWN_CHARACTERS)}.",
        "Correct it; its form is that of Great Expectations 1.",
    )
