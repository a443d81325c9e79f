"""`python -m airlock gc` and `python -m airlock fsck`: care of the package store."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from airlock.cli.terminal import printable
from airlock.errors import AirlockError

if TYPE_CHECKING:
    from airlock.adapters.registry_reads import SqlRegistryReader
    from airlock.adapters.store_collector import Removal
    from airlock.adapters.store_verifier import Problem, Verified
    from airlock.ports.clock import Clock

EXIT_CLEAN, EXIT_PROBLEMS, EXIT_UNCHECKED = 0, 1, 2
#: Long enough for the failed tasks of last week's import to be cleared.
DEFAULT_AGE = "7d"
_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def add_store(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare both commands."""
    collect = commands.add_parser(
        "gc",
        help="remove packages that no version names",
        description="Remove packages that no version names and nobody used for a while. Safe beside running imports: "
        "what was used since the oldest of them began is kept.",
        epilog="Ends with 0 when it is done, 2 where it could not be.",
    )
    collect.add_argument("--dry-run", action="store_true", help="only tell what would go")
    collect.add_argument(
        "--older-than", metavar="AGE", type=_age, default=DEFAULT_AGE, help="12h, 7d (the default), 0s"
    )
    collect.set_defaults(run=_collect)
    verify = commands.add_parser(
        "fsck",
        help="verify the package store",
        description="Compare every file of the store with its manifest, and the store with the registry. Safe beside "
        "running imports.",
        epilog="Ends with 0 where all is right or repaired, 1 where something is not, 2 where it was not checked.",
    )
    verify.add_argument(
        "--repair", action="store_true", help="put right what can be, and move damaged packages out of the way"
    )
    verify.set_defaults(run=_verify)
    for parser in (collect, verify):
        parser.add_argument("--format", choices=("text", "json"), default="text")
        parser.add_argument("--store", metavar="FOLDER", help="the store instead of AIRFLOW__AIRLOCK__STORE")
        parser.add_argument("--url", metavar="URL", help="the registry instead of AIRFLOW__AIRLOCK__REGISTRY_URL")


def _age(text: str) -> float:
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"{text!r} is no age such as 12h or 7d")
    return float(match[1]) * _UNITS_S[match[2]]


def _collect(chosen: argparse.Namespace) -> int:
    from airlock.adapters.store_collector import StoreCollector

    removed: list[Removal] = []
    try:
        for removal in StoreCollector(*_parts(chosen)).collect(chosen.older_than, dry_run=chosen.dry_run):
            removed.append(removal)
            if chosen.format == "text":
                _say(_removal_line(removal, dry_run=chosen.dry_run))
    except (AirlockError, OSError) as error:
        return _unchecked(error)
    freed = sum(removal.size_bytes for removal in removed)
    if chosen.format == "json":
        data = {"dry_run": chosen.dry_run, "freed_bytes": freed, "removed": [asdict(each) for each in removed]}
        _say(json.dumps(data, indent=2))
    else:
        verb = "would go" if chosen.dry_run else "removed"
        _say(f"{len(removed)} {verb}, {freed:,} bytes.")
    return EXIT_CLEAN


def _removal_line(removal: Removal, *, dry_run: bool) -> str:
    verb = "would remove" if dry_run else "removed"
    idle = f", not used for {removal.idle_s / 86_400:.1f} days" if removal.idle_s else ""
    return f"{verb} {removal.what} {removal.name}: {removal.size_bytes:,} bytes{idle}"


def _verify(chosen: argparse.Namespace) -> int:
    from airlock.adapters.store_verifier import StoreVerifier

    try:
        found = StoreVerifier(*_parts(chosen)).verify(repair=chosen.repair, tell=_tell)
    except (AirlockError, OSError) as error:
        return _unchecked(error)
    if chosen.format == "json":
        _say(json.dumps({**asdict(found), "clean": found.clean}, indent=2))
    else:
        for line in _verified_lines(found):
            _say(line)
    return EXIT_CLEAN if found.clean else EXIT_PROBLEMS


def _verified_lines(found: Verified) -> Iterable[str]:
    for problem in found.problems:
        yield f"{problem.code} {printable(problem.path)}: {problem.message}{_done(problem)}"
    left = sum(not (problem.repaired or problem.harmless) for problem in found.problems)
    repaired = sum(bool(problem.repaired) for problem in found.problems)
    verdict = f"{left} problems" if left else "clean"
    also = f", {repaired} repaired" if repaired else ""
    yield f"{verdict}{also}: {found.packages:,} packages, {found.files:,} files, {found.bytes:,} bytes read."


def _done(problem: Problem) -> str:
    return f" {problem.repaired}" if problem.repaired else ""


def _parts(chosen: argparse.Namespace) -> tuple[Path, SqlRegistryReader, Clock]:
    """Folder of the store, registry and clock."""
    from airlock.adapters.clock import SystemClock
    from airlock.adapters.registry_reads import SqlRegistryReader
    from airlock.adapters.registry_schema import open_engine
    from airlock.adapters.settings import from_environment

    settings = from_environment()
    clock = SystemClock()
    registry = SqlRegistryReader(open_engine(chosen.url or settings.registry_url), clock)
    return Path(chosen.store) if chosen.store else settings.store, registry, clock


def _unchecked(error: Exception) -> int:
    sys.stderr.write(f"airlock: {error}\n")
    return EXIT_UNCHECKED


def _tell(line: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"{line}\n")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
