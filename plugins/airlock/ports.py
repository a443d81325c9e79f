"""The outside world as protocols in domain types. Every adapter and its fake pass one contract test."""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from airlock.domain.archives import ArchiveForm, ArchiveMember
from airlock.domain.baking import BakePlan
from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.expectations import SuiteReport
from airlock.domain.health import Health
from airlock.domain.image import BackendKind, BuildPlan, Image, Isolation
from airlock.domain.image_reference import ImageReference
from airlock.domain.import_report import ImportReport, PackageReport, Refusal
from airlock.domain.mirror import MirroredVersion
from airlock.domain.model_files.streams import Binary
from airlock.domain.package import FileEntry, ListedObject, Manifest
from airlock.domain.record import ModelVersion, Rebuild
from airlock.domain.registered import HealthPoint
from airlock.domain.request import ImportRequest
from airlock.domain.revalidation import Seen, SweepReport
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse
from airlock.domain.source import SourceLocation
from airlock.domain.version import EventKind, Reservation, RunRef

#: A piece of an object: often the memory of whoever read it, which is good until the next piece is asked for.
Chunk: TypeAlias = bytes | memoryview


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Seconds since 1970."""

    def monotonic(self) -> float:
        """Seconds that only grow."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class ObjectStorage(Protocol):
    """What packages come from: an S3-compatible object storage behind one Connection, or folders of the worker."""

    @property
    def identity(self) -> str:
        """Names the storage: two storages never share one."""

    def list(self, location: SourceLocation) -> Iterator[ListedObject]:
        """Every object below the folder; of a location that names an archive, that object first.

        Raises:
            SourceRefused: No such bucket or folder, or no permission.
            StorageUnavailable: No answer, or the storage's own error.
        """

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[Chunk, None, None]:
        """The object's bytes from `start` up to but without `stop`, in order. May be called by several threads.

        Raises:
            SourceChanged: The object is no longer the one that was listed, or fewer or more bytes came.
            SourceRefused: No permission.
            StorageUnavailable: No answer, or the storage's own error, after several tries.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingFile:
    """A file on its way into the store.

    Attributes:
        size_bytes: Its length.
        read: Gives its bytes from a start up to but without a stop, in order; several threads call it.
    """

    size_bytes: int
    read: Callable[[int, int], Generator[Chunk, None, None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """A package that is in the store now.

    Attributes:
        manifest: Its files.
        bytes_read: Bytes that came from the source for it.
    """

    manifest: Manifest
    bytes_read: int


class PackageFiles(Protocol):
    """The files of packages, wherever they lie: all that checking one takes."""

    def manifest(self, digest: str) -> Manifest:
        """The files of a package.

        Raises:
            StoreDamaged: The store does not have it, or its manifest does not match its name.
        """

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        """The first `limit` bytes of a file.

        Raises:
            StoreDamaged: The file is missing or has another size.
        """

    def open(self, digest: str, entry: FileEntry) -> AbstractContextManager[Binary]:
        """A file for reading any part of it; closed when the context is left.

        Raises:
            StoreDamaged: The file is missing or has another size.
        """


class PackageStore(PackageFiles, Protocol):
    """Immutable packages, named by their digest."""

    def known(self, listing: str) -> str | None:
        """The digest of the package that a listing of this identity gave before, if the store still has it."""

    def stage(self, listing: str, files: Mapping[str, IncomingFile], tell: Callable[[str], None]) -> Staged:
        """Write a package and give it its name, in one move.

        Two importers of one listing copy it once; what a killed one left is verified and used.

        Args:
            listing: Identity of the listing it comes from; remembered for `known`.
            files: Path relative to the package → where its bytes come from.
            tell: Takes a line of progress now and then.

        Raises:
            StoreDamaged: The disk cannot take it.
            StoreFull: The disk is full.
        """

    def stage_archive(
        self,
        listing: str,
        form: ArchiveForm,
        archive: IncomingFile,
        choose: Callable[[Iterator[ArchiveMember]], Mapping[str, str]],
        tell: Callable[[str], None],
    ) -> Staged:
        """Write the package that an archive holds, in the same way.

        Args:
            listing: Identity of the archive; remembered for `known`.
            form: How it is written.
            archive: Where its bytes come from.
            choose: Looks at its entries and gives name in the archive → path in the package. What it raises ends the
                copy, with nothing unpacked.
            tell: Takes a line of progress now and then.

        Raises:
            Unreadable: The archive is damaged, or two readers could see different files in it.
            StoreDamaged: The disk cannot take it.
            StoreFull: The disk is full.
        """

    def folder(self, digest: str) -> str:
        """The package's folder on this machine, which contains `model/`. Nothing in it may be changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AtOnce:
    """How often a request is sent, several at a time.

    Attributes:
        concurrency: How many are under way at a time.
        most: Requests at most.
        fewest: Requests at least, however long they take.
        seconds: When no more than the fewest are sent.
    """

    concurrency: int
    most: int
    fewest: int
    seconds: float


