"""A `.keras` archive: who wrote it, its layers, and code that it carries.

Source: Keras, keras/src/saving/saving_lib.py.
"""

from __future__ import annotations

from airlock.domain.model_files.facts import CERTAIN, Facts, claims, numbered
from airlock.domain.model_files.keras_config import KERAS_VERSIONS, Layers
from airlock.domain.model_files.ranges import MAX_JSON_BYTES, parsed
from airlock.domain.model_files.streams import Binary, Unreadable
from airlock.domain.model_files.zip_archive import Members, content

CONFIG, METADATA = "config.json", "metadata.json"


def is_keras_archive(names: set[str]) -> bool:
    """Whether an archive with these members is one."""
    return {CONFIG, METADATA} <= names


def read_keras_archive(file: Binary, size: int) -> Facts:
    """A `.keras` file.

    Raises:
        Unreadable: The archive can be read in two ways, is damaged, or holds no model.
    """
    members = {member.name: member for member in Members.of(file, size).entries}
    if not is_keras_archive(set(members)):
        raise Unreadable(f"the archive holds no `{CONFIG}` and `{METADATA}`")
    metadata = parsed(content(file, members[METADATA], MAX_JSON_BYTES), METADATA)
    version = numbered(metadata.get(KERAS_VERSIONS)) if isinstance(metadata, dict) else ""
    layers = Layers(version=version)
    layers.read(parsed(content(file, members[CONFIG], MAX_JSON_BYTES), CONFIG))
    for name in members:
        if name.startswith("/") or ".." in name.split("/"):
            raise Unreadable(f"the name {name!r} in the archive points outside of it")
    return Facts(
        says="is a Keras archive",
        claims=claims(CERTAIN, "TensorFlow"),
        written_by=layers.versions(),
        details=layers.details(),
        problems=tuple(layers.problems()),
    )
