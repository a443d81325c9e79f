"""What a model file says of itself, read from its header: the one value that validation and detection share."""

from __future__ import annotations

from dataclasses import dataclass

#: Confidence of one piece of evidence for an engine. The bytes name the engine, or a mark that it alone writes.
CERTAIN = 0.95
#: The structure is the engine's own, and nothing in it names the engine.
STRONG = 0.8
#: The file's name is of the engine's form, and nothing was read.
NAMED = 0.5
#: Several engines write this form.
WEAK = 0.3

MAX_NAMES_SHOWN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """An engine that a file speaks for.

    Attributes:
        engine: The engine.
        confidence: Between 0 and 1; one of this module's four values.
    """

    engine: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenBy:
    """The version that a file was written by, or a level of its format.

    Attributes:
        library: The library as people name it, `ONNX opset` and the like for a format's level.
        version: Numbers joined by dots.
        or_newer: Whether the file only shows that it was no older version.
    """

    library: str
    version: str
    or_newer: bool = False

    def __str__(self) -> str:
        return f"{self.library} {self.version}" + (" or newer" if self.or_newer else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that a rule is about.

    Attributes:
        code: The rule.
        message: What was found, as a sentence.
        value: The value found; empty where there is none.
    """

    code: str
    message: str
    value: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a file says.

    Attributes:
        says: What it is, as the end of "the file …".
        claims: The engines that it speaks for, surest first.
        written_by: Versions that it names.
        details: What else it tells, by name: signatures, operators, layers.
        problems: What rules are about.
        refers_to: Files that it loads, relative to its own folder.
    """

    says: str
    claims: tuple[Claim, ...]
    written_by: tuple[WrittenBy, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    problems: tuple[Problem, ...] = ()
    refers_to: tuple[str, ...] = ()


def claims(confidence: float, *engines: str) -> tuple[Claim, ...]:
    """One claim for each engine."""
    return tuple(Claim(engine=engine, confidence=confidence) for engine in engines)


def listed(names: object, limit: int = MAX_NAMES_SHOWN) -> str:
    """Names in order, without repeats, the first ones and how many more."""
    unique = list(dict.fromkeys(str(name) for name in names))  # type: ignore[attr-defined]  # any iterable
    more = len(unique) - limit
    return ", ".join(unique[:limit]) + (f" and {more:,} more" if more > 0 else "")


def numbered(text: object, limit: int = 40) -> str:
    """The numbers at the start of a version's text, such as `2.2.4` of `2.2.4-tf`; empty where there are none."""
    if not isinstance(text, str) or len(text) > limit:
        return ""
    parts = []
    for part in text.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits or len(digits) > 6:
            break
        parts.append(str(int(digits)))
        if digits != part:
            break
    return ".".join(parts[:4])
