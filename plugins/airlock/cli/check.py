"""`python -m airlock check PATH`: the rules of an import on a folder of this machine, or of object storage."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airlock.adapters.wiring import Wiring
    from airlock.cli.report import Subject

EXIT_PASSED, EXIT_REFUSED, EXIT_UNCHECKED = 0, 1, 2
REMOTE = ("s3://", "obs://")
MEGABYTE = 1_000_000


def add_check(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "check",
        help="check a package without importing it",
        epilog="Ends with 0 where the package would be taken, 1 where it would be refused, 2 where it was not checked.",
    )
    parser.add_argument("path", nargs="?", help="the folder that contains `model/`: a path, or s3://bucket/prefix")
    parser.add_argument("--format", choices=("text", "json", "sarif", "github"), default="text")
    parser.add_argument("--explain", metavar="CODE", help="say what a rule is for, and end")
    parser.add_argument("--trust-model-code", action="store_true", help="take code in model files for a warning")
    parser.add_argument("--evidence", action="store_true", help="show what each model file says of itself")
    remote = parser.add_argument_group("object storage")
    remote.add_argument("--endpoint-url", metavar="URL", default="", help="the storage's address, where it is not AWS")
    remote.add_argument(
        "--connection", metavar="ID", default="", help="read AIRFLOW_CONN_<ID> instead of the AWS variables or profile"
    )
    remote.add_argument(
        "--max-read", metavar="MB", type=megabytes, help="megabytes of model files to fetch at most, 0 for all of them"
    )
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Check, and write the report to standard output.

    Returns:
        0 where the package would be taken, 1 where it would be refused, 2 where it was not checked: wrong usage, or its
        files cannot be had.
    """
    if chosen.explain:
        return _explain(chosen.explain)
    from airlock.errors import AirlockError

    try:
        subject = _checked(chosen)
    except (_Usage, AirlockError) as error:
        # Nobody can say that the package would be refused.
        sys.stderr.write(f"airlock: {error}\n")
        return EXIT_UNCHECKED
    from airlock.cli import report

    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    writers = {
        "text": lambda: report.as_text(subject, colour=colour, detailed=chosen.evidence),
        "json": lambda: report.as_json(subject),
        "sarif": lambda: report.as_sarif(subject),
        "github": lambda: report.as_github(subject),
    }
    sys.stdout.write(f"{writers[chosen.format]()}\n")
    return EXIT_PASSED if subject.report.passed else EXIT_REFUSED


class _Usage(Exception):
    pass


def _explain(code: str) -> int:
    from airlock.cli.explain import explained

    text = explained(code)
    if not text:
        sys.stderr.write(f"airlock: there is no rule {code!r}\n")
        return EXIT_UNCHECKED
    sys.stdout.write(f"{text}\n")
    return EXIT_PASSED


def _checked(chosen: argparse.Namespace) -> Subject:
    path = chosen.path or ""
    if path.startswith(REMOTE):
        return _checked_source(chosen)
    if chosen.endpoint_url or chosen.connection or chosen.max_read is not None:
        raise _Usage("--endpoint-url, --connection and --max-read go with s3:// or obs:// only")
    # Of a folder that may not be looked at `Path.is_dir` raises an error.
    if not path or not os.path.isdir(path):
        raise _Usage(f"there is no folder {path!r}" if path else "a folder is needed")

    from airlock.adapters.local_package import DIGEST, LocalPackage
    from airlock.cli.report import Subject
    from airlock.steps.check import check

    wiring = _wiring()
    package = LocalPackage(Path(path))
    report = check(
        DIGEST,
        store=package,
        catalogue=wiring.catalogue,
        schema=wiring.config_schema,
        limits=wiring.fetch_limits,
        noticed=package.noticed,
        trusted=chosen.trust_model_code,
    )
    return Subject(folder=os.path.relpath(package.root), report=report)


def _checked_source(chosen: argparse.Namespace) -> Subject:
    from airlock.adapters.s3_direct import DirectStorage
    from airlock.cli.report import Subject
    from airlock.domain.source import SourceLocation
    from airlock.steps.check import DEFAULT_READ_BYTES, check_source

    location = SourceLocation.parse(chosen.path)
    if location is None:
        raise _Usage(f"{chosen.path!r} is no folder in object storage; write it as s3://bucket/prefix")
    wiring = _wiring()
    report = check_source(
        location,
        storage=DirectStorage(endpoint_url=chosen.endpoint_url, connection_id=chosen.connection),
        catalogue=wiring.catalogue,
        schema=wiring.config_schema,
        limits=wiring.fetch_limits,
        trusted=chosen.trust_model_code,
        max_read_bytes=DEFAULT_READ_BYTES if chosen.max_read is None else chosen.max_read * MEGABYTE,
    )
    return Subject(folder=str(location.above_model()).rstrip("/"), report=report)


def _wiring() -> Wiring:
    from airlock.adapters.settings import from_environment
    from airlock.adapters.wiring import Wiring

    return Wiring(from_environment())


def megabytes(text: str) -> int:
    """A number of them; its name is what a wrong one is told with."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number
