"""The code of an archive of TorchScript: what PyTorch compiles and a service runs, read as text and never run.

It reads and writes files by few operators, and reaches others' by the namespace of the library that registers them.
The text is taken apart by a tokenizer of its own: its grammar is TorchScript's, which is not quite that of Python, and
what one of them takes for a text may be a call to the other.

Source: torch/csrc/jit/frontend/lexer.h, torch/csrc/jit/serialization/import_source.cpp.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from airlock.domain.model_files.streams import Unreadable

MAX_FILE_BYTES: Final = 16 << 20
#: Of all files together.
MAX_BYTES: Final = 64 << 20
MAX_FILES: Final = 20_000
#: Operators that read or write a file by its name.
_OF_FILES: Final = frozenset({"save", "load", "from_file"})
#: Namespaces of operators that come with PyTorch or torchvision and compute.
_COMPUTING: Final = frozenset(
    """
    _quantized aten mkldnn mkldnn_prepacked prepacked prim prims quantized quantized_decomposed sparse torchvision
    """.split()  # noqa: SIM905
)
#: Namespaces of classes in C++ that hold packed weights.
_CLASSES: Final = frozenset({"mkldnn", "quantized", "rnn", "sparse", "xnnpack"})
_TOKEN: Final = re.compile(
    r"""#[^\n]*|\"{3}(?:[^\\]|\\.)*?\"{3}|'{3}(?:[^\\]|\\.)*?'{3}|(?P<open>\"{3}|'{3})"""
    r"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<number>[0-9][A-Za-z_0-9.]*)|(?P<sign>\S)""",
    re.DOTALL | re.ASCII,
)


def dangers(code: bytes) -> Iterator[tuple[str, str, int]]:
    """What the code does beyond computing.

    Args:
        code: The text of one file.

    Yields:
        What it does, as the end of "it …"; the name that it does it with; its byte offset.

    Raises:
        Unreadable: A text in it has no end: PyTorch does not compile it.
    """
    for name, offset in _dotted(code.decode("latin-1")):
        if what := _judged(name.split(".")):
            yield what, name, offset


def _judged(parts: list[str]) -> str:
    first, last = parts[0], parts[-1]
    if first == "torch":
        # Alone it could be called by another name.
        if len(parts) == 1 or parts[1] in _OF_FILES:
            return "reads or writes a file when it predicts"
    elif first == "ops":
        if len(parts) < 3 or parts[1] not in _COMPUTING:
            return "runs an operator of another library when it predicts"
        if parts[2] in _OF_FILES:
            return "reads or writes a file when it predicts"
    elif first == "__torch__":
        if parts[1:3] == ["torch", "classes"] and (len(parts) < 5 or parts[3] not in _CLASSES):
            return "uses a class in C++ that holds no weights"
        if parts in (["__torch__"], ["__torch__", "torch"]):
            return "uses a class in C++ that holds no weights"
    return "reads or writes a file when it predicts" if len(parts) > 1 and last == "from_file" else ""


def _dotted(text: str) -> Iterator[tuple[str, int]]:
    """Names with what follows behind dots, wherever there is space or a comment in between."""
    parts: list[str] = []
    start, dot = 0, False
    for match in _TOKEN.finditer(text):
        name, sign = match["name"], match["sign"]
        if match["open"] or sign in ("'", '"'):
            raise Unreadable("a text in its code has no end")
        if name and parts and dot:
            parts.append(name)
        elif sign == "." and parts and not dot:
            dot = True
            continue
        elif match[0].startswith("#"):
            continue
        else:
            if parts:
                yield ".".join(parts), start
            parts, start = [name] if name else [], match.start()
        dot = False
    if parts:
        yield ".".join(parts), start
