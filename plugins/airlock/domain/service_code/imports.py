"""Whether what inference code imports is there: in the package, in its Python, or in its runtime.

Source: Specifications for compiling model inference code; the catalogue's pins, which are complete.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Set
from dataclasses import dataclass

from airlock.domain.findings import Finding, Place, Severity, finding
from airlock.domain.service_code.module_names import PYTHON_2_ONLY, SERVING_MODULES, is_standard
from airlock.domain.service_code.outline import Import
from airlock.domain.service_code.sources import Sources


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is there beside the package.

    Attributes:
        runtime: The runtime, as users know it.
        modules: Top-level modules of its distributions, in lower case.
        wanted: Top-level modules of the package's dependencies, in lower case, as far as their names tell.
        open: Whether the package has dependencies, which may bring modules of any name.
    """

    runtime: str
    modules: Set[str]
    wanted: Set[str]
    open: bool


def check_imports(path: str, imports: list[Import], sources: Sources, around: Surroundings) -> Iterator[Finding]:
    """Judge the imports of one file that happen whenever it is imported.

    Args:
        path: The file, under `model/`.
        imports: Its imports.
        sources: The package's modules.
        around: What is there beside them.

    Yields:
        SVC008.
    """
    told = set()
    for item in imports:
        if item.certain:
            missing = _missing(path, item, sources, around)
            if missing is not None and missing not in told:
                told.add(missing)
                message, fix, sure = missing
                place = Place(file=f"model/{path}", line=item.line, column=item.column)
                severity = Severity.ERROR if sure else Severity.WARNING
                yield finding("SVC008", message, place=place, severity=severity, fix=fix)


def imported_files(path: str, imports: list[Import], sources: Sources) -> Iterator[str]:
    """The package's own files that these imports run, as far as they certainly happen."""
    for item in imports:
        if not item.certain:
            continue
        for module in _modules(item):
            found = sources.relative(module, item.level, path) if item.level else sources.locate(module, path)
            if found:
                yield found


def _modules(item: Import) -> Iterator[str]:
    """Every module that an import may run: `a.b` runs `a` first, and `from a import b` may run `a.b`."""
    parts = item.module.split(".") if item.module else []
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])
    for name, _ in item.names or ():
        if name != "*":
            yield ".".join([*parts, name])


def _missing(path: str, item: Import, sources: Sources, around: Surroundings) -> tuple[str, str, bool] | None:
    """Why an import finds nothing, what to do, and whether that is certain; None where it finds something."""
    if item.level:
        return _missing_beside(path, item, sources)
    top = item.module.partition(".")[0]
    if sources.has(top, path):
        if top == "model" and item.module == "model":
            return None
        if sources.has(item.module, path):
            return None
        return f"The package has `{top}`, and no `{item.module}` in it.", "Correct the name, or add the module.", True
    if top in ("log", "metric", "mms", "model_service"):
        return _missing_of_serving(item)
    known = is_standard(top, sources.python) or top.lower() in around.modules or top.lower() in around.wanted
    if known:
        return None
    if top in PYTHON_2_ONLY:
        message = f"`{top}` belongs to Python 2; {around.runtime} has Python {sources.python}."
        return message, "Import its name in Python 3, or choose a runtime with Python 2.7.", True
    message = f"Neither the package nor {around.runtime} has a module `{top}`"
    if around.open:
        return f"{message}; one of the dependencies may bring it.", "Name the package that brings it.", False
    return f"{message}.", "Add the module to the package, or its distribution to `dependencies`.", True


def _missing_beside(path: str, item: Import, sources: Sources) -> tuple[str, str, bool] | None:
    dots = "." * item.level
    found = sources.relative(item.module, item.level, path)
    if found is None:
        return f"There is no module `{dots}{item.module}` beside model/{path}.", "Add it, or correct the name.", True
    if item.module or found:
        return None
    names = [name for name, _ in item.names or () if name != "*"]
    missing = [name for name in names if sources.relative(name, item.level, path) is None]
    if not missing:
        return None
    return f"There is no module `{dots}{missing[0]}` beside model/{path}.", "Add it, or correct the name.", True


def _missing_of_serving(item: Import) -> tuple[str, str, bool] | None:
    names = [name for name, _ in item.names or ()]
    if item.module not in SERVING_MODULES:
        near = difflib.get_close_matches(item.module, SERVING_MODULES, n=1, cutoff=0.6)
        fix = f"Did you mean `{near[0]}`?" if near else ""
        return f"The serving code has no module `{item.module}`.", fix, True
    classes = [name for module in SERVING_MODULES.values() for name in module]
    for name in names:
        # Other names of these modules are the serving code's own affair; a misspelt base class is not.
        if name.endswith("Service") and name not in SERVING_MODULES[item.module]:
            near = difflib.get_close_matches(name, classes, n=1, cutoff=0.6)
            home = next((module for module, found in SERVING_MODULES.items() if near and near[0] in found), "")
            fix = f"Did you mean `from {home} import {near[0]}`?" if near else ""
            return f"`{item.module}` has no class `{name}`.", fix, True
    return None
