"""Another model registry that is told what this one has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from airlock.domain.mirror import MirroredVersion


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
