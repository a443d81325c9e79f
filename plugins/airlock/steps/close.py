"""close: whatever way a run ended, its version is decided and nothing of it is left behind."""

from __future__ import annotations

from airlock.domain.version import RunRef
from airlock.ports.registry import Registry
from airlock.ports.runtime_backend import RuntimeBackend


def close(run: RunRef, *, step: str, registry: Registry, backend: RuntimeBackend, ended: str) -> int:
    """Decide an undecided version and sweep.

    A task that is killed can say nothing; its version would stay Importing for ever.

    Args:
        run: The run that ends.
        step: The name of this step.
        registry: Where its version is.
        backend: Where its leftovers are.
        ended: How the run's tasks ended, for the version's history.

    Returns:
        How many leftovers were removed.
    """
    reservation = registry.reservation_of(run)
    if reservation is not None:
        registry.fail(reservation, step, "RUN001", f"The import ended without a result: {ended}. Start it again.")
    return backend.sweep(run)
