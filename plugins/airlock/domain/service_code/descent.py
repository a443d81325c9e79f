"""What the classes of a package are derived from, as far as that can be told without running it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from airlock.domain.service_code.definitions import Class, Import, Other, Outline
from airlock.domain.service_code.lookup import Lookup
from airlock.domain.service_code.module_names import SERVING_MODULES
from airlock.domain.service_code.touches import Touch

#: Deeper chains of classes are not followed.
_MAX_CHAIN = 20
#: More things that one name may stand for are not looked into.
_MAX_MEANINGS = 20
#: Line and column behind all others.
_END = (1_000_000_000, 0)
#: What gives a name a value.
_Meaning = Class | Import | Other


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


_LOST = Ancestry(descent=Descent.UNKNOWN, base="", chain=(), closed=False)


class Family:
    """What classes of a package are derived from, each looked up once.

    Args:
        lookup: Finds modules.
    """

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._known: dict[tuple[str, str, int], Ancestry] = {}

    def ancestry(self, item: Class, outline: Outline, path: str, depth: int = 0) -> Ancestry:
        """What a class of a file is derived from; `depth` is how many classes lead to it."""
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
            before = (item.line, item.column)
            parent = self._resolve(written, outline, path, depth, before) if depth < _MAX_CHAIN else Descent.UNKNOWN
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

    def _resolve(
        self, written: str, outline: Outline, path: str, depth: int, before: tuple[int, int] = _END
    ) -> str | Ancestry | Descent:
        """The name of a base class of the serving code, what a class of the package is, or that it is neither.

        Of what gives the name a value before that place, the last that certainly does counts, and what may follow it.
        An import of the serving code that is merely tried succeeds; what stands there for its failure is for elsewhere.
        """
        if not written:
            return Descent.UNKNOWN
        first, _, rest = written.partition(".")
        meanings = self._meanings(first, outline, before)
        if len(meanings) > _MAX_MEANINGS:
            return Descent.UNKNOWN
        values = [(item, self._value(item, written, rest, outline, path, depth)) for item in meanings]
        if any(isinstance(item, Import) and item.tried and isinstance(value, str) for item, value in values):
            values = [(item, value) for item, value in values if not item.fallback]
        open_ended = has_star(outline) or Touch.NAMES in outline.touches or "__getattr__" in outline.names
        if not values:
            return Descent.UNKNOWN if open_ended and written != "object" else Descent.NO
        value = values[0][1]
        if any(other != value for _, other in values):
            return Descent.UNKNOWN
        no = value is Descent.NO or (isinstance(value, Ancestry) and value.descent is Descent.NO)
        return Descent.UNKNOWN if no and open_ended else value

    def _meanings(self, name: str, outline: Outline, before: tuple[int, int]) -> list[_Meaning]:
        """What a name may stand for at a place: what it certainly was given last, and what may have followed that."""
        classes = (item for item in reversed(outline.classes) if item.name == name)
        imports = (item for item in reversed(outline.imports) if name in names_here(item))
        found: list[_Meaning] = []
        for items in (classes, imports, reversed(outline.names.get(name, []))):
            for item in items:
                if (item.line, item.column) < before:
                    found.append(item)
                    if item.certain or len(found) > _MAX_MEANINGS:
                        break
        last = max(((item.line, item.column) for item in found if item.certain), default=(0, 0))
        return [item for item in found if (item.line, item.column) >= last]

    def _value(
        self, item: _Meaning, written: str, rest: str, outline: Outline, path: str, depth: int
    ) -> str | Ancestry | Descent:
        if isinstance(item, Class):
            return Descent.UNKNOWN if rest else self.ancestry(item, outline, path, depth + 1)
        if isinstance(item, Other):
            return Descent.UNKNOWN
        first = written.partition(".")[0]
        if item.names is None:
            if not rest:
                return Descent.NO
            # `import a.b` gives `a`; `import a.b as c` gives `c`.
            full = f"{item.module}.{rest}" if item.alias else written
            return self._named(*full.rpartition(".")[::2], item.level, path, depth)
        name = next(name for name, here in reversed(item.names) if here == first)
        if rest:
            return self._named(f"{item.module}.{name}".strip("."), rest, item.level, path, depth)
        return self._named(item.module, name, item.level, path, depth)

    def _named(self, module: str, name: str, level: int, path: str, depth: int) -> str | Ancestry | Descent:
        found = self._lookup.find(module, level, path)
        if found:
            outline = self._lookup.sources.outline(found)
            if outline is None or depth >= _MAX_CHAIN:
                return Descent.UNKNOWN
            return self._resolve(name, outline, found, depth + 1)
        if found == "":
            return Descent.UNKNOWN
        if not level and module in SERVING_MODULES:
            return name if name in SERVING_MODULES[module] else Descent.UNKNOWN
        return Descent.UNKNOWN if self._lookup.may_be_derived(module, level, path) else Descent.NO


def has_star(outline: Outline) -> bool:
    """Whether the module imports names that it does not write."""
    return any(name == "*" for item in outline.imports for name, _ in item.names or ())


def names_here(item: Import) -> list[str]:
    """The names that an import gives a value."""
    if item.names is None:
        return [item.alias or item.module.partition(".")[0]]
    return [here for _, here in item.names]
