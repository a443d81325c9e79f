"""smoke: real requests to the real service, and its answers against what the package declares."""

from __future__ import annotations

import base64
import json
from typing import Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.detection import Detection
from airlock.domain.device import Device
from airlock.domain.engines import ENGINES
from airlock.domain.image import Image
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.sample_requests import sample_requests
from airlock.domain.smoke import (
    MAX_KEPT_CHARACTERS,
    TIMED_REQUESTS,
    Sample,
    SmokeReport,
    Verdict,
    latency_of,
)
from airlock.domain.version import EventKind
from airlock.errors import DeviceRequired, SmokeFailed
from airlock.ports import Clock, Launch, PackageStore, Registry, RuntimeBackend
from airlock.steps.build import known_runtime
from airlock.steps.conversation import Conversation

MAX_SAMPLE_BYTES = 10 * 1024 * 1024


def smoke(
    device: Device,
    accepted: Accepted,
    package: Package,
    validated: Validated,
    detection: Detection,
    image: Image,
    *,
    task: str,
    store: PackageStore,
    backend: RuntimeBackend,
    registry: Registry,
    catalogue: Catalogue,
    clock: Clock,
) -> SmokeReport:
    """Test the version on one device.

    Args:
        device: The device.
        accepted: The version.
        package: The staged package.
        validated: Its configuration.
        detection: Its engine and runtime.
        image: What serves it.
        task: The task's name, for labels.
        store: Where the package lies.
        backend: What runs it.
        registry: For the version's history.
        catalogue: The known runtimes.
        clock: Time.

    Returns:
        A report that says passed, not served, or not run. A test that fails raises.

    Raises:
        SmokeFailed: The service did not start, or did not answer as declared.
        DeviceRequired: The request demands the device and this worker has none.
        BackendUnavailable: The engine did not answer.
    """
    if device not in detection.devices:
        if device in accepted.request.required_devices:
            raise DeviceRequired(
                "SMK022",
                f"The request demands a test on {device.value}; "
                f"{detection.engine} {detection.runtime} does not serve it.",
                "Choose a runtime that serves the device, or leave it out of `required_devices`.",
            )
        return SmokeReport(device=device, verdict=Verdict.NOT_SERVED, isolation=image.isolation)
    if device not in backend.devices():
        registry.add_event(accepted.reservation, EventKind.NORMAL, f"Not tested on {device.value}: no device.")
        if device in accepted.request.required_devices:
            raise DeviceRequired(
                "SMK020",
                f"The request demands a test on {device.value}; this worker has no such device.",
                f"Start a worker with one, or leave {device.value} out of `required_devices`.",
            )
        return SmokeReport(device=device, verdict=Verdict.NO_DEVICE, isolation=image.isolation)

    runtime = known_runtime(detection, catalogue)
    if not runtime.is_built_for(device):
        registry.add_event(accepted.reservation, EventKind.NORMAL, f"Not tested on {device.value}: no build uses it.")
        if device in accepted.request.required_devices:
            raise DeviceRequired(
                "SMK023",
                f"The request demands a test on {device.value}; the build of {runtime} made here uses the CPU.",
                f"Choose a runtime that is built for it, or leave {device.value} out of `required_devices`.",
            )
        return SmokeReport(device=device, verdict=Verdict.NO_BUILD, isolation=image.isolation)
    specs = accepted.request.minimum_specs
    samples = read_samples(validated, package, store)
    launch = Launch(
        image=image,
        runtime=runtime,
        package_digest=package.digest,
        model_name=accepted.reservation.model_name,
        device=device,
        cpus=specs.cpu,
        memory_mb=specs.memory_mb or runtime.memory_mb,
        run=accepted.reservation.run,
        task=task,
    )
    api = validated.config.apis[0] if validated.config.apis else None
    started = clock.monotonic()
    with backend.serve(launch) as service:
        test = Conversation(
            service=service,
            api=api,
            wrapped=ENGINES[detection.engine].json_only,
            clock=clock,
            memory_mb=launch.memory_mb,
        )
        test.until_ready(samples[0], started + (accepted.request.startup_timeout_s or runtime.startup_timeout_s))
        ready_s = clock.monotonic() - started
        answers = [test.check(sample) for sample in samples]
        # Checked too: a service that answers fast because it no longer answers right has no latency.
        times = [test.check(samples[0]).seconds for _ in range(TIMED_REQUESTS)]
        peak = service.peak_memory_bytes()
    report = SmokeReport(
        device=device,
        verdict=Verdict.PASSED,
        isolation=image.isolation,
        checked=tuple(sample.name for sample in samples),
        ready_s=round(ready_s, 3),
        latency=latency_of(times),
        peak_memory_bytes=peak,
        golden_request=_kept(samples[0].request.body),
        golden_response=_kept(answers[0].body),
    )
    registry.add_event(
        accepted.reservation,
        EventKind.NORMAL,
        f"Answered {len(samples)} checked and {TIMED_REQUESTS} timed requests on {device.value}, "
        f"ready after {ready_s:.1f} s, median {latency_of(times).p50:.1f} ms.",
    )
    return report


def read_samples(validated: Validated, package: Package, store: PackageStore) -> tuple[Sample, ...]:
    """The requests of the test: the author's samples in `model/samples/`, else one that fits the declared schema.

    Raises:
        SmokeFailed: There is nothing to send, or a sample is unusable.
    """
    bodies: dict[str, bytes] = {}
    expected: dict[str, Any] = {}
    for path, entry in store.manifest(package.digest).model_paths().items():
        if not path.startswith("samples/") or path.count("/") > 1 or not path.endswith(".json"):
            continue
        name = path[len("samples/") :]
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
    api = validated.config.apis[0] if validated.config.apis else None
    samples = sample_requests(api, bodies, expected)
    if not samples:
        raise SmokeFailed(
            "SMK001",
            "There is nothing to send: the package brings no samples and declares no request schema.",
            "Add `model/samples/*.json`, or `apis` with a request schema in config.json.",
        )
    return samples


def _kept(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "base64:" + base64.b64encode(body).decode()
    return text if len(text) <= MAX_KEPT_CHARACTERS else text[:MAX_KEPT_CHARACTERS] + "…"
