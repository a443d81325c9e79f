"""What readers of model files share: ranges of a file, JSON, protocol buffers, and their limits."""

from __future__ import annotations

import io

import pytest

from airlock.domain.model_files import protobuf
from airlock.domain.model_files.facts import numbered
from airlock.domain.model_files.forms import facts_of
from airlock.domain.model_files.ranges import Ranges, parsed
from airlock.domain.model_files.streams import OverLimit, Unreadable
from tests.unit.model_bytes import field, saved_model
from tests.unit.model_headers.header_findings import codes


def test_nothing_outside_of_a_file_is_read() -> None:
    ranges = Ranges(io.BytesIO(b"abcdef"), 6)
    assert ranges.at(2, 3) == b"cde"
    assert ranges.up_to(4, 100) == b"ef"
    assert ranges.tail(2) == b"ef"
    assert ranges.tail(100) == ranges.whole(6) == b"abcdef"
    for start, length in ((5, 2), (-1, 2), (0, -1), (1 << 70, 1)):
        with pytest.raises(Unreadable):
            ranges.at(start, length)
    with pytest.raises(OverLimit):
        ranges.whole(5)


def test_reading_has_a_budget() -> None:
    ranges = Ranges(io.BytesIO(b"x" * 100), 100, budget=60)
    ranges.at(0, 50)
    with pytest.raises(OverLimit):
        ranges.at(0, 50)


def test_json_is_read_in_one_way_only() -> None:
    assert parsed(b'{"a": [1]}') == {"a": [1]}
    for data in (b"{", b"", b"\xff", b"[" * 100_000, b'{"a": 1, "a": 2}'):
        with pytest.raises(Unreadable):
            parsed(data)


@pytest.mark.parametrize(
    "text,numbers",
    [("2.2.4-tf", "2.2.4"), ("1.9.1", "1.9.1"), ("1.0.0rc1", "1.0.0"), ("v2", ""), ("", ""), (None, ""),
     ("1." * 30, ""), ("01.2", "1.2"), ("9999999.1", ""), ("1.2.3.4.5", "1.2.3.4"), ("2..1", "2")],
)  # fmt: skip
def test_a_version_is_its_first_numbers(text: object, numbers: str) -> None:
    assert numbered(text) == numbers


@pytest.mark.parametrize(
    "data",
    [
        b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length beyond everything
        b"\x0a\x05ab",  # a length beyond the end
        b"\x80" * 20,  # a number that does not end
        b"\x00\x01",  # field 0
        b"\x0b\x0c",  # a group
        b"\x0f",  # an unknown wire type
        b"\x09\x01",  # eight bytes that are not there
        b"\x0d\x01",  # four
        b"\x08",  # a number that is not there
    ],
)
def test_what_is_no_message_is_unreadable(data: bytes) -> None:
    wire = protobuf.Wire(Ranges(io.BytesIO(data), len(data)))
    with pytest.raises(Unreadable):
        list(wire.fields(0, len(data)))


def test_large_values_are_passed_over_unread() -> None:
    class Counting(io.BytesIO):
        count = 0

        def read(self, size: int | None = -1, /) -> bytes:
            data = super().read(size)
            self.count += len(data)
            return data

    tensor = field(5, field(1, 1 << 22), field(2, 1), field(9, b"\x00" * (4 << 20)))
    data = field(1, 9) + field(7, field(1, field(4, "Add")), *[tensor] * 8) + field(8, field(2, 17))
    file = Counting(data)
    assert facts_of("net.onnx", len(data), file) is not None
    assert file.count < 100_000 < len(data)


def test_more_fields_than_are_looked_at_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf, "MAX_FIELDS", 100)
    assert codes("saved_model.pb", saved_model(*["Add"] * 100)) == ["MDL003"]
