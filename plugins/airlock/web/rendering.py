"""Templates to HTML: everything is escaped, and a name that a template does not know is an error."""

from __future__ import annotations

import functools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

URL_PREFIX = "/airlock"
HERE = Path(__file__).parent


def moment(seconds: float) -> str:
    """A point in time, given in seconds since 1970."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def byte_count(count: float | None) -> str:
    """A number of bytes in the unit that keeps it short; decimal, as the minimum specifications are."""
    if count is None:
        return "–"
    for unit in ("B", "kB", "MB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"


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
    environment.filters["moment"] = moment
    environment.filters["bytes"] = byte_count
    environment.filters["json"] = functools.partial(json.dumps, ensure_ascii=False)
    return environment


def page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A template, filled in."""
    return HTMLResponse(templates().get_template(name).render(prefix=URL_PREFIX, **values), status_code=status)
