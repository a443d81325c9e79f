"""Python text as a runtime's Python reads it: what that version can or cannot compile.

Only what is certain is an error. What this Python's own compiler refuses, no earlier one takes; parso, which has the
grammars from 3.6 on, tells what came later than the runtime's Python. For newer ones, and for Python 2.7, of which no
grammar is kept up, the rest is left to the test of the service.

Source: Specifications for compiling model inference code.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from airlock.domain.service_code.decoding import NotPython, decoded
from airlock.domain.service_code.module_names import version_of

#: Larger files are refused: no inference code is.
MAX_CODE_BYTES = 1_000_000
#: A syntax tree of more text takes more than a second.
MAX_TREE_CHARACTERS = 150_000
#: The time that f-strings take grows with their square where none of them ends.
MAX_FORMATTED = 1_000
#: Since 3.7 each Python takes what the one before it took; 3.6 had two keywords less.
_FIRST_COMPARABLE = (3, 7)
_KEYWORDS_SINCE_3_7 = re.compile(r"\b(?:async|await)\b")
_FIRST_GRAMMAR = (3, 6)
_LAST_GRAMMAR = (3, 14)
_FORMATTED = re.compile(r"""[fF][rR]?["']""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """A readable file of Python code.

    Attributes:
        tree: Its parso syntax tree; None where it is too large or too deeply nested for one.
        compiled: Whether all of its syntax was judged.
    """

    tree: Any
    compiled: bool


def read_code(data: bytes, python: str, own_python: tuple[int, int], *, closely: bool) -> Code:
    """Read one file.

    Args:
        data: Its bytes; one more than `MAX_CODE_BYTES` is enough.
        python: The runtime's Python, `X.Y`.
        own_python: The Python that reads it here.
        closely: Whether a syntax tree is wanted, and what only versions before this one refuse is looked for.

    Raises:
        NotPython: That Python cannot compile it.
    """
    if len(data) > MAX_CODE_BYTES:
        raise NotPython(f"The file has more than {MAX_CODE_BYTES:,} bytes")
    text = decoded(data, python)
    version = version_of(python)
    if version < _FIRST_GRAMMAR or version > _LAST_GRAMMAR:
        tree = _tree(text, (3, 6)) if closely else None
        if tree is not None and version < (3,):
            _refuse_later_syntax(tree)
        return Code(tree=tree, compiled=False)
    own_refusal = _own_refusal(text, version, own_python)
    if own_refusal is not None:
        if version > own_python or (version < _FIRST_COMPARABLE and _KEYWORDS_SINCE_3_7.search(text)):
            return Code(tree=_tree(text, version) if closely else None, compiled=False)
        raise own_refusal
    tree = _tree(text, version) if closely else None
    if tree is not None and version < own_python:
        refusal = _refusal(tree, version)
        # Where parso refuses it for this Python too, which has just compiled it, parso is wrong.
        if refusal is not None and not _refused_by_own_grammar(text, own_python):
            raise refusal
    return Code(tree=tree, compiled=True)


def _own_refusal(text: str, version: tuple[int, int], own_python: tuple[int, int]) -> NotPython | None:
    # It knows most of what came after an earlier version, too.
    like = min(max(version, _FIRST_COMPARABLE), own_python)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # As text: from bytes it would decode them again, by whichever codec they name.
            ast.parse(text, feature_version=like)
    except SyntaxError as error:
        return NotPython(str(error.msg), error.lineno or 0, error.offset or 0, (error.text or "").strip())
    except (ValueError, RecursionError, MemoryError) as error:
        return NotPython(type(error).__name__)
    return None


def _tree(text: str, version: tuple[int, int]) -> Any:
    if len(text) > MAX_TREE_CHARACTERS or len(_FORMATTED.findall(text)) > MAX_FORMATTED:
        return None
    try:
        return _grammar(version).parse(text)
    except (RecursionError, MemoryError):
        return None


def _grammar(version: tuple[int, int]) -> Any:
    # Importing it takes 0.1 s, a fifth of a check; most packages of the engines that need no code have none.
    from parso.grammar import load_grammar

    return load_grammar(version=f"{version[0]}.{version[1]}")


def _refusal(tree: Any, version: tuple[int, int]) -> NotPython | None:
    """The first error; the reader of all others takes time that grows with their square."""
    for node in _broken(tree):
        line, column = node.start_pos
        return NotPython("invalid syntax", line, column + 1, _line_of(tree, line))
    try:
        found = min(_grammar(version).iter_errors(tree), key=lambda issue: issue.start_pos, default=None)
    except RecursionError:
        return None
    if found is None:
        return None
    line, column = found.start_pos
    message = str(found.message).partition(": ")[2] or str(found.message)
    return NotPython(message, line, column + 1, _line_of(tree, line))


def _refused_by_own_grammar(text: str, own_python: tuple[int, int]) -> bool:
    tree = _tree(text, min(own_python, _LAST_GRAMMAR))
    return tree is None or _refusal(tree, min(own_python, _LAST_GRAMMAR)) is not None


def _broken(tree: Any) -> Iterator[Any]:
    for node in _unread(tree):
        # The reader gives up at the end of what it did understand.
        last = node.get_last_leaf()
        following = last.get_next_leaf()
        yield following if following is not None and following.type != "endmarker" else last
        return


def _unread(tree: Any) -> Iterator[Any]:
    pending = [tree]
    while pending:
        node = pending.pop()
        if node.type in ("error_node", "error_leaf"):
            yield node
        pending += reversed(getattr(node, "children", ()))


def _line_of(tree: Any, line: int) -> str:
    lines = tree.get_code().split("\n")
    return lines[line - 1].strip() if 0 < line <= len(lines) else ""


#: What Python 2 has no word for: node type → what it is called.
_LATER = {
    "fstring": "an f-string", "nonlocal_stmt": "`nonlocal`", "async_stmt": "`async`", "async_funcdef": "`async`",
    "annassign": "an annotation", "tfpdef": "an annotation", "namedexpr_test": "`:=`", "yield_arg": "`yield from`",
}  # fmt: skip


def _refuse_later_syntax(tree: Any) -> None:
    """Find what no Python 2 compiles; what parso could not read may be Python 2's own, and is passed over.

    Raises:
        NotPython: There is some.
    """
    unread = {line for node in _unread(tree) for line in range(node.start_pos[0], node.end_pos[0] + 1)}
    pending = [tree]
    while pending:
        node = pending.pop()
        if node.start_pos[0] in unread:
            pending += reversed(getattr(node, "children", ()))
            continue
        what = _LATER.get(node.type, "")
        if node.type == "funcdef" and node.annotation is not None:
            what = "an annotation"
        elif node.type == "raise_stmt" and any(getattr(child, "value", "") == "from" for child in node.children):
            what = "`raise … from`"
        elif node.type == "parameters" and any(_is_bare_star(child) for child in node.children):
            what = "a keyword-only parameter"
        if what:
            line, column = node.start_pos
            raise NotPython(f"Python 2 does not know {what}", line, column + 1, _line_of(tree, line))
        pending += reversed(getattr(node, "children", ()))


def _is_bare_star(node: Any) -> bool:
    return bool(node.type == "operator" and node.value == "*")
