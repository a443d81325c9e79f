"""The outline of a Python module: its classes, its imports, and what it calls while it is imported.

Taken from a syntax tree that also holds what its grammar cannot read (Python 2 code, for one): what stands in such a
place is marked as uncertain, and nothing certain is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airlock.domain.service_code.definitions import Import, Made, Other, Outline
from airlock.domain.service_code.nodes import (
    BLOCKS,
    DEFINITIONS,
    LOOPS,
    call_of,
    class_of,
    defined_names,
    first_names,
    first_statement,
    imports_by_function,
    imports_of,
    is_main_guard,
    keyword_arguments,
)
from airlock.domain.service_code.touches import touches_of


def outline_of(tree: Any) -> Outline:
    """The outline of a parso module.

    Args:
        tree: `parso.python.tree.Module`.

    Raises:
        RecursionError: It is nested too deeply.
    """
    outline = Outline()
    _Walk(outline).block(tree.children, certain=True)
    pending = [tree]
    while pending:
        node = pending.pop()
        if node.type == "name":
            outline.mentioned[node.value] = outline.mentioned.get(node.value, 0) + 1
        pending += getattr(node, "children", ())
    outline.later, leaves = _of_code_that_may_run(tree)
    outline.touches = touches_of(leaves)
    return outline


def _of_code_that_may_run(tree: Any) -> tuple[list[Import], list[Any]]:
    """All imports, and all leaves in the order of the text, but for those of code for a start as a program."""
    imports: list[Import] = []
    leaves: list[Any] = []
    pending = [tree]
    while pending:
        node = pending.pop()
        if node.type in ("import_name", "import_from"):
            imports += imports_of(node, certain=False)
        children = getattr(node, "children", None)
        if children is None:
            leaves.append(node)
        elif node.type == "if_stmt" and node.parent is tree and is_main_guard(node):
            pending += reversed(children[4:])
        else:
            pending += reversed(children)
    return [*imports, *imports_by_function(leaves)], leaves


class _Walk:
    def __init__(self, outline: Outline) -> None:
        self.outline = outline
        self._tried: Any = None

    def block(self, nodes: Iterable[Any], *, certain: bool, fallback: bool = False) -> None:
        for node in nodes:
            self.statement(node, certain=certain, fallback=fallback)

    def statement(self, node: Any, *, certain: bool, fallback: bool = False) -> None:
        kind = node.type
        if kind == "if_stmt" and is_main_guard(node):
            self.block(node.children[4:], certain=False, fallback=fallback)
        elif kind == "classdef":
            self.outline.classes.append(class_of(node, certain=certain, fallback=fallback))
            self._class_body(node)
            for argument in keyword_arguments(node):
                self._takes(argument, targets={node.name.value})
        elif kind == "decorated":
            inner = node.children[-1]
            named = inner.children[-1] if inner.type in ("async_stmt", "async_funcdef") else inner
            self._takes(node.children[0], targets={named.name.value} if hasattr(named, "name") else ())
            # A decorator may give something else than the class.
            self.statement(inner, certain=certain and inner.type != "classdef", fallback=fallback)
        elif kind == "funcdef":
            self.outline.functions.add(node.name.value)
            self._names([node.name], certain=certain, fallback=fallback)
        elif kind in ("import_name", "import_from"):
            tried = node is self._tried
            self.outline.imports += imports_of(node, certain=certain, fallback=fallback, tried=tried)
        elif kind == "try_stmt":
            self._try(node, certain=certain, fallback=fallback)
        elif kind in BLOCKS:
            sure = certain and kind not in LOOPS and kind != "error_node"
            if kind == "for_stmt":
                targets = node.get_defined_names()
                self._names(targets, certain=False, fallback=fallback)
                self._takes(node.children[3], targets={name.value for name in targets})
            self.block(node.children, certain=sure, fallback=fallback)
        elif hasattr(node, "children"):
            self._expression(node)
            defined = defined_names(node)
            self._names(defined, certain=certain, fallback=fallback)
            self.outline.used |= _names_besides(node, defined)
            if kind == "with_item" or (kind == "expr_stmt" and len(node.children) > 1) or defined:
                self._takes(node, targets={name.value for name in defined})

    def _try(self, node: Any, *, certain: bool, fallback: bool) -> None:
        caught = False
        for position, child in enumerate(node.children):
            word = child.value if child.type == "keyword" else child.type
            if word in ("except", "except_clause"):
                caught = True
            elif word in ("else", "finally"):
                caught = False
            elif child.type in ("suite", "simple_stmt") and position == 2 and certain:
                # What comes first in it happens whatever follows.
                self._tried = first_statement(child)
            self.statement(child, certain=False, fallback=fallback or caught)

    def _names(self, names: Iterable[Any], *, certain: bool, fallback: bool) -> None:
        for name in names:
            line, column = name.start_pos
            other = Other(line=line, column=column + 1, certain=certain, fallback=fallback)
            self.outline.names.setdefault(name.value, []).append(other)

    def _takes(self, node: Any, *, targets: Iterable[str]) -> None:
        names = _names_besides(node, defined_names(node))
        alias = node.type == "expr_stmt" and node.children[-1].type == "name"
        made = Made(targets=frozenset(targets), sources=names, alias=alias)
        self.outline.made.append(made)

    def _class_body(self, node: Any) -> None:
        # Beside methods, a class's body runs at import too.
        for statement in node.children[-1].children if hasattr(node.children[-1], "children") else ():
            if statement.type not in ("funcdef", "decorated", "classdef") and hasattr(statement, "children"):
                self._expression(statement)

    def _expression(self, node: Any) -> None:
        pending = [node]
        while pending:
            item = pending.pop()
            if item.type in DEFINITIONS:
                continue
            if item.type in ("power", "atom_expr"):
                call = call_of(item)
                if call is not None:
                    self.outline.calls.append(call)
            pending += reversed(getattr(item, "children", ()))


def _names_besides(node: Any, defined: Iterable[Any]) -> frozenset[str]:
    known = {id(name) for name in defined}
    return frozenset(name.value for name in first_names(node) if id(name) not in known)
