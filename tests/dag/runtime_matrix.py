"""The rows of the catalogue as test cases, and what one row needs: its image, a model of its own, its packages."""

from __future__ import annotations

import contextlib
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.types
import pytest
from docker.errors import APIError, ImageNotFound

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.catalogue import Runtime
from airlock.domain.device import Device
from airlock.domain.image import BuildPlan, Image, plan_build
from scripts import measured_runtimes
from tests.dag.conftest import ROOT, Installation

log = logging.getLogger(__name__)

CATALOGUE = load_catalogue(ROOT / "include")
MACHINE = platform.machine()
#: These run in every `make test`; all others only with --runtimes. Their images stay, so that a second run is short.
EVERY_RUN = {
    ("TensorFlow", "python2.7"),
    ("Scikit_Learn", "python3.6"),
    ("XGBoost", "python3.6"),
    ("PyTorch", "python3.7"),
    ("MXNet", "python3.7"),
    ("Caffe", "python3.6"),
}
#: Builds of more than 6 GB: gigabytes of CUDA from the package index. Rendered and checked in every run; built with
#: --large.
LARGE = {
    ("PyTorch", "pytorch2.13-python3.11-gpu"),
    ("PyTorch", "pytorch2.13-python3.12-gpu"),
    ("TensorFlow", "tf2.21-python3.11-gpu"),
    ("Transformers", "transformers5.23-python3.11-gpu"),
}
#: What an image of an engine may have at most, in bytes.
MAX_IMAGE_BYTES = {"Scikit_Learn": 400_000_000}
#: A base image of a recipe of ours copies NVIDIA's libraries out of an image that this argument names.
CUDA_ARGUMENT = "CUDA_IMAGE"

AVAILABLE = [row for row in CATALOGUE.runtimes if row.available]
HERE = [row for row in AVAILABLE if MACHINE in row.architectures]
#: What a machine of this architecture without accelerators can run.
RUNS = [row for row in HERE if Device.CPU in row.devices]
WITHOUT_DEVICE = [row for row in HERE if Device.CPU not in row.devices]
WITH_GPU_BUILD = [row for row in HERE if any(variant.name == "gpu" for variant in row.variants)]
OTHER_MACHINE = [row for row in AVAILABLE if MACHINE not in row.architectures]


def cases(rows: list[Runtime]) -> list[Any]:
    """Rows as parameters, named as `pytest -k` finds them: TensorFlow-python3.6."""

    def marks(row: Runtime) -> list[pytest.MarkDecorator]:
        key = (row.engine, row.name)
        if key in EVERY_RUN:
            return []
        return [pytest.mark.runtimes, pytest.mark.large] if key in LARGE else [pytest.mark.runtimes]

    return [pytest.param(row, id=f"{row.engine}-{row.name}", marks=marks(row)) for row in rows]


def further_packages(engine: str) -> list[str]:
    """Folders of the engine's example that make other packages of the same model."""
    return sorted(path.parent.name for path in (ROOT / "examples" / engine.lower()).glob("*/config.json"))


def sibling(row: Runtime) -> Runtime:
    """The row of the same engine that runs here and is nearest to one that does not."""
    rows = [other for other in RUNS if other.engine == row.engine]
    return min(rows, key=lambda other: (other.engine_version != row.engine_version, other.python != row.python))


def plan_of(row: Runtime, serving_digest: str, prefix: str = "") -> BuildPlan:
    """The plan of the row's image, as an import without dependencies makes it."""
    return plan_build(
        row, (), serving_digest=serving_digest, base_image_prefix=prefix, package_digest="", bundled_digests={}
    )


