"""What the REST API starts and asks, without an Airflow."""

from __future__ import annotations

from typing import Any


class Runs:
    """Starts nothing, and remembers what was asked for."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[tuple[dict[str, Any], dict[str, str]]] = []
        self.error = error

    async def start(self, dag_id: str, conf: Any, credentials: Any) -> Any:
        from airlock.domain.version import RunRef

        self.asked.append((dict(conf), dict(credentials)))
        if self.error:
            raise self.error
        return RunRef(dag_id=dag_id, run_id="manual__2026-01-01T00:00:00+00:00")


class Adapters:
    """What a check needs of an installation, with a storage in memory."""

    def __init__(self, files: dict[str, bytes]) -> None:
        from airlock.domain.package import FetchLimits
        from tests.fakes.object_storage import FakeStorage
        from tests.unit.given import CATALOGUE, config_schema

        self._storage = FakeStorage({"models": files})
        self.catalogue, self.config_schema = CATALOGUE, config_schema()
        self.fetch_limits = FetchLimits(max_package_bytes=1_000_000, max_objects=50)

    def storage(self, scheme: Any, connection_id: str) -> Any:
        return self._storage
