"""smoke, for an image of the user's own: started as it is, asked for its health, then each declared API."""

from __future__ import annotations

from dataclasses import replace

from airlock.domain.device import Device
from airlock.domain.findings import shown
from airlock.domain.health import COMMAND_CHECK, Health
from airlock.domain.image import Image, UserImage
from airlock.domain.image_requests import ApiTest, api_tests
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.request import MinimumSpecs
from airlock.domain.smoke import (
    HttpRequest,
    HttpResponse,
    NoResponse,
    Silence,
    SmokeReport,
)
from airlock.domain.user_image import DEFAULT_MEMORY_MB, users_to_try
from airlock.domain.version import EventKind
from airlock.errors import ImageRefused, SmokeFailed
from airlock.ports.clock import Clock
from airlock.ports.expectations import Expectations
from airlock.ports.package_store import PackageStore
from airlock.ports.registry import History
from airlock.ports.running_service import ImageLaunch, RunningImage
from airlock.ports.runtime_backend import RuntimeBackend
from airlock.steps.conversation import POLL_S, WRONG_PORT_REMEDY, Conversation
from airlock.steps.expected import judge_answers
from airlock.steps.measuring import passed_report, time_requests, told_event
from airlock.steps.samples import sample_files

#: The service ended before it was healthy, or the engine could not start it: another user may do better.
_ENDED_EARLY = ("SMK010", "IMG010")


def smoke_image(
    device: Device,
    accepted: Accepted,
    package: Package,
    validated: Validated,
    image: Image,
    *,
    task: str,
    attempt: int,
    store: PackageStore,
    backend: RuntimeBackend,
    registry: History,
    expectations: Expectations,
    clock: Clock,
) -> SmokeReport:
    """Test an image on a device that this worker has.

    Args:
        device: The device.
        accepted: The version.
        package: The staged package, with samples.
        validated: Its configuration.
        image: The image.
        task: The task's name, for labels.
        attempt: Which try of the task this is, likewise.
        store: Where the package lies.
        backend: What runs it.
        registry: For the version's history.
        expectations: What the installation expects of the answers.
        clock: Time.

    Raises:
        SmokeFailed: It did not become healthy, or did not answer as declared.
        ImageRefused: It cannot be started.
        BackendUnavailable: The engine did not answer.
    """
    own = image.own or UserImage()
    tests = api_tests(validated.config.apis, own, *sample_files(package, store, folders=True))
    health = validated.config.health or Health()
    specs = accepted.request.minimum_specs
    users = users_to_try(own)
    for number, user in enumerate(users):
        launch = ImageLaunch(
            image=image,
            package_digest=package.digest,
            device=device,
            cpus=specs.cpu,
            memory_mb=specs.memory_mb or DEFAULT_MEMORY_MB,
            user=user,
            ports=tuple(dict.fromkeys(test.port for test in tests)),
            health=health,
            run=accepted.reservation.run,
            task=task,
            attempt=attempt,
        )
        patience_s = accepted.request.startup_timeout_s or health.startup_timeout_s
        try:
            report = _tested(launch, tests, specs, patience_s, backend, expectations, clock)
        except (SmokeFailed, ImageRefused) as error:
            if error.code not in _ENDED_EARLY or number + 1 == len(users):
                raise
            text = f"As user {user}: {error.message} Started again as {users[number + 1]}, as the image says."
            registry.add_event(accepted.reservation, EventKind.NORMAL, text)
            continue
        registry.add_event(accepted.reservation, EventKind.NORMAL, told_event(report))
        return report
    raise ValueError("no user to try")


