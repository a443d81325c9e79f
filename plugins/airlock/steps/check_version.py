"""check: what can be known of a registered version without starting its service."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from airlock.domain.catalogue import Catalogue
from airlock.domain.engines import CONFIG_FILE
from airlock.domain.findings import by_weight, has_errors
from airlock.domain.image import Image
from airlock.domain.package import FetchLimits, FileEntry, Manifest
from airlock.domain.record import ModelVersion
from airlock.domain.revalidation import (
    CHECK_NOTES,
    IMAGE_GONE,
    SOURCE_CHANGED,
    SOURCE_GONE,
    Checked,
    Problem,
    tested_devices,
)
from airlock.domain.smoke import Verdict
from airlock.domain.source import Scheme
from airlock.domain.sweep_request import SweepRequest
from airlock.domain.sweeping import Due, Note, Standing, SweepBatch, SweepState, next_sample, rules_fingerprint
from airlock.domain.version import Status
from airlock.errors import (
    AirlockError,
    NoSuchVersion,
    PackageRejected,
    SettingInvalid,
    StoreDamaged,
    TransientError,
    VersionBusy,
)
from airlock.ports.clock import Clock
from airlock.ports.object_storage import ObjectStorage
from airlock.ports.package_store import PackageStore
from airlock.ports.runtime_backend import RuntimeBackend
from airlock.registry_ports import Sweeps
from airlock.steps.examine import config_bytes_of, examine
from airlock.steps.fetch import SourceLook, look_at_source
from airlock.steps.plan_sweep import runtimes_now

READ_BYTES = 1 << 20
StorageOf = Callable[[Scheme, str], ObjectStorage]


class VersionChecks:
    """The checks of one task's versions: what they share is asked once.

    Args:
        request: The sweep.
        sweeps: The registry.
        store: Where packages lie.
        backend: Where images are.
        storage_of: The storage of a scheme and a Connection.
        catalogue: The known runtimes.
        schema: include/specs/config.schema.json.
        release: Airlock's own version.
        base_image_prefix: Replaces the public registry in base images.
        limits: How much a package may hold.
        clock: Time.
    """

    def __init__(
        self,
        request: SweepRequest,
        *,
        sweeps: Sweeps,
        store: PackageStore,
        backend: RuntimeBackend,
        storage_of: StorageOf,
        catalogue: Catalogue,
        schema: Mapping[str, Any],
        release: str,
        base_image_prefix: str,
        limits: FetchLimits,
        clock: Clock,
    ) -> None:
        self._request = request
        self._sweeps = sweeps
        self._store = store
        self._backend = backend
        self._storage_of = storage_of
        self._catalogue = catalogue
        self._schema = schema
        self._limits = limits
        self._clock = clock
        self._rules = rules_fingerprint(release, schema, catalogue)
        self._runtime_now = runtimes_now(catalogue, base_image_prefix)
        self._storages: dict[tuple[Scheme, str], ObjectStorage | AirlockError] = {}
        self._images: dict[tuple[str, str], bool] = {}

    def check_batch(self, batch: SweepBatch) -> list[Checked]:
        """Check the versions of a batch, in its order."""
        # Before anything is done that may end this process. A version that still waits for its test keeps its turn.
        self._sweeps.tried([(due.model_name, due.model_version) for due in batch.versions if not due.untested])
        # One look for a whole batch: a look for each would cost more than its check, and one at all that there is would
        # cost each batch more, the more batches there are.
        asked = [(due.model_name, due.model_version) for due in batch.versions]
        standings = {
            (standing.model_name, standing.model_version): standing for standing in self._sweeps.standings_of(asked)
        }
        found = []
        for due in batch.versions:
            standing = standings.get((due.model_name, due.model_version))
            found.append(self.check(standing, due) if standing is not None else _gone(due))
        return found

    def check(self, standing: Standing, due: Due) -> Checked:
        """Check one version.

        Returns:
            What was found. That something could not be looked at is no error of the version, and is said.
        """
        checked = Checked(
            model_name=standing.model_name,
            model_version=standing.model_version,
            status=standing.status,
            reason=standing.reason,
            image_digest=standing.image_digest,
            why=due.why,
            before=standing.state,
            state=standing.state or SweepState(),
        )
        now = self._clock.now()
        try:
            version = self._sweeps.record(standing.model_name, standing.model_version)
            return self._check(version, standing, due, checked)
        except NoSuchVersion:
            return replace(checked, overtaken=True)
        except (TransientError, SettingInvalid, VersionBusy) as error:
            return replace(checked, undecided=str(error))
        except AirlockError as error:
            return replace(checked, problems=(problem_of(error),), state=replace(checked.state, checked_at=now))

    def _check(self, version: ModelVersion, standing: Standing, due: Due, checked: Checked) -> Checked:
        state, now = checked.state, self._clock.now()
        problems: list[Problem] = []
        read: tuple[FileEntry, ...] = ()
        # An Abnormal version is fit again when all of it is, and not because today's sample missed what was wrong.
        thorough = due.test or standing.status is Status.ABNORMAL
        try:
            manifest = self._store.manifest(version.package.digest)
        except StoreDamaged as error:
            problems.append(problem_of(error))
        else:
            read, next_file, credit = next_sample(manifest.files, state, self._request.sample_bytes)
            if thorough or self._request.full:
                read, next_file, credit = manifest.files, 0, 0
            problems += self._bytes_problems(version.package.digest, manifest, read)
            state = replace(state, next_file=next_file, credit_bytes=credit)
            if not problems and (thorough or state.rules != self._rules):
                problems += self._rule_problems(version, manifest)
                state = replace(state, rules="" if problems else self._rules)
        notes = (
            *(note for note in state.notes if note.code not in CHECK_NOTES),
            *self._source_notes(version, [note for note in state.notes if note.code in CHECK_NOTES]),
        )
        try:
            problems += self._image_problems(version)
        except (TransientError, SettingInvalid):
            # What is wrong with its bytes is known without the engine.
            if not problems:
                raise
        devices = tested_devices(version.reports) if due.test and not problems else ()
        runtime = self._runtime_now(standing)
        return replace(
            checked,
            problems=tuple(problems),
            notes=notes,
            devices=devices,
            passed_on=tested_devices(version.reports),
            bytes_read=sum(entry.size_bytes for entry in read),
            state=replace(
                state,
                checked_at=now,
                notes=notes,
                # A version whose test waits for something else to be put right does not push others back meanwhile.
                tested_at=now if due.test else state.tested_at,
                runtime=runtime if due.test or not state.runtime else state.runtime,
            ),
        )

    def _bytes_problems(self, digest: str, manifest: Manifest, read: tuple[FileEntry, ...]) -> list[Problem]:
        """What is wrong with the stored files: the lengths of all, and the bytes of some."""
        problems = []
        wanted = set(read)
        for entry in manifest.files:
            try:
                with self._store.open(digest, entry) as file:
                    if entry not in wanted:
                        continue
                    found = hashlib.sha256()
                    while block := file.read(READ_BYTES):
                        found.update(block)
            except StoreDamaged as error:
                problems.append(problem_of(error))
                continue
            if found.hexdigest() != entry.sha256:
                text = (
                    f"{entry.path} of package {digest} is not what was imported: its bytes have changed in the store. "
                    "Run `python -m airlock fsck --repair` and import the package again."
                )
                problems.append(Problem(code="STO006", text=text))
        return problems

    def _rule_problems(self, version: ModelVersion, manifest: Manifest) -> list[Problem]:
        """The rules of today, with what the request said instead of the package."""
        request, digest = version.accepted.request, version.package.digest
        override = request.config_override
        if override is not None:
            data: bytes | None = override.encode(errors="surrogatepass")
        else:
            data = config_bytes_of(manifest, digest, self._store)
        config, findings = examine(
            manifest,
            digest,
            data,
            "request config_override" if override is not None else f"model/{CONFIG_FILE}",
            store=self._store,
            catalogue=self._catalogue,
            schema=self._schema,
            dependencies=request.dependencies,
            trusted=request.trust_model_code,
        )
        if config is not None and not has_errors(findings):
            return []
        rejected = PackageRejected(f"the package by the rules of today: {version.package.source}", by_weight(findings))
        return [problem_of(rejected)]

    def _source_notes(self, version: ModelVersion, known: list[Note]) -> list[Note]:
        """What became of the package where it came from: told, because the store has the bytes.

        Args:
            version: The version.
            known: What the last look said, which stands while the storage does not answer.
        """
        source = version.accepted.request.source
        key = (source.scheme, version.accepted.request.source_connection)
        try:
            if key not in self._storages:
                self._storages[key] = self._storage_of(*key)
            storage = self._storages[key]
            if isinstance(storage, AirlockError):
                raise storage
            look = look_at_source(
                source, version.package.digest, storage=storage, store=self._store, limits=self._limits
            )
        except TransientError as error:
            # Each of a thousand versions would wait for it as long.
            self._storages[key] = error
            return known
        except AirlockError as error:
            return [Note(code=SOURCE_GONE, text=f"The source {source} could not be looked at: {error}")]
        if look is SourceLook.GONE:
            return [Note(code=SOURCE_GONE, text=f"The source {source} is gone; the store has the package.")]
        if look is SourceLook.CHANGED:
            text = f"The source {source} is no longer what was imported; the store has the package as it was."
            return [Note(code=SOURCE_CHANGED, text=text)]
        return []

    def _image_problems(self, version: ModelVersion) -> list[Problem]:
        """What is wrong with the images that it passed in.

        Raises:
            BackendUnavailable: The engine or a registry did not answer.
            SettingInvalid: This worker has another backend.
        """
        problems = []
        for image in images_of(version):
            if image.backend is not self._backend.kind:
                raise SettingInvalid(
                    "RVL010",
                    f"The version's image is of the backend {image.backend.value}; this worker uses "
                    f"{self._backend.kind.value}.",
                    "Let sweeps run where the container engine answers.",
                )
            key = (image.reference, image.digest)
            if key not in self._images:
                self._images[key] = self._backend.image_present(image) or self._backend.image_in_registry(image)
            if not self._images[key]:
                text = (
                    f"The image {image.reference} ({image.digest}) is neither on this worker nor in a registry. Push "
                    "it again, or make it again: update the version's runtime dependencies, with the same list."
                )
                problems.append(Problem(code=IMAGE_GONE, text=text))
        return problems


def images_of(version: ModelVersion) -> tuple[Image, ...]:
    """The version's image and those of devices with a build of their own, each once."""
    passed = [report.image for report in version.reports if report.verdict is Verdict.PASSED and report.image]
    found = {(image.reference, image.digest): image for image in (version.image, *passed)}
    return tuple(found.values())


def _gone(due: Due) -> Checked:
    """A version that was deleted since the sweep was planned."""
    return Checked(
        model_name=due.model_name,
        model_version=due.model_version,
        status=Status.DELETED,
        reason="",
        image_digest="",
        why=due.why,
        overtaken=True,
        state=SweepState(),
    )


def problem_of(error: AirlockError) -> Problem:
    """An error as what makes a version unfit."""
    return Problem(code=error.code, text=f"{error.message} {error.remedy}".rstrip())
