"""A smoke test's answers as tables, for suites of expectations."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from airlock.domain.findings import shown
from airlock.domain.smoke import HttpResponse, Sample

ANSWERS = "answers"
OUTPUTS = "outputs"
#: Values of one answer that are looked at, and of all answers together.
MAX_VALUES = 10_000
MAX_ROWS = 50_000
MAX_SHOWN_CHARACTERS = 100

Row = dict[str, Any]


def answer_rows(checked: Sequence[tuple[Sample, HttpResponse]], timed: Sequence[HttpResponse]) -> list[Row]:
    """One row for each answer.

    Args:
        checked: Samples with their answers; the first one is what was sent for the timed answers, too.
        timed: Answers to the first sample, sent again.

    Returns:
        Rows of request, turn (`checked`, `timed`), status, seconds, bytes, content_type and same: whether the body is
        that of the first answer to the same request.
    """
    first = {sample.name: answer.body for sample, answer in reversed(checked)}
    name = checked[0][0].name
    turns = [("checked", sample.name, answer) for sample, answer in checked]
    turns += [("timed", name, answer) for answer in timed]
    return [
        {
            "request": request,
            "turn": turn,
            "status": answer.status,
            "seconds": answer.seconds,
            "bytes": len(answer.body),
            "content_type": answer.content_type,
            "same": answer.body == first[request],
        }
        for turn, request, answer in turns
    ]


def output_rows(checked: Sequence[tuple[Sample, HttpResponse]]) -> list[Row]:
    """One row for each value in the checked answers.

    Args:
        checked: Samples with their answers.

    Returns:
        Rows of request, path (a JSON pointer), kind (`number`, `text`, `boolean`, `null`), number (None where it is
        none), finite and shown (the value as text, None for null).
    """
    rows: list[Row] = []
    for sample, answer in checked:
        for count, (path, value) in enumerate(_leaves(_value(answer), "")):
            if count >= MAX_VALUES or len(rows) >= MAX_ROWS:
                break
            number = _number(value)
            rows.append({
                "request": sample.name,
                "path": path,
                "kind": _kind(value),
                "number": number,
                "finite": number is None or math.isfinite(number),
                "shown": None if value is None else shown(str(value), MAX_SHOWN_CHARACTERS),
            })
    return rows


def _value(answer: HttpResponse) -> Any:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        # Services of the user's own may answer with anything; how much it is stands in the other table.
        return answer.body[:MAX_SHOWN_CHARACTERS].decode("utf-8", "replace")


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Values with their places, without recursion: an answer may be nested as deep as its reader allows."""
    waiting = [(path, value)]
    while waiting:
        place, item = waiting.pop()
        if isinstance(item, dict):
            waiting += [(f"{place}/{key}", child) for key, child in reversed(item.items())]
        elif isinstance(item, list):
            waiting += [(f"{place}/{number}", child) for number, child in reversed(list(enumerate(item)))]
        else:
            yield place or "/", item


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return float(value)
    except OverflowError:
        # An integer that no floating-point number can hold is finite all the same.
        return None


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, (int, float)) else "text"
