"""What a check has to say: one finding per broken rule, with its place and its remedy."""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from airlock.domain.rules import RULES

MAX_SHOWN_CHARACTERS = 80
MAX_SHOWN_PLACE_CHARACTERS = 300
#: Findings of one code and severity that are told of one file; nobody reads more.
MAX_TOLD = 50
#: Those that are told of all files together.
MAX_TOLD_IN_ALL = 200


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
        more: Findings like it that it stands for, where those were left out; 0 for one of its own.
    """

    code: str
    severity: Severity
    message: str
    place: Place
    value: str
    fix: str
    more: int = 0

    @property
    def count(self) -> int:
        """How many findings it is or stands for."""
        return self.more or 1

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


class Findings:
    """Findings as they are noticed: the first ones, and of the others no more than their number.

    An input of a megabyte can break a rule a quarter of a million times. Of one code and severity `MAX_TOLD` are kept
    of each file and `MAX_TOLD_IN_ALL` of all files; one more stands for the others of a file, at the place of the first
    of them.

    Args:
        findings: What was noticed before.
        file: The file of places that are asked for only when they are needed.
        by_file: Whether those beyond the limit of all files are counted for each file by itself, as the table of a
            package's files wants them, or as one.
    """

    def __init__(self, findings: Iterable[Finding] = (), *, file: str = "", by_file: bool = True) -> None:
        self._file = file
        self._by_file = by_file
        self._told: list[Finding] = []
        self._counts: Counter[tuple[str, Severity, str | None]] = Counter()
        self._left_out: dict[tuple[str, Severity, str | None], Finding] = {}
        self.extend(findings)

    def __iter__(self) -> Iterator[Finding]:
        yield from self._told
        yield from self._left_out.values()

    def __len__(self) -> int:
        return len(self._told) + len(self._left_out)

    def note(
        self,
        code: str,
        message: str,
        *,
        place: Place | Callable[[], Place] | None = None,
        value: object = None,
        fix: str = "",
        severity: Severity | None = None,
        count: int = 1,
    ) -> None:
        """Take one, of which nothing is made where it is left out.

        Args:
            code: As `finding` takes it, like all that is not named here.
            message: Likewise.
            place: Where, or what gives it.
            value: Likewise.
            fix: Likewise.
            severity: Likewise.
            count: How many there are of it, the others somewhere behind it.
        """
        weight = severity or Severity(RULES[code].severity)
        file = self._file if callable(place) else place.file if place is not None else ""
        if self._has_room(code, weight, file):
            where = place() if callable(place) else place
            self._tell(finding(code, message, place=where, value=value, fix=fix, severity=weight))
            count -= 1
        if count:
            self._leave_out(code, weight, file, place, count)

    def append(self, item: Finding) -> None:
        """Take one that is there."""
        if not item.more and self._has_room(item.code, item.severity, item.place.file):
            self._tell(item)
        else:
            self._leave_out(item.code, item.severity, item.place.file, item.place, item.count)

    def extend(self, items: Iterable[Finding]) -> None:
        """Take several."""
        for item in items:
            self.append(item)

    def _has_room(self, code: str, severity: Severity, file: str) -> bool:
        return self._counts[code, severity, file] < MAX_TOLD and self._counts[code, severity, None] < MAX_TOLD_IN_ALL

    def _tell(self, item: Finding) -> None:
        self._told.append(item)
        self._counts[item.code, item.severity, item.place.file] += 1
        self._counts[item.code, item.severity, None] += 1

    def _leave_out(
        self, code: str, severity: Severity, file: str, place: Place | Callable[[], Place] | None, count: int
    ) -> None:
        key = self._heap(code, severity, file)
        before = self._left_out.get(key)
        if before is None:
            where = (place() if callable(place) else place) or Place()
        else:
            count, where = count + before.more, before.place
        self._left_out[key] = Finding(
            code=code,
            severity=severity,
            message=f"And {count:,} more like it.",
            place=where,
            value="",
            fix=RULES[code].remedy,
            more=count,
        )

    def _heap(self, code: str, severity: Severity, file: str) -> tuple[str, Severity, str | None]:
        """What is counted together."""
        key = (code, severity, file)
        if self._by_file or key in self._left_out:
            return key
        if self._counts[code, severity, None] >= MAX_TOLD_IN_ALL:
            return code, severity, None
        self._counts[code, severity, None] += 1
        return key


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings as a report has them: bounded in number, errors first, then by file, line and code.

    The same input gives the same report, and so does a report.
    """
    return tuple(sorted(Findings(sorted(findings, key=_weight), by_file=False), key=_weight))


def _weight(item: Finding) -> tuple[int, str, int, int, str, str]:
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}
    place = item.place
    return order[item.severity], place.file, place.line, place.column, item.code, place.pointer


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether any finding refuses."""
    return any(f.is_error for f in findings)
