"""Write the exact pins of every runtime in the catalogue.

For each entry include/runtimes/catalogue/<engine>/<runtime>.yaml this resolves the entry's direct requirements together
with the web libraries that the serving code needs on that Python (include/runtimes/serving-requirements.yaml), for
linux wheels of the entry's architecture, and writes include/runtimes/images/constraints/<engine>/<runtime>.txt, and
<runtime>.<variant>.txt for each variant. uv resolves for Pythons that the machine does not have, from 3.6 on; the rows
of Python 2.7 need an interpreter of it, on PATH or of pyenv.

The same entry gives the same file: releases at or after the entry's exclude_newer are not seen, and the file carries no
time. Two digests in its header, of what went in and of the pins, let --check find a stale or a hand-edited file without
a network. uv takes pip's settings for package sources (PIP_INDEX_URL, pip.conf and so on).

Usage:
    python scripts/pin_runtimes.py                        write every file that is stale
    python scripts/pin_runtimes.py --check                say what is stale, offline; exit status 1 when something is
    python scripts/pin_runtimes.py --check --resolve      the same, and resolve again to compare
    python scripts/pin_runtimes.py PyTorch/python3.6      only this entry, whether it is stale or not
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

# Started as a file, this script has only its own folder on the path.
sys.path.append(str(Path(__file__).resolve().parent.parent))

from scripts.pin_entries import (
    ROOT,
    Entry,
    PinError,
    find_orphans,
    find_problems,
    load_entries,
    read_or_none,
    render,
    select,
)
from scripts.pin_resolvers import resolve
from scripts.uv_tool import UvError


def check(entries: Sequence[Entry], *, again: bool) -> int:
    """Report what is stale, with a fresh resolution where asked; return how many files are."""
    stale = 0
    for entry in entries:
        text = read_or_none(entry.constraints)
        problems = find_problems(entry, text)
        if again and not problems and text != render(entry, resolve(entry)):
            problems.append("resolving again gives other pins")
        stale += bool(problems)
        print(f"{entry.key}: {'; '.join(problems) if problems else 'up to date'}")
    for path in find_orphans(load_entries()):
        stale += 1
        print(f"{path.relative_to(ROOT)}: no catalogue entry stands behind this file")
    return stale


def write(entries: Sequence[Entry], *, force: bool) -> None:
    """Resolve and write the files that are stale, or all of them with ``force``."""
    for entry in entries:
        if not force and not find_problems(entry, read_or_none(entry.constraints)):
            print(f"{entry.key}: up to date")
            continue
        pins = resolve(entry)
        entry.constraints.parent.mkdir(parents=True, exist_ok=True)
        entry.constraints.write_text(render(entry, pins), encoding="utf-8")
        print(f"{entry.key}: {len(pins)} pins written", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Write or check the exact pins of the runtimes in the catalogue.")
    parser.add_argument("entries", nargs="*", metavar="ENGINE/RUNTIME", help="only these entries")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when a file is stale")
    parser.add_argument("--resolve", action="store_true", help="with --check, resolve again too (needs the network)")
    options = parser.parse_args(arguments)
    try:
        entries = select(load_entries(), options.entries)
        if options.check:
            return 1 if check(entries, again=options.resolve) else 0
        write(entries, force=bool(options.entries))
    except (PinError, UvError) as error:
        print(f"pin_runtimes: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
