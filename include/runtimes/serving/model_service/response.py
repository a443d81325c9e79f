"""From what inference code returns to the bytes of a JSON answer.

NumPy scalars and arrays, tensors and bytes that code forgot to convert are converted. NaN and infinite numbers are
written as Python writes them (``NaN``, ``Infinity``), which is not JSON: the original system did so, clients of such
packages count on it, and the contract check outside finds it. Changing them here would hide the model's fault.
"""

from __future__ import absolute_import

import json
import sys

PYTHON_2 = sys.version_info[0] == 2
_KEYS = (str, bool, int, float)
if PYTHON_2:
    _KEYS += (unicode, long)  # noqa: F821


def _convert(value):
    """Return a value that JSON has for one it does not have; called by the encoder for unknown types only."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).decode("utf-8")
    for name in ("tolist", "asnumpy", "numpy"):
        method = getattr(value, name, None)
        if callable(method):
            return method()
    raise TypeError("the answer holds a %s, which JSON has no form for" % type(value).__name__)


_OPTIONS = {"ensure_ascii": False, "default": _convert, "separators": (",", ":")}
if PYTHON_2:
    # Any other spelling of utf-8 makes the encoder decode byte strings; without it, mixing them with text fails.
    _OPTIONS["encoding"] = "UTF-8"
_encoder = json.JSONEncoder(**_OPTIONS)


def encode(document):
    """Return the document as UTF-8 JSON, characters beyond ASCII as they are.

    Raises:
        TypeError, ValueError: It holds something that JSON has no form for, bytes that are not UTF-8, or itself.
    """
    try:
        text = _encoder.encode(document)
    except TypeError:
        # Keys: JSON has text only, and code uses NumPy numbers and bytes.
        text = _encoder.encode(_plain(document))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:  # half a character pair: only the escaped form can carry it
        return json.dumps(json.loads(text)).encode("ascii")


def _plain(value):
    if isinstance(value, dict):
        return {_key(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value


def _key(key):
    if key is None or isinstance(key, _KEYS):
        return key
    if isinstance(key, tuple):
        raise TypeError("the answer has a tuple as a key, which JSON has no form for")
    return _convert(key)
