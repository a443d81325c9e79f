"""What a build says while it goes on: whole lines without colours and passwords, of which the last are kept."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator

from airlock.adapters.install_settings import without_credentials
from airlock.domain.catalogue import Runtime
from airlock.domain.findings import shown
from airlock.domain.image import Layer
from airlock.errors import BuildFailed

#: Enough for the longest traceback of a build script; the reason of a failure is near the end.
KEPT_LINES = 2000
_TERMINAL_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class OutputLines:
    """Makes lines of pieces."""

    def __init__(self) -> None:
        self._text = ""

    def take(self, piece: str) -> Iterator[str]:
        """The lines that a piece completes, without empty ones."""
        *whole, self._text = (self._text + piece).replace("\r", "\n").split("\n")
        for line in whole:
            plain = plain_line(line)
            if plain:
                yield plain


def plain_line(line: str) -> str:
    """A line without colours and passwords."""
    return without_credentials(_TERMINAL_CODES.sub("", line)).rstrip()


def too_slow(runtime: Runtime, layer: Layer, timeout_s: float, kept: deque[str]) -> BuildFailed:
    """The error of a layer whose time is over."""
    return BuildFailed(
        "BLD005",
        f"The {layer.name} layer of {runtime} was not made within {timeout_s:.0f} s; "
        f"its last line was: {shown(kept[-1]) if kept else 'none'}",
        "Ask for dependencies that have wheels, or raise `[airlock] build_timeout_s`.",
    )
