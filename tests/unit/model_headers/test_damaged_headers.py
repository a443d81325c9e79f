"""Damaged bytes in every form: each is survived, in bounded time, memory and reading."""

from __future__ import annotations

import contextlib
import io
import json
import struct
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airlock.domain.model_files.forms import facts_of
from airlock.domain.model_files.reading import look_at
from airlock.domain.model_files.streams import Unreadable
from tests.unit.model_bytes import field, varint, written
from tests.unit.model_headers.header_findings import codes
from tests.unit.test_written_by import FILES, SUSPECT

ALL = {file: entry[0] for file, entry in {**FILES, **SUSPECT}.items()}
#: What a reader may say of any bytes: nothing else ever leaves it.
CODES = {"MDL001", "MDL002", "MDL003", "MDL004", "MDL005", "MDL006", "MDL007", "MDL011"}


@pytest.mark.parametrize("file", ALL)
def test_a_file_that_breaks_off_is_survived_wherever_it_does(file: str) -> None:
    data = written(file)
    step = max(1, len(data) // 150)
    for length in range(0, len(data), step):
        assert set(codes(ALL[file], data[:length])) <= CODES


@settings(max_examples=120, deadline=2000, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    file=st.sampled_from(sorted(ALL)),
    changes=st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4),
    cut=st.floats(0.1, 1),
)
def test_no_change_of_a_file_crashes_a_reader(file: str, changes: list[tuple[float, bytes]], cut: float) -> None:
    data = bytearray(written(file))
    for place, other in changes:
        at = int(place * len(data))
        data[at : at + len(other)] = other
    whole = bytes(data[: int(cut * len(data))])
    assert set(codes(ALL[file], whole)) <= CODES
    # What detection reads is the same file without a judgement.
    with contextlib.suppress(Unreadable):
        facts_of(ALL[file], len(whole), io.BytesIO(whole))


@settings(max_examples=150, deadline=2000, derandomize=True)
@given(name=st.sampled_from(sorted(set(ALL.values()))), data=st.binary(max_size=600))
def test_no_bytes_at_all_crash_a_reader(name: str, data: bytes) -> None:
    assert set(codes(name, data)) <= CODES


def test_no_length_of_a_file_of_a_hundred_gigabytes_is_taken_for_its_bytes() -> None:
    class Sparse:
        """A file that is as large as it says, and of zeros behind its head."""

        def __init__(self, head: bytes, size: int) -> None:
            self.head, self.size, self.at, self.count = head, size, 0, 0

        def seek(self, offset: int, whence: int = 0, /) -> int:
            self.at = offset + (self.at if whence == 1 else 0)
            return self.at

        def read(self, size: int = -1, /) -> bytes:
            size = min(size, self.size - self.at)
            data = self.head[self.at : self.at + size].ljust(size, b"\x00")
            self.at += size
            self.count += size
            return data

    size = 100 << 30
    header = {"a": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}
    raw = json.dumps(header).encode()
    tensor = varint(5 << 3 | 2)
    inner = field(1, 1) + varint(9 << 3 | 2) + varint(size)
    graph = field(1, field(4, "Add")) + tensor + varint(len(inner) + size) + inner
    for name, engine, head, total in (
        ("net.safetensors", "PyTorch", struct.pack("<Q", len(raw)) + raw, 8 + len(raw) + size),
        ("net.onnx", "ONNX", field(1, 9) + varint(7 << 3 | 2) + varint(len(graph) + size) + graph, 0),
        ("net.h5", "TensorFlow", written("tensorflow-2.21.0/net.h5"), size),
    ):
        file = Sparse(head, total or len(head) + size)
        began = time.perf_counter()
        found = look_at(f"model/{name}", file.size, file, engine).findings
        assert [item.code for item in found] == []
        assert file.count < 1_000_000
        assert time.perf_counter() - began < 1
