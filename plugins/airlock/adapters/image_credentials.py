"""How container registries know us: Airflow Connections, one per registry. No credential leaves this module but to the
registry that its Connection names.
"""

from __future__ import annotations

from collections.abc import Callable

from airlock.adapters.docker_pull import Credentials
from airlock.domain.image_reference import PUBLIC_HOST
from airlock.errors import SettingInvalid

#: The registry's address → how it knows us, None where no Connection is for it.
CredentialsOf = Callable[[str], Credentials | None]
_PUBLIC_NAMES = frozenset({"index.docker.io", "registry-1.docker.io", "hub.docker.com"})


def nobody(registry: str) -> Credentials | None:
    """Every registry is asked without credentials."""
    return None


def from_connections(connection_ids: tuple[str, ...]) -> CredentialsOf:
    """Credentials from Airflow Connections of type `docker`: host and port, login, password.

    Args:
        connection_ids: Their ids.

    Returns:
        A function that looks the Connections up when it is called.
    """

    def find(registry: str) -> Credentials | None:
        for connection_id in connection_ids:
            host, login, password = _connection(connection_id)
            if host == registry.lower():
                return Credentials(login, password)
        return None

    return find


def _connection(connection_id: str) -> tuple[str, str, str]:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowException

    try:
        connection = Connection.get(connection_id)
    except (AirflowException, ValueError) as error:
        raise SettingInvalid(
            "SET013",
            f"`[airlock] image_connections` names the Connection {connection_id!r}, which cannot be read: "
            f"{type(error).__name__}.",
            "Create it with type docker, the registry's host, a login and a password.",
        ) from None
    host = registry_of(connection.host or "", connection.port)
    if not host or not connection.login or not connection.password:
        raise SettingInvalid(
            "SET013",
            f"The Connection {connection_id!r} of `[airlock] image_connections` has no host, login or password.",
            "Fill them in.",
        )
    return host, connection.login, connection.password


def registry_of(host: str, port: int | None) -> str:
    """A Connection's host and port as image references name the registry."""
    name = host.strip().lower().partition("://")[2] or host.strip().lower()
    name = name.partition("/")[0]
    if name in _PUBLIC_NAMES:
        return PUBLIC_HOST
    return f"{name}:{port}" if port and ":" not in name.rpartition("]")[2] else name
