"""Connections: what a client may send in which pieces, and that none of them keeps the others waiting."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from served import Server, serve, wait_for
from serving_interpreters import Interpreter

LONG = "x" * 200_000


class _Received:
    """Bytes of a socket as ``http.client`` wants them, across several responses."""

    def __init__(self, stream: io.BufferedReader) -> None:
        self._stream = stream

    def makefile(self, *_: object) -> _Received:
        return self

    def close(self) -> None:
        """Not with the response: the next one comes on the same connection."""

    def flush(self) -> None:
        """Nothing is written."""

    def read(self, size: int = -1) -> bytes:
        return self._stream.read(size)

    def readinto(self, buffer: memoryview) -> int:
        return self._stream.readinto(buffer)

    def readline(self, size: int = -1) -> bytes:
        return self._stream.readline(size)


class Client:
    """A socket that sends what it is told to, and reads responses from it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._stream = sock.makefile("rb")

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        self._stream.close()

    def answer(self) -> tuple[int, Any, dict[str, str]]:
        response = http.client.HTTPResponse(_Received(self._stream))  # type: ignore[arg-type]
        response.begin()
        body = response.read()
        kind = response.headers.get_content_type()
        return response.status, json.loads(body) if kind == "application/json" else body, dict(response.getheaders())

    def is_closed(self) -> bool:
        try:
            return self._stream.read(1) == b""
        except ConnectionResetError:
            return True


@contextlib.contextmanager
def client_of(server: Server, *, timeout: float = 20) -> Iterator[Client]:
    with socket.create_connection(("127.0.0.1", server.port), timeout) as sock:
        client = Client(sock)
        try:
            yield client
        finally:
            client.close()


def post(document: Any, *headers: str, path: str = "/", version: str = "1.1") -> bytes:
    body = json.dumps(document).encode()
    lines = [f"POST {path} HTTP/{version}", "Host: x", *headers, f"Content-Length: {len(body)}"]
    return "".join(f"{line}\r\n" for line in lines).encode() + b"\r\n" + body


def test_requests_that_come_at_once_are_answered_in_their_order(everything: Server) -> None:
    documents: list[dict[str, str]] = [{"a": "1"}, {"a": LONG}, {"b": "2"}, {"c": LONG}, {"d": "3"}, {"e": "4"}]
    with client_of(everything) as client, ThreadPoolExecutor(1) as pool:
        sent = pool.submit(client.send, b"".join(map(post, documents)))
        for document in documents:
            status, answer, _ = client.answer()
            assert (status, answer) == (200, [list(pair) for pair in document.items()])
        sent.result()


def test_a_request_may_come_in_pieces(everything: Server) -> None:
    request = post({"a": "piece"}) + post({"b": "next"})
    with client_of(everything) as client:
        for start in range(0, len(request), 7):
            client.send(request[start : start + 7])
            time.sleep(0.002)
        assert client.answer()[1] == [["a", "piece"]]
        assert client.answer()[1] == [["b", "next"]]


def test_each_head_counts_for_its_own_request(everything: Server) -> None:
    with client_of(everything) as client:
        for _ in range(2):
            client.send(post({"a": 1}))
            assert client.answer()[1] == [["a", 1]]
            client.send(post({"a": 2}))
            assert client.answer()[1] == [["a", 2]]
            client.send(post({"a": 12}))
            assert client.answer()[1] == [["a", 12]]
            client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert client.answer()[1] == {"status": "OK"}
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            status, _, headers = client.answer()
            assert (status, headers["Allow"]) == (405, "POST, PUT")
            client.send(post({"a": 3}, path="/other"))
            assert client.answer()[0] == 404
            client.send(post({"a": LONG}))
            assert client.answer()[1] == [["a", LONG]]


def test_a_client_that_asks_first_whether_to_send_is_told_to(everything: Server) -> None:
    head, body = post({"a": 1}, "Expect: 100-continue").split(b"\r\n\r\n")
    with client_of(everything) as client:
        client.send(head + b"\r\n\r\n")
        assert client.sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.send(body)
        assert client.answer()[1] == [["a", 1]]


