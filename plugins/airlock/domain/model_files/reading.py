"""One model file read for what it would run: its form is found, and what it holds is followed without loading it."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from dataclasses import dataclass

from airlock.domain.engines import ENGINES
from airlock.domain.findings import Finding, Place, Severity, finding, shown
from airlock.domain.model_files import numpy_file
from airlock.domain.model_files.facts import Facts, Problem
from airlock.domain.model_files.forms import (
    HEAD_BYTES,
    LZ4,
    PICKLE_ENDINGS,
    ZIP,
    facts_of,
    has_one_form,
    is_pickled,
    may_be_empty,
    may_be_text,
    other_form,
)
from airlock.domain.model_files.keras_file import is_keras_archive
from airlock.domain.model_files.names import allowed_names
from airlock.domain.model_files.pickle_reader import InertUnpickler, Reading, Suspicion
from airlock.domain.model_files.pickle_values import Global
from airlock.domain.model_files.placeholders import EMPTY, POINTER, Placeholder, placeholder_of
from airlock.domain.model_files.safetensors_file import BrokenHeader
from airlock.domain.model_files.streams import (
    Binary,
    NotRead,
    OverLimit,
    Stream,
    Unreadable,
    compression,
    inflated,
    of_file,
)
from airlock.domain.model_files.torch_file import LEGACY_MAGIC, MAX_SUMMED_BYTES, read_archive, read_legacy
from airlock.domain.model_files.zip_archive import Members

MAX_SHOWN_MESSAGE = 400
_NOT_READ = "The rest of the file is not read here."
_TRUSTED = "Trusted by the request (`trust_model_code`)."
#: Files that have one writer, and what to do where they hold something else.
_FIXES = {
    "training_args.bin": "Leave the file out: it keeps the settings of the training, and no service reads it.",
}
_SAVED_AGAIN = "Save the model again with the library that wrote it, and upload the file as it is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What came of reading a file.

    Attributes:
        findings: MDL findings.
        refers_to: Files that it loads, relative to its own folder.
    """

    findings: tuple[Finding, ...]
    refers_to: tuple[str, ...] = ()


def check_presence(path: str, size: int, file: Binary, engine: str, *, has_code: bool = False) -> list[Finding]:
    """Whether something else lies in a model file's place.

    Args:
        path: Its path in the package, for findings.
        size: Its length in bytes.
        file: Its bytes; the first ones are read.
        engine: The engine that will load it.
        has_code: Whether the package brings inference code, which may load another file instead.

    Returns:
        MDL011, an error where it is certain that the file would be loaded as a model; MDL009 where it is not read.
    """
    try:
        file.seek(0)
        instead = placeholder_of(file.read(HEAD_BYTES) if size else b"", size)
    except NotRead:
        return [finding("MDL009", _NOT_READ, place=Place(file=path))]
    severity = None if instead is None else _weight(instead, path.removeprefix("model/"), engine, has_code=has_code)
    if instead is None or severity is None:
        return []
    return [finding("MDL011", f"The file {instead.says}.", place=Place(file=path), fix=instead.fix, severity=severity)]


def check_model_file(path: str, size: int, file: Binary, engine: str, *, trusted: bool = False) -> list[Finding]:
    """The findings of `look_at`."""
    return list(look_at(path, size, file, engine, trusted=trusted).findings)


def look_at(
    path: str,
    size: int,
    file: Binary,
    engine: str,
    *,
    trusted: bool = False,
    has_code: bool = False,
    summed_bytes: int = MAX_SUMMED_BYTES,
) -> Looked:
    """Read a model file.

    Args:
        path: Its path in the package, for findings.
        size: Its length in bytes.
        file: Its bytes.
        engine: The engine that will load it.
        trusted: Whether the request trusts the code that it would run.
        has_code: Whether the package brings inference code.
        summed_bytes: Bytes of an archive whose checksums are compared, beside those of its pickles.

    Returns:
        MDL findings; code is an error, and a warning once trusted. And what else the file loads.
    """
    findings = check_presence(path, size, file, engine, has_code=has_code)
    if findings:
        return Looked(findings=tuple(findings))
    reading = Reading(suspicions=[], names=set())
    place = Place(file=path)
    facts: Facts | None = None
    try:
        facts = _read(path.removeprefix("model/"), size, file, engine, reading, summed_bytes)
        if facts is None:
            findings.append(finding("MDL005", "The file has no form that is known here.", place=place))
    except NotRead:
        findings.append(finding("MDL009", _NOT_READ, place=place))
    except OverLimit as error:
        message = f"The file is not followed to its end: {error.message}{_at(error.offset)}."
        findings.append(_code("MDL003", message, place, trusted))
    except BrokenHeader as error:
        findings.append(finding("MDL006", f"The header cannot be used: {error.message}.", place=place))
    except _BrokenArchive as error:
        fix = "" if error.torch else _SAVED_AGAIN
        findings.append(finding("MDL004", f"The archive is refused: {error.message}.", place=place, fix=fix))
    except Unreadable as error:
        findings.append(finding("MDL002", f"The file cannot be read: {error.message}{_at(error.offset)}.", place=place))
    findings += [_suspected(each, place, trusted) for each in reading.suspicions]
    if facts is None:
        return Looked(findings=tuple(findings))
    findings += [_told(each, place, trusted) for each in facts.problems]
    return Looked(findings=tuple(findings), refers_to=facts.refers_to)


