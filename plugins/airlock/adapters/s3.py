"""Object storage through the Amazon provider's hook and an Airflow Connection, which is looked up nowhere else."""

from __future__ import annotations

from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowException
from botocore.exceptions import BotoCoreError

from airlock.adapters.s3_client import BucketClient
from airlock.domain.findings import shown
from airlock.errors import SourceRefused


class _OneSession(S3Hook):  # type: ignore[misc]
    """A hook that makes one session for its client and for the credentials: making it takes longer than asking it."""

    _session: Any = None

    def get_session(self, region_name: str | None = None, deferrable: bool = False) -> Any:
        """The session of the Connection; whoever asks for another region than its own gets one apart."""
        if deferrable or region_name is not None:
            return super().get_session(region_name=region_name, deferrable=deferrable)
        if self._session is None:
            self._session = super().get_session()
        return self._session


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
                hook = _OneSession(aws_conn_id=self.connection_id)
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
        found = self._hook().get_credentials()
        return found.access_key, found.secret_key, found.token
