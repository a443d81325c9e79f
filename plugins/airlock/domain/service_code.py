"""Inference code read without running it: whether the runtime's Python can compile it.

Only what is certain is an error. Since 3.7 Python takes what its earlier versions took: what this Python cannot read,
no earlier one can. For other versions the test of the service decides.

Source: Specifications for compiling model inference code.
"""

from __future__ import annotations

import ast
import warnings

from airlock.domain.engines import SERVICE_FILE
from airlock.domain.findings import Finding, Place, Severity, finding

MAX_CODE_BYTES = 1_000_000
#: The first Python whose syntax every later one takes: `async` became a keyword in it.
_FIRST_COMPARABLE = (3, 7)


def check_code(path: str, data: bytes, python: str, own_python: tuple[int, int]) -> list[Finding]:
    """Read one file of Python code.

    Args:
        path: Its path in the package.
        data: Its bytes; one more than `MAX_CODE_BYTES` is enough.
        python: The runtime's Python, `X.Y`.
        own_python: The Python that reads it here.

    Returns:
        SVC002 where it cannot compile, SVC003 where that is not found out here.
    """
    place = Place(file=path)
    service = path == f"model/{SERVICE_FILE}"
    # A module beside the service may be one that nothing imports.
    severity = None if service else Severity.WARNING
    if len(data) > MAX_CODE_BYTES:
        message = f"The file has more than {MAX_CODE_BYTES:,} bytes."
        return [finding("SVC002", message, place=place, severity=severity)]
    if not _FIRST_COMPARABLE <= _version(python) <= own_python:
        return [finding("SVC003", f"Code for Python {python} is not read here.", place=place)] if service else []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(data)
    except SyntaxError as error:
        place = Place(file=path, line=error.lineno or 0, column=error.offset or 0)
        message = f"Python {python} cannot compile it: {error.msg}."
        value = (error.text or "").strip() or None
        return [finding("SVC002", message, place=place, value=value, severity=severity)]
    except (ValueError, RecursionError, MemoryError) as error:
        message = f"Python {python} cannot compile it: {type(error).__name__}."
        return [finding("SVC002", message, place=place, severity=severity)]
    return []


def _version(python: str) -> tuple[int, ...]:
    return tuple(int(part) for part in python.split(".")[:2])
