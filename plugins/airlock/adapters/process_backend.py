"""Child processes as a backend, for a machine without a container engine; isolated where bubblewrap works."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
import shutil
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path

from airlock.adapters.bubblewrap import Room, in_room, interpreter_folders, is_usable
from airlock.adapters.build_log import BuildLog
from airlock.adapters.child_process import Child
from airlock.adapters.docker_options import ASCEND_CONTROL_DEVICES
from airlock.adapters.file_lock import file_lock
from airlock.adapters.host_devices import ascend_devices, has_gpu
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.owner import LONGEST_TEST_S
from airlock.adapters.process_environment import EnvironmentMaker, Made, copy_serving_code, read_marker
from airlock.adapters.process_lease import LEASE_VARIABLE, end_lease, kill_marked, write_lease
from airlock.adapters.process_service import ChildService, Limits
from airlock.adapters.run_folders import RunFolders, socket_path
from airlock.adapters.serving_code import serving_digest
from airlock.adapters.settings import Settings
from airlock.domain.baking import BakePlan
from airlock.domain.catalogue import Runtime, other_machine
from airlock.domain.device import Device
from airlock.domain.image import (
    SERVING_LAYER,
    BackendKind,
    BuildPlan,
    BuiltLayer,
    Image,
    Isolation,
    Layer,
    python_path,
)
from airlock.domain.image_reference import ImageReference
from airlock.domain.package import Manifest
from airlock.domain.user_image import needs_engine
from airlock.domain.version import RunRef
from airlock.errors import BackendUnavailable, BuildFailed, RuntimeUnavailable, SettingInvalid
from airlock.ports.clock import Clock
from airlock.ports.running_service import ImageLaunch, Launch, RunningImage

DEFAULT_CPUS = 2.0
MEGABYTE = 1_000_000
MAX_OPEN_FILES = 4096
#: As in a container.
MAX_PROCESSES = 512
LEAST_SCRATCH_BYTES = 256 * MEGABYTE
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
# Where engines find what is no part of a Python environment.
_KEPT_VARIABLES: Mapping[Device, tuple[str, ...]] = {
    Device.CPU: ("JAVA_HOME", "LD_LIBRARY_PATH"),
    Device.GPU: ("JAVA_HOME", "LD_LIBRARY_PATH", "CUDA_HOME", "CUDA_VISIBLE_DEVICES"),
    Device.ASCEND: ("JAVA_HOME", "LD_LIBRARY_PATH", "ASCEND_HOME_PATH", "ASCEND_OPP_PATH", "ASCEND_VISIBLE_DEVICES"),
}


class ProcessBackend:
    """Makes virtual environments and starts child processes.

    Args:
        settings: The installation's settings.
        install: Where packages come from.
        package_folder: Package digest → folder that contains `model/`.
        clock: Time.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        install: InstallSettings,
        package_folder: Callable[[str], str],
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._install = install
        self._package_folder = package_folder
        self._clock = clock
        self._serving_folder = settings.include_dir / "runtimes" / "serving"
        self._serving_digests: dict[str, str] = {}
        self._folders = RunFolders(settings.work_dir)

    @property
    def kind(self) -> BackendKind:
        """Virtual environments and child processes."""
        return BackendKind.PROCESS

    @functools.cached_property
    def isolation(self) -> Isolation:
        """Bubblewrap where it is wanted and works, else none.

        Raises:
            SettingInvalid: It is demanded and does not work.
        """
        wanted = self._settings.process_isolation
        if wanted == "none":
            return Isolation.NONE
        if is_usable():
            return Isolation.BUBBLEWRAP
        if wanted == "bubblewrap":
            raise SettingInvalid(
                "SET020",
                "`[airlock] process_isolation` demands bubblewrap, and `bwrap` is not installed or may not make "
                "namespaces here.",
                "Install it (Debian: `bubblewrap`) and allow user namespaces, or write `auto`.",
            )
        return Isolation.NONE

    @property
    def machine(self) -> str:
        """This one's."""
        return platform.machine()

    def serving_digest(self, runtime: Runtime) -> str:
        """Digest of the serving code and the runtime's stand-in, read once."""
        if runtime.stand_in_for not in self._serving_digests:
            self._serving_digests[runtime.stand_in_for] = serving_digest(self._serving_folder, runtime.stand_in_for)
        return self._serving_digests[runtime.stand_in_for]

    def devices(self) -> frozenset[Device]:
        """Devices of this machine."""
        found = {Device.CPU}
        if has_gpu() or shutil.which("nvidia-smi"):
            found.add(Device.GPU)
        if ascend_devices():
            found.add(Device.ASCEND)
        return frozenset(found)

    # ── building ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def base_at_hand(self, plan: BuildPlan) -> bool:
        """Whether an environment can stand for a plan: no variant, because there are no base images here."""
        return not plan.runtime.variant

    def build(self, plan: BuildPlan, log: Callable[[str], None]) -> Image:
        """Make the environments that are missing.

        Raises:
            BuildFailed: The same plan will fail again.
            RuntimeUnavailable: The runtime cannot be had on this machine.
            BackendUnavailable: An index did not answer.
        """
        machine = self.machine
        if machine not in plan.runtime.architectures:
            raise RuntimeUnavailable("BLD008", *other_machine(plan.runtime, machine))
        if self.isolation is Isolation.NONE:
            log("Isolation: none. The package's code will run as an ordinary process of this worker.")
        else:
            log(f"Isolation: {self.isolation.value}.")
        made = self._whole(plan)
        if made is not None:
            # A second environment holds everything that the first one does, so that it needs no look.
            log(f"The environment {_key(plan.layers[-2])} is there already.")
            found = (BuiltLayer(name=layer.name, tag=layer.tag, reused=True, seconds=0.0) for layer in plan.layers)
            return self._image(plan, made, tuple(found), "")
        build_log = BuildLog(self._settings.work_dir, plan.key, log)
        layers = tuple(self._layer(plan, layer, machine, build_log.line) for layer in plan.layers)
        made = self._whole(plan)
        if made is None:
            raise BackendUnavailable(
                "BLD012", f"The environment {_key(plan.layers[-2])} was removed while it was made.", "Try again."
            )
        return self._image(plan, made, layers, str(build_log.path))

    def bake(self, plan: BakePlan, manifest: Manifest, log: Callable[[str], None]) -> Image:
        """There is no image to lay a package into.

        Raises:
            RuntimeUnavailable: Always.
        """
        raise RuntimeUnavailable(
            "BLD016",
            "An image with the model inside needs Docker Engine, and this worker runs models as ordinary processes.",
            "Import without `bake_model`, or start Docker Engine on the worker and see that `[airlock] backend` is "
            "auto or docker.",
        )

    def _image(self, plan: BuildPlan, made: Made, layers: tuple[BuiltLayer, ...], log_path: str) -> Image:
        return Image(
            backend=self.kind,
            isolation=self.isolation,
            reference=plan.key,
            digest=made.digest,
            size_bytes=made.size_bytes,
            layers=layers,
            log=log_path,
            build=plan.runtime.build,
        )

    def _layer(self, plan: BuildPlan, layer: Layer, machine: str, log: Callable[[str], None]) -> BuiltLayer:
        started = self._clock.monotonic()
        reused = self._found(layer) is not None or self._make(plan, layer, machine, log)
        seconds = self._clock.monotonic() - started
        log(f"Layer {layer.name}: {_key(layer)} {'reused' if reused else 'made'} in {seconds:.1f} s.")
        return BuiltLayer(name=layer.name, tag=layer.tag, reused=reused, seconds=round(seconds, 3))

    def _make(self, plan: BuildPlan, layer: Layer, machine: str, log: Callable[[str], None]) -> bool:
        """Make an environment; True where another process made it meanwhile."""
        key = _key(layer)
        with file_lock(
            self._settings.runtimes_dir / ".locks" / f"{key}.lock",
            limit_s=self._settings.build_timeout_s,
            clock=self._clock,
            what=f"environment {key}",
            tell=log,
        ):
            if self._found(layer) is not None:
                return True
            if layer.name == SERVING_LAYER:
                copy_serving_code(self._serving_folder, plan.runtime.stand_in_for, self._folder(key), layer)
                return False
            maker = EnvironmentMaker(
                install=self._install,
                machine=machine,
                timeout_s=self._settings.build_timeout_s,
                clock=self._clock,
            )
            package = Path(self._package_folder(plan.package_digest)) if layer.bundled_wheels else None
            maker.make(plan, layer, self._folder(key), package, log)
            return False

    def _folder(self, key: str) -> Path:
        return self._settings.runtimes_dir / key

    def _found(self, layer: Layer) -> Made | None:
        return read_marker(self._folder(_key(layer)))

    def _whole(self, plan: BuildPlan) -> Made | None:
        return self._of_keys(_key(plan.layers[-2]), plan.key)

    def _of_keys(self, environment: str, serving: str) -> Made | None:
        """The facts of an environment and its serving code together, None where one of them is not there."""
        parts = [read_marker(self._folder(environment)), read_marker(self._folder(serving))]
        if any(part is None for part in parts):
            return None
        digests = json.dumps([part.digest for part in parts if part is not None])
        return Made(
            digest=f"sha256:{hashlib.sha256(digests.encode()).hexdigest()}",
            size_bytes=sum(part.size_bytes for part in parts if part is not None),
        )

    def image_present(self, image: Image) -> bool:
        """Whether the very same environment is on this machine."""
        made = self._of_keys(_environment_key(image), image.reference)
        return made is not None and made.digest == image.digest

    def image_in_registry(self, image: Image) -> bool:
        """Environments are in no registry."""
        return False

    # ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def serve(self, launch: Launch) -> Iterator[ChildService]:
        """Start a child process; leaving the context ends it and removes what it wrote.

        Raises:
            BuildFailed: The environment is gone.
        """
        if not self.image_present(launch.image):
            raise BuildFailed(
                "BLD012",
                f"The environment {launch.image.reference} is no longer on this worker.",
                "Run the import's build task again.",
            )
        self._remove_abandoned()
        self._remove(launch.run, launch.task)
        package = self._package_folder(launch.package_digest)
        folder = self._folders.make(launch.run, launch.task)
        token = uuid.uuid4().hex
        child: Child | None = None
        service: ChildService | None = None
        try:
            socket = Path(socket_path(folder))
            home = folder / "home" / "mind"
            temporary = Path("/tmp") if self._in_rooms else folder / "tmp"  # noqa: S108 - its own, in its room
            for path in (socket.parent, home, temporary):
                path.mkdir(parents=True, exist_ok=True)
            write_lease(folder, token, None)
            environment = self._folder(_environment_key(launch.image))
            serving = self._folder(launch.image.reference)
            variables = _variables(launch, environment, serving, package, home, temporary, socket, token)
            argv = [str(environment / "bin" / "python"), "-m", "model_service.server"]
            scratch = _scratch_bytes(launch)
            if self._in_rooms:
                room = Room(
                    read_only=(*interpreter_folders(environment), str(serving), package, *_libraries(variables)),
                    writable=(str(socket.parent),),
                    private={str(home): scratch, str(temporary): scratch},
                    devices=_device_files(launch.device),
                    folder=str(home),
                )
                argv = in_room(argv, room)
                argv[0] = shutil.which(argv[0]) or argv[0]
            child = Child(argv, env=variables, cwd=home, limits=_limits(launch))
            write_lease(folder, token, child.keeper_pid)
            limits = Limits(
                memory_bytes=launch.memory_mb * MEGABYTE, processes=MAX_PROCESSES, disk_bytes=scratch, folder=folder
            )
            service = ChildService(child, str(socket), limits)
            yield service
        finally:
            if service is not None:
                service.close()
            elif child is not None:
                child.close()
            kill_marked(token)
            self._folders.remove(folder)

    @property
    def _in_rooms(self) -> bool:
        return self.isolation is Isolation.BUBBLEWRAP

    def obtain(self, reference: ImageReference, log: Callable[[str], None]) -> Image:
        """No image runs here.

        Raises:
            ImageRefused: Always.
        """
        raise needs_engine(str(reference))

    def serve_image(self, launch: ImageLaunch) -> AbstractContextManager[RunningImage]:
        """No image runs here.

        Raises:
            ImageRefused: Always.
        """
        raise needs_engine(launch.image.reference)

    def sweep(self, run: RunRef) -> int:
        """End the processes and remove the folders of a run."""
        return self._remove(run, None) + self._remove_abandoned()

    def _remove_abandoned(self) -> int:
        """End and remove what workers left that were killed, in any run: theirs may never be tried again."""
        return self._end(self._folders.abandoned(self._clock.now()))

    def _remove(self, run: RunRef, task: str | None) -> int:
        return self._end(self._folders.found(run, task))

    def _end(self, folders: Iterable[Path]) -> int:
        count = 0
        for folder in folders:
            end_lease(folder)
            self._folders.remove(folder)
            count += 1
        return count