@pytest.mark.parametrize("ending", ["close", "version"])
def test_the_connection_ends_where_the_client_says_so(everything: Server, ending: str) -> None:
    with client_of(everything) as client:
        client.send(post({"a": 1}, "Connection: close") if ending == "close" else post({"a": 1}, version="1.0"))
        status, _, headers = client.answer()
        assert (status, headers["Connection"]) == (200, "close")
        assert client.is_closed()


@pytest.mark.parametrize("size", [100, 100_000])
def test_a_request_that_breaks_off_is_answered(everything: Server, size: int) -> None:
    with client_of(everything) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n[1" % size)
        client.sock.shutdown(socket.SHUT_WR)
        status, answer, _ = client.answer()
        assert (status, answer["error_code"]) == (400, "MR.0101")
        assert f"ended after 2 of {size} bytes" in answer["error_msg"]
        assert client.is_closed()


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n[]",
        b"POST / HTTP/1.1\r\nHost x\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused_at_once_and_costs_nobody_anything(everything: Server, head: bytes) -> None:
    with client_of(everything) as client:
        started = time.monotonic()
        client.send(head)
        assert client.answer()[0] == 400
        assert client.is_closed()
        assert time.monotonic() - started < 4
    assert everything.post([1]).json == [1]


def test_a_refused_body_is_not_taken_for_a_request(everything: Server) -> None:
    inside = post({"a": "smuggled"})
    with client_of(everything) as client:
        # The answer does not wait for the body, of which some is still to come.
        client.send(b"DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + inside)
        assert client.answer()[0] == 405
        client.send(inside)
        assert client.is_closed()
    with client_of(everything) as client:
        client.send(b"DELETE / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(inside) + inside + post([1]))
        assert client.answer()[0] == 405
        assert client.answer()[1] == [1]


@pytest.mark.parametrize(
    "head",
    [
        b"Transfer-Encoding: chunked\r\nContent-Length: 3",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: identity\r\nContent-Length: 3",
        b"Transfer-Encoding: \x0bchunked",
        b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 3",
        b"Content-Length:\r\n 3",
        b"Content-Length: +3",
        b"X: a\nContent-Length: 3",
    ],
)
def test_a_connection_ends_with_a_request_that_others_may_see_end_elsewhere(everything: Server, head: bytes) -> None:
    body = b"3\r\n[1]\r\n0\r\n\r\n" if b"chunked" in head else b"[1]"
    with client_of(everything) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n\r\n" + body + post(["smuggled"]))
        status, answer, headers = client.answer()
        assert status in (200, 400, 501)
        assert answer != ["smuggled"]
        assert headers["Connection"] == "close"
        assert client.is_closed()


def test_a_length_that_the_parser_does_not_believe_ends_the_connection(serve_package: Callable[[str], Server]) -> None:
    with client_of(serve_package("everything")) as client:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nSec-WebSocket-Key1: x\r\n\r\n"
        client.send(head + b"[" + b" " * 7 + post(["smuggled"]).ljust(99_992))
        assert client.answer()[0] == 400
        assert client.is_closed()


@pytest.mark.parametrize("chunk", [b"0x3", b"+3", b"0_3", b"-1"])
def test_a_connection_ends_with_a_chunk_of_an_odd_size(everything: Server, chunk: bytes) -> None:
    with client_of(everything) as client:
        head = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        client.send(head + chunk + b"\r\n[1]\r\n0\r\n\r\n" + post(["smuggled"]))
        assert client.answer()[0] in (200, 400, 408)
        assert client.is_closed()


def test_a_client_that_sends_without_end_keeps_nobody_waiting(everything: Server) -> None:
    answers = []

    def send_all(client: Client) -> None:
        with contextlib.suppress(OSError):
            client.send(post([1]) * 60_000)

    def read_all(client: Client) -> None:
        with contextlib.suppress(OSError):
            while data := client.sock.recv(1 << 20):
                answers.append(data.count(b"200 OK"))

    for _ in range(5):
        assert everything.post([1]).status == 200
    with ThreadPoolExecutor(2) as pool, client_of(everything) as other, client_of(everything) as client:
        pool.submit(send_all, client)
        pool.submit(read_all, client)
        wait_for(lambda: answers, 20, "no answer")
        for _ in range(20):
            other.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            assert other.answer()[0] == 200
        assert sum(answers) < 20_000
        client.sock.shutdown(socket.SHUT_RDWR)


def test_a_client_that_reads_no_answer_is_not_read_from_without_end(everything: Server) -> None:
    request = post({"do": "repeat", "times": 1000}) * 100
    left = 40_000_000 // len(request)
    with client_of(everything, timeout=2) as client, contextlib.suppress(TimeoutError):
        while left:
            client.send(request)
            left -= 1
    assert left
    assert everything.post([1]).json == [1]


def test_clients_that_are_slow_beyond_the_limit_hold_no_long_request_up(interpreter: Interpreter) -> None:
    heads = [
        b"Content-Length: 100000\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n",
        b"".join(b"X-%d: %s\r\n" % (number, b"x" * 8000) for number in range(9)),
    ]
    with serve(interpreter, "everything", AIRLOCK_REQUEST_TIMEOUT_S="1") as server:
        for head in heads:
            with contextlib.ExitStack() as stack:
                clients = [stack.enter_context(client_of(server)) for _ in range(16)]
                for client in clients:
                    client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + head)
                pool = stack.enter_context(ThreadPoolExecutor(1))
                beside = pool.submit(server.post, {"a": LONG}, timeout=8)
                while not beside.done():
                    time.sleep(0.2)
                    for client in clients:
                        with contextlib.suppress(ConnectionError):
                            client.send(b"1\r\n1\r\n" if b"chunked" in head else b"1")
                assert beside.result().status == 200


def test_clients_that_do_not_read_their_answers_hold_no_long_request_up(everything: Server) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client_of(everything)) for _ in range(17)]
        for client in clients:
            client.send(post({"do": "repeat", "times": 12_000_000}))
        wait_for(lambda: everything.post([1]).json == [1], 20, "no answer")
        assert everything.post({"a": LONG}, timeout=10).status == 200
        status, answer, _ = clients[-1].answer()
        assert (status, len(answer)) == (200, 12_000_000)


