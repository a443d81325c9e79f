"""One client's connection: what came in, whether that is a request that can be taken at once, and what goes out.

HTTP itself is gunicorn's: its parser reads every head, and its response writes every answer. Here is only what lets one
thread look after many connections: bytes are kept until a request is whole, and no call waits but those of
``wait_for_request``.
"""

from __future__ import absolute_import

import errno
import io
import re
import socket
from select import POLLIN, poll
from select import error as SelectError

from gunicorn import util, version_info
from gunicorn.http import RequestParser, wsgi

from model_service.model_threads import monotonic

# The most that is kept of a request that is not whole, and the longest body that is read without a thread of its own.
CHUNK_BYTES = 64 * 1024
# How much of a long body is read at once: each time, a thread lets go of the interpreter and has to get it back.
LONG_READ_BYTES = 1024 * 1024
# So much is skipped of what a client sends beyond its answer.
LINGER_BYTES = 1024 * 1024
# Whether the bytes that are there are a request that can be taken at once, the beginning of one, or one that needs a
# thread to itself: a long body, one of unknown length, or what the parser will not take.
WHOLE, PARTIAL, OTHER = "whole", "partial", "other"

_REQUEST_LINE = re.compile(br"[!-~]+ [!-~]+ HTTP/1\.[01]\Z")
_LENGTH = re.compile(br"\r\ncontent-length:[ \t]*([0-9]{1,9})[ \t]*(?=\r\n)")
_CHUNKED = re.compile(br"\r\ntransfer-encoding:[ \t]*chunked[ \t]*(?=\r\n)")
_NEEDS_PARSER = (b"\ntransfer-encoding", b"\nexpect")
# Older ones take sizes of chunks that RFC 9112 does not have, such as 0x3.
_PARSER_CHECKS_CHUNKS = version_info >= (22,)
# gunicorn 19 takes the body of such a request for one of 8 bytes, whatever its length says.
_WEBSOCKET_KEY = b"\nsec-websocket-key1"
_AGAIN = (errno.EAGAIN, errno.EWOULDBLOCK)
# Of gunicorn's versions, those of Python 2 do not ask for the client's address.
_PARSER_TAKES_CLIENT = RequestParser.__init__.__code__.co_argcount > 3


class Closed(Exception):
    """The client has gone, or sends nothing any more."""


