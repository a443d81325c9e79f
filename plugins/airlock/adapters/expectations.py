"""Suites of expectations, judged by Great Expectations in a process of its own."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from airlock.adapters.judge_host import MAX_JUDGE_S, MAX_SHOWN_CHARACTERS, JudgeHost, gone
from airlock.domain.expectations import ExpectationResult, SuiteReport
from airlock.domain.findings import Severity, shown
from airlock.errors import SettingInvalid
from airlock.ports.clock import Clock

#: Seconds for importing the library on a loaded machine.
START_S = 180.0
_READ_BYTES = 1 << 16
_SEVERITIES = {"critical": Severity.ERROR, "warning": Severity.WARNING, "info": Severity.INFO}


class ExpectationSuites:
    """The suites of a folder.

    Args:
        folder: Where they lie, `<name>.json` each.
        host: The process that judges.
        clock: Time.
    """

    def __init__(self, folder: Path, host: JudgeHost, clock: Clock) -> None:
        self._folder = folder
        self._host = host
        self._clock = clock

    @contextlib.contextmanager
    def judging(self) -> Iterator[SuiteJudge]:
        """Reach the judge, which may take seconds to be ready where it must be started; leaving the context frees it.

        Raises:
            SettingInvalid: Its folder is somebody else's.
            BackendUnavailable: It does not start.
        """
        with self._host.connect() as connection:
            yield SuiteJudge(connection, self._host, self._folder, self._clock)


class SuiteJudge:
    """A judge of one task.

    Args:
        connection: To it.
        host: What it runs in.
        folder: The suites.
        clock: Time.
    """

    def __init__(self, connection: socket.socket, host: JudgeHost, folder: Path, clock: Clock) -> None:
        self._connection = connection
        self._host = host
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
        self._connection.settimeout(MAX_JUDGE_S)
        try:
            self._connection.sendall(json.dumps({"suite": text, "rows": list(rows)}).encode() + b"\n")
        except OSError:
            raise gone("ended", "judging", self._host.log_end()) from None
        answer = self._answer(MAX_JUDGE_S, f"judging by {path.name}")
        if "error" in answer:
            raise _unusable(path, str(answer["error"]))
        results = tuple(_result(path, each) for each in answer["results"])
        return SuiteReport(suite=suite, rows=len(rows), results=results)

    def _answer(self, limit_s: float, doing: str) -> dict[str, Any]:
        deadline = self._clock.monotonic() + limit_s
        while b"\n" not in self._text:
            self._connection.settimeout(max(0.001, deadline - self._clock.monotonic()))
            try:
                read = self._connection.recv(_READ_BYTES)
            except TimeoutError:
                raise gone("did not answer in time", doing, self._host.log_end()) from None
            except OSError:
                read = b""
            if not read:
                raise gone("ended", doing, self._host.log_end())
            self._text += read
        line, _, self._text = self._text.partition(b"\n")
        answer: dict[str, Any] = json.loads(line)
        return answer


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
