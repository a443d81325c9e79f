"""A failed test's report: printable, bounded, and with the likely cause."""

from __future__ import annotations

import pytest

from airlock.domain.failure import (
    MAX_LINE_CHARACTERS,
    MAX_LOG_CHARACTERS,
    MAX_LOG_LINES,
    MAX_SHOWN_BODY_CHARACTERS,
    FailureReport,
    failure_report,
)
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse, Silence


def report(
    log: str = "", body: bytes = b"{}", answer: HttpResponse | NoResponse | None = None, **facts: object
) -> FailureReport:
    request = HttpRequest(method="POST", path="/", content_type="application/json", body=body)
    said = answer or HttpResponse(status=500, content_type="text/plain", body=b"no", seconds=0.25)
    values = {"exit_status": None, "out_of_memory": False, "told": "", **facts}
    return failure_report((request, said), log, **values)  # type: ignore[arg-type]


def test_request_and_response_stand_as_they_were() -> None:
    found = report(body=b'{"a": 1}')
    assert found.request == 'POST /\napplication/json\n\n{"a": 1}'
    assert found.response == "500 after 0.250 s\ntext/plain\n\nno"


def test_a_response_that_did_not_come_says_why() -> None:
    found = report(answer=NoResponse(silence=Silence.TIMED_OUT, seconds=40))
    assert found.response == "None after 40.0 s: no whole answer in time."


def test_before_any_request_there_is_none() -> None:
    found = failure_report(None, "", exit_status=3, out_of_memory=False)
    assert (found.request, found.response) == ("", "")


def test_what_is_no_text_is_counted_and_not_shown() -> None:
    assert report(body=b"\xff\x00" * 10).request.endswith("(20 bytes, not text)")
    assert report(body=b"").request.endswith("(no body)")


def test_control_bidirectional_and_surrogate_characters_are_escaped() -> None:
    hostile = "\x1b[2J\u202eevil\x00\r"
    found = report(log=f"one\t{hostile}\ntwo", body=hostile.encode())
    assert found.log == "one\t\\x1b[2J\\u202eevil\\x00\ntwo"
    assert found.request.endswith("\\x1b[2J\\u202eevil\\x00\\r")
    header = HttpResponse(status=200, content_type="a\x1bb", body=b"", seconds=0)
    assert "a\\x1bb" in report(answer=header).response


def test_everything_has_an_end() -> None:
    long = "\n".join("x" * (MAX_LINE_CHARACTERS + 5) for _ in range(MAX_LOG_LINES + 5))
    found = report(log=long, body=b"y" * 10 * MAX_SHOWN_BODY_CHARACTERS)
    assert len(found.log) <= MAX_LOG_CHARACTERS
    assert len(found.request) < MAX_SHOWN_BODY_CHARACTERS + 100
    lines = report(log="\n".join(map(str, range(500)))).log.splitlines()
    assert (lines[0], lines[-1], len(lines)) == ("400", "499", MAX_LOG_LINES)


@pytest.mark.parametrize(
    "log,status,cause",
    [
        ("ModuleNotFoundError: No module named 'shap'", 3, "It imports shap,"),
        ("gaierror: [Errno -3] Temporary failure in name resolution", 3, "It tries to reach a network"),
        ("OSError: [Errno 101] Network is unreachable", 3, "It tries to reach a network"),
        ("OSError: [Errno 30] Read-only file system: '/x'", 3, "It writes where it may not"),
        ("OSError: [Errno 28] No space left on device", 3, "It writes more than its private disk holds"),
        ("PermissionError: [Errno 13] Permission denied", 3, "It uses something that its user may not"),
        ("BlockingIOError: [Errno 11] Resource temporarily unavailable", 3, "It starts more processes"),
        ("torch.OutOfMemoryError: CUDA out of memory.", 3, "The device's memory"),
        ("MemoryError", 3, "Its memory is not enough"),
        ("", 132, "It was ended by SIGILL: a library uses instructions"),
        ("", 139, "It was ended by SIGSEGV"),
        ("all is well", 1, ""),
    ],
)
def test_the_likely_cause_is_read_off_the_log_and_the_status(log: str, status: int, cause: str) -> None:
    found = report(log=log, exit_status=status).cause
    assert found.startswith(cause)
    assert bool(found) == bool(cause)


def test_the_memory_limit_is_the_cause_whatever_the_log_says() -> None:
    assert report(log="Permission denied", exit_status=137, out_of_memory=True).cause == "The memory limit ended it."


def test_what_the_serving_code_says_counts_more_than_older_lines() -> None:
    told = "ValueError in stage preprocess at model/x.py:1: bad"
    assert report(log="warning: Permission denied", told=told).cause == told
