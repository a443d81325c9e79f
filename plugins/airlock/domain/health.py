"""The `health` block: how an image of the user's own tells that it is ready.

Source: Specifications for compiling the model configuration file, `health`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from airlock.domain.jsontext import pointer_token

HTTP_CHECK = "HTTP"
COMMAND_CHECK = "EXEC"
MAX_SECONDS = 3600.0
MAX_FAILURES = 10_000
#: Seconds to become healthy in where the block says nothing of it.
DEFAULT_PATIENCE_S = 300.0
_KEYS = (
    "check_method", "command", "url", "protocol", "initial_delay_seconds", "timeout_seconds", "period_seconds",
    "failure_threshold",
)  # fmt: skip

#: Takes a rule's code, a JSON pointer below `/health`, a sentence and the value.
Tell = Callable[[str, str, str, Any], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How an image of the user's own tells that it is ready.

    Attributes:
        method: `HTTP` (a GET that is answered with 200) or `EXEC` (a command that ends with status 0).
        url: Path to ask, for `HTTP`.
        protocol: `http` or `https`, for `HTTP`.
        command: What the image's shell runs, for `EXEC`.
        initial_delay_s: Seconds before the first question.
        timeout_s: Seconds that one answer may take.
        period_s: Seconds between two questions.
        failures: How many questions in a row may fail after the delay; None where the block says nothing.
    """

    url: str = "/"
    protocol: str = "http"
    method: str = HTTP_CHECK
    command: str = ""
    initial_delay_s: float = 0
    timeout_s: float = 5
    period_s: float = 1
    failures: int | None = None

    @property
    def startup_timeout_s(self) -> float:
        """Seconds from the start after which a service that follows the block would be given up."""
        patience = DEFAULT_PATIENCE_S if self.failures is None else self.failures * max(self.period_s, self.timeout_s)
        return self.initial_delay_s + patience


def spelled_health(raw: Mapping[str, Any], tell: Tell) -> dict[str, Any]:
    """The block with loose spellings put right and unknown fields left out."""
    health: dict[str, Any] = {}
    for key, value in raw.items():
        if key not in _KEYS:
            tell("CFG011", f"/{pointer_token(key)}", "The field is not known and is read over.", key)
        elif value is not None and value != "":
            health[key] = value
    for name in ("protocol", "check_method"):
        if isinstance(health.get(name), str):
            text = health[name].strip()
            health[name] = text.lower() if name == "protocol" else text.upper()
    return health


def read_health(raw: Mapping[str, Any], tell: Tell) -> Health:
    """What a block of the right form means."""
    method = raw.get("check_method", HTTP_CHECK)
    needed = "command" if method == COMMAND_CHECK else "url"
    if needed not in raw:
        tell("CFG005", f"/{needed}", f"The field `{needed}` is missing.", None)
    for name in {"command", "url"} - {needed}:
        if name in raw:
            tell("CFG011", f"/{name}", f"`{name}` is read over: health is asked for by {method}.", raw[name])
    url = raw.get("url", "/")
    if not is_sendable(url):
        tell("API001", "/url", UNSENDABLE, url)
    return Health(
        url=url,
        protocol=raw.get("protocol", "http"),
        method=method,
        command=raw.get("command", ""),
        initial_delay_s=_number(raw, "initial_delay_seconds", 0, 0, MAX_SECONDS, tell),
        timeout_s=_number(raw, "timeout_seconds", 5, 0.1, MAX_SECONDS, tell),
        period_s=_number(raw, "period_seconds", 1, 0.1, MAX_SECONDS, tell),
        failures=_failures(raw, tell),
    )


UNSENDABLE = "The path is made of visible ASCII characters, without `#`; write others as `%XX`."


def is_sendable(url: str) -> bool:
    """Whether a path can stand in a request line as it is."""
    return url.startswith("/") and all("!" <= character <= "~" and character != "#" for character in url)


def _failures(raw: Mapping[str, Any], tell: Tell) -> int | None:
    return int(_number(raw, "failure_threshold", 1, 1, MAX_FAILURES, tell)) if "failure_threshold" in raw else None


def _number(raw: Mapping[str, Any], name: str, default: float, least: float, most: float, tell: Tell) -> float:
    try:
        number = float(raw.get(name, default))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if least <= number <= most:
        return number
    tell("CFG006", f"/{name}", f"A number from {least:g} to {most:g} is expected.", raw.get(name))
    return default