def _weight(instead: Placeholder, path: str, engine: str, *, has_code: bool) -> Severity | None:
    """What it weighs that something else lies in a file's place; None where that means nothing."""
    own = engine in ENGINES and ENGINES[engine].loads(path)
    if instead is EMPTY:
        if may_be_empty(path):
            return Severity.WARNING if own else None
        if has_one_form(path):
            return Severity.ERROR
        # Files of no bytes are made on purpose where a name is asked for and the code loads another file.
        return (Severity.WARNING if has_code else Severity.ERROR) if own else None
    if own or has_one_form(path):
        return Severity.ERROR
    return None if may_be_text(path) and instead is not POINTER else Severity.WARNING


class _UnknownForm(Exception):
    pass


class _BrokenArchive(Unreadable):
    def __init__(self, message: str, offset: int | None = None, *, torch: bool = True) -> None:
        super().__init__(message, offset)
        self.torch = torch


#: A file that was followed as a pickle, or that says nothing of itself and need not.
_FOLLOWED = Facts(says="", claims=())


def _at(offset: int | None) -> str:
    return "" if offset is None else f" (byte {offset:,})"


def _code(code: str, message: str, place: Place, trusted: bool, value: str = "", fix: str = "") -> Finding:
    return finding(
        code,
        f"{message} {_TRUSTED}" if trusted else message,
        place=place,
        value=value or None,
        severity=Severity.WARNING if trusted else None,
        fix=fix,
    )


def _suspected(each: Suspicion, place: Place, trusted: bool) -> Finding:
    message = f"Loading it runs code: at byte {each.offset:,} it {each.what}."
    fix = _FIXES.get(place.file.rpartition("/")[2], "")
    return _code("MDL001", message, place, trusted, each.name, fix)


def _told(each: Problem, place: Place, trusted: bool) -> Finding:
    if each.code == "MDL001":
        return _code(each.code, shown(each.message, MAX_SHOWN_MESSAGE), place, trusted, each.value)
    return finding(each.code, shown(each.message, MAX_SHOWN_MESSAGE), place=place, value=each.value or None)


def _read(path: str, size: int, file: Binary, engine: str, reading: Reading, summed_bytes: int) -> Facts | None:
    """What a file says, once pickles in it were followed; None where its form is not known and should be."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    if numpy_file.is_arrays(path, head):
        facts = facts_of(path, size, file)
        for stream in numpy_file.pickles(file, size):
            _read_pickles(stream, allowed_names(engine), reading)
        return facts
    if is_pickled(path, head) and not (head.startswith(ZIP) and _is_keras(file, size)):
        try:
            _read_pickled(head, size, file, allowed_names(engine), reading, summed_bytes)
        except _UnknownForm:
            return other_form(head, size, file)
        except OverLimit:
            raise
        except Unreadable:
            # The length of a header in safetensors may begin as a pickle does.
            seen = reading.names or reading.suspicions or not head.startswith(b"\x80")
            facts = None if seen else other_form(head, size, file)
            if facts is None:
                raise
            return facts
        return _FOLLOWED
    if path.lower().endswith((*PICKLE_ENDINGS, *numpy_file.ENDINGS)) and not head.startswith(ZIP):
        # What begins like another form may be a pickle as well: old ones begin with any instruction.
        with contextlib.suppress(_UnknownForm):
            _read_bare(head, size, file, allowed_names(engine), reading)
    try:
        facts = facts_of(path, size, file)
    except OverLimit:
        raise
    except Unreadable as error:
        if head.startswith(ZIP):
            raise _BrokenArchive(error.message, error.offset, torch=False) from None
        raise
    kinds = ENGINES[engine].model_files if engine in ENGINES else ()
    if facts is None and not any(kind.matches([path]) for kind in kinds):
        return _FOLLOWED
    return facts


def _is_keras(file: Binary, size: int) -> bool:
    try:
        names = {member.name for member in Members.of(file, size).entries}
        # With a pickle in it PyTorch loads it too.
        return is_keras_archive(names) and not any(name.endswith(".pkl") for name in names)
    except Unreadable:
        return False


def _read_pickled(
    head: bytes, size: int, file: Binary, allowed: Collection[Global], reading: Reading, summed_bytes: int
) -> None:
    if head.startswith(ZIP):
        try:
            read_archive(file, size, allowed, reading, summed_bytes=summed_bytes)
        except OverLimit:
            raise
        except Unreadable as error:
            raise _BrokenArchive(error.message, error.offset) from None
    elif LEGACY_MAGIC in head[:32]:
        read_legacy(file, size, allowed, reading)
    elif head.startswith(LZ4):
        raise OverLimit("its compression is lz4, which is not read here")
    elif compression(head):
        if compression(head) == "bzip2" and size > int.from_bytes(head[1:5], "little"):
            # As a plain pickle it would be one long byte string, and instructions behind it.
            raise OverLimit("a bzip2 file of this size can be read in two ways")
        _read_pickles(inflated(of_file(file, 0, size)), allowed, reading)
    else:
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
