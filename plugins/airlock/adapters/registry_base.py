"""What the registry's readers and writers share: its schema is checked once, and its errors become ours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

from sqlalchemy import Connection, Engine, insert
from sqlalchemy.exc import SQLAlchemyError

from airlock.adapters.registry_schema import READ_ONLY, current_schema, newest_schema, unavailable
from airlock.adapters.registry_tables import audit, events
from airlock.domain.version import EventKind
from airlock.errors import RegistryUnavailable
from airlock.ports.clock import Clock

Method = TypeVar("Method", bound=Callable[..., Any])


def guarded(method: Method) -> Method:
    """Database errors as ours."""

    @functools.wraps(method)
    def wrapper(self: RegistryDatabase, *args: Any, **kwargs: Any) -> Any:
        try:
            self.check_schema()
            return method(self, *args, **kwargs)
        except SQLAlchemyError as error:
            raise unavailable(self.engine, error) from error

    return cast("Method", wrapper)


class RegistryDatabase:
    """The registry's database.

    Args:
        engine: From `registry_schema.open_engine`.
        clock: For the times that are written.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.reader = engine.execution_options(**{READ_ONLY: True})
        self.clock = clock
        self._schema_checked = False

    def check_schema(self) -> None:
        """Refuse to work on another release's schema.

        Raises:
            RegistryUnavailable: It is older, newer, or not there.
        """
        if self._schema_checked:
            return
        found, wanted = current_schema(self.engine), newest_schema()
        if found != wanted:
            raise RegistryUnavailable(
                "REG002",
                f"The registry has schema {found or 'none'}, this release needs {wanted}.",
                "Run `python -m airlock registry upgrade`.",
            )
        self._schema_checked = True

    def write_event(
        self, connection: Connection, version_id: int, kind: EventKind, text: str, *, run: str = "", actor: str = ""
    ) -> None:
        """Add to a version's history."""
        connection.execute(
            insert(events).values(
                version_id=version_id, at=self.clock.now(), kind=kind.value, text=text, run=run, actor=actor
            )
        )

    def write_audit(
        self, connection: Connection, actor: str, action: str, model_name: str, model_version: str, **changes: Any
    ) -> None:
        """Note who did what."""
        connection.execute(
            insert(audit).values(
                at=self.clock.now(),
                actor=actor,
                action=action,
                model_name=model_name,
                model_version=model_version,
                changes=changes,
            )
        )
