"""What an image leaves out of the distributions that it installs, and the program that takes it out.

Only folders and files of named distributions are taken out: other projects import what they call `tests` (TensorFlow
serves `tf.test` from a folder of that name), or read `*.pyi` at import. Bytecode stays, because containers cannot write
any: without it scikit-learn takes three times as long to import.
"""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """Files of one distribution that serving never needs.

    Attributes:
        pattern: Path below `site-packages`, of files or whole folders. `*` stays within a folder's name, `**/` is any
            number of folders.
        reason: Why nothing that serves reads them.
    """

    pattern: str
    reason: str


_TESTS = "The distribution's own tests; none of its other modules imports them."
_HEADERS = "Headers for compiling extensions; the images have no compiler."
_BINARIES = "Test programs and the protobuf compiler of the build; `torch_shm_manager` beside them stays."
_SOURCES = "Sources of extensions that are there compiled, and stubs for type checkers."

SURPLUS = (
    *(
        Surplus(pattern=pattern, reason=_TESTS)
        for pattern in (
            "h5py/tests", "joblib/test", "matplotlib/tests", "mpl_toolkits/**/tests", "mpmath/tests",
            "networkx/**/tests", "numpy/**/tests", "onnx/backend/test", "pandas/tests", "pyspark/**/tests",
            "scipy/**/tests", "skimage/**/tests", "sklearn/**/tests", "statsmodels/**/tests", "sympy/**/tests",
            "torch/test",
        )
    ),
    *(
        Surplus(pattern=pattern, reason=_HEADERS)
        for pattern in ("tensorflow/include", "tensorflow_core/include", "torch/include", "torch/share/cmake")
    ),
    *(Surplus(pattern=pattern, reason=_BINARIES) for pattern in ("torch/bin/test_*", "torch/bin/protoc*")),
    *(
        Surplus(pattern=f"{name}/**/*.{kind}", reason=_SOURCES)
        for name in ("numpy", "pandas", "scipy", "sklearn")
        for kind in ("pxd", "pyi", "pyx", "pyx.tp")
    ),
)  # fmt: skip

# It runs on the image's own Python, 2.7 included. pip's RECORD files lose the lines of what is gone, so that `pip show`
# and `pip uninstall` find what they name.
_PROGRAM = '''\
"""Remove what serving never needs from the packages below a prefix: python slim.py PREFIX."""
import glob
import os
import re
import shutil
import sys

PATTERNS = %(patterns)s


def expression(pattern):
    parts = re.split(r"(\\*\\*/|\\*)", pattern)
    meant = {"**/": "(?:[^/]+/)*", "*": "[^/]*"}
    return "".join(meant.get(part) or re.escape(part) for part in parts)


surplus = re.compile("(?:" + "|".join(expression(pattern) for pattern in PATTERNS) + r")\\Z")


def slim(root):
    removed = set()
    records = []
    for folder, folders, files in os.walk(root):
        below = os.path.relpath(folder, root)
        for name in list(folders):
            path = os.path.normpath(os.path.join(below, name))
            if surplus.match(path) and not os.path.islink(os.path.join(folder, name)):
                removed.add(path + "/")
                shutil.rmtree(os.path.join(folder, name))
                folders.remove(name)
        for name in files:
            path = os.path.normpath(os.path.join(below, name))
            if surplus.match(path):
                removed.add(path)
                os.remove(os.path.join(folder, name))
        if folder.endswith(".dist-info") and "RECORD" in files:
            records.append(os.path.join(folder, "RECORD"))
    for record in records:
        with open(record, "rb") as stream:
            lines = stream.readlines()
        kept = [line for line in lines if not gone(line, removed)]
        if len(kept) < len(lines):
            with open(record, "wb") as stream:
                stream.writelines(kept)


def gone(line, removed):
    path = line.rsplit(b",", 2)[0].strip(b'"').decode("utf-8")
    places = [index + 1 for index, character in enumerate(path) if character == "/"]
    return path in removed or any(path[:place] in removed for place in places)


for found in sorted(glob.glob(os.path.join(sys.argv[1], "lib*", "python*", "*-packages"))):
    slim(found)
'''


def slim_program() -> str:
    """The program's text: run as `python slim.py PREFIX` it removes the surplus of what is installed below there."""
    patterns = json.dumps([surplus.pattern for surplus in SURPLUS], indent=4)
    return _PROGRAM % {"patterns": patterns}
