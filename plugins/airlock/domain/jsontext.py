"""JSON from outside, read strictly and with positions.

The standard parser takes duplicate keys, NaN and UTF-16 and gives no positions, so a report could not say where. This
one keeps, for every value, the place of its first character, reads over comments and trailing commas (real files hold
them and their meaning is plain) and says where it did, and refuses everything else that is not JSON.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from airlock.domain.findings import MAX_TOLD

MAX_TEXT_BYTES = 1_000_000
MAX_DEPTH = 64
MAX_NUMBER_CHARACTERS = 64
# Every value below a long key has a longer pointer: without a limit a megabyte of text could ask for gigabytes of them.
MAX_POINTER_CHARACTERS = 400

_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS = {"true": True, "false": False, "null": None}


class JsonTextError(Exception):
    """The text cannot be read.

    Args:
        message: What is wrong there, as a sentence.
        line: 1-based.
        column: 1-based, in characters.
        too_large: Whether a limit, not the form, was broken.
    """

    def __init__(self, message: str, line: int, column: int, too_large: bool = False) -> None:
        super().__init__(message, line, column, too_large)
        self.message = message
        self.line = line
        self.column = column
        self.too_large = too_large


@dataclass(frozen=True, slots=True, kw_only=True)
class Looseness:
    """Something read over: a comment, a trailing comma, or a key repeated with the same value."""

    what: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateKey:
    """A key that stands twice in one object with different values."""

    pointer: str
    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class JsonText:
    """A parsed text.

    Attributes:
        value: The value, of plain dicts, lists, strings, numbers, booleans and None.
        positions: JSON pointer → (line, column) of the value's first character; nothing below keys so long that the
            pointer would pass `MAX_POINTER_CHARACTERS`.
        loosenesses: What was read over: as much of it as is told, and one more, where the rest begins.
        loose_count: How many there are in all.
        duplicates: Keys with two different values, of which the first one is in `value`: likewise.
        duplicate_count: Likewise.
    """

    value: Any = None
    positions: dict[str, tuple[int, int]] = field(default_factory=dict)
    loosenesses: list[Looseness] = field(default_factory=list)
    loose_count: int = 0
    duplicates: list[DuplicateKey] = field(default_factory=list)
    duplicate_count: int = 0


def parse_json(data: bytes) -> JsonText:
    """Read JSON.

    Args:
        data: The file's bytes: UTF-8, with or without a byte-order mark.

    Returns:
        The value with positions, what was read over, and duplicate keys.

    Raises:
        JsonTextError: Not UTF-8, not JSON, over 1 MB, deeper than 64 levels, or a number over 64 characters.
    """
    if len(data) > MAX_TEXT_BYTES:
        raise JsonTextError(f"The file has {len(data):,} bytes; at most {MAX_TEXT_BYTES:,} are read.", 1, 1, True)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise JsonTextError(f"Byte {error.start} is not UTF-8; save the file as UTF-8.", line, 1) from None
    return _Reader(text).read()


def pointer_token(key: str) -> str:
    """A key as one token of a JSON pointer (RFC 6901)."""
    return key.replace("~", "~0").replace("/", "~1")


def _below(pointer: str | None, token: str) -> str | None:
    if pointer is None or len(pointer) + len(token) >= MAX_POINTER_CHARACTERS:
        return None
    return f"{pointer}/{token}"


def _same(first: Any, second: Any) -> bool:
    # True == 1 == 1.0 in Python, not in a configuration: the types decide too. The order of keys says nothing in JSON.
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_same(first[key], second[key]) for key in first)
    if isinstance(first, list):
        return len(first) == len(second) and all(map(_same, first, second))
    return bool(first == second)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.result = JsonText()
        self.line_starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def read(self) -> JsonText:
        self._space()
        if self.at == len(self.text):
            raise self._wrong("The file is empty.")
        self.result.value = self._value("", 1)
        self._space()
        if self.at != len(self.text):
            raise self._wrong("Text follows after the end of the value.")
        return self.result

    def _where(self, at: int) -> tuple[int, int]:
        low, high = 0, len(self.line_starts)
        while high - low > 1:
            middle = (low + high) // 2
            if self.line_starts[middle] <= at:
                low = middle
            else:
                high = middle
        return low + 1, at - self.line_starts[low] + 1

    def _wrong(self, message: str, at: int | None = None, too_large: bool = False) -> JsonTextError:
        return JsonTextError(message, *self._where(self.at if at is None else at), too_large)

    def _loose(self, what: str, at: int) -> None:
        self.result.loose_count += 1
        if self.result.loose_count <= MAX_TOLD + 1:
            line, column = self._where(at)
            self.result.loosenesses.append(Looseness(what=what, line=line, column=column))

    def _space(self) -> None:
        text, size = self.text, len(self.text)
        while self.at < size:
            character = text[self.at]
            if character in " \t\r\n":
                self.at += 1
            elif text.startswith("//", self.at):
                self._loose("comment", self.at)
                end = text.find("\n", self.at)
                self.at = size if end < 0 else end
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at + 2)
                if end < 0:
                    raise self._wrong("A comment that begins here never ends.")
                self._loose("comment", self.at)
                self.at = end + 2
            else:
                return

    def _value(self, pointer: str | None, depth: int) -> Any:
        if depth > MAX_DEPTH:
            raise self._wrong(f"Values are nested deeper than {MAX_DEPTH} levels.", too_large=True)
        if pointer is not None:
            self.result.positions[pointer] = self._where(self.at)
        character = self.text[self.at : self.at + 1]
        if character == "{":
            return self._object(pointer, depth)
        if character == "[":
            return self._array(pointer, depth)
        if character == '"':
            return self._string()
        for word, value in _WORDS.items():
            if self.text.startswith(word, self.at):
                self.at += len(word)
                return value
        return self._number()

    def _number(self) -> int | float:
        match = _NUMBER.match(self.text, self.at)
        if match is None:
            found = self.text[self.at : self.at + 1]
            raise self._wrong(f"A value is expected, {found!r} stands here." if found else "The text ends too early.")
        digits = match.group()
        if len(digits) > MAX_NUMBER_CHARACTERS:
            raise self._wrong(f"A number has more than {MAX_NUMBER_CHARACTERS} characters.", too_large=True)
        self.at = match.end()
        if not any(mark in digits for mark in ".eE"):
            return int(digits)
        number = float(digits)
        if number in (float("inf"), float("-inf")):
            raise self._wrong("A number is larger than any that can be held.", match.start())
        return number

    def _string(self) -> str:
        start = self.at
        self.at += 1
        parts: list[str] = []
        while True:
            match = _PLAIN.match(self.text, self.at)
            if match is not None:
                parts.append(match.group())
                self.at = match.end()
            character = self.text[self.at : self.at + 1]
            if character == '"':
                self.at += 1
                return "".join(parts)
            if character == "\\":
                parts.append(self._escape())
            elif character == "":
                raise self._wrong("A string that begins here never ends.", start)
            else:
                raise self._wrong("A line break or control character stands inside a string.")

    def _escape(self) -> str:
        mark = self.text[self.at + 1 : self.at + 2]
        if mark in _ESCAPES and mark:
            self.at += 2
            return _ESCAPES[mark]
        if mark != "u":
            raise self._wrong("An unknown escape stands in a string.")
        unit = self._hexadecimal()
        if 0xD800 <= unit < 0xDC00 and self.text.startswith("\\u", self.at):
            low = self._hexadecimal()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
            raise self._wrong("Half a surrogate pair stands in a string.")
        if 0xD800 <= unit < 0xE000:
            raise self._wrong("Half a surrogate pair stands in a string.")
        return chr(unit)

    def _hexadecimal(self) -> int:
        digits = self.text[self.at + 2 : self.at + 6]
        if len(digits) != 4 or any(character not in "0123456789abcdefABCDEF" for character in digits):
            raise self._wrong("Four hexadecimal digits are expected after \\u.")
        self.at += 6
        return int(digits, 16)

    def _array(self, pointer: str | None, depth: int) -> list[Any]:
        self.at += 1
        items: list[Any] = []
        self._space()
        while not self._closes("]"):
            items.append(self._value(_below(pointer, str(len(items))), depth + 1))
            self._separator("]")
        return items

    def _object(self, pointer: str | None, depth: int) -> dict[str, Any]:
        self.at += 1
        members: dict[str, Any] = {}
        self._space()
        while not self._closes("}"):
            start = self.at
            if self.text[start : start + 1] != '"':
                raise self._wrong("A key in double quotes is expected.")
            key = self._string()
            self._space()
            if self.text[self.at : self.at + 1] != ":":
                raise self._wrong("A colon is expected after the key.")
            self.at += 1
            self._space()
            path = _below(pointer, pointer_token(key))
            before = None if path is None else self.result.positions.get(path)
            value = self._value(path, depth + 1)
            if key in members:
                if path is not None and before is not None:
                    self.result.positions[path] = before
                self._repeated(path or "", members[key], value, start)
            else:
                members[key] = value
            self._separator("}")
        return members

    def _repeated(self, path: str, first: Any, second: Any, at: int) -> None:
        if _same(first, second):
            self._loose("repeated key", at)
            return
        self.result.duplicate_count += 1
        if self.result.duplicate_count <= MAX_TOLD + 1:
            line, column = self._where(at)
            self.result.duplicates.append(DuplicateKey(pointer=path, line=line, column=column))

    def _closes(self, mark: str) -> bool:
        if self.text[self.at : self.at + 1] == mark:
            self.at += 1
            return True
        return False

    def _separator(self, closing: str) -> None:
        self._space()
        character = self.text[self.at : self.at + 1]
        if character == ",":
            comma = self.at
            self.at += 1
            self._space()
            if self.text[self.at : self.at + 1] == closing:
                self._loose("trailing comma", comma)
        elif character != closing:
            raise self._wrong(f"A comma or {closing} is expected.")
