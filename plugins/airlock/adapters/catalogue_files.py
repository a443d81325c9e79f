"""The catalogue as files: include/runtimes/catalogue/<engine>/<runtime>.yaml and the pins that belong to each.

A wrong entry is refused as a whole, with its file: half a catalogue would send models to other runtimes than they name.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml
from referencing import Registry

from airlock.domain.catalogue import Catalogue, Runtime, ServiceSpec, Variant
from airlock.domain.device import Device
from airlock.errors import SettingInvalid

MAX_FILE_BYTES = 200_000
_PIN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?==[A-Za-z0-9.!+]+")


def load_catalogue(include_dir: Path) -> Catalogue:
    """Read every entry.

    Args:
        include_dir: The folder that has `runtimes/` and `specs/`.

    Raises:
        SettingInvalid: A file cannot be read, breaks the schema, or contradicts another.
    """
    validator = jsonschema.Draft202012Validator(
        json.loads(_text(include_dir / "specs" / "runtime.schema.json")), registry=Registry()
    )
    folder = include_dir / "runtimes" / "catalogue"
    constraints = include_dir / "runtimes" / "images" / "constraints"
    runtimes = [_runtime(path, constraints, validator) for path in sorted(folder.glob("*/*.yaml"))]
    if not runtimes:
        raise _wrong(folder, "it holds no entry")
    catalogue = Catalogue.of(runtimes)
    defaults = Counter(runtime.engine for runtime in runtimes if runtime.default)
    for runtime in runtimes:
        path = folder / runtime.engine / f"{runtime.name}.yaml"
        if defaults[runtime.engine] != 1:
            count = defaults[runtime.engine]
            raise _wrong(path, f"{runtime.engine} has {count} default runtimes, exactly one is needed")
        if runtime.nearest and catalogue.find(runtime.engine, runtime.nearest) is None:
            raise _wrong(path, f"its nearest runtime {runtime.nearest!r} is not in the catalogue")
    return catalogue


def _runtime(path: Path, constraints: Path, validator: jsonschema.Draft202012Validator) -> Runtime:
    entry = _entry(path)
    error = jsonschema.exceptions.best_match(validator.iter_errors(entry))
    if error is not None:
        raise _wrong(path, f"/{'/'.join(str(part) for part in error.absolute_path)}: {error.message[:300]}")
    if (entry["engine"], entry["runtime"]) != (path.parent.name, path.stem):
        raise _wrong(path, f"it describes {entry['engine']} {entry['runtime']}; its place must be its key")
    pins = constraints / entry["engine"] / f"{entry['runtime']}.txt"
    return Runtime(
        engine=entry["engine"],
        name=entry["runtime"],
        engine_version=entry["engine_version"],
        status=entry["status"],
        python=entry["python"],
        architectures=tuple(entry["architectures"]),
        devices=tuple(Device(name) for name in entry["devices"]),
        default=entry["default"],
        available=entry["available"],
        unavailable_reason=entry.get("unavailable_reason", ""),
        nearest=entry.get("nearest", ""),
        base_image=entry["base_image"],
        base_image_digest=entry["base_image_digest"] or "",
        system_packages=tuple(entry["system_packages"]),
        extra_index_urls=tuple(entry["extra_index_urls"]),
        service=ServiceSpec(base_class=entry["service"]["base_class"], model_path=entry["service"]["model_path"]),
        environment=tuple(sorted(entry["environment"].items())),
        startup_timeout_s=float(entry["startup_timeout_s"]),
        memory_mb=entry["memory_mb"],
        constraints=_constraints(pins) if entry["available"] else "",
        base_recipe=entry.get("base_recipe", ""),
        stand_in=entry.get("stand_in", "").strip(),
        variants=_variants(entry, pins) if entry["available"] else (),
    )


def _variants(entry: Mapping[str, Any], pins: Path) -> tuple[Variant, ...]:
    """The other builds of a row; what a variant does not give is that of the row."""
    return tuple(
        Variant(
            name=name,
            devices=tuple(Device(device) for device in variant["devices"]),
            base_image=variant["base_image"],
            base_recipe=variant.get("base_recipe", ""),
            system_packages=tuple(variant.get("system_packages", entry["system_packages"])),
            environment=tuple(sorted(variant.get("environment", entry["environment"]).items())),
            constraints=_constraints(pins.with_name(f"{entry['runtime']}.{name}.txt")),
        )
        for name, variant in sorted(entry.get("variants", {}).items())
    )


def _entry(path: Path) -> Mapping[str, Any]:
    try:
        entry = yaml.load(_text(path), Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        raise _wrong(path, str(error)) from None
    if not isinstance(entry, dict):
        raise _wrong(path, "a mapping is expected")
    return entry


def _constraints(path: Path) -> str:
    """The pins without comments, so that a comment never makes another image."""
    lines = [line.strip() for line in _text(path).splitlines()]
    pins = [line for line in lines if line and not line.startswith("#")]
    bad = [line for line in pins if not _PIN.fullmatch(line)]
    if bad or not pins:
        raise _wrong(path, f"{bad[0]!r} is no exact pin" if bad else "it holds no pin")
    return "".join(f"{pin}\n" for pin in sorted(pins))


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _wrong(path, f"it has more than {MAX_FILE_BYTES:,} bytes")
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from None


def _wrong(path: Path, reason: str) -> SettingInvalid:
    return SettingInvalid(
        "SET011", f"The catalogue file {path} cannot be used: {reason}.", "Correct it, or restore the release's own."
    )


# The reader of libyaml says the same in a tenth of the time, where it was built in.
_SafeLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _StrictLoader(_SafeLoader):  # type: ignore[misc, valid-type]
    """YAML where a key given twice is an error instead of the last one winning."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """The mapping, each key once."""
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"the key {key!r} is given twice", key_node.start_mark
                )
            seen.add(key)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping
