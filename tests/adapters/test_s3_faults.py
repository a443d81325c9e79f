"""What comes out of the storage when the wire, the server or somebody else's upload spoils it on the way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters import s3_read
from airlock.adapters.clock import SystemClock
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.s3 import S3Storage
from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import SourceChanged, SourceRefused, StorageUnavailable
from airlock.ports.package_store import IncomingFile
from tests.adapters.fault_proxy import Answer, FaultProxy
from tests.conftest import Bucket

#: A third of it is more than the piece that the transfer gives at a time: less than one is asked for again.
BODY = os.urandom(2_000_000)
KEY = "p/model/weights.bin"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_read, "FIRST_WAIT_S", 0.01)


@pytest.fixture
def short_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second without a byte is a stall: only where one is made, because a busy machine may need as long."""
    monkeypatch.setattr(s3_read, "STALL_S", 1.0)


SHORT_STALLS = pytest.mark.usefixtures("short_stalls")


@pytest.fixture
def storage(object_server: Any, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> S3Storage:
    connection = json.loads(object_server.airflow_connection_json())
    connection["extra"]["endpoint_url"] = proxy.url
    monkeypatch.setenv("AIRFLOW_CONN_SPOILED_S3", json.dumps(connection))
    return S3Storage("spoiled_s3")


@pytest.fixture
def read(storage: S3Storage, bucket: Bucket) -> Callable[[], bytes]:
    """Lists the one object, and reads it."""
    bucket.put(KEY, BODY)

    def go() -> bytes:
        location = SourceLocation(bucket=bucket.name, prefix="p/")
        (item,) = storage.list(location)
        return b"".join(storage.read(location, item, 0, item.size_bytes))

    return go


def first_two(change: Callable[[Answer], None]) -> Callable[[Answer], None]:
    """The fault in the first two answers; the third is right."""
    return lambda answer: change(answer) if answer.number < 2 else None


def cut(answer: Answer) -> None:
    answer.cut_after = len(answer.body) // 3


def reset(answer: Answer) -> None:
    cut(answer)
    answer.reset = True


def stall(answer: Answer) -> None:
    answer.pause_after = len(answer.body) // 2


def truncate(answer: Answer) -> None:
    """Fewer bytes, and a length that fits them."""
    answer.body = answer.body[: len(answer.body) // 2]


def slow_down(answer: Answer) -> None:
    answer.refuse(503, "SlowDown")


def page_of_a_captive_portal(answer: Answer) -> None:
    answer.status = 200
    answer.headers = {"Content-Type": "text/html"}
    answer.body = b"<html>Please sign in</html>"


def another_range(answer: Answer) -> None:
    # Servers that read over `Range` send the beginning, with status 200 or with a range of their own.
    if answer.status == 206:
        answer.headers = {**answer.headers, "Content-Range": f"bytes 0-99/{len(BODY)}"}
        answer.body = BODY[:100]
    else:
        answer.cut_after = 1000


@SHORT_STALLS
@pytest.mark.parametrize(
    "fault",
    [cut, reset, stall, slow_down, page_of_a_captive_portal, another_range],
    ids=lambda fault: fault.__name__,
)
def test_what_breaks_off_twice_goes_on_where_it_stopped_and_is_right(
    read: Callable[[], bytes], proxy: FaultProxy, fault: Callable[[Answer], None]
) -> None:
    proxy.fault = first_two(fault)
    assert read() == BODY
    assert len(proxy.asked) >= 3


def test_only_what_is_missing_is_asked_for_again(read: Callable[[], bytes], proxy: FaultProxy) -> None:
    proxy.fault = first_two(cut)
    assert read() == BODY
    starts = [int(wanted.removeprefix("bytes=").split("-")[0]) for _, wanted in proxy.asked if wanted]
    assert len(starts) == 2
    assert 0 < starts[0] <= starts[1]


@SHORT_STALLS
def test_a_slow_trickle_is_not_a_stall(read: Callable[[], bytes], proxy: FaultProxy) -> None:
    def trickle(answer: Answer) -> None:
        answer.piece = 10_000

    proxy.fault = trickle
    assert read() == BODY
    assert len(proxy.asked) == 1


@SHORT_STALLS
@pytest.mark.parametrize(
    "fault",
    [slow_down, stall, page_of_a_captive_portal],
    ids=lambda fault: fault.__name__,
)
def test_what_never_comes_whole_is_a_transient_error_with_place_and_cause(
    read: Callable[[], bytes], proxy: FaultProxy, fault: Callable[[Answer], None]
) -> None:
    def nothing(answer: Answer) -> None:
        fault(answer)
        if answer.pause_after is not None:
            answer.pause_after = 0
            answer.body = b""
            answer.headers["x-length"] = str(len(BODY))

    proxy.fault = nothing
    with pytest.raises(StorageUnavailable, match=rf"SRC004.*{KEY} broke off 6 times"):
        read()
    assert len(proxy.asked) == s3_read.TRIES


def test_an_answer_whose_length_is_not_the_listed_one_is_not_taken(
    read: Callable[[], bytes], proxy: FaultProxy
) -> None:
    proxy.fault = truncate
    with pytest.raises(SourceChanged, match=r"SRC006.*was listed with 2,000,000 bytes and has 1,000,000"):
        read()


@pytest.mark.parametrize(
    "code,expected",
    [("AccessDenied", "SRC002"), ("ExpiredToken", "SRC003"), ("SignatureDoesNotMatch", "SRC003"), ("", "SRC002")],
)
def test_a_refusal_midway_is_told_as_what_it_is(
    read: Callable[[], bytes], proxy: FaultProxy, code: str, expected: str
) -> None:
    proxy.fault = lambda answer: answer.refuse(403, code)
    with pytest.raises(SourceRefused, match=expected):
        read()
    # Asked for again without a condition, where that may be what is wrong.
    assert len(proxy.asked) == (2 if code == "SignatureDoesNotMatch" else 1)


#: Status and code as servers send them, and what is made of it. AWS answers with 400 where others answer with 403.
REFUSALS = [
    (400, "ExpiredToken", r"SRC003.*session token has expired.*Renew"),
    (400, "InvalidToken", r"SRC003.*session token is not valid"),
    (400, "AuthorizationHeaderMalformed", r"SRC003.*another region.*Correct (the )?region"),
    (403, "RequestTimeTooSkewed", r"SRC003.*clock"),
    (403, "InvalidObjectState", r"SRC002.*Restore"),
]


@pytest.mark.parametrize("status,code,expected", REFUSALS, ids=lambda value: str(value)[:30])
def test_expired_credentials_and_a_wrong_region_are_told_at_once_with_what_to_do(
    read: Callable[[], bytes], proxy: FaultProxy, status: int, code: str, expected: str
) -> None:
    proxy.fault = lambda answer: answer.refuse(status, code)
    with pytest.raises(SourceRefused, match=expected):
        read()
    proxy.listing_fault = lambda answer: answer.refuse(status, code)
    with pytest.raises(SourceRefused, match=expected):
        read()
    assert len(proxy.asked) == 1, "neither is tried again, and after the listing nothing is asked for"


def test_a_bucket_of_another_region_is_told(read: Callable[[], bytes], proxy: FaultProxy) -> None:
    proxy.listing_fault = lambda answer: answer.refuse(301, "PermanentRedirect")
    with pytest.raises(SourceRefused, match=r"SRC003.*another region.*Correct (the )?region"):
        read()


def test_credentials_that_expire_midway_end_the_copy(read: Callable[[], bytes], proxy: FaultProxy) -> None:
    proxy.fault = lambda answer: cut(answer) if answer.number == 0 else answer.refuse(400, "ExpiredToken")
    with pytest.raises(SourceRefused, match="SRC003"):
        read()
    assert len(proxy.asked) == 2


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "replaced"])
def test_an_object_that_changes_between_two_ranges_is_an_error_and_never_a_mix(
    read: Callable[[], bytes], proxy: FaultProxy, bucket: Bucket, gone: bool
) -> None:
    def change(answer: Answer) -> None:
        if answer.number == 0:
            cut(answer)
            if gone:
                bucket.delete(KEY)
            else:
                bucket.put(KEY, os.urandom(len(BODY)))

    proxy.fault = change
    with pytest.raises(SourceChanged, match="SRC006"):
        read()


