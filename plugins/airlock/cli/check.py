"""`python -m airlock check PATH`: the rules of an import on a folder of this machine."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airlock.cli.report import Subject

EXIT_PASSED, EXIT_REFUSED, EXIT_USAGE = 0, 1, 2


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("check", help="check a package without importing it")
    parser.add_argument("path", nargs="?", help="the folder that contains `model/`")
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")
    parser.add_argument("--explain", metavar="CODE", help="say what a rule is for, and end")
    parser.add_argument("--trust-model-code", action="store_true", help="take code in model files for a warning")
    parser.add_argument("--evidence", action="store_true", help="show what each model file says of itself")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Check, and write the report to standard output.

    Returns:
        0 where the package would be taken, 1 where it would be refused, 2 for wrong usage.
    """
    from airlock.cli import report

    if chosen.explain:
        text = report.explained(chosen.explain)
        if not text:
            sys.stderr.write(f"airlock: there is no rule {chosen.explain!r}\n")
            return EXIT_USAGE
        sys.stdout.write(f"{text}\n")
        return EXIT_PASSED
    if not chosen.path or not Path(chosen.path).is_dir():
        said = f"there is no folder {chosen.path!r}" if chosen.path else "a folder is needed"
        sys.stderr.write(f"airlock: {said}\n")
        return EXIT_USAGE
    subject = _checked(Path(chosen.path), trusted=chosen.trust_model_code)
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    writers = {
        "text": lambda: report.as_text(subject, colour=colour, detailed=chosen.evidence),
        "json": lambda: report.as_json(subject),
        "sarif": lambda: report.as_sarif(subject),
        "github": lambda: report.as_github(subject),
    }
    sys.stdout.write(f"{writers[chosen.format]()}\n")
    return EXIT_PASSED if subject.report.passed else EXIT_REFUSED


def _checked(path: Path, *, trusted: bool) -> Subject:
    from airlock.adapters.local_package import DIGEST, LocalPackage
    from airlock.adapters.settings import from_environment
    from airlock.adapters.wiring import Wiring
    from airlock.cli.report import Subject
    from airlock.steps.check import check

    wiring = Wiring(from_environment())
    package = LocalPackage(path)
    report = check(
        DIGEST,
        store=package,
        catalogue=wiring.catalogue,
        schema=wiring.config_schema,
        limits=wiring.fetch_limits,
        noticed=package.noticed,
        trusted=trusted,
    )
    return Subject(folder=os.path.relpath(package.root), report=report)