def _tested(
    launch: ImageLaunch,
    tests: tuple[ApiTest, ...],
    specs: MinimumSpecs,
    patience_s: float,
    backend: RuntimeBackend,
    expectations: Expectations,
    clock: Clock,
) -> SmokeReport:
    with expectations.judging() as judge:
        started = clock.monotonic()
        with backend.serve_image(launch) as service:
            start_s = clock.monotonic() - started
            talks = [
                Conversation(
                    service=service, api=test.api, wrapped=False, clock=clock, memory_mb=launch.memory_mb, own=True
                )
                for test in tests
            ]
            # The engine's own time to start a container is none of the service's.
            _until_healthy(service, talks[0], launch, clock.monotonic(), patience_s)
            # The first answer counts as the service's readiness, as for every engine.
            answers = [talks[0].check(tests[0].samples[0])]
            ready_s = clock.monotonic() - started
            answers += [talks[0].check(sample) for sample in tests[0].samples[1:]]
            for talk, test in zip(talks[1:], tests[1:], strict=True):
                answers += [talk.check(sample) for sample in test.samples]
            judge.ready()
            timed = time_requests(talks[0], tests[0].samples[0])
            checked = list(zip((sample for test in tests for sample in test.samples), answers, strict=True))
            suites = judge_answers(judge, checked, timed.answers, talks[0].failed)
            has_shell = service.has_shell()
    report = passed_report(
        launch.device,
        launch.image,
        checked,
        timed,
        suites,
        isolation=backend.isolation,
        start_s=start_s,
        ready_s=ready_s,
        memory_mb=launch.memory_mb,
        specs=specs,
        devices=(launch.device,),
        user=launch.user,
    )
    return replace(report, has_shell=has_shell)


def _until_healthy(
    service: RunningImage, talk: Conversation, launch: ImageLaunch, started: float, patience_s: float
) -> None:
    """Ask for health as the configuration says, until it is there.

    Raises:
        SmokeFailed: The service ended, nothing listens, or it does not become healthy in time.
    """
    health, clock = launch.health, talk.clock
    deadline = started + patience_s
    request = HttpRequest(
        method="GET", path=health.url, content_type="", body=b"", port=launch.ports[0], tls=health.protocol == "https"
    )
    answer: HttpResponse | NoResponse | None = None
    wait_s = max(0.0, started + health.initial_delay_s - clock.monotonic())
    while True:
        _wait(talk, min(wait_s, max(0.0, deadline - clock.monotonic())))
        talk.alive("SMK010", "before it was healthy")
        left = deadline - clock.monotonic()
        if left <= 0:
            raise _unhealthy(talk, health, launch, patience_s, answer)
        if health.method == COMMAND_CHECK:
            # The engine runs the command itself, every period; here is only looked at what became of it.
            if service.command_passed():
                return
            wait_s = POLL_S
            continue
        got = talk.send(request, min(health.timeout_s, left))
        if isinstance(got, HttpResponse) and got.status == 200:
            return
        silence = got.silence if isinstance(got, NoResponse) else None
        # The last question may have been cut short, and says less than the one before it.
        if answer is None or silence is not Silence.TIMED_OUT or left >= health.timeout_s:
            answer = got
        # A port that nobody listens on yet is no question that failed.
        wait_s = POLL_S if silence is Silence.NOT_LISTENING else health.period_s


def _wait(talk: Conversation, seconds: float) -> None:
    """Wait, and not longer than the service lives."""
    until = talk.clock.monotonic() + seconds
    while (left := until - talk.clock.monotonic()) > 0:
        talk.alive("SMK010", "before it was healthy")
        talk.clock.sleep(min(POLL_S, left))


def _unhealthy(
    talk: Conversation,
    health: Health,
    launch: ImageLaunch,
    patience_s: float,
    answer: HttpResponse | NoResponse | None,
) -> SmokeFailed:
    within = f"within {patience_s:.0f} s"
    if isinstance(answer, NoResponse) and answer.silence is Silence.NOT_LISTENING:
        return talk.failed("SMK015", f"Nothing listened on port {launch.ports[0]} {within}.", WRONG_PORT_REMEDY)
    if health.method == COMMAND_CHECK:
        message = f"The health command {shown(health.command)} did not end with status 0 {within}."
    elif isinstance(answer, HttpResponse):
        said = shown(answer.body[:200].decode("utf-8", "replace"))
        message = f"GET {health.url} was not answered with 200 {within}; last with {answer.status}: {said}."
    elif isinstance(answer, NoResponse):
        message = f"GET {health.url} was not answered with 200 {within}; last: {answer.silence.value}."
    else:
        message = f"There was no time to ask for its health {within}: the delay is {health.initial_delay_s:.0f} s."
    return talk.failed(
        "SMK014",
        message,
        "Correct `health` in config.json or the service's check, or ask for a higher `startup_timeout_s`.",
    )