def test_a_server_that_reads_over_the_condition_is_noticed_by_its_tag(
    read: Callable[[], bytes], proxy: FaultProxy
) -> None:
    def other(answer: Answer) -> None:
        if answer.number:
            answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "etag"}
            answer.headers["ETag"] = '"0123456789abcdef"'
        else:
            cut(answer)

    proxy.fault = other
    with pytest.raises(SourceChanged, match=r"SRC006.*replaced"):
        read()


def no_conditions(status: int, code: str) -> Callable[[Answer], None]:
    """A server that does not know `If-Match`."""
    return lambda answer: answer.refuse(status, code) if answer.conditional else None


@pytest.mark.parametrize("status,code", [(403, "SignatureDoesNotMatch"), (501, "NotImplemented")])
def test_a_server_without_conditions_is_read_by_the_tags_of_its_answers(
    read: Callable[[], bytes], proxy: FaultProxy, status: int, code: str
) -> None:
    proxy.fault = no_conditions(status, code)
    assert read() == BODY
    assert len(proxy.asked) == 2
    assert read() == BODY
    assert len(proxy.asked) == 3, "it is asked once only"


@pytest.mark.parametrize(
    "tag,error,words",
    [('"0123456789abcdef"', SourceChanged, "was replaced"), (None, SourceRefused, "without its ETag")],
)
def test_a_server_without_conditions_must_tag_what_it_gives(
    read: Callable[[], bytes], proxy: FaultProxy, tag: str | None, error: type[Exception], words: str
) -> None:
    def fault(answer: Answer) -> None:
        no_conditions(403, "SignatureDoesNotMatch")(answer)
        answer.headers = {name: value for name, value in answer.headers.items() if name.lower() != "etag"}
        if tag:
            answer.headers["ETag"] = tag

    proxy.fault = fault
    with pytest.raises(error, match=words):
        read()


