"""What a user asks for, as values that keep every rule: an import, or changes of a version that is registered."""

from __future__ import annotations

from dataclasses import dataclass

from airlock.domain.dependencies import Dependency
from airlock.domain.device import Device
from airlock.domain.source import SourceLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class MinimumSpecs:
    """The least that one instance of a real-time service needs.

    Attributes:
        cpu: Cores.
        memory_mb: Memory in megabytes (10^6 bytes).
        gpu: NVIDIA GPUs.
        ascend: Ascend devices.
    """

    cpu: float | None = None
    memory_mb: int | None = None
    gpu: int = 0
    ascend: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A document that describes the model.

    Attributes:
        name: Its name; starts with a letter.
        url: An http or https address.
    """

    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportRequest:
    """A request that keeps every rule.

    Attributes:
        model_name: The model's name.
        model_version: The version asked for; None means the next one.
        labels: At most five.
        description: Brief text.
        source: The folder that contains `model/`, or the archive.
        source_connection: Id of the Airflow Connection that opens the object storage.
        config_override: A configuration that replaces the folder's own, as JSON text; None keeps the folder's.
        install_type: Deployment types that the version may be used for.
        minimum_specs: Least resources.
        documents: At most three.
        dependencies: Replace the configuration's own; None keeps them.
        required_devices: Devices that must pass. Where empty, at least one device must.
        startup_timeout_s: Seconds until the first successful prediction; None means the runtime's own.
        device_tolerance: Share by which numbers in the answers of two devices may differ; with 1 every difference is
            recorded and none fails.
        trust_model_code: Whether findings of code in model files are overridden, on record.
        bake_model: Whether the version gets an image that holds the package.
        rebuild: Whether the image of a version that is registered already is made again with these dependencies;
            everything else stays as it was imported.
        approval: Whether a person decides about the tested version before it is registered.
    """

    model_name: str
    model_version: str | None
    labels: tuple[str, ...]
    description: str
    source: SourceLocation
    source_connection: str
    config_override: str | None
    install_type: tuple[str, ...]
    minimum_specs: MinimumSpecs
    documents: tuple[Document, ...]
    dependencies: tuple[Dependency, ...] | None
    required_devices: tuple[Device, ...]
    startup_timeout_s: float | None
    device_tolerance: float
    trust_model_code: bool
    bake_model: bool = False
    rebuild: bool = False
    approval: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What a user changes of a version that is registered already; None leaves it as it is.

    Attributes:
        description: Brief text.
        labels: At most five.
    """

    description: str | None = None
    labels: tuple[str, ...] | None = None
