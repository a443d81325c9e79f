"""smoke: real requests to the real service, and its answers against what the package declares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from airlock.domain.apis import MULTIPART_TYPE
from airlock.domain.catalogue import Catalogue, Runtime
from airlock.domain.detection import Detection
from airlock.domain.device import Device
from airlock.domain.engines import ENGINES, IMAGE
from airlock.domain.image import Image
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.sample_requests import sample_requests
from airlock.domain.smoke import GoldenPair, Sample, SmokeReport, Verdict
from airlock.domain.version import EventKind
from airlock.errors import DeviceRequired, SmokeFailed
from airlock.ports.clock import Clock
from airlock.ports.expectations import Expectations
from airlock.ports.package_store import PackageStore
from airlock.ports.registry import History
from airlock.ports.running_service import Launch
from airlock.ports.runtime_backend import RuntimeBackend
from airlock.steps.bake import bake
from airlock.steps.build import Made, built_event, first_made, known_runtime, plan_for
from airlock.steps.conversation import Conversation
from airlock.steps.expected import judge_answers
from airlock.steps.measuring import passed_report, time_requests, told_event
from airlock.steps.samples import sample_files, uploaded_files
from airlock.steps.smoke_image import smoke_image


def smoke(
    device: Device,
    accepted: Accepted,
    package: Package,
    validated: Validated,
    detection: Detection,
    image: Image,
    *,
    task: str,
    attempt: int,
    store: PackageStore,
    backend: RuntimeBackend,
    registry: History,
    catalogue: Catalogue,
    clock: Clock,
    base_image_prefix: str,
    expectations: Expectations,
    log: Callable[[str], None],
    again: Sequence[GoldenPair] = (),
) -> SmokeReport:
    """Test the version on one device, in the build that uses it; where that is another one, it is made here.

    Args:
        device: The device.
        accepted: The version.
        package: The staged package.
        validated: Its configuration.
        detection: Its engine and runtime.
        image: What serves it.
        task: The task's name, for labels.
        attempt: Which try of the task this is, likewise.
        store: Where the package lies.
        backend: What runs it.
        registry: For the version's history.
        catalogue: The known runtimes.
        clock: Time.
        base_image_prefix: Replaces the public registry in base images.
        expectations: What the installation expects of the answers.
        log: Takes a line of a build's output at a time.
        again: Requests of an earlier test that are sent too, where none of today's samples is the same.

    Returns:
        A report that says passed, not served, or not run. A test that fails raises.

    Raises:
        SmokeFailed: The service did not start, or did not answer as declared.
        DeviceRequired: The request demands the device, and this worker has none or no build that uses it.
        BuildFailed: The device's own build ends with an error.
        BackendUnavailable: The engine did not answer.
    """
    report = _not_testable(device, accepted, detection, image, backend, registry)
    if report is not None:
        return report
    if detection.engine == IMAGE:
        return smoke_image(
            device,
            accepted,
            package,
            validated,
            image,
            task=task,
            attempt=attempt,
            store=store,
            backend=backend,
            registry=registry,
            expectations=expectations,
            clock=clock,
        )
    row = known_runtime(detection, catalogue)
    runtime, tested = row.as_build(image.build), image
    if not runtime.is_built_for(device):
        plans = [
            plan_for(validated, variant, package, store, backend, base_image_prefix)
            for variant in row.variants_for(device)
        ]
        made = first_made(plans, backend, log)
        if made.runtime is None or made.image is None:
            return _no_build(device, accepted, runtime, image, made, registry)
        runtime, tested = made.runtime, made.image
        registry.add_event(accepted.reservation, EventKind.NORMAL, built_event(tested))
        if accepted.request.bake_model:
            tested = bake(accepted, package, runtime, tested, store=store, backend=backend, registry=registry, log=log)
    specs = accepted.request.minimum_specs
    samples = read_samples(validated, package, store)
    sent = {sample.request for sample in samples}
    samples += tuple(Sample(name=pair.sample, request=pair.request()) for pair in again if pair.request() not in sent)
    launch = Launch(
        image=tested,
        runtime=runtime,
        package_digest=package.digest,
        model_name=accepted.reservation.model_name,
        device=device,
        cpus=specs.cpu,
        memory_mb=specs.memory_mb or runtime.memory_mb,
        run=accepted.reservation.run,
        task=task,
        attempt=attempt,
    )
    report = _tested(launch, samples, accepted, validated, detection, backend, expectations, clock)
    registry.add_event(accepted.reservation, EventKind.NORMAL, told_event(report))
    return report


def _not_testable(
    device: Device, accepted: Accepted, detection: Detection, image: Image, backend: RuntimeBackend, registry: History
) -> SmokeReport | None:
    """What is said of a device that the runtime does not serve, or that this worker does not have."""
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
    return None


def _no_build(
    device: Device, accepted: Accepted, runtime: Runtime, image: Image, made: Made, registry: History
) -> SmokeReport:
    """What is said where the worker has the device, and no build that uses it can be made here."""
    reasons = [error.message for error in made.unmade] or [f"The build of {runtime} made here uses the CPU."]
    remedies = [error.remedy for error in made.unmade if error.remedy] or ["Choose a runtime that is built for it."]
    text = f"Not tested on {device.value}: no build uses it. {' '.join(reasons)} {remedies[0]}"
    registry.add_event(accepted.reservation, EventKind.NORMAL, text)
    if device in accepted.request.required_devices:
        raise DeviceRequired(
            "SMK023",
            f"The request demands a test on {device.value}, and no build for it can be made here. {' '.join(reasons)}",
            f"{remedies[0]} Or leave {device.value} out of `required_devices`.",
        )
    return SmokeReport(device=device, verdict=Verdict.NO_BUILD, isolation=image.isolation)


def _tested(
    launch: Launch,
    samples: Sequence[Sample],
    accepted: Accepted,
    validated: Validated,
    detection: Detection,
    backend: RuntimeBackend,
    expectations: Expectations,
    clock: Clock,
) -> SmokeReport:
    """What a service that is started for it answers to the samples."""
    api = validated.config.apis[0] if validated.config.apis else None
    startup_timeout_s = accepted.request.startup_timeout_s or launch.runtime.startup_timeout_s
    with expectations.judging() as judge:
        # The judge starts beside the service, and its start is none of the service's.
        started = clock.monotonic()
        with backend.serve(launch) as service:
            start_s = clock.monotonic() - started
            test = Conversation(
                service=service,
                api=api,
                wrapped=ENGINES[detection.engine].json_only,
                clock=clock,
                memory_mb=launch.memory_mb,
            )
            test.until_ready(samples[0], started + startup_timeout_s)
            ready_s = clock.monotonic() - started
            checked = [(sample, test.check(sample)) for sample in samples]
            judge.ready()
            timed = time_requests(test, samples[0])
            suites = judge_answers(judge, checked, timed.answers, test.failed)
    return passed_report(
        launch.device,
        launch.image,
        checked,
        timed,
        suites,
        isolation=backend.isolation,
        start_s=start_s,
        ready_s=ready_s,
        memory_mb=launch.memory_mb,
        specs=accepted.request.minimum_specs,
        devices=detection.devices,
    )


def read_samples(validated: Validated, package: Package, store: PackageStore) -> tuple[Sample, ...]:
    """The requests of the test: the author's samples in `model/samples/`, else one that fits the declared schema.

    Raises:
        SmokeFailed: There is nothing to send, or a sample is unusable.
    """
    bodies, expected = sample_files(package, store)
    api = validated.config.apis[0] if validated.config.apis else None
    form = api is not None and api.request.content_type == MULTIPART_TYPE
    uploads = uploaded_files(bodies, package, store) if form else None
    samples = sample_requests(api, bodies, expected, uploads)
    if not samples:
        raise SmokeFailed(
            "SMK001",
            "There is nothing to send: the package brings no samples and declares no request schema.",
            "Add `model/samples/*.json`, or `apis` with a request schema in config.json.",
        )
    return samples
