"""What tasks measure, and what every line of their logs carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from structlog.contextvars import bind_contextvars

from airlock.domain.metrics import DEVICE_WAIT, LAYERS, PACKAGE_BYTES, STEP_TIME, VERDICTS

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.adapters.wiring import Wiring
    from airlock.domain.image import Image
    from airlock.domain.package import Package
    from airlock.domain.smoke import SmokeReport
    from airlock.domain.version import Reservation

#: The key under which a build tells when it was ready.
READY_KEY = "ready_at"


def step_ended(wiring: Wiring, step: str, outcome: str, seconds: float) -> None:
    """A step's time, which is the last that its task measures."""
    wiring.measure(STEP_TIME, seconds, {"step": step, "outcome": outcome})
    wiring.flush_measurements()


def package_fetched(wiring: Wiring, package: Package) -> None:
    """A package's bytes."""
    copied = min(package.bytes_copied, package.size_bytes)
    wiring.measure(PACKAGE_BYTES, package.bytes_copied, {"from": "source"})
    wiring.measure(PACKAGE_BYTES, package.size_bytes - copied, {"from": "store"})


def image_built(wiring: Wiring, image: Image, context: Context) -> None:
    """An image's layers; and the time from which the tests wait for their devices."""
    for layer in image.layers:
        wiring.measure(LAYERS, 1, {"layer": layer.name, "made": str(not layer.reused).lower()})
    context["ti"].xcom_push(key=READY_KEY, value=wiring.clock.now())


def device_waited(wiring: Wiring, device: str, build_task: str, context: Context) -> None:
    """How long a device's test waited for its turn."""
    ti = context["ti"]
    ready: Any = ti.xcom_pull(task_ids=build_task, key=READY_KEY) if ti.try_number == 1 else None
    if isinstance(ready, int | float) and ti.start_date is not None:
        wiring.measure(DEVICE_WAIT, max(0.0, ti.start_date.timestamp() - ready), {"device": device})


def device_tested(wiring: Wiring, report: SmokeReport) -> None:
    """A test's verdict."""
    wiring.measure(VERDICTS, 1, {"device": report.device.value, "verdict": report.verdict.value})


def name_in_log(reservation: Reservation | None, digest: str = "") -> None:
    """Let every further line of this task's log name the model, its version and its package."""
    if reservation is not None:
        bind_contextvars(model_name=reservation.model_name, model_version=reservation.model_version)
    if digest:
        bind_contextvars(package_digest=f"sha256:{digest}")
