"""smoke: real requests to the real service, and its answers against what the package declares."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from airlock.domain.apis import Api
from airlock.domain.catalogue import Catalogue
from airlock.domain.detection import Detection
from airlock.domain.device import Device
from airlock.domain.engines import ENGINES
from airlock.domain.findings import shown
from airlock.domain.image import Image
from airlock.domain.judging import judge
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.sample_requests import sample_requests
from airlock.domain.smoke import (
    MAX_KEPT_CHARACTERS,
    MAX_RESPONSE_BYTES,
    REQUEST_TIMEOUT_S,
    TIMED_REQUESTS,
    HttpResponse,
    NoResponse,
    Sample,
    Silence,
    SmokeReport,
    Verdict,
    latency_of,
)
from airlock.domain.version import EventKind
from airlock.errors import DeviceRequired, SmokeFailed
from airlock.ports import Clock, Launch, PackageStore, Registry, RunningService, RuntimeBackend
from airlock.steps.build import known_runtime

POLL_S = 0.2
MAX_SAMPLE_BYTES = 10 * 1024 * 1024
#: The serving code sets it while threads that the package's constructor started are still at work.
LOADING_STATUS = 503
_MARKED_ERROR = re.compile(r"^AIRLOCK-(STARTUP|PREDICT)-ERROR (\{.*\})\s*$", re.MULTILINE)


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
        test = _Test(
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


@dataclass(slots=True, kw_only=True)
class _Test:
    """One conversation with a service; every failure says what the service itself logged."""

    service: RunningService
    api: Api | None
    wrapped: bool
    clock: Clock
    memory_mb: int
    #: Sample → the last body that was found right: the same bytes again need no second look.
    right: dict[str, bytes] = field(default_factory=dict)

    def until_ready(self, sample: Sample, deadline: float) -> None:
        """Send until the first successful prediction: packages load in the background, an open port is not enough."""
        while True:
            self._alive("SMK010", "before it was ready")
            left = deadline - self.clock.monotonic()
            if left <= 0:
                raise self._failed(
                    "SMK011",
                    "The service was not ready in time.",
                    "Load faster, or ask for a higher `startup_timeout_s`.",
                )
            answer = self.service.send(sample.request, min(REQUEST_TIMEOUT_S, left), MAX_RESPONSE_BYTES)
            if isinstance(answer, HttpResponse):
                if answer.status == 200:
                    return
                if answer.status != LOADING_STATUS:
                    self._judge(sample, answer)
            elif answer.silence is Silence.TOO_LARGE or (
                answer.silence is Silence.TIMED_OUT and left > REQUEST_TIMEOUT_S
            ):
                raise self._silent(sample, answer)
            self.clock.sleep(POLL_S)

    def check(self, sample: Sample) -> HttpResponse:
        """Send once and check the answer; anything but an answer is a failure."""
        answer = self.service.send(sample.request, REQUEST_TIMEOUT_S, MAX_RESPONSE_BYTES)
        if isinstance(answer, NoResponse):
            raise self._silent(sample, answer)
        self._judge(sample, answer)
        return answer

    def _judge(self, sample: Sample, answer: HttpResponse) -> None:
        if answer.status == 200 and self.right.get(sample.name) == answer.body:
            return
        wrong = judge(answer, self.api, wrapped=self.wrapped, expected=sample.expected)
        if wrong is None:
            self.right[sample.name] = answer.body
            return
        remedy = {
            "SMK003": "Correct the inference code at that place.",
            "SMK004": "Return values that JSON can hold; NaN and Infinity are none.",
            "SMK005": "Correct `apis[0].response.data` in config.json, or what _postprocess returns.",
            "SMK006": "Correct the sample's expected answer, or the model.",
        }[wrong.code]
        raise self._failed(wrong.code, f"Request {sample.name}: {wrong.message}.", remedy)

    def _silent(self, sample: Sample, answer: NoResponse) -> SmokeFailed:
        self._alive("SMK012", f"while it answered {sample.name}")
        cases: Mapping[Silence, tuple[str, str]] = {
            Silence.TIMED_OUT: ("SMK002", f"One prediction may take {REQUEST_TIMEOUT_S:.0f} s at most."),
            Silence.TOO_LARGE: ("SMK007", f"One answer may have {MAX_RESPONSE_BYTES:,} bytes at most."),
        }
        code, remedy = cases.get(answer.silence, ("SMK012", "See the service's log."))
        message = f"Request {sample.name} got {answer.silence.value} after {answer.seconds:.1f} s."
        return self._failed(code, message, remedy)

    def _alive(self, code: str, when: str) -> None:
        end = self.service.exit()
        if end is None:
            return
        if end.out_of_memory:
            raise self._failed(
                "SMK013",
                f"The service used more than its {self.memory_mb:,} MB of memory and was ended {when}.",
                "Ask for a higher `min_memory_mb`, or load less.",
            )
        raise self._failed(code, f"The service ended with status {end.status} {when}.", "Correct the inference code.")

    def _failed(self, code: str, message: str, remedy: str) -> SmokeFailed:
        log = self.service.log_tail()
        return SmokeFailed(code, " ".join((message, *_cause(log))), remedy, log)


def _cause(log: str) -> tuple[str, ...]:
    """What the serving code said of the last failure. The log is the package's own word: shown, not believed."""
    marks = _MARKED_ERROR.findall(log)
    if not marks:
        return ()
    try:
        facts = json.loads(marks[-1][1])
        stage, kind, message = (shown(str(facts[key])) for key in ("stage", "type", "message"))
        place = f" at model/{shown(str(facts['file']))}:{int(facts['line'])}" if facts.get("file") else ""
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return ()
    return (f"{kind} in stage {stage}{place}: {message}",)


def _kept(body: bytes) -> str:
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "base64:" + base64.b64encode(body).decode()
    return text if len(text) <= MAX_KEPT_CHARACTERS else text[:MAX_KEPT_CHARACTERS] + "…"
