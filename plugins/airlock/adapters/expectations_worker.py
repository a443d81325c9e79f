"""Judges tables with Great Expectations, in a process of its own that `airlock.adapters.judge_host` starts.

It is given a socket that listens already, the socket's path, and how long it stays when nobody comes. Each connection
is answered by a child of its own: a judge that breaks or hangs is one task's alone.

Lines of JSON in, a line of JSON out for each: {"suite": {…}, "rows": […]} gives {"results": […]} or {"error": "…"}.
The first line out, {"ready": true}, says that the import is done.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from airlock.adapters.judge_host import MAX_JUDGE_S, locked

#: Values that are shown of what an expectation did not expect.
SHOWN_VALUES = 3
#: Seconds between two looks at whether this is still needed.
LOOK_S = 2.0
_WARM_UP = {
    "expectations": [
        {"type": "expect_table_row_count_to_be_between", "kwargs": {"min_value": 1}},
        {"type": "expect_column_values_to_not_be_null", "kwargs": {"column": "a"}},
        {"type": "expect_column_values_to_be_between", "kwargs": {"column": "a", "min_value": 0}},
    ]
}


class SuiteUnusable(Exception):
    """The suite cannot judge anything; the message says why."""


def judge(suite: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Apply a suite to a table.

    Args:
        suite: As Great Expectations reads it; each expectation has its sentence in `meta.says`.
        rows: The table, at least one row: its columns are those of the first one.

    Returns:
        One result for each expectation, in the suite's order: type, column, severity, says, met, observed.

    Raises:
        SuiteUnusable: It holds nothing, an expectation that does not exist, or one that cannot be computed.
    """
    import great_expectations as gx
    import pandas  # type: ignore[import-untyped]
    from great_expectations.data_context.types.base import ProgressBarsConfig
    from great_expectations.exceptions.exceptions import GreatExpectationsError

    wanted = list(suite.get("expectations", ()))
    if not wanted:
        # An empty suite would succeed, whatever the table holds.
        raise SuiteUnusable("it holds no expectation")
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    try:
        # Numbered, because results come in another order.
        loaded = gx.ExpectationSuite(
            name=str(suite.get("name", "suite")),
            expectations=[
                {**each, "meta": {**each.get("meta", {}), "number": number}} for number, each in enumerate(wanted)
            ],
        )
    except (GreatExpectationsError, TypeError, ValueError) as error:
        raise SuiteUnusable(str(error)) from None
    if len(loaded.expectations) != len(wanted):
        # The library logs what it does not know, and goes on without it.
        known = {each.meta["number"] for each in loaded.expectations if each.meta}
        missing = ", ".join(str(each.get("type")) for number, each in enumerate(wanted) if number not in known)
        raise SuiteUnusable(f"there is no expectation {missing}")
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": pandas.DataFrame(list(rows))})
    outcome = batch.validate(
        loaded, result_format={"result_format": "SUMMARY", "partial_unexpected_count": SHOWN_VALUES}
    )
    results = sorted(outcome.results, key=_number)
    if len(results) != len(wanted):
        raise SuiteUnusable(f"only {len(results)} of its {len(wanted)} expectations gave a result")
    return [_told(result) for result in results]


def _number(result: Any) -> int:
    number: int = result.expectation_config.meta["number"]
    return number


def _told(result: Any) -> dict[str, Any]:
    config = result.expectation_config
    raised = _exception(result.exception_info)
    if raised:
        raise SuiteUnusable(f"{config.type}: {raised}")
    return {
        "expectation": config.type,
        "column": str(config.kwargs.get("column", "")),
        "severity": getattr(config.severity, "value", str(config.severity)),
        "says": str(config.meta.get("says", "")),
        "met": bool(result.success),
        "observed": "" if result.success else _observed(result.result),
    }


def _exception(info: Mapping[str, Any]) -> str:
    """What was raised: one for the expectation, or one for each of its metrics."""
    for each in [info, *info.values()] if info else []:
        if isinstance(each, dict) and each.get("raised_exception"):
            return str(each.get("exception_message", "it cannot be computed"))
    return ""


def _observed(result: Mapping[str, Any]) -> str:
    if result.get("unexpected_count"):
        values = ", ".join(str(value) for value in result.get("partial_unexpected_list", ()))
        return f"{result['unexpected_count']} of {result['element_count']} values, such as {values}"
    value = result.get("observed_value")
    if isinstance(value, dict):
        return ", ".join(f"{name}: {each}" for name, each in value.items())
    return str(value)


def answer(connection: socket.socket) -> None:
    """Judge until the other side has enough."""
    with connection, connection.makefile("rb") as questions:

        def tell(value: Mapping[str, Any]) -> None:
            connection.sendall(json.dumps(value).encode() + b"\n")

        tell({"ready": True})
        for line in questions:
            question = json.loads(line)
            # Whoever asked no longer waits then.
            signal.alarm(MAX_JUDGE_S)
            try:
                told: dict[str, Any] = {"results": judge(question["suite"], question["rows"])}
            except SuiteUnusable as error:
                told = {"error": str(error)}
            signal.alarm(0)
            tell(told)


def serve(listening: socket.socket, path: Path, own: int | None, idle_s: float) -> None:
    """Answer connections until nobody came for a while, or the socket at the path is no longer this one.

    Args:
        listening: The socket.
        path: Where it lies.
        own: The number of its file there.
        idle_s: Seconds without a child at work until this ends.
    """
    children: set[int] = set()
    since = time.monotonic()
    while own is not None and number_of(path) == own:
        if select.select([listening], [], [], LOOK_S)[0]:
            children.add(_answered_by_a_child(listening))
        children = {child for child in children if os.waitpid(child, os.WNOHANG)[0] == 0}
        now = time.monotonic()
        if children:
            since = now
        elif now - since >= idle_s and _is_over(listening, path):
            return


def _answered_by_a_child(listening: socket.socket) -> int:
    connection, _ = listening.accept()
    child = os.fork()
    if child:
        connection.close()
        return child
    status = 1
    try:
        listening.close()
        answer(connection)
        status = 0
    except (BrokenPipeError, ConnectionResetError):
        # The task has ended.
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        # Nothing of the parent's may be cleaned up here.
        os._exit(status)


def _is_over(listening: socket.socket, path: Path) -> bool:
    """Take the socket away, unless somebody has just come."""
    with contextlib.suppress(FileNotFoundError):
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            with locked(folder):
                if select.select([listening], [], [], 0)[0]:
                    return False
                path.unlink()
        finally:
            os.close(folder)
    return True


def number_of(path: Path) -> int | None:
    """The inode at a path."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return None


def main(argv: Sequence[str]) -> None:
    """Judge for whoever connects: number of the listening socket, its path, seconds until it ends when nobody comes."""
    path = Path(argv[1])
    # While whoever starts this holds the folder's lock: later it may be another one's.
    own = number_of(path)
    if os.fork():
        # Whoever started this is free, and need not wait for its end.
        os._exit(0)
    listening = socket.socket(fileno=int(argv[0]))
    # Nothing about an import leaves this machine.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    # The first table takes longer than all others, so it is judged here, once.
    judge(_WARM_UP, [{"a": 1}])
    serve(listening, path, own, float(argv[2]))


if __name__ == "__main__":
    main(sys.argv[1:])
