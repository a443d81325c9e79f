"""What a pickle or an archive of PyTorch says of itself: whose classes it holds, and which version wrote them.

Only the beginning and the end are looked at, and nothing is judged here: whether it runs code is another question.
"""

from __future__ import annotations

import contextlib
import re

from airlock.domain.model_files.booster_files import ubj_version
from airlock.domain.model_files.facts import CERTAIN, STRONG, WEAK, Claim, Facts, WrittenBy, claims, listed
from airlock.domain.model_files.pickle_reader import InertUnpickler, Reading
from airlock.domain.model_files.streams import (
    Binary,
    OverLimit,
    Stream,
    Unreadable,
    compression,
    inflated,
    of_bytes,
    of_file,
)
from airlock.domain.model_files.torch_file import LEGACY_MAGIC
from airlock.domain.model_files.zip_archive import Member, Members, content

LOOKED_AT_BYTES = 1 << 20
#: Of files in folders, of which there may be many.
LOOKED_AT_BYTES_OF_PARTS = 1 << 16
#: First part of a class's module → the engine that loads it.
_LIBRARIES = {
    "sklearn": "Scikit_Learn", "xgboost": "XGBoost", "lightgbm": "LightGBM", "catboost": "CatBoost",
    "_catboost": "CatBoost", "torch": "PyTorch", "torchvision": "PyTorch", "transformers": "Transformers",
    "keras": "TensorFlow", "tensorflow": "TensorFlow", "mxnet": "MXNet", "mindspore": "MindSpore",
    "pyspark": "Spark_MLlib",
}  # fmt: skip
#: Engines whose services load a pickle with joblib, whatever classes it holds: dependencies may bring the library.
_LOADING = ("Scikit_Learn", "XGBoost", "LightGBM", "CatBoost")
LZ4 = b"\x04\x22M\x18"
#: Protocols 2 to 5 have a mark; older pickles begin with any instruction.
_OPENING = re.compile(rb"\x80[\x00-\x05]")
#: A text behind the name of the field, and behind what remembers the name.
_SKLEARN_VERSION = re.compile(
    rb"_sklearn_version(?:q.|r.{4}|\x94|p\d+\n)?(?:X.{4}|\x8c.|U.|V|S')(\d{1,4}(?:\.\d{1,4}){1,2})", re.DOTALL
)
#: The objective behind its length, as the old form of a booster has it.
_OLD_XGBOOST = re.compile(rb"\x00{7}(?:gpu:)?(?:reg|binary|multi|rank|count|survival):[a-z]")
_LIGHTGBM_FORM = re.compile(rb"tree\nversion=v(\d{1,3})\n")


def read_pickle(
    file: Binary, size: int, *, torch_name: bool = False, looked_at_bytes: int = LOOKED_AT_BYTES
) -> Facts | None:
    """A pickle, compressed or not; None where the file is none.

    Args:
        file: The file.
        size: Its length in bytes.
        torch_name: Whether its name is one of PyTorch's.
        looked_at_bytes: Bytes that are looked at on either end.
    """
    file.seek(0)
    head = file.read(512)
    packed = compression(head)
    unread = head.startswith(LZ4)
    if packed:
        start, end = _unpacked(file, size), b""
    else:
        start = _at(file, 0, min(size, looked_at_bytes))
        end = _at(file, max(0, size - looked_at_bytes), min(size, looked_at_bytes))
    legacy = LEGACY_MAGIC in head[:32]
    # To follow takes a hundred times as long as to search.
    followed = start[:looked_at_bytes]
    reading = _followed(followed, whole=len(followed) == size, legacy=legacy)
    if not (packed or unread or legacy or reading.ended or reading.names or _OPENING.match(head)):
        return None
    modules = _modules(reading, start)
    owners = list(dict.fromkeys(_LIBRARIES[name] for name in modules if name in _LIBRARIES))
    form = "is a pickle as PyTorch before 1.6 wrote it" if legacy else "is a pickle"
    if packed or unread:
        form = "is a compressed joblib file"
    if legacy and "PyTorch" not in owners:
        owners.insert(0, "PyTorch")
    return Facts(
        says=form + (f" of {_named(owners)}" if owners and not legacy else ""),
        claims=_claims(owners, torch_name=torch_name, legacy=legacy),
        written_by=_versions(start + b"\x00" + end, owners),
        details=(("modules", listed(modules)),) if modules else (),
    )


