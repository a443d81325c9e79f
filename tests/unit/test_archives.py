"""Archives as sources: everything that two readers could see differently is refused, and what is taken is exact."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from airlock.domain.archives import ArchiveForm, ArchiveMember, Chosen, archive_form, choose, walk
from airlock.domain.model_files.streams import Unreadable
from airlock.domain.package import FetchLimits
from tests.unit.given import iris_files

LIMITS = FetchLimits(max_package_bytes=1_000_000, max_objects=50)
FILES = {
    **iris_files(),
    "model/空 文件.bin": bytes(range(256)) * 40,
    "model/empty": b"",
    "model/" + "d/" * 80 + "deep": b"x",
}
TAR, TAR_GZ, ZIP = ArchiveForm.TAR, ArchiveForm.TAR_GZ, ArchiveForm.ZIP


def tarred(files: dict[str, bytes] = FILES, form: int = tarfile.PAX_FORMAT, mode: str = "w") -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode=mode, format=form) as archive:  # type: ignore[call-overload]
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return target.getvalue()


def zipped(files: dict[str, bytes] = FILES, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def special(kind: bytes, name: str = "model/x", target: str = "/etc/passwd") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = kind, target
        archive.addfile(entry)
    return made.getvalue()


def read(form: ArchiveForm, data: bytes) -> dict[str, bytes]:
    return {member.name: b"".join(pieces) for member, pieces in walk(form, io.BytesIO(data), len(data))}


def chosen(form: ArchiveForm, data: bytes, limits: FetchLimits = LIMITS) -> Chosen:
    return choose((member for member, _ in walk(form, io.BytesIO(data), len(data))), limits)


def codes(form: ArchiveForm, data: bytes, limits: FetchLimits = LIMITS) -> list[str]:
    return [item.code for item in chosen(form, data, limits).findings]


# ── what is taken ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "name,form",
    [
        ("a.tar", TAR),
        ("a.tar.gz", TAR_GZ),
        ("a.TGZ", TAR_GZ),
        ("a.zip", ZIP),
        ("a.gz", None),
        ("zip", None),
        ("a", None),
    ],
)
def test_an_archive_is_known_by_its_ending(name: str, form: ArchiveForm | None) -> None:
    assert archive_form(name) is form


@pytest.mark.parametrize("written", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
@pytest.mark.parametrize("form,mode", [(TAR, "w"), (TAR_GZ, "w:gz")])
def test_every_form_of_tar_is_read_byte_for_byte(written: int, form: ArchiveForm, mode: str) -> None:
    files = FILES if written != tarfile.USTAR_FORMAT else iris_files()
    assert read(form, tarred(files, written, mode)) == files


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_is_read_byte_for_byte(method: int) -> None:
    assert read(ZIP, zipped(method=method)) == FILES


def test_several_gzip_parts_behind_each_other_are_one_archive() -> None:
    data = tarred()
    assert read(TAR_GZ, gzip.compress(data[:1000]) + gzip.compress(data[1000:])) == FILES


def test_files_that_are_not_taken_are_passed_over() -> None:
    for form, data in ((TAR, tarred()), (TAR_GZ, tarred(mode="w:gz")), (ZIP, zipped())):
        assert [member.name for member, _ in walk(form, io.BytesIO(data), len(data))] == list(FILES)


@pytest.mark.parametrize("top", ["", "./", "iris-1.0/"])
def test_the_package_is_found_at_the_top_or_in_the_one_folder_that_holds_it(top: str) -> None:
    data = tarred({f"{top}{path}": content for path, content in {**FILES, "README.md": b"hello"}.items()})
    found = chosen(TAR, data)
    assert dict(found.paths) == {f"{top}{path}": path for path in FILES}
    assert [item.code for item in found.findings] == (["PKG014"] if top == "iris-1.0/" else []) + ["PKG010"]


def test_folders_of_their_own_are_read_over() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in (".", "./model", "./model/sub"):
            entry = tarfile.TarInfo(name)
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        entry = tarfile.TarInfo("./model/config.json")
        archive.addfile(entry)
    assert dict(chosen(TAR, made.getvalue()).paths) == {"./model/config.json": "model/config.json"}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as packed:
        packed.writestr("model/", b"")
        packed.writestr("model/config.json", b"{}")
    assert dict(chosen(ZIP, made.getvalue()).paths) == {"model/config.json": "model/config.json"}


# ── what is refused by name, kind or size ────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("make", [tarred, zipped], ids=["tar", "zip"])
@pytest.mark.parametrize(
    "name,code",
    [
        ("../evil", "PKG006"),
        ("model/../../evil", "PKG006"),
        ("/etc/cron.d/evil", "PKG006"),
        ("model//evil", "PKG006"),
        ("model/\u202eevil", "PKG006"),
        ("model/IRIS.M", "PKG007"),
        ("model/iris.m/x", "PKG007"),
        ("model/\uff49ris.m", "PKG007"),
    ],
)
def test_unsafe_names_anywhere_in_an_archive_refuse_it(make: Callable[..., bytes], name: str, code: str) -> None:
    form = TAR if make is tarred else ZIP
    assert [each for each in codes(form, make({**iris_files(), name: b"x"})) if each != "PKG010"] == [code]


@pytest.mark.parametrize(
    "kind,what",
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.BLKTYPE, "device"),
        (tarfile.FIFOTYPE, "pipe"),
        (tarfile.GNUTYPE_SPARSE, "sparse file"),
    ],
)
def test_links_devices_and_sparse_files_are_refused_by_name(kind: bytes, what: str) -> None:
    found = [item for item in chosen(TAR, special(kind)).findings if item.code == "PKG013"]
    assert [item.place.file for item in found] == ["model/x"]
    assert what in found[0].message


def test_a_link_with_a_long_target_is_a_link() -> None:
    assert "PKG013" in codes(TAR, special(tarfile.SYMTYPE, target="../" * 90))


def test_a_link_in_a_zip_is_refused() -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        entry = zipfile.ZipInfo("model/x")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    assert "PKG013" in codes(ZIP, made.getvalue())


def test_declared_sizes_are_added_up_before_anything_is_unpacked() -> None:
    limits = FetchLimits(max_package_bytes=5_000, max_objects=50)
    for form, data in ((TAR, tarred()), (ZIP, zipped())):
        assert codes(form, data, limits) == ["PKG008"]


def test_entries_are_counted_and_not_read_further() -> None:
    def endless() -> object:
        number = 0
        while True:
            number += 1
            yield ArchiveMember(name=f"model/{number}", size_bytes=0)

    assert [item.code for item in choose(endless(), LIMITS).findings] == ["PKG009"]  # type: ignore[arg-type]


def test_an_archive_without_a_package_says_what_it_holds() -> None:
    (found,) = chosen(ZIP, zipped({"config.json": b"{}", "a/model/x": b"", "b/model/x": b""})).findings
    assert found.code == "PKG001"
    assert "config.json, a/model/x" in found.message


# ── what two readers could see differently ───────────────────────────────────────────────────────────────────────────


def unreadable(form: ArchiveForm, data: bytes, says: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read(form, data)
    assert says in caught.value.message


def test_a_name_that_stands_twice_is_refused() -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name in ("model/a", "./model/a"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(Unreadable, match="twice"):
        chosen(TAR, made.getvalue())


def reheaded(data: bytes, at: int, **fields: tuple[int, bytes]) -> bytes:
    """A tar archive with fields of a header changed and its checksum right."""
    block = bytearray(data[at : at + 512])
    for position, value in fields.values():
        block[position : position + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\x00 " % sum(block)
    return data[:at] + bytes(block) + data[at + 512 :]


ONE = tarred({"model/a": b"x" * 1000}, tarfile.USTAR_FORMAT)


@pytest.mark.parametrize(
    "data,says",
    [
        (ONE[:700], "ends too early"),
        (ONE[:1536], "ends too early"),
        (ONE[: 1536 + 512], "cut off"),
        (ONE + ONE, "follow the end"),
        (ONE[:1] + b"?" + ONE[2:], "checksum"),
        (reheaded(ONE, 0, magic=(257, b"other\x0000")), "unknown form"),
        (reheaded(ONE, 0, size=(124, b"00000009999\x00")), "number"),
        (reheaded(ONE, 0, kind=(156, b"7")), "readers take differently"),
        (reheaded(ONE, 0, kind=(156, b"M")), "readers take differently"),
        (reheaded(ONE, 0, kind=(156, b"5")), "bytes of its own"),
        (reheaded(ONE, 0, name=(0, b"model/a/\x00")), "named like a folder"),
        (reheaded(ONE, 0, name=(0, b"model/\xff\x00")), "not UTF-8"),
        (reheaded(ONE, 0, size=(124, b"\x80" + bytes(3) + b"\x7f" + bytes(7))), "ends too early"),
        (reheaded(ONE, 0, kind=(156, b"x")), "record"),
        (reheaded(ONE, 0, kind=(156, b"L")), "ends after a header"),
        (b"", "ends too early"),
        (b"PK\x03\x04" + bytes(1000), "checksum"),
    ],
)
def test_a_tar_that_breaks_its_form_is_refused(data: bytes, says: str) -> None:
    unreadable(TAR, data, says)


def paxed(kind: bytes = b"x", **records: str) -> bytes:
    """One file behind a pax header with these records; a `.` in a key is written as `_`."""
    rows = b""
    for key, value in records.items():
        row = f" {key.replace('_', '.')}={value}\n".encode()
        length = len(row) + 2
        rows += str(length if length > 11 else length - 1).encode() + row
    header = tarfile.TarInfo("pax")
    header.size, header.type = len(rows), kind
    return header.tobuf(tarfile.USTAR_FORMAT) + rows + bytes(-len(rows) % 512) + ONE


@pytest.mark.parametrize(
    "data,says",
    [
        (paxed(GNU_sparse_major="1", GNU_sparse_name="model/b"), "changes how a file is read"),
        (paxed(hdrcharset="BINARY"), "changes how a file is read"),
        (paxed(b"g", path="model/b"), "global record"),
        (paxed(path="model/b") + b"", ""),
        (paxed(size="99999999999999999999"), "size"),
        (paxed(size="2000"), "two sizes"),
    ],
)
def test_pax_records_that_change_what_is_read_are_refused(data: bytes, says: str) -> None:
    if says:
        unreadable(TAR, data, says)
    else:
        assert list(read(TAR, data)) == ["model/b"]


def test_a_comment_for_all_files_is_read_over() -> None:
    assert list(read(TAR, paxed(b"g", comment="abcdef0123456789"))) == ["model/a"]


def test_a_record_of_gigabytes_is_not_read() -> None:
    header = tarfile.TarInfo("pax")
    header.size, header.type = 1 << 33, b"x"
    unreadable(TAR, header.tobuf(tarfile.GNU_FORMAT) + bytes(2048), "longer than is looked at")


def test_zeros_without_end_are_not_followed() -> None:
    unreadable(TAR_GZ, gzip.compress(ONE + bytes(40 << 20)), "more zeros")


@pytest.mark.parametrize(
    "change,says",
    [
        (lambda data: data[:-20], "end too early"),
        (lambda data: data[:-8] + b"\0\0\0\0" + data[-4:], "damaged"),
        (lambda data: data + b"garbage", "damaged"),
        (lambda data: ONE, "damaged"),
    ],
)
def test_a_damaged_gzip_is_refused(change: Callable[[bytes], bytes], says: str) -> None:
    unreadable(TAR_GZ, change(tarred(mode="w:gz")), says)


def test_a_zip_bomb_ends_at_what_it_declares() -> None:
    data = zipped({"model/a": bytes(3_000_000)})
    # Both headers say a thousand bytes; the checksum cannot be right, and nobody gets so far as to ask.
    lied = data.replace((3_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    assert lied != data
    unreadable(ZIP, lied, "more bytes than it says")


@pytest.mark.parametrize(
    "change,says",
    [
        (lambda data: data[:-1], "end record"),
        (lambda data: data[:30] + b"M" + data[31:], "differs from the directory"),
        (lambda data: b"junk" + data, ""),
        (lambda data: data + b"junk", "end record"),
        (lambda data: data[:6] + b"\x01" + data[7:], ""),
        (lambda data: b"", "too short"),
    ],
)
def test_a_zip_that_readers_see_differently_is_refused(change: Callable[[bytes], bytes], says: str) -> None:
    unreadable(ZIP, change(zipped()), says)


def test_an_encrypted_zip_is_refused_and_says_so() -> None:
    data = bytearray(zipped({"model/a": b"secret"}))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + offset] |= 1
    unreadable(ZIP, bytes(data), "encrypted")


def test_a_byte_changed_in_a_zip_is_noticed() -> None:
    data = zipped({"model/a": bytes(1000)}, zipfile.ZIP_STORED)
    unreadable(ZIP, data[:200] + b"?" + data[201:], "checksum")
