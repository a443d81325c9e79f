"""Airflow's own metrics as the receiver of measurements: StatsD or OpenTelemetry, as `[metrics]` says."""

from __future__ import annotations

import logging
import sys
import threading
from datetime import timedelta
from typing import Any

from airlock.domain.metrics import STATUSES, Metric, MetricKind
from airlock.domain.notification import Notification

log = logging.getLogger(__name__)

#: A receiver that does not answer costs a task so long at most.
FLUSH_S = 3.0


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


def flush(timeout_s: float = FLUSH_S) -> None:
    """Let go of what waits in this process: a task's ends without anybody looking after it.

    StatsD's client keeps nothing. That of OpenTelemetry sends once a minute, which few tasks live for, and Airflow ends
    a task's process without the clearing up of Python's own end.

    Args:
        timeout_s: How long a receiver that is slow or away is waited for.
    """
    # Not imported where it is not in use: that takes longer than sending.
    sdk = sys.modules.get("opentelemetry.sdk.metrics")
    if sdk is None:
        return
    from opentelemetry.metrics import get_meter_provider

    provider = get_meter_provider()
    if isinstance(provider, sdk.MeterProvider):
        # Its own time-out bounds one try and not the waits between several.
        sending = threading.Thread(target=_flush, args=(provider, timeout_s), name="metrics-flush", daemon=True)
        sending.start()
        sending.join(timeout_s)
        if sending.is_alive():
            log.warning("The measurements of this task could not be sent within %.0f s.", timeout_s)


def _flush(provider: Any, timeout_s: float) -> None:
    try:
        provider.force_flush(timeout_millis=timeout_s * 1000)
    except Exception:  # as above
        log.warning("The measurements of this task could not be sent.", exc_info=True)


def count_status(notification: Notification) -> None:
    """A hook that counts versions by their new status."""
    text = notification.reason
    code = text[1 : text.index("]")] if text.startswith("[") and "]" in text else "none"
    send(STATUSES, 1, {"status": notification.status.value, "code": code})
