"""Bytes of objects, range by range, over the Connection that the listing came from.

The transfer itself is obstore's: it is several times faster than the Python clients and lets go of the interpreter
while it waits. Everything that makes the bytes right is here: each range is asked for under the tag of the listing and
under the version that the first range had, its answer is compared with what was asked, and what breaks off goes on
where it stopped.
"""

from __future__ import annotations

import datetime
import random
import re
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import botocore
import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from airlock.domain.findings import shown
from airlock.domain.package import ListedObject
from airlock.errors import AirlockError, SourceChanged, SourceRefused, StorageUnavailable
from airlock.ports.object_storage import Chunk

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import ClientConfig, S3Credential

#: Pieces of half a megabyte stay in the processor's cache while they are hashed and written, and are few.
CHUNK_BYTES = 512 * 1024
#: How often one range may break off without bringing anything new.
TRIES = 6
FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 10.0
#: A body that brings nothing for so long is taken for broken off.
STALL_S = 20.0
#: Credentials are asked for again after this long; the Connection's own session renews them.
CREDENTIALS_S = 300.0
#: Whatever else the library raises is a matter of the wire: time-outs, unexpected answers.
_TRANSFER_ERRORS = (BaseError, OSError)
#: botocore's names for what S3 itself gave up in 2020.
_SIGNATURES_2 = ("s3", "s3-query", "v2")
#: What servers answer that do not know `If-Match`: some sign without it, some say so.
_CONDITION_UNKNOWN = ("SignatureDoesNotMatch", "NotImplemented")
_ERROR_CODE = re.compile(r"<Code>([A-Za-z0-9]{1,64})</Code>")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How a bucket is reached; taken from the client that lists it.

    Attributes:
        endpoint: Scheme and host; the bucket's own host where it has one.
        region: For signatures.
        virtual_host: Whether the host names the bucket.
        anonymous: Whether requests are not signed.
        certificates: PEM text of the certificates to trust beside the system's, empty for none.
        insecure: Whether no certificate is checked.
        proxy: Proxy for this endpoint, empty for none.
        connect_timeout_s: Seconds.
        stall_s: Seconds without any byte.
    """

    endpoint: str
    region: str
    virtual_host: bool
    anonymous: bool
    certificates: str
    insecure: bool
    proxy: str
    connect_timeout_s: float
    stall_s: float

    @classmethod
    def of(cls, client: Any, bucket: str, verify: bool | str | None) -> Access:
        """What a botocore client would do for this bucket.

        Args:
            client: The client.
            bucket: The bucket.
            verify: Its certificates: a file, False for none checked, else the system's.

        Raises:
            SourceRefused: It signs in the way of version 2.
        """
        if client.meta.config.signature_version in _SIGNATURES_2:
            raise SourceRefused(
                "SRC005",
                "The Connection's `signature_version` is that of signature version 2, which is not supported.",
                "Leave it out: objects are read with version 4.",
            )
        # The client itself says where a bucket lies under its addressing style, instead of a second copy of that rule.
        url = urlsplit(client.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}))
        config = client.meta.config
        return cls(
            endpoint=f"{url.scheme}://{url.netloc}",
            region=str(client.meta.region_name or "us-east-1"),
            virtual_host=not url.path.startswith(f"/{bucket}/"),
            anonymous=config.signature_version is botocore.UNSIGNED,
            certificates=Path(verify).read_text(encoding="utf-8") if isinstance(verify, str) else "",
            insecure=verify is False,
            proxy=str((config.proxies or {}).get(url.scheme, "")),
            connect_timeout_s=float(config.connect_timeout),
            stall_s=min(float(config.read_timeout), STALL_S),
        )


class ObjectReader:
    """Reads objects of one bucket.

    Args:
        access: How the bucket is reached.
        bucket: Its name.
        credentials: Gives the present access key, secret key and session token.
        refused: Makes the error for an answer of the storage: code or status, and what was asked for.
        sleep: Waits.
    """

    def __init__(
        self,
        access: Access,
        bucket: str,
        *,
        credentials: Callable[[], tuple[str, str, str | None]],
        refused: Callable[[str, str], AirlockError],
        sleep: Callable[[float], None],
    ) -> None:
        self._bucket = bucket
        self._credentials = credentials
        self._refused = refused
        self._sleep = sleep
        self._versions: dict[str, str] = {}
        self._conditional = True
        options: ClientConfig = {
            "allow_http": access.endpoint.startswith("http:"),
            "allow_invalid_certificates": access.insecure,
            "connect_timeout": datetime.timedelta(seconds=access.connect_timeout_s),
            "read_timeout": datetime.timedelta(seconds=access.stall_s),
            # The limit of a whole request would end a slow one that still brings bytes.
            "timeout": datetime.timedelta(days=1),
        }
        if access.certificates:
            options["root_certificate"] = access.certificates
        if access.proxy:
            options["proxy_url"] = access.proxy
        self._store = S3Store(
            bucket,
            config={
                "endpoint": access.endpoint,
                "region": access.region,
                "virtual_hosted_style_request": access.virtual_host,
                "skip_signature": access.anonymous,
            },
            client_options=options,
            # Tries are counted here, per byte of progress and not per request.
            retry_config={"max_retries": 0},
            credential_provider=None if access.anonymous else self._credential,
        )

    def _credential(self) -> S3Credential:
        access_key, secret_key, token = self._credentials()
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=CREDENTIALS_S)
        return {"access_key_id": access_key, "secret_access_key": secret_key, "token": token, "expires_at": until}

    def read(self, item: ListedObject, start: int, stop: int) -> Generator[Chunk, None, None]:
        """An object's bytes from `start` up to but without `stop`.

        Raises:
            SourceChanged: It is no longer the listed one, or its length is another.
            SourceRefused: No permission.
            StorageUnavailable: It broke off more often than is borne.
        """
        position, failures = start, 0
        while position < stop:
            try:
                for chunk in self._request(item, position, stop):
                    position += len(chunk)
                    failures = 0
                    yield chunk
                if position < stop:
                    raise _BrokenOff(f"the answer ended after byte {position:,} of {stop:,}")
            except _BrokenOff as error:
                failures += 1
                if failures >= TRIES:
                    raise StorageUnavailable(
                        "SRC004", f"{self._name(item)} broke off {failures} times: {shown(str(error), 300)}", ""
                    ) from None
                self._sleep(_wait(failures))

    def _request(self, item: ListedObject, start: int, stop: int) -> Iterable[Chunk]:
        try:
            answer = self._ask(item, start, stop)
            if stop - start <= CHUNK_BYTES:
                # A small body whole: each step of a stream is a call of its own.
                body = memoryview(answer.bytes())[: stop - start]
                return (body,) if body else ()
        except _TRANSFER_ERRORS as error:
            raise self._told(error, item) from None
        return self._stream(item, answer, stop - start)

    def _ask(self, item: ListedObject, start: int, stop: int) -> obstore.GetResult:
        if not (item.etag and self._conditional):
            return self._got(item, start, stop, conditional=False)
        try:
            return self._got(item, start, stop, conditional=True)
        except _TRANSFER_ERRORS as error:
            if _code_of(error) not in _CONDITION_UNKNOWN:
                raise
        # Asked once more without; where that is refused too, it was not the condition.
        answer = self._got(item, start, stop, conditional=False)
        self._conditional = False
        return answer

    def _got(self, item: ListedObject, start: int, stop: int, *, conditional: bool) -> obstore.GetResult:
        options: GetOptions = {}
        if (start, stop) != (0, item.size_bytes):
            # A range that is the whole object is asked for as the object: the simplest servers know that too.
            options["range"] = (start, stop)
        if conditional:
            options["if_match"] = f'"{item.etag}"'
        version = self._versions.get(item.key)
        if version is not None:
            options["version"] = version
        answer = obstore.get(self._store, item.key, options=options)
        self._check(item, answer, start, stop, tagged=bool(item.etag) and not conditional)
        return answer

    def _stream(self, item: ListedObject, answer: obstore.GetResult, left: int) -> Iterator[Chunk]:
        stream = iter(answer.stream(min_chunk_size=CHUNK_BYTES))
        while True:
            try:
                chunk = next(stream, None)
            except _TRANSFER_ERRORS as error:
                raise self._told(error, item) from None
            if chunk is None:
                return
            # The client's own memory, not copied. More than was asked for is cut: the range of the answer was checked,
            # so it is the server's own slip.
            view = memoryview(chunk)[:left]
            left -= len(view)
            if view:
                yield view

    def _check(self, item: ListedObject, answer: obstore.GetResult, start: int, stop: int, *, tagged: bool) -> None:
        """Compare an answer with what was asked for; a server that reads over a condition is noticed here.

        Where none was sent, the answer's tag alone says that it is the listed object, and must be there.
        """
        # Asked for once: each time it is made anew.
        meta = answer.meta
        tag = (meta["e_tag"] or "").strip('"')
        if item.etag and tag and tag != item.etag:
            raise self._replaced(item)
        if tagged and not tag:
            raise SourceRefused(
                "SRC005",
                f"The storage knows no condition (If-Match), and gave {self._name(item)} without its ETag: whether it"
                " is still the listed object cannot be known.",
                "Let the storage, or the proxy before it, give ETags.",
            )
        if meta["size"] != item.size_bytes:
            if item.etag and not tag:
                # A page of a proxy in between has neither the object's tag nor its length.
                raise _BrokenOff("the answer is not the object: it has no tag and another length")
            raise SourceChanged(
                "SRC006",
                f"{self._name(item)} was listed with {item.size_bytes:,} bytes and has {meta['size']:,}.",
                "",
            )
        came = tuple(answer.range)
        if came != (start, stop):
            raise _BrokenOff(f"bytes {came[0]:,} to {came[1]:,} came for {start:,} to {stop:,}")
        version = meta["version"]
        # The first of all threads' answers; `setdefault` is one step.
        if version and self._versions.setdefault(item.key, version) != version:
            raise self._replaced(item)

    def _replaced(self, item: ListedObject) -> SourceChanged:
        return SourceChanged("SRC006", f"{self._name(item)} was replaced while the package was copied.", "")

    def _name(self, item: ListedObject) -> str:
        return f"s3://{self._bucket}/{item.key}"

    def _told(self, error: Exception, item: ListedObject) -> Exception:
        """The transfer's error as ours."""
        name = self._name(item)
        if isinstance(error, (PreconditionError, NotFoundError, FileNotFoundError)):
            return SourceChanged("SRC006", f"{name} was replaced or deleted while the package was copied.", "")
        code = _code_of(error)
        if isinstance(error, (PermissionDeniedError, UnauthenticatedError, PermissionError)):
            return self._refused(code or "AccessDenied", name)
        # Some servers refuse with the status of a bad request.
        refusal = self._refused(code, name) if code else None
        if isinstance(refusal, SourceRefused):
            return refusal
        return _BrokenOff(f"{type(error).__name__}: {error}")


def _code_of(error: Exception) -> str:
    """The storage's own code in an answer that failed, empty where there is none."""
    found = _ERROR_CODE.search(str(error))
    return found[1] if found else ""


class _BrokenOff(Exception):
    """An answer that another try may give whole."""


def _wait(failures: int) -> float:
    """Seconds before the next try: doubling, and never the same for two threads."""
    return min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (failures - 1)) * random.uniform(0.5, 1.0)  # noqa: S311