class RunningService(Protocol):
    """A service that was started for a test."""

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        """Send a request; the time limit covers the whole answer."""

    def send_at_once(
        self, request: HttpRequest, plan: AtOnce, timeout_s: float, max_bytes: int
    ) -> Sequence[HttpResponse | NoResponse]:
        """Send a request many times, several at a time; ends early with the first that gets no answer."""

    def exit(self) -> ServiceExit | None:
        """How it ended, None while it runs."""

    def log_tail(self, lines: int = 100) -> str:
        """The last lines of its log. Comes from user code: escape before showing."""

    def peak_memory_bytes(self) -> int | None:
        """Highest memory so far, None where it cannot be read."""

    def gpu_memory_bytes(self) -> int | None:
        """GPU memory that it holds now, None where there is no GPU or that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceExit:
    """How a service ended.

    Attributes:
        status: Exit status; 128 + signal where a signal ended it.
        out_of_memory: Whether the memory limit ended it.
    """

    status: int
    out_of_memory: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to start for a test.

    Attributes:
        image: The runtime image or environment.
        runtime: The catalogue's row.
        package_digest: The package to serve.
        model_name: The model's name.
        device: The device to test on.
        cpus: Cores, None for the backend's own default.
        memory_mb: Memory limit in megabytes (10^6 bytes).
        run: The DAG run, for labels and sweeping.
        task: The task, likewise; with its map index where it is one of many that run at once.
        attempt: Which try of the task this is, from 1.
    """

    image: Image
    runtime: Runtime
    package_digest: str
    model_name: str
    device: Device
    cpus: float | None
    memory_mb: int
    run: RunRef
    task: str
    attempt: int


