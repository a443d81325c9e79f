"""Runtime images: how their layers are planned and written down, and what a built one is.

Rendering is pure: the same runtime, serving code and dependencies give the same text and so the same tag.
"""

from __future__ import annotations

import enum
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from airlock.domain.catalogue import OWN_BUILD, Runtime
from airlock.domain.dependencies import Dependency
from airlock.domain.installing import INSTALL_FOLDER, install_program
from airlock.domain.slimming import slim_program

SERVING_FOLDER = "/opt/airlock/serving"
PACKAGE_FOLDER = "/opt/airlock/package"
#: Beside the serving code, for runtimes with a stand-in. No package can have a module of this name.
STAND_IN_FOLDER = "stand-in"
HOME_FOLDER = "/home/mind"
#: Where the wheels that a package brings lie while its dependency layer is made.
BUNDLED_FOLDER = f"{INSTALL_FOLDER}/bundled"
SERVICE_PORT = 8080
SERVICE_USER = 65534
#: Marks build containers and intermediate images with the layer they belong to, so that a killed build can be cleared.
LAYER_LABEL = "io.airlock.layer"
#: What images are called on an engine; a registry has them below a name of its own.
LOCAL_REPOSITORY = "airlock"
#: What images say of themselves. Source: OCI image specification, annotations.
OCI_LABEL = "org.opencontainers.image"

#: The layers by rate of change, the slowest first. A new release's serving code reinstalls nothing.
BASE_LAYER = "base"
DEPENDENCY_LAYER = "dependencies"
SERVING_LAYER = "serving"


class BackendKind(enum.StrEnum):
    """What runs a runtime."""

    DOCKER = "docker"
    PROCESS = "process"


