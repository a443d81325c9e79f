"""Pulling an image: with limits, and errors that tell a wrong name from a registry that is away."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import APIError

from airlock.adapters.deadline_stream import TimeOver, until
from airlock.adapters.docker_client import ENGINE_ERRORS, engine_gone
from airlock.adapters.install_settings import without_credentials
from airlock.domain.findings import shown
from airlock.domain.image_reference import ImageReference
from airlock.domain.user_image import too_large, wrong_architecture
from airlock.errors import AirlockError, BackendUnavailable, ImageRefused
from airlock.ports.clock import Clock

MAX_SHOWN_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Credentials:
    """How a registry knows us.

    Attributes:
        username: The account.
        password: Its password or token; never shown.
    """

    username: str
    password: str

    def __repr__(self) -> str:
        return f"Credentials({self.username!r})"


class ImagePull:
    """Pulls images.

    Args:
        client: The engine's client.
        machine: The engine's architecture, as `uname -m` names it.
        timeout_s: Seconds that one pull may take.
        max_bytes: Most bytes that an image may have.
        clock: Time.
    """

    def __init__(
        self, client: docker.DockerClient, *, machine: str, timeout_s: float, max_bytes: int, clock: Clock
    ) -> None:
        self._client = client
        self._machine = machine
        self._timeout_s = timeout_s
        self._max_bytes = max_bytes
        self._clock = clock

    def pull(self, reference: ImageReference, credentials: Credentials | None, log: Callable[[str], None]) -> None:
        """Pull an image.

        Args:
            reference: Its name.
            credentials: How its registry knows us; None asks it as nobody. The engine's host has no say in it.
            log: Takes one line of progress at a time.

        Raises:
            ImageRefused: There is none of that name for this machine, it may not be had, is too large, or is not what
                its digest says.
            BackendUnavailable: The registry or the engine did not answer, or the time is over.
        """
        progress = TransferProgress()
        answers: Generator[Any, None, None] | None = None
        try:
            answers = self._client.api.pull(
                reference.repository,
                # A digest says more than a tag beside it.
                tag=reference.digest or reference.tag or "latest",
                stream=True,
                decode=True,
                auth_config=authentication(reference, credentials),
            )
            for answer in until(answers, self._clock.monotonic() + self._timeout_s, self._clock):
                if answer.get("error"):
                    raise self._refusal(reference, str(answer["error"]), 0, credentials)
                line = progress.take(answer)
                if line:
                    log(line)
                if progress.size_bytes > self._max_bytes:
                    raise too_large(reference, progress.size_bytes, self._max_bytes, " even when compressed")
        except TimeOver:
            raise BackendUnavailable(
                "IMG003",
                f"The image {reference} was not pulled within {self._timeout_s:.0f} s.",
                "Look at the network between the worker and the registry, or raise `[airlock] build_timeout_s`.",
            ) from None
        except APIError as error:
            said = str(error.explanation or error)
            raise self._refusal(reference, said, error.status_code or 0, credentials) from error
        except ENGINE_ERRORS as error:
            raise engine_gone("pulling an image", error) from error

    def offers(self, reference: ImageReference, credentials: Credentials | None) -> bool:
        """Whether a registry has an image, by its manifest alone.

        Args:
            reference: Its name, with a digest.
            credentials: How its registry knows us.

        Raises:
            BackendUnavailable: The registry or the engine did not answer, or the registry does not open to us.
        """
        try:
            self._client.api.inspect_distribution(  # type: ignore[no-untyped-call]
                f"{reference.repository}@{reference.digest}", auth_config=authentication(reference, credentials)
            )
        except APIError as error:
            refusal = self._refusal(reference, str(error.explanation or error), error.status_code or 0, credentials)
            if isinstance(refusal, ImageRefused) and refusal.code == "IMG001":
                return False
            # That it may be had by somebody else says nothing about the image.
            raise BackendUnavailable(refusal.code, refusal.message, refusal.remedy) from error
        except ENGINE_ERRORS as error:
            raise engine_gone("asking a registry for an image", error) from error
        return True

    def _refusal(
        self, reference: ImageReference, said: str, status: int, credentials: Credentials | None
    ) -> AirlockError:
        """What the engine's words mean: of a registry's answer it passes on the text, and 500 for most of them."""
        words = said.lower()
        told = shown(without_credentials(said), MAX_SHOWN_CHARACTERS)
        if "no matching manifest for" in words:
            return wrong_architecture(reference, "other architectures only", self._machine)
        if "verification failed for digest" in words or "does not match provided digest" in words:
            return ImageRefused(
                "IMG004",
                f"What the registry {reference.registry} gave for {reference} is not what its digest says: {told}",
                "Push the image again; the registry's storage may be damaged.",
            )
        if status in (401, 403) or any(word in words for word in UNAUTHORISED):
            who = f"as {shown(credentials.username)}" if credentials else "without credentials"
            return ImageRefused(
                "IMG002",
                f"The registry {reference.registry} does not give the image {reference} to who asks {who}: {told}",
                "Name a Connection for that registry in `[airlock] image_connections`, or correct the one named there.",
            )
        if status == 404 or "manifest unknown" in words or "not found" in words:
            return ImageRefused(
                "IMG001",
                f"There is no image {reference} in its registry {reference.registry}: {told}",
                "Correct `swr_location`, or push the image.",
            )
        return BackendUnavailable(
            "IMG003",
            f"The image {reference} cannot be pulled from the registry {reference.registry}: {told}",
            "Check that the registry answers, and that the engine trusts its certificate.",
        )


#: A registry that needs a name answers so, also for images that it does not have.
UNAUTHORISED = ("unauthorized", "authentication required", "no basic auth credentials", "denied", "forbidden")


def authentication(reference: ImageReference, credentials: Credentials | None) -> dict[str, str]:
    """What the client hands to the engine for a registry."""
    if credentials is None:
        # Not None: the client would then take what this user's own `docker login` left.
        return {}
    return {
        "username": credentials.username,
        "password": credentials.password,
        "serveraddress": reference.registry,
    }


class TransferProgress:
    """What a pull's or a push's stream of answers says."""

    def __init__(self) -> None:
        self._layers: dict[str, int] = {}
        self._said: dict[str, str] = {}

    @property
    def size_bytes(self) -> int:
        """Bytes of the layers seen so far, as they are sent."""
        return sum(self._layers.values())

    def take(self, answer: Mapping[str, Any]) -> str:
        """A line worth telling: each layer's steps once, no bars."""
        layer, status = str(answer.get("id") or ""), str(answer.get("status") or "")
        detail = answer.get("progressDetail")
        total = detail.get("total") if isinstance(detail, Mapping) else None
        # A layer that is unpacked tells its size in other units.
        if status == "Downloading" and isinstance(total, int):
            self._layers[layer] = max(total, 0)
        if not status or self._said.get(layer) == status:
            return ""
        self._said[layer] = status
        return shown(without_credentials(f"{layer}: {status}" if layer else status), MAX_SHOWN_CHARACTERS)
