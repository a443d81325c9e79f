"""Forms as the smoke test sends them: their bytes, and the samples of forms that an author brings.

A sample of a form is `{"fields": {"field": "text"}, "files": {"field": "file name"}}`, the files lying beside it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from airlock.errors import SmokeFailed

BOUNDARY = "airlock-5d2c1b0a9f8e7d6c"
#: Code that asks for a file's type wants these; every other is sent as bytes.
_TYPES = {"png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "gif": "image/gif", "txt": "text/plain"}


@dataclass(frozen=True, slots=True, kw_only=True)
class FormSample:
    """One form.

    Attributes:
        fields: Plain fields and their text, in order.
        files: Fields and the names of the files to upload, relative to `samples/`, in order.
    """

    fields: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, str], ...]


def read_form(name: str, body: bytes) -> FormSample:
    """Read a sample of a form.

    Args:
        name: The sample's name, for a message.
        body: Its bytes: JSON that was read once already.

    Raises:
        SmokeFailed: It is JSON of another form.
    """
    document = json.loads(body)
    parts = [document.get(key, {}) for key in ("fields", "files")] if isinstance(document, dict) else []
    if not parts or set(document) - {"fields", "files"} or not all(_is_texts(part) for part in parts):
        raise SmokeFailed(
            "SMK008",
            f"The sample model/samples/{name} is no form.",
            'Write it as {"fields": {"field": "text"}, "files": {"field": "file name"}}.',
        )
    return FormSample(fields=tuple(parts[0].items()), files=tuple(parts[1].items()))


def form_body(name: str, form: FormSample, uploads: Mapping[str, bytes]) -> bytes:
    """The form's bytes.

    Args:
        name: The sample's name, for a message.
        form: The form.
        uploads: File name relative to `samples/` → content.

    Raises:
        SmokeFailed: A file that it names is not in the package.
    """
    missing = [file for _, file in form.files if file not in uploads]
    if missing:
        raise SmokeFailed(
            "SMK008",
            f"The sample model/samples/{name} names {missing[0]!r}, which is not in model/samples/.",
            "Add the file, or correct the name.",
        )
    parts = [(f'name="{quoted(field)}"', text.encode()) for field, text in form.fields]
    for field, file in form.files:
        kind = _TYPES.get(file.rpartition(".")[2].lower(), "application/octet-stream")
        shown = quoted(file.rpartition("/")[2])
        parts.append((f'name="{quoted(field)}"; filename="{shown}"\r\nContent-Type: {kind}', uploads[file]))
    return encode_parts(parts)


def encode_parts(parts: Iterable[tuple[str, bytes]]) -> bytes:
    """A multipart body of parts: what follows `form-data; ` in each header, and its content."""
    boundary = f"--{BOUNDARY}".encode()
    texts = (
        b"%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (boundary, header.encode(), content)
        for header, content in parts
    )
    return b"".join(texts) + boundary + b"--\r\n"


def quoted(name: str) -> str:
    """A name as it stands between the quotation marks of a header."""
    return name.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ")


def _is_texts(part: object) -> bool:
    return isinstance(part, dict) and all(isinstance(value, str) for value in part.values())
