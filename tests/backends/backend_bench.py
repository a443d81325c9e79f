"""What the backends' tests build and serve: one tiny real runtime, and packages that behave and misbehave."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import textwrap
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_backend import DockerBackend
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.process_backend import ProcessBackend
from airlock.adapters.settings import Settings, load_settings
from airlock.domain.baking import BakePlan, plan_bake
from airlock.domain.catalogue import Runtime, ServiceSpec
from airlock.domain.dependencies import Dependency
from airlock.domain.device import Device
from airlock.domain.image import BuildPlan, Image, plan_build
from airlock.domain.package import FileEntry, Manifest
from airlock.domain.smoke import HttpRequest, HttpResponse
from airlock.domain.version import RunRef
from airlock.ports.running_service import Launch, RunningService
from airlock.ports.runtime_backend import RuntimeBackend

ROOT = Path(__file__).resolve().parents[2]
PINS = "gunicorn==27.0.1\nmarkupsafe==3.0.4\npackaging==26.3\nwerkzeug==3.1.9\n"
MEMORY_MB = 300
READY_S = 60.0
BASE_IMAGE = "python:3.11-slim"

TINY = Runtime(
    engine="Scikit_Learn",
    name="tiny",
    engine_version="1.0",
    status="current",
    python="3.11",
    architectures=("x86_64", "aarch64"),
    devices=(Device.CPU,),
    default=True,
    available=True,
    unavailable_reason="",
    nearest="",
    base_image=BASE_IMAGE,
    base_image_digest="",
    system_packages=(),
    extra_index_urls=(),
    service=ServiceSpec(base_class="model_service.python_model_service:XgSklServingBaseService", model_path="*.m"),
    environment=(),
    startup_timeout_s=60,
    memory_mb=MEMORY_MB,
    constraints=PINS,
)

_SERVICE = """
import json, os, socket, subprocess, sys, time
from model_service.python_model_service import XgSklServingBaseService

class Service(XgSklServingBaseService):
    def __init__(self, model_path=None):
        {start}

    def _preprocess(self, data):
        return json.loads(data)

    def _inference(self, data):
        {predict}

    def _postprocess(self, data):
        return data
"""

PACKAGES = {
    "adds": ("pass", "return sum(data['numbers'])"),
    "fails-to-start": ("raise ValueError('no such model')", "return 0"),
    "eats-memory-at-start": ("self.eaten = [b'x' * 1000000 for _ in range(100000)]", "return 0"),
    "eats-memory": ("pass", "self.eaten = [b'x' * 1000000 for _ in range(100000)]"),
    "sleeps": ("pass", "time.sleep(600)"),
    "answers-hugely": ("pass", "return 'x' * 5000000"),
    "floods-its-log": ("pass", "print('y' * 20000000); print('the end', flush=True); return 1"),
    "crashes": ("pass", "os.abort()"),
    "tells-its-environment": ("pass", "return dict(os.environ)"),
    "uses-a-dependency": ("pass", "import six; return six.__version__"),
    "uses-a-bundled-wheel": ("pass", "import brought; return brought.ANSWER"),
    "finds-caffe": ("pass", "import importlib.util; return importlib.util.find_spec('caffe') is not None"),
    "big": ("pass", "return 0"),
    "leaves-a-process": (
        "pass",
        "command = [sys.executable, '-c', 'import time; time.sleep(600)', os.environ['AIRLOCK_TEST_TOKEN']]\n"
        "return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL).pid",
    ),
}


def service_source(start: str, predict: str) -> str:
    """The inference code of a package."""
    indent = " " * 8
    return _SERVICE.format(
        start=textwrap.indent(start, indent).lstrip(), predict=textwrap.indent(predict, indent).lstrip()
    )


def write_package(folder: Path, start: str, predict: str) -> None:
    """A package: inference code, a model file, a configuration, and a wheel of its own."""
    model = folder / "model"
    (model / "wheels").mkdir(parents=True)
    (model / "customize_service.py").write_text(service_source(start, predict))
    (model / "model.m").write_bytes(b"no model")
    (model / "config.json").write_text(json.dumps({"model_type": "Scikit_Learn"}))
    with zipfile.ZipFile(model / "wheels" / "brought-1.0-py3-none-any.whl", "w") as wheel:
        about = "brought-1.0.dist-info"
        wheel.writestr("brought.py", "ANSWER = 42\n")
        wheel.writestr(f"{about}/METADATA", "Metadata-Version: 2.1\nName: brought\nVersion: 1.0\n")
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", f"brought.py,,\n{about}/METADATA,,\n{about}/WHEEL,,\n{about}/RECORD,,\n")


def predict(value: Any = None) -> HttpRequest:
    """A prediction request."""
    body = json.dumps({"numbers": [1, 2, 3]} if value is None else value).encode()
    return HttpRequest(method="POST", path="/", content_type="application/json", body=body)


def until_ready(service: RunningService, seconds: float = READY_S) -> None:
    """Wait until the service listens; a service that ended never will."""
    deadline = time.monotonic() + seconds
    health = HttpRequest(method="GET", path="/health", content_type="application/json", body=b"")
    while time.monotonic() < deadline:
        answer = service.send(health, 5.0, 10_000)
        if isinstance(answer, HttpResponse) and answer.status == 200:
            return
        assert service.exit() is None, service.log_tail()
        time.sleep(0.05)
    raise AssertionError(f"not ready: {service.log_tail()}")


def ask(service: RunningService, value: Any = None, timeout_s: float = 30.0) -> Any:
    """The answer to a prediction request."""
    answer = service.send(predict(value), timeout_s, 100_000)
    assert isinstance(answer, HttpResponse), (answer, service.log_tail())
    assert answer.status == 200, (answer, service.log_tail())
    return json.loads(answer.body)["data"]["resp_data"]


def until_ended(service: RunningService, seconds: float = 30.0) -> Any:
    """How the service ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        end = service.exit()
        if end is not None:
            return end
        time.sleep(0.05)
    raise AssertionError(f"still running: {service.log_tail()}")


