"""Files as `torch.save` writes them: a zip archive with one pickle, or several pickles and then the storages."""

from __future__ import annotations

from collections.abc import Collection

from airlock.domain.model_files.pickle_limits import MAX_SUSPICIONS
from airlock.domain.model_files.pickle_reader import InertUnpickler, Reading, Suspicion
from airlock.domain.model_files.pickle_values import Global
from airlock.domain.model_files.streams import Binary, OverLimit, Unreadable, of_file
from airlock.domain.model_files.torchscript_code import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, dangers
from airlock.domain.model_files.zip_archive import DEFLATED, Member, Members, check_contents, content

#: The first pickle of the form before 1.6: the magic number of torch.serialization.
LEGACY_MAGIC = b"\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
#: Magic number, protocol, system, the object, its storages' keys.
_LEGACY_PICKLES = 5
#: Bytes whose checksums are compared. The package's own digest holds for every byte, of however large a file.
MAX_SUMMED_BYTES = 2 << 30
_TORCHSCRIPT_ROOT = "__torch__"


class TorchScriptNames:
    """The names of an archive of TorchScript, whose own classes live in no Python module.

    Args:
        allowed: The other names that are allowed.
    """

    def __init__(self, allowed: Collection[Global]) -> None:
        self._allowed = allowed

    def __contains__(self, name: object) -> bool:
        own = isinstance(name, Global) and name.module.split(".")[0] == _TORCHSCRIPT_ROOT
        return own or name in self._allowed

    def __iter__(self):  # type: ignore[no-untyped-def]  # Collection asks for it; nothing lists these names
        return iter(self._allowed)

    def __len__(self) -> int:
        return len(self._allowed)


def read_legacy(file: Binary, size: int, allowed: Collection[Global], reading: Reading) -> None:
    """Follow every pickle of the form before 1.6; the storages behind them are numbers.

    Raises:
        Unreadable: It is broken.
    """
    stream = of_file(file, 0, size)
    for _ in range(_LEGACY_PICKLES):
        reading.ended = False
        InertUnpickler(stream, allowed, persistent=True, reading=reading).run()


def read_archive(
    file: Binary, size: int, allowed: Collection[Global], reading: Reading, *, summed_bytes: int = MAX_SUMMED_BYTES
) -> None:
    """Follow every pickle of an archive, and check the archive itself.

    Args:
        file: The archive.
        size: Its length in bytes.
        allowed: The names that its pickles may import.
        reading: Where to note what is seen.
        summed_bytes: Bytes whose checksums are compared, pickles first.

    Raises:
        Unreadable: The archive can be read in two ways, is damaged, or holds no model.
    """
    members = Members.of(file, size)
    names = {member.name for member in members.entries}
    roots = {name.split("/")[0] for name in names}
    if len(roots) != 1 or f"{next(iter(roots))}/data.pkl" not in names:
        raise Unreadable("the archive holds no `data.pkl` in one folder of its own")
    if f"{next(iter(roots))}/constants.pkl" in names:
        allowed = TorchScriptNames(allowed)
    for member in members.entries:
        if _is_pickle(member):
            _read_member(file, member, allowed, reading)
    _read_code(file, [member for member in members.entries if _is_code(member)], reading)
    # Tensors are numbers, whatever they are; the rest is small, and first.
    left = summed_bytes
    for member in sorted(members.entries, key=_weight):
        left -= member.size_bytes + member.stored_bytes
        if left < 0 and not _is_pickle(member):
            break
        check_contents(file, member)


def _is_pickle(member: Member) -> bool:
    return member.name.endswith(".pkl")


def _is_code(member: Member) -> bool:
    return member.name.split("/")[1:2] == ["code"] and member.name.endswith(".py")


def _read_code(file: Binary, members: list[Member], reading: Reading) -> None:
    if len(members) > MAX_FILES or sum(member.size_bytes for member in members) > MAX_BYTES:
        raise OverLimit(f"its code has more than {MAX_FILES:,} files or {MAX_BYTES:,} bytes")
    for member in members:
        for what, name, offset in dangers(content(file, member, MAX_FILE_BYTES)):
            found = Suspicion(what=what, name=name, offset=offset)
            if len(reading.suspicions) < MAX_SUSPICIONS and not any(
                (each.what, each.name) == (what, name) for each in reading.suspicions
            ):
                reading.suspicions.append(found)


def _weight(member: Member) -> tuple[bool, int]:
    return not _is_pickle(member), member.size_bytes + member.stored_bytes


def _read_member(file: Binary, member: Member, allowed: Collection[Global], reading: Reading) -> None:
    stream = of_file(file, member.start, member.stored_bytes)
    if member.method == DEFLATED:
        raise OverLimit(f"{member.name} is compressed inside the archive, as PyTorch never writes a pickle")
    try:
        InertUnpickler(stream, allowed, persistent=True, reading=reading).run()
    except Unreadable as error:
        raise Unreadable(f"{member.name}: {error.message}", error.offset) from None
