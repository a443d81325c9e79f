"""The serving code on disk, with the stand-in that a runtime may need beside it: the files and their digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

from airlock.domain.image import STAND_IN_FOLDER
from airlock.errors import BuildFailed


def serving_files(folder: Path, stand_in_for: str = "") -> tuple[tuple[str, Path], ...]:
    """The files as (path relative to the folder, path), sorted, without what an interpreter left there.

    Args:
        folder: The serving code. The stand-ins lie in `stand_ins` beside it, one folder per engine.
        stand_in_for: The engine whose stand-in belongs to the files, empty for none.

    Raises:
        BuildFailed: There is no such stand-in.
    """
    files = _files(folder)
    if stand_in_for:
        stand_in = folder.parent / "stand_ins" / stand_in_for
        found = _files(stand_in)
        if not found:
            raise BuildFailed(
                "BLD004", f"There is no stand-in for {stand_in_for} in {stand_in}.", "Restore the release's own."
            )
        files += [(f"{STAND_IN_FOLDER}/{name}", path) for name, path in found]
    return tuple(sorted(files))


def _files(folder: Path) -> list[tuple[str, Path]]:
    return [
        (path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".pyo")
    ]


def serving_digest(folder: Path, stand_in_for: str = "") -> str:
    """SHA-256, hexadecimal, over the paths, the sizes and the bytes of the files."""
    digest = hashlib.sha256()
    for name, path in serving_files(folder, stand_in_for):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
