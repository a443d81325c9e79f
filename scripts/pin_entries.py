"""What decides the pins of a runtime, and the files that hold them: reading, writing, and telling a stale one.

A catalogue entry is pinned once for itself and once for each of its variants. Nothing here needs a network.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = ROOT / "include" / "runtimes" / "catalogue"
CONSTRAINTS = ROOT / "include" / "runtimes" / "images" / "constraints"
SERVING_REQUIREMENTS = ROOT / "include" / "runtimes" / "serving-requirements.yaml"

# The oldest C library among the base images is that of Debian bullseye (2.31); 2.28 is the platform tag below it that
# current wheels are built for.
PLATFORMS = {"x86_64": "x86_64-manylinux_2_28", "aarch64": "aarch64-manylinux_2_28"}
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==(?P<version>[0-9][A-Za-z0-9.+]*)$")


class PinError(Exception):
    """A runtime could not be pinned; the message names the entry and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The part of a catalogue entry, or of one of its variants, that decides its pins.

    Attributes:
        engine: The engine's name.
        runtime: The runtime's name.
        variant: Name of the variant, empty for the row itself.
        python: Python version, `X.Y`.
        architecture: Machine architecture that wheels are chosen for, as `uname -m` names it.
        requirements: Exact pins of the row.
        source_only: Exact pins without a wheel, each with what it needs.
        serving: Exact pins of the serving code.
        extra_index_urls: Indexes beside the configured one.
        exclude_newer: Date (UTC) from which releases are not seen.
    """

    engine: str
    runtime: str
    python: str
    requirements: tuple[str, ...]
    serving: tuple[str, ...]
    extra_index_urls: tuple[str, ...]
    exclude_newer: str
    variant: str = ""
    architecture: str = "x86_64"
    source_only: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def key(self) -> str:
        """The entry's place in the catalogue, engine/runtime, with the variant after a dot."""
        return f"{self.engine}/{self.runtime}" + (f".{self.variant}" if self.variant else "")

    @property
    def constraints(self) -> Path:
        """The file that holds the entry's pins."""
        return CONSTRAINTS / f"{self.key}.txt"

    @property
    def platform(self) -> str:
        """The platform that wheels are chosen for, in uv's words."""
        return PLATFORMS[self.architecture]

    @property
    def direct(self) -> tuple[str, ...]:
        """Direct requirements: the engine's and the serving code's, sorted."""
        built = (pin for pin, _ in self.source_only)
        return tuple(sorted({*self.requirements, *built, *self.serving}, key=str.lower))

    def inputs_digest(self) -> str:
        """Digest of everything that decides the pins, as 64 hex digits."""
        inputs: dict[str, Any] = {
            "python": self.python,
            "platform": self.platform,
            "direct": self.direct,
            "extra_index_urls": self.extra_index_urls,
            "exclude_newer": self.exclude_newer,
        }
        if self.source_only:
            inputs["source_only"] = self.source_only
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
    """Read the catalogue's entries that can be built, each followed by its variants, sorted by key.

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
        entries.append(_entry(row, "", row["requirements"], libraries))
        for name, variant in sorted(row.get("variants", {}).items()):
            entries.append(_entry(row, name, variant["requirements"], libraries))
    return entries


def _entry(
    row: Mapping[str, Any], variant: str, requirements: Sequence[str], libraries: Mapping[str, Sequence[str]]
) -> Entry:
    # What a build on another base gets from there is not built from source as well.
    source_only = {} if variant == "genuine" else row.get("source_only", {})
    return Entry(
        engine=row["engine"],
        runtime=row["runtime"],
        variant=variant,
        python=row["python"],
        architecture=row["architectures"][0],
        requirements=tuple(requirements),
        source_only=tuple((pin, tuple(needs)) for pin, needs in sorted(source_only.items())),
        serving=tuple(libraries[row["python"]]),
        extra_index_urls=tuple(row["extra_index_urls"]),
        exclude_newer=row["exclude_newer"],
    )


def render(entry: Entry, pins: Mapping[str, str]) -> str:
    """Write the constraints file's text: a header with both digests, then the pins sorted by name."""
    lines = [f"{name}=={pins[name]}" for name in sorted(pins)]
    return "\n".join([
        f"# Exact pins of {entry.key}: Python {entry.python}, linux {entry.architecture} wheels.",
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


def read_or_none(path: Path) -> str | None:
    """Read a file's text, or None where there is no file."""
    return path.read_text(encoding="utf-8") if path.exists() else None


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
