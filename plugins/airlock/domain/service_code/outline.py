"""The outline of a Python module: its classes, its imports, and what it calls while it is imported.

Taken from a syntax tree that also holds what its grammar cannot read (Python 2 code, for one): what stands in such a
place is marked as uncertain, and nothing certain is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

_LOOPS = frozenset({"if_stmt", "for_stmt", "while_stmt", "try_stmt"})
_BLOCKS = _LOOPS | {"with_stmt", "async_stmt", "async_funcdef", "suite", "simple_stmt", "error_node"}
_DEFINITIONS = frozenset({"funcdef", "lambdef", "lambdef_nocond"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of a class.

    Attributes:
        name: Its name.
        line: 1-based.
        column: 1-based.
        required: Positional parameters without a default, `self` included.
        maximum: Most positional arguments; None where it takes any number.
        keywords: Keyword-only parameters without a default.
        decorators: Names of its decorators; the empty text for one that is more than a name.
    """

    name: str
    line: int
    column: int
    required: int
    maximum: int | None
    keywords: tuple[str, ...]
    decorators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class at the top level of a module.

    Attributes:
        name: Its name.
        line: 1-based.
        column: 1-based.
        bases: Dotted names of its bases; the empty text for one that is more than a name.
        methods: Its functions by name; the last one of a name counts.
        assigned: Names that its body gives a value.
        certain: Whether it is defined unconditionally, as it stands.
        whole: Whether all of its body could be read.
    """

    name: str
    line: int
    column: int
    bases: tuple[str, ...]
    methods: dict[str, Function]
    assigned: frozenset[str]
    certain: bool
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One module that is imported at the top level.

    Attributes:
        module: Dotted name, without leading dots; may be empty where it is relative.
        level: Number of leading dots.
        names: (name, name it gets here) of `from … import`; None for `import …`.
        alias: Name that the module gets here; empty for the first part of its own.
        line: 1-based.
        column: 1-based.
        certain: Whether it happens whenever the module is imported, and its failure is not caught.
    """

    module: str
    level: int
    names: tuple[tuple[str, str], ...] | None
    alias: str
    line: int
    column: int
    certain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that happens while the module is imported.

    Attributes:
        name: Dotted name of what is called.
        text: The call as it stands.
        line: 1-based.
        column: 1-based.
    """

    name: str
    text: str
    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class Outline:
    """What a module defines, imports and calls at its top level.

    Attributes:
        classes: In the order of the text.
        imports: In the order of the text.
        calls: In the order of the text.
        names: Other names that the module defines.
        mentioned: Every name after a dot or alone, anywhere in the module, as often as it stands there.
    """

    classes: list[Class] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    mentioned: dict[str, int] = field(default_factory=dict)


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
    return outline


class _Walk:
    def __init__(self, outline: Outline) -> None:
        self.outline = outline

    def block(self, nodes: Iterable[Any], *, certain: bool) -> None:
        for node in nodes:
            self.statement(node, certain=certain)

    def statement(self, node: Any, *, certain: bool) -> None:
        kind = node.type
        if kind == "if_stmt" and _is_main_guard(node):
            return
        if kind == "classdef":
            self.outline.classes.append(_class(node, certain=certain))
            self._class_body(node)
        elif kind == "decorated":
            inner = node.children[-1]
            # A decorator may give something else than the class.
            self.statement(inner, certain=certain and inner.type != "classdef")
        elif kind == "funcdef":
            self.outline.names.add(node.name.value)
        elif kind in ("import_name", "import_from"):
            self.outline.imports += _imports(node, certain=certain)
        elif kind in _BLOCKS:
            sure = certain and kind not in _LOOPS and kind != "error_node"
            self.block(node.children, certain=sure)
        elif hasattr(node, "children"):
            self._expression(node)
            if kind == "expr_stmt":
                self.outline.names.update(name.value for name in node.get_defined_names())

    def _class_body(self, node: Any) -> None:
        # Beside methods, a class's body runs at import too.
        for statement in node.children[-1].children if hasattr(node.children[-1], "children") else ():
            if statement.type not in ("funcdef", "decorated", "classdef") and hasattr(statement, "children"):
                self._expression(statement)

    def _expression(self, node: Any) -> None:
        pending = [node]
        while pending:
            item = pending.pop()
            if item.type in _DEFINITIONS:
                continue
            if item.type in ("power", "atom_expr"):
                call = _call(item)
                if call is not None:
                    self.outline.calls.append(call)
            pending += reversed(getattr(item, "children", ()))


def _is_main_guard(node: Any) -> bool:
    text = node.children[1].get_code().replace(" ", "").replace("'", '"')
    return text in ('__name__=="__main__"', '"__main__"==__name__', '(__name__=="__main__")')


def _class(node: Any, *, certain: bool) -> Class:
    methods: dict[str, Function] = {}
    assigned: set[str] = set()
    whole = True
    body = node.children[-1]
    for statement in _body_statements(body):
        decorators: tuple[str, ...] = ()
        if statement.type == "decorated":
            decorators = tuple(_decorators(statement))
            statement = statement.children[-1]
        if statement.type in ("async_stmt", "async_funcdef"):
            statement = statement.children[-1]
        if statement.type == "funcdef":
            methods[statement.name.value] = _function(statement, decorators)
        elif statement.type == "expr_stmt":
            assigned.update(name.value for name in statement.get_defined_names())
        elif statement.type in ("error_node", "error_leaf"):
            whole = False
    line, column = node.name.start_pos
    return Class(
        name=node.name.value,
        line=line,
        column=column + 1,
        bases=tuple(_bases(node.get_super_arglist())),
        methods=methods,
        assigned=frozenset(assigned),
        certain=certain,
        whole=whole,
    )


def _body_statements(body: Any) -> Iterator[Any]:
    for statement in getattr(body, "children", ()):
        if statement.type in ("simple_stmt", *_BLOCKS) and statement.type != "async_stmt":
            if statement.type == "error_node":
                yield statement
            yield from _body_statements(statement)
        else:
            yield statement


def _decorators(node: Any) -> Iterator[str]:
    first = node.children[0]
    for decorator in first.children if first.type == "decorators" else [first]:
        yield _dotted(decorator.children[1]) if len(decorator.children) == 3 else ""


def _function(node: Any, decorators: tuple[str, ...]) -> Function:
    required = count = 0
    unlimited = False
    keywords: list[str] = []
    after_star = False
    for child in node.children[2].children:
        if child.type == "operator" and child.value == "*":
            after_star = True
        if child.type == "operator" or child.type != "param":
            # A parameter that is a tuple, as Python 2 has it, is one argument all the same.
            if child.type == "error_node":
                unlimited = True
            continue
        if child.star_count == 1:
            unlimited = after_star = True
        elif child.star_count == 0 and after_star:
            if child.default is None:
                keywords.append(child.name.value)
        elif child.star_count == 0:
            count += 1
            required += child.default is None
    line, column = node.name.start_pos
    return Function(
        name=node.name.value,
        line=line,
        column=column + 1,
        required=required,
        maximum=None if unlimited else count,
        keywords=tuple(keywords),
        decorators=decorators,
    )


def _bases(arguments: Any) -> Iterator[str]:
    if arguments is None:
        return
    for item in arguments.children if arguments.type == "arglist" else [arguments]:
        if item.type == "operator" or (
            item.type == "argument"
            and item.children[0].type == "name"
            and item.children[1].type == "operator"
            and item.children[1].value == "="
        ):
            continue
        yield _dotted(item)


def _dotted(node: Any) -> str:
    """`a.b.c` where the node is nothing else, else the empty text."""
    if node.type == "name":
        return str(node.value)
    if node.type == "dotted_name":
        return "".join(child.value for child in node.children)
    if node.type in ("power", "atom_expr") and node.children[0].type == "name":
        trailers = node.children[1:]
        if all(item.type == "trailer" and item.children[0].value == "." for item in trailers):
            return "".join([node.children[0].value, *("." + item.children[1].value for item in trailers)])
    return ""


def _imports(node: Any, *, certain: bool) -> Iterator[Import]:
    line, column = node.start_pos
    shared = Import(module="", level=0, names=None, alias="", line=line, column=column + 1, certain=certain)
    paths = node.get_paths()
    defined = [] if node.is_star_import() else node.get_defined_names()
    if node.type == "import_name":
        for path, here in zip(paths, defined, strict=True):
            module = ".".join(name.value for name in path)
            yield replace(shared, module=module, alias="" if here is path[0] else here.value)
        return
    module = ".".join(name.value for name in node.get_from_names())
    names = tuple((path[-1].value, here.value) for path, here in zip(paths, defined, strict=False))
    yield replace(shared, module=module, level=node.level, names=names or (("*", "*"),))


def _call(node: Any) -> Call | None:
    """The first call in a chain of trailers: of `a.b(1).c()` it is `a.b(1)`."""
    first = node.children[0]
    if first.type != "name":
        return None
    name = first.value
    for trailer in node.children[1:]:
        if trailer.type != "trailer":
            return None
        if trailer.children[0].value == "(":
            line, column = first.start_pos
            return Call(name=name, text=node.get_code(include_prefix=False), line=line, column=column + 1)
        if trailer.children[0].value != ".":
            return None
        name += "." + trailer.children[1].value
    return None
