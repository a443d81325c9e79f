"""`python -m airlock base-recipe TAG`: the Dockerfile of a base image that nobody publishes."""

from __future__ import annotations

import argparse
import sys

EXIT_PRINTED, EXIT_UNKNOWN = 0, 1


def add_base_recipe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "base-recipe",
        help="print the recipe of a base image",
        description="Print the Dockerfile of a base image that no registry publishes: "
        "`python -m airlock base-recipe TAG | docker build -t TAG -`.",
    )
    parser.add_argument("tag", nargs="?", help="the base image, as the catalogue names it; without it all are listed")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Print one recipe, or the tags that have one.

    Returns:
        0, or 1 where the catalogue has no such recipe.

    Raises:
        SettingInvalid: The settings or the catalogue cannot be used.
    """
    from airlock.adapters.catalogue_files import load_catalogue
    from airlock.adapters.settings import from_environment

    recipes = load_catalogue(from_environment().include_dir).base_recipes()
    if not chosen.tag:
        sys.stdout.write("".join(f"{tag}\n" for tag in sorted(recipes)))
        return EXIT_PRINTED
    if chosen.tag not in recipes:
        known = ", ".join(sorted(recipes))
        sys.stderr.write(f"airlock: the catalogue has no recipe of {chosen.tag!r}; it has those of {known}\n")
        return EXIT_UNKNOWN
    sys.stdout.write(recipes[chosen.tag])
    return EXIT_PRINTED
