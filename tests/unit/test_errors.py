"""Errors: a tree of consequences that carries facts and survives pickling."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import pytest

from airlock import errors
from airlock.domain.failure import FailureReport
from airlock.domain.findings import Place, finding
from airlock.errors import (
    AirlockError,
    PackageRejected,
    PermanentError,
    Rejected,
    RequestRejected,
    SmokeFailed,
    TransientError,
)

FINDINGS = (
    finding("CFG007", "No engine has this name.", place=Place(file="model/config.json", line=1), value="x"),
    finding("CFG011", "Read over."),
)


def descendants(kind: type[AirlockError]) -> Iterator[type[AirlockError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from descendants(child)


ALL = sorted(
    {kind for kind in descendants(AirlockError) if kind.__module__ == errors.__name__}, key=lambda kind: kind.__name__
)


def made(kind: type[AirlockError]) -> AirlockError:
    if issubclass(kind, Rejected):
        return kind("the package s3://b/x/", FINDINGS)
    if issubclass(kind, SmokeFailed):
        return kind("SMK010", "It ended.", "Correct it.", "log\nof it")
    return kind("ABC001", "It broke.", "Mend it.")


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_every_error_survives_pickling_with_all_its_facts(kind: type[AirlockError], protocol: int) -> None:
    error = made(kind)
    for other in (pickle.loads(pickle.dumps(error, protocol)), copy.copy(error)):
        assert type(other) is kind
        assert str(other) == str(error)
        assert vars(other) == vars(error)
        assert other.args == error.args


@pytest.mark.parametrize("kind", ALL)
def test_every_error_is_permanent_or_transient_and_not_both(kind: type[AirlockError]) -> None:
    if kind is not AirlockError:
        assert issubclass(kind, PermanentError) != issubclass(kind, TransientError)
    assert not issubclass(kind, (ValueError, TypeError))
    assert kind.__doc__


def test_an_error_is_read_as_code_message_and_remedy() -> None:
    assert str(AirlockError("ABC001", "It broke.", "Mend it.")) == "[ABC001] It broke. Mend it."
    assert str(AirlockError("ABC001", "It broke.")) == "[ABC001] It broke."


def test_a_rejection_lists_its_errors_and_keeps_its_warnings() -> None:
    error = PackageRejected("the package s3://b/x/", FINDINGS)
    assert error.code == "CFG007"
    assert str(error).splitlines()[0] == "[CFG007] 1 rule is broken in the package s3://b/x/:"
    assert len(str(error).splitlines()) == 2
    assert error.findings == FINDINGS


def test_several_errors_are_counted() -> None:
    error = RequestRejected("the import request", (FINDINGS[0], FINDINGS[0]))
    assert str(error).startswith("[CFG007] 2 rules are broken in the import request:\n  CFG007 ")


def test_a_failed_smoke_test_keeps_the_log_out_of_its_text() -> None:
    error = SmokeFailed("SMK010", "It ended.", "Correct it.", FailureReport(log="secret log"))
    assert error.report is not None
    assert error.report.log == "secret log"
    assert "secret log" not in str(error)
