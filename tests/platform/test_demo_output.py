"""What the demo shows: lines that move on a terminal, plain ones elsewhere, and a table at the end."""

from __future__ import annotations

import io
from typing import Any, cast

import pytest

from scripts import demo_report
from scripts.import_run import ImportRun
from scripts.progress import Progress


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class FinishedRun:
    """What the report reads of an import."""

    def __init__(self, name: str, engine: str, record: dict[str, Any] | None, seconds: float, error: str = "") -> None:
        self.model_name = name
        self.engine = engine
        self.record = record
        self.seconds = seconds
        self.error = error
        self.is_normal = record is not None
        self.url = f"http://127.0.0.1:8080/dags/import_model/runs/{name}"


RECORD = {
    "model_version": "0.0.2",
    "engine": "Scikit_Learn",
    "runtime": "sklearn1.9-python3.11",
    "backend": "process",
    "isolation": "none",
    "devices": {"cpu": "passed", "gpu": "not served", "ascend": "not served"},
    "latency_ms": 4.25,
    "bytes_copied": 0,
    "status": "Normal",
}


def report(*runs: FinishedRun) -> str:
    return demo_report.render(cast("list[ImportRun]", list(runs)), 61.5)


def test_without_a_terminal_every_finished_step_is_one_plain_line() -> None:
    stream = io.StringIO()
    progress = Progress(stream)

    progress.begin("iris", "build")
    progress.refresh()
    progress.end("iris", "build", "done", 12.34)

    lines = stream.getvalue().splitlines()
    assert len(lines) == 1
    assert lines[0].split()[2:] == ["iris", "build", "12.3", "s", "done"]
    assert "\x1b" not in stream.getvalue()


def test_on_a_terminal_the_running_step_moves_and_then_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    progress = Progress(stream)

    progress.begin("iris", "build")
    progress.refresh()
    progress.end("iris", "build", "done", 1.0)
    progress.close()

    drawn = stream.getvalue()
    # Each drawing of the one moving line is taken back before the next.
    assert drawn.count("…\n") == drawn.count("\x1b[1F\x1b[0J")
    assert drawn.splitlines()[-1].endswith("done")


def test_a_dumb_terminal_gets_plain_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    stream = Terminal()
    progress = Progress(stream)

    progress.begin("iris", "build")
    progress.end("iris", "build", "done", 1.0)

    assert "\x1b" not in stream.getvalue()


def test_the_report_has_a_row_per_model_and_the_times_beside_their_targets() -> None:
    text = report(FinishedRun("iris-scikit-learn", "Scikit_Learn", RECORD, 13.94))

    row = next(line for line in text.splitlines() if line.startswith("iris-scikit-learn  0.0.2"))
    for cell in ("process, no isolation", "cpu passed; gpu, ascend not served", "4.2 ms", "0 B", "Normal", "13.9"):
        assert cell in row
    assert "iris-scikit-learn: 13.9 s from trigger to Normal (target 45 s)" in text
    assert "total: 61.5 s (target 180 s" in text
    assert "/dags/import_model/runs/iris-scikit-learn" in text


def test_the_report_of_a_failed_import_tells_its_reason() -> None:
    text = report(FinishedRun("iris-xgboost", "XGBoost", None, 3.0, "validate: CFG001 config.json is broken"))

    assert "iris-xgboost failed:\n  validate: CFG001 config.json is broken" in text
    assert "from trigger to Normal" not in text
