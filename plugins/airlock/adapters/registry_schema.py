"""The registry's database: how it is opened and brought to the schema of this release."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from airlock.errors import RegistryUnavailable, SettingInvalid

SQLITE_BUSY_S = 30
#: Execution option of connections that only read; they never wait for a writer.
READ_ONLY = "airlock_read_only"
#: Arbitrary, the same in every release: the PostgreSQL advisory lock under which one upgrade runs at a time.
_UPGRADE_LOCK = 0x41_49_52_4C


def open_engine(url: str) -> Engine:
    """An engine for the registry's database.

    Args:
        url: SQLAlchemy URL: `sqlite:////path/registry.db` or `postgresql+psycopg://…`.

    Raises:
        SettingInvalid: The URL cannot be read.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            if not parsed.database or parsed.database == ":memory:":
                raise SettingInvalid(
                    "SET002", "`[airlock] registry_url` names no file.", "Write sqlite:////path/registry.db."
                )
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, ImportError) as error:
        raise SettingInvalid(
            "SET002", f"`[airlock] registry_url` cannot be used: {error}.", "Write an SQLAlchemy URL."
        ) from None
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: Any, record: object) -> None:
    # The driver's own transaction handling begins too late for a lock; `_begin_immediate` does it.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_S * 1000}")
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_immediate(connection: Any) -> None:
    # A deferred transaction that reads first and writes later fails at once when another one wrote in between.
    reading = connection.get_execution_options().get(READ_ONLY)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def alembic_config() -> Config:
    """The configuration of the migrations; put a connection into its attributes."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    return config


def newest_schema() -> str:
    """The schema version of this release."""
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    if head is None:
        raise ValueError("no migrations")
    return head


def upgrade(engine: Engine) -> tuple[str | None, str]:
    """Bring the database to this release's schema.

    Returns:
        The schema before (None for an empty database) and after.

    Raises:
        RegistryUnavailable: The database does not answer.
    """
    try:
        with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            before = MigrationContext.configure(connection).get_current_revision()
            config = alembic_config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise unavailable(engine, error) from None
    return before, newest_schema()


def current_schema(engine: Engine) -> str | None:
    """The database's schema version, None where it has none."""
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def unavailable(engine: Engine, error: SQLAlchemyError) -> RegistryUnavailable:
    """A database error as ours, without the URL's password and without SQL."""
    cause = type(getattr(error, "orig", None) or error).__name__
    place = engine.url.render_as_string(hide_password=True)
    return RegistryUnavailable("REG001", f"The registry at {place} did not answer ({cause}).", "Check that it runs.")
