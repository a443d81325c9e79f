"""The serving code on disk: its files and their digest."""

from __future__ import annotations

import hashlib
from pathlib import Path


def serving_files(folder: Path) -> tuple[tuple[str, Path], ...]:
    """The files as (path relative to the folder, path), sorted, without what an interpreter left there."""
    files = [
        (path.relative_to(folder).as_posix(), path)
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix not in (".pyc", ".pyo")
    ]
    return tuple(sorted(files))


def serving_digest(folder: Path) -> str:
    """SHA-256, hexadecimal, over the paths, the sizes and the bytes of the files."""
    digest = hashlib.sha256()
    for name, path in serving_files(folder):
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()
