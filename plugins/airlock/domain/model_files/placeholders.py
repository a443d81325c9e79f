"""What lies in a model file's place where the file itself did not come along: nothing, a pointer, the page of an error.

Source: Git LFS, docs/spec.md, section The Pointer; HTML Living Standard, section The DOCTYPE.
"""

from __future__ import annotations

from dataclasses import dataclass

#: A pointer is smaller, by its own specification.
_MAX_POINTER_BYTES = 1024
_POINTER_OPENINGS = (b"version https://git-lfs.github.com/spec/", b"version https://hawser.github.com/spec/")
_PAGE_OPENINGS = (b"<!doctype html", b"<html")
_BEFORE_A_PAGE = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placeholder:
    """What is there instead of a model.

    Attributes:
        says: What it is, as the end of "the file …".
        fix: What to do, as a sentence.
    """

    says: str
    fix: str


EMPTY = Placeholder(
    says="is empty", fix="Upload the file again, and compare its length there with that of the file that was saved."
)
POINTER = Placeholder(
    says="is a Git LFS pointer and not the file that it points to",
    fix="Run `git lfs pull` in the repository that it comes from, and upload the file again.",
)
WEB_PAGE = Placeholder(
    says="is an HTML page, as a failed download leaves one",
    fix="Read the page for what went wrong, download the file again, and upload it.",
)
STORAGE_ERROR = Placeholder(
    says="is the error of an object storage, as a failed download leaves one",
    fix="Read it for what went wrong, download the file again, and upload it.",
)


def placeholder_of(head: bytes, size: int) -> Placeholder | None:
    """What lies in a file's place, None where it may be the file itself: no form of a model begins so.

    Args:
        head: Its first bytes; 512 are enough.
        size: Its length in bytes.
    """
    if size == 0:
        return EMPTY
    if size < _MAX_POINTER_BYTES and head.startswith(_POINTER_OPENINGS):
        return POINTER
    start = head.lstrip(_BEFORE_A_PAGE).lower()
    if start.startswith(_PAGE_OPENINGS):
        return WEB_PAGE
    return STORAGE_ERROR if start.startswith((b"<?xml", b"<error>")) and b"<error>" in start else None
