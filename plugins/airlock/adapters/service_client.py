"""One HTTP exchange with a service over its Unix socket, with limits that a hostile service cannot stretch.

The time limit covers the whole exchange, a trickle of bytes included; the byte limit covers the body as it is on the
wire, because nothing is decompressed. Whatever the service does, the outcome is a value and never an exception.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from typing import Any

import httpx

from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse, Silence

#: `sun_path` holds 108 bytes on Linux, its terminating zero included. Source: unix(7).
MAX_SOCKET_PATH_BYTES = 107
MAX_CONTENT_TYPE_CHARACTERS = 200
_HOST = "http://localhost"


def exchange(socket_path: str, request: HttpRequest, timeout_s: float, max_bytes: int) -> HttpResponse | NoResponse:
    """Send a request and take its whole answer.

    Args:
        socket_path: Where the service listens.
        request: What to send.
        timeout_s: Seconds for everything from connecting to the last byte.
        max_bytes: Most bytes that the answer's body may have.

    Returns:
        The answer, or why there is none.
    """
    started = time.monotonic()
    limit = _TimeLimit(timeout_s)
    try:
        outcome = _exchange(socket_path, request, timeout_s, max_bytes, limit)
    except httpx.TimeoutException:
        outcome = Silence.TIMED_OUT
    except httpx.ConnectError:
        outcome = Silence.NOT_LISTENING
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError):
        outcome = Silence.BROKEN
    finally:
        limit.cancel()
    seconds = time.monotonic() - started
    if limit.over:
        outcome = Silence.TIMED_OUT
    if isinstance(outcome, Silence):
        return NoResponse(silence=outcome, seconds=seconds)
    status, content_type, body = outcome
    return HttpResponse(status=status, content_type=content_type, body=body, seconds=seconds)


def _exchange(
    socket_path: str, request: HttpRequest, timeout_s: float, max_bytes: int, limit: _TimeLimit
) -> tuple[int, str, bytes] | Silence:
    # One connection per request: a service that breaks one must not break the next.
    headers = {"Connection": "close", "Accept-Encoding": "identity", "Content-Type": request.content_type}
    with (
        httpx.Client(
            # Nothing is encrypted here, and reading the system's certificates would cost more than the exchange.
            transport=httpx.HTTPTransport(uds=socket_path, verify=False),
            timeout=timeout_s,
            trust_env=False,
            follow_redirects=False,
        ) as client,
        client.stream(
            request.method,
            _HOST + request.path,
            headers=headers,
            content=request.body,
            extensions={"trace": limit.trace},
        ) as response,
    ):
        chunks: list[bytes] = []
        size = 0
        for chunk in response.iter_raw():
            size += len(chunk)
            if size > max_bytes:
                return Silence.TOO_LARGE
            chunks.append(chunk)
        content_type = response.headers.get("Content-Type", "")[:MAX_CONTENT_TYPE_CHARACTERS]
        return response.status_code, content_type, b"".join(chunks)


class _TimeLimit:
    """Shuts the connection when the time is over.

    The client's own time limits are for each read and each write; a service that sends a byte now and then keeps all of
    them for ever.
    """

    def __init__(self, timeout_s: float) -> None:
        self.over = False
        self._socket: socket.socket | None = None
        self._lock = threading.Lock()
        self._timer = threading.Timer(timeout_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def trace(self, event: str, facts: Mapping[str, Any]) -> None:
        """Takes the client's trace events; learns the socket from the one that tells of the connection."""
        if event != "connection.connect_unix_socket.complete":
            return
        with self._lock:
            self._socket = facts["return_value"].get_extra_info("socket")
            if self.over:
                self._shut()

    def cancel(self) -> None:
        """The exchange is over: nothing is left to shut."""
        self._timer.cancel()
        with self._lock:
            self._socket = None

    def _end(self) -> None:
        with self._lock:
            self.over = True
            self._shut()

    def _shut(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                # It is closed already, which is all that was wanted.
                self._socket = None
