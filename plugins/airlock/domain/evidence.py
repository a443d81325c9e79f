"""The evidence of a package's files: what each says of itself, and what its name says where nothing else does."""

from __future__ import annotations

from collections.abc import Mapping

from airlock.domain.detection import Evidence
from airlock.domain.engines import ENGINES
from airlock.domain.findings import shown
from airlock.domain.model_files.facts import Facts
from airlock.domain.model_files.forms import is_model_file
from airlock.domain.package import Manifest

#: Files that are looked at for their engine; a package of more says nothing new with the others.
MAX_FILES_READ = 200
MAX_DETAIL_CHARACTERS = 300


def files_to_read(manifest: Manifest) -> tuple[str, ...]:
    """Paths under `model/` whose headers detection wants, within its limit."""
    by_name = _by_name(manifest)
    wanted = [path for path in manifest.model_paths() if is_model_file(path)]
    # Those that an engine needs come first, and code loads what lies deeper more seldom than what lies beside it.
    return tuple(sorted(wanted, key=lambda path: (path not in by_name, path.count("/"), path))[:MAX_FILES_READ])


def gather_evidence(manifest: Manifest, facts: Mapping[str, Facts | None]) -> tuple[Evidence, ...]:
    """What the files say.

    Args:
        manifest: The package's files.
        facts: Path under `model/` → what the file says of itself, None where its form is not known; for the paths of
            `files_to_read`.
    """
    evidence = []
    sizes = manifest.model_paths()
    for path, (what, engines) in _by_name(manifest).items():
        known = facts.get(path)
        if known is None:
            says = "has no known form" if path in facts else f"is {what} by its name"
            says = says if sizes[path].size_bytes else "is empty"
            evidence.append(Evidence(file=f"model/{path}", says=says, engines=engines))
    for path, known in facts.items():
        if known is not None:
            evidence.append(
                Evidence(
                    file=f"model/{path}",
                    says=known.says,
                    engines=tuple(claim.engine for claim in known.claims),
                    confidences=tuple(claim.confidence for claim in known.claims),
                    written_by=known.written_by,
                    details=tuple((name, shown(text, MAX_DETAIL_CHARACTERS)) for name, text in known.details),
                    served=all(problem.code != "MDL010" for problem in known.problems),
                )
            )
    return tuple(sorted(evidence, key=lambda item: item.file))


def _by_name(manifest: Manifest) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Path → what an engine takes it for, and the engines that do."""
    paths = manifest.model_paths()
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for engine in ENGINES.values():
        for kind in engine.model_files:
            for path in kind.matches(paths):
                if path.rpartition("/")[2].startswith((".", "_")):
                    # Checksums and marks that Hadoop leaves beside what it writes.
                    continue
                what, engines = found.get(path, (kind.what, ()))
                found[path] = (what, (*engines, engine.name))
    return found
