"""An archive that an engine loads as an image: one new layer over layers that it has.

Source: Docker Image Specification 1.2, the combined form of image and layers (`docker save`, `docker load`).
"""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_LAYER = "layer.tar"
_CONFIG = "config.json"
#: The engine looks at a layer's file only where it lacks the layer.
_THERE_ALREADY = "there-already"
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFacts:
    """What the new image takes over from the one below, and what it says of its own.

    Attributes:
        attributes: The image below, as the engine describes it.
        history: How that was made, the latest first, as the engine tells it.
        labels: All labels of the new image.
        layer_comment: What its history says of the new layer.
    """

    attributes: Mapping[str, Any]
    history: Sequence[Mapping[str, Any]]
    labels: Mapping[str, str]
    layer_comment: str

    def configuration(self, layer_digest: str) -> dict[str, Any]:
        """The image's configuration."""
        below = self.attributes
        layers = [*below["RootFS"]["Layers"], f"sha256:{layer_digest}"]
        configuration: dict[str, Any] = {
            "architecture": below["Architecture"],
            "os": below["Os"],
            "created": below["Created"],
            "config": {**below["Config"], "Labels": dict(self.labels)},
            "rootfs": {"type": "layers", "diff_ids": layers},
        }
        if below.get("Variant"):
            configuration["variant"] = below["Variant"]
        history = [*map(_step, reversed(self.history)), {"created": below["Created"], "comment": self.layer_comment}]
        # The engine does not tell an empty layer from a step without one. A history that fits no layers says nothing.
        if sum(not step.get("empty_layer") for step in history) == len(layers):
            configuration["history"] = history
        return configuration


def _step(told: Mapping[str, Any]) -> dict[str, Any]:
    step: dict[str, Any] = {"created": datetime.fromtimestamp(told["Created"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}
    step |= {name: told[key] for name, key in (("created_by", "CreatedBy"), ("comment", "Comment")) if told.get(key)}
    return step if told["Size"] else {**step, "empty_layer": True}


class ImageArchive:
    """The archive.

    Args:
        facts: The image.
        layer: The layer's archive, as pieces.
        layer_bytes: Its length.

    Attributes:
        identity: What the engine calls the image; known when the last piece was given.
    """

    def __init__(self, facts: ImageFacts, layer: Iterator[bytes], layer_bytes: int) -> None:
        self._facts = facts
        self._layer = layer
        self._layer_bytes = layer_bytes
        self.identity = ""

    def pieces(self) -> Generator[bytes, None, None]:
        """Its bytes; the layer's are passed on as they come, and hashed beside."""
        digest = hashlib.sha256()
        hashing: Future[None] | None = None
        yield _header(_LAYER, self._layer_bytes)
        with ThreadPoolExecutor(1, thread_name_prefix="layer-hash") as hasher:
            for piece in self._layer:
                if hashing is not None:
                    hashing.result()
                hashing = hasher.submit(digest.update, piece)
                yield piece
            if hashing is not None:
                hashing.result()
        configuration = json.dumps(self._facts.configuration(digest.hexdigest()), sort_keys=True).encode()
        self.identity = f"sha256:{hashlib.sha256(configuration).hexdigest()}"
        there = [_THERE_ALREADY] * len(self._facts.attributes["RootFS"]["Layers"])
        # No name yet: it is given when the image is whole, and only where no other worker was faster.
        manifest = json.dumps([{"Config": _CONFIG, "RepoTags": None, "Layers": [*there, _LAYER]}]).encode()
        end = bytes(-self._layer_bytes % _BLOCK)
        for name, content in ((_CONFIG, configuration), ("manifest.json", manifest)):
            end += _header(name, len(content)) + content + bytes(-len(content) % _BLOCK)
        yield end + bytes(2 * _BLOCK)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)
