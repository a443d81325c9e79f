"""What is kept of a smoke test that failed: what was asked, what came back, and what the service said last."""

from __future__ import annotations

import re
from dataclasses import dataclass

from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse

MAX_SHOWN_BODY_CHARACTERS = 4_000
MAX_LOG_LINES = 100
MAX_LINE_CHARACTERS = 1_000
MAX_LOG_CHARACTERS = 30_000
#: 128 and the signal's number, as a shell gives it.
_ENDED_BY = {
    132: "SIGILL: a library uses instructions that this processor does not have",
    134: "SIGABRT: a library gave up, as engines do when they cannot start a thread",
    135: "SIGBUS: more shared memory was used than there is",
    137: "SIGKILL: out of memory, or ended from outside",
    139: "SIGSEGV: a crash in a compiled library",
}
#: What libraries write when the sandbox stops them, the most telling first. Source: the standard library's and the
#: kernel's own messages.
_TOLD_BY_LOG = (
    (r"No module named ['\"]?([\w.]+)", "It imports {0}, which the runtime does not have: add it to `dependencies`."),
    (
        r"Temporary failure in name resolution|Name or service not known|Network is unreachable|nodename nor servname",
        "It tries to reach a network, and a test has none: bring the data in the package.",
    ),
    (r"Read-only file system", "It writes where it may not: /tmp and /home/mind can be written to."),
    (
        r"No space left on device|File too large",
        "It writes more than its private disk holds, which is half of its memory.",
    ),
    (r"Permission denied|PermissionError", "It uses something that its user may not: it runs as nobody."),
    (
        r"Resource temporarily unavailable|can't start new thread|pthread_create failed",
        "It starts more processes and threads than it may.",
    ),
    (r"CUDA out of memory|out of memory trying to allocate", "The device's memory is not enough for it."),
    (r"\bMemoryError\b|std::bad_alloc", "Its memory is not enough: ask for a higher `min_memory_mb`."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailureReport:
    """A failed test as a person reads it. Every text is printable: what comes from outside is escaped.

    Attributes:
        request: Method, path, type and beginning of what was sent last; empty where nothing was.
        response: Status, type and beginning of what came back, or why nothing did.
        log: The service's last lines.
        exit_status: How the service ended, 128 + signal where a signal ended it; None where it was still running.
        out_of_memory: Whether the memory limit ended it.
        cause: The likely cause as a sentence; empty where nothing speaks for one.
    """

    request: str = ""
    response: str = ""
    log: str = ""
    exit_status: int | None = None
    out_of_memory: bool = False
    cause: str = ""


def failure_report(
    exchange: tuple[HttpRequest, HttpResponse | NoResponse] | None,
    log: str,
    *,
    exit_status: int | None,
    out_of_memory: bool,
    told: str = "",
) -> FailureReport:
    """Put a report together.

    Args:
        exchange: The last request and what came of it.
        log: The service's last lines, as they came.
        exit_status: How it ended.
        out_of_memory: Whether the memory limit ended it.
        told: What the serving code itself said of the failure.
    """
    request, response = ("", "") if exchange is None else (_request(exchange[0]), _response(exchange[1]))
    return FailureReport(
        request=request,
        response=response,
        log=printable_lines(log),
        exit_status=exit_status,
        out_of_memory=out_of_memory,
        cause=_likely_cause(log, exit_status, out_of_memory=out_of_memory, told=told),
    )


def printable_lines(text: str) -> str:
    """The last lines of a log: control, bidirectional and surrogate characters escaped, long lines cut."""
    lines = [_printable(line, MAX_LINE_CHARACTERS) for line in text.splitlines()[-MAX_LOG_LINES:]]
    return "\n".join(lines)[-MAX_LOG_CHARACTERS:]


def _printable(text: str, limit: int) -> str:
    kept = "".join(
        character
        if character.isprintable() or character in "\n\t"
        else character.encode("unicode_escape").decode("ascii")
        for character in text[:limit]
    )
    return kept if len(text) <= limit else f"{kept}…"


def _request(request: HttpRequest) -> str:
    port = f" on port {request.port}" if request.port is not None else ""
    kind = f"\n{request.content_type}" if request.content_type else ""
    return _printable(f"{request.method} {request.path}{port}{kind}\n\n", 2_000) + _body(request.body)


def _response(answer: HttpResponse | NoResponse) -> str:
    if isinstance(answer, NoResponse):
        return f"None after {answer.seconds:.1f} s: {answer.silence.value}."
    head = f"{answer.status} after {answer.seconds:.3f} s\n{answer.content_type}\n\n"
    return _printable(head, 2_000) + _body(answer.body)


def _body(body: bytes) -> str:
    if not body:
        return "(no body)"
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return f"({len(body):,} bytes, not text)"
    return _printable(text, MAX_SHOWN_BODY_CHARACTERS)


def _likely_cause(log: str, exit_status: int | None, *, out_of_memory: bool, told: str) -> str:
    if out_of_memory:
        return "The memory limit ended it."
    # What the serving code says of this failure comes before lines that may be about something else.
    for pattern, says in _TOLD_BY_LOG:
        found = list(re.finditer(pattern, told or log))
        if found:
            return says.format(*(_printable(group, 80) for group in found[-1].groups()))
    if exit_status in _ENDED_BY:
        return f"It was ended by {_ENDED_BY[exit_status]}."
    return told
