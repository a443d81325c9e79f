"""What goes wrong, and the two lines on standard error that tell the outside about it.

``AIRLOCK-STARTUP-ERROR {json}`` and ``AIRLOCK-PREDICT-ERROR {json}``: stage, type, message, and the innermost place
inside the package (file relative to ``model/``). The traceback goes before it, and never to a client.
"""

from __future__ import absolute_import

import json
import os
import sys
import traceback

STARTUP_ERROR = "AIRLOCK-STARTUP-ERROR"
PREDICT_ERROR = "AIRLOCK-PREDICT-ERROR"
# The same as gunicorn's own for "the worker could not boot".
STARTUP_EXIT_STATUS = 3
MAX_MESSAGE_CHARACTERS = 2000

_STAGES = {"_preprocess": "preprocess", "_inference": "inference", "_postprocess": "postprocess"}


class StartupFailure(Exception):
    """The server cannot start. ``cause`` is the ``sys.exc_info()`` of the package's own error, if there is one."""

    def __init__(self, stage, message, cause=None):
        Exception.__init__(self, stage, message, cause)
        self.stage = stage
        self.message = message
        self.cause = cause


class Refusal(Exception):
    """The request gets this answer instead of a prediction. ``number`` is the error code without its prefix."""

    def __init__(self, status, number, message):
        Exception.__init__(self, status, number, message)
        self.status = status
        self.number = number
        self.message = message


def describe(error):
    """Return an exception's own text, whatever its ``__str__`` does, at most 2000 characters."""
    text = ""
    # Python 2 cannot turn text beyond ASCII into str, and an OSError with such a text into anything.
    for read in (str, lambda error: u"%s" % (error,), lambda error: u" ".join(u"%s" % (part,) for part in error.args)):
        try:
            text = read(error)
            break
        except Exception:  # the next way of reading
            continue
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return text[:MAX_MESSAGE_CHARACTERS]


def place(error, trace, folders):
    """Return (file relative to ``model/``, line) of the innermost frame inside the package, or (None, None)."""
    found = None, None
    while trace is not None:
        inside = _inside(trace.tb_frame.f_code.co_filename, folders)
        if inside:
            found = inside, trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError) and error.filename:
        inside = _inside(error.filename, folders)
        if inside:
            found = inside, error.lineno
    return found


def place_of_frame(frame, folders):
    """Return the same for a frame of a running thread."""
    while frame is not None:
        inside = _inside(frame.f_code.co_filename, folders)
        if inside:
            return inside, frame.f_lineno
        frame = frame.f_back
    return None, None


def stage_of(function_names):
    """Return the stage for the function names from the outermost call inwards."""
    for name in function_names:
        if name in _STAGES:
            return _STAGES[name]
    return "inference"


def names_in(trace):
    """Return the function names of a traceback, the outermost first."""
    names = []
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    return names


def report_startup(failure, folders):
    """Write the traceback of the package's error, if any, and the startup line."""
    if failure.cause is None:
        report(STARTUP_ERROR, failure.stage, "StartupFailure", failure.message, None, None)
        return
    kind, error, trace = failure.cause
    name, line = place(error, trace, folders)
    report(STARTUP_ERROR, failure.stage, kind.__name__, failure.message, name, line, trace_text(failure.cause))


def report(label, stage, kind, message, name, line, before=""):
    """Write ``before``, then the label and its JSON on one line of its own."""
    if isinstance(name, bytes):
        name = name.decode("utf-8", "replace")
    fields = {"stage": stage, "type": kind, "message": message, "file": name, "line": line}
    write_error("%s%s %s\n" % (before, label, json.dumps(fields, sort_keys=True)))


def trace_text(cause):
    """Return a traceback as native text."""
    return "".join(traceback.format_exception(*cause))


def write_error(text):
    """Write to the process's standard error itself: package code may have replaced ``sys.stderr``."""
    try:
        sys.stderr.flush()
    except Exception:  # a replaced or closed stream must not hide the message
        pass
    data = text if isinstance(text, bytes) else text.encode("utf-8", "backslashreplace")
    while data:
        data = data[os.write(2, data) :]


def end_process(status):
    """End this process at once, whatever its threads do."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # replaced or closed by the package
            pass
    os._exit(status)


def _inside(name, folders):
    for folder in folders:
        if name.startswith(folder + os.sep):
            return name[len(folder) + 1 :]
    return None
