"""The smoke test: a container's time to its first answer, and what the step itself adds to the service's time."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from airlock.adapters.catalogue_files import load_catalogue
from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_backend import DockerBackend
from airlock.adapters.expectations import ExpectationSuites, SuiteJudge
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.judge_host import JudgeHost
from airlock.adapters.local_package import DIGEST, LocalPackage
from airlock.adapters.settings import load_settings
from airlock.domain.catalogue import Catalogue
from airlock.domain.device import Device
from airlock.domain.image import PACKAGE_FOLDER, Image, plan_build
from airlock.domain.package import FetchLimits, Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.request_form import parse_request
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse
from airlock.domain.version import Reservation, RunRef
from airlock.ports.running_service import AtOnce, Launch, RunningService
from airlock.steps.check import check
from airlock.steps.smoke import smoke
from scripts.bench.measure import RunFailed
from scripts.bench.table import Row
from scripts.local_state import ROOT, free_ports

RUNTIME = "sklearn1.9-python3.11"
MEMORY_MB = 1024
READY_S = 120.0
POLL_S = 0.02
_CODE = """
from model_service.python_model_service import XgSklServingBaseService


class Service(XgSklServingBaseService):
    def __init__(self, model_path):
        pass

    def _inference(self, data):
        return [sum(row) for row in data]
