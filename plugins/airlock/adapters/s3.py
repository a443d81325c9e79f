"""Object storage through the Amazon provider's hook and an Airflow Connection.

Works with S3, OBS, Swift, Ceph, MinIO: whatever speaks the protocol at the Connection's `endpoint_url`. The Connection
is looked up here and nowhere else, and no credential leaves this module.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, BinaryIO

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

from airlock.domain.findings import shown
from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import AirlockError, SourceChanged, SourceRefused, StorageUnavailable

# 128 to 256 KB reads stay in the processor's cache while they are hashed.
READ_BYTES = 256 * 1024

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
_CHANGED = {"NoSuchKey", "PreconditionFailed", "404", "412"}
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
        self._hook: S3Hook | None = None

    def _client(self) -> Any:
        if self._hook is None:
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
            self._hook = hook
        return self._hook.get_conn()

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

    def copy(self, location: SourceLocation, item: ListedObject, target: BinaryIO) -> str:
        """Write the object's bytes to `target` and return their SHA-256.

        The object is pinned by the tag it was listed with: on the request, and, for servers that read over the
        condition, on the answer.
        """
        client = self._client()
        name = f"s3://{location.bucket}/{item.key}"
        digest = hashlib.sha256()
        received = 0
        with self._translated(name):
            condition = {"IfMatch": f'"{item.etag}"'} if item.etag else {}
            answer = client.get_object(Bucket=location.bucket, Key=item.key, **condition)
            with closing(answer["Body"]) as body:
                tag = str(answer.get("ETag", "")).strip('"')
                if item.etag and tag and tag != item.etag:
                    raise SourceChanged("SRC006", f"{name} was replaced while the package was copied.", "")
                while chunk := body.read(READ_BYTES):
                    received += len(chunk)
                    if received > item.size_bytes:
                        break
                    digest.update(chunk)
                    target.write(chunk)
        if received != item.size_bytes:
            raise SourceChanged("SRC006", f"{name} was listed with {item.size_bytes:,} bytes, {received:,} came.", "")
        return digest.hexdigest()

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
        reading_object = error.operation_name == "GetObject"
        if reading_object and (code in _CHANGED or status == 412):
            return SourceChanged("SRC006", f"{what} was replaced or deleted while the package was copied.", "")
        known = _REFUSED.get(code) or _REFUSED.get(_REFUSED_STATUS.get(status, ""))
        if known is not None:
            return SourceRefused(known[0], f"{what}: {known[1]} (Connection {self.connection_id!r})", known[2])
        return StorageUnavailable("SRC004", f"The storage answered {code or status} for {what}.", "")
