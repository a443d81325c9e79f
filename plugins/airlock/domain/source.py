"""Where a package comes from."""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from airlock.domain.archives import ArchiveForm, archive_form

# S3's naming rules, and the dots and capitals that older OBS and Swift buckets have.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
MAX_KEY_BYTES = 1024
_FILE_SCHEME = "file:///"
#: Id of the Connection that opens object storage where none is named.
DEFAULT_CONNECTION = "airlock_s3"


class Scheme(enum.StrEnum):
    """What holds the package."""

    S3 = "s3"
    FILE = "file"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLocation:
    """A folder or an archive, in object storage or on the workers' own disks.

    Attributes:
        bucket: The bucket's name; empty on a disk.
        prefix: The folder's key with a closing `/`, empty for the bucket itself; or the archive's key. On a disk the
            path without its first `/`.
        scheme: What holds it.
    """

    bucket: str
    prefix: str
    scheme: Scheme = Scheme.S3

    @classmethod
    def parse(cls, text: str) -> SourceLocation | None:
        """The folder or archive that `text` names, or None.

        A name that ends like an archive is one; a closing `/` always means a folder.

        Args:
            text: `s3://bucket/key`, `obs://bucket/key`, `/bucket/key` or `file:///path`; nothing in it is
                percent-encoded.
        """
        if text.startswith(_FILE_SCHEME):
            scheme, bucket, key = Scheme.FILE, "", text[len(_FILE_SCHEME) :]
            if not key:
                return None
        else:
            beginning = next((each for each in ("s3://", "obs://", "/") if text.startswith(each)), None)
            if beginning is None:
                return None
            scheme = Scheme.S3
            bucket, _, key = text[len(beginning) :].partition("/")
            if not _BUCKET.fullmatch(bucket):
                return None
        path = key.rstrip("/")
        parts = path.split("/") if path else []
        if any(part in ("", ".", "..") for part in parts):
            return None
        # Surrogates cannot be encoded; they are not printable, and that is asked before any length.
        if not path.isprintable() or len(path.encode()) >= MAX_KEY_BYTES:
            return None
        closing = "" if not path or (path == key and archive_form(path)) else "/"
        return cls(bucket=bucket, prefix=path + closing, scheme=scheme)

    @property
    def archive(self) -> ArchiveForm | None:
        """The form of the archive that this names; None for a folder."""
        return None if self.prefix.endswith("/") else archive_form(self.prefix)

    def above_model(self) -> SourceLocation:
        """The folder above, where this one is the `model` folder itself; else this one."""
        if self.prefix == "model/" or self.prefix.endswith("/model/"):
            return SourceLocation(bucket=self.bucket, prefix=self.prefix[: -len("model/")], scheme=self.scheme)
        return self

    def __str__(self) -> str:
        return f"file:///{self.prefix}" if self.scheme is Scheme.FILE else f"s3://{self.bucket}/{self.prefix}"


def parse_prefix(text: str) -> SourceLocation | None:
    """The folder before `/*/`; a place without the asterisk names one package, and is no prefix."""
    folder, asterisk, rest = text.rstrip("/").rpartition("/*")
    return SourceLocation.parse(f"{folder}/") if asterisk and not rest and "*" not in folder else None
