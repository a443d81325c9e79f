"""In-memory stand-ins of every port: small, honest implementations of the ports' docstrings.

They pass the same contract tests as the adapters. Where a test needs the outside world to fail, the fake has an
attribute that says so; none of them fails by itself.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from airlock.domain.archives import ArchiveForm, ArchiveMember, walk
from airlock.domain.baking import PACKAGE_LAYER, BakePlan
from airlock.domain.base_images import missing_base
from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.expectations import ExpectationResult, SuiteReport
from airlock.domain.findings import Severity
from airlock.domain.image import BackendKind, BuildPlan, BuiltLayer, Image, Isolation, UserImage
from airlock.domain.image_reference import ImageReference
from airlock.domain.import_report import ImportReport, PackageReport, Refusal
from airlock.domain.package import FileEntry, ListedObject, Manifest
from airlock.domain.record import Event, ModelVersion, Rebuild, VersionRow
from airlock.domain.registered import HealthPoint
from airlock.domain.request import ImportRequest
from airlock.domain.revalidation import Seen, SweepReport
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse, Silence
from airlock.domain.source import SourceLocation
from airlock.domain.version import EventKind, Reservation, RunRef, Status, next_version
from airlock.errors import (
    BackendUnavailable,
    BuildFailed,
    ImageRefused,
    NoSuchVersion,
    RegistryUnavailable,
    ReportsUnavailable,
    RuntimeUnavailable,
    SourceChanged,
    SourceRefused,
    StorageUnavailable,
    StoreDamaged,
    VersionBusy,
    VersionChanged,
    VersionExists,
    VersionGone,
)
from airlock.ports.package_store import IncomingFile, Staged
from airlock.ports.running_service import AtOnce, ImageLaunch, Launch, ServiceExit


class FakeClock:
    """Time that passes only when somebody sleeps or a service takes its time."""

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self.started = now
        self.passed = 0.0

    def now(self) -> float:
        return self.started + self.passed

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += seconds


class FakeStorage:
    """Buckets in memory.

    Attributes:
        buckets: Bucket → key → bytes.
        forbidden: Buckets that refuse every request.
        away: Whether nothing answers.
        copied: Keys whose bytes were read, in order.
        before_copy: Called with the key before its bytes are read: where a test changes the bucket midway.
        tag: Gives the tag of an object's bytes.
    """

    def __init__(self, buckets: Mapping[str, Mapping[str, bytes]] | None = None, identity: str = "memory") -> None:
        self.buckets: dict[str, dict[str, bytes]] = {name: dict(keys) for name, keys in (buckets or {}).items()}
        self.forbidden: set[str] = set()
        self.away = False
        self.modified = ""
        self.copied: list[str] = []
        self.before_copy: Callable[[str], None] = lambda key: None
        self.tag: Callable[[bytes], str] = lambda data: hashlib.sha256(data).hexdigest()[:32]
        self._identity = identity

    @property
    def identity(self) -> str:
        return self._identity

    def list(self, location: SourceLocation) -> Iterator[ListedObject]:
        for key, data in sorted(self._bucket(location).items()):
            if key.startswith(location.prefix):
                yield ListedObject(key=key, size_bytes=len(data), etag=self.tag(data), modified=self.modified)

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[bytes, None, None]:
        self.before_copy(item.key)
        data = self._bucket(location).get(item.key)
        if data is None:
            raise SourceChanged("SRC003", f"{item.key} was deleted while it was copied.", "Try again.")
        if self.tag(data) != item.etag or len(data) != item.size_bytes:
            raise SourceChanged("SRC003", f"{item.key} was replaced while it was copied.", "Try again.")
        self.copied.append(item.key)
        yield data[start:stop]

    def _bucket(self, location: SourceLocation) -> dict[str, bytes]:
        if self.away:
            raise StorageUnavailable("SRC006", "The object storage does not answer.", "Try again later.")
        if location.bucket in self.forbidden:
            raise SourceRefused("SRC002", f"No permission for bucket {location.bucket}.", "Correct the Connection.")
        if location.bucket not in self.buckets:
            raise SourceRefused("SRC001", f"There is no bucket {location.bucket}.", "Correct `source_location`.")
        return self.buckets[location.bucket]


class FakeStore:
    """Packages in memory; `folder` writes one out below `root`.

    Attributes:
        packages: Digest → path → bytes. A test damages a package by changing these.
        listings: Listing → digest.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root
        self.packages: dict[str, dict[str, bytes]] = {}
        self.manifests: dict[str, Manifest] = {}
        self.listings: dict[str, str] = {}

    def known(self, listing: str) -> str | None:
        digest = self.listings.get(listing)
        return digest if digest in self.packages else None

    def stage(self, listing: str, files: Mapping[str, IncomingFile], tell: Callable[[str], None]) -> Staged:
        arrived = {path: b"".join(file.read(0, file.size_bytes)) for path, file in files.items()}
        return self._keep(listing, arrived, sum(map(len, arrived.values())))

    def stage_archive(
        self,
        listing: str,
        form: ArchiveForm,
        archive: IncomingFile,
        choose: Callable[[Iterator[ArchiveMember]], Mapping[str, str]],
        tell: Callable[[str], None],
    ) -> Staged:
        data = b"".join(archive.read(0, archive.size_bytes))
        wanted = choose(member for member, _ in walk(form, io.BytesIO(data), len(data)))
        arrived = {
            wanted[member.name]: b"".join(pieces)
            for member, pieces in walk(form, io.BytesIO(data), len(data))
            if member.name in wanted
        }
        return self._keep(listing, arrived, len(data))

    def _keep(self, listing: str, arrived: dict[str, bytes], bytes_read: int) -> Staged:
        entries = [
            FileEntry(path=path, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in arrived.items()
        ]
        # Nothing is kept before everything has arrived.
        manifest = Manifest.of(entries)
        digest = manifest.digest()
        self.packages[digest] = arrived
        self.manifests[digest] = manifest
        self.listings[listing] = digest
        return Staged(manifest=manifest, bytes_read=bytes_read)

    def manifest(self, digest: str) -> Manifest:
        manifest = self.manifests.get(digest)
        if manifest is None or digest not in self.packages:
            raise StoreDamaged("STO001", f"The store has no package {digest}.", "Import the package again.")
        if manifest.digest() != digest:
            raise StoreDamaged(
                "STO002", f"The manifest of package {digest} does not match its name.", "Import it again."
            )
        return manifest

    def read(self, digest: str, entry: FileEntry, limit: int) -> bytes:
        data = self.packages.get(digest, {}).get(entry.path)
        if data is None or len(data) != entry.size_bytes:
            raise StoreDamaged("STO003", f"{entry.path} of package {digest} has another size.", "Import it again.")
        return data[:limit]

    def open(self, digest: str, entry: FileEntry) -> io.BytesIO:
        return io.BytesIO(self.read(digest, entry, entry.size_bytes))

    def folder(self, digest: str) -> str:
        if self.root is None:
            raise StoreDamaged("STO001", "This store has no folder.", "")
        for path, data in self.packages[digest].items():
            target = self.root / digest / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        return str(self.root / digest)


@dataclass(kw_only=True)
class Behaviour:
    """How a fake service behaves.

    Attributes:
        answer: The body that every request gets, or a function of the request. A `Silence` means no answer.
        status: The status of every answer.
        load_s: Seconds until it listens.
        silent_s: Seconds until it answers anything, though it listens.
        loading_answers: How many requests get 503 before the first prediction.
        seconds: Seconds that one answer takes.
        dies_after: Number of requests after which the process ends; None means never.
        exit: How it ends then.
        log: What it logged.
        peak_memory_bytes: Its highest memory.
        gpu_memory_bytes: What it holds of a GPU's memory.
    """

    answer: bytes | Silence | Callable[[HttpRequest], bytes | HttpResponse | Silence] = b"{}"
    status: int = 200
    load_s: float = 0.0
    silent_s: float = 0.0
    loading_answers: int = 0
    seconds: float = 0.01
    dies_after: int | None = None
    exit: ServiceExit = field(default_factory=lambda: ServiceExit(status=3, out_of_memory=False))
    log: str = ""
    peak_memory_bytes: int | None = 50_000_000
    gpu_memory_bytes: int | None = None


class FakeService:
    """A running service that behaves as told."""

    def __init__(self, behaviour: Behaviour, clock: FakeClock) -> None:
        self.behaviour = behaviour
        self.clock = clock
        self.started = clock.monotonic()
        self.requests: list[HttpRequest] = []

    def send(self, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
        if self.exit() is not None or self.clock.monotonic() - self.started < self.behaviour.load_s:
            return NoResponse(silence=Silence.NOT_LISTENING, seconds=0.0)
        silent = self.started + self.behaviour.silent_s - self.clock.monotonic()
        if silent > timeout_s:
            self.clock.sleep(timeout_s)
            return NoResponse(silence=Silence.TIMED_OUT, seconds=timeout_s)
        waited = max(0.0, silent)
        self.clock.sleep(waited)
        if (request.method, request.path) == ("GET", "/health"):
            return self._response(200, b'{"status": "OK"}')
        self.requests.append(request)
        if self.exit() is not None:
            return NoResponse(silence=Silence.BROKEN, seconds=0.0)
        if self.behaviour.seconds > timeout_s - waited:
            self.clock.sleep(timeout_s - waited)
            return NoResponse(silence=Silence.TIMED_OUT, seconds=timeout_s)
        self.clock.sleep(self.behaviour.seconds)
        if len(self.requests) <= self.behaviour.loading_answers:
            return self._response(503, b'{"error_code": "MR.0103", "error_msg": "loading"}')
        answer = self.behaviour.answer
        made = answer(request) if callable(answer) else answer
        if isinstance(made, Silence):
            return NoResponse(silence=made, seconds=self.behaviour.seconds)
        response = made if isinstance(made, HttpResponse) else self._response(self.behaviour.status, made)
        if len(response.body) > max_bytes:
            return NoResponse(silence=Silence.TOO_LARGE, seconds=self.behaviour.seconds)
        return response

    def send_at_once(
        self, request: HttpRequest, plan: AtOnce, timeout_s: float, max_bytes: int
    ) -> Sequence[HttpResponse | NoResponse]:
        until = self.clock.monotonic() + plan.seconds
        answers: list[HttpResponse | NoResponse] = []
        while len(answers) < plan.most and (len(answers) < plan.fewest or self.clock.monotonic() < until):
            answers.append(self.send(request, timeout_s, max_bytes))
            if isinstance(answers[-1], NoResponse):
                break
        return answers

    def _response(self, status: int, body: bytes) -> HttpResponse:
        return HttpResponse(status=status, content_type="application/json", body=body, seconds=self.behaviour.seconds)

    def exit(self) -> ServiceExit | None:
        after = self.behaviour.dies_after
        return self.behaviour.exit if after is not None and len(self.requests) >= after else None

    def log_tail(self, lines: int = 100) -> str:
        return "\n".join(self.behaviour.log.splitlines()[-lines:])

    def gpu_memory_bytes(self) -> int | None:
        return self.behaviour.gpu_memory_bytes

    def peak_memory_bytes(self) -> int | None:
        return self.behaviour.peak_memory_bytes

    def command_passed(self) -> bool:
        return self.exit() is None and self.clock.monotonic() - self.started >= self.behaviour.load_s


class FakeBackend:
    """Builds nothing and remembers it; runs services that behave as told.

    Attributes:
        behaviour: How the next service behaves.
        on: Devices of this worker.
        machine: Its architecture.
        index: Normal names of the packages that can be installed; None means all.
        bases: Base images of variants that are on this worker.
        pulls: Base images that the installation's registry has, and that a build pulls.
        away: Whether the engine does not answer.
        tags: Layers that are there.
        registry: References of images that a registry has.
        launches: What was started.
        user_images: Name → image of the user's own that can be had.
        image_launches: What was started of those.
        as_user: User → how a service behaves that runs as it, where it is another way.
        running: Services that are running now.
        litter: Run → number of things that a killed task left behind.
    """

    def __init__(self, clock: FakeClock, behaviour: Behaviour | None = None) -> None:
        self.clock = clock
        self.behaviour = behaviour or Behaviour()
        self.on = frozenset({Device.CPU})
        self.machine = "x86_64"
        self.index: frozenset[str] | None = None
        self.bases: frozenset[str] = frozenset()
        self.pulls: frozenset[str] = frozenset()
        self.away = False
        self.tags: set[str] = set()
        self.registry: set[str] = set()
        self.launches: list[Launch] = []
        self.user_images: dict[str, UserImage] = {}
        self.image_launches: list[ImageLaunch] = []
        self.as_user: dict[str, Behaviour] = {}
        self.running: list[FakeService] = []
        self.litter: dict[RunRef, int] = {}

    @property
    def kind(self) -> BackendKind:
        return BackendKind.DOCKER

    @property
    def isolation(self) -> Isolation:
        return Isolation.CONTAINER

    def serving_digest(self, runtime: Runtime) -> str:
        return ("5a" if runtime.stand_in else "5e") * 32

    def devices(self) -> frozenset[Device]:
        return self.on

    def base_at_hand(self, plan: BuildPlan) -> bool:
        return plan.base_may_be_pulled or plan.layers[0].base in self.bases

    def build(self, plan: BuildPlan, log: Callable[[str], None]) -> Image:
        self._answer()
        if plan.runtime.base_recipe and plan.layers[0].base not in self.bases | self.pulls:
            raise RuntimeUnavailable("BLD007", *missing_base(plan))
        missing = [
            dependency.requirement()
            for dependency in plan.dependencies
            if self.index is not None and not dependency.bundled and dependency.key not in self.index
        ]
        if missing:
            raise BuildFailed("BLD010", f"Cannot be installed: {', '.join(missing)}.", "Correct `dependencies`.")
        layers = []
        for layer in plan.layers:
            reused = layer.tag in self.tags
            if not reused:
                log(f"building {layer.tag}")
            self.tags.add(layer.tag)
            layers.append(BuiltLayer(name=layer.name, tag=layer.tag, reused=reused, seconds=0.0 if reused else 2.0))
        return Image(
            backend=self.kind,
            isolation=self.isolation,
            reference=plan.layers[-1].tag,
            digest="sha256:" + hashlib.sha256(plan.key.encode()).hexdigest(),
            size_bytes=100_000_000,
            layers=tuple(layers),
            log="",
            build=plan.runtime.build,
        )

    def bake(self, plan: BakePlan, manifest: Manifest, log: Callable[[str], None]) -> Image:
        self._answer()
        if not self.image_present(plan.image):
            raise BuildFailed("BLD012", f"The image {plan.image.reference} is gone.", "Import again.")
        layers = [*plan.image.layers]
        for name, tag, seconds in ((PACKAGE_LAYER, plan.content_tag, 3.0), (plan.model.name, plan.model.tag, 0.5)):
            reused = tag in self.tags
            self.tags.add(tag)
            layers.append(BuiltLayer(name=name, tag=tag, reused=reused, seconds=0.0 if reused else seconds))
        return replace(
            plan.image,
            reference=plan.model.tag,
            digest="sha256:" + hashlib.sha256(plan.model.tag.encode()).hexdigest(),
            size_bytes=plan.image.size_bytes + manifest.size_bytes,
            layers=tuple(layers),
            baked=True,
        )

    def image_present(self, image: Image) -> bool:
        self._answer()
        return image.reference in self.tags

    def image_in_registry(self, image: Image) -> bool:
        self._answer()
        return image.reference in self.registry

    @contextmanager
    def serve(self, launch: Launch) -> Iterator[FakeService]:
        self._answer()
        if not (self.image_present(launch.image) or self.image_in_registry(launch.image)):
            raise BuildFailed("BLD011", f"The image {launch.image.reference} is gone.", "Import again.")
        service = FakeService(self.behaviour, self.clock)
        self.launches.append(launch)
        self.running.append(service)
        try:
            yield service
        finally:
            self.running.remove(service)

    def obtain(self, reference: ImageReference, log: Callable[[str], None]) -> Image:
        self._answer()
        own = self.user_images.get(str(reference))
        if own is None:
            raise ImageRefused("IMG001", f"There is no image {reference}.", "Push it.")
        log(f"Pulling {reference}.")
        digest = "sha256:" + hashlib.sha256(str(reference).encode()).hexdigest()
        return Image(
            backend=self.kind,
            isolation=self.isolation,
            reference=f"{reference.repository}@{digest}",
            digest=digest,
            size_bytes=200_000_000,
            layers=(BuiltLayer(name="image", tag=str(reference), reused=False, seconds=2.0),),
            log="",
            own=own,
        )

    @contextmanager
    def serve_image(self, launch: ImageLaunch) -> Iterator[FakeService]:
        self._answer()
        service = FakeService(self.as_user.get(launch.user, self.behaviour), self.clock)
        self.image_launches.append(launch)
        self.running.append(service)
        try:
            yield service
        finally:
            self.running.remove(service)

    def sweep(self, run: RunRef) -> int:
        return self.litter.pop(run, 0)

    def _answer(self) -> None:
        if self.away:
            raise BackendUnavailable("BLD012", "The container engine does not answer.", "Start it.")


@dataclass
class _Row:
    run: RunRef
    status: Status
    reason: str
    created_at: float
    updated_at: float
    request: ImportRequest
    created_by: str
    failed_step: str = ""
    rebuild: RunRef | None = None
    health: list[HealthPoint] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class FakeRegistry:
    """Versions in memory.

    Attributes:
        rows: (name, version) → row.
        away: Whether the database does not answer.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.rows: dict[tuple[str, str], _Row] = {}
        self.away = False

    def reserve(self, request: ImportRequest, run: RunRef, by: str = "") -> Reservation:
        self._answer()
        held = self.reservation_of(run)
        if held is not None and held.model_name == request.model_name:
            self._resume(held)
            return held
        name, version = request.model_name, self.free_version(request)
        now = self.clock.now()
        self.rows[name, version] = _Row(run, Status.IMPORTING, "", now, now, request, by)
        return Reservation(model_name=name, model_version=version, run=run)

    def free_version(self, request: ImportRequest) -> str:
        self._answer()
        name = request.model_name
        following = next_version(version for model, version in self.rows if model == name)
        version = request.model_version or (str(following) if following else None)
        if version is None:
            raise VersionExists("REG005", f"{name} has no version number left after 99.99.99.", "Choose another name.")
        if (name, version) in self.rows:
            status = self.rows[name, version].status.value
            raise VersionExists("REG004", f"{name} {version} exists already, with status {status}.", "")
        return version

    def reservation_of(self, run: RunRef) -> Reservation | None:
        self._answer()
        for (name, version), row in self.rows.items():
            if run in (row.run, row.rebuild):
                return Reservation(model_name=name, model_version=version, run=run)
        return None

    def resume(self, reservation: Reservation, steps: Collection[str]) -> None:
        row = self._own(reservation)
        if row.status is Status.FAILED and row.failed_step not in steps:
            return
        self._resume(reservation)

    def _resume(self, reservation: Reservation) -> None:
        row = self._own(reservation)
        if row.status is Status.IMPORTING or row.rebuild == reservation.run:
            return
        if row.status is Status.DELETED:
            raise VersionGone("REG006", f"{reservation} was deleted.", "Import it as a new version.")
        self._set(row, Status.IMPORTING, "")
        row.details.pop("failure", None)
        self._event(row, EventKind.NORMAL, "Import taken up again.")

    def add_event(self, reservation: Reservation, kind: EventKind, text: str) -> None:
        self._event(self._own(reservation), kind, text, reservation.run)

    def complete(self, version: ModelVersion, details: Mapping[str, Any]) -> None:
        row = self._own(version.accepted.reservation)
        if row.status is Status.DELETED:
            raise VersionGone("REG006", f"{version.accepted.reservation} was deleted.", "Import it as a new version.")
        rebuilt = row.rebuild == version.accepted.reservation.run
        again = row.status is Status.NORMAL and not rebuilt
        self._set(row, Status.NORMAL, "")
        row.run, row.rebuild = version.accepted.reservation.run, None
        row.summary, row.details = version.summary(), dict(details)
        if not again:
            text = "Runtime dependencies updated, image made again." if rebuilt else "Model imported."
            self._event(row, EventKind.NORMAL, text)

    def fail(
        self, reservation: Reservation, step: str, code: str, reason: str, report: Mapping[str, Any] | None = None
    ) -> bool:
        row = self._own(reservation)
        text = reason if reason.startswith(f"[{code}]") else f"[{code}] {reason}"
        # As a database does, so that a text which cannot be written is noticed here.
        text.encode()
        if row.rebuild == reservation.run:
            row.rebuild = None
            told = f"Runtime dependencies not updated, the version stays as it was: {text}"
            self._event(row, EventKind.ABNORMAL, told, reservation.run)
            return True
        if row.status is not Status.IMPORTING:
            return False
        self._set(row, Status.FAILED, text)
        row.failed_step = step
        if report is not None:
            row.details["failure"] = dict(report)
        self._event(row, EventKind.ABNORMAL, f"Import failed: {text}")
        return True

    def begin_rebuild(self, model_name: str, model_version: str, run: RunRef, by: str = "") -> Rebuild:
        self._answer()
        row = self.rows.get((model_name, model_version))
        if row is None or row.status is Status.DELETED:
            raise NoSuchVersion("REG008", f"There is no version {model_name} {model_version}.", "")
        if row.status not in (Status.NORMAL, Status.ABNORMAL):
            raise VersionBusy("REG009", f"{model_name} {model_version} has status {row.status.value}.", "")
        row.rebuild = run
        return Rebuild(
            reservation=Reservation(model_name=model_name, model_version=model_version, run=run),
            request=row.request,
            package_digest=row.summary["package_digest"].partition(":")[2],
        )

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
        self._answer()
        row = self.rows.get((model_name, model_version))
        if row is None or row.status not in (Status.NORMAL, Status.ABNORMAL):
            raise NoSuchVersion("REG008", f"{model_name} {model_version} cannot be judged.", "")
        status = Status.ABNORMAL if reason else Status.NORMAL
        if seen is not None and (
            (row.status, row.reason) not in ((seen.status, seen.reason), (status, reason))
            or row.summary["image_digest"] != seen.image_digest
        ):
            raise VersionChanged("REG013", f"{model_name} {model_version} was changed.", "")
        known = {point.device for point in row.health if point.run == str(run)}
        row.health.extend(point for point in points if point.device not in known)
        texts = {event.text for event in row.events if event.run == str(run)}
        for text in told:
            if text not in texts:
                self._event(row, EventKind.NORMAL, text, run)
        changed = status is not row.status
        if changed or reason != row.reason:
            self._set(row, status, reason)
            kind = EventKind.ABNORMAL if reason else EventKind.NORMAL
            found = "Found unfit" if changed else "Still unfit"
            self._event(row, kind, f"{found}: {reason}" if reason else "Found fit again.", run)
        return changed

    def find(self, model_name: str, model_version: str) -> VersionRow | None:
        """What a user looks at; no part of the port."""
        self._answer()
        row = self.rows.get((model_name, model_version))
        return None if row is None else self._public(model_name, model_version, row, tuple(row.events))

    def delete(self, reservation: Reservation) -> None:
        """What a user does behind an import's back; no part of the port."""
        self._set(self.rows[reservation.model_name, reservation.model_version], Status.DELETED, "")

    def _answer(self) -> None:
        if self.away:
            raise RegistryUnavailable("REG001", "The registry does not answer.", "Start its database.")

    def _own(self, reservation: Reservation) -> _Row:
        self._answer()
        row = self.rows.get((reservation.model_name, reservation.model_version))
        if row is None or reservation.run not in (row.run, row.rebuild):
            raise VersionGone("REG007", f"{reservation} is no longer this run's.", "Import it as a new version.")
        return row

    def _set(self, row: _Row, status: Status, reason: str) -> None:
        row.status, row.reason, row.updated_at = status, reason, self.clock.now()

    def _event(self, row: _Row, kind: EventKind, text: str, run: RunRef | None = None) -> None:
        text.encode()
        row.events.append(Event(at=self.clock.now(), kind=kind, text=text, run=str(run or row.run)))

    @staticmethod
    def _public(name: str, version: str, row: _Row, events: tuple[Event, ...]) -> VersionRow:
        return VersionRow(
            model_name=name,
            model_version=version,
            status=row.status,
            reason=row.reason,
            run=str(row.run),
            created_at=row.created_at,
            updated_at=row.updated_at,
            created_by=row.created_by,
            description=row.request.description,
            labels=tuple(sorted(row.request.labels)),
            documents=row.request.documents,
            install_type=tuple(sorted(row.request.install_type)),
            source=str(row.request.source),
            rebuild=str(row.rebuild or ""),
            summary=dict(row.summary),
            details=dict(row.details),
            events=events,
        )


class FakeUse:
    """Says which packages are in use.

    Attributes:
        named: Their digests.
        since: When the oldest import that is under way began.
    """

    def __init__(self, *named: str, since: float | None = None) -> None:
        self.named = named
        self.since = since

    def packages_in_use(self) -> frozenset[str]:
        return frozenset(self.named)

    def importing_since(self) -> float | None:
        return self.since


class FakeReports:
    """Reports in memory.

    Attributes:
        packages: Run → what validation found.
        suites: Run → task → what was judged.
        sweeps: Run → what a sweep did.
        refusals: Run → why it got no version.
        away: Whether nothing can be written or read.
    """

    def __init__(self) -> None:
        self.packages: dict[RunRef, PackageReport] = {}
        self.suites: dict[RunRef, dict[str, tuple[SuiteReport, ...]]] = {}
        self.sweeps: dict[RunRef, SweepReport] = {}
        self.refusals: dict[RunRef, Refusal] = {}
        self.away = False

    def keep_package(self, run: RunRef, report: PackageReport) -> None:
        self._answer()
        self.packages[run] = report
        self.suites.pop(run, None)
        self.refusals.pop(run, None)

    def keep_suites(self, run: RunRef, task: str, suites: Sequence[SuiteReport]) -> None:
        self._answer()
        self.suites.setdefault(run, {})[task] = tuple(suites)

    def keep_sweep(self, run: RunRef, report: SweepReport) -> None:
        self._answer()
        self.sweeps[run] = report

    def keep_refusal(self, run: RunRef, refusal: Refusal) -> None:
        self._answer()
        self.refusals[run] = refusal

    def find(self, run: RunRef) -> ImportReport:
        self._answer()
        return ImportReport(
            package=self.packages.get(run),
            suites=dict(self.suites.get(run, {})),
            sweep=self.sweeps.get(run),
            refusal=self.refusals.get(run),
        )

    def _answer(self) -> None:
        if self.away:
            raise ReportsUnavailable("RPT001", "The reports cannot be read or written.", "Name another folder.")


class FakeExpectations:
    """Judges that find what a test says.

    Attributes:
        unmet: Suite → results that are not met, beside one that is.
        tables: Suite → the rows that it was given, of the last judgement.
        judges: How many judges are at work.
    """

    def __init__(self) -> None:
        self.unmet: dict[str, tuple[ExpectationResult, ...]] = {}
        self.tables: dict[str, list[Mapping[str, Any]]] = {}
        self.judges = 0

    @contextmanager
    def judging(self) -> Iterator[FakeExpectations]:
        self.judges += 1
        try:
            yield self
        finally:
            self.judges -= 1

    def ready(self) -> None:
        return

    def judge(self, suite: str, rows: Sequence[Mapping[str, Any]]) -> SuiteReport:
        self.tables[suite] = list(rows)
        met = ExpectationResult(
            says="There are rows.",
            expectation="expect_table_row_count_to_be_between",
            column="",
            severity=Severity.ERROR,
            met=True,
            observed="",
        )
        return SuiteReport(suite=suite, rows=len(rows), results=(met, *self.unmet.get(suite, ())))
