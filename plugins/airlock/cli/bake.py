"""`python -m airlock bake MODEL VERSION`: an image with the model inside, for a version that is there already."""

from __future__ import annotations

import argparse
import sys

EXIT_DONE = 0


def add_bake(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "bake",
        help="make an image with the model inside",
        description="Lay a registered version's package into its runtime's image, test that image, and record it.",
    )
    parser.add_argument("model", help="the model's name")
    parser.add_argument("version", help="its version, such as 0.0.1")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Bake one version; the last line of its output names the image.

    Returns:
        0.

    Raises:
        AirlockError: There is no such version, or its image cannot be made or does not answer.
    """
    from airlock.adapters.settings import from_environment
    from airlock.adapters.wiring import Wiring
    from airlock.codec import decode, encode
    from airlock.domain.record import ModelVersion
    from airlock.domain.version import Status
    from airlock.errors import NoSuchVersion
    from airlock.steps.bake_version import bake_version

    def tell(line: str) -> None:
        sys.stderr.write(f"{line}\n")

    wiring = Wiring(from_environment())
    row = wiring.registry_reader.find(chosen.model, chosen.version)
    if row is None or row.status is not Status.NORMAL:
        what = "there is no such version" if row is None else f"its status is {row.status.value}"
        raise NoSuchVersion(
            "REG008",
            f"{chosen.model} {chosen.version} cannot be baked: {what}.",
            "Name a version with status Normal, as the page of models lists it.",
        )
    try:
        version = decode(ModelVersion, row.details)
    except ValueError:
        raise NoSuchVersion(
            "REG008",
            f"The record of {chosen.model} {chosen.version} was written by another release.",
            "Import the model as a new version, with `bake_model`.",
        ) from None
    baked = bake_version(
        version,
        store=wiring.store,
        backend=wiring.backend,
        registry=wiring.registry,
        catalogue=wiring.catalogue,
        clock=wiring.clock,
        base_image_prefix=wiring.settings.base_image_prefix,
        expectations=wiring.expectations,
        details_of=encode,
        log=tell,
    )
    sys.stdout.write(f"{baked.image.reference}\n")
    return EXIT_DONE