class Connection(object):
    """A connection with a socket that never blocks.

    Args:
        sock: The accepted socket.
        client: The client's address, as the socket gives it.
        server: The address that it was accepted on.
        cfg: gunicorn's configuration.
    """

    def __init__(self, sock, client, server, cfg):
        sock.setblocking(False)
        self.sock = sock
        self.number = sock.fileno()
        self.client = client
        self.server = server
        self._cfg = cfg
        self.received = b""
        # Sent nothing yet.
        self.is_new = True
        # Sends no more, in the middle of a request.
        self.has_ended = False
        # Of a connection that ends: bytes that may still be taken.
        self._left_to_skip = None
        # Whether every proxy on the way takes the present request to end at the same byte as the parser.
        self.has_clear_end = False
        # Whose answer the client has not taken as a whole.
        self.exchange = None
        # When waiting for the client's next bytes ends, and whether a request is to begin with them.
        self.ends_at = None
        self.is_between = True
        # Until when the parser may wait for bytes, in a thread of the request's own.
        self._reads_until = 0.0
        self._unsent = []
        # A client that stays sends the same head again and again. What it says is read once.
        self._head = None
        self._length = 0
        self._parsed = None

    # What the client sends.

    def receive(self):
        """Take what has come; False where nothing has.

        Raises:
            Closed: Nothing more will come, or counts.
        """
        try:
            data = self.sock.recv(CHUNK_BYTES)
        except EnvironmentError as error:
            if error.errno in _AGAIN:
                return False
            raise Closed()
        if not data:
            if not self.received:
                raise Closed()
            self.has_ended = True
            return True
        if self._left_to_skip is not None:
            self._left_to_skip -= len(data)
            if self._left_to_skip < 0:
                raise Closed()
            return False
        self.is_new = False
        self.received = self.received + data if self.received else data
        return True

    def state(self):
        """Return ``WHOLE``, ``PARTIAL`` or ``OTHER``."""
        received = self.received
        end = received.find(b"\r\n\r\n") + 4
        if end < 4:
            self.has_clear_end = False
            line, has_line, _ = received.partition(b"\r\n")
            broken = has_line and not _REQUEST_LINE.match(line)
            return OTHER if broken or self.has_ended or len(received) >= CHUNK_BYTES else PARTIAL
        if received[:end] != self._head and not self._read_head(received[:end]):
            return OTHER
        self.has_clear_end = True
        if len(received) >= end + self._length:
            return WHOLE
        return OTHER if self.has_ended or self._length > CHUNK_BYTES else PARTIAL

    def _read_head(self, head):
        """Take the length of the body from a head; whether that can be done without the parser."""
        lowered = head.lower()
        lengths = _LENGTH.findall(lowered)
        codings = lowered.count(b"\ntransfer-encoding")
        if codings:
            is_chunked = codings == len(_CHUNKED.findall(lowered)) == 1
            self.has_clear_end = is_chunked and _PARSER_CHECKS_CHUNKS and b"\ncontent-length" not in lowered
        else:
            self.has_clear_end = len(lengths) == lowered.count(b"\ncontent-length") < 2 and _WEBSOCKET_KEY not in lowered
        if not self.has_clear_end or any(word in lowered for word in _NEEDS_PARSER):
            return False
        self._head = head
        self._length = int(lengths[0]) if lengths else 0
        self._parsed = None
        return True

    def open_whole(self):
        """Return (response, environ) of the request that is here as a whole.

        Raises:
            gunicorn's errors: It is broken.
        """
        if self._parsed is None:
            request = next(self._parser([self._head]))
            environ = wsgi.create(request, self, self.client, self.server, self._cfg)[1]
            self._parsed = request, environ
        request, environ = self._parsed
        start = len(self._head)
        end = start + self._length
        environ = dict(environ)
        environ["wsgi.input"] = io.BytesIO(self.received[start:end])
        self.received = self.received[end:]
        return wsgi.Response(request, self, self._cfg), environ

    def wait_for_request(self, patience_s):
        """Return (parser, request, response, environ), reading on as the parser asks for it.

        Args:
            patience_s: How long it may take to arrive, its body included.

        Raises:
            gunicorn's errors, EnvironmentError, StopIteration: It is broken, did not come, or there is none.
        """
        self._reads_until = monotonic() + patience_s
        parser = self._parser(iter(self._read_on, b""))
        request = next(parser)
        response, environ = wsgi.create(request, self, self.client, self.server, self._cfg)
        return parser, request, response, environ

    def _read_on(self):
        """Return bytes, waiting for them; empty where there are no more."""
        if self.received:
            data, self.received = self.received, b""
            return data
        while True:
            try:
                return self.sock.recv(LONG_READ_BYTES)
            except EnvironmentError as error:
                if error.errno not in _AGAIN:
                    raise
            self._wait_for_bytes()

    def _wait_for_bytes(self):
        waiting = poll()
        waiting.register(self.number, POLLIN)
        while True:
            left_s = self._reads_until - monotonic()
            try:
                if waiting.poll(max(0.0, left_s) * 1000):
                    return
            except (EnvironmentError, SelectError) as error:
                if error.args[0] != errno.EINTR:
                    raise EnvironmentError(*error.args[:2])
            if left_s <= 0:
                raise socket.timeout("timed out")

    def _parser(self, source):
        return RequestParser(self._cfg, source, *((self.client,) if _PARSER_TAKES_CLIENT else ()))

    def finish_reading(self, parser, request):
        """Skip what is left of a request's body, and keep what came after it.

        False where more of it is still to come: where the next request starts is then unknown.
        """
        self._reads_until = 0.0
        left = LINGER_BYTES
        try:
            while left > 0:
                data = request.body.read(CHUNK_BYTES)
                if not data:
                    self.received = parser.unreader.buf.getvalue() + self.received
                    return True
                left -= len(data)
        except Exception:  # gunicorn's own errors for broken chunks, or a connection that broke
            pass
        return False

    # A socket for gunicorn's responses.

    def send(self, data):
        """Send at once: gunicorn's ``100 Continue``."""
        return self.sock.send(data)

    def sendall(self, data):
        """Keep for ``flush``: an answer goes out as one piece."""
        self._unsent.append(data)

    def gettimeout(self):
        """Nothing here blocks."""
        return 0.0

    def shutdown(self, how):
        """End one direction."""
        self.sock.shutdown(how)

    # What goes out.

    def flush(self):
        """Send what is kept, as far as the system takes it; whether that was all.

        Raises:
            Closed: The client has gone.
        """
        unsent = self._unsent
        if len(unsent) == 2 and len(unsent[1]) <= CHUNK_BYTES:
            unsent = [b"".join(unsent)]
        try:
            while unsent:
                sent = self.sock.send(unsent[0])
                if sent < len(unsent[0]):
                    unsent[0] = memoryview(unsent[0])[sent:]
                else:
                    del unsent[0]
        except EnvironmentError as error:
            if error.errno not in _AGAIN:
                raise Closed()
        self._unsent = unsent
        return not unsent

    def close(self):
        """Close it."""
        self._end_writing()
        util.close(self.sock)
        # Not as long as an exchange and its connection hold each other.
        self.exchange = None
        self._unsent = []

    def end_sending(self):
        """Say that nothing more is sent, and from now on skip what comes, up to a limit.

        A connection that is closed with bytes that nobody took is reset, and the answer may then be lost.
        """
        self.received = b""
        self._left_to_skip = LINGER_BYTES
        self._end_writing()

    def _end_writing(self):
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except EnvironmentError:  # the client has gone
            pass
