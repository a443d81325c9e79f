"""The relay between a Unix socket and a TCP port, run as the program that it is; and TLS through it."""

from __future__ import annotations

import contextlib
import datetime
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from airlock.adapters.relayed_service import GREETING
from airlock.adapters.service_client import exchange
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse, Silence

PROGRAM = Path(__file__).resolve().parents[2] / "include/runtimes/relay.py"
REQUEST = HttpRequest(method="POST", path="/echo", content_type="application/json", body=b'{"a": 1}')


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Keep quiet."""


@contextlib.contextmanager
def listening(server: ThreadingHTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def relay() -> Iterator[Callable[..., str]]:
    """Starts a relay for some ports, and gives the folder of its sockets."""
    folder = tempfile.TemporaryDirectory(prefix="alr-")
    started: list[subprocess.Popen[bytes]] = []

    def start(*ports: int) -> str:
        # As in the container: the program's text is an argument.
        command = [sys.executable, "-I", "-c", PROGRAM.read_text(), folder.name, *map(str, ports)]
        started.append(subprocess.Popen(command, stderr=subprocess.PIPE))
        deadline = time.monotonic() + 20
        while not all(Path(folder.name, f"{port}.sock").exists() for port in ports):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return folder.name

    yield start
    for process in started:
        process.terminate()
        said = process.communicate(timeout=10)[1]
        assert b"Traceback" not in said, said
    folder.cleanup()


def ask(folder: str, port: int, request: HttpRequest = REQUEST, timeout_s: float = 10) -> HttpResponse | NoResponse:
    return exchange(f"{folder}/{port}.sock", request, timeout_s, 50_000_000, GREETING)


def test_a_request_and_its_answer_pass_whole(relay: Callable[..., str]) -> None:
    large = HttpRequest(method="POST", path="/echo", content_type="", body=bytes(range(256)) * 40_000)
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), _Echo)) as port:
        folder = relay(port)
        for request in (REQUEST, large):
            answer = ask(folder, port, request)
            assert isinstance(answer, HttpResponse), answer
            assert answer.body == request.body


def test_a_port_that_nobody_listens_on_is_told_from_a_connection_that_breaks(relay: Callable[..., str]) -> None:
    silent, breaking = unused_port(), socket.create_server(("127.0.0.1", 0))

    def close_at_once() -> None:
        connection, _ = breaking.accept()
        connection.close()

    thread = threading.Thread(target=close_at_once, daemon=True)
    thread.start()
    port = breaking.getsockname()[1]
    folder = relay(silent, port)
    nobody, broken = ask(folder, silent), ask(folder, port)
    thread.join(10)
    breaking.close()
    assert isinstance(nobody, NoResponse)
    assert nobody.silence is Silence.NOT_LISTENING
    assert isinstance(broken, NoResponse)
    assert broken.silence is Silence.BROKEN


def test_a_service_that_listens_on_the_other_loopback_address_only_is_reached(relay: Callable[..., str]) -> None:
    class Six(ThreadingHTTPServer):
        address_family = socket.AF_INET6

    try:
        server = Six(("::1", 0), _Echo)
    except OSError:
        # A machine without IPv6 has no such services either.
        server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    with listening(server) as port:
        assert isinstance(ask(relay(port), port), HttpResponse)


def test_a_service_that_never_answers_holds_up_nobody_else(relay: Callable[..., str]) -> None:
    deaf = socket.create_server(("127.0.0.1", 0))
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), _Echo)) as port:
        folder = relay(deaf.getsockname()[1], port)
        waiting = [threading.Thread(target=ask, args=(folder, deaf.getsockname()[1], REQUEST, 2)) for _ in range(5)]
        for thread in waiting:
            thread.start()
        began = time.monotonic()
        assert isinstance(ask(folder, port), HttpResponse)
        assert time.monotonic() - began < 2
        for thread in waiting:
            thread.join(10)
    deaf.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate that nobody has signed but its owner, with its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "model")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509
        .CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("certificate") / "both.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def test_https_is_spoken_to_a_service_that_signed_its_own_certificate(
    relay: Callable[..., str], certificate: Path
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    secure = HttpRequest(method="POST", path="/echo", content_type="", body=b"x" * 200_000, tls=True)
    with listening(server) as port:
        answer = ask(relay(port), port, secure)
        assert isinstance(answer, HttpResponse), answer
        assert answer.body == secure.body


def test_a_service_that_speaks_plain_http_where_https_is_declared_breaks_the_connection(
    relay: Callable[..., str],
) -> None:
    secure = HttpRequest(method="POST", path="/echo", content_type="", body=b"", tls=True)
    with listening(ThreadingHTTPServer(("127.0.0.1", 0), _Echo)) as port:
        answer = ask(relay(port), port, secure)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.BROKEN


def test_a_service_that_never_finishes_its_handshake_is_given_up_in_time(relay: Callable[..., str]) -> None:
    deaf = socket.create_server(("127.0.0.1", 0))
    port = deaf.getsockname()[1]
    secure = HttpRequest(method="GET", path="/", content_type="", body=b"", tls=True)
    began = time.monotonic()
    answer = ask(relay(port), port, secure, timeout_s=1)
    deaf.close()
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.TIMED_OUT
    assert time.monotonic() - began < 10