@dataclass
class Workshop:
    """Builds, trains and packs on the container engine, and removes what it built.

    Attributes:
        installation: Whose settings and backend are used.
        folder: Where packages go.
        measure: Whether figures are recorded.
    """

    installation: Installation
    folder: Path
    measure: bool
    _built: list[str] = field(default_factory=list)

    def build(self, row: Runtime, prefix: str = "", *, of_a_variant: bool = False) -> Image:
        """Build the row's image."""
        backend = self.installation.wiring().backend
        plan = plan_of(row, backend.serving_digest(row), prefix)
        if (row.engine, row.name) not in EVERY_RUN:
            self._built += [layer.tag for layer in plan.layers if not self._present(layer.tag)]
        image = backend.build(plan, lambda line: log.info("%s", line))
        figures: dict[str, float] = {"image_bytes": image.size_bytes}
        if not any(layer.reused for layer in image.layers):
            figures["build_s"] = round(sum(layer.seconds for layer in image.layers))
        # A row's figures are those of its own build.
        if not of_a_variant:
            self.record(row, figures)
        return image

    def train(self, row: Runtime, image: Image) -> Path:
        """Train the engine's example with the very image that will serve it.

        Returns:
            The folder that train.py filled.
        """
        script = ROOT / "examples" / row.engine.lower() / "train.py"
        assert script.is_file(), f"examples/ has no {row.engine.lower()}/train.py, which a row of {row.engine} needs"
        trained = self._trained(row)
        shutil.rmtree(trained, ignore_errors=True)
        trained.mkdir(parents=True)
        self.run(image, script, trained)
        return trained

    def model_of(self, row: Runtime) -> Path:
        """The row's trained model: that of an earlier test, else a new one."""
        trained = self._trained(row)
        return trained if any(trained.glob("*.json")) else self.train(row, self.build(row))

    def _trained(self, row: Runtime) -> Path:
        """Where the row's model lies for the whole session."""
        return self.installation.home / "trained" / f"{row.engine}-{row.name}"

    def run(self, image: Image, script: Path, out: Path) -> None:
        """Run `script --out OUT` in an image, without a network; its folder's parent is mounted with it."""
        folder = script.parent.parent
        with self._client() as client:
            client.containers.run(
                image.reference,
                ["python", f"/scripts/{script.relative_to(folder)}", "--out", "/out"],
                mounts=[
                    docker.types.Mount("/scripts", str(folder), type="bind", read_only=True),
                    docker.types.Mount("/out", str(out), type="bind"),
                ],
                # One thread: sums come in the same order on every machine, whatever its cores.
                environment={"OMP_NUM_THREADS": "1", "HOME": "/tmp"},
                user=f"{os.getuid()}:{os.getgid()}",
                hostname="localhost",
                network_mode="none",
                remove=True,
            )

    def pack(self, row: Runtime, trained: Path, further: str = "") -> Path:
        """Make a package of a trained model; the folder that contains `model/`."""
        made = subprocess.run(
            [
                *(sys.executable, str(ROOT / "examples" / "make_package.py"), "--engine", row.engine),
                *("--runtime", row.name, "--trained", str(trained), "--package", further),
                *("--out", str(self.folder / f"packages-{row.name}")),
            ],
            check=False,
            capture_output=True,
            text=True,
        )
        assert made.returncode == 0, made.stderr
        return Path(made.stdout.strip().splitlines()[-1])

    def make_base(self, row: Runtime, prefix: str) -> str:
        """Make the base image of a recipe that copies NVIDIA's libraries, with empty files in their place.

        NVIDIA's old images are in no public registry any more. Without a GPU nothing loads the libraries; that the
        recipe builds, and the row on it, can be seen without them.

        Args:
            row: The row.
            prefix: Goes before the tag, so that nobody takes this image for the real one.

        Returns:
            The tag.
        """
        sources = re.findall(r"COPY --from=cuda (\S+)", row.base_recipe)
        assert sources
        files = [f"{source}placeholder" if source.endswith("/") else source.rstrip("*") for source in sources]
        bare = row.base_recipe.splitlines()[2].split()[1]
        places = " ".join(files)
        stand_in, base = f"{prefix}cuda:{row.engine.lower()}-{row.name}", f"{prefix}{row.base_image}"
        self._built += [base, stand_in]
        self._docker_build(stand_in, f"FROM {bare}\nRUN for f in {places}; do mkdir -p ${{f%/*}}; touch $f; done\n")
        self._docker_build(base, row.base_recipe, f"{CUDA_ARGUMENT}={stand_in}")
        return base

    def _docker_build(self, tag: str, recipe: str, *arguments: str) -> None:
        options = [word for argument in arguments for word in ("--build-arg", argument)]
        done = subprocess.run(
            ["docker", "build", "-q", "-t", tag, *options, "-"],
            input=recipe,
            check=False,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr

    def record(self, row: Runtime, figures: dict[str, float]) -> None:
        """Keep figures of the row where the run is one that measures."""
        if self.measure:
            measured_runtimes.record(f"{row.engine}/{row.name}", figures)

    def clear(self) -> None:
        """Remove the images that were built here and are not wanted by the next run."""
        with self._client() as client:
            for tag in reversed(self._built):
                try:
                    client.images.remove(tag)
                except APIError as error:
                    log.warning("The image %s stays: %s", tag, error)
        self._built.clear()

    def removes(self, layers: list[dict[str, Any]]) -> None:
        """Remove at the end, too, what an import built: `layers` as its build task says them."""
        self._built += [layer["tag"] for layer in layers if not layer["reused"]]

    def _present(self, tag: str) -> bool:
        with self._client() as client:
            try:
                client.images.get(tag)
            except ImageNotFound:
                return False
            return True

    @staticmethod
    def _client() -> contextlib.closing[docker.DockerClient]:
        # Training, and removing gigabytes, may take minutes.
        return contextlib.closing(docker.from_env(timeout=1200))
