"""What became of each notification, kept in the registry's database."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import insert

from airlock.adapters.registry_base import RegistryDatabase, guarded
from airlock.adapters.registry_tables import deliveries
from airlock.domain.notification import Delivery


class SqlDeliveries(RegistryDatabase):
    """Where deliveries are kept; `SqlRegistryReader.deliveries` reads them."""

    @guarded
    def keep(self, delivery: Delivery) -> None:
        """Keep what became of one."""
        with self.engine.begin() as connection:
            connection.execute(insert(deliveries).values({**asdict(delivery), "status": delivery.status.value}))
