"""Write the exact pins of every runtime in the catalogue.

For each entry include/runtimes/catalogue/<engine>/<runtime>.yaml this resolves the entry's direct requirements together
with the web libraries that the serving code needs on that Python (include/runtimes/serving-requirements.yaml), for
linux x86_64 wheels only, and writes include/runtimes/images/constraints/<engine>/<runtime>.txt. uv resolves for Pythons
that the machine does not have, from 3.6 on.

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
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
# Started as a file, this script has only its own folder on the path.
sys.path.append(str(ROOT))

from scripts.uv_tool import UvError, find_uv, uv_environment  # noqa: E402

CATALOGUE = ROOT / "include" / "runtimes" / "catalogue"
CONSTRAINTS = ROOT / "include" / "runtimes" / "images" / "constraints"
SERVING_REQUIREMENTS = ROOT / "include" / "runtimes" / "serving-requirements.yaml"

# The oldest C library among the base images is that of Debian bullseye (2.31); 2.28 is the platform tag below it that
# current wheels are built for.
PLATFORM = "x86_64-manylinux_2_28"
# The resolver takes 3.6 for 3.6.0, and some libraries ask for a later patch: base images hold the last one.
PATCHED_PYTHON = {"3.6": "3.6.15", "3.7": "3.7.16"}
RESOLVE_TIMEOUT_S = 300
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[0-9][A-Za-z0-9.+]*)$")


class PinError(Exception):
    """A runtime could not be pinned; the message names the entry and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The part of a catalogue entry that decides its pins."""

    engine: str
    runtime: str
    python: str
    requirements: tuple[str, ...]
    serving: tuple[str, ...]
    extra_index_urls: tuple[str, ...]
    exclude_newer: str

    @property
    def key(self) -> str:
        """The entry's place in the catalogue, engine/runtime."""
        return f"{self.engine}/{self.runtime}"

    @property
    def constraints(self) -> Path:
        """The file that holds the entry's pins."""
        return CONSTRAINTS / self.engine / f"{self.runtime}.txt"

    @property
    def direct(self) -> tuple[str, ...]:
        """Direct requirements: the engine's and the serving code's, sorted."""
        return tuple(sorted({*self.requirements, *self.serving}, key=str.lower))

    def inputs_digest(self) -> str:
        """Digest of everything that decides the pins, as 64 hex digits."""
        inputs = {
            "python": self.python,
            "platform": PLATFORM,
            "direct": self.direct,
            "extra_index_urls": self.extra_index_urls,
            "exclude_newer": self.exclude_newer,
        }
        return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def canonical_name(name: str) -> str:
    """Spell a distribution's name the one way in which names compare (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def parse_pins(text: str) -> dict[str, str]:
    """Read ``name==version`` lines, without comments.

    Returns:
        Version by canonical name, in the order of the file.

    Raises:
        PinError: a line is anything else than an exact pin, or a name comes twice.
    """
    pins: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _PIN.match(line.strip())
        if match is None:
            raise PinError(f"{line.strip()!r} is no exact pin of the form name==version")
        name = canonical_name(match["name"])
        if name in pins:
            raise PinError(f"{name} is pinned twice")
        pins[name] = match["version"]
    return pins


def load_serving(path: Path = SERVING_REQUIREMENTS) -> dict[str, tuple[str, ...]]:
    """Read what the serving code runs on beside the standard library.

    Returns:
        Exact pins by Python version, such as ``3.6``.

    Raises:
        PinError: the file is missing, or does not map Python versions to lists of exact pins.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PinError(f"{path} is missing; it says which web libraries each Python serves with") from error
    if not isinstance(document, Mapping) or not all(isinstance(pins, list) for pins in document.values()):
        raise PinError(f"{path} must map each Python version to a list of exact pins")
    return {str(python): tuple(str(pin) for pin in pins) for python, pins in document.items()}


def load_entries(catalogue: Path = CATALOGUE, serving: Mapping[str, Sequence[str]] | None = None) -> list[Entry]:
    """Read the catalogue's entries that can be built, sorted by key.

    Raises:
        PinError: the serving code names no libraries for an entry's Python.
    """
    libraries = load_serving() if serving is None else serving
    entries = []
    for path in sorted(catalogue.glob("*/*.yaml")):
        row = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not row["available"]:
            continue
        if row["python"] not in libraries:
            raise PinError(f"{path}: the serving code names no web libraries for Python {row['python']}")
        entries.append(
            Entry(
                engine=row["engine"],
                runtime=row["runtime"],
                python=row["python"],
                requirements=tuple(row["requirements"]),
                serving=tuple(libraries[row["python"]]),
                extra_index_urls=tuple(row["extra_index_urls"]),
                exclude_newer=row["exclude_newer"],
            )
        )
    return entries


def render(entry: Entry, pins: Mapping[str, str]) -> str:
    """Write the constraints file's text: a header with both digests, then the pins sorted by name."""
    lines = [f"{name}=={pins[name]}" for name in sorted(pins)]
    return "\n".join([
        f"# Exact pins of {entry.key}: Python {entry.python}, linux x86_64 wheels.",
        "# Written by scripts/pin_runtimes.py from the catalogue entry: edit that and run the script again.",
        f"# inputs sha256:{entry.inputs_digest()}",
        f"# pins sha256:{pins_digest(pins)}",
        *lines,
        "",
    ])


def pins_digest(pins: Mapping[str, str]) -> str:
    """Digest of the pins alone, as 64 hex digits; it tells a file that was edited by hand."""
    return hashlib.sha256("\n".join(f"{name}=={pins[name]}" for name in sorted(pins)).encode()).hexdigest()


