"""The samples that a package brings in `model/samples/`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airlock.domain.form_samples import read_form
from airlock.domain.package import Package
from airlock.errors import SmokeFailed
from airlock.ports.package_store import PackageStore

SAMPLES_FOLDER = "samples/"
MAX_SAMPLE_BYTES = 10 * 1024 * 1024


def sample_files(
    package: Package, store: PackageStore, *, folders: bool = False
) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Read the samples.

    Args:
        package: The staged package.
        store: Where it lies.
        folders: Whether samples in folders below `samples/` count too.

    Returns:
        Path below `samples/` → request body; and the same path → the expected answer, where the author names one.

    Raises:
        SmokeFailed: A sample is unusable.
    """
    bodies: dict[str, bytes] = {}
    expected: dict[str, Any] = {}
    for path, entry in store.manifest(package.digest).model_paths().items():
        name = path[len(SAMPLES_FOLDER) :]
        if not path.startswith(SAMPLES_FOLDER) or not path.endswith(".json") or ("/" in name and not folders):
            continue
        if entry.size_bytes > MAX_SAMPLE_BYTES:
            raise SmokeFailed(
                "SMK008",
                f"The sample model/{path} has {entry.size_bytes:,} bytes, at most {MAX_SAMPLE_BYTES:,} are sent.",
                "Bring a smaller sample.",
            )
        body = store.read(package.digest, entry, MAX_SAMPLE_BYTES)
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise SmokeFailed("SMK008", f"The sample model/{path} is not JSON: {error}.", "Correct it.") from None
        if name.endswith(".response.json"):
            expected[name.replace(".response.json", ".json")] = value
        else:
            bodies[name] = body
    return bodies, expected


def uploaded_files(bodies: Mapping[str, bytes], package: Package, store: PackageStore) -> dict[str, bytes]:
    """Read the files that samples of forms name, those that are there.

    Args:
        bodies: Name → sample, each a form.
        package: The staged package.
        store: Where it lies.

    Returns:
        File name relative to `samples/` → content.

    Raises:
        SmokeFailed: A sample is no form, or a file is too large.
    """
    entries = store.manifest(package.digest).model_paths()
    found: dict[str, bytes] = {}
    for name, body in bodies.items():
        for _, file in read_form(name, body).files:
            entry = entries.get(SAMPLES_FOLDER + file)
            if entry is None or file in found:
                continue
            if entry.size_bytes > MAX_SAMPLE_BYTES:
                raise SmokeFailed(
                    "SMK008",
                    f"The file {entry.path} has {entry.size_bytes:,} bytes, at most {MAX_SAMPLE_BYTES:,} are sent.",
                    "Bring a smaller file.",
                )
            found[file] = store.read(package.digest, entry, MAX_SAMPLE_BYTES)
    return found
