"""The form of a sweep over registered versions, checked whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airlock.domain.form_reader import FormReader
from airlock.domain.version import VersionNumber
from airlock.errors import RequestRejected

SAMPLED = "sampled"
FULL = "full"
READINGS = (SAMPLED, FULL)
#: Numbers of the form: name → default, least, most.
NUMBERS: dict[str, tuple[float, float, float]] = {
    "check_after_h": (20.0, 0.0, 8760.0),
    "test_after_days": (7.0, 0.0, 3650.0),
    "max_versions": (10_000, 1, 100_000),
    "max_tests": (50, 0, 5_000),
    "sample_mb": (16.0, 0.0, 1_000_000.0),
}
_WHOLE = ("max_versions", "max_tests")
SWEEP_FIELDS = ("model_name", "model_version", *NUMBERS, "bytes")
_FORM = "sweep"


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRequest:
    """A sweep that keeps every rule of its form.

    Attributes:
        model_name: The model whose versions are asked for; empty for those that are due.
        model_version: The version of it; empty for all of them.
        check_after_s: Seconds after which a version is checked again.
        test_after_s: Seconds after which its service is tested again.
        max_versions: Versions that one sweep looks at.
        max_tests: Versions that one sweep tests.
        full: Whether every stored byte is read, not a sample.
        sample_bytes: Bytes of each package that one check may read for the sample.
    """

    model_name: str = ""
    model_version: str = ""
    check_after_s: float = NUMBERS["check_after_h"][0] * 3600
    test_after_s: float = NUMBERS["test_after_days"][0] * 86_400
    max_versions: int = int(NUMBERS["max_versions"][0])
    max_tests: int = int(NUMBERS["max_tests"][0])
    full: bool = False
    sample_bytes: int = int(NUMBERS["sample_mb"][0] * 1_000_000)

    def names(self, model_name: str, model_version: str) -> bool:
        """Whether the version was asked for by its name."""
        return self.model_name == model_name and self.model_version in ("", model_version)


def parse_sweep(conf: Mapping[str, Any]) -> SweepRequest:
    """Check the form.

    Args:
        conf: The DAG run's conf merged over the form's defaults.

    Raises:
        RequestRejected: One or more rules are broken; all are listed.
    """
    form = FormReader(_FORM, conf, SWEEP_FIELDS)
    broken = form.broken
    texts = form.texts(("model_name", "model_version", "bytes"))
    if texts["model_version"] and not texts["model_name"]:
        broken("REQ002", "model_name", "A version is asked for, and no model.", fix="Name the model too.")
    if texts["model_version"] and VersionNumber.parse(texts["model_version"]) is None:
        broken("REQ003", "model_version", "A version is three numbers.", texts["model_version"], "Write 0.0.1.")
    if texts["bytes"] not in ("", *READINGS):
        broken("REQ003", "bytes", "Stored bytes are read sampled or full.", texts["bytes"])
    numbers: dict[str, float] = {}
    for name, (default, least, most) in NUMBERS.items():
        value = conf.get(name)
        numbers[name] = default
        if value is None:
            continue
        fits = isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most
        if not fits or (name in _WHOLE and value != int(value)):
            kind = "whole number" if name in _WHOLE else "number"
            broken("REQ003", name, f"A {kind} from {least:g} to {most:g} is expected.", value)
            continue
        numbers[name] = value
    if form.findings:
        raise RequestRejected("the sweep", tuple(form.findings))
    return SweepRequest(
        model_name=texts["model_name"],
        model_version=texts["model_version"],
        check_after_s=numbers["check_after_h"] * 3600,
        test_after_s=numbers["test_after_days"] * 86_400,
        max_versions=int(numbers["max_versions"]),
        max_tests=int(numbers["max_tests"]),
        full=texts["bytes"] == FULL,
        sample_bytes=int(numbers["sample_mb"] * 1_000_000),
    )
