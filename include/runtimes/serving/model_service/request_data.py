"""From a WSGI environment to the ``data`` that inference code receives."""

from __future__ import absolute_import

import io
import json
import os
from collections import OrderedDict

from werkzeug.exceptions import HTTPException
from werkzeug.formparser import FormDataParser
from werkzeug.http import parse_options_header

from model_service.failures import Refusal
from model_service.model_threads import monotonic

try:
    from urllib.parse import parse_qsl

    _FORM_OPTIONS = {}
except ImportError:  # Python 2, whose plain dict forgets the order of the fields
    from urlparse import parse_qsl
    from werkzeug.datastructures import OrderedMultiDict

    _FORM_OPTIONS = {"cls": OrderedMultiDict}

NO_INPUT = "0101"
CHUNK_BYTES = 64 * 1024
_MULTIPART = "multipart/form-data"
_URLENCODED = "application/x-www-form-urlencoded"


class Upload(bytes):
    """An uploaded input of an MXNet package: bytes for ``image.read``, and readable like a file."""

    def read(self, size=-1):
        """Return everything; uploads of this engine are read once."""
        return bytes(self)

    def getvalue(self):
        """Return everything."""
        return bytes(self)


class Body(object):
    """The request's body with its limits on size and time; a stream for Werkzeug's parser."""

    def __init__(self, environ, max_bytes, limit_s):
        self._read = environ["wsgi.input"].read
        self._socket = environ.get("gunicorn.socket")
        self._max_bytes = max_bytes
        self._ends_at = monotonic() + limit_s
        self._got = 0
        length = environ.get("CONTENT_LENGTH")
        self.length = int(length) if length else None
        if self.length is not None and self.length > max_bytes:
            self._too_large()

    def read(self, size=CHUNK_BYTES):
        """Return up to ``size`` bytes, empty at the end.

        Raises:
            Refusal: Too large (413), too slow (408), or ended early (400).
        """
        if size is None or size < 0:
            return self.read_all()
        try:
            data = self._read(size)
        except EnvironmentError as error:  # time-out of the socket, or a connection that broke
            raise Refusal(408, NO_INPUT, "the request's body did not arrive: %s" % (error or "connection lost"))
        except Exception as error:  # gunicorn's own errors for broken chunks
            raise Refusal(400, NO_INPUT, "the request's body is broken: %s" % type(error).__name__)
        self._got += len(data)
        if self._got > self._max_bytes:
            self._too_large()
        if monotonic() > self._ends_at:
            raise Refusal(408, NO_INPUT, "the request's body took too long")
        if not data and self.length is not None and self._got < self.length:
            raise Refusal(400, NO_INPUT, "the request's body ended after %d of %d bytes" % (self._got, self.length))
        return data

    def read_all(self):
        """Return the rest of the body."""
        if self.length is not None:
            # One read for what fits one: the usual request.
            first = self.read(min(self.length - self._got, CHUNK_BYTES))
            if self._got >= self.length:
                return first
            parts = [first]
        else:
            parts = []
        while True:
            data = self.read(CHUNK_BYTES * 16)
            if not data:
                return b"".join(parts)
            parts.append(data)
            if self.length is not None and self._got >= self.length:
                return b"".join(parts)

    def _too_large(self):
        # Read on for a while, so that a client that sends first and reads later sees the answer.
        left = self._max_bytes
        try:
            while left > 0 and monotonic() < self._ends_at:
                data = self._read(CHUNK_BYTES)
                if not data:
                    break
                left -= len(data)
            else:
                if self._socket is not None:
                    self._socket.shutdown(0)
        except Exception:  # the connection is of no more use; the answer below is tried all the same
            pass
        raise Refusal(413, NO_INPUT, "the request's body is larger than %d bytes" % self._max_bytes)


def read_text(environ, body):
    """Return the raw JSON text for the machine-learning engines.

    Raises:
        Refusal: No body, not UTF-8, or multipart.
    """
    if environ.get("CONTENT_TYPE", "").lower().startswith("multipart/"):
        raise Refusal(415, NO_INPUT, "this model takes application/json, not multipart/form-data")
    return _decode(body.read_all())


