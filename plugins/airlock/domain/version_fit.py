"""Whether the version that wrote a file fits a runtime, and which runtime of the catalogue does.

A library reads what older versions wrote more often than the other way round; what is known of each is a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from airlock.domain.catalogue import Catalogue, Runtime
from airlock.domain.model_files.facts import WrittenBy, numbered

Version = tuple[int, ...]
#: Nothing that there is today.
_NEVER: Version = (9999,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Versions of an engine that read a file.

    Attributes:
        low: The oldest, empty where any old one does.
        high: The first that no longer does, empty where there is none.
    """

    low: Version = ()
    high: Version = ()

    def holds(self, version: str) -> bool:
        """Whether a version is one of them; only as many numbers are compared as the span has."""
        numbers = numbers_of(version)
        if self.low and _padded(numbers, len(self.low)) < self.low:
            return False
        return not self.high or _padded(numbers, len(self.high)) < self.high

    def __str__(self) -> str:
        low, high = (".".join(map(str, each)) for each in (self.low, self.high))
        if self.low == _NEVER:
            return "a version newer than any that is known"
        if low and high:
            return low if self.high == _next(self.low) else f"{low} or newer, but older than {high}"
        return f"{low} or newer" if low else f"a version older than {high}"


def span_of(written: WrittenBy, engine: str) -> Span | None:
    """Versions of the engine that read what such a version wrote, or None where nothing is known."""
    rule = _RULES.get((engine, written.library))
    version = numbers_of(written.version)
    if rule is None or not version:
        return None
    span = rule(version)
    return span if span.low or span.high else None


def fitting_runtime(engine: str, spans: Iterable[Span], runtime: Runtime, catalogue: Catalogue) -> Runtime | None:
    """The runtime to take instead.

    Args:
        engine: The engine.
        spans: What the files need.
        runtime: The runtime that does not fit.
        catalogue: The known runtimes.

    Returns:
        One that fits all spans and can be had, most like the other one; None where there is none.
    """
    needed = list(spans)
    rows = [
        row
        for row in catalogue.of_engine(engine)
        if row.available and all(span.holds(row.engine_version) for span in needed)
    ]
    wanted = set(runtime.devices)
    return min(
        rows,
        key=lambda row: (
            not set(row.architectures) & set(runtime.architectures),
            not row.is_built_for(runtime.devices[0]) or not set(row.devices) & wanted,
            len(set(row.devices) ^ wanted),
            not row.default,
            row.name,
        ),
        default=None,
    )


def numbers_of(version: str) -> Version:
    """A version's numbers; empty where it has none."""
    text = numbered(version)
    return tuple(int(part) for part in text.split(".")) if text else ()


def _padded(numbers: Version, length: int) -> Version:
    return (*numbers, *(0,) * length)[:length]


def _next(version: Version) -> Version:
    return (*version[:-1], version[-1] + 1)


def _same_minor(version: Version) -> Span:
    low = _padded(version, 2)
    return Span(low=low, high=_next(low))


def _minor_or_newer(version: Version) -> Span:
    return Span(low=_padded(version, 2))


def _major_or_newer(version: Version) -> Span:
    return Span(low=(version[0], 0) if version[0] else _padded(version, 2))


def _keras(version: Version) -> Span:
    """TensorFlow's version with the first Keras that reads such a file.

    Keras 3 came with 2.16; from 2.5 to 2.15 both had one number; before, Keras was some ahead.
    """
    major, minor = _padded(version, 2)
    if major >= 3:
        return Span(low=(2, 16))
    if (major, minor) >= (2, 5):
        return Span(low=(2, min(minor, 15)))
    if (major, minor) < (2, 2):
        # TensorFlow 2.1 and 2.21 were tried, and fail at the list that a sequential model was.
        return Span(high=(2, 0))
    return Span(low={4: (2, 3), 3: (2, 2)}.get(minor, (1, 13)))


#: ONNX Runtime → the highest operator set and IR that it loads, as tried with each.
_ONNX_LEVELS: tuple[tuple[Version, tuple[int, int]], ...] = (((1, 31), (26, 13)), ((1, 32), (28, 14)))


def _onnx(which: int) -> Callable[[Version], Span]:
    def span(level: Version) -> Span:
        (_, oldest), *newer = _ONNX_LEVELS
        if level[0] <= oldest[which]:
            return Span()
        return Span(low=next((version for version, highest in newer if level[0] <= highest[which]), _NEVER))

    return span


_LIGHTGBM_FORMS: dict[int, Version] = {2: (2, 0), 3: (2, 3), 4: (4, 0)}

_RULES: dict[tuple[str, str], Callable[[Version], Span]] = {
    ("TensorFlow", "TensorFlow"): _minor_or_newer,
    ("TensorFlow", "Keras"): _keras,
    # A pickle holds the attributes of its version's classes: neither older nor newer ones are promised to read it.
    ("Scikit_Learn", "scikit-learn"): _same_minor,
    ("XGBoost", "XGBoost"): _major_or_newer,
    # Whatever wrote it; 3.1 was the first that no longer reads it.
    ("XGBoost", "XGBoost binary form"): lambda version: Span(high=(3, 1)),
    ("LightGBM", "LightGBM model form"): lambda form: Span(low=_LIGHTGBM_FORMS.get(form[0], _NEVER)),
    ("CatBoost", "CatBoost"): _minor_or_newer,
    # The zip archive is 1.6's form; the numbers in it do not change how it is read.
    ("PyTorch", "PyTorch archive form"): lambda version: Span(low=(1, 6)),
    ("ONNX", "ONNX opset"): _onnx(0),
    ("ONNX", "ONNX IR"): _onnx(1),
    ("Spark_MLlib", "Spark"): _minor_or_newer,
    ("MXNet", "MXNet"): _minor_or_newer,
    ("MindSpore", "MindSpore"): _minor_or_newer,
    ("Transformers", "Transformers"): _major_or_newer,
}