def test_two_versions_of_one_object_never_mix(read: Callable[[], bytes], proxy: FaultProxy) -> None:
    def versions(answer: Answer) -> None:
        answer.headers["x-amz-version-id"] = f"v{answer.number}"
        if answer.number == 0:
            cut(answer)

    proxy.fault = versions
    with pytest.raises(SourceChanged, match=r"SRC006.*replaced"):
        read()


@SHORT_STALLS
def test_a_package_over_a_bad_line_is_staged_right(
    storage: S3Storage, bucket: Bucket, proxy: FaultProxy, tmp_path: Path
) -> None:
    files = {f"p/model/{number}.bin": os.urandom(200_000 + number) for number in range(12)}
    for key, body in files.items():
        bucket.put(key, body)

    def three_times(answer: Answer) -> None:
        # Counted by object: how many are asked for at a time, and in which order, is the reader's to choose.
        if answer.earlier < 3:
            faults = (cut, slow_down, stall)
            faults[(answer.earlier + sum(answer.path.encode())) % 3](answer)

    proxy.fault = three_times
    location = SourceLocation(bucket=bucket.name, prefix="p/")
    store = PackageFolderStore(tmp_path, SystemClock())

    def arriving(item: ListedObject) -> IncomingFile:
        return IncomingFile(
            size_bytes=item.size_bytes, read=lambda start, stop: storage.read(location, item, start, stop)
        )

    staged = store.stage("a" * 64, {item.key[2:]: arriving(item) for item in storage.list(location)}, lambda line: None)
    folder = Path(store.folder(staged.manifest.digest()))
    assert {f"p/{entry.path}": (folder / entry.path).read_bytes() for entry in staged.manifest.files} == files
    assert len(proxy.asked) >= 4 * len(files)
