"""A check's report: text for people, JSON, SARIF and GitHub's annotations for machines."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from airlock.cli.terminal import printable
from airlock.domain.detection import Evidence, shown_engines
from airlock.domain.findings import Finding, Severity
from airlock.domain.rules import RULES
from airlock.steps.check import CheckReport

_COLOURS = {Severity.ERROR: "31", Severity.WARNING: "33", Severity.INFO: "36"}
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What was checked.

    Attributes:
        folder: The folder that contains `model/`, relative to where the program was started; or its address.
        report: What was found.
    """

    folder: str
    report: CheckReport

    def path(self, finding: Finding) -> str:
        """A finding's file as a path that can be opened from here."""
        file = finding.place.file or "model"
        return file if self.folder == "." else f"{self.folder}/{file}"


def as_text(subject: Subject, *, colour: bool, detailed: bool = False) -> str:
    """One paragraph for each finding, what each file says of itself where details are wanted, and a summary line."""
    report = subject.report

    def painted(text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if colour else text

    lines = []
    for item in report.findings:
        place = subject.path(item)
        if item.place.line:
            place += f":{item.place.line}:{item.place.column or 1}"
        word = painted(f"{item.severity.value} {item.code}", _COLOURS[item.severity])
        value = f" (found: {item.value})" if item.value else ""
        lines.append(f"{painted(printable(place), '1')}: {word}: {printable(item.message)}{printable(value)}")
        lines.append(f"    {printable(item.fix)}")
    if report.refusal is not None:
        lines.append(f"{painted(f'error {report.refusal.code}', '31')}: {printable(report.refusal.message)}")
        lines.append(f"    {printable(report.refusal.remedy)}")
    lines += [f"evidence: {printable(_evidence(item))}" for item in report.evidence] if detailed else []
    lines.append(summary(subject))
    return "\n".join(lines)


def _evidence(item: Evidence) -> str:
    by = f", written by {', '.join(map(str, item.written_by))}" if item.written_by else ""
    engines = ", ".join(f"{engine} {item.confidence(engine)}" for engine in item.engines) or "no engine"
    details = "".join(f"; {name}: {value}" for name, value in item.details)
    return f"{item.file} {item.says}{by} ({engines}){details}"


def summary(subject: Subject) -> str:
    """The verdict and the counts in one line."""
    report = subject.report
    counts = {each: sum(item.count for item in report.findings if item.severity is each) for each in Severity}
    errors = counts[Severity.ERROR] + (report.refusal is not None)
    verdict = "would be taken" if report.passed else "would be refused"
    if report.passed and not report.complete:
        verdict += " as far as it was read"
    engine = ""
    if report.detection:
        detection = report.detection
        engine = f", {detection.engine} {detection.runtime} (confidence {detection.confidence})"
    elif report.evidence and (likely := shown_engines(report.evidence)):
        engine = f", files that fit {likely}"
    read = "" if report.bytes_read is None else f", {report.bytes_read:,} bytes read"
    return (
        f"{printable(subject.folder)} {verdict}: {errors} errors, {counts[Severity.WARNING]} warnings, "
        f"{counts[Severity.INFO]} infos in {report.file_count:,} files, {report.size_bytes:,} bytes{engine}{read}."
    )


def as_json(subject: Subject) -> str:
    """The report as one JSON object."""
    return json.dumps({"folder": subject.folder, **subject.report.as_data()}, indent=2)


def as_sarif(subject: Subject) -> str:
    """The report as SARIF 2.1.0."""
    report = subject.report
    results: list[dict[str, Any]] = []
    for item in report.findings:
        region = {"startLine": item.place.line, "startColumn": item.place.column or 1} if item.place.line else None
        location: dict[str, Any] = {"artifactLocation": {"uri": _uri(subject.path(item))}}
        if region:
            location["region"] = region
        results.append({
            "ruleId": item.code,
            "level": _LEVELS[item.severity],
            "message": {"text": f"{item.message} {item.fix}"},
            "locations": [{"physicalLocation": location}],
        })
    if report.refusal is not None:
        text = f"{report.refusal.message} {report.refusal.remedy}"
        results.append({"ruleId": report.refusal.code, "level": "error", "message": {"text": text}})
    used = sorted({item.code for item in report.findings})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": RULES[code].title},
            "fullDescription": {"text": RULES[code].reason},
            "help": {"text": RULES[code].remedy},
        }
        for code in used
    ]
    run = {"tool": {"driver": {"name": "airlock", "rules": rules}}, "results": results}
    return json.dumps(
        {"$schema": "https://json.schemastore.org/sarif-2.1.0.json", "version": "2.1.0", "runs": [run]}, indent=2
    )


def as_github(subject: Subject) -> str:
    """The report as workflow commands, one line for each finding."""
    lines = []
    for item in subject.report.findings:
        place = f"file={_property(subject.path(item))}"
        if item.place.line:
            place += f",line={item.place.line},col={item.place.column or 1}"
        text = _data(f"{item.message} {item.fix}")
        lines.append(f"::{_COMMANDS[item.severity]} {place},title={item.code}::{text}")
    refusal = subject.report.refusal
    if refusal is not None:
        lines.append(f"::error title={refusal.code}::{_data(f'{refusal.message} {refusal.remedy}')}")
    return "\n".join([*lines, summary(subject)])


def _uri(path: str) -> str:
    from urllib.parse import quote

    scheme, _, rest = path.partition("://")
    return f"{scheme}://{quote(rest)}" if rest else quote(path)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