def _environment_key(image: Image) -> str:
    """The last layer below the serving code is the environment that it runs in."""
    return image.layers[-2].tag.rpartition(":")[2]


def _key(layer: Layer) -> str:
    return layer.tag.rpartition(":")[2]


def _scratch_bytes(launch: Launch) -> int:
    """Bytes that the service may write into its home, and into `/tmp`; as in a container."""
    return max(LEAST_SCRATCH_BYTES, launch.memory_mb * MEGABYTE // 2)


def _limits(launch: Launch) -> dict[str, int]:
    cpus = math.ceil(launch.cpus or DEFAULT_CPUS)
    limits = {"NOFILE": MAX_OPEN_FILES, "FSIZE": _scratch_bytes(launch), "CPU": int(LONGEST_TEST_S) * cpus}
    # The kernel counts every process and thread of the user, and none of root's: the count that holds is watched.
    limits["NPROC"] = _processes_of_this_user() + MAX_PROCESSES
    if launch.device is Device.CPU:
        # Not the limit that counts, which is watched: only what stops a single allocation that would fill the machine
        # between two looks. Address space says nothing (libraries reserve gigabytes that they never touch).
        limits["DATA"] = 2 * launch.memory_mb * MEGABYTE + 2_000 * MEGABYTE
    return limits


def _processes_of_this_user() -> int:
    """Processes and threads that this user has now, anywhere on the machine."""
    count = 0
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if entry.stat().st_uid == os.getuid():
                    count += len(os.listdir(entry / "task"))
    return count


def _libraries(variables: Mapping[str, str]) -> tuple[str, ...]:
    """Folders that the variables name where engines find what is no part of a Python environment."""
    named = (variables.get(name, "") for names in _KEPT_VARIABLES.values() for name in names if not name.endswith("S"))
    folders = {path for text in named for path in text.split(":") if os.path.isabs(path) and path != "/"}
    return tuple(sorted(folders))


def _device_files(device: Device) -> tuple[str, ...]:
    if device is Device.GPU:
        return tuple(sorted(str(path) for path in Path("/dev").glob("nvidia*")))
    return (*ascend_devices(), *ASCEND_CONTROL_DEVICES) if device is Device.ASCEND else ()


def _variables(
    launch: Launch,
    environment: Path,
    serving: Path,
    package: str,
    home: Path,
    temporary: Path,
    socket: Path,
    token: str,
) -> dict[str, str]:
    """The service's whole environment: nothing of Airflow's, no credentials, no proxies."""
    threads = str(max(1, math.ceil(launch.cpus or min(DEFAULT_CPUS, os.cpu_count() or 1))))
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES[launch.device] if name in os.environ}
    return {
        **kept,
        # Libraries would otherwise take a GPU that is there, and the test would not be one of the CPU.
        **({"CUDA_VISIBLE_DEVICES": ""} if launch.device is Device.CPU else {}),
        "PATH": f"{environment / 'bin'}:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONPATH": python_path(str(serving), launch.runtime),
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AIRLOCK_ENGINE": launch.runtime.engine,
        "AIRLOCK_BASE_CLASS": launch.runtime.service.base_class,
        "AIRLOCK_MODEL_PATH": launch.runtime.service.model_path,
        "AIRLOCK_PACKAGE_DIR": package,
        "AIRLOCK_HOME": str(home),
        "AIRLOCK_MODEL_NAME": launch.model_name,
        "AIRLOCK_BIND": f"unix:{socket}",
        **dict.fromkeys(_THREAD_VARIABLES, threads),
        **dict(launch.runtime.environment),
        LEASE_VARIABLE: token,
    }