@dataclass
class Bench:
    """One backend with one runtime that no other session has."""

    kind: str
    folder: Path
    token: str
    isolation: str = "none"
    lines: list[str] = field(default_factory=list)
    _images: dict[str, Image] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        values = {
            "store": str(self.folder / "store"),
            "runtimes_dir": str(self.folder / "runtimes"),
            "work_dir": str(self.folder / "work"),
            "build_timeout_s": "300",
            "process_isolation": self.isolation,
            "build_network": os.environ.get("AIRFLOW__AIRLOCK__BUILD_NETWORK", ""),
        }
        return load_settings(lambda key: values.get(key, ""))

    @property
    def runtime(self) -> Runtime:
        # Its own base layer, which an earlier session has not made.
        return replace(
            TINY,
            constraints=f"# {self.token}\n{TINY.constraints}",
            environment=(("AIRLOCK_TEST_TOKEN", self.token),),
        )

    def backend(self, **changes: Any) -> RuntimeBackend:
        """A new backend object, as each Airflow task has one."""
        settings = replace(self.settings, **{key: changes.pop(key) for key in list(changes) if hasattr(Settings, key)})
        install = changes.pop("install", None) or InstallSettings.from_settings(settings)
        make = DockerBackend if self.kind == "docker" else ProcessBackend
        changes.setdefault("package_folder", self.package_folder)
        return make(settings=settings, install=install, clock=SystemClock(), **changes)

    def package_folder(self, digest: str) -> str:
        folder = self.folder / "packages" / digest
        if not folder.exists():
            write_package(folder, *PACKAGES[digest])
        return str(folder)

    def plan(self, *dependencies: Dependency, package: str = "adds", runtime: Runtime | None = None) -> BuildPlan:
        wheel = Path(self.package_folder(package), "model", "wheels", "brought-1.0-py3-none-any.whl").read_bytes()
        return plan_build(
            runtime or self.runtime,
            dependencies,
            serving_digest=self.backend().serving_digest(runtime or self.runtime),
            base_image_prefix="",
            package_digest=package,
            bundled_digests={"wheels/brought-1.0-py3-none-any.whl": hashlib.sha256(wheel).hexdigest()},
        )

    def image(self, *dependencies: Dependency, package: str = "adds") -> Image:
        """The built runtime, made once in a session."""
        plan = self.plan(*dependencies, package=package)
        if plan.key not in self._images:
            self._images[plan.key] = self.backend().build(plan, self.lines.append)
        return self._images[plan.key]

    def launch(
        self, package: str = "adds", *, image: Image | None = None, run: str = "run", task: str = "smoke"
    ) -> Launch:
        return Launch(
            image=image or self.image(),
            runtime=self.runtime,
            package_digest=package,
            model_name="tested",
            device=Device.CPU,
            cpus=None,
            memory_mb=MEMORY_MB,
            run=RunRef(dag_id=f"test-{self.token}", run_id=run),
            task=task,
            attempt=1,
        )

    def serve(self, package: str = "adds", **options: Any) -> AbstractContextManager[RunningService]:
        return self.backend().serve(self.launch(package, **options))

    def containers(self, run: str) -> list[str]:
        """The containers of a run."""
        import docker

        client = docker.from_env()
        try:
            label = f"io.airlock.run=test-{self.token}/{run}"
            return [
                container.name
                for container in client.containers.list(all=True, filters={"label": label}, ignore_removed=True)
            ]
        finally:
            client.close()

    def leftovers(self, run: str = "run") -> list[str]:
        """Whatever a run has left: folders, containers, processes."""
        found = [str(path) for path in (self.folder / "work" / "runs").glob("*/*")]
        if self.kind == "docker":
            found += self.containers(run)
        else:
            found += [str(pid) for pid in processes_with(b"AIRLOCK_TEST_TOKEN=" + self.token.encode())]
        return found


