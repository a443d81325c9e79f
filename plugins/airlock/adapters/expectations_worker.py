"""Judges tables with Great Expectations, in a process of its own: `python -m airlock.adapters.expectations_worker`.

Importing it takes seconds and 200 MB, so it happens beside a service's start and not in the task that measures it.

Lines of JSON in, a line of JSON out for each: {"suite": {…}, "rows": […]} gives {"results": […]} or {"error": "…"}.
The first line out, {"ready": true}, says that the import is done. The end of its input ends it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any

#: Values that are shown of what an expectation did not expect.
SHOWN_VALUES = 3


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


def main() -> None:
    """Judge until the input ends."""
    # Nothing about an import leaves this machine.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    # Whatever a library prints is no answer.
    os.dup2(2, 1)
    import great_expectations  # noqa: F401

    def tell(value: Mapping[str, Any]) -> None:
        answers.write(json.dumps(value) + "\n")
        answers.flush()

    tell({"ready": True})
    for line in sys.stdin.buffer:
        question = json.loads(line)
        try:
            tell({"results": judge(question["suite"], question["rows"])})
        except SuiteUnusable as error:
            tell({"error": str(error)})


if __name__ == "__main__":
    main()
