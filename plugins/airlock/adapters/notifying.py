"""A registry that tells when a version's status changes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from airlock.domain.notification import Notification
from airlock.domain.record import ModelVersion
from airlock.domain.registered import HealthPoint
from airlock.domain.revalidation import Seen
from airlock.domain.version import Reservation, RunRef, Status
from airlock.ports.clock import Clock
from airlock.ports.registry import Registry

log = logging.getLogger(__name__)
#: Takes a notification. What it raises is logged: the version's status stands whatever.
Hook = Callable[[Notification], None]


def airflow_hook(path: str) -> Hook:
    """A notifier of Airflow (`airflow.sdk.BaseNotifier`) as a hook.

    Its templates and its `notify` find the notification in the context as `airlock`.

    Args:
        path: Dotted name of an instance, or of something that makes one without arguments.
    """

    def tell(notification: Notification) -> None:
        from airflow.sdk.module_loading import import_string

        found = import_string(path)
        notifier = found if hasattr(found, "notify") and not isinstance(found, type) else found()
        notifier({"airlock": notification})

    return tell


class NotifyingRegistry:
    """Does what a registry does, and tells hooks afterwards.

    Args:
        registry: The registry.
        hooks: Who is told.
        clock: For the time.
    """

    def __init__(self, registry: Registry, hooks: Sequence[Hook], clock: Clock) -> None:
        self._registry = registry
        self._hooks = hooks
        self._clock = clock

    def __getattr__(self, name: str) -> Any:
        return getattr(self._registry, name)

    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        """Make the version Normal, and tell it."""
        self._registry.complete(version, details)
        self._tell(version.accepted.reservation, Status.NORMAL, "", version.summary())

    def fail(
        self, reservation: Reservation, step: str, code: str, reason: str, report: Mapping[str, Any] | None = None
    ) -> bool:
        """Make the version Failed, and tell it where it was not before."""
        failed = self._registry.fail(reservation, step, code, reason, report)
        if failed:
            self._tell(reservation, Status.FAILED, reason, {})
        return failed

    def judge(
        self,
        model_name: str,
        model_version: str,
        run: RunRef,
        points: Sequence[HealthPoint],
        reason: str,
        told: Sequence[str] = (),
        seen: Seen | None = None,
    ) -> bool:
        """Keep a later test, and tell where the version's status changed by it."""
        changed = self._registry.judge(model_name, model_version, run, points, reason, told, seen)
        if changed:
            reservation = Reservation(model_name=model_name, model_version=model_version, run=run)
            self._tell(reservation, Status.ABNORMAL if reason else Status.NORMAL, reason, {})
        return changed

    def _tell(self, reservation: Reservation, status: Status, reason: str, summary: Mapping[str, Any]) -> None:
        notification = Notification(
            model_name=reservation.model_name,
            model_version=reservation.model_version,
            status=status,
            reason=reason,
            run=str(reservation.run),
            at=self._clock.now(),
            summary=summary,
        )
        for hook in self._hooks:
            try:
                hook(notification)
            except Exception:  # an installation's own code: what it raises must not undo what is told
                log.warning("A notification hook failed", exc_info=True)
