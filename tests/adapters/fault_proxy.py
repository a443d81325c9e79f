"""A proxy in front of a real S3 server that spoils chosen answers, as networks and servers do."""

from __future__ import annotations

import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Answer:
    """What the server answered, and what the proxy does with it.

    Attributes:
        number: How many object requests came before this one.
        earlier: How many of them were for the same object.
        path: The object's.
        conditional: Whether it was asked for under a condition, `If-Match`.
        status: HTTP status.
        headers: Its headers.
        body: Its body.
        cut_after: Send so many bytes of the body and close, None for all.
        reset: Whether that ends with a reset of the connection instead of an ordinary close.
        pause_after: Send so many bytes of the body and then nothing more, None for all.
        piece: Send the body in pieces of so many bytes with a short wait after each, 0 for at once.
    """

    number: int
    earlier: int
    path: str
    conditional: bool
    status: int
    headers: dict[str, str]
    body: bytes
    cut_after: int | None = None
    reset: bool = False
    pause_after: int | None = None
    piece: int = 0

    def refuse(self, status: int, code: str) -> None:
        """Answer with an S3 error instead."""
        self.status = status
        self.body = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>no</Message></Error>".encode()
        self.headers = {"Content-Type": "application/xml"}


@dataclass
class FaultProxy:
    """Passes every request on; answers to object reads go through `fault`, those to listings through `listing_fault`.

    Attributes:
        target: The real server's address.
        fault: Changes an answer in place.
        listing_fault: The same for listings, which are not counted.
        asked: Path and range of every object read, in order.
        hosts: Host of every request.
        headers: Names of all headers that clients sent, in lower case.
    """

    target: str
    fault: Callable[[Answer], None] = lambda answer: None
    listing_fault: Callable[[Answer], None] = lambda answer: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    hosts: set[str] = field(default_factory=set)
    headers: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self.stopped = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stopped.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def take(self, path: str, headers: dict[str, str], response: http.client.HTTPResponse, body: bytes) -> Answer:
        self.hosts.add(headers.get("host", ""))
        self.headers.update(headers)
        answer = Answer(
            number=0,
            earlier=0,
            path=path,
            conditional="if-match" in headers,
            status=response.status,
            headers=dict(response.getheaders()),
            body=body,
        )
        if path.count("/") > 1 and "?" not in path:
            with self._lock:
                answer.number = len(self.asked)
                answer.earlier = sum(asked == path for asked, _ in self.asked)
                self.asked.append((path, headers.get("range", "")))
            self.fault(answer)
        else:
            self.listing_fault(answer)
        return answer


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            address = urlsplit(proxy.target)
            if self.path.startswith("http://"):
                # Asked as a proxy that clients know, for a server of any name.
                self.path = self.path.split("/", 3)[3].join(["/", ""])
            upstream = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
            try:
                # The signature covers the host that the client knows.
                upstream.putrequest("GET", self.path, skip_host=True, skip_accept_encoding=True)
                for name, value in self.headers.items():
                    if name.lower() != "connection":
                        upstream.putheader(name, value)
                upstream.endheaders()
                response = upstream.getresponse()
                body = response.read()
            finally:
                upstream.close()
            headers = {name.lower(): value for name, value in self.headers.items()}
            self._send(proxy.take(self.path, headers, response, body))

        def _send(self, answer: Answer) -> None:
            self.close_connection = True
            self.send_response_only(answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", answer.headers.get("x-length", str(len(answer.body))))
            # Told, or a client may send its next request on a connection that is just being closed.
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                self.wfile.write(answer.body[: answer.piece or answer.pause_after or answer.cut_after])
                self.wfile.flush()
                for position in range(answer.piece, len(answer.body), answer.piece) if answer.piece else ():
                    time.sleep(0.02)
                    self.wfile.write(answer.body[position : position + answer.piece])
                if answer.pause_after is not None:
                    proxy.stopped.wait(60)
                if answer.reset:
                    # What the client has not read by then is lost, as with a firewall or a server that crashed.
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    os.close(self.connection.detach())
            except OSError:
                return

        def log_message(self, *arguments: object) -> None:
            return

    return Handler
