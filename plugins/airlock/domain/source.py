"""Where a package comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass

# S3's naming rules, and the dots and capitals that older OBS and Swift buckets have.
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
MAX_KEY_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLocation:
    """A folder in object storage.

    Attributes:
        bucket: The bucket's name.
        prefix: The folder's key with a closing `/`; empty for the bucket itself.
    """

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> SourceLocation | None:
        """The folder that `text` names, or None.

        Args:
            text: `s3://bucket/prefix/`, `obs://bucket/prefix/` or `/bucket/prefix/`, with or without the last slash.
        """
        for scheme in ("s3://", "obs://", "/"):
            if text.startswith(scheme):
                bucket, _, prefix = text[len(scheme) :].partition("/")
                break
        else:
            return None
        prefix = prefix.rstrip("/")
        parts = prefix.split("/") if prefix else []
        if not _BUCKET.fullmatch(bucket) or any(part in ("", ".", "..") for part in parts):
            return None
        # Surrogates cannot be encoded; they are not printable, and that is asked before any length.
        if not prefix.isprintable() or len(prefix.encode()) >= MAX_KEY_BYTES:
            return None
        return cls(bucket=bucket, prefix=f"{prefix}/" if prefix else "")

    def above_model(self) -> SourceLocation:
        """The folder above, where this one is the `model` folder itself; else this one."""
        if self.prefix == "model/":
            return SourceLocation(bucket=self.bucket, prefix="")
        if self.prefix.endswith("/model/"):
            return SourceLocation(bucket=self.bucket, prefix=self.prefix[: -len("model/")])
        return self

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"
