"""The samples that a package brings in `model/samples/`."""

from __future__ import annotations

import json
from typing import Any

from airlock.domain.package import Package
from airlock.errors import SmokeFailed
from airlock.ports import PackageStore

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
