"""accept: the form is checked whole, and a version is reserved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airlock.domain.record import Accepted
from airlock.domain.request import parse_request
from airlock.domain.version import EventKind, RunRef
from airlock.ports import Clock, Registry


def accept(conf: Mapping[str, Any], run: RunRef, *, registry: Registry, clock: Clock) -> Accepted:
    """Check the request and reserve its version.

    Args:
        conf: The DAG run's conf merged over the form's defaults.
        run: The run that asks.
        registry: Where the version is reserved.
        clock: For the time of acceptance.

    Raises:
        RequestRejected: The form breaks rules; nothing was reserved.
        VersionExists: The version is taken.
    """
    request = parse_request(conf)
    reservation = registry.reserve(request, run)
    registry.add_event(reservation, EventKind.NORMAL, f"Import of {request.source} started.")
    return Accepted(request=request, reservation=reservation, at=clock.now())
