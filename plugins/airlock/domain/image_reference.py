"""References of container images, as `swr_location` names them.

Source: Specifications for compiling the model configuration file, `swr_location`; the grammar of the distribution
project's reference package.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PUBLIC_HOST = "docker.io"
MAX_NAME_CHARACTERS = 255
_HOST = re.compile(
    r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])"
    r"(?::[0-9]{1,5})?"
)
_PART = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class NoReference(ValueError):
    """The text is no reference of an image; its message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageReference:
    """A parsed reference.

    Attributes:
        host: The registry, with its port where one is named; empty where the reference names none.
        path: The repository below the host.
        tag: The tag, empty where none is named.
        digest: `sha256:…`, empty where the reference is not pinned.
    """

    host: str
    path: str
    tag: str
    digest: str

    @property
    def repository(self) -> str:
        """Host and path, as the engine names them."""
        return f"{self.host}/{self.path}" if self.host else self.path

    @property
    def registry(self) -> str:
        """The host that is asked for the image."""
        return self.host or PUBLIC_HOST

    @property
    def moves(self) -> bool:
        """Whether the same text is meant to name another image tomorrow: no digest, and no tag but `latest`."""
        return not self.digest and self.tag in ("", "latest")

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ("" if self.digest else ":latest")
        return f"{self.repository}{tag}" + (f"@{self.digest}" if self.digest else "")


def parse_reference(text: str) -> ImageReference:
    """Parse a reference such as `swr.example.com/team/iris:1.0` or `iris@sha256:…`.

    Raises:
        NoReference: It is none.
    """
    if "://" in text:
        raise NoReference("A reference has no scheme: the registry's host comes first")
    rest, pinned, digest = text.partition("@")
    if pinned and not _DIGEST.fullmatch(digest):
        raise NoReference("What follows `@` is `sha256:` and 64 hexadecimal digits in lower case")
    first, slash, below = rest.partition("/")
    # What the first part has to look like to be a host is the engine's own rule.
    is_host = bool(slash) and (any(mark in first for mark in ".:[") or first == "localhost")
    host, path = (first, below) if is_host else ("", rest)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise NoReference("A tag has 1 to 128 letters, digits, `_`, `.` and `-`, and does not begin with `.` or `-`")
    if host and not _HOST.fullmatch(host):
        raise NoReference("The registry's host is a name or an address, with `:` and its port where it has one")
    if host and not _is_port(host):
        raise NoReference("The registry's port is a number from 1 to 65535")
    if not path or not all(_PART.fullmatch(part) for part in path.split("/")):
        raise NoReference(
            "A repository is made of lower-case letters and digits, with `.`, `_`, `__` or hyphens between them, in "
            "parts joined by `/`"
        )
    reference = ImageReference(host=host, path=path, tag=tag, digest=digest)
    if len(reference.repository) > MAX_NAME_CHARACTERS:
        raise NoReference(f"Host and repository have at most {MAX_NAME_CHARACTERS} characters")
    return reference


def _is_port(host: str) -> bool:
    _, colon, port = host.rpartition(":")
    return not colon or host.endswith("]") or 0 < int(port) < 65536
