"""The one service class: which it is, what it is derived from, and whether the server can call it.

Source: Specifications for compiling model inference code.
"""

from __future__ import annotations

import difflib
import enum
from collections.abc import Iterator
from dataclasses import dataclass

from airlock.domain.engines import SERVICE_FILE
from airlock.domain.findings import Finding, Place, Severity, finding
from airlock.domain.service_code.module_names import SERVING_MODULES
from airlock.domain.service_code.outline import Class, Function, Outline
from airlock.domain.service_code.sources import Sources

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
#: Deeper chains of classes, or more of them, are not followed.
_MAX_CHAIN = 20
_MAX_CLASSES = 200


class Descent(enum.Enum):
    """Whether a class is a service."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ancestry:
    """What a class is derived from.

    Attributes:
        descent: Whether from a base class of inference code.
        base: That class's name; empty where there is none.
        chain: The package's own classes, the class itself first, as Python looks a method up.
        closed: Whether nothing but the chain and the base can have a method.
    """

    descent: Descent
    base: str
    chain: tuple[Class, ...]
    closed: bool


def check_service_class(outline: Outline, sources: Sources, engine: str, engine_base: str) -> Iterator[Finding]:
    """Judge the classes of customize_service.py.

    Args:
        outline: Of customize_service.py.
        sources: The package's modules.
        engine: The engine's name.
        engine_base: `module:Class` of its base class.

    Yields:
        SVC004 to SVC007 and SVC010.
    """
    if len(outline.classes) > _MAX_CLASSES:
        return
    family = _Family(sources)
    found = {item.name: (item, family.ancestry(item, outline, SERVICE_FILE)) for item in outline.classes}
    services = {name: pair for name, pair in found.items() if pair[1].descent is Descent.YES}
    parents = {base for item, _ in found.values() for base in item.bases}
    leaves = [pair for name, pair in services.items() if name not in parents]
    certain = [item for item, _ in leaves if item.certain]
    if len(certain) > 1:
        names = ", ".join(item.name for item in certain)
        message = f"{len(certain)} service classes are defined, one is needed: {names}."
        yield finding("SVC004", message, place=_place(certain[1]), fix="Keep one, or derive it from the others.")
        return
    if not leaves:
        if not _may_define_more(outline) and all(pair[1].descent is Descent.NO for pair in found.values()):
            yield _no_service(outline, engine_base)
        return
    for item, ancestry in leaves:
        yield from _check_calls(item, ancestry, outline, engine)
        expected = engine_base.rpartition(":")[2]
        if ancestry.base != expected:
            message = f"{item.name} is derived from {ancestry.base}; the base class of {engine} is {expected}."
            yield finding("SVC005", message, place=_place(item))


def _may_define_more(outline: Outline) -> bool:
    return any(name == "*" for item in outline.imports for name, _ in item.names or ())


def _no_service(outline: Outline, engine_base: str) -> Finding:
    module, _, name = engine_base.partition(":")
    names = ", ".join(item.name for item in outline.classes)
    message = "No class is derived from a base class of inference code" + (f"; there are {names}." if names else ".")
    first = outline.classes[0] if outline.classes else None
    place = _place(first) if first else Place(file=f"model/{SERVICE_FILE}", line=1, column=1)
    return finding("SVC004", message, place=place, fix=f"Derive one from `{name}` (`from {module} import {name}`).")


def _place(item: Class | Function) -> Place:
    return Place(file=f"model/{SERVICE_FILE}", line=item.line, column=item.column)


# ── descent ──────────────────────────────────────────────────────────────────────────────────────────────────────────


_LOST = Ancestry(descent=Descent.UNKNOWN, base="", chain=(), closed=False)


class _Family:
    """What classes of a package are derived from, each looked up once."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._known: dict[tuple[str, str, int], Ancestry] = {}

    def ancestry(self, item: Class, outline: Outline, path: str, depth: int = 0) -> Ancestry:
        key = (path, item.name, item.line)
        if key not in self._known:
            # A class that is met on the way to itself has no other ancestors there.
            self._known[key] = _LOST
            self._known[key] = self._look_up(item, outline, path, depth)
        return self._known[key]

    def _look_up(self, item: Class, outline: Outline, path: str, depth: int) -> Ancestry:
        descent, base, closed = Descent.NO, "", True
        chain = [item]
        for written in item.bases:
            parent = self._resolve(written, outline, path, depth) if depth < _MAX_CHAIN else Descent.UNKNOWN
            if isinstance(parent, str):
                descent, base = Descent.YES, base or parent
            elif isinstance(parent, Ancestry):
                chain += [part for part in parent.chain if part not in chain]
                closed = closed and parent.closed
                base = base or parent.base
                if parent.descent is Descent.YES or descent is Descent.NO:
                    descent = parent.descent
            else:
                closed = closed and written == "object"
                if parent is Descent.UNKNOWN and descent is Descent.NO:
                    descent = parent
        return Ancestry(descent=descent, base=base, chain=tuple(chain), closed=closed)

    def _resolve(self, written: str, outline: Outline, path: str, depth: int) -> str | Ancestry | Descent:
        """The name of a base class of the serving code, what a class of the package is, or that it is neither."""
        if not written:
            return Descent.UNKNOWN
        first, _, rest = written.partition(".")
        if not rest:
            local = [item for item in outline.classes if item.name == first]
            if local:
                return self.ancestry(local[-1], outline, path, depth + 1)
        for item in reversed(outline.imports):
            if item.names is None:
                here = item.alias or item.module.partition(".")[0]
                if here != first or not rest:
                    continue
                # `import a.b` gives `a`; `import a.b as c` gives `c`.
                full = f"{item.module}.{rest}" if item.alias else written
                return self._named(*full.rpartition(".")[::2], item.level, path, depth)
            for name, here in item.names:
                if here == first and rest:
                    return self._named(f"{item.module}.{name}".strip("."), rest, item.level, path, depth)
                if here == first:
                    return self._named(item.module, name, item.level, path, depth)
        if first in outline.names or _may_define_more(outline):
            return Descent.UNKNOWN
        return Descent.NO

    def _named(self, module: str, name: str, level: int, path: str, depth: int) -> str | Ancestry | Descent:
        found = self._sources.relative(module, level, path) if level else self._sources.locate(module, path)
        if found:
            outline = self._sources.outline(found)
            if outline is None or depth >= _MAX_CHAIN:
                return Descent.UNKNOWN
            return self._resolve(name, outline, found, depth + 1)
        if found == "":
            return Descent.UNKNOWN
        if not level and module in SERVING_MODULES:
            return name if name in SERVING_MODULES[module] else Descent.UNKNOWN
        return Descent.NO


# ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _check_calls(item: Class, ancestry: Ancestry, outline: Outline, engine: str) -> Iterator[Finding]:
    given = _CONSTRUCTOR.get(ancestry.base, _NAME_AND_PATH)
    own = _methods(ancestry)
    constructor = own.get("__init__")
    if constructor is not None:
        yield from _fits(constructor, len(given), f"({', '.join(('self', *given))})", item, ancestry)
    for name, count in _CALLED.items():
        method = own.get(name)
        if method is not None:
            yield from _fits(method, count, "(self, data)" if count else "(self)", item, ancestry)
    known = {*own, *(name for part in ancestry.chain for name in part.assigned)}
    whole = ancestry.closed and all(part.whole for part in ancestry.chain)
    if ancestry.base in _WITHOUT_INFERENCE and whole and not known & {"_inference", "inference"}:
        message = f"{item.name} defines no `_inference`, and {ancestry.base} has none."
        yield finding("SVC010", message, place=_place(item))
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


def _fits(method: Function, given: int, form: str, item: Class, ancestry: Ancestry) -> Iterator[Finding]:
    if any(decorator not in ("staticmethod", "classmethod") for decorator in method.decorators):
        return
    count = given + (0 if "staticmethod" in method.decorators else 1)
    if method.required <= count and (method.maximum is None or count <= method.maximum) and not method.keywords:
        return
    # A constructor of another file of the package is named by the class that has it.
    owner = next(part for part in ancestry.chain if method in part.methods.values())
    place = _place(method) if owner is item else _place(item)
    message = f"`{owner.name}.{method.name}` cannot be called as {method.name}{form}."
    yield finding("SVC006", message, place=place, severity=Severity.ERROR, fix=f"Define it as `{method.name}{form}`.")
