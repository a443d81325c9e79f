"""What a request asks for, and what it is answered: routes, errors, and the envelope around what inference code returns.

Routes are ``/`` (POST, and the methods that the package's configuration names) and ``GET /health``. Errors are
``{"error_code", "error_msg"}``: ``MR.0101`` for the request and ``MR.0105`` for the model, ``PY.`` with the
machine-learning engines.
"""

from __future__ import absolute_import

import json
import os
import sys

from model_service import failures, request_data
from model_service.failures import Refusal
from model_service.model_service import SingleNodeService
from model_service.model_threads import BUSY, frame_of
from model_service.response import encode

FAILED = "0105"


class Application(object):
    """Answers requests with one service.

    Args:
        service: The service object.
        text_engine: Whether the engine is one of those that read the raw JSON text and wrap their answers.
        inputs: Names of the inputs, where the engine gives a bare list of them.
        settings: The server's settings.
        methods: Methods of ``/``.
        loaders: Threads that the package's import and constructor started. A prediction that fails while one of them
            runs is answered with 503, not 500: the model may not be there yet. After the first one that succeeds it is
            there, and such a thread is one that stays (libraries keep some to watch over their progress bars).
    """

    def __init__(self, service, text_engine, inputs, settings, methods, loaders=()):
        self._service = service
        self._text_engine = text_engine
        self._methods = methods
        self._folders = settings.package_folders
        self._max_body_bytes = settings.max_body_bytes
        self._limit_s = settings.request_timeout_s
        self._prefix = "PY." if text_engine else "MR."
        self._loaders = list(loaders)
        self._inputs = inputs
        self._pid = os.getpid()
        # A package's own may take long.
        owner = next((parent for parent in type(service).__mro__ if "health" in vars(parent)), None)
        self.has_own_health = owner is not SingleNodeService or "health" in getattr(service, "__dict__", ())

    def is_health(self, environ):
        """Whether a request asks for the service's health."""
        return environ.get("PATH_INFO") == "/health"

    def open(self, environ, headers):
        """Return ((status, payload), None) for a request that needs no prediction, else (None, what predict() takes).

        Args:
            environ: The request, as WSGI has it.
            headers: Takes headers of the answer.
        """
        try:
            if self.is_health(environ):
                return self._health(environ, headers), None
            return None, self._read(environ, headers)
        except Refusal as refusal:
            return (refusal.status, self._error(refusal.number, refusal.message)), None
        except Exception:  # the server's own mistake
            failures.write_error(failures.trace_text(sys.exc_info()))
            return (500, self._error(FAILED, "the server failed to handle this request")), None

    def gave_up(self, state):
        """Return (status, payload) for a job that was not finished: ``BUSY`` or ``OVERDUE``."""
        if state == BUSY:
            return 503, self._error(FAILED, "the model is busy: no free turn within %g s" % self._limit_s)
        return 504, self._error(FAILED, "no answer within %g s" % self._limit_s)

    def health_hangs(self):
        """Return (status, payload) where too many wait for the package's ``health()`` to come back."""
        return 503, self._error(FAILED, "health does not come back: others have waited for it before")

    def predict(self, data):
        """Run the service on the model's thread; return ((status, payload), success).

        The answer is encoded here too: what was returned may belong to the service, and the next prediction change it.
        """
        # Asked before: a loader may end between the prediction that missed its model and the look at what it did.
        loading = self._is_loading()
        try:
            result = self._service.inference(data)
        except BaseException as error:  # sys.exit() in inference code must not end the thread
            self._end_child(error)
            return self._failed(error, data, loading), False
        self._end_child()
        try:
            payload = encode(self._wrap(result, data) if self._text_engine else result)
        except BaseException as error:
            return self._failed(error, data, loading, "postprocess"), False
        if loading:
            self._loaders = []
        return (200, payload), True

    def overdue(self, identifier):
        """Report a prediction that has passed the time limit, with the place where it is now."""
        frame = frame_of(identifier)
        name, line = failures.place_of_frame(frame, self._folders)
        names = []
        while frame is not None:
            names.insert(0, frame.f_code.co_name)
            frame = frame.f_back
        message = "no answer within %g s" % self._limit_s
        failures.report(failures.PREDICT_ERROR, failures.stage_of(names), "Timeout", message, name, line)

    def _read(self, environ, headers):
        path = environ.get("PATH_INFO") or "/"
        method = environ["REQUEST_METHOD"]
        if path != "/":
            raise Refusal(404, request_data.NO_INPUT, "the model answers on / and /health")
        if method not in self._methods:
            headers.append(("Allow", ", ".join(sorted(self._methods))))
            raise Refusal(405, request_data.NO_INPUT, "/ answers %s" % ", ".join(sorted(self._methods)))
        body = request_data.Body(environ, self._max_body_bytes, self._limit_s)
        if self._text_engine:
            return request_data.read_text(environ, body)
        if self._inputs is not None:
            return request_data.read_inputs(self._inputs, environ, body)
        return request_data.read_document(environ, body)

    def _health(self, environ, headers):
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            headers.append(("Allow", "GET, HEAD"))
            raise Refusal(405, request_data.NO_INPUT, "/health answers GET")
        try:
            answer = self._service.health()
            body, status = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, 200)
            if isinstance(body, bytes):
                return int(status), body
            return int(status), body.encode("utf-8") if hasattr(body, "encode") else encode(body)
        except BaseException as error:  # sys.exit() must not end the thread here either
            failures.write_error(failures.trace_text(sys.exc_info()))
            raise Refusal(500, FAILED, "health failed: %s" % _short(error))

    def _end_child(self, error=None):
        """End a process that inference code forked and that came back from there: it has the server's connections, too."""
        if os.getpid() == self._pid:
            return
        status = None
        if isinstance(error, SystemExit):
            status = error.code
        elif error is not None:
            failures.write_error(failures.trace_text(sys.exc_info()))
            status = 1
        failures.end_process(status if isinstance(status, int) else int(status is not None))

    def _wrap(self, result, data):
        answer = {"data": {"resp_data": result}}
        # The request is parsed for its meta only where it can have one: most of the time is the code's own parsing.
        if '"meta"' in data:
            document = json.loads(data)
            if isinstance(document, dict) and "meta" in document:
                answer["meta"] = document["meta"]
        return answer

    def _failed(self, error, data, loading, stage=None):
        cause = sys.exc_info()
        stage = stage or failures.stage_of(failures.names_in(cause[2]))
        name, line = failures.place(error, cause[2], self._folders)
        failures.report(
            failures.PREDICT_ERROR,
            stage,
            type(error).__name__,
            failures.describe(error),
            name,
            line,
            failures.trace_text(cause),
        )
        if self._text_engine and isinstance(error, ValueError):
            # Their code parses the body itself; a body that is no JSON is the client's fault all the same.
            try:
                request_data.parse_json(data)
            except Refusal as refusal:
                return refusal.status, self._error(refusal.number, refusal.message)
        if loading:
            return 503, self._error(FAILED, "the model is still loading: %s" % _short(error))
        by_client = isinstance(error, (KeyError, TypeError)) and self._by_package(stage, cause[2])
        return 400 if by_client else 500, self._error(FAILED, _short(error))

    def _is_loading(self):
        if self._loaders:
            self._loaders = [thread for thread in self._loaders if thread.is_alive()]
        return bool(self._loaders)

    def _by_package(self, stage, trace):
        # An answer that cannot be encoded is never the client's fault; its traceback starts in predict() and
        # goes straight to the encoder.
        return "inference" in failures.names_in(trace) or stage != "postprocess"

    def _error(self, number, message):
        return encode({"error_code": self._prefix + number, "error_msg": message})


def _short(error):
    text = failures.describe(error)
    return "%s: %s" % (type(error).__name__, text) if text else type(error).__name__
