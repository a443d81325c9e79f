"""The one service class: which it is, what it is derived from, and whether the server can call it.

Source: Specifications for compiling model inference code.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from airlock.domain.engines import SERVICE_FILE
from airlock.domain.findings import Finding, Place, Severity, finding
from airlock.domain.service_code.definitions import Class, Function, Import, Outline
from airlock.domain.service_code.descent import Ancestry, Descent, Family, has_star, names_here
from airlock.domain.service_code.lookup import Lookup
from airlock.domain.service_code.module_names import SERVING_MODULES
from airlock.domain.service_code.touches import Touch

#: Base class → the constructor's arguments after `self`; every other takes a name and a path.
_CONSTRUCTOR = {
    "CatBoostServingBaseService": ("model_path",),
    "LightGbmServingBaseService": ("model_path",),
    "MXNetBaseService": ("model_name", "model_dir", "manifest", "gpu"),
    "SparkServingBaseService": ("model_path",),
    "XgSklServingBaseService": ("model_path",),
}
_NAME_AND_PATH = ("model_name", "model_path")
#: Base classes whose `_inference` does nothing.
_WITHOUT_INFERENCE = frozenset({"SingleNodeService"})
#: Method → the arguments that the server calls it with, after `self`.
_CALLED = {"inference": 1, "_preprocess": 1, "_inference": 1, "_postprocess": 1, "health": 0}
#: More classes are not judged.
_MAX_CLASSES = 200
#: Values in a class's body by which it may become another class, or count as one of another module.
_TURNS = frozenset({"__metaclass__", "__module__"})
#: Built-in functions that may give a class, or set a name.
_MAKERS = frozenset({"__import__", "eval", "lambda", "locals", "setattr", "type", "vars"})
_SETTERS = frozenset({"locals", "setattr", "vars"})


def check_service_class(outline: Outline, lookup: Lookup, engine: str, engine_base: str) -> Iterator[Finding]:
    """Judge the classes of customize_service.py.

    The server takes the one class of the module that is a service and has no subclass there. What only running the code
    would tell (a class that a function makes, a name that is given anew) keeps a fault from being an error.

    Args:
        outline: Of customize_service.py.
        lookup: Finds modules.
        engine: The engine's name.
        engine_base: `module:Class` of its base class.

    Yields:
        SVC004 to SVC007 and SVC010.
    """
    if len(outline.classes) > _MAX_CLASSES:
        return
    family = Family(lookup)
    found = {item.name: (item, family.ancestry(item, outline, SERVICE_FILE)) for item in outline.classes}
    services = {name: pair for name, pair in found.items() if pair[1].descent is Descent.YES}
    parents = {base for item, _ in found.values() for base in item.bases if base != item.name}
    leaves = [pair for name, pair in services.items() if name not in parents]
    more = _may_make_classes(outline, lookup)
    unknown = any(pair[1].descent is Descent.UNKNOWN for pair in found.values())
    if not leaves:
        if not unknown and not services and not has_star(outline):
            yield _no_service(outline, engine_base, certain=not more)
        return
    certain = [item for item, _ in leaves if item.certain and not _is_given_anew(item, outline)]
    alone = [item for item in certain if _stays_as_it_is(item, outline, loose=more or unknown)]
    if len(certain) > 1:
        names = ", ".join(item.name for item in certain)
        message = f"{len(certain)} service classes are defined, one is needed: {names}."
        severity = Severity.ERROR if len(alone) > 1 else Severity.WARNING
        fix = "Keep one, or derive it from the others."
        yield finding("SVC004", message, place=_place(certain[1]), fix=fix, severity=severity)
        return
    for item, ancestry in leaves:
        severity = Severity.ERROR if item in alone else Severity.WARNING
        yield from _check_calls(item, ancestry, outline, severity)
        expected = engine_base.rpartition(":")[2]
        if ancestry.base != expected:
            message = f"{item.name} is derived from {ancestry.base}; the base class of {engine} is {expected}."
            yield finding("SVC005", message, place=_place(item))


def _is_given_anew(item: Class, outline: Outline) -> bool:
    """Whether the name of a class may stand for something else at the end."""
    imported = (here for other in outline.imports for here in names_here(other))
    return item.name in outline.names or item.name in imported


def _stays_as_it_is(item: Class, outline: Outline, *, loose: bool) -> bool:
    """Whether a service class is surely there as it is written, and without a subclass.

    Args:
        item: The class.
        outline: Of its module.
        loose: Whether there may be classes of which nothing is known.
    """
    if item.assigned & _TURNS or item.name in outline.used or Touch.NAMES in outline.touches:
        return False
    return not loose or outline.mentioned.get(item.name, 0) == 1


def _may_make_classes(outline: Outline, lookup: Lookup) -> bool:
    """Whether the module may get a class that no class statement at its top level defines.

    A function from outside the package makes none of the module's classes unless it gets something of the package's.
    """
    if Touch.NAMES in outline.touches or any(call.name in _SETTERS for call in outline.calls):
        return True
    if any(item.assigned & _TURNS for item in outline.classes):
        return True
    makers = {*_MAKERS, *outline.functions, *(item.name for item in outline.classes)}
    for item in outline.imports:
        makers.update(_of_package(item, lookup))
    for made in outline.made:
        if made.sources & makers:
            if not made.alias:
                return True
            makers |= made.targets
    return False


def _of_package(item: Import, lookup: Lookup) -> Iterator[str]:
    """The imported names that may be functions or classes of the package's, or base classes of the serving code."""
    if item.level or lookup.find(item.module, 0, SERVICE_FILE) is not None:
        yield from names_here(item)
    elif item.names is None:
        if SERVING_MODULES.get(item.module):
            yield from names_here(item)
    else:
        classes = SERVING_MODULES.get(item.module, ())
        for name, here in item.names:
            if name in classes or SERVING_MODULES.get(f"{item.module}.{name}"):
                yield here


