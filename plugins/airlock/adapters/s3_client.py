"""What every client of an S3-compatible storage shares: listing, reading, and its errors as ours.

Works with S3, OBS, Swift, Ceph, MinIO: whatever speaks the protocol. Where the credentials come from is the business of
the two clients: `s3` asks an Airflow Connection, `s3_direct` the environment. No credential leaves them.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

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
from airlock.domain.package import ListedObject
from airlock.domain.source import SourceLocation
from airlock.errors import AirlockError, SourceRefused, StorageUnavailable
from airlock.ports.object_storage import Chunk

_REFUSED = {
    "NoSuchBucket": ("SRC001", "The bucket does not exist.", "Correct `source_location`, or create the bucket."),
    "InvalidBucketName": ("SRC001", "The bucket's name is not valid.", "Correct `source_location`."),
    "AccessDenied": ("SRC002", "The storage denies access.", "Give read and list permission to the user of {who}."),
    "AllAccessDisabled": (
        "SRC002",
        "The storage denies access.",
        "Give read and list permission to the user of {who}.",
    ),
    "InvalidAccessKeyId": ("SRC003", "The storage does not know the access key.", "Correct the access key in {who}."),
    "SignatureDoesNotMatch": ("SRC003", "The storage refuses the secret key.", "Correct the secret key in {who}."),
    "ExpiredToken": ("SRC003", "The session token has expired.", "Renew the token in {who}."),
    "InvalidToken": ("SRC003", "The session token is not valid.", "Renew the token in {who}."),
    "AuthorizationHeaderMalformed": ("SRC003", "The storage wants another region.", "Correct the region in {who}."),
    "PermanentRedirect": ("SRC003", "The bucket lies in another region.", "Correct region or endpoint in {who}."),
    "RequestTimeTooSkewed": ("SRC003", "The storage finds the worker's clock wrong.", "Set the worker's clock."),
    "InvalidObjectState": ("SRC002", "The object lies in an archive of the storage.", "Restore it there first."),
}
#: Statuses that stand for a refusal where a server gives no code of its own.
_REFUSED_STATUS = {401: "InvalidAccessKeyId", 403: "AccessDenied", 404: "NoSuchBucket"}


class BucketClient:
    """A client of one storage.

    Args:
        who: Names whose credentials are used, as the end of a sentence.
        page_size: Objects per page of a listing; servers give 1,000 at most.
    """

    def __init__(self, who: str, page_size: int = 1000) -> None:
        self.who = who
        self.page_size = page_size
        self._accesses: dict[str, Access] = {}
        self._readers: dict[str, ObjectReader] = {}
        self._lock = threading.Lock()

    def _client(self) -> Any:
        """The botocore client."""
        raise NotImplementedError

    def _verify(self) -> bool | str | None:
        """Its certificates: a file, False for none checked, else the system's."""
        raise NotImplementedError

    def _credentials(self) -> tuple[str, str, str | None]:
        """The present access key, secret key and session token."""
        raise NotImplementedError

    @property
    def identity(self) -> str:
        """The storage's endpoint."""
        return str(self._client().meta.endpoint_url)

    def list(self, location: SourceLocation) -> Iterator[ListedObject]:
        """Every object below the folder, in key order."""
        client = self._client()
        asked = {"Bucket": location.bucket, "Prefix": location.prefix, "PaginationConfig": {"PageSize": self.page_size}}
        last = ""
        with self._translated(f"{location}"):
            # What reading cannot do with this client is told before anything is asked for.
            self._access(location.bucket)
            for page in client.get_paginator("list_objects_v2").paginate(**asked):
                for item in page.get("Contents", ()):
                    last = item["Key"]
                    yield _listed(item)
                if not page.get("IsTruncated") or page.get("NextContinuationToken"):
                    continue
                # A server that knows only the first form of a listing answers with that; its first page is not all.
                for rest in client.get_paginator("list_objects").paginate(**asked, Marker=last):
                    yield from map(_listed, rest.get("Contents", ()))
                return

    def read(self, location: SourceLocation, item: ListedObject, start: int, stop: int) -> Generator[Chunk, None, None]:
        """The object's bytes from `start` up to but without `stop`; `ObjectReader.read` says how."""
        return self._reader(location.bucket).read(item, start, stop)

    def _access(self, bucket: str) -> Access:
        if bucket not in self._accesses:
            self._accesses[bucket] = Access.of(self._client(), bucket, self._verify())
        return self._accesses[bucket]

    def _reader(self, bucket: str) -> ObjectReader:
        known = self._readers.get(bucket)
        if known is not None:
            return known
        with self._lock:
            if bucket not in self._readers:
                # The reader's own library holds what it is given where no garbage collector looks: by the client itself
                # both would stay for ever, with the megabytes of their connections.
                client = weakref.proxy(self)
                self._readers[bucket] = ObjectReader(
                    self._access(bucket),
                    bucket,
                    credentials=lambda: client._credentials(),
                    refused=lambda *said: client._refused(*said),
                    sleep=time.sleep,
                )
            return self._readers[bucket]

    @contextmanager
    def _translated(self, what: str) -> Iterator[None]:
        """Client errors as ours, told apart by type and code."""
        try:
            yield
        except ClientError as error:
            raise self._refusal(error, what) from None
        except NoCredentialsError:
            raise SourceRefused(
                "SRC003", f"No access key and secret key come from {self.who}.", "Write them there."
            ) from None
        except (IncompleteReadError, ReadTimeoutError, ResponseStreamingError, HTTPError) as error:
            raise StorageUnavailable("SRC004", f"{what} broke off: {type(error).__name__}.", "") from None
        except (HTTPClientError, BotoCoreError) as error:
            endpoint = self._client().meta.endpoint_url
            raise StorageUnavailable(
                "SRC004",
                f"The storage at {endpoint} did not answer for {what} ({type(error).__name__}).",
                f"Check that it runs, and its address in {self.who}.",
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
            return SourceRefused(
                known[0], f"{what}: {known[1]} (with the credentials of {self.who})", known[2].format(who=self.who)
            )
        return StorageUnavailable("SRC004", f"The storage answered {code} for {what}.", "")


def _listed(item: Mapping[str, Any]) -> ListedObject:
    return ListedObject(
        key=item["Key"],
        size_bytes=item["Size"],
        etag=str(item.get("ETag", "")).strip('"'),
        modified=str(item.get("LastModified", "")),
    )
