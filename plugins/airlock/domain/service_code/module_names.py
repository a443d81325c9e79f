"""Names of importable modules: each Python's standard library, the serving code, and what distributions bring.

Source: the library folders of Python 2.7 and 3.6 to 3.13.
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ALWAYS = _names(
    """
    abc argparse array ast atexit base64 bdb binascii bisect bz2 cProfile calendar cmath cmd code codecs codeop
    collections colorsys compileall contextlib copy csv ctypes curses datetime decimal difflib dis doctest email
    encodings ensurepip errno fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt
    getpass gettext glob grp gzip hashlib heapq hmac idlelib imaplib importlib inspect io itertools json keyword
    linecache locale logging mailbox marshal math mimetypes mmap modulefinder multiprocessing netrc ntpath
    nturl2path numbers opcode operator optparse os pdb pickle pickletools pkgutil platform plistlib poplib posix
    posixpath pprint profile pstats pty pwd py_compile pyclbr pydoc pydoc_data pyexpat quopri random re readline
    resource rlcompleter runpy sched select shelve shlex shutil signal site smtplib socket sqlite3 sre_compile
    sre_constants sre_parse ssl stat string stringprep struct subprocess symtable sys sysconfig syslog tabnanny
    tarfile tempfile termios test textwrap threading time timeit token tokenize trace traceback tty types
    unicodedata unittest urllib uuid warnings wave weakref webbrowser wsgiref xml zipfile zipimport zlib
    """
)
_PYTHON_3 = _names(
    """
    asyncio builtins concurrent configparser copyreg dbm enum faulthandler html http ipaddress lzma pathlib queue
    reprlib secrets selectors socketserver statistics tkinter tracemalloc turtle typing venv xmlrpc zipapp
    """
)
#: Module → the first Python 3 that has it, and the first that has it no more.
_SINCE = {"contextvars": 7, "dataclasses": 7, "graphlib": 9, "tomllib": 11, "zoneinfo": 9}
_UNTIL = {
    "aifc": 13, "asynchat": 12, "asyncore": 12, "audioop": 13, "binhex": 11, "cgi": 13, "cgitb": 13, "chunk": 13,
    "crypt": 13, "distutils": 12, "dummy_threading": 9, "formatter": 10, "imghdr": 13, "imp": 12, "lib2to3": 13,
    "macpath": 8, "mailcap": 13, "nis": 13, "nntplib": 13, "ossaudiodev": 13, "parser": 10, "pipes": 13, "smtpd": 12,
    "sndhdr": 13, "spwd": 13, "sunau": 13, "symbol": 10, "telnetlib": 13, "uu": 13, "xdrlib": 13,
}  # fmt: skip
#: What Python 3 renamed or dropped.
PYTHON_2_ONLY = _names(
    """
    BaseHTTPServer Bastion CGIHTTPServer ConfigParser Cookie DocXMLRPCServer HTMLParser MimeWriter Queue
    SimpleHTTPServer SimpleXMLRPCServer SocketServer StringIO UserDict UserList UserString anydbm bsddb cPickle
    cStringIO commands compiler cookielib copy_reg dbhash dircache dumbdbm dummy_thread exceptions fpformat
    future_builtins hotshot htmlentitydefs htmllib httplib ihooks imputil markupbase md5 mhlib mimetools mimify
    multifile mutex new popen2 repr rexec rfc822 robotparser sets sgmllib sha sre statvfs strop thread toaiff
    urllib2 urlparse user whichdb xmllib xmlrpclib
    """
)

#: What the serving code brings into every image: module → its base classes of inference code.
SERVING_MODULES: dict[str, tuple[str, ...]] = {
    "log": (),
    "metric": (),
    "metric.metrics_manager": (),
    "mms": (),
    "mms.log": (),
    "mms.model_service": (),
    "mms.model_service.mxnet_model_service": ("MXNetBaseService",),
    "mms.utils": (),
    "mms.utils.mxnet": (),
    "mms.utils.mxnet.image": (),
    "mms.utils.mxnet.ndarray": (),
    "model_service": (),
    "model_service.caffe_model_service": ("CaffeBaseService",),
    "model_service.catboost_model_service": ("CatBoostServingBaseService",),
    "model_service.lightgbm_model_service": ("LightGbmServingBaseService",),
    "model_service.log": (),
    "model_service.model_service": ("SingleNodeService",),
    "model_service.onnx_model_service": ("OnnxServingBaseService",),
    "model_service.python_model_service": ("XgSklServingBaseService",),
    "model_service.pytorch_model_service": ("PTServingBaseService",),
    "model_service.spark_model_service": ("SparkServingBaseService",),
    "model_service.tfserving_model_service": ("TfServingBaseService",),
    "model_service.transformers_model_service": ("TransformersServingBaseService",),
}

#: Distributions whose modules have another name than they themselves.
_MODULES = {
    "absl-py": "absl", "attrs": "attr attrs", "backports-weakref": "backports", "beautifulsoup4": "bs4",
    "cuda-bindings": "cuda", "cuda-pathfinder": "cuda", "enum34": "enum", "fonttools": "fontTools",
    "futures": "concurrent", "google-auth": "google", "google-pasta": "pasta", "libclang": "clang",
    "mindspore-ascend": "mindspore", "mxnet-cu90": "mxnet", "onnxruntime-gpu": "onnxruntime",
    "opencv-contrib-python": "cv2", "opencv-contrib-python-headless": "cv2", "opencv-python": "cv2",
    "opencv-python-headless": "cv2", "pillow": "PIL", "protobuf": "google", "python-dateutil": "dateutil",
    "pyyaml": "yaml", "scikit-image": "skimage", "scikit-learn": "sklearn",
    "setuptools": "setuptools pkg_resources distutils", "tensorflow-cpu": "tensorflow", "tensorflow-gpu": "tensorflow",
    "xgboost-cpu": "xgboost",
}  # fmt: skip
#: What a base image has beside the standard library.
_IN_BASE_IMAGES = frozenset({"pip", "setuptools", "pkg_resources", "wheel"})


def version_of(python: str) -> tuple[int, int]:
    """A Python version `X.Y` as two numbers."""
    major, minor = python.split(".")[:2]
    return int(major), int(minor)


def is_standard(module: str, python: str) -> bool:
    """Whether a top-level module belongs to the standard library of that Python.

    Args:
        module: Its name. Names with a leading underscore are the interpreter's own affair, and taken for granted.
        python: `X.Y`.
    """
    if module.startswith("_") or module in _ALWAYS:
        return True
    major, minor = version_of(python)
    if major == 2:
        # What a later Python dropped, Python 2 had.
        return module in PYTHON_2_ONLY or module in _UNTIL
    return module in _PYTHON_3 or _SINCE.get(module, 99) <= minor or minor < _UNTIL.get(module, 0)


def installed_modules(requirements: str) -> frozenset[str]:
    """Top-level modules, in lower case, that pinned requirements bring; `requirements` has one line for each."""
    found = {name.lower() for name in _IN_BASE_IMAGES}
    for line in requirements.splitlines():
        match = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
        if match:
            found.update(modules_of([match.group()]))
    return frozenset(found)


def modules_of(distributions: Iterable[str]) -> frozenset[str]:
    """Top-level modules, in lower case, that distributions of these names bring, as far as names tell."""
    found: set[str] = set()
    for name in distributions:
        normal = re.sub(r"[-_.]+", "-", name).lower()
        found.update(_MODULES.get(normal, normal.replace("-", "_")).lower().split())
    return frozenset(found)
