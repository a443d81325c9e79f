"""One request and its answer."""

from __future__ import absolute_import

import sys
import threading

from model_service import failures
from model_service.model_threads import FINISHED

REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Request Entity Too Large",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}
_OK = "200 OK"


class Exchange(object):
    """A request that was read, up to the answer that its connection is to send.

    Args:
        connections: Told by ``finished(exchange)`` once the answer is there.
        connection: Where the answer goes.
        response: gunicorn's, which writes it.
        environ: The request as WSGI has it.
        reading: (parser, request) where a thread of the request's own reads it, and waits for the answer.
    """

    __slots__ = ("_answered", "_connections", "connection", "environ", "headers", "must_close", "reading", "response")

    def __init__(self, connections, connection, response, environ, reading=None):
        self._connections = connections
        self.connection = connection
        self.response = response
        self.environ = environ
        self.reading = reading
        # Headers of the answer beside the usual ones.
        self.headers = []
        # What the client sends next cannot be told from what it sent.
        self.must_close = False
        # A bare lock, not an Event: Python 2 polls for those that have a time limit, and this needs none.
        self._answered = threading.Lock() if reading else None
        if reading:
            self._answered.acquire()

    def finish(self, state, result):
        """Answer what a job came to (see ``Job``)."""
        self.answer(*(result if state == FINISHED else self._connections.application.gave_up(state)))

    def answer(self, status, payload):
        """Answer with a status and the bytes of a JSON document."""
        response = self.response
        try:
            if self._connections.stopping or self.must_close:
                response.force_close()
            self.headers += [("Content-Type", "application/json"), ("Content-Length", str(len(payload)))]
            response.start_response(_OK if status == 200 else "%d %s" % (status, REASONS.get(status, "Unknown")), self.headers)
            if self.environ["REQUEST_METHOD"] != "HEAD":
                response.write(payload)
            response.close()
        except Exception:  # the server's own mistake: the client sees the connection end
            failures.write_error(failures.trace_text(sys.exc_info()))
            self.must_close = True
        if self.reading:
            self._answered.release()
        else:
            self._connections.finished(self)

    def wait(self):
        """Wait for the answer."""
        self._answered.acquire()
