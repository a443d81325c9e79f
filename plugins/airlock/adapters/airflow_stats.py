"""Airflow's own metrics as the receiver of measurements: StatsD or OpenTelemetry, as `[metrics]` says."""

from __future__ import annotations

import logging
from datetime import timedelta

from airlock.domain.metrics import STATUSES, Metric, MetricKind
from airlock.domain.notification import Notification

log = logging.getLogger(__name__)


def send(metric: Metric, value: float, tags: dict[str, str]) -> None:
    """Send one measurement; a receiver that is away never fails what is measured.

    Args:
        metric: What is measured.
        value: How many more, or seconds for a timer.
        tags: What it is broken down by.

    Raises:
        ValueError: The tags are others than the table's.
    """
    checked = metric.checked(tags)
    try:
        from airflow.sdk.observability import stats

        if metric.kind is MetricKind.COUNTER:
            stats.incr(metric.name, round(value), tags=checked)
        else:
            stats.timing(metric.name, timedelta(seconds=value), tags=checked)
    except Exception:  # whatever a metrics client raises, the import goes on
        log.warning("The measurement %s could not be sent.", metric.name, exc_info=True)


def count_status(notification: Notification) -> None:
    """A hook that counts versions by their new status."""
    text = notification.reason
    code = text[1 : text.index("]")] if text.startswith("[") and "]" in text else "none"
    send(STATUSES, 1, {"status": notification.status.value, "code": code})
