"""The installation's own images in a registry: what is made here is pushed there, and what is there is not made again.

A layer's name holds the hash of everything that goes into it, so an image of that name is the image, whoever pushed it.
Whoever may push to the repository is trusted with what models run in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound

from airlock.adapters.deadline_stream import TimeOver, until
from airlock.adapters.docker_client import ENGINE_ERRORS, engine_errors, engine_gone
from airlock.adapters.docker_pull import (
    MAX_SHOWN_CHARACTERS,
    UNAUTHORISED,
    Credentials,
    ImagePull,
    TransferProgress,
    authentication,
)
from airlock.adapters.image_credentials import CredentialsOf
from airlock.adapters.install_settings import without_credentials
from airlock.domain.findings import shown
from airlock.domain.image import LOCAL_REPOSITORY
from airlock.domain.image_reference import ImageReference, NoReference, parse_reference
from airlock.errors import AirlockError, BackendUnavailable, BuildFailed, ImageRefused, SettingInvalid
from airlock.ports.clock import Clock

#: Seconds to wait before each further try of a registry that does not answer.
RETRY_AFTER_S = (1.0, 2.0, 4.0, 8.0)


class ImageRepository:
    """The repository that `[airlock] image_repository` names.

    Args:
        client: The engine's client.
        name: `registry/path`; images lie in repositories below it.
        credentials_of: How registries know us.
        machine: The engine's architecture, as `uname -m` names it.
        timeout_s: Seconds that one transfer may take.
        max_bytes: Most bytes that an image may have.
        clock: Time.

    Raises:
        SettingInvalid: The name is none of a repository.
    """

    def __init__(
        self,
        client: docker.DockerClient,
        name: str,
        *,
        credentials_of: CredentialsOf,
        machine: str,
        timeout_s: float,
        max_bytes: int,
        clock: Clock,
    ) -> None:
        self._client = client
        self._name = name.rstrip("/")
        self._credentials_of = credentials_of
        self._timeout_s = timeout_s
        self._clock = clock
        self._pull = ImagePull(client, machine=machine, timeout_s=timeout_s, max_bytes=max_bytes, clock=clock)
        self._is_known = False
        try:
            parsed = parse_reference(self._name)
        except NoReference as error:
            raise _setting(f"`[airlock] image_repository` is {shown(name)!r}: {error}.", _FORM) from None
        # Without a host the engine would take the public registry's.
        if not parsed.host or parsed.tag or parsed.digest:
            raise _setting(f"`[airlock] image_repository` is {shown(name)!r}.", _FORM)
        self._registry = parsed.registry

    def name_of(self, tag: str) -> ImageReference:
        """What a layer that the engine knows as `airlock/serving:…` is called in the registry."""
        return parse_reference(self._name + tag.removeprefix(LOCAL_REPOSITORY))

    def fetch(self, tag: str, log: Callable[[str], None]) -> bool:
        """Have an image that somebody else has made, under its name on the engine.

        Returns:
            False where the registry does not have it.

        Raises:
            SettingInvalid: The registry refuses us.
            BackendUnavailable: The engine or the registry did not answer.
        """
        self._introduce()
        reference = self.name_of(tag)
        try:
            self._again(lambda: self._pull.pull(reference, self._credentials, log), log)
        except ImageRefused as error:
            # A registry may call an image that it does not have one that we may not see: where our password was right.
            if error.code == "IMG002" and self._credentials is None:
                raise self._refusal(error.message, 401) from error
            if error.code in ("IMG001", "IMG002"):
                return False
            raise _unusable(reference, error) from error
        self._call(str(reference), tag)
        log(f"The registry has {reference}: nothing is made.")
        return True

    def publish(self, tag: str, log: Callable[[str], None]) -> str:
        """Push an image.

        Args:
            tag: Its name on the engine.
            log: Takes one line of progress at a time.

        Returns:
            `repository@sha256:…`, which names it on every worker.

        Raises:
            SettingInvalid: The registry refuses us.
            BackendUnavailable: The engine or the registry did not answer, after several tries.
        """
        self._introduce()
        reference = self.name_of(tag)
        self._call(tag, str(reference))
        log(f"Pushing {reference}.")
        digest = self._again(lambda: self._push(reference, log), log)
        return f"{reference.repository}@{digest}"

    def have(self, reference: str, tag: str, log: Callable[[str], None]) -> None:
        """Pull an image by its digest.

        Args:
            reference: `repository@sha256:…`.
            tag: Its name on the engine. It gets the repository's own name too: without one it would count as litter.
            log: Takes one line of progress at a time.

        Raises:
            BuildFailed: The registry does not have it any more, or it is not what its digest says.
            SettingInvalid: The registry refuses us.
            BackendUnavailable: The engine or the registry did not answer.
        """
        parsed = parse_reference(reference)
        if parsed.registry == self._registry:
            self._introduce()
        credentials = self._credentials_of(parsed.registry)
        log(f"The image {reference} is not on this worker: pulling it.")
        try:
            self._again(lambda: self._pull.pull(parsed, credentials, log), log)
        except ImageRefused as error:
            if error.code == "IMG002":
                raise self._refusal(error.message, 401) from error
            raise _unusable(parsed, error) from error
        self._call(reference, str(self.name_of(tag)))

    def offers(self, reference: str) -> bool:
        """Whether a registry has an image under its digest; nothing is pulled.

        Args:
            reference: `repository@sha256:…`.

        Raises:
            BackendUnavailable: The engine or the registry did not answer, after several tries, or does not open to us.
        """
        parsed = parse_reference(reference)
        credentials = self._credentials_of(parsed.registry)
        offered: bool = self._again(lambda: self._pull.offers(parsed, credentials), lambda line: None)
        return offered

    # ── the registry ─────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _credentials(self) -> Credentials | None:
        return self._credentials_of(self._registry)

    def _introduce(self) -> None:
        """Show our password once, so that a wrong one is known before an engine was installed for nothing."""
        credentials = self._credentials
        if self._is_known or credentials is None:
            return

        def login() -> None:
            try:
                self._client.api.login(credentials.username, credentials.password, registry=self._registry, reauth=True)
            except APIError as error:
                raise self._refusal(str(error.explanation or error), error.status_code or 0) from error
            except ENGINE_ERRORS as error:
                raise engine_gone("introducing itself to a registry", error) from error

        self._again(login, lambda line: None)
        self._is_known = True

    def _push(self, reference: ImageReference, log: Callable[[str], None]) -> str:
        progress = TransferProgress()
        digest = ""
        try:
            answers = self._client.api.push(
                reference.repository,
                tag=reference.tag,
                stream=True,
                decode=True,
                auth_config=authentication(reference, self._credentials),
            )
            for answer in until(answers, self._clock.monotonic() + self._timeout_s, self._clock):
                if answer.get("error"):
                    raise self._refusal(str(answer["error"]), 0)
                digest = _digest_in(answer) or digest
                line = progress.take(answer)
                if line:
                    log(line)
        except TimeOver:
            raise _away(
                f"The image {reference} was not pushed within {self._timeout_s:.0f} s.",
                "Look at the network between the worker and the registry, or raise `[airlock] build_timeout_s`.",
            ) from None
        except APIError as error:
            raise self._refusal(str(error.explanation or error), error.status_code or 0) from error
        except ENGINE_ERRORS as error:
            raise engine_gone("pushing an image", error) from error
        if not digest:
            raise engine_gone("pushing an image", "its output ended before the image was in the registry")
        return digest

    def _refusal(self, said: str, status: int) -> AirlockError:
        told = shown(without_credentials(said), MAX_SHOWN_CHARACTERS)
        if status in (401, 403) or any(word in said.lower() for word in UNAUTHORISED):
            credentials = self._credentials
            who = f"as {shown(credentials.username)}" if credentials else "without credentials"
            return _setting(
                f"The registry {self._registry} does not open {self._name} to who comes {who}: {told}",
                "Name a Connection for that registry, which may pull and push there, in "
                "`[airlock] image_connections`, or correct the one named there.",
            )
        return _away(
            f"The registry {self._registry} of `[airlock] image_repository` does not do what it is asked: {told}",
            "Check that the registry answers, and that the engine trusts its certificate.",
        )

    def _again(self, attempt: Callable[[], Any], log: Callable[[str], None]) -> Any:
        """Do something with a registry, which may be away for a moment."""
        for delay_s in RETRY_AFTER_S:
            try:
                return attempt()
            except BackendUnavailable as error:
                log(f"{error.message} Another try in {delay_s:.0f} s.")
                self._clock.sleep(delay_s)
        return attempt()

    def _call(self, image: str, name: str) -> None:
        repository, _, tag = name.rpartition(":")
        with engine_errors("naming an image"):
            try:
                self._client.api.tag(image, repository, tag, force=True)
            except ImageNotFound:
                raise engine_gone("naming an image", f"there is no {image} any more") from None


_FORM = "Write the registry's host, with its port, and a path: registry.example.com:5000/airlock."


def _digest_in(answer: dict[str, Any]) -> str:
    told = answer.get("aux")
    return str(told.get("Digest") or "") if isinstance(told, dict) else ""


def _setting(message: str, remedy: str) -> SettingInvalid:
    return SettingInvalid("SET014", message, remedy)


def _away(message: str, remedy: str) -> BackendUnavailable:
    return BackendUnavailable("BLD014", message, remedy)


def _unusable(reference: ImageReference, error: ImageRefused) -> BuildFailed:
    return BuildFailed(
        "BLD015",
        f"The image {reference} of `[airlock] image_repository` cannot be used here: {error.message}",
        "Push it again by importing once more, or correct what the registry has.",
    )