def find_problems(entry: Entry, text: str | None) -> list[str]:
    """Compare a constraints file with its entry, offline.

    Args:
        entry: The catalogue entry with the serving code's libraries.
        text: The file's content, or None where there is none.

    Returns:
        What is wrong, in sentences; empty when the file is up to date.
    """
    if text is None:
        return ["there is no constraints file"]
    try:
        pins = parse_pins(text)
        direct = parse_pins("\n".join(entry.direct))
    except PinError as error:
        return [str(error)]
    problems = [
        f"{name} is {pins.get(name, 'absent')}, and the entry asks for {version}"
        for name, version in direct.items()
        if pins.get(name) != version
    ]
    if f"# inputs sha256:{entry.inputs_digest()}" not in text.splitlines():
        problems.append("the entry has changed since the file was written")
    if f"# pins sha256:{pins_digest(pins)}" not in text.splitlines():
        problems.append("the pins were edited by hand")
    return problems


def find_orphans(entries: Iterable[Entry], folder: Path = CONSTRAINTS) -> list[Path]:
    """List constraints files that no entry stands behind."""
    known = {entry.constraints for entry in entries}
    return sorted(path for path in folder.glob("*/*.txt") if path not in known)


def resolver_command(entry: Entry, uv: str, *, with_extra_indexes: bool) -> list[str]:
    """Build the command that resolves an entry, its requirements on standard input."""
    command = [uv, "pip", "compile", "--quiet", "--no-config", "--no-python-downloads", "--no-header", "--no-annotate"]
    command += ["--python-version", PATCHED_PYTHON.get(entry.python, entry.python)]
    command += ["--python-platform", PLATFORM, "--only-binary", ":all:"]
    command += ["--exclude-newer", f"{entry.exclude_newer}T00:00:00Z"]
    if with_extra_indexes:
        # Such an index holds old copies of common libraries too, and gives no upload times: all versions of a name must
        # be seen together, and the pin that only this index has must not be hidden for want of a date.
        command += ["--index-strategy", "unsafe-best-match"]
        for name, version in parse_pins("\n".join(entry.requirements)).items():
            if "+" in version:
                command += ["--exclude-newer-package", f"{name}=false"]
        for url in entry.extra_index_urls:
            command += ["--index", url]
    return [*command, "-"]


def resolve(entry: Entry, uv: str) -> dict[str, str]:
    """Resolve an entry to exact pins of everything it needs.

    The entry's extra indexes are asked only when the configured index and the local wheels do not answer, because a
    closed network cannot reach them.

    Returns:
        Version by canonical name.

    Raises:
        PinError: no set of wheels satisfies the entry; the resolver's own words are in the message.
    """
    attempts = [False, True] if entry.extra_index_urls else [False]
    said = ""
    for with_extra_indexes in attempts:
        command = resolver_command(entry, uv, with_extra_indexes=with_extra_indexes)
        result = subprocess.run(
            command,
            input="\n".join(entry.direct) + "\n",
            env=uv_environment(os.environ),
            capture_output=True,
            text=True,
            timeout=RESOLVE_TIMEOUT_S,
            check=False,
        )
        if result.returncode == 0:
            return parse_pins(result.stdout)
        said = result.stderr.strip()
    raise PinError(f"{entry.key} cannot be resolved; change its requirements or exclude_newer.\n{said}")


def read_or_none(path: Path) -> str | None:
    """Read a file's text, or None where there is no file."""
    return path.read_text(encoding="utf-8") if path.exists() else None


def check(entries: Sequence[Entry], uv: str | None) -> int:
    """Report what is stale, with a fresh resolution where uv is given; return how many files are."""
    stale = 0
    for entry in entries:
        text = read_or_none(entry.constraints)
        problems = find_problems(entry, text)
        if uv is not None and not problems and text != render(entry, resolve(entry, uv)):
            problems.append("resolving again gives other pins")
        stale += bool(problems)
        print(f"{entry.key}: {'; '.join(problems) if problems else 'up to date'}")
    for path in find_orphans(load_entries()):
        stale += 1
        print(f"{path.relative_to(ROOT)}: no catalogue entry stands behind this file")
    return stale


def write(entries: Sequence[Entry], uv: str, *, force: bool) -> None:
    """Resolve and write the files that are stale, or all of them with ``force``."""
    for entry in entries:
        if not force and not find_problems(entry, read_or_none(entry.constraints)):
            print(f"{entry.key}: up to date")
            continue
        pins = resolve(entry, uv)
        entry.constraints.parent.mkdir(parents=True, exist_ok=True)
        entry.constraints.write_text(render(entry, pins), encoding="utf-8")
        print(f"{entry.key}: {len(pins)} pins written")


def select(entries: Sequence[Entry], keys: Sequence[str]) -> list[Entry]:
    """Keep the entries that are named, or all where none is.

    Raises:
        PinError: a name is no key of the catalogue.
    """
    by_key = {entry.key: entry for entry in entries}
    unknown = [key for key in keys if key not in by_key]
    if unknown:
        raise PinError(f"no such entry: {', '.join(unknown)}; the catalogue has {', '.join(by_key)}")
    return [by_key[key] for key in keys] if keys else list(entries)


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
            return 1 if check(entries, find_uv(print) if options.resolve else None) else 0
        write(entries, find_uv(print), force=bool(options.entries))
    except (PinError, UvError) as error:
        print(f"pin_runtimes: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
