"""Object storage through the Amazon provider's hook and an Airflow Connection.

Works with S3, OBS, Swift, Ceph, MinIO: whatever speaks the protocol at the Connection's `endpoint_url`. The Connection
is looked up here and nowhere else, and no credential leaves this module.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.sdk.exceptions import AirflowException
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ReadTimeoutError,
    ResponseStreamingError,
)
from urllib3.exceptions import HTTPError

from airlock.adapters.s3_read import Access, ObjectReader
from airlock.domain.findings import shown
from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import AirlockError, SourceRefused, StorageUnavailable

_REFUSED = {
    "NoSuchBucket": ("SRC001", "The bucket does not exist.", "Correct `source_location`, or create the bucket."),
    "InvalidBucketName": ("SRC001", "The bucket's name is not valid.", "Correct `source_location`."),
    "AccessDenied": ("SRC002", "The storage denies access.", "Give the Connection's user read and list permission."),
    "AllAccessDisabled": (
        "SRC002",
        "The storage denies access.",
        "Give the Connection's user read and list permission.",
    ),
    "InvalidAccessKeyId": ("SRC003", "The storage does not know the access key.", "Correct the Connection's login."),
    "SignatureDoesNotMatch": ("SRC003", "The storage refuses the secret key.", "Correct the Connection's password."),
    "ExpiredToken": ("SRC003", "The session token has expired.", "Renew the Connection's token."),
    "InvalidToken": ("SRC003", "The session token is not valid.", "Renew the Connection's token."),
    "AuthorizationHeaderMalformed": (
        "SRC003",
        "The storage wants another region.",
        "Correct `region_name` in the Connection.",
    ),
}
#: Statuses that stand for a refusal where a server gives no code of its own.
_REFUSED_STATUS = {401: "InvalidAccessKeyId", 403: "AccessDenied", 404: "NoSuchBucket"}


class S3Storage:
    """An S3-compatible storage.

    Args:
        connection_id: Id of the Airflow Connection of type `aws`.
        page_size: Objects per page of a listing; servers give 1,000 at most.
    """

    def __init__(self, connection_id: str, page_size: int = 1000) -> None:
        self.connection_id = connection_id
        self.page_size = page_size
        self._connected: S3Hook | None = None
        self._readers: dict[str, ObjectReader] = {}
        self._lock = threading.Lock()

    def _hook(self) -> S3Hook:
        if self._connected is None:
            try:
                hook = S3Hook(aws_conn_id=self.connection_id)
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

    @property
    def identity(self) -> str:
        """The storage's endpoint."""
        return str(self._client().meta.endpoint_url)

    def list(self, location: SourceLocation) -> Iterator[ListedObject]:
        """Every object below the folder, in key order."""
        client = self._client()
        with self._translated(f"{location}"):
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=location.bucket, Prefix=location.prefix, PaginationConfig={"PageSize": self.page_size}
            )
            for page in pages:
                for item in page.get("Contents", ()):
                    yield ListedObject(
                        key=item["Key"], size_bytes=item["Size"], etag=str(item.get("ETag", "")).strip('"')
                    )

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[bytes, None, None]:
        """The object's bytes from `start` up to but without `stop`; `ObjectReader.read` says how."""
        return self._reader(location.bucket).read(item, start, stop)

    def _reader(self, bucket: str) -> ObjectReader:
        with self._lock:
            if bucket not in self._readers:
                hook = self._hook()
                self._readers[bucket] = ObjectReader(
                    Access.of(hook.get_conn(), bucket, hook.verify),
                    bucket,
                    credentials=self._credentials,
                    refused=self._refused,
                    sleep=time.sleep,
                )
            return self._readers[bucket]

    def _credentials(self) -> tuple[str, str, str | None]:
        hook = self._hook()
        found = hook.get_credentials(hook.conn_region_name)
        return found.access_key, found.secret_key, found.token

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Client errors as ours, told apart by type and code."""
        try:
            yield
        except ClientError as error:
            raise self._refusal(error, what) from None
        except NoCredentialsError:
            raise SourceRefused(
                "SRC003",
                f"The Connection {self.connection_id!r} has no credentials.",
                "Fill in its login and password.",
            ) from None
        except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, HTTPError) as error:
            raise StorageUnavailable("SRC004", f"{what} broke off: {type(error).__name__}.", "") from None
        except (HTTPClientError, BotoCoreError) as error:
            endpoint = self._client().meta.endpoint_url
            raise StorageUnavailable(
                "SRC004",
                f"The storage at {endpoint} did not answer for {what} ({type(error).__name__}).",
                f"Check that it runs and that the Connection {self.connection_id!r} names its address.",
            ) from None

    def _refusal(self, error: ClientError, what: str) -> AirlockError:
        details = error.response.get("Error", {})
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        code = str(details.get("Code", ""))
        return self._refused(code if code in _REFUSED else _REFUSED_STATUS.get(status, code or str(status)), what)

    def _refused(self, code: str, what: str) -> AirlockError:
        """The error for a code of the storage."""
        known = _REFUSED.get(code)
        if known is not None:
            return SourceRefused(known[0], f"{what}: {known[1]} (Connection {self.connection_id!r})", known[2])
        return StorageUnavailable("SRC004", f"The storage answered {code} for {what}.", "")
