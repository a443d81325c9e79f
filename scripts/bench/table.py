"""The benchmark's rows, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One promise and what came out.

    Attributes:
        name: What was measured.
        value: What came out, in `unit`.
        unit: `ratio`, `s`, `MB` or `requests`.
        target: The value may be this at most.
        ours: Our side in seconds where two were measured, else None.
        anchor: The other side in seconds, else None.
    """

    name: str
    value: float
    unit: str
    target: float
    ours: float | None = None
    anchor: float | None = None

    @property
    def ok(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.target


def as_text(rows: Sequence[Row]) -> str:
    """The rows as lines of equal columns."""
    lines = [("what", "value", "target", "ours", "anchor", "")]
    lines += [
        (
            row.name,
            f"{row.value:.2f} {row.unit}",
            f"≤ {row.target:g} {row.unit}",
            "" if row.ours is None else f"{row.ours:.2f} s",
            "" if row.anchor is None else f"{row.anchor:.2f} s",
            "ok" if row.ok else "MISSED",
        )
        for row in rows
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join(
        "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def write_json(rows: Sequence[Row], path: Path) -> None:
    """Writes the rows where a program finds them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = [{**asdict(row), "ok": row.ok} for row in rows]
    path.write_text(json.dumps({"rows": values}, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
