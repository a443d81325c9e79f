"""Two versions side by side: the facts that people ask for first, then every difference of their records."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from airlock.domain.record import VersionRow
from airlock.domain.registered import Difference, differences
from airlock.web.rendering import byte_count, milliseconds

#: What differs between any two versions and says nothing of the models.
_OF_THE_IMPORT = ("accepted/reservation", "accepted/at", "registered_at")
MAX_SHOWN_CHARACTERS = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One line of a comparison.

    Attributes:
        name: What it is.
        left: Of the one version, as text.
        right: Of the other.
    """

    name: str
    left: str
    right: str

    @property
    def differs(self) -> bool:
        """Whether it is not the same."""
        return self.left != self.right


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions side by side.

    Attributes:
        facts: What people ask for first.
        differences: All that differs in the records, values shortened.
    """

    facts: tuple[Fact, ...]
    differences: tuple[Difference, ...]


def compared(left: VersionRow, right: VersionRow) -> Comparison:
    """Two versions side by side."""
    of_left, of_right = dict(_facts(left)), dict(_facts(right))
    names = [*of_left, *(name for name in of_right if name not in of_left)]
    found = differences(left.details, right.details) if left.details and right.details else ()
    return Comparison(
        facts=tuple(Fact(name=name, left=of_left.get(name, "–"), right=of_right.get(name, "–")) for name in names),
        differences=tuple(
            Difference(field=each.field, left=_shortened(each.left), right=_shortened(each.right))
            for each in found
            if not each.field.startswith(_OF_THE_IMPORT)
        ),
    )


def _facts(row: VersionRow) -> Iterator[tuple[str, str]]:
    yield "Status", row.status.value
    yield "Description", row.description or "–"
    yield "Labels", ", ".join(row.labels) or "–"
    yield "Deployment types", ", ".join(row.install_type) or "–"
    yield "Source", row.source or "–"
    if not row.summary:
        return
    yield "Engine", f"{row.engine} {row.summary.get('engine_version', '')}".strip()
    yield "Runtime", row.runtime or "the image's own"
    yield "Package", row.package_digest
    yield "Size", byte_count(row.size_bytes)
    yield "Image", row.image_digest
    config: Mapping[str, Any] = row.details.get("validated", {}).get("config", {})
    dependencies = config.get("dependencies") or []
    yield "Dependencies", "\n".join(_dependency(each) for each in dependencies) or "–"
    for name, value in sorted((config.get("metrics") or {}).items()):
        yield f"Metric {name}", str(value)
    for report in row.details.get("reports", []):
        device = report["device"]
        yield f"Result on {device}", report["verdict"]
        latency = report.get("latency")
        if latency:
            yield f"Median on {device}", milliseconds(latency["p50"])
            yield f"99th percentile on {device}", milliseconds(latency["p99"])
        if report.get("peak_memory_bytes") is not None:
            yield f"Peak memory on {device}", byte_count(report["peak_memory_bytes"])


def _dependency(item: Mapping[str, Any]) -> str:
    return " ".join(str(item[key]) for key in ("name", "restraint", "version") if item.get(key))


def _shortened(value: Any) -> str:
    """A value as text; what one of the two does not have is a dash."""
    if value is None:
        return "–"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN_CHARACTERS else f"{text[:MAX_SHOWN_CHARACTERS]}…"
