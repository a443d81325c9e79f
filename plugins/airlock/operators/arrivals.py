"""Packages that arrive by themselves: a marker object beside `model/` says that an upload is whole.

The triggerer watches a prefix. What it has seen it keeps in memory only: after a restart every marker is news again,
and the batch that it starts finds that nothing is missing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from airflow.sdk import Asset, AssetWatcher
from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airlock.adapters.settings import from_airflow
from airlock.domain.batch import MAX_PACKAGES
from airlock.domain.source import SourceLocation, parse_prefix
from airlock.errors import AirlockError, SettingInvalid

ARRIVALS = "airlock_packages"
#: Packages that one event tells of: several events may come to one batch, which has its limit.
MAX_TOLD = MAX_PACKAGES // 4


class ArrivalTrigger(BaseEventTrigger):
    """Tells of packages whose marker has appeared or changed.

    Args:
        prefix: The folder whose folders are packages, as text.
        marker: The marker's name.
        connection_id: Id of the Connection that opens the storage.
        poll_s: Seconds between two looks.
    """

    def __init__(self, prefix: str, marker: str, connection_id: str, poll_s: float) -> None:
        super().__init__()
        self.prefix = prefix
        self.marker = marker
        self.connection_id = connection_id
        self.poll_s = poll_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class and arguments; the same ones are one watcher."""
        arguments = {"prefix": self.prefix, "marker": self.marker, "connection_id": self.connection_id}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**arguments, "poll_s": self.poll_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again; an event for each look that found something new.

        What is more than one event tells of is told of after the next look.
        """
        seen: set[tuple[str, str]] = set()
        while True:
            try:
                found = await sync_to_async(self._markers)()
            except AirlockError as error:
                self.log.warning("Arrivals cannot be looked for: %s", error)
            else:
                fresh = sorted(found - seen)[:MAX_TOLD]
                # A marker that is gone and comes again is news.
                seen = (seen & found).union(fresh)
                if fresh:
                    yield TriggerEvent({"packages": [source for source, _ in fresh]})
            await asyncio.sleep(self.poll_s)

    def _markers(self) -> set[tuple[str, str]]:
        from airlock.adapters.wiring import Wiring

        location = SourceLocation.parse(self.prefix)
        if location is None:
            raise ValueError(f"no prefix: {self.prefix!r}")
        storage = Wiring(from_airflow()).storage(location.scheme, self.connection_id)
        ends = f"/{self.marker}"
        return {
            # Markers are empty, and so have one tag: when they were written tells them apart.
            (f"{location}{item.key[len(location.prefix) : -len(ends)]}/", f"{item.etag} {item.modified}")
            for item in storage.list(location)
            if item.key.endswith(ends) and item.key[len(location.prefix) :].count("/") == 1
        }


def arrivals() -> list[Asset] | None:
    """What `import_models` is scheduled on: the watched prefix of `[airlock] arrivals`, or nothing."""
    try:
        settings = from_airflow()
    except SettingInvalid:
        # Every task of a run says which setting it is; a DAG that is not there would say nothing.
        return None
    prefix = parse_prefix(settings.arrivals) if settings.arrivals else None
    if prefix is None:
        return None
    trigger = ArrivalTrigger(
        prefix=str(prefix),
        marker=settings.arrivals_marker,
        connection_id=settings.arrivals_connection,
        poll_s=settings.arrivals_poll_s,
    )
    return [Asset(name=ARRIVALS, group="airlock", watchers=[AssetWatcher(name="airlock_arrivals", trigger=trigger)])]


def arrived(events: Mapping[Any, Iterable[Any]] | None) -> tuple[str, ...]:
    """The packages that a run's triggering asset events tell of, each once, in their order."""
    sources: dict[str, None] = {}
    for each in (events or {}).values():
        for event in each:
            # A watcher's event is wrapped; one that somebody sends by REST is not.
            said = event.extra.get("payload") if event.extra.get("from_trigger") else event.extra
            sources.update(dict.fromkeys((said or {}).get("packages") or ()))
    return tuple(sources)
