"""plan: which registered versions a sweep looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.sweep_request import SweepRequest
from airlock.domain.sweeping import Standing, SweepPlan, plan_sweep, rules_fingerprint, runtime_fingerprint
from airlock.errors import NoSuchVersion
from airlock.ports.clock import Clock
from airlock.registry_ports import Sweeps


def choose_versions(
    request: SweepRequest,
    *,
    sweeps: Sweeps,
    catalogue: Catalogue,
    schema: Mapping[str, Any],
    release: str,
    base_image_prefix: str,
    clock: Clock,
) -> SweepPlan:
    """Choose what a sweep looks at, most overdue first; nothing is read but the registry.

    Args:
        request: The sweep.
        sweeps: The registry.
        catalogue: The known runtimes.
        schema: include/specs/config.schema.json.
        release: Airlock's own version.
        base_image_prefix: Replaces the public registry in base images.
        clock: Time.

    Raises:
        NoSuchVersion: A version is asked for by name, and there is none that could be tested.
        RegistryUnavailable: The registry did not answer.
    """
    standings = sweeps.standings((request.model_name,) if request.model_name else (), request.model_version)
    if request.model_name and not standings:
        asked = f"{request.model_name} {request.model_version}".rstrip()
        raise NoSuchVersion(
            "REG008",
            f"There is no version of {asked} with status Normal or Abnormal.",
            "Look at the list of models; only what was imported is tested again.",
        )
    rules = rules_fingerprint(release, schema, catalogue)
    return plan_sweep(standings, request, clock.now(), rules, runtimes_now(catalogue, base_image_prefix))


def runtimes_now(catalogue: Catalogue, base_image_prefix: str) -> Callable[[Standing], str]:
    """A function that gives a version's fingerprint of its runtime's entry today; each is made once."""
    known: dict[tuple[str, str, str], str] = {}

    def fingerprint(standing: Standing) -> str:
        key = (standing.engine, standing.runtime, standing.build)
        if key not in known:
            known[key] = ""
            row = catalogue.find(standing.engine, standing.runtime) if standing.runtime else None
            if row is not None and row.has_build(standing.build):
                known[key] = runtime_fingerprint(row.as_build(standing.build), base_image_prefix)
        return known[key]

    return fingerprint