class RunningImage(RunningService, Protocol):
    """An image of the user's own that was started for a test."""

    def command_passed(self) -> bool:
        """Whether the command that asks for its health has ended with status 0 when it ran last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageLaunch:
    """What to start of an image of the user's own.

    Attributes:
        image: The image.
        package_digest: The package, whose files the image may read.
        device: The device to test on.
        cpus: Cores, None for the backend's own default.
        memory_mb: Memory limit in megabytes (10^6 bytes).
        user: The user that it runs as.
        ports: Where it is asked.
        health: Its health check; a command is run by the engine itself.
        run: The DAG run, for labels and sweeping.
        task: The task, likewise; with its map index where it is one of many that run at once.
        attempt: Which try of the task this is, from 1.
    """

    image: Image
    package_digest: str
    device: Device
    cpus: float | None
    memory_mb: int
    user: str
    ports: tuple[int, ...]
    health: Health
    run: RunRef
    task: str
    attempt: int


class RuntimeBackend(Protocol):
    """What builds runtimes and runs services."""

    @property
    def kind(self) -> BackendKind:
        """Which backend this is."""

    @property
    def isolation(self) -> Isolation:
        """What stands between user code and the host."""

    @property
    def machine(self) -> str:
        """Architecture that it builds for, as `uname -m` names it.

        Raises:
            BackendUnavailable: The engine does not answer.
        """

    def serving_digest(self, runtime: Runtime) -> str:
        """Digest of the serving code that goes into a runtime, with the runtime's stand-in where it has one."""

    def devices(self) -> frozenset[Device]:
        """Devices that this worker can test on."""

    def base_at_hand(self, plan: BuildPlan) -> bool:
        """Whether the base image of a plan is on this worker, or may be pulled. Asked before a variant is chosen."""

    def build(self, plan: BuildPlan, log: Callable[[str], None]) -> Image:
        """Make what is missing of a runtime.

        Args:
            plan: The layers.
            log: Takes one line of progress or build output at a time.

        Raises:
            BuildFailed: The same plan will fail again.
            RuntimeUnavailable: The runtime cannot be had on this machine.
            BackendUnavailable: The engine, the network or an index did not answer.
        """

    def bake(self, plan: BakePlan, manifest: Manifest, log: Callable[[str], None]) -> Image:
        """Make an image that holds its package.

        Args:
            plan: The runtime's image, and what the new one is called.
            manifest: The package's files.
            log: Takes one line of progress at a time.

        Raises:
            RuntimeUnavailable: This backend makes no images.
            BuildFailed: The same plan will fail again.
            StoreDamaged: The package in the store is not what its manifest says.
            BackendUnavailable: The engine or a registry did not answer.
        """

    def image_present(self, image: Image) -> bool:
        """Whether the image can be started on this worker."""

    def image_in_registry(self, image: Image) -> bool:
        """Whether a registry has the image under its digest, so that this worker could pull it.

        Raises:
            BackendUnavailable: The engine or the registry did not answer, or the registry does not open to us.
        """

    def serve(self, launch: Launch) -> AbstractContextManager[RunningService]:
        """Start a service; leaving the context ends it and removes all of it.

        Raises:
            BackendUnavailable: The engine does not answer.
            BuildFailed: The image is neither here nor in a registry.
        """

    def obtain(self, reference: ImageReference, log: Callable[[str], None]) -> Image:
        """Have an image of the user's own on this worker, and look at it.

        Args:
            reference: How the configuration names it.
            log: Takes one line of progress at a time.

        Raises:
            ImageRefused: It cannot be had, or cannot be served here.
            BackendUnavailable: The engine or the image's registry did not answer.
        """

    def serve_image(self, launch: ImageLaunch) -> AbstractContextManager[RunningImage]:
        """Start an image of the user's own; leaving the context ends it and removes all of it.

        Raises:
            ImageRefused: The image cannot be had any more.
            BackendUnavailable: The engine or the image's registry did not answer.
        """

    def sweep(self, run: RunRef) -> int:
        """Remove whatever this run left behind, and return how many things that were."""


class Judge(Protocol):
    """Applies suites of expectations to tables."""

    def ready(self) -> None:
        """Wait until it has started: before that it takes a processor that a measurement would miss.

        Raises:
            BackendUnavailable: It does not start.
        """

    def judge(self, suite: str, rows: Sequence[Mapping[str, Any]]) -> SuiteReport:
        """Apply a suite to a table, given as rows of equal columns.

        Raises:
            SettingInvalid: The suite cannot be used.
            BackendUnavailable: The judge ended or took too long.
        """


class Expectations(Protocol):
    """The installation's suites of expectations."""

    def judging(self) -> AbstractContextManager[Judge]:
        """Start a judge, which may take seconds to be ready; leaving the context ends it."""


class Reports(Protocol):
    """The reports of imports, one for each run."""

    def keep_package(self, run: RunRef, report: PackageReport) -> None:
        """Keep what validation found; a second try replaces what the first one kept.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def keep_suites(self, run: RunRef, task: str, suites: Sequence[SuiteReport]) -> None:
        """Keep what was judged in a task. Tasks of one run may do so at once.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def keep_sweep(self, run: RunRef, report: SweepReport) -> None:
        """Keep what a sweep over registered versions did; a second try replaces what the first one kept.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def keep_refusal(self, run: RunRef, refusal: Refusal) -> None:
        """Keep why a run got no version; a second try replaces what the first one kept.

        Raises:
            ReportsUnavailable: It cannot be written.
        """

    def find(self, run: RunRef) -> ImportReport:
        """What is kept of a run so far, which may be nothing.

        Raises:
            ReportsUnavailable: It cannot be read.
        """


class History(Protocol):
    """Where a test tells what it does."""

    def add_event(self, reservation: Reservation, kind: EventKind, text: str) -> None:
        """Add to the version's history."""


