"""What the text of a module lays hands on: where imports are looked for, and which names the module itself has.

Nobody can tell without running it what `sys.path` is once code has changed it. That code speaks of it at all is enough
to claim nothing; a mention that changes nothing makes a warning of an error, which the test of the service makes good.

Source: Python's library reference: sys, site, importlib.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from typing import Any


class Touch(enum.Enum):
    """What is no longer as it would be without the code."""

    PATH = "the folders in which imports are looked for"
    MODULES = "the modules themselves"
    NAMES = "the names that the module has"


_OF_SYS = {
    "path": {Touch.PATH}, "path_hooks": {Touch.PATH}, "meta_path": {Touch.PATH, Touch.MODULES},
    "modules": {Touch.MODULES}, "__dict__": {Touch.PATH, Touch.MODULES},
}  # fmt: skip
_SYS_ITSELF = {Touch.PATH, Touch.MODULES}
_ANYWHERE = {
    "addsitedir": {Touch.PATH}, "addpackage": {Touch.PATH}, "addsitepackages": {Touch.PATH},
    "__path__": {Touch.MODULES}, "load_source": {Touch.MODULES}, "load_dynamic": {Touch.MODULES},
    "load_module": {Touch.MODULES}, "load_package": {Touch.MODULES}, "globals": {Touch.NAMES},
    "run_path": {Touch.PATH, Touch.MODULES}, "run_module": {Touch.PATH, Touch.MODULES},
}  # fmt: skip
#: Text that is run and not read here.
_RUNNERS = frozenset({"exec", "execfile"})
_ASKS = frozenset({"getattr", "hasattr"})


def touches_of(leaves: list[Any]) -> dict[Touch, tuple[int, int]]:
    """What a module touches, each with the line and the column, 1-based, where it does so first.

    Args:
        leaves: Its parso leaves in the order of the text, without those of code that never runs.
    """
    known_as = {"sys", *(leaf.parent.children[2].value for leaf in leaves if _is_renamed_sys(leaf))}
    found: dict[Touch, tuple[int, int]] = {}
    for at, leaf in enumerate(leaves):
        for touch in _touched(leaves, at, known_as):
            found.setdefault(touch, (leaf.start_pos[0], leaf.start_pos[1] + 1))
    return found


def _is_renamed_sys(leaf: Any) -> bool:
    parent = leaf.parent
    return (
        leaf.value == "sys"
        and parent.type in ("dotted_as_name", "import_as_name")
        and parent.children[0] is leaf
        and parent.children[2].type == "name"
    )


def _touched(leaves: list[Any], at: int, known_as: set[str]) -> Iterable[Touch]:
    leaf = leaves[at]
    value = leaf.value
    if leaf.type == "string":
        # `__import__("sys").path`
        return _SYS_ITSELF if value in ("'sys'", '"sys"') else ()
    if leaf.type not in ("name", "keyword", "error_leaf"):
        return ()
    if value == "class" and leaf.parent.type != "classdef":
        # Part of what could not be read.
        return (Touch.NAMES,)
    if value == "global" and leaf.type == "keyword":
        return (Touch.NAMES,)
    if value in _RUNNERS and not (at and leaves[at - 1].value == "."):
        return tuple(Touch)
    if value in _ANYWHERE:
        return _ANYWHERE[value]
    return _touched_of_sys(leaves, at) if value in known_as else ()


def _touched_of_sys(leaves: list[Any], at: int) -> Iterable[Touch]:
    leaf = leaves[at]
    statement = leaf.parent
    if statement.type == "import_from" and leaf in statement.get_from_names():
        if statement.is_star_import():
            return _SYS_ITSELF
        return {touch for path in statement.get_paths() for touch in _OF_SYS.get(path[-1].value, ())}
    if statement.type.startswith(("import_", "dotted_as_")):
        return ()
    before = [item.value for item in leaves[max(at - 2, 0) : at]]
    following = [*(item.value for item in leaves[at + 1 : at + 6]), "", ""]
    if following[:1] == ["."]:
        touched = _OF_SYS.get(following[1], set())
        itself = touched == {Touch.MODULES} and following[2:5] == ["[", "__name__", "]"]
        return (Touch.NAMES,) if itself else touched
    if before[1:] == ["("] and before[0] == "reload":
        # As Python 2 code does it for the sake of `sys.setdefaultencoding`.
        return ()
    asks = before[1:] == ["("] and before[0] in _ASKS and following[:1] == [","]
    if asks and following[1][:1] in ("'", '"'):
        return _OF_SYS.get(following[1].strip("'\""), ())
    return _SYS_ITSELF