def read_torch_archive(file: Binary, size: int) -> Facts:
    """An archive as `torch.save` and `torch.jit.save` write it, from its directory alone.

    Raises:
        Unreadable: It can be read in two ways, or holds no model.
    """
    members = {member.name.partition("/")[2]: member for member in Members.of(file, size).entries}
    if "data.pkl" not in members:
        raise Unreadable("the archive holds no `data.pkl` in one folder of its own")
    script = "constants.pkl" in members or any(name.startswith("code/") for name in members)
    # Both came with 2.1.
    newer = "2.1" if {"byteorder", ".data/serialization_id"} <= set(members) else "" if script else "1.6"
    level = _record(file, members.get("version"))
    details = [("form", "TorchScript with its code" if script else "tensors or modules")]
    details += [("format version", level)] if level else []
    details.append(("storages", f"{sum(name.startswith('data/') for name in members):,}"))
    written = [WrittenBy(library="PyTorch", version=newer, or_newer=True)] if newer else []
    if not script or (level.isdigit() and int(level) >= 3):
        written.append(WrittenBy(library="PyTorch archive form", version=level if level.isdigit() else "3"))
    return Facts(
        says="is an archive of PyTorch" + (", TorchScript" if script else ""),
        claims=claims(CERTAIN, "PyTorch"),
        written_by=tuple(written),
        details=tuple(details),
    )


def _claims(owners: list[str], *, torch_name: bool, legacy: bool) -> tuple[Claim, ...]:
    found = list(claims(CERTAIN, *owners[:1])) + list(claims(STRONG, *owners[1:]))
    others = ("PyTorch",) if torch_name else () if legacy else _LOADING
    return (*found, *claims(WEAK, *(engine for engine in others if engine not in owners)))


def _named(owners: list[str]) -> str:
    return listed(owner.replace("Scikit_Learn", "scikit-learn") for owner in owners)


def _versions(data: bytes, owners: list[str]) -> tuple[WrittenBy, ...]:
    found = []
    match = _SKLEARN_VERSION.search(data)
    if match:
        found.append(WrittenBy(library="scikit-learn", version=match[1].decode()))
    if "XGBoost" in owners:
        if version := ubj_version(data):
            found.append(WrittenBy(library="XGBoost", version=version))
        elif b"{L\x00\x00" not in data and _OLD_XGBOOST.search(data):
            found.append(WrittenBy(library="XGBoost binary form", version="1"))
    form = _LIGHTGBM_FORM.search(data) if "LightGBM" in owners else None
    if form:
        found.append(WrittenBy(library="LightGBM model form", version=str(int(form[1]))))
    return tuple(found)


def _followed(data: bytes, *, whole: bool, legacy: bool) -> Reading:
    """What is seen in the beginning of a file; it has ended where it is a pickle up to the end of that."""
    reading = Reading(suspicions=[], names=set())
    stream = of_bytes(data)
    try:
        for _ in range(4 if legacy else 1):
            InertUnpickler(stream, frozenset(), joblib=True, persistent=legacy, reading=reading).run()
    except OverLimit:
        reading.ended = True
    except Unreadable as error:
        # It breaks off where the beginning ends; what was seen until then is all that is asked for.
        reading.ended = not whole and error.offset is not None and error.offset >= len(data)
    return reading


def _modules(reading: Reading, data: bytes) -> list[str]:
    """First parts of the modules that it imports, in the order of the names."""
    names = sorted({name.module.partition(".")[0] for name in reading.names})
    # The class of the model itself is imported first.
    return sorted(names, key=lambda name: _first(data, name))


def _first(data: bytes, module: str) -> int:
    found = data.find(module.encode("utf-8", "replace"))
    return len(data) if found < 0 else found


def _unpacked(file: Binary, size: int) -> bytes:
    parts, total = [], 0
    with contextlib.suppress(Unreadable):
        stream: Stream = inflated(of_file(file, 0, size), limit=4 * LOOKED_AT_BYTES)
        while total < 2 * LOOKED_AT_BYTES and (piece := stream.peek()):
            stream.skip(len(piece))
            parts.append(piece)
            total += len(piece)
    return b"".join(parts)


def _at(file: Binary, start: int, length: int) -> bytes:
    file.seek(start)
    return file.read(length)


def _record(file: Binary, member: Member | None) -> str:
    if member is None:
        return ""
    try:
        return content(file, member, 32).decode("ascii", "replace").strip()
    except OverLimit:
        return ""
