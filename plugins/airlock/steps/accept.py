"""accept: the form is checked whole, and a version is reserved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from airlock.domain.record import Accepted
from airlock.domain.request_form import parse_request
from airlock.domain.version import EventKind, RunRef
from airlock.ports.clock import Clock
from airlock.ports.registry import Registry


def accept(conf: Mapping[str, Any], run: RunRef, *, registry: Registry, clock: Clock, by: str = "") -> Accepted:
    """Check the request and reserve its version, or take up the registered one that it rebuilds.

    Args:
        conf: The DAG run's conf merged over the form's defaults.
        run: The run that asks.
        registry: Where the version is reserved.
        clock: For the time of acceptance.
        by: The user who started the run, empty where Airflow names none.

    Raises:
        RequestRejected: The form breaks rules; nothing was reserved.
        VersionExists: The version is taken.
        NoSuchVersion: There is no such version to rebuild.
        VersionBusy: It cannot be rebuilt as it stands.
    """
    request = parse_request(conf)
    if request.rebuild and request.model_version is not None:
        begun = registry.begin_rebuild(request.model_name, request.model_version, run, by)
        # A version is immutable but for these.
        request = replace(begun.request, dependencies=request.dependencies, rebuild=True)
        registry.add_event(begun.reservation, EventKind.NORMAL, "Update of the runtime dependencies started.")
        return Accepted(
            request=request, reservation=begun.reservation, at=clock.now(), package_digest=begun.package_digest
        )
    reservation = registry.reserve(request, run, by)
    registry.add_event(reservation, EventKind.NORMAL, f"Import of {request.source} started.")
    return Accepted(request=request, reservation=reservation, at=clock.now())