def processes_with(mark: bytes) -> list[int]:
    """Processes that carry a variable in their environment."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
            except OSError:
                continue
    return found


def until_detached(bench: Bench, count: int, seconds: float = 10.0) -> None:
    """Wait until a package has let that many processes go."""
    deadline = time.monotonic() + seconds
    while len(detached_processes(bench)) != count:
        assert time.monotonic() < deadline, detached_processes(bench)
        time.sleep(0.05)


def detached_processes(bench: Bench) -> list[int]:
    """What a package started and let go; this machine sees the processes of its containers too."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if bench.token.encode() in words and b"import time; time.sleep(600)" in words:
                found.append(int(entry.name))
    return found


@contextmanager
def another_process(bench: Bench, function: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """One of the functions below, run in a Python of its own."""
    process = subprocess.Popen(
        [sys.executable, __file__, function, bench.kind, str(bench.folder), bench.token, bench.isolation, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def _serve_and_wait(bench: Bench, run: str) -> None:
    with bench.serve("leaves-a-process", run=run) as service:
        until_ready(service)
        print(f"ready {ask(service)}", flush=True)
        time.sleep(600)


def _build(bench: Bench, name: str) -> None:
    dependency = Dependency(name=name)
    image = bench.backend().build(bench.plan(dependency), lambda line: None)
    print(json.dumps([layer.reused for layer in image.layers]), flush=True)


def plan_baked(bench: Bench, package: str, model_version: str = "0.0.1") -> tuple[BakePlan, Manifest]:
    """The plan of an image with one of the packages inside, and the package's files."""
    folder = Path(bench.package_folder(package))
    manifest = Manifest.of(
        FileEntry(
            path=path.relative_to(folder).as_posix(),
            size_bytes=path.stat().st_size,
            sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in folder.rglob("*")
        if path.is_file()
    )
    plan = plan_bake(
        bench.runtime,
        bench.image(),
        package_digest=manifest.digest(),
        source="s3://models/tested/",
        model_name="tested",
        model_version=model_version,
    )
    # The bench names packages by what they do.
    return replace(plan, package_digest=package), manifest


def _bake(bench: Bench, package: str) -> None:
    plan, manifest = plan_baked(bench, package)
    image = bench.backend().bake(plan, manifest, lambda line: None)
    print(json.dumps([layer.reused for layer in image.layers]), flush=True)


FUNCTIONS: dict[str, Callable[..., None]] = {"serve": _serve_and_wait, "build": _build, "bake": _bake}

if __name__ == "__main__":
    name, kind, folder, token, isolation, *rest = sys.argv[1:]
    FUNCTIONS[name](Bench(kind, Path(folder), token, isolation), *rest)
