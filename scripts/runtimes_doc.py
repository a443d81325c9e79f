"""Write docs/runtimes.md from the runtime catalogue and from what was measured.

The catalogue is include/runtimes/catalogue. include/runtimes/measured.yaml holds, by engine/runtime, what
scripts/measured_runtimes.py recorded; a row that is not in it was not built.

Usage:
    python scripts/runtimes_doc.py            write the page
    python scripts/runtimes_doc.py --check    write nothing; exit status 1 when the page is stale
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "include" / "runtimes" / "catalogue"
MEASURED = ROOT / "include" / "runtimes" / "measured.yaml"
PAGE = ROOT / "docs" / "runtimes.md"

HEAD = """\
# Runtimes

<!-- Written by scripts/runtimes_doc.py from include/runtimes/catalogue and include/runtimes/measured.yaml. -->

A package names its engine in `model_type` and, if it wants, a runtime of that engine in `runtime`; without one it gets
the engine's default. *seed* rows are those of the specification's table, *current* rows are for today's models.

Names of the unified form, such as `pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64`, are understood: a row that has
the same engine, version, Python, architecture and kind of device is taken, and where none fits the refusal names the
nearest.

Sizes are of the whole image (10^6 bytes). *build s* is building it with its downloads; *test s* is training the
engine's example model in that image without a network, importing its packages and getting checked answers; *ms* is the
median of one prediction. `make test-runtimes MEASURE=1` takes them, once for each row, on an x86-64 machine with two
cores that other builds and tests shared: times are what such a machine may need, not what the engines can do. A row for
devices that this machine lacks is built and says "not run: no device", so it has no times of a test. Those without any
figure were rendered and checked only: rows for aarch64, and builds for GPUs, most of which make more than 6 GB.

The exact pins of each row lie in `include/runtimes/images/constraints/`. A row may name the digest of its base image
(`base_image_digest`). None does: they were written where no container registry answers, and a digest would shut out the
base images that such hosts make themselves.
"""
#: What is measured of a row, and the column that shows it.
FIGURES = {"image_bytes": "image MB", "build_s": "build s", "test_s": "test s", "latency_ms": "ms"}
COLUMNS = (
    "engine",
    "runtime",
    "version",
    "Python",
    "devices",
    "architecture",
    "default",
    "status",
    "available",
    "base image",
    *FIGURES.values(),
)


def load_rows(catalogue: Path = CATALOGUE) -> list[dict[str, Any]]:
    """Read the catalogue's rows: by engine, the specification's first, then by Python and name."""
    rows = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in catalogue.glob("*/*.yaml")]
    return sorted(
        rows,
        key=lambda row: (
            row["engine"].lower(),
            row["status"] != "seed",
            not row["default"],
            [int(part) for part in row["python"].split(".")],
            row["runtime"],
        ),
    )


def load_measured(path: Path = MEASURED) -> dict[str, dict[str, float]]:
    """Read what was measured: by engine/runtime, `image_bytes` and `build_s`."""
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def render(rows: Sequence[Mapping[str, Any]], measured: Mapping[str, Mapping[str, float]]) -> str:
    """Write the page's text; the same rows and figures give the same text."""
    lines = [HEAD, _line(COLUMNS), _line("---" for _ in COLUMNS)]
    lines += [_line(_cells(row, measured.get(_key(row), {}))) for row in rows]
    for title, notes in (
        ("Still to be measured", _unmeasured(rows, measured)),
        ("Rows that cannot be had", _unavailable(rows)),
        ("Stand-ins", _stand_ins(rows)),
        ("Other builds of a row", _variants(rows)),
        ("Base images that are made once", _recipes(rows)),
        ("Notes", (f"- **{_key(row)}**: {_flat(row['notes'])}" for row in rows)),
    ):
        text = list(notes)
        if text:
            lines += ["", f"## {title}", "", *text]
    return "\n".join(lines) + "\n"


def _key(row: Mapping[str, Any]) -> str:
    return f"{row['engine']}/{row['runtime']}"


def _flat(text: str) -> str:
    return " ".join(text.split())


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cells(row: Mapping[str, Any], figures: Mapping[str, float]) -> tuple[str, ...]:
    def shown(name: str, form: str, unit: float = 1) -> str:
        return format(figures[name] / unit, form) if name in figures else ""

    return (
        row["engine"],
        f"`{row['runtime']}`",
        row["engine_version"],
        row["python"],
        ", ".join(row["devices"]),
        ", ".join(row["architectures"]),
        "**yes**" if row["default"] else "",
        row["status"],
        ("stand-in" if row.get("stand_in") else "yes") if row["available"] else "no",
        f"`{row['base_image']}`",
        shown("image_bytes", ".0f", 1e6),
        shown("build_s", ".0f"),
        shown("test_s", ".0f"),
        shown("latency_ms", ".3g"),
    )


def _unmeasured(rows: Sequence[Mapping[str, Any]], measured: Mapping[str, Mapping[str, float]]) -> list[str]:
    """What is missing of the rows that an x86-64 machine without accelerators runs."""
    missing = {
        _key(row): [column for name, column in FIGURES.items() if name not in measured.get(_key(row), {})]
        for row in rows
        if row["available"] and "x86_64" in row["architectures"] and "cpu" in row["devices"]
    }
    return [f"- **{key}**: {', '.join(columns)}" for key, columns in missing.items() if columns]


def _unavailable(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"- **{_key(row)}**: {_flat(row['unavailable_reason'])} The nearest is `{row['nearest']}`."
        for row in rows
        if not row["available"]
    ]


def _grouped(texts: Iterable[tuple[str, str]]) -> list[str]:
    """One line for rows with the same text, in the order of the first of them."""
    keys: dict[str, list[str]] = {}
    for key, text in texts:
        keys.setdefault(text, []).append(key)
    return [f"- **{', '.join(names)}**: {text}" for text, names in keys.items()]


def _stand_ins(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return _grouped((_key(row), _flat(row["stand_in"])) for row in rows if row.get("stand_in"))


def _variants(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = _grouped(
        (
            f"{_key(row)} ({name})",
            f"{', '.join(variant['devices'])} on `{variant['base_image']}`. {_flat(variant['notes'])}",
        )
        for row in rows
        for name, variant in sorted(row.get("variants", {}).items())
    )
    return (
        [
            "Every import gets the row's own build. A worker with the device tests a build for GPUs beside it, and",
            "`genuine` takes the place of a stand-in, each where its base image is on the worker or in a registry that",
            "`base_image_prefix` names.",
            "",
            *lines,
        ]
        if lines
        else []
    )


def _recipes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    recipes = {
        build["base_image"]: build["base_recipe"]
        for row in rows
        for build in (row, *row.get("variants", {}).values())
        if build.get("base_recipe")
    }
    lines = [
        "No registry publishes these under their tags. Save a recipe as `Dockerfile` in an empty folder and run",
        "`docker build -t TAG .` there, once for each host or for the registry that `base_image_prefix` names.",
    ]
    for image, recipe in sorted(recipes.items()):
        lines += ["", f"`{image}`", "", "```dockerfile", recipe.rstrip("\n"), "```"]
    return lines if recipes else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Write or check the page about the runtimes.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    options = parser.parse_args(arguments)
    text = render(load_rows(), load_measured())
    if options.check:
        stale = not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text
        print(f"{PAGE.relative_to(ROOT)}: {'stale, run scripts/runtimes_doc.py' if stale else 'up to date'}")
        return int(stale)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
