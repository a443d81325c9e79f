"""Airflow Connections to something that speaks HTTP."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConnection:
    """Where something listens, and how it knows us.

    Attributes:
        url: The address, with the path that the Connection's extra names; without a slash at its end where it has none.
        login: Empty where there is none.
        password: Likewise.
    """

    url: str
    login: str
    password: str


def http_connection(connection_id: str) -> HttpConnection | None:
    """What a Connection says, None where it cannot be read; its schema is https where it names none."""
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowException

    try:
        connection: Any = Connection.get(connection_id)
    except (AirflowException, ValueError) as error:
        log.warning("The Connection %s cannot be read: %s", connection_id, type(error).__name__)
        return None
    url = connection.host or ""
    if "://" not in url:
        port = f":{connection.port}" if connection.port else ""
        url = f"{connection.schema or 'https'}://{url}{port}"
    return HttpConnection(
        url=url + connection.extra_dejson.get("path", ""),
        login=connection.login or "",
        password=connection.password or "",
    )