def test_health_hanging_costs_neither_predictions_nor_connections(interpreter: Interpreter) -> None:
    with serve(interpreter, "hanging_health", AIRLOCK_REQUEST_TIMEOUT_S="1") as server:
        assert server.post("exit").json == "done"
        for _ in range(3):
            assert server.request("GET", "/health").status == 500
        assert server.post("hang").json == "done"
        with contextlib.ExitStack() as stack:
            for _ in range(110):
                client = stack.enter_context(client_of(server))
                client.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            status, answer, _ = client.answer()
            assert (status, answer["error_code"]) == (503, "MR.0105")
            assert server.post("hang").json == "done"
        wait_for(lambda: server.connections() == 0, 10, "connections are left")


@pytest.mark.parametrize("ends, status", [("exit", 7), ("return", 0), ("raise", 1)])
def test_a_child_that_inference_code_forks_does_not_serve(everything: Server, ends: str, status: int) -> None:
    worker = everything.post({"do": "pid"}).json
    with client_of(everything) as client:
        client.send(post({"do": "fork", "ends": ends}))
        assert client.answer()[:2] == (200, status)
        for _ in range(50):
            client.send(post({"do": "facts"}))
            assert client.answer()[0] == 200
    assert everything.post({"do": "pid"}).json == worker


def test_health_does_not_wait_behind_all_that_came_at_once(newest: Interpreter) -> None:
    with serve(newest, "everything") as server, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client_of(server)) for _ in range(300)]
        for _ in range(5):
            for client in clients:
                client.send(post([1]))
                assert client.answer()[1] == [1]
            for client in clients:
                client.send(post({"do": "sleep", "seconds": 0.001}))
            time.sleep(0.05)
            assert server.request("GET", "/health").status == 200
            wait_still = [client for client in clients if not select.select([client.sock], [], [], 0)[0]]
            assert len(wait_still) > 30
            for client in clients:
                assert client.answer()[0] == 200


