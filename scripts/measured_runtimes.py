"""What was measured of the runtimes that were built and run: include/runtimes/measured.yaml, which only tests write.

`make test-runtimes MEASURE=1` records each row as it passes and brings docs/runtimes.md up to date.
"""

from __future__ import annotations

import fcntl
from collections.abc import Mapping
from pathlib import Path

import yaml

from scripts import runtimes_doc

HEAD = """\
# What was measured, by engine/runtime; `make test-runtimes MEASURE=1` writes it and scripts/runtimes_doc.py shows it.
# image_bytes: size of the whole image. build_s: seconds of building it with its downloads. test_s: seconds of training
# the engine's example in it without a network, making the packages, importing them and getting checked answers.
# latency_ms: median of one prediction. All on two cores that other work may have shared.
"""
#: The figures of a row, in the order in which they are written.
FIGURES = tuple(runtimes_doc.FIGURES)


def record(key: str, figures: Mapping[str, float], path: Path = runtimes_doc.MEASURED) -> None:
    """Put figures in the place of older ones of the same row; those that are not given stay.

    Args:
        key: `engine/runtime`.
        figures: Name out of FIGURES → value.
        path: The file; the page is written again where it is the project's own.

    Raises:
        ValueError: A figure has an unknown name.
    """
    unknown = sorted(set(figures) - set(FIGURES))
    if unknown:
        raise ValueError(f"unknown figures {unknown}")
    with path.open("r+", encoding="utf-8") as file:
        # Several runs may record at a time.
        fcntl.flock(file, fcntl.LOCK_EX)
        rows = yaml.safe_load(file) or {}
        rows[key] = {**rows.get(key, {}), **figures}
        text = render(rows)
        file.seek(0)
        file.write(text)
        file.truncate()
        file.flush()
        if path == runtimes_doc.MEASURED:
            page = runtimes_doc.render(runtimes_doc.load_rows(), rows)
            runtimes_doc.PAGE.write_text(page, encoding="utf-8")


def render(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Give the file's text: rows by name, figures in their order."""
    lines = []
    for key in sorted(rows):
        lines.append(f"{key}:")
        lines += [f"  {name}: {rows[key][name]}" for name in FIGURES if name in rows[key]]
    return HEAD + "".join(f"{line}\n" for line in lines)
