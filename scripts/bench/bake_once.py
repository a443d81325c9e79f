"""One image of a runtime, and one with the model inside, by the backend itself, in a process of its own."""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path

from airlock.adapters.catalogue_files import load_catalogue
from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_backend import DockerBackend
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.settings import from_environment
from airlock.domain.baking import plan_bake
from airlock.domain.dependencies import Dependency, Restraint
from airlock.domain.image import plan_build
from airlock.domain.package import FileEntry, Manifest

#: What the measured runtime brings beside its engine.
DEPENDENCIES = (Dependency(name="six", version="1.17.0", restraint=Restraint.EXACT),)
ENGINE = "Scikit_Learn"


def main() -> None:
    """Makes what is missing, and writes what it took; the start of Python and of the client's libraries counts not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package", type=Path, help="a folder with model/, and manifest.json beside it")
    parser.add_argument("--bake", action="store_true", help="an image with the model inside, too")
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args()
    settings = from_environment()
    rows = json.loads((arguments.package / "manifest.json").read_text(encoding="utf-8"))
    manifest = Manifest.of(FileEntry(path=path, size_bytes=size, sha256=sha256) for path, size, sha256 in rows)
    backend = DockerBackend(
        settings=settings,
        install=InstallSettings.from_settings(settings),
        package_folder=lambda digest: str(arguments.package),
        clock=SystemClock(),
    )
    runtime = next(row for row in load_catalogue(settings.include_dir).runtimes if row.engine == ENGINE and row.default)
    before = time.perf_counter()
    image = backend.build(
        plan_build(
            runtime,
            DEPENDENCIES,
            serving_digest=backend.serving_digest(runtime),
            base_image_prefix=settings.base_image_prefix,
            package_digest=manifest.digest(),
            bundled_digests={},
        ),
        print,
    )
    built = time.perf_counter()
    plan = plan_bake(
        runtime,
        image,
        package_digest=manifest.digest(),
        source="s3://bench/model/",
        model_name="bench",
        model_version="0.0.1",
    )
    if arguments.bake:
        backend.bake(plan, manifest, print)
    report = {
        "build_s": built - before,
        "bake_s": time.perf_counter() - built,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "runtime": image.reference,
        "made": [plan.model.tag, plan.content_tag],
    }
    arguments.report.write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
