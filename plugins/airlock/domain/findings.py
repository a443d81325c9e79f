"""What a check has to say: one finding per broken rule, with its place and its remedy."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from airlock.domain.rules import RULES

MAX_SHOWN_CHARACTERS = 80
MAX_SHOWN_PLACE_CHARACTERS = 300


class Severity(enum.StrEnum):
    """How much a finding weighs: an error refuses, a warning is told, an info explains."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a finding points.

    Attributes:
        file: Path inside the package, or the name of a form field's form; empty for the whole.
        pointer: JSON pointer (RFC 6901) or field name; empty for the whole file.
        line: 1-based line, 0 when unknown.
        column: 1-based column in characters, 0 when unknown.
    """

    file: str = ""
    pointer: str = ""
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        # Both may come from outside: object names, and the keys of a configuration or of a form.
        place = shown(self.file, MAX_SHOWN_PLACE_CHARACTERS)
        if self.line:
            place += f":{self.line}" + (f":{self.column}" if self.column else "")
        if self.pointer:
            place += (" " if place else "") + shown(self.pointer, MAX_SHOWN_PLACE_CHARACTERS)
        return place


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One broken rule at one place.

    Attributes:
        code: A key of `airlock.domain.rules.RULES`.
        severity: Error, warning or info.
        message: What was found, as a sentence.
        place: Where.
        value: The value found, shortened and printable; empty when there is none.
        fix: What to change; falls back to the rule's own remedy.
    """

    code: str
    severity: Severity
    message: str
    place: Place
    value: str
    fix: str

    @property
    def is_error(self) -> bool:
        """Whether this finding alone refuses the package."""
        return self.severity is Severity.ERROR

    def line(self) -> str:
        """The finding as one line of text: code, place, sentence, value, remedy."""
        where = f"{self.place}: " if str(self.place) else ""
        value = f" (found: {self.value})" if self.value else ""
        return f"{self.code} {where}{self.message}{value} {self.fix}".rstrip()


def finding(
    code: str,
    message: str,
    *,
    place: Place | None = None,
    value: object = None,
    fix: str = "",
    severity: Severity | None = None,
) -> Finding:
    """Make a finding of a known rule.

    Args:
        code: A key of the rule table.
        message: What was found, as a sentence ending in a full stop.
        place: Where; the whole when omitted.
        value: The value found; shown shortened with control characters escaped.
        fix: A remedy for this very case; the rule's general remedy when empty.
        severity: Overrides the rule's own severity.

    Raises:
        KeyError: The code is not in the rule table: a bug of the caller.
    """
    rule = RULES[code]
    return Finding(
        code=code,
        severity=severity or Severity(rule.severity),
        message=message,
        place=place or Place(),
        value="" if value is None else shown(value),
        fix=fix or rule.remedy,
    )


def shown(value: object, limit: int = MAX_SHOWN_CHARACTERS) -> str:
    """A value from outside as short printable text: control, bidirectional and surrogate characters are escaped.

    Args:
        value: The value; what is no text is shown as Python writes it.
        limit: Characters after which it is cut.
    """
    text = value if isinstance(value, str) else repr(value)
    escaped = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text[: limit + 1]
    )
    return escaped if len(text) <= limit else escaped[:limit] + "…"


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings sorted: errors first, then by file, line and code, so that the same input gives the same report."""
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
    return tuple(
        sorted(
            findings,
            key=lambda f: (order[f.severity], f.place.file, f.place.line, f.place.column, f.code, f.place.pointer),
        )
    )


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any finding refuses."""
    return any(f.is_error for f in findings)
