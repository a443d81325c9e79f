"""The client that talks to services: whatever they do, it ends in time and never raises."""

from __future__ import annotations

import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from airlock.adapters.service_client import exchange
from airlock.domain.smoke import HttpRequest, HttpResponse, NoResponse, Silence

REQUEST = HttpRequest(method="POST", path="/", content_type="application/json", body=b"{}")
Behaviour = Callable[[socket.socket], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Behaviour], str]]:
    """Starts a server that does one thing with each connection; gives its socket's path."""
    folder = tempfile.TemporaryDirectory(prefix="alc-")
    listener = socket.socket(socket.AF_UNIX)
    path = str(Path(folder.name) / "http.sock")
    threads: list[threading.Thread] = []

    def start(behave: Behaviour) -> str:
        listener.bind(path)
        listener.listen()

        def one() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    behave(connection)
                except OSError:
                    return

        threads.append(threading.Thread(target=one))
        threads[0].start()
        return path

    yield start
    for thread in threads:
        thread.join(10)
    listener.close()
    folder.cleanup()


def _answers(data: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(data)

    return behave


def _trickles(start: bytes) -> Behaviour:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(start)
        for _ in range(300):
            connection.sendall(b"a")
            time.sleep(0.05)

    return behave


def test_a_whole_answer_is_taken(serve: Callable[[Behaviour], str]) -> None:
    path = serve(_answers(b"HTTP/1.1 201 X\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n42"))
    answer = exchange(path, REQUEST, 5, 100)
    assert isinstance(answer, HttpResponse)
    assert (answer.status, answer.content_type, answer.body) == (201, "application/json", b"42")
    assert 0 < answer.seconds < 5


def test_the_request_arrives_as_it_is(serve: Callable[[Behaviour], str]) -> None:
    got = bytearray()

    def behave(connection: socket.socket) -> None:
        while b"lastbyte" not in got:
            got.extend(connection.recv(65536))
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    path = serve(behave)
    request = HttpRequest(
        method="PUT", path="/a?b=c", content_type="multipart/form-data; boundary=x", body=b"y" * 500_000 + b"lastbyte"
    )
    assert isinstance(exchange(path, request, 10, 100), HttpResponse)
    head, _, body = bytes(got).partition(b"\r\n\r\n")
    assert head.startswith(b"PUT /a?b=c HTTP/1.1\r\n")
    assert b"Content-Type: multipart/form-data; boundary=x" in head
    assert b"Content-Length: 500008" in head
    assert body == request.body


def test_an_answer_before_the_whole_request_was_read_is_still_taken(serve: Callable[[Behaviour], str]) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(10)
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        connection.shutdown(socket.SHUT_WR)
        time.sleep(0.2)

    request = HttpRequest(method="POST", path="/", content_type="x", body=b"y" * 5_000_000)
    answer = exchange(serve(behave), request, 5, 100)
    assert isinstance(answer, HttpResponse)
    assert answer.status == 413


@pytest.mark.parametrize(
    "start",
    [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"],
    ids=["before the status", "in a header", "in the body"],
)
def test_a_trickle_of_bytes_does_not_stretch_the_time(serve: Callable[[Behaviour], str], start: bytes) -> None:
    before = time.monotonic()
    answer = exchange(serve(_trickles(start)), REQUEST, 0.5, 10_000)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.TIMED_OUT
    assert 0.4 < answer.seconds < 1.0
    assert time.monotonic() - before < 1.5


def test_endless_provisional_answers_do_not_stretch_the_time(serve: Callable[[Behaviour], str]) -> None:
    def behave(connection: socket.socket) -> None:
        connection.recv(65536)
        while True:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)

    answer = exchange(serve(behave), REQUEST, 0.5, 10_000)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.TIMED_OUT
    assert answer.seconds < 2


def test_silence_is_given_up_in_time(serve: Callable[[Behaviour], str]) -> None:
    answer = exchange(serve(lambda connection: time.sleep(1.5)), REQUEST, 0.3, 100)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.TIMED_OUT
    assert answer.seconds < 1


@pytest.mark.parametrize(
    "data",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 101\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 101,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n",
    ],
    ids=["announced", "until the end", "in chunks"],
)
def test_one_byte_too_many_is_too_large(serve: Callable[[Behaviour], str], data: bytes) -> None:
    answer = exchange(serve(_answers(data)), REQUEST, 5, 100)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"nothing like HTTP\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    ],
    ids=["nothing", "no HTTP", "cut short", "bad chunk", "many headers", "long header"],
)
def test_an_answer_that_is_none_is_a_broken_connection(serve: Callable[[Behaviour], str], data: bytes) -> None:
    answer = exchange(serve(_answers(data)), REQUEST, 5, 1_000_000)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.BROKEN


@pytest.mark.parametrize("path", ["/with space", "/line\nbreak", "/ümlaut"])
def test_a_path_that_cannot_be_sent_is_no_exception(serve: Callable[[Behaviour], str], path: str) -> None:
    request = HttpRequest(method="POST", path=path, content_type="x", body=b"")
    answer = exchange(serve(lambda connection: None), request, 5, 100)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.BROKEN


def test_nobody_who_listens_is_told_apart(tmp_path: Path) -> None:
    answer = exchange(str(tmp_path / "http.sock"), REQUEST, 5, 100)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.NOT_LISTENING
    with tempfile.TemporaryDirectory(prefix="alc-") as folder, socket.socket(socket.AF_UNIX) as dead:
        dead.bind(f"{folder}/http.sock")
        answer = exchange(f"{folder}/http.sock", REQUEST, 5, 100)
    assert isinstance(answer, NoResponse)
    assert answer.silence is Silence.NOT_LISTENING
