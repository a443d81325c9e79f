"""Many packages at once: how a batch is written down, and what is to become of each package.

A batch is a list of sources, the folders below a prefix, or a manifest: a CSV file with the import form's fields as
columns, or a JSON file with a list of forms.
"""

from __future__ import annotations

import csv
import enum
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airlock.domain.findings import shown
from airlock.domain.jsontext import MAX_TEXT_BYTES, JsonTextError, parse_json
from airlock.domain.request_form import FIELDS
from airlock.errors import BatchRejected

#: As many tasks Airflow makes of one list, with some to spare.
MAX_PACKAGES = 1000
MAX_MANIFEST_BYTES = MAX_TEXT_BYTES
MAX_SHOWN_PROBLEMS = 20
MAX_REASON_CHARACTERS = 500
#: How the cells of a CSV manifest are read; the others are text.
_LISTS = frozenset({"labels", "install_type", "required_devices"})
_JSON = frozenset({"config_override", "dependencies", "model_docs"})
_NUMBERS = frozenset({"min_cpu", "min_memory_mb", "min_gpu", "min_ascend", "startup_timeout_s", "device_tolerance"})
_FLAGS = frozenset({"trust_model_code", "bake_model", "rebuild", "approval"})
_WORDS = {"true": True, "false": False}


class Plan(enum.StrEnum):
    """What is to become of a package."""

    NEW = "new"
    NEW_VERSION = "new version"
    IDENTICAL = "identical"
    UNDER_WAY = "under way"
    INVALID = "invalid"

    @property
    def is_imported(self) -> bool:
        """Whether it is imported."""
        return self in (Plan.NEW, Plan.NEW_VERSION)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEntry:
    """One package of a batch, before it is looked at.

    Attributes:
        place: Where the batch names it.
        form: Fields of the import form.
    """

    place: str
    form: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """What was found out about a package of a batch.

    Attributes:
        place: Where the batch names it.
        model_name: The model's name, as given or taken from the folder.
        source: The source location, as given.
        plan: What is to become of it.
        reason: Why it is not imported; empty otherwise.
        form: The whole import form.
        run_id: The run of `import_model` that imports it; empty where none does.
    """

    place: str
    model_name: str
    source: str
    plan: Plan
    reason: str
    form: dict[str, Any]
    run_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """A batch that was looked at.

    Attributes:
        items: Its packages, in the batch's order.
        dry_run: Whether nothing is imported, whatever the items say.
    """

    items: tuple[BatchItem, ...]
    dry_run: bool


class Outcome(enum.StrEnum):
    """What became of a package."""

    IMPORTED = "imported"
    FAILED = "failed"
    UNFINISHED = "unfinished"
    SKIPPED = "skipped"
    INVALID = "invalid"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchRow:
    """One line of a batch's result.

    Attributes:
        model_name: The model.
        model_version: Its version, empty where there is none.
        source: Where it came from.
        plan: What was to become of it.
        outcome: What became of it.
        reason: Why it was not imported; empty otherwise.
        run_id: Its run of `import_model`, empty where there was none.
    """

    model_name: str
    model_version: str
    source: str
    plan: Plan
    outcome: Outcome
    reason: str
    run_id: str


def entries_of(forms: Iterable[tuple[str, Mapping[str, Any]]], defaults: Mapping[str, Any]) -> tuple[BatchEntry, ...]:
    """The entries of a batch, each with a name.

    Args:
        forms: Place and fields of each package.
        defaults: Fields for those that do not give them.

    Raises:
        BatchRejected: There are none, or too many.
    """
    entries = []
    for place, form in forms:
        given = {name: value for name, value in form.items() if value not in (None, "")}
        whole = {**defaults, **given}
        whole.setdefault("model_name", name_of(str(whole.get("source_location", ""))))
        entries.append(BatchEntry(place=place, form=whole))
        if len(entries) > MAX_PACKAGES:
            raise BatchRejected(
                "BAT002",
                f"The batch names more than {MAX_PACKAGES:,} packages.",
                "Make several batches of it.",
            )
    if not entries:
        raise BatchRejected("BAT003", "The batch names no package.", "Correct the list, the prefix or the manifest.")
    return tuple(entries)


def name_of(source: str) -> str:
    """The name of a package that gives none: its folder's, or its archive's without the ending."""
    last = source.rstrip("/").removesuffix("/model").rpartition("/")[2]
    return last.partition(".")[0] if not source.endswith("/") else last


def folders_below(prefix: str, keys: Iterable[str]) -> tuple[str, ...]:
    """The folders directly below a prefix, sorted.

    Args:
        prefix: The prefix with its closing `/`, or empty.
        keys: Keys below it.
    """
    found = {key[len(prefix) :].partition("/")[0] for key in keys if "/" in key[len(prefix) :]}
    return tuple(sorted(found - {""}))