def test_no_thread_leaves_a_request_to_one_that_does_not_know(newest: Interpreter) -> None:
    with serve(newest, "late_threads") as server, contextlib.ExitStack() as stack:
        predicts, *others = [stack.enter_context(client_of(server, timeout=4)) for _ in range(3)]
        assert server.post({"late": True}).status == 200
        for _ in range(5):
            # After a long prediction the main thread reads, and after a short one the model's.
            for seconds in (0.04, 0):
                predicts.send(post({"seconds": seconds}))
                assert predicts.answer()[0] == 200
            for other in others:
                other.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
            for other in others:
                assert other.answer()[0] == 200


def test_health_is_answered_during_a_prediction_after_short_ones(everything: Server) -> None:
    for _ in range(5):
        assert everything.post([1]).status == 200
    with ThreadPoolExecutor(1) as pool, client_of(everything) as other:
        slow = pool.submit(everything.post, {"do": "sleep", "seconds": 1})
        time.sleep(0.2)
        started = time.monotonic()
        other.send(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert other.answer()[0] == 200
        assert everything.request("GET", "/health").status == 200
        assert time.monotonic() - started < 0.5
        assert slow.result().status == 200


def test_clients_that_stop_in_the_middle_hold_nobody_up(everything: Server) -> None:
    halves = [post({"a": "never"})[:-3], post({"a": LONG})[:-3], b"POST / HT", b""] * 12
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client_of(everything)) for _ in halves]
        for client, half in zip(clients, halves, strict=True):
            client.send(half)
        started = time.monotonic()
        for number in range(20):
            assert everything.post([number]).json == [number]
        assert everything.request("GET", "/health").status == 200
        assert time.monotonic() - started < 4


def test_a_client_that_does_not_read_its_answer_holds_nobody_up(everything: Server) -> None:
    size = 30_000_000
    document = {"a": "y" * size}
    with client_of(everything) as client:
        client.send(post(document))
        # It takes a while until the model has had that one.
        wait_for(lambda: everything.post([1]).json == [1], 20, "no answer")
        for number in range(20):
            assert everything.post([number]).json == [number]
        status, answer, _ = client.answer()
        assert (status, len(answer[0][1])) == (200, size)
        client.send(post([2]))
        assert client.answer()[1] == [2]


def test_a_service_whose_health_takes_long_still_predicts(interpreter: Interpreter) -> None:
    with serve(interpreter, "slow_health") as server, ThreadPoolExecutor(1) as pool:
        for _ in range(3):
            assert server.post({}).json == "model"
        asked = pool.submit(server.request, "GET", "/health")
        time.sleep(0.2)
        started = time.monotonic()
        for _ in range(10):
            assert server.post({}).status == 200
        assert time.monotonic() - started < 0.9
        assert asked.result().json == {"status": "late"}


def test_connections_beyond_the_most_wait_for_a_place(newest: Interpreter) -> None:
    with serve(newest, "everything") as server, contextlib.ExitStack() as stack:
        many = [stack.enter_context(client_of(server, timeout=5)) for _ in range(1010)]
        with client_of(server, timeout=0.5) as late:
            late.send(post([1]))
            with pytest.raises(TimeoutError):
                late.sock.recv(1)
            late.sock.settimeout(10)
            for client in many[:20]:
                client.sock.shutdown(socket.SHUT_RDWR)
            assert late.answer()[1] == [1]


def test_an_idle_connection_does_not_keep_a_stopping_server(newest: Interpreter) -> None:
    with serve(newest, "everything") as server, client_of(server) as idle:
        idle.send(post([1]))
        assert idle.answer()[0] == 200
        started = time.monotonic()
        server.tell_to_stop()
        time.sleep(0.3)
        # One more request that was on its way is answered, and told that it is the last.
        idle.send(post([2]))
        status, answer, headers = idle.answer()
        assert (status, answer, headers["Connection"]) == (200, [2], "close")
        assert server.stop() == 0
        assert time.monotonic() - started < 5
