"""Python files from bytes to text, as a runtime's Python decodes them.

Only encodings that sources are written in are taken. A coding line may name any codec, and some of them take time that
grows with the square of the file, or are no encodings of text.

Source: PEP 263 (coding lines); Python's own tokenizer.
"""

from __future__ import annotations

import re
from encodings import normalize_encoding
from encodings.aliases import aliases

from airlock.domain.findings import shown

PYTHON_2 = "2.7"
_UTF_8 = "utf_8"
_LATIN_1 = "latin_1"
#: Python's own names of the encodings that are taken; each decodes in time that grows with the file.
_TAKEN = frozenset(
    {
        _UTF_8, "utf_8_sig", "ascii", _LATIN_1, "iso8859_1",
        *(f"iso8859_{part}" for part in (2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16)),
        *(f"cp{page}" for page in (1250, 1251, 1252, 1253, 1254, 1255, 1256, 1257, 1258)),
        *(f"cp{page}" for page in (437, 720, 737, 775, 850, 852, 855, 856, 857, 858, 860, 861, 862, 863, 864, 865)),
        *(f"cp{page}" for page in (866, 869, 874, 932, 949, 950)),
        "gb2312", "gbk", "gb18030", "big5", "big5hkscs",
        "shift_jis", "shift_jis_2004", "shift_jisx0213", "euc_jp", "euc_jis_2004", "euc_jisx0213", "iso2022_jp",
        "euc_kr", "johab", "koi8_r", "koi8_t", "koi8_u", "kz1048", "ptcp154", "tis_620",
        *(f"mac_{script}" for script in ("cyrillic", "greek", "iceland", "latin2", "roman", "turkish")),
    }
)  # fmt: skip
_CODING = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_BLANK = re.compile(rb"^[ \t\f]*(?:#|$)")
_LINE_END = re.compile(rb"\r\n?|\n")
_MARK = b"\xef\xbb\xbf"
#: What Python reads as these two, with or without an ending such as Emacs's `-unix`.
_OWN_NAME = re.compile(r"(?:(utf-8)|latin-1|iso-8859-1|iso-latin-1)(?:-.*)?")
_OWN_NAME_CHARACTERS = 12


class NotPython(Exception):
    """The runtime's Python cannot compile the text.

    Args:
        message: Why, as a sentence without a full stop.
        line: 1-based, 0 when unknown.
        column: 1-based, 0 when unknown.
        text: The line, empty when unknown.
    """

    def __init__(self, message: str, line: int = 0, column: int = 0, text: str = "") -> None:
        super().__init__(message, line, column, text)
        self.message = message
        self.line = line
        self.column = column
        self.text = text


def decoded(data: bytes, python: str) -> str:
    """The text of a file, without a byte-order mark.

    Args:
        data: The file's bytes.
        python: The runtime's Python, `X.Y`.

    Raises:
        NotPython: It is no text of its encoding, or the encoding is not taken.
    """
    marked = data.startswith(_MARK)
    data = data.removeprefix(_MARK)
    named, line = _named(data)
    encoding = _taken(named) if named else _UTF_8 if marked or python != PYTHON_2 else "ascii"
    if encoding is None:
        message = f"The encoding {shown(named)!r} is not taken; save the file as UTF-8"
        raise NotPython(message, line)
    if marked and named and _own_name(named) != _UTF_8:
        raise NotPython(f"The file has UTF-8's byte-order mark and names the encoding {shown(named)!r}", line)
    try:
        text = data.decode(encoding)
    except UnicodeError as error:
        at = data[: getattr(error, "start", 0)].count(b"\n") + 1
        if not named and python == PYTHON_2:
            message = "Characters beyond ASCII need a coding line such as `# -*- coding: utf-8 -*-`"
        else:
            message = f"The file is not {shown(named) or 'utf-8'} text"
        raise NotPython(message, at) from None
    if "\0" in text:
        raise NotPython("The file holds a null byte", text.count("\n", 0, text.index("\0")) + 1)
    return text


def _named(data: bytes) -> tuple[str, int]:
    """The encoding that one of the first two lines names, and that line's number; empty where none does."""
    # A lone carriage return ends a line for Python, too.
    lines = _LINE_END.split(data, 2)[:2]
    for number, line in enumerate(lines, 1):
        match = _CODING.match(line)
        if match is not None:
            return match[1].decode("ascii"), number
        if not _BLANK.match(line):
            break
    return "", 0


def _own_name(name: str) -> str:
    """The encoding that Python knows by that name without asking its codecs; empty where it has to ask."""
    match = _OWN_NAME.fullmatch(name[:_OWN_NAME_CHARACTERS].lower().replace("_", "-"))
    return "" if match is None else _UTF_8 if match[1] else _LATIN_1


def _taken(name: str) -> str | None:
    # Looked up by name only: asking the codecs would import whichever module the name says.
    normal = normalize_encoding(name).lower()
    encoding = _own_name(name) or aliases.get(normal, normal)
    return encoding if encoding in _TAKEN else None