def _no_service(outline: Outline, engine_base: str, *, certain: bool) -> Finding:
    module, _, name = engine_base.partition(":")
    names = ", ".join(item.name for item in outline.classes)
    message = "No class is derived from a base class of inference code" + (f"; there are {names}." if names else ".")
    if not certain:
        message = f"{message[:-1]}; only running the code tells whether it makes one."
    first = outline.classes[0] if outline.classes else None
    place = _place(first) if first else Place(file=f"model/{SERVICE_FILE}", line=1, column=1)
    fix = f"Derive one from `{name}` (`from {module} import {name}`)."
    severity = Severity.ERROR if certain else Severity.WARNING
    return finding("SVC004", message, place=place, fix=fix, severity=severity)


def _place(item: Class | Function) -> Place:
    return Place(file=f"model/{SERVICE_FILE}", line=item.line, column=item.column)


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_calls(item: Class, ancestry: Ancestry, outline: Outline, severity: Severity) -> Iterator[Finding]:
    given = _CONSTRUCTOR.get(ancestry.base, _NAME_AND_PATH)
    own = _methods(ancestry)
    constructor = own.get("__init__")
    if constructor is not None:
        yield from _fits(constructor, len(given), f"({', '.join(('self', *given))})", item, ancestry, severity)
    for name, count in _CALLED.items():
        method = own.get(name)
        if method is not None:
            yield from _fits(method, count, "(self, data)" if count else "(self)", item, ancestry, severity)
    known = {*own, *(name for part in ancestry.chain for name in part.assigned)}
    whole = ancestry.closed and all(part.whole for part in ancestry.chain)
    if ancestry.base in _WITHOUT_INFERENCE and whole and not known & {"_inference", "inference"}:
        message = f"{item.name} defines no `_inference`, and {ancestry.base} has none."
        yield finding("SVC010", message, place=_place(item), severity=severity)
    for name, method in item.methods.items():
        meant = _misspelt(name)
        if meant and meant not in known and outline.mentioned.get(name, 0) == 1:
            message = f"Nothing calls `{name}`; the server calls `{meant}`."
            yield finding("SVC007", message, place=_place(method), fix=f"Name it `{meant}`, or remove it.")


def _methods(ancestry: Ancestry) -> dict[str, Function]:
    found: dict[str, Function] = {}
    for part in ancestry.chain:
        for name, method in part.methods.items():
            found.setdefault(name, method)
    return found


def _misspelt(name: str) -> str:
    if name in _CALLED or name.startswith("__"):
        return ""
    near = difflib.get_close_matches(name.lower(), _CALLED, n=1, cutoff=0.85)
    return near[0] if near else ""


def _fits(
    method: Function, given: int, form: str, item: Class, ancestry: Ancestry, severity: Severity
) -> Iterator[Finding]:
    if any(decorator not in ("staticmethod", "classmethod") for decorator in method.decorators):
        return
    count = given + (0 if "staticmethod" in method.decorators else 1)
    if method.required <= count and (method.maximum is None or count <= method.maximum) and not method.keywords:
        return
    # A constructor of another file of the package is named by the class that has it.
    owner = next(part for part in ancestry.chain if method in part.methods.values())
    place = _place(method) if owner is item else _place(item)
    message = f"`{owner.name}.{method.name}` cannot be called as {method.name}{form}."
    yield finding("SVC006", message, place=place, severity=severity, fix=f"Define it as `{method.name}{form}`.")
