"""Arrays of NumPy: what they say, and that objects in them are followed as the pickles that they are."""

from __future__ import annotations

import io
import zipfile

import pytest

from airlock.domain.model_files.forms import facts_of
from airlock.domain.model_files.reading import check_model_file
from airlock.domain.model_files.streams import Unreadable
from tests.unit.test_hostile_pickles import COMMAND, called

HOSTILE = called("os", "system", COMMAND)
HARMLESS = b"\x80\x02]q\x00(K\x01Ne."


def array(kind: str = "'<f4'", shape: str = "(2,)", data: bytes = bytes(8), version: int = 1) -> bytes:
    header = f"{{'descr': {kind}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def packed(*members: tuple[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as whole:
        for name, data in members:
            whole.writestr(zipfile.ZipInfo(name), data, method)
    return target.getvalue()


def codes(data: bytes, name: str = "means.npy", engine: str = "PyTorch") -> list[str]:
    return sorted({item.code for item in check_model_file(f"model/{name}", len(data), io.BytesIO(data), engine)})


OBJECTS = [
    "'|O'", "'O'", "'object'", "'f4,O'", "[('a', '<f4'), ('b', '|O')]", "[('a', [('b', '|O', (2,))])]", "{'a': 'O'}",
]  # fmt: skip


@pytest.mark.parametrize("kind", OBJECTS)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_code_in_an_array_of_objects_is_found_whatever_its_type_is_called(kind: str, version: int) -> None:
    assert codes(array(kind, data=HOSTILE, version=version)) == ["MDL001"]
    assert codes(array(kind, data=HARMLESS, version=version)) == []


@pytest.mark.parametrize("name", ["means.npy", "means.npz", "net.pth", "means.pkl", "sub/folder/means.npy"])
def test_an_array_is_followed_under_any_name_that_is_looked_at(name: str) -> None:
    assert codes(array("'|O'", data=HOSTILE), name) == ["MDL001"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("name", ["means.npz", "means.npy"])
def test_every_array_of_an_archive_is_followed(method: int, name: str) -> None:
    numbers, hostile = ("a.npy", array()), ("b.npy", array("'|O'", data=HOSTILE))
    assert codes(packed(numbers, hostile, method=method), name) == ["MDL001"]
    assert codes(packed(numbers, ("b.npy", array("'|O'", data=HARMLESS)), method=method), name) == []


@pytest.mark.parametrize("name", ["means.npy", "means.npz"])
def test_a_bare_pickle_under_the_name_of_an_array_is_followed(name: str) -> None:
    # numpy.load takes it for one.
    assert "MDL001" in codes(HOSTILE, name)


@pytest.mark.parametrize(
    "data",
    [
        array(data=bytes(7)),
        array("'<U2'", data=bytes(15)),
        array(shape="(2, -1)"),
        array(shape="('2',)"),
        array(shape="3"),
        array(kind="__import__('os')"),
        array()[:20],
        b"\x93NUMPY\x04\x00\x10\x00",
        b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 70_000,
        b"\x93NUMPY\x01\x00\x00\x20" + b"(" * 8192,
        b"no array at all",
    ],
)
def test_a_damaged_array_is_refused_with_what_is_wrong(data: bytes) -> None:
    (found,) = check_model_file("model/means.npy", len(data), io.BytesIO(data), "PyTorch")
    assert found.code in ("MDL002", "MDL003")
    with pytest.raises(Unreadable):
        facts_of("means.npy", len(data), io.BytesIO(data))


def test_an_array_of_no_length_and_one_value_are_whole() -> None:
    for shape, data in (("(0, 3)", b""), ("()", bytes(4))):
        assert codes(array(shape=shape, data=data)) == []


def test_an_archive_that_can_be_read_in_two_ways_is_refused() -> None:
    assert codes(b"PK\x03\x04" + bytes(40), "means.npz") == ["MDL002"]
