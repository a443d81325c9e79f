"""Reading single nodes of a syntax tree: a class, an import, a call, the names in an expression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from airlock.domain.service_code.definitions import Call, Class, Function, Import

LOOPS = frozenset({"if_stmt", "for_stmt", "while_stmt", "try_stmt"})
BLOCKS = LOOPS | {"with_stmt", "async_stmt", "async_funcdef", "suite", "simple_stmt", "error_node"}
DEFINITIONS = frozenset({"funcdef", "lambdef", "lambdef_nocond"})


def imports_by_function(leaves: list[Any]) -> Iterator[Import]:
    """The modules of `importlib.import_module("a.b")` and the like."""
    for called, bracket, text in zip(leaves, leaves[1:], leaves[2:], strict=False):
        if text.type == "string" and bracket.value == "(" and called.value in ("import_module", "__import__"):
            module = text.value.strip("'\"")
            name = module.lstrip(".")
            line, column = text.start_pos
            level = len(module) - len(name)
            yield Import(
                module=name, level=level, names=None, alias="", line=line, column=column + 1, certain=False
            )  # fmt: skip


def first_statement(suite: Any) -> Any:
    """The first statement of a block."""
    found = next((child for child in suite.children if child.type != "newline"), suite)
    return found.children[0] if found.type == "simple_stmt" else found


def first_names(node: Any) -> Iterator[Any]:
    """The names in an expression, but for what stands behind a dot or names an argument; `lambda` for one of these."""
    pending = [node]
    while pending:
        item = pending.pop()
        if item.type in DEFINITIONS:
            yield item.children[0]
        elif item.type == "name" and not _follows_a_dot(item) and not _names_an_argument(item):
            yield item
        else:
            pending += getattr(item, "children", ())


def _follows_a_dot(leaf: Any) -> bool:
    parent = leaf.parent
    if parent.type == "dotted_name":
        return parent.children[0] is not leaf
    return bool(parent.type == "trailer" and parent.children[0].value == ".")


def _names_an_argument(leaf: Any) -> bool:
    parent = leaf.parent
    return bool(
        parent.type == "argument" and parent.children[0] is leaf and getattr(parent.children[1], "value", "") == "="
    )


def defined_names(node: Any) -> list[Any]:
    """The names that a statement or expression gives a value, but for those that are its own affair."""
    found: list[Any] = []
    pending = [node]
    while pending:
        item = pending.pop()
        if item.type in DEFINITIONS:
            continue
        if item.type in ("expr_stmt", "namedexpr_test", "del_stmt"):
            found += item.get_defined_names()
        elif item.type == "with_item":
            found += first_names(item.children[2])
        pending += getattr(item, "children", ())
    return found


def is_main_guard(node: Any) -> bool:
    """Whether an `if` asks for a start as a program."""
    text = node.children[1].get_code().replace(" ", "").replace("'", '"')
    return text in ('__name__=="__main__"', '"__main__"==__name__', '(__name__=="__main__")')


def class_of(node: Any, *, certain: bool, fallback: bool) -> Class:
    """A class statement as a value."""
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
        bases=tuple(_bases(node)),
        methods=methods,
        assigned=frozenset(assigned),
        certain=certain,
        fallback=fallback,
        whole=whole,
    )


def _body_statements(body: Any) -> Iterator[Any]:
    for statement in getattr(body, "children", ()):
        if statement.type in ("simple_stmt", *BLOCKS) and statement.type != "async_stmt":
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


def _arguments(node: Any) -> Iterator[Any]:
    """What stands in the brackets behind a class's name, and behind the names of its types where there are any."""
    opening = next((at for at, item in enumerate(node.children) if getattr(item, "value", "") == "("), None)
    found = node.children[opening + 1] if opening is not None else None
    if found is None or found.type == "operator":
        return
    for item in found.children if found.type == "arglist" else [found]:
        if item.type != "operator":
            yield item


def _is_keyword(argument: Any) -> bool:
    return argument.type == "argument" and _names_an_argument(argument.children[0])


def keyword_arguments(node: Any) -> Iterator[Any]:
    """The values of a class statement's keywords, as `metaclass`."""
    return (item.children[2] for item in _arguments(node) if _is_keyword(item))


def _bases(node: Any) -> Iterator[str]:
    for item in _arguments(node):
        if not _is_keyword(item):
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


def imports_of(node: Any, *, certain: bool, fallback: bool = False, tried: bool = False) -> Iterator[Import]:
    """What an import statement imports, one value for each module."""
    line, column = node.start_pos
    shared = Import(
        module="", level=0, names=None, alias="", line=line, column=column + 1,
        certain=certain, fallback=fallback, tried=tried,
    )  # fmt: skip
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


def call_of(node: Any) -> Call | None:
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
