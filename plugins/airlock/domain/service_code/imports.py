"""Whether what inference code imports is there: in the package, in its Python, or in its runtime.

Source: Specifications for compiling model inference code; the catalogue's pins, which are complete.
"""

from __future__ import annotations

import difflib
import keyword
from collections.abc import Iterator
from dataclasses import dataclass, replace

from airlock.domain.findings import Finding, Place, Severity, finding
from airlock.domain.service_code.definitions import Import
from airlock.domain.service_code.lookup import SERVER, Lookup
from airlock.domain.service_code.module_names import PYTHON_2_ONLY, SERVING_MODULES
from airlock.domain.service_code.touches import Touch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Missing:
    """Why an import finds nothing, what to do, and whether that is certain."""

    message: str
    fix: str
    certain: bool = True


def check_imports(path: str, imports: list[Import], lookup: Lookup) -> Iterator[Finding]:
    """Judge the imports of one file that happen whenever it is imported.

    Args:
        path: The file, under `model/`.
        imports: Its imports.
        lookup: Finds modules.

    Yields:
        SVC008.
    """
    told = set()
    for item in imports:
        if item.certain:
            missing = _missing(path, item, lookup)
            missing = missing and _in_view_of_the_whole_package(missing, path, item, lookup)
            if missing is not None and missing not in told:
                told.add(missing)
                place = Place(file=f"model/{path}", line=item.line, column=item.column)
                severity = Severity.ERROR if missing.certain else Severity.WARNING
                yield finding("SVC008", missing.message, place=place, severity=severity, fix=missing.fix)


def _missing(path: str, item: Import, lookup: Lookup) -> _Missing | None:
    """What the import misses where modules are looked for; None where it finds something."""
    sources, around = lookup.sources, lookup.around
    if item.level:
        return _missing_beside(path, item, lookup)
    top = item.module.partition(".")[0]
    if top != SERVER and sources.has(top, path):
        if top == "model" and item.module == "model":
            return None
        if sources.has(item.module, path):
            return None
        message = f"The package has `{top}`, and no `{item.module}` in it."
        return _Missing(message=message, fix="Correct the name, or add the module.")
    if top in ("log", "metric", "mms", SERVER):
        return _missing_of_serving(item)
    if lookup.is_known(top):
        return None
    if top in PYTHON_2_ONLY:
        message = f"`{top}` belongs to Python 2; {around.runtime} has Python {sources.python}."
        return _Missing(message=message, fix="Import its name in Python 3, or choose a runtime with Python 2.7.")
    message = f"Neither the package nor {around.runtime} has a module `{top}`"
    if around.open:
        message += "; one of the dependencies may bring it."
        return _Missing(message=message, fix="Name the package that brings it.", certain=False)
    return _Missing(message=f"{message}.", fix="Add the module to the package, or its distribution to `dependencies`.")


def _missing_beside(path: str, item: Import, lookup: Lookup) -> _Missing | None:
    dots = "." * item.level
    found = lookup.find(item.module, item.level, path)
    missing = item.module
    if found is not None:
        if item.module or found:
            return None
        names = [name for name, _ in item.names or () if name != "*"]
        missing = next((name for name in names if lookup.find(name, item.level, path) is None), "")
        if not missing:
            return None
    message = f"There is no module `{dots}{missing}` beside model/{path}."
    return _Missing(message=message, fix="Add it, or correct the name.")


def _missing_of_serving(item: Import) -> _Missing | None:
    names = [name for name, _ in item.names or ()]
    if item.module not in SERVING_MODULES:
        near = difflib.get_close_matches(item.module, SERVING_MODULES, n=1, cutoff=0.6)
        fix = f"Did you mean `{near[0]}`?" if near else ""
        return _Missing(message=f"The serving code has no module `{item.module}`.", fix=fix)
    classes = [name for module in SERVING_MODULES.values() for name in module]
    for name in names:
        # Other names of these modules are the serving code's own affair; a misspelt base class is not.
        if name.endswith("Service") and name not in SERVING_MODULES[item.module]:
            near = difflib.get_close_matches(name, classes, n=1, cutoff=0.6)
            home = next((module for module, found in SERVING_MODULES.items() if near and near[0] in found), "")
            fix = f"Did you mean `from {home} import {near[0]}`?" if near else ""
            return _Missing(message=f"`{item.module}` has no class `{name}`.", fix=fix)
    return None


# ── modules that lie elsewhere ───────────────────────────────────────────────────────────────────────────────────────


def _in_view_of_the_whole_package(missing: _Missing, path: str, item: Import, lookup: Lookup) -> _Missing | None:
    """The same, where code may lead imports to other folders of the package; None where one has the module."""
    if _is_found_alike(item, lookup):
        places = {} if item.level or item.module in SERVING_MODULES else lookup.sources.anywhere(item.module)
        return _named(missing, item, places, lookup) if places else missing
    if not item.level and lookup.sources.anywhere(item.module):
        return _too_early(path, item, lookup)
    message = f"{missing.message.rstrip('.')}; the code changes where modules are looked for, and may find one there."
    return replace(missing, message=message, certain=False)


def _too_early(path: str, item: Import, lookup: Lookup) -> _Missing | None:
    """What an import misses that stands above the change which would let it find the module; None where none does."""
    line = lookup.touched_later(path, item)
    # A dependency may bring a module of that name.
    if not line or lookup.around.open:
        return None
    place, file = next(iter(lookup.sources.anywhere(item.module).items()))
    message = (
        f"Line {item.line} imports `{item.module}` before line {line} changes where modules are looked for; until then "
        f"model/{file or place} is in no such folder."
    )
    return _Missing(message=message, fix=f"Move the import below line {line}, or the change above it.", certain=False)


def _is_found_alike(item: Import, lookup: Lookup) -> bool:
    """Whether the package's code does nothing that makes this import find something else."""
    if Touch.MODULES in lookup.touches:
        return False
    # `sys.path` has no say in what lies inside a package that is loaded.
    inside = item.level > 0 or item.module.partition(".")[0] == SERVER
    return inside or Touch.PATH not in lookup.touches


def _named(missing: _Missing, item: Import, places: dict[str, str], lookup: Lookup) -> _Missing:
    """The same, with the module of that name that lies deeper in the package."""
    place, file = next(iter(places.items()))
    lies = f"model/{file or place} is in no folder where modules are looked for"
    fix = "add its folder to `sys.path` before the import."
    written = _written(item, place, lookup)
    fix = f"Write `{written}`, or {fix}" if written else f"{fix[0].upper()}{fix[1:]}"
    return replace(missing, message=f"{missing.message.rstrip('.')}; {lies}.", fix=fix)


def _written(item: Import, place: str, lookup: Lookup) -> str:
    """The import that finds the module at that place; empty where none does."""
    folders = place.split("/")[:-1]
    if any(not part.isidentifier() or keyword.iskeyword(part) for part in folders):
        return ""
    if lookup.sources.python.startswith("2.") and not lookup.sources.is_package_path(folders):
        return ""
    module = place.replace("/", ".")
    if lookup.find(module, 0, "") is None or lookup.is_known(module):
        return ""
    if item.names is not None:
        return f"from {module} import {', '.join(name for name, _ in item.names[:1])}" + (
            ", …" if len(item.names) > 1 else ""
        )
    if "." in item.module:
        return f"import {module}"
    return f"from {module.rpartition('.')[0]} import {item.module}"