class Isolation(enum.StrEnum):
    """What stands between the user's code and the host."""

    CONTAINER = "container"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of a runtime image.

    Attributes:
        name: `base` (catalogue entry), `dependencies` (the configuration's list) or `serving` (serving code).
        tag: Repository and tag; the tag is the hash of the layer's inputs.
        base: Reference of the image that it is made on.
        dockerfile: How the layer is made, where the engine builds it.
        program: How the layer is made, where it is installed in a container of the base.
        requirements: Requirement lines to install.
        bundled_wheels: Wheels to install that the package brings, as paths under `model/`.
    """

    name: str
    tag: str
    base: str
    dockerfile: str
    requirements: str
    bundled_wheels: tuple[str, ...] = ()
    program: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildPlan:
    """What makes a runtime image, from the slowest changing layer to the fastest.

    Attributes:
        runtime: The catalogue's row.
        layers: Base, dependencies where there are any, serving; each is built on the one before it.
        dependencies: The dependencies of the second layer.
        package_digest: Where bundled wheels come from.
    """

    runtime: Runtime
    layers: tuple[Layer, ...]
    dependencies: tuple[Dependency, ...]
    package_digest: str

    @property
    def base_may_be_pulled(self) -> bool:
        """Whether a registry may be asked for the base image.

        Nobody publishes an image that the catalogue has a recipe for, so anybody could publish another one under its
        name: it is pulled from a registry that the installation names and from no other.
        """
        return not self.runtime.base_recipe or self.layers[0].base != self.runtime.base_image

    @property
    def key(self) -> str:
        """Names the finished image or environment: the last layer's tag without its repository."""
        return self.layers[-1].tag.rpartition(":")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltLayer:
    """What became of one layer.

    Attributes:
        name: As planned.
        tag: As planned.
        reused: Whether it was there already.
        seconds: Seconds it took to make or to find.
        log: Path of its build log on the worker, empty where there is none.
    """

    name: str
    tag: str
    reused: bool
    seconds: float
    log: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UserImage:
    """What an image of the user's own says of itself.

    Attributes:
        user: USER as the image names it, empty where it names none.
        ports: Exposed TCP ports, sorted.
        volumes: Paths that it declares as volumes, sorted.
        architecture: As `uname -m` names it.
    """

    user: str = ""
    ports: tuple[int, ...] = ()
    volumes: tuple[str, ...] = ()
    architecture: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A runtime that is ready to serve.

    Attributes:
        backend: What runs it.
        isolation: What stands between its code and the host.
        reference: Image tag, or `repository@digest` where a registry has it; for the process backend the last layer's
            key.
        digest: The registry's digest of the image's manifest where one has it, else the engine's identifier; for the
            process backend the digest of its inputs.
        size_bytes: Size on disk.
        layers: What was built and what was reused.
        log: Path on the worker of the log of what was built last, empty where nothing was built.
        build: Which build of the catalogue's row it is: `own`, `stand-in`, or a variant's name.
        own: For an image of the user's own, what it says of itself; else None.
        baked: Whether it holds the package; otherwise the package is mounted.
    """

    backend: BackendKind
    isolation: Isolation
    reference: str
    digest: str
    size_bytes: int
    layers: tuple[BuiltLayer, ...]
    log: str
    own: UserImage | None = None
    build: str = OWN_BUILD
    baked: bool = False


def plan_build(
    runtime: Runtime,
    dependencies: tuple[Dependency, ...],
    *,
    serving_digest: str,
    base_image_prefix: str,
    package_digest: str,
    bundled_digests: Mapping[str, str],
) -> BuildPlan:
    """Plan the layers.

    Args:
        runtime: The catalogue's row.
        dependencies: What the inference code needs; none means no second layer.
        serving_digest: Digest of the serving code.
        base_image_prefix: Registry prefix that replaces the public one, such as `mirror.corp/library/`; may be empty.
        package_digest: The package that bundled wheels come from.
        bundled_digests: Path under `model/` → sha256, for the bundled wheels.

    Raises:
        ValueError: A bundled wheel has no digest; validation lets none through.
    """
    base_reference = base_image_prefix + runtime.base_image
    if runtime.base_image_digest and base_image_prefix == "":
        base_reference = f"{runtime.base_image}@{runtime.base_image_digest}"
    layers = [_base_layer(runtime, base_reference)]
    if dependencies:
        layers.append(_dependency_layer(runtime, layers[0], dependencies, bundled_digests))
    layers.append(_serving_layer(runtime, layers[-1], serving_digest, base_reference))
    return BuildPlan(runtime=runtime, layers=tuple(layers), dependencies=dependencies, package_digest=package_digest)


def _tag(name: str, runtime: Runtime, inputs: list[str]) -> str:
    digest = hashlib.sha256(json.dumps(inputs).encode()).hexdigest()[:20]
    parts = [runtime.engine, runtime.name, *([runtime.variant] if runtime.variant else [])]
    readable = "-".join(parts).lower().replace("_", "-")
    return f"{LOCAL_REPOSITORY}/{name}:{readable}-{digest}"


def label_line(labels: Mapping[str, str]) -> str:
    """A Dockerfile's LABEL with these names and values."""
    return _pairs("LABEL", labels)


def environment_line(variables: Mapping[str, str]) -> str:
    """A Dockerfile's ENV with these names and values."""
    return _pairs("ENV", variables)


def _pairs(instruction: str, values: Mapping[str, str]) -> str:
    return f"{instruction} " + " \\\n    ".join(f"{name}={_quoted(value)}" for name, value in sorted(values.items()))


# One instruction, because each makes a container. The proxies' names are known to the builder anyway.
_INSTALL_ARGUMENTS = "ARG PIP_INDEX_URL PIP_EXTRA_INDEX_URL PIP_FIND_LINKS PIP_TRUSTED_HOST PIP_NO_INDEX"


def _install_stage(base: str, label: str) -> list[str]:
    """A stage of its own, so that no CA, wheel or password reaches the final image."""
    return [
        f"FROM {base} AS install",
        f"LABEL {LAYER_LABEL}={label}",
        # Whatever user a base image of a company's own has.
        "USER 0:0",
        _INSTALL_ARGUMENTS,
        "COPY install/ /tmp/install/",
        "RUN if [ -s /tmp/install/ca.pem ]; then export PIP_CERT=/tmp/install/ca.pem; fi; "
        "python -m pip install --disable-pip-version-check --no-cache-dir --no-warn-script-location --prefix=/install "
        "--find-links /tmp/install/wheels --no-deps -r /tmp/install/requirements.txt && mkdir -p /install "
        # What serving never needs is left out before it becomes a layer: a later one could only hide it.
        "&& python /tmp/install/slim.py /install",
    ]


def _quoted(value: str) -> str:
    """A value of a Dockerfile's ENV, taken literally."""
    return json.dumps(value, ensure_ascii=False).replace("$", "\\$")


def _base_layer(runtime: Runtime, base_reference: str) -> Layer:
    def dockerfile(label: str) -> str:
        lines = [
            *_install_stage(base_reference, label),
            "",
            f"FROM {base_reference}",
            f"LABEL {LAYER_LABEL}={label}",
        ]
        if runtime.system_packages:
            packages = " ".join(sorted(runtime.system_packages))
            lines.append(
                # A JRE's package wants the manual's folder, which slim images have removed.
                "RUN mkdir -p /usr/share/man/man1 && apt-get update -q && "
                "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "
                f"{packages} && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin"
            )
        lines += [
            "COPY --from=install /install/ /usr/local/",
            f"RUN mkdir -p {HOME_FOLDER} {PACKAGE_FOLDER} && chmod 1777 {HOME_FOLDER} && ldconfig",
            "",
        ]
        return "\n".join(lines)

    tag = _tag(BASE_LAYER, runtime, [dockerfile(""), slim_program(), runtime.constraints])
    return Layer(
        name=BASE_LAYER, tag=tag, base=base_reference, dockerfile=dockerfile(tag), requirements=runtime.constraints
    )


def _serving_layer(runtime: Runtime, below: Layer, serving_digest: str, base_reference: str) -> Layer:
    """Serving code and how it starts: copying is all that a new release of it costs.

    What the image says of itself stands here, in the one image of a runtime that is ever started. On a layer below, a
    changed word would install an engine again; and of a package nothing is said, because every package shares it.
    """
    said = {
        f"{OCI_LABEL}.title": str(runtime),
        f"{OCI_LABEL}.version": runtime.engine_version,
        f"{OCI_LABEL}.base.name": base_reference,
        "io.airlock.engine": runtime.engine,
        "io.airlock.runtime": runtime.name,
        "io.airlock.build": runtime.build,
        "io.airlock.serving": f"sha256:{serving_digest}",
    }

    def dockerfile(label: str) -> str:
        environment = {
            "AIRLOCK_ENGINE": runtime.engine,
            "AIRLOCK_BASE_CLASS": runtime.service.base_class,
            "AIRLOCK_MODEL_PATH": runtime.service.model_path,
            "AIRLOCK_HOME": HOME_FOLDER,
            "AIRLOCK_PACKAGE_DIR": PACKAGE_FOLDER,
            "PYTHONPATH": python_path(SERVING_FOLDER, runtime),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
            **dict(runtime.environment),
        }
        lines = [
            f"FROM {below.tag}",
            f"LABEL {LAYER_LABEL}={label}",
            label_line(said),
            f"COPY serving/ {SERVING_FOLDER}/",
            environment_line(environment),
            f"WORKDIR {HOME_FOLDER}",
            f"USER {SERVICE_USER}:{SERVICE_USER}",
            f"EXPOSE {SERVICE_PORT}",
            'CMD ["python", "-m", "model_service.server"]',
            "",
        ]
        return "\n".join(lines)

    tag = _tag(SERVING_LAYER, runtime, [dockerfile(""), serving_digest])
    return Layer(name=SERVING_LAYER, tag=tag, base=below.tag, dockerfile=dockerfile(tag), requirements="")


def python_path(folder: str, runtime: Runtime) -> str:
    """PYTHONPATH of a service whose serving code lies in a folder."""
    return f"{folder}:{folder}/{STAND_IN_FOLDER}" if runtime.stand_in else folder


def _dependency_layer(
    runtime: Runtime, base: Layer, dependencies: tuple[Dependency, ...], bundled_digests: Mapping[str, str]
) -> Layer:
    ordered = sorted(dependencies, key=lambda dependency: dependency.key)
    wheels = tuple(dependency.name for dependency in ordered if dependency.bundled)
    missing = [path for path in wheels if path not in bundled_digests]
    if missing:
        raise ValueError(f"no digest for bundled wheels {missing}")
    requirements = "".join(
        f"{BUNDLED_FOLDER}/{dependency.name}\n" if dependency.bundled else f"{dependency.requirement()}\n"
        for dependency in ordered
    )
    digests = [bundled_digests[path] for path in wheels]
    program = install_program()
    tag = _tag(DEPENDENCY_LAYER, runtime, [program, slim_program(), base.tag, requirements, *digests])
    return Layer(
        name=DEPENDENCY_LAYER,
        tag=tag,
        base=base.tag,
        dockerfile="",
        requirements=requirements,
        bundled_wheels=wheels,
        program=program,
    )
