"""Object storage through the Amazon provider's hook and an Airflow Connection, which is looked up nowhere else."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowException
from botocore.exceptions import BotoCoreError

from airlock.adapters.s3_client import BucketClient
from airlock.adapters.s3_listing import read_listings
from airlock.domain.findings import shown
from airlock.errors import SourceRefused


class _OneSession(S3Hook):  # type: ignore[misc]
    """A hook that makes one session for its client and for the credentials: making it takes longer than asking it."""

    def __init__(self, connection_id: str) -> None:
        super().__init__(aws_conn_id=connection_id)
        self._sessions: dict[str | None, Any] = {}

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """The session of the Connection in a region, made once."""
        if deferrable:
            return super().get_session(region_name=region_name, deferrable=True)
        if region_name not in self._sessions:
            session = super().get_session(region_name=region_name)
            read_listings(session)
            self._sessions[region_name] = session
        return self._sessions[region_name]


class S3Storage(BucketClient):
    """An S3-compatible storage.

    Args:
        connection_id: Id of the Airflow Connection of type `aws`.
    """

    def __init__(self, connection_id: str) -> None:
        super().__init__(f"the Connection {connection_id!r}")
        self.connection_id = connection_id
        self._connected: _OneSession | None = None

    def _hook(self) -> _OneSession:
        if self._connected is None:
            try:
                hook = _OneSession(self.connection_id)
                # The hook falls back to the machine's own credentials where the Connection is missing; we must not.
                hook.get_connection(self.connection_id)
                hook.get_conn()
            except AirflowException:
                raise SourceRefused(
                    "SRC005",
                    f"There is no Airflow Connection {self.connection_id!r}.",
                    "Create it (type aws, with endpoint_url in its extra), or correct `source_connection`.",
                ) from None
            except (ValueError, BotoCoreError) as error:
                raise SourceRefused(
                    "SRC005",
                    f"The Airflow Connection {self.connection_id!r} cannot be used: {shown(str(error))}.",
                    "Correct it.",
                ) from None
            self._connected = hook
        return self._connected

    def _client(self) -> Any:
        return self._hook().get_conn()

    def _verify(self) -> bool | str | None:
        verify: bool | str | None = self._hook().verify
        return verify

    def _credentials(self) -> tuple[str, str, str | None]:
        hook = self._hook()
        # In the same region as the client, whose session is there.
        found = hook.get_credentials(hook.region_name)
        return found.access_key, found.secret_key, found.token
