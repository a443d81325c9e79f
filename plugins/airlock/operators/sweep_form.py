"""The Params of `revalidate_models`. The first task checks every rule again, and completely."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from airlock.domain.sweep_request import NUMBERS, READINGS, SAMPLED

ONE = "One version"
DUE = "What is due"

SWEEP_FORM_DOC = """
### Look at registered models again

Finds the versions that are due, most overdue first: their stored bytes, their source, the rules of today, their image;
and where a test is due, their service is started and asked again and its answers are compared with those of the import.
A version becomes Abnormal with a reason, stays Normal, or is Normal again. The report of this run's tasks is its
summary. With a model's name that model is looked at and tested now.
"""


def _number(name: str, kind: str, section: str, title: str, description: str) -> Param:
    default, least, most = NUMBERS[name]
    value = int(default) if kind == "integer" else default
    return Param(value, type=kind, minimum=least, maximum=most, section=section, title=title, description=description)


SWEEP_FORM: dict[str, Any] = {
    "model_name": Param(
        None,
        type=["null", "string"],
        section=ONE,
        title="Model",
        description="Look at this model's versions now, due or not, and test them. Empty: what is due.",
    ),
    "model_version": Param(
        None,
        type=["null", "string"],
        section=ONE,
        title="Version",
        description="This version only, 0.0.1. Empty: every version of the model.",
    ),
    "check_after_h": _number(
        "check_after_h", "number", DUE, "Hours between checks", "Bytes, source, rules and image; no service is started."
    ),
    "test_after_days": _number(
        "test_after_days", "number", DUE, "Days between tests", "The service is started and asked again."
    ),
    "max_versions": _number("max_versions", "integer", DUE, "Versions", "How many one run looks at, at most."),
    "max_tests": _number("max_tests", "integer", DUE, "Tests", "How many versions one run tests, at most."),
    "bytes": Param(
        SAMPLED,
        type="string",
        enum=list(READINGS),
        section=DUE,
        title="Stored bytes",
        description="Every file's length is looked at. Its bytes are compared with their digest in turns, or all now.",
    ),
    "sample_mb": _number(
        "sample_mb", "number", DUE, "Sample", "Megabytes of each package that one check reads. A test reads them all."
    ),
}
