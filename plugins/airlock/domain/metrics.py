"""The measurements that an installation sends through Airflow's own metrics: one table of names, kinds and tags.

Operations page, dashboard and tests read it; nothing is sent that does not stand here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass

#: Airflow leaves a measurement out whose name or tags have other characters.
_NOT_SENT = re.compile(r"[^A-Za-z0-9_.-]+")


class MetricKind(enum.StrEnum):
    """What a metric is to Airflow."""

    COUNTER = "counter"
    #: Milliseconds on the way to the receiver.
    TIMER = "timer"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measurement.

    Attributes:
        name: Its name, without the prefix that Airflow puts before it.
        kind: What it is.
        tags: What it is broken down by: few values each, and never the name of a model.
        meaning: What it says, with its unit.
    """

    name: str
    kind: MetricKind
    tags: tuple[str, ...]
    meaning: str

    def checked(self, tags: Mapping[str, str]) -> dict[str, str]:
        """The tags of one measurement, in the table's order and of the characters that Airflow sends.

        Raises:
            ValueError: They are others than the table's.
        """
        if set(tags) != set(self.tags):
            raise ValueError(f"{self.name} has the tags {self.tags}, not {tuple(tags)}")
        return {name: _NOT_SENT.sub("_", tags[name]) for name in self.tags}


STATUSES = Metric(
    name="airlock.versions",
    kind=MetricKind.COUNTER,
    tags=("status", "code"),
    meaning="versions whose status changed, by the new one (`Normal`, `Failed`, `Abnormal`) and the reason's code",
)
STEP_TIME = Metric(
    name="airlock.step.duration",
    kind=MetricKind.TIMER,
    tags=("step", "outcome"),
    meaning="time of a step without Airflow's own part; `outcome` is `done`, `skipped`, `waiting` (for a person or a "
    "trigger), `refused` (final) or `broken` (Airflow tries again)",
)
PACKAGE_BYTES = Metric(
    name="airlock.package.bytes",
    kind=MetricKind.COUNTER,
    tags=("from",),
    meaning="bytes of fetched packages: copied from the `source`, or there already in the `store`",
)
LAYERS = Metric(
    name="airlock.image.layers",
    kind=MetricKind.COUNTER,
    tags=("layer", "made"),
    meaning="layers of images: `made` is `true` where it was built, `false` where it was there",
)
DEVICE_WAIT = Metric(
    name="airlock.device.wait",
    kind=MetricKind.TIMER,
    tags=("device",),
    meaning="time from the end of the build to the start of the test on a device: queue, pool and Airflow's own "
    "part; of first tries",
)
VERDICTS = Metric(
    name="airlock.device.tests",
    kind=MetricKind.COUNTER,
    tags=("device", "verdict"),
    meaning="tests that ended without an error, by device and verdict",
)

METRICS = (STATUSES, STEP_TIME, PACKAGE_BYTES, LAYERS, DEVICE_WAIT, VERDICTS)


def exported_names(metric: Metric, prefix: str = "airflow") -> tuple[str, ...]:
    """What Prometheus knows a metric as, where its statsd_exporter receives it with the standard mapping.

    Args:
        metric: The metric.
        prefix: Airflow's `[metrics] statsd_prefix`.
    """
    name = f"{prefix}.{metric.name}".replace(".", "_")
    # A timer is a summary in seconds.
    return (name,) if metric.kind is MetricKind.COUNTER else (name, f"{name}_sum", f"{name}_count")
