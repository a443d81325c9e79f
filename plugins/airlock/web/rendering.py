"""Templates to HTML: everything is escaped, and a name that a template does not know is an error."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from airlock.web.charts import bars, lines

URL_PREFIX = "/airlock"
HERE = Path(__file__).parent
#: What a list shows of a reason; the version's page has it whole.
MAX_REASON_CHARACTERS = 160


def moment(seconds: float) -> Markup:
    """A point in time, given in seconds since 1970."""
    at = datetime.fromtimestamp(seconds, tz=UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        at.isoformat(timespec="seconds"), at.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def day(seconds: float) -> str:
    """A point in time, given in seconds since 1970, for the edge of a chart."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M")


def byte_count(count: float | None) -> str:
    """A number of bytes in the unit that keeps it short; decimal, as the minimum specifications are."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


def milliseconds(value: float | None) -> str:
    """A time in milliseconds, with three figures at most before it is seconds."""
    if value is None:
        return "–"
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 100 or value == 0 else f"{value:.1f} ms"


def counted(count: int, one: str, more: str = "") -> str:
    """A number and its noun."""
    return f"{count:,} {one if count == 1 else more or one + 's'}"


def in_short(reason: str) -> str:
    """Why a version is not Normal, on one line: for broken rules the first of them, and how many more."""
    first, *others = reason.splitlines() or [""]
    rules = [line.strip() for line in others]
    if not first.endswith(":") or not rules:
        return _cut(first)
    return _cut(rules[0]) + (f" + {len(rules) - 1} more" if len(rules) > 1 else "")


def _cut(line: str) -> str:
    return line if len(line) <= MAX_REASON_CHARACTERS else f"{line[: MAX_REASON_CHARACTERS - 1].rstrip()}…"


@functools.cache
def templates() -> Environment:
    """The templates, with their filters."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        moment=moment,
        day=day,
        bytes=byte_count,
        milliseconds=milliseconds,
        counted=counted,
        in_short=in_short,
        json=functools.partial(json.dumps, ensure_ascii=False),
        segment=functools.partial(quote, safe=""),
    )
    environment.globals.update(bars=bars, lines=lines)
    return environment


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A template, filled in.

    Args:
        request: Tells under which path Airflow is reached, and where in it the pages are.
        name: The template.
        status: HTTP status.
        values: What the template names.
    """
    values = {"prefix": prefix_of(request), "airflow": airflow_of(request), **values}
    text = templates().get_template(name).render(**values)
    return HTMLResponse(text, status_code=status)


def airflow_of(request: Request) -> str:
    """The path under which Airflow is reached, as browsers call it; empty for `/`."""
    return str(request.scope.get("app_root_path", ""))


def prefix_of(request: Request) -> str:
    """The path under which the pages are reached, as browsers call it."""
    return f"{airflow_of(request)}{URL_PREFIX}"


def version_path(model_name: str, model_version: str, part: str = "") -> str:
    """The path of a version's page, or of something of it, below the pages' own prefix."""
    path = f"/models/{quote(model_name, safe='')}/{quote(model_version, safe='')}"
    return f"{path}/{part}" if part else path