"""
_CONFIG = {
    "model_type": "Scikit_Learn",
    "model_algorithm": "sum",
    "runtime": RUNTIME,
    "metrics": {},
    "apis": [],
}
REQUEST = HttpRequest(
    method="POST", path="/", content_type="application/json", body=b'{"data": {"req_data": [{"a": 1, "b": 2}]}}'
)


class _Waited:
    """A service that remembers how long was waited for its answers."""

    def __init__(self, service: RunningService, started: float) -> None:
        self._service = service
        self.started = started
        self.answers: list[tuple[float, float]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._service, name)

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        """Send, and note the time."""
        with self._noted():
            return self._service.send(request, timeout_s, max_bytes)

    def send_at_once(
        self, request: HttpRequest, plan: AtOnce, timeout_s: float, max_bytes: int
    ) -> Sequence[HttpResponse | NoResponse]:
        """Send, and note the time."""
        with self._noted():
            return self._service.send_at_once(request, plan, timeout_s, max_bytes)

    def waited_s(self, ready_s: float) -> float:
        """Seconds of waiting: until it was ready nothing else goes on; after that, the times of its answers."""
        return ready_s + sum(seconds for began, seconds in self.answers if began >= self.started + ready_s)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.answers.append((began, time.perf_counter() - began))


class _CountingBackend:
    """A backend whose services are counted."""

    def __init__(self, backend: DockerBackend) -> None:
        self._backend = backend
        self.waited: list[_Waited] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @contextlib.contextmanager
    def serve(self, launch: Launch) -> Iterator[_Waited]:
        """Start a service."""
        started = time.perf_counter()
        with self._backend.serve(launch) as service:
            self.waited.append(_Waited(service, started))
            yield self.waited[-1]


class _CountingExpectations:
    """A judge of whom is remembered how long was waited until it had started."""

    def __init__(self, suites: ExpectationSuites) -> None:
        self._suites = suites
        self.start_s = 0.0

    @contextlib.contextmanager
    def judging(self) -> Iterator[SuiteJudge]:
        """Start a judge."""
        with self._suites.judging() as judge:
            ready = judge.ready

            def counted() -> None:
                began = time.perf_counter()
                ready()
                self.start_s += time.perf_counter() - began

            judge.ready = counted  # type: ignore[method-assign]
            yield judge


class _Silent:
    """A registry that keeps nothing: its database is no part of the measure."""

    def add_event(self, *event: object) -> None:
        """Nothing."""


class _Store(LocalPackage):
    """A package that lies where the engine can mount it."""

    def folder(self, digest: str) -> str:
        """The package's folder."""
        return str(self.root)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What a smoke step took.

    Attributes:
        seconds: In all.
        waited_s: Of these, waiting for the service.
        judge_s: Of these, waiting for the judge to have started, once the service's answers were there.
    """

    seconds: float
    waited_s: float
    judge_s: float


@dataclass(frozen=True, kw_only=True)
class SmokeBench:
    """A trivial package and the image that serves it.

    Attributes:
        backend: The engine.
        image: The image, made.
        catalogue: With the image's row.
        store: The package.
        judge: What judges its answers.
    """

    backend: DockerBackend
    image: Image
    catalogue: Catalogue
    store: _Store
    judge: JudgeHost

    def first_answer_s(self) -> float:
        """Seconds from starting the sandbox to the first answer."""
        runtime = self.catalogue.find("Scikit_Learn", RUNTIME)
        if runtime is None:
            raise RunFailed(f"there is no runtime {RUNTIME}")
        launch = Launch(
            image=self.image,
            runtime=runtime,
            package_digest=DIGEST,
            model_name="bench",
            device=Device.CPU,
            cpus=None,
            memory_mb=MEMORY_MB,
            run=RunRef(dag_id="bench", run_id=uuid.uuid4().hex),
            task="smoke_cpu",
            attempt=1,
        )
        began = time.perf_counter()
        with self.backend.serve(launch) as service:
            while time.perf_counter() < began + READY_S:
                answer = service.send(REQUEST, 10, 10_000)
                if isinstance(answer, HttpResponse) and answer.status == 200:
                    return time.perf_counter() - began
                time.sleep(POLL_S)
        raise RunFailed("the container did not answer")

    def bare_s(self) -> float:
        """Seconds from `docker run` of the same image, with a port, to the first answer."""
        port, name = free_ports(1)[0], f"airlock-bench-{uuid.uuid4().hex[:8]}"
        mount = f"{self.store.root}:{PACKAGE_FOLDER}:ro"
        argv = ["docker", "run", "--detach", "--name", name, "-p", f"127.0.0.1:{port}:8080", "-v", mount]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/", REQUEST.body, {"Content-Type": "application/json"}, method="POST"
        )
        began = time.perf_counter()
        try:
            done = subprocess.run([*argv, self.image.digest], capture_output=True, text=True, check=False)
            if done.returncode:
                raise RunFailed(f"docker run failed: {done.stderr[-2000:]}")
            while time.perf_counter() < began + READY_S:
                try:
                    with opener.open(request, timeout=10) as answer:
                        answer.read()
                    return time.perf_counter() - began
                except OSError:
                    time.sleep(POLL_S)
        finally:
            subprocess.run(["docker", "rm", "--force", "--volumes", name], capture_output=True, check=False)
        raise RunFailed("the bare container did not answer")

    def step_s(self) -> Step:
        """One whole smoke step."""
        found = check(
            DIGEST,
            store=self.store,
            catalogue=self.catalogue,
            schema=json.loads((ROOT / "include/specs/config.schema.json").read_bytes()),
            limits=FetchLimits(max_package_bytes=10**9, max_objects=100),
        )
        if found.config is None or found.detection is None or not found.passed:
            raise RunFailed(f"the bench's package is refused: {[item.line() for item in found.findings]}")
        run = RunRef(dag_id="bench", run_id=uuid.uuid4().hex)
        request = parse_request({"model_name": "bench", "source_location": "s3://bench/bench/"})
        counting = _CountingBackend(self.backend)
        expectations = _CountingExpectations(
            ExpectationSuites(ROOT / "include/specs/expectations", self.judge, SystemClock())
        )
        began = time.perf_counter()
        report = smoke(
            Device.CPU,
            Accepted(
                request=request, reservation=Reservation(model_name="bench", model_version="0.0.1", run=run), at=0.0
            ),
            Package(digest=DIGEST, source="s3://bench/bench/", file_count=1, size_bytes=1, bytes_copied=0, findings=()),
            Validated(config=found.config, findings=()),
            found.detection,
            self.image,
            task="smoke_cpu",
            attempt=1,
            store=self.store,  # type: ignore[arg-type]  # what a test needs of it
            backend=counting,
            registry=_Silent(),
            catalogue=self.catalogue,
            clock=SystemClock(),
            base_image_prefix="",
            expectations=expectations,
            log=lambda line: None,
        )
        seconds = time.perf_counter() - began
        waited = counting.waited[0].waited_s(report.ready_s or 0.0)
        return Step(seconds=seconds, waited_s=waited, judge_s=expectations.start_s)


def smoke_bench(folder: Path, tell: Callable[[str], None]) -> SmokeBench:
    """A bench with its image made.

    Raises:
        BuildFailed: The image cannot be made.
        BackendUnavailable: No engine answers.
    """
    model = folder / "package" / "model"
    (model / "samples").mkdir(parents=True)
    (model / "customize_service.py").write_text(_CODE)
    (model / "model.m").write_bytes(b"\x80\x02N.")
    (model / "config.json").write_text(json.dumps(_CONFIG))
    (model / "samples" / "one.json").write_bytes(REQUEST.body)
    values = {"store": str(folder / "store"), "runtimes_dir": str(folder / "r"), "work_dir": str(folder / "w")}
    settings = load_settings(lambda key: values.get(key) or os.environ.get(f"AIRFLOW__AIRLOCK__{key.upper()}", ""))
    store = _Store(folder / "package")
    backend = DockerBackend(
        settings=settings,
        install=InstallSettings.from_settings(settings),
        package_folder=store.folder,
        clock=SystemClock(),
    )
    catalogue = load_catalogue(ROOT / "include")
    runtime = catalogue.find("Scikit_Learn", RUNTIME)
    if runtime is None:
        raise RunFailed(f"there is no runtime {RUNTIME}")
    plan = plan_build(
        runtime,
        (),
        serving_digest=backend.serving_digest(runtime),
        base_image_prefix=settings.base_image_prefix,
        package_digest=DIGEST,
        bundled_digests={},
    )
    tell(f"making the image of {runtime}")
    image = replace(backend.build(plan, lambda line: None), layers=())
    # In the bench's folder: it ends with it.
    judge = JudgeHost(folder / "judge", settings.judge_idle_s)
    return SmokeBench(backend=backend, image=image, catalogue=catalogue, store=store, judge=judge)


def rows(bench: SmokeBench, *, runs: int, tell: Callable[[str], None]) -> Iterator[Row]:
    """The rows about the smoke test.

    Args:
        bench: The bench.
        runs: How often each side is run, in turns.
        tell: Takes a line of progress.
    """
    ours, bare, steps = [], [], []
    for _ in range(runs):
        ours.append(bench.first_answer_s())
        bare.append(bench.bare_s())
        steps.append(bench.step_s())
        step = steps[-1]
        tell(
            f"first answer {ours[-1]:.2f} s, of docker run {bare[-1]:.2f} s; step {step.seconds:.2f} s, of which the "
            f"service {step.waited_s:.2f} s and the judge's start {step.judge_s:.2f} s"
        )
    first, other = statistics.median(ours), statistics.median(bare)
    name = "sandbox start to first answer, trivial model, to `docker run` of the same image"
    yield Row(name=name, value=first / other, unit="ratio", target=1.5, ours=first, anchor=other)
    own = statistics.median(step.seconds - step.waited_s for step in steps)
    yield Row(name="smoke step beyond waiting for the service", value=own, unit="s", target=2.0)
    own = statistics.median(step.seconds - step.waited_s - step.judge_s for step in steps)
    yield Row(name="the same without the start of Great Expectations", value=own, unit="s", target=2.0)