class Registry(History, Protocol):
    """Model versions and their history."""

    def reserve(self, request: ImportRequest, run: RunRef, by: str = "") -> Reservation:
        """Reserve the version asked for, or the next one.

        A second call of the same run gives the same reservation.

        Args:
            request: What is asked for.
            run: The run that asks.
            by: The user who started it, empty where Airflow names none.

        Raises:
            VersionExists: Another run holds or held the version, or no number is left.
            RegistryUnavailable: The database does not answer.
        """

    def free_version(self, request: ImportRequest) -> str:
        """The version that a reservation would get now; nothing is reserved.

        Raises:
            VersionExists: As for a reservation.
            RegistryUnavailable: The database does not answer.
        """

    def reservation_of(self, run: RunRef) -> Reservation | None:
        """What the run holds, if anything."""

    def resume(self, reservation: Reservation, steps: Collection[str]) -> None:
        """Make the version Importing again, where it had failed in one of these steps.

        Args:
            reservation: The version.
            steps: The step that begins and those after it. A step beside the failed one must not take the failure back.

        Raises:
            VersionGone: It was deleted, or is another run's.
        """

    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        """Make the version Normal and keep its record, in one transaction.

        Raises:
            VersionGone: It is no longer this run's to complete.
        """

    def fail(
        self, reservation: Reservation, step: str, code: str, reason: str, report: Mapping[str, Any] | None = None
    ) -> bool:
        """Make the version Failed, with an event. Returns False where it was not Importing (any more).

        Args:
            reservation: The version.
            step: The step that failed.
            code: Stable code of the failure.
            reason: What happened.
            report: A failed test's report as JSON; kept as `failure` in the version's details until it is taken up
                again.
        """

    def begin_rebuild(self, model_name: str, model_version: str, run: RunRef, by: str = "") -> Rebuild:
        """Let a run make a registered version's image again.

        The version stays what it is until `complete`; `fail` only adds to its history. A later run that asks takes
        it from an earlier one.

        Raises:
            NoSuchVersion: It is not there, or deleted.
            VersionBusy: It was never imported, or its record cannot be read.
        """

    def judge(
        self,
        model_name: str,
        model_version: str,
        run: RunRef,
        points: Sequence[HealthPoint],
        reason: str,
        told: Sequence[str] = (),
        seen: Seen | None = None,
    ) -> bool:
        """Keep how a registered version fared at a later test, and make it Normal or Abnormal by it.

        What the same run has kept already is not kept twice.

        Args:
            model_name: The model.
            model_version: The version, Normal or Abnormal.
            run: The run that tested it.
            points: What was measured.
            reason: Why it is not fit, code first; empty where it is.
            told: More sentences for its history.
            seen: What it was when it was looked at; None where that does not matter.

        Returns:
            Whether its status changed.

        Raises:
            NoSuchVersion: It is not there, or was never imported.
            VersionChanged: It is no longer what was seen, nor what it was to become; nothing is written.
        """


class ModelMirror(Protocol):
    """Another model registry that shows what this one has registered.

    Every method raises MirrorUnavailable where it does not answer, and MirrorRefused where it does not take it.
    """

    def keep(self, version: MirroredVersion, number: str, dropped: Collection[str]) -> str:
        """Make it show a version as it is.

        Args:
            version: The version.
            number: The mirror's own number of it, empty where none is known.
            dropped: Aliases that the mirror was told and that do not point to it any more.

        Returns:
            The mirror's own number of it.
        """

    def drop(self, model_name: str, number: str) -> None:
        """Make it show a version no more; one that is gone already is no error."""


class DagRuns(Protocol):
    """Runs of this installation's DAGs, started in the name of whoever asks."""

    async def start(self, dag_id: str, conf: Mapping[str, Any], credentials: Mapping[str, str]) -> RunRef:
        """Start a run.

        Args:
            dag_id: The DAG.
            conf: What it is given; for `import_model` the import form.
            credentials: The caller's own headers of sign-in: it is Airflow that decides by them, as for any caller.

        Raises:
            FormRefused: Airflow's check of `conf` does not take it.
            RunRefused: Airflow does not start it.
        """

    def has_dag(self, dag_id: str) -> bool:
        """Whether the installation has a DAG of this name that can be started."""

    def conf_of(self, run: RunRef) -> dict[str, Any] | None:
        """What a run was given; None where Airflow no longer knows the run."""

    def is_under_way(self, run: RunRef) -> bool:
        """Whether a run has not ended; False where there is none."""


class PackageUse(Protocol):
    """Which packages must be kept."""

    def packages_in_use(self) -> frozenset[str]:
        """Digests (hexadecimal) of the packages that a version names."""

    def importing_since(self) -> float | None:
        """When the oldest version that is Importing was reserved, seconds since 1970; None where there is none."""
