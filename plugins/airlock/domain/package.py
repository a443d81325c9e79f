"""The package: names that are safe, a manifest that is its identity, and what the later steps know of it."""

from __future__ import annotations

import functools
import hashlib
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from airlock.domain.findings import Finding, Findings, Place

MODEL_FOLDER = "model"
MAX_PATH_BYTES = 1024
MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedObject:
    """An object as the storage lists it.

    Attributes:
        key: The whole key.
        size_bytes: Its length.
        etag: The storage's own tag, without quotes. Never taken for an MD5.
        not_a_file: What it is where it is no file: `a symbolic link`; else empty. Only disks have such.
        modified: When it was written, as the storage says it, else empty. It tells two empty objects apart.
    """

    key: str
    size_bytes: int
    etag: str
    not_a_file: str = ""
    modified: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class FetchLimits:
    """How much one package may hold.

    Attributes:
        max_package_bytes: Sum of all files.
        max_objects: Objects below the folder, those outside `model/` included.
    """

    max_package_bytes: int
    max_objects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FileEntry:
    """One file of a package.

    Attributes:
        path: Relative to the package's folder, with `/`; begins with `model/`.
        size_bytes: Its length.
        sha256: Hexadecimal digest of its bytes.
    """

    path: str
    size_bytes: int
    sha256: str


# Without slots: it keeps its digest, for which a fetch asks four times.
@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The files of a package, sorted by path: the package's identity.

    Two packages with the same files have the same digest, wherever they came from.
    """

    files: tuple[FileEntry, ...]

    def __post_init__(self) -> None:
        paths = [entry.path for entry in self.files]
        if paths != sorted(set(paths)):
            raise ValueError("a manifest's paths are sorted and unique")

    @classmethod
    def of(cls, files: Iterable[FileEntry]) -> Manifest:
        """The manifest of these files in any order."""
        return cls(files=tuple(sorted(files, key=lambda entry: entry.path)))

    def canonical(self) -> bytes:
        """The manifest's canonical bytes: a JSON array of [path, size, sha256], sorted by path, without spaces."""
        rows = [[entry.path, entry.size_bytes, entry.sha256] for entry in self.files]
        return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode()

    def digest(self) -> str:
        """SHA-256 of the canonical bytes, hexadecimal."""
        return self._digest

    @functools.cached_property
    def _digest(self) -> str:
        return hashlib.sha256(self.canonical()).hexdigest()

    @property
    def size_bytes(self) -> int:
        """Sum of all files."""
        return sum(entry.size_bytes for entry in self.files)

    def model_paths(self) -> dict[str, FileEntry]:
        """Path under `model/` → entry."""
        return {entry.path[len(MODEL_FOLDER) + 1 :]: entry for entry in self.files}


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A staged package, as it travels from step to step.

    Attributes:
        digest: The manifest's digest; names the package everywhere.
        source: Where it came from, as text.
        file_count: Number of files.
        size_bytes: Sum of all files.
        bytes_copied: Bytes read from the storage for this import; 0 when the store had them.
        findings: What was noticed while fetching.
    """

    digest: str
    source: str
    file_count: int
    size_bytes: int
    bytes_copied: int
    findings: tuple[Finding, ...] = ()


def check_names(paths: Iterable[str]) -> Findings:
    """Check that every path can be a file below one folder on any system.

    Args:
        paths: Paths relative to the package's folder.

    Returns:
        PKG006 for a name that is unsafe by itself, PKG007 for two names that collide.
    """
    told = Findings(by_file=False)
    seen: dict[str, str] = {}
    folders: dict[str, str] = {}
    # Folders that were looked at with another file in them: thousands of files lie in few.
    fine: set[str] = set()
    for path in paths:
        reason = _unsafe(path)
        if reason:
            told.note("PKG006", f"The object name {reason}.", place=Place(file=_printable(path)), value=path)
            continue
        folded = _folded(path)
        twin = seen.setdefault(folded, path)
        if twin != path:
            told.note("PKG007", f"It collides with {_printable(twin)}.", place=Place(file=path))
        parent = path.rpartition("/")[0]
        if parent in fine:
            continue
        parts = path.split("/")
        for depth in range(1, len(parts)):
            folder = "/".join(parts[:depth])
            other = folders.setdefault(_folded(folder), folder)
            if other != folder:
                told.note("PKG007", f"Its folder collides with {_printable(other)}.", place=Place(file=path))
                break
        else:
            fine.add(parent)
    for folded, path in seen.items():
        if folded in folders:
            told.note("PKG007", "It is a file and a folder at once.", place=Place(file=path))
    return told


def _folded(path: str) -> str:
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", path).casefold())


def _printable(path: str) -> str:
    return path if path.isprintable() else path.encode("unicode_escape").decode("ascii")


#: Each reason why a path is unsafe, in the order in which it is told.
_UNSAFE: tuple[tuple[str, Callable[[str], bool]], ...] = (
    ("is empty", lambda path: not path),
    ("is absolute", lambda path: path.startswith("/")),
    ("holds a backslash", lambda path: "\\" in path),
    ("holds an empty part (`//`, or `/` at its end)", lambda path: "" in path.split("/")),
    ("holds `.` or `..` as a part", lambda path: any(part in (".", "..") for part in path.split("/"))),
    ("holds a control, bidirectional or unassigned character", lambda path: not path.isprintable()),
    ("begins or ends a part with a space", lambda path: any(part != part.strip() for part in path.split("/"))),
    ("is longer than 1,024 bytes", lambda path: len(path.encode()) > MAX_PATH_BYTES),
    (
        "has a part longer than 255 bytes",
        lambda path: any(len(part.encode()) > MAX_NAME_BYTES for part in path.split("/")),
    ),
)


#: What nearly all paths are made of. It keeps each of the rules above by itself, but for the lengths.
_PLAIN = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.=+-]*/)*[A-Za-z0-9_][A-Za-z0-9_.=+-]*")


def _unsafe(path: str) -> str:
    if len(path) <= MAX_NAME_BYTES and _PLAIN.fullmatch(path):
        return ""
    # Surrogates cannot be encoded; they are not printable, and that is asked before any length.
    return next((reason for reason, applies in _UNSAFE if applies(path)), "")
