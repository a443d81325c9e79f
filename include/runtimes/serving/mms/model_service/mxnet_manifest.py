"""What an MXNet package holds: its files, and the signature that names the network's inputs."""

from __future__ import absolute_import

import ast
import glob
import json
import os
import re

SYMBOL_SUFFIX = "-symbol.json"
SIGNATURE_FILE = "signature.json"
# Used where neither signature.json nor the symbol says it: one colour image; 0 stands for any batch size.
IMAGE_SHAPE = [0, 3, 224, 224]
# What MXNet's own layers call a variable that is trained, or that only training feeds.
_NOT_FED = re.compile(r"_(weight|bias|gamma|beta|alpha|parameters|(moving|running)_(mean|var)|label|state|state_cell)$")


def read_manifest(folder):
    """Return the manifest of a model folder, in the form that constructors receive.

    Raises:
        RuntimeError: ``signature.json`` names no inputs.
    """
    symbols = [os.path.basename(path) for path in sorted(glob.glob(os.path.join(folder, "*" + SYMBOL_SUFFIX)))]
    symbol = symbols[0] if len(symbols) == 1 else None
    prefix = symbol[: -len(SYMBOL_SUFFIX)] if symbol else None
    parameters = []
    if prefix is not None:
        pattern = re.compile(re.escape(prefix) + r"-\d{4}\.params$")
        parameters = sorted(name for name in os.listdir(folder) if pattern.match(name))
    model = {
        "Model-Name": prefix,
        "Service": "customize_service.py",
        "Symbol": symbol,
        # Several epochs: the last one is the trained model.
        "Parameters": parameters[-1] if parameters else None,
        "Signature": _read_signature(folder, symbol),
    }
    return {"Engine": {"MXNet": ""}, "Model": model}


def epoch_of(parameters):
    """Return the epoch in the name of a file ``*-NNNN.params``."""
    return int(parameters[: -len(".params")][-4:])


def _read_signature(folder, symbol):
    path = os.path.join(folder, SIGNATURE_FILE)
    if not os.path.isfile(path):
        return {"inputs": _inputs_of_symbol(os.path.join(folder, symbol)) if symbol else [_image("data")]}
    with open(path, "rb") as stream:
        signature = json.loads(stream.read().decode("utf-8-sig"))
    inputs = signature.get("inputs") if isinstance(signature, dict) else None
    if not isinstance(inputs, list) or not all(_names_an_input(entry) for entry in inputs):
        raise RuntimeError('%s must hold {"inputs": [{"data_name": "...", "data_shape": [0, ...]}, ...]}' % SIGNATURE_FILE)
    return signature


def _names_an_input(entry):
    return isinstance(entry, dict) and "data_name" in entry and isinstance(entry.get("data_shape"), list)


def _inputs_of_symbol(path):
    """Return the variables of the network that are fed, as their own attributes describe them."""
    try:
        with open(path, "rb") as stream:
            nodes = json.loads(stream.read().decode("utf-8"))["nodes"]
        fed = [node for node in nodes if node["op"] == "null" and not _NOT_FED.search(node["name"])]
        return [_input_of(node) for node in fed] or [_image("data")]
    except (ValueError, KeyError, TypeError):
        # Own code may load another file; the default service says what is wrong with this one.
        return [_image("data")]


def _input_of(node):
    # The attributes' key changed twice: "param" before 0.12, "attr" until 0.12, "attrs" since.
    attributes = node.get("attrs") or node.get("attr") or node.get("param") or {}
    entry = _image(node["name"])
    try:
        entry["data_shape"] = [int(size) for size in ast.literal_eval(attributes["__shape__"])]
    except (KeyError, ValueError, SyntaxError, TypeError):
        pass
    return entry


def _image(name):
    return {"data_name": name, "data_shape": list(IMAGE_SHAPE)}
