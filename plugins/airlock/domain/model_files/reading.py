"""One model file read for what it would run: its form is found, and what it holds is followed without loading it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from airlock.domain.findings import Finding, Place, Severity, finding
from airlock.domain.model_files.names import allowed_names
from airlock.domain.model_files.pickle_reader import InertUnpickler, Reading, Suspicion
from airlock.domain.model_files.pickle_values import Global
from airlock.domain.model_files.streams import Binary, OverLimit, Stream, Unreadable, compression, inflated, of_file
from airlock.domain.model_files.torch_file import LEGACY_MAGIC, read_archive, read_legacy

#: Endings of files that are pickles, or hold one.
PICKLE_ENDINGS = (".m", ".pth", ".pt", ".pkl", ".pickle", ".joblib", ".bin", ".ckpt")
SAFETENSORS_ENDING = ".safetensors"
MAX_HEADER_BYTES = 100 << 20
_HEAD_BYTES = 512
#: Raw boosters: numbers and text, no code. No pickle begins so: the first byte finds no value or is no instruction.
BOOSTERS = (b"binf", b"bs64", b'{"learner"', b'{"version"', b"{L\x00\x00\x00\x00\x00\x00\x00")
_ZIP = b"PK\x03\x04"
_LZ4 = b"\x04\x22M\x18"
_TRUSTED = "Trusted by the request (`trust_model_code`)."


def is_model_file(path: str) -> bool:
    """Whether a file of this name is looked at."""
    return path.lower().endswith((*PICKLE_ENDINGS, SAFETENSORS_ENDING))


def check_model_file(path: str, size: int, file: Binary, engine: str, *, trusted: bool = False) -> list[Finding]:
    """Read a model file.

    Args:
        path: Its path in the package, for findings.
        size: Its length in bytes.
        file: Its bytes.
        engine: The engine that will load it.
        trusted: Whether the request trusts the code that it would run.

    Returns:
        MDL findings. Code is an error, and a warning once trusted.
    """
    reading = Reading(suspicions=[], names=set())
    place = Place(file=path)
    findings: list[Finding] = []
    try:
        _read(path, size, file, allowed_names(engine), reading)
    except OverLimit as error:
        findings.append(
            finding(
                "MDL003",
                f"The file is not followed to its end: {error.message}{_at(error.offset)}."
                + (f" {_TRUSTED}" if trusted else ""),
                place=place,
                severity=Severity.WARNING if trusted else None,
            )
        )
    except _UnknownForm:
        # Boosters of XGBoost before 1.0 begin with numbers and have no mark of their own.
        if engine != "XGBoost":
            findings.append(finding("MDL005", "The file is no pickle, archive or booster.", place=place))
    except _BrokenHeader as error:
        findings.append(finding("MDL006", f"The header cannot be used: {error.message}.", place=place))
    except _BrokenArchive as error:
        findings.append(finding("MDL004", f"The archive is refused: {error.message}.", place=place))
    except Unreadable as error:
        findings.append(finding("MDL002", f"The file cannot be read: {error.message}{_at(error.offset)}.", place=place))
    return findings + [_told(each, place, trusted) for each in reading.suspicions]


class _UnknownForm(Exception):
    pass


class _BrokenHeader(Unreadable):
    pass


class _BrokenArchive(Unreadable):
    pass


def _at(offset: int | None) -> str:
    return "" if offset is None else f" (byte {offset:,})"


def _told(each: Suspicion, place: Place, trusted: bool) -> Finding:
    message = f"Loading it runs code: at byte {each.offset:,} it {each.what}."
    return finding(
        "MDL001",
        f"{message} {_TRUSTED}" if trusted else message,
        place=place,
        value=each.name or None,
        severity=Severity.WARNING if trusted else None,
    )


def _read(path: str, size: int, file: Binary, allowed: Collection[Global], reading: Reading) -> None:
    file.seek(0)
    head = file.read(_HEAD_BYTES)
    lower = path.lower()
    if lower.endswith(SAFETENSORS_ENDING):
        _read_safetensors(file, size)
    elif head.startswith(BOOSTERS):
        return
    elif head.startswith(_ZIP):
        try:
            read_archive(file, size, allowed, reading)
        except OverLimit:
            raise
        except Unreadable as error:
            raise _BrokenArchive(error.message, error.offset) from None
    elif LEGACY_MAGIC in head[:32]:
        read_legacy(file, size, allowed, reading)
    elif head.startswith(_LZ4):
        raise OverLimit("its compression is lz4, which is not read here")
    elif compression(head):
        if compression(head) == "bzip2" and size > int.from_bytes(head[1:5], "little"):
            # As a plain pickle it would be one long byte string, and instructions behind it.
            raise OverLimit("a bzip2 file of this size can be read in two ways")
        _read_pickles(inflated(of_file(file, 0, size)), allowed, reading)
    elif head[:1] == b"\x80" or not lower.endswith((".bin", ".ckpt")):
        _read_bare(head, size, file, allowed, reading)


def _read_bare(head: bytes, size: int, file: Binary, allowed: Collection[Global], reading: Reading) -> None:
    try:
        _read_pickles(of_file(file, 0, size), allowed, reading)
    except OverLimit:
        raise
    except Unreadable:
        # Old pickles begin with any instruction; what imports nothing and breaks off is taken for another form.
        if head[:1] == b"\x80" or reading.names:
            raise
        raise _UnknownForm from None


def _read_pickles(stream: Stream, allowed: Collection[Global], reading: Reading) -> None:
    InertUnpickler(stream, allowed, joblib=True, reading=reading).run()
    # Code that loads twice from one file gets the next one. What follows and is no pickle harms nobody.
    while not stream.at_end():
        before = len(reading.suspicions)
        try:
            InertUnpickler(stream, allowed, joblib=True, reading=reading).run()
        except OverLimit:
            raise
        except Unreadable:
            if len(reading.suspicions) > before:
                raise
            return


def _read_safetensors(file: Binary, size: int) -> None:
    file.seek(0)
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or length > min(size - 8, MAX_HEADER_BYTES):
        raise _BrokenHeader("its length is larger than the file or the limit")
    raw = file.read(length)
    try:
        header: Any = json.loads(raw)
    except (ValueError, RecursionError):
        raise _BrokenHeader("it is not JSON") from None
    if not isinstance(header, dict):
        raise _BrokenHeader("it is no object")
    spans = []
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if not (isinstance(offsets, list) and len(offsets) == 2 and all(type(each) is int for each in offsets)):
            raise _BrokenHeader(f"{name!r} has no offsets")
        spans.append((offsets[0], offsets[1]))
    position = 0
    for start, end in sorted(spans):
        if start != position or end < start:
            raise _BrokenHeader("tensors overlap or leave a gap")
        position = end
    if position != size - 8 - length:
        raise _BrokenHeader(f"tensors need {position:,} bytes, the file has {size - 8 - length:,}")
