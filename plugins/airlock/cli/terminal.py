"""Text for a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """A text in which every character can be seen.

    Names and messages come from outside, a file's from anybody who can write to the store: a terminal must not obey
    them.
    """
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