def read_manifest(data: bytes, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    """The packages of a manifest.

    Args:
        data: The file's bytes.
        name: Its name; `.csv` and `.json` are known.

    Returns:
        Place and fields of each package.

    Raises:
        BatchRejected: It cannot be read; every line with a fault is named.
    """
    if len(data) > MAX_MANIFEST_BYTES:
        raise _unreadable(name, [f"It has {len(data):,} bytes; at most {MAX_MANIFEST_BYTES:,} are read."])
    if name.lower().endswith(".csv"):
        return _read_csv(data, name)
    if name.lower().endswith(".json"):
        return _read_json(data, name)
    raise _unreadable(name, ["Its name ends neither with .csv nor with .json."])


def _read_csv(data: bytes, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        reader = csv.reader(data.decode("utf-8-sig").splitlines(keepends=True), strict=True)
        header = [column.strip() for column in next(reader, [])]
        problems = [
            f"line 1: {shown(column)} is no field of the import form." for column in header if column not in FIELDS
        ]
        problems += [
            f"line 1: the column {column} stands twice." for column in sorted(set(header)) if header.count(column) > 1
        ]
        if "source_location" not in header:
            problems.append("line 1: the column source_location is missing.")
        rows: list[tuple[str, Mapping[str, Any]]] = []
        for cells in reader:
            place = f"line {reader.line_num}"
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problems.append(f"{place}: it has {len(cells)} cells, the first line has {len(header)}.")
                continue
            form: dict[str, Any] = {}
            for column, cell in zip(header, cells, strict=True):
                try:
                    form[column] = _cell(column, cell.strip())
                except JsonTextError as error:
                    problems.append(f"{place}, {column}: {error.args[0]}")
            rows.append((place, form))
    except UnicodeDecodeError as error:
        raise _unreadable(name, [f"Byte {error.start} is not UTF-8; save the file as UTF-8."]) from None
    except csv.Error as error:
        raise _unreadable(name, [f"line {reader.line_num}: {error}."]) from None
    if problems:
        raise _unreadable(name, problems)
    return rows


def _cell(column: str, text: str) -> Any:
    """A cell as the form takes it. What cannot be read as such stays text, and the form's own check says so."""
    if text and column in _LISTS:
        return [part.strip() for part in text.split(";") if part.strip()]
    if text and column in _JSON:
        return parse_json(text.encode()).value
    if text and column in _NUMBERS:
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if number.is_integer() else number
    return _WORDS.get(text.lower(), text) if column in _FLAGS else text


def _read_json(data: bytes, name: str) -> list[tuple[str, Mapping[str, Any]]]:
    try:
        text = parse_json(data)
    except JsonTextError as error:
        raise _unreadable(name, [f"line {error.line}: {error.args[0]}"]) from None
    problems = [f"line {each.line}: the key at {shown(each.pointer)} stands twice." for each in text.duplicates]
    if not isinstance(text.value, list):
        raise _unreadable(name, [*problems, "It holds no list of packages."])
    rows: list[tuple[str, Mapping[str, Any]]] = []
    for index, item in enumerate(text.value):
        place = f"line {text.positions.get(f'/{index}', (0, 0))[0]}"
        if isinstance(item, str):
            rows.append((place, {"source_location": item}))
        elif isinstance(item, dict):
            rows.append((place, item))
        else:
            problems.append(f"{place}: a package is a source location, or an object with the import form's fields.")
    if problems:
        raise _unreadable(name, problems)
    return rows


def _unreadable(name: str, problems: Sequence[str]) -> BatchRejected:
    more = len(problems) - MAX_SHOWN_PROBLEMS
    lines = [*problems[:MAX_SHOWN_PROBLEMS], *([f"and {more} more."] if more > 0 else [])]
    message = f"The manifest {shown(name)} cannot be read:" + "".join(f"\n  {line}" for line in lines)
    return BatchRejected("BAT001", message, "\nCorrect it and start the batch again.")


def import_run_id(batch_run_id: str, form: Mapping[str, Any]) -> str:
    """The run that imports a package: the same batch and form give the same one, whatever else the batch holds."""
    return f"{batch_run_id[:180]}.{_form_digest(form)}"


def imported_the_same(run: str, form: Mapping[str, Any]) -> bool:
    """Whether a run of another batch, or of this one, was given the very same form."""
    return run.rpartition(".")[2] == _form_digest(form)


def _form_digest(form: Mapping[str, Any]) -> str:
    text = json.dumps(form, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def short(reason: str) -> str:
    """A reason as it goes into a table."""
    return reason if len(reason) <= MAX_REASON_CHARACTERS else reason[: MAX_REASON_CHARACTERS - 1] + "…"
