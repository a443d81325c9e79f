"""All rules of inference code, applied to a package's Python files without running any of them.

Files that customize_service.py certainly imports are judged as it is; any other file may be one that nothing runs, and
its faults are warnings.

Source: Specifications for compiling model inference code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

from airlock.domain.catalogue import Runtime
from airlock.domain.dependencies import Dependency
from airlock.domain.engines import SERVICE_FILE
from airlock.domain.findings import Finding, Findings, Place, Severity, finding
from airlock.domain.service_code.decoding import NotPython
from airlock.domain.service_code.effects import check_effects
from airlock.domain.service_code.imports import check_imports
from airlock.domain.service_code.lookup import Lookup, Surroundings
from airlock.domain.service_code.module_names import installed_modules, modules_of
from airlock.domain.service_code.reading import MAX_CODE_BYTES
from airlock.domain.service_code.service_class import check_service_class
from airlock.domain.service_code.sources import Sources

__all__ = ["MAX_CODE_BYTES", "check_code"]


def check_code(
    paths: Collection[str],
    read: Callable[[str], bytes],
    runtime: Runtime,
    dependencies: tuple[Dependency, ...],
    own_python: tuple[int, int],
) -> list[Finding]:
    """Read a package's Python code.

    Args:
        paths: Every path under `model/`.
        read: Gives a file's bytes by such a path; `MAX_CODE_BYTES` and one more are enough.
        runtime: The runtime that is to run it.
        dependencies: What is installed beside the runtime.
        own_python: The Python that reads it here.

    Returns:
        Findings of the family SVC, but for SVC001.
    """
    sources = Sources(paths, read, runtime.python, own_python)
    findings = Findings()
    lookup = Lookup(sources, _surroundings(runtime, dependencies))
    run = _run_at_start(lookup) if SERVICE_FILE in paths else []
    for path in sorted(path for path in paths if path.endswith(".py")):
        if path not in run:
            sources.compile(path, closely=False)
    for path, refusal in sorted(sources.refusals.items()):
        findings.append(_does_not_compile(path, refusal, runtime, certain=path in run))
    if SERVICE_FILE in sources.unjudged:
        place = Place(file=f"model/{SERVICE_FILE}")
        findings.append(finding("SVC003", f"Code for Python {runtime.python} is not compiled here.", place=place))
    for path in run:
        findings.extend(_of_one_file(path, lookup, runtime))
    return list(findings)


def _run_at_start(lookup: Lookup) -> list[str]:
    """customize_service.py and what it certainly imports, each once, in the order in which they are met."""
    met = {SERVICE_FILE: None}
    pending = [SERVICE_FILE]
    for path in pending:
        outline = lookup.sources.outline(path)
        if outline is not None:
            new = [found for found in lookup.imported_files(path, outline.imports) if found not in met]
            met.update(dict.fromkeys(new))
            pending += dict.fromkeys(new)
    return list(met)


def _of_one_file(path: str, lookup: Lookup, runtime: Runtime) -> Iterator[Finding]:
    outline = lookup.sources.outline(path)
    if outline is None:
        return
    yield from check_imports(path, outline.imports, lookup)
    yield from check_effects(path, outline)
    if path == SERVICE_FILE:
        yield from check_service_class(outline, lookup, runtime.engine, runtime.service.base_class)


def _does_not_compile(path: str, refusal: NotPython, runtime: Runtime, *, certain: bool) -> Finding:
    return finding(
        "SVC002",
        f"Python {runtime.python} cannot compile it: {refusal.message}.",
        place=Place(file=f"model/{path}", line=refusal.line, column=refusal.column),
        value=refusal.text or None,
        severity=Severity.ERROR if certain else Severity.WARNING,
    )


def _surroundings(runtime: Runtime, dependencies: tuple[Dependency, ...]) -> Surroundings:
    modules = set(installed_modules(runtime.constraints))
    if runtime.engine == "Caffe":
        # Of the genuine build, or of the stand-in for it.
        modules.add("caffe")
    return Surroundings(
        runtime=str(runtime),
        modules=modules,
        wanted=modules_of(dependency.name for dependency in dependencies if not dependency.bundled),
        open=bool(dependencies),
    )
