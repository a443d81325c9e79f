"""The two facts that the server itself needs from ``config.json``: the engine, and the methods of ``/``.

The file was judged before it came here, and files in the wild have comments and trailing commas; so what is not strict
JSON is searched for its methods instead of refused.
"""

from __future__ import absolute_import

import io
import json
import os
import re

_METHOD = re.compile(r'"method"\s*:\s*"([A-Za-z]+)"')
_ENGINE = re.compile(r'"model_type"\s*:\s*"(\w+)"')


class PackageConfig(object):
    """``engine`` is text or ``None``; ``methods`` a set of upper-case names that always has POST."""

    def __init__(self, engine, methods):
        self.engine = engine
        self.methods = frozenset(["POST"]) | frozenset(name.upper() for name in methods)


def read_config(model_folder):
    """Return the ``PackageConfig`` of a folder; without a file, no engine and POST alone."""
    path = os.path.join(model_folder, "config.json")
    if not os.path.isfile(path):
        return PackageConfig(None, [])
    with io.open(path, encoding="utf-8-sig", errors="replace") as stream:
        text = stream.read()
    try:
        document = json.loads(text)
    except ValueError:
        engine = _ENGINE.search(text)
        return PackageConfig(str(engine.group(1)) if engine else None, map(str, _METHOD.findall(text)))
    if not isinstance(document, dict):
        return PackageConfig(None, [])
    engine = document.get("model_type")
    apis = document.get("apis")
    methods = [
        api["method"]
        for api in (apis if isinstance(apis, list) else [])
        if isinstance(api, dict)
        and api.get("url") in (None, "", "/")
        and _METHOD.match('"method":"%s"' % (api.get("method"),))
    ]
    return PackageConfig(str(engine) if engine else None, map(str, methods))
