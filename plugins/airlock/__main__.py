"""`python -m airlock`: what an operator does on the command line. Imports no Airflow, so it starts fast."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from airlock import __version__
from airlock.cli.bake import add_bake
from airlock.cli.base_recipe import add_base_recipe
from airlock.cli.check import add_check
from airlock.cli.store import add_store
from airlock.errors import AirlockError, SettingInvalid


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: Command line without the program's name.

    Returns:
        Exit status: 0 done, 1 refused or failed, 2 wrong usage.
    """
    # jsonschema's check of durations, which no schema here asks for, brings a library of dates: a tenth of the start.
    sys.modules.setdefault("isoduration", None)  # type: ignore[arg-type]
    parser = argparse.ArgumentParser(prog="python -m airlock", description="The gate for model packages.")
    parser.add_argument("--version", action="version", version=f"airlock {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    registry = commands.add_parser("registry", help="the registry's database").add_subparsers(
        required=True, metavar="ACTION"
    )
    upgrade = registry.add_parser("upgrade", help="make its tables, or bring them to this release")
    upgrade.add_argument("--url", help="SQLAlchemy URL instead of AIRFLOW__AIRLOCK__REGISTRY_URL")
    upgrade.set_defaults(run=_upgrade)
    mirror = registry.add_parser("mirror", help="tell its mirror of every registered version")
    mirror.set_defaults(run=_mirror)
    add_check(commands)
    add_base_recipe(commands)
    add_store(commands)
    add_bake(commands)
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except AirlockError as error:
        print(f"airlock: {error}", file=sys.stderr)
        return 1


def _upgrade(chosen: argparse.Namespace) -> int:
    from airlock.adapters.registry_schema import open_engine, upgrade
    from airlock.adapters.settings import from_environment

    engine = open_engine(chosen.url or from_environment().registry_url)
    try:
        before, after = upgrade(engine)
    finally:
        engine.dispose()
    place = engine.url.render_as_string(hide_password=True)
    print(f"{place}: schema {after}" + (" (unchanged)" if before == after else f", was {before or 'empty'}"))
    return 0


def _mirror(chosen: argparse.Namespace) -> int:
    from airlock.adapters.settings import from_environment
    from airlock.adapters.wiring import Wiring

    mirroring = Wiring(from_environment()).mirroring
    if mirroring is None:
        raise SettingInvalid(
            "SET015", "`[airlock] mlflow_connection` names no mirror.", "Set AIRFLOW__AIRLOCK__MLFLOW_CONNECTION."
        )
    print(f"{mirroring.catch_up()} versions are mirrored")
    return 0


if __name__ == "__main__":
    sys.exit(main())