def read_document(environ, body):
    """Return the parsed JSON, or a dict of fields for a form.

    Uploaded files become ``{field: OrderedDict{file name: io.BytesIO}}`` in the order of the request, other fields
    ``{field: text}``. Query arguments are added as text to a form, and stand alone where there is no body.

    Raises:
        Refusal: No input, or an unreadable one.
    """
    content_type = environ.get("CONTENT_TYPE", "")
    mimetype, options = parse_options_header(content_type) if content_type else ("", {})
    mimetype = (mimetype or "").lower()
    if mimetype == _MULTIPART:
        data = _add_query(_read_form(body, mimetype, options), environ)
        if not data:
            raise Refusal(400, NO_INPUT, "the form has no fields")
        return data
    raw = body.read_all()
    if not raw and environ.get("QUERY_STRING"):
        return _add_query({}, environ)
    text = _decode(raw)
    # Command-line clients send JSON under the type of a form unless told otherwise.
    if mimetype == _URLENCODED and text.lstrip()[:1] not in ("{", "["):
        return _add_query(_text_pairs(raw.decode("utf-8")), environ)
    return parse_json(text)


def read_inputs(names, environ, body):
    """Return a bare list, in the order of ``names``: the values of a JSON object, or the fields of a form.

    A JSON list is given on as it is. Names that the request does not have are an error unless it has as many
    fields as there are names; then its own order counts.
    """
    data = read_document(environ, body)
    if isinstance(data, list):
        return data
    if not isinstance(data, dict):
        return [data]
    if all(name in data for name in names):
        values = [data[name] for name in names]
    elif len(data) == len(names):
        values = list(data.values())
    else:
        raise Refusal(
            400, NO_INPUT, "the model's inputs are %s, the request has %s" % (", ".join(names), ", ".join(sorted(data)))
        )
    inputs = []
    for value in values:
        if isinstance(value, OrderedDict):
            inputs.extend(Upload(stream.getvalue()) for stream in value.values())
        else:
            inputs.append(value)
    return inputs


def parse_json(text):
    """Return the parsed document.

    Raises:
        Refusal: It is not JSON; the message gives the place, never the text.
    """
    try:
        return json.loads(text)
    except ValueError as error:
        raise Refusal(400, NO_INPUT, "the request's body is not JSON: %s" % error)
    except RuntimeError:  # nested deeper than the interpreter can follow
        raise Refusal(400, NO_INPUT, "the request's JSON is nested too deeply")


def _decode(raw):
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refusal(400, NO_INPUT, "the request's body is not UTF-8 text (byte %d)" % error.start)
    if text[:1] == u"\ufeff":
        text = text[1:]
    if not text.strip():
        raise Refusal(400, NO_INPUT, "the request has no body")
    return text


def _read_form(body, mimetype, options):
    parser = FormDataParser(stream_factory=_new_stream, silent=False, **_FORM_OPTIONS)
    try:
        # No length: older Werkzeug would wrap the stream in a reader that wants readline(). The stream knows its end.
        _, form, files = parser.parse(body, mimetype, None, options)
    except HTTPException as error:
        raise Refusal(error.code or 400, NO_INPUT, "the form cannot be read: %s" % error.name)
    except ValueError as error:
        raise Refusal(400, NO_INPUT, "the form cannot be read: %s" % error)
    data = OrderedDict()
    for field, upload in files.items(multi=True):
        names = data.setdefault(field, OrderedDict())
        names[_free_name(upload.filename or "", names)] = upload.stream
    for field, text in form.items():
        data.setdefault(field, text)
    return data


def _new_stream(*args, **kwargs):
    # Always in memory: inference code calls getvalue() and getbuffer().
    return io.BytesIO()


def _free_name(name, taken):
    """Return the name, numbered when the field has a file of that name already: phones call every photo image.jpg."""
    stem, extension = os.path.splitext(name)
    number = 0
    free = name
    while free in taken:
        number += 1
        free = "%s-%d%s" % (stem, number, extension)
    return free


def _add_query(data, environ):
    query = environ.get("QUERY_STRING")
    if query:
        for name, text in _text_pairs(query).items():
            data.setdefault(name, text)
    return data


def _text_pairs(text):
    """Return an URL-encoded form as ``{name: text}``; the first of several values counts."""
    pairs = OrderedDict()
    for name, value in parse_qsl(str(text), keep_blank_values=True):
        if isinstance(name, bytes):  # Python 2
            name, value = name.decode("utf-8", "replace"), value.decode("utf-8", "replace")
        pairs.setdefault(name, value)
    return pairs
