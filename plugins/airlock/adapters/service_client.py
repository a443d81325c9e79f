"""One HTTP exchange with a service over its Unix socket, with limits that a hostile service cannot stretch.

The time limit covers the whole exchange, a trickle of bytes included; the byte limit covers the body as it is on the
wire, because nothing is decompressed. Whatever the service does, the outcome is a value and never an exception.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import threading
import time

from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse, Silence

#: `sun_path` holds 108 bytes on Linux, its terminating zero included. Source: unix(7).
MAX_SOCKET_PATH_BYTES = 107
MAX_CONTENT_TYPE_CHARACTERS = 200
_CHUNK_BYTES = 64 * 1024


def exchange(
    socket_path: str, request: HttpRequest, timeout_s: float, max_bytes: int, greeting: bytes = b""
) -> HttpResponse | NoResponse:
    """Send a request and take its whole answer.

    Args:
        socket_path: Where the service listens.
        request: What to send.
        timeout_s: Seconds for everything from connecting to the last byte.
        max_bytes: Most bytes that the answer's body may have.
        greeting: What a relay says first where the service behind it has taken the connection.

    Returns:
        The answer, or why there is none.
    """
    started = time.monotonic()
    # One connection per request: a service that breaks one must not break the next.
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as connection:
        connection.settimeout(timeout_s)
        limit = _TimeLimit(connection, timeout_s)
        outcome: Silence | tuple[int, str, bytes]
        try:
            connection.connect(socket_path)
        except TimeoutError:
            outcome = Silence.TIMED_OUT
        except OSError:
            outcome = Silence.NOT_LISTENING
        else:
            try:
                if not _greeted(connection, greeting):
                    outcome = Silence.NOT_LISTENING
                elif request.tls:
                    with contextlib.closing(_secured(connection)) as secured:
                        limit.watch(secured)
                        secured.do_handshake()
                        outcome = _exchange(secured, request, max_bytes)
                else:
                    outcome = _exchange(connection, request, max_bytes)
            except TimeoutError:
                outcome = Silence.TIMED_OUT
            except (http.client.HTTPException, OSError, ValueError):
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


def _greeted(connection: socket.socket, greeting: bytes) -> bool:
    while greeting:
        said = connection.recv(len(greeting))
        if not said or not greeting.startswith(said):
            return False
        greeting = greeting[len(said) :]
    return True


def _secured(connection: socket.socket) -> ssl.SSLSocket:
    """The connection under TLS. Nobody is authenticated: there is nobody else at the other end of the socket."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(connection, do_handshake_on_connect=False)


def _exchange(connection: socket.socket, request: HttpRequest, max_bytes: int) -> Silence | tuple[int, str, bytes]:
    client = http.client.HTTPConnection("localhost")
    client.sock = connection
    headers = {"Connection": "close", **({"Content-Type": request.content_type} if request.content_type else {})}
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        # A service may answer before it has read everything, and close: its answer is still there to be read.
        client.request(request.method, request.path, body=request.body, headers=headers)
    with contextlib.closing(client.getresponse()) as response:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read(_CHUNK_BYTES):
            size += len(chunk)
            if size > max_bytes:
                return Silence.TOO_LARGE
            chunks.append(chunk)
        if response.length:
            # The connection ended before the announced length: http.client leaves it to the caller to see.
            return Silence.BROKEN
        content_type = response.headers.get("Content-Type") or ""
        return response.status, content_type[:MAX_CONTENT_TYPE_CHARACTERS], b"".join(chunks)


class _TimeLimit:
    """Shuts a connection when the time is over.

    A socket's own time limit is for each read and each write; a service that sends a byte now and then keeps it for
    ever.
    """

    def __init__(self, connection: socket.socket, timeout_s: float) -> None:
        self.over = False
        self._connection: socket.socket | None = connection
        self._lock = threading.Lock()
        self._timer = threading.Timer(timeout_s, self._end)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, connection: socket.socket) -> None:
        """Shut this connection instead, which took the first one over and left it an empty shell."""
        with self._lock:
            self._connection = connection
            if self.over:
                raise TimeoutError

    def cancel(self) -> None:
        """The exchange is over: from here on the connection is not touched."""
        self._timer.cancel()
        with self._lock:
            self._connection = None

    def _end(self) -> None:
        with self._lock:
            if self._connection is None:
                return
            self.over = True
            # One that is not connected cannot be shut, and its own time limit is for the connecting alone.
            with contextlib.suppress(OSError):
                self._connection.shutdown(socket.SHUT_RDWR)
