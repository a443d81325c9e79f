"""Hostile input of every kind, made up by chance: nothing crashes, hangs or takes more than its limits allow.

`AIRLOCK_FUZZ_S` is the time for all of it, 20 s unless told otherwise; `make fuzz` takes ten minutes. What fails is
told with the input that fails, the smallest that was found.
"""

from __future__ import annotations

import bz2
import copy
import functools
import gzip
import io
import json
import lzma
import os
import pickle
import resource
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from airlock.domain.config import parse_config
from airlock.domain.engines import SERVICE_FILE
from airlock.domain.findings import Finding
from airlock.domain.jsontext import JsonTextError, parse_json
from airlock.domain.model_files.forms import is_model_file
from airlock.domain.model_files.reading import check_model_file
from airlock.domain.model_files.streams import Unreadable
from airlock.domain.model_files.zip_archive import Members, check_contents
from airlock.domain.package import check_names
from airlock.domain.parameters import body_parameters
from airlock.domain.rules import RULES
from airlock.domain.service_code.checking import check_code
from tests.unit.given import CATALOGUE, IRIS_CONFIG, ROOT, ZIPPED, archive, config_schema, runtime
from tests.unit.model_bytes import WRITTEN
from tests.unit.test_hostile_pickles import ROGUE_ARRAYS, SHAPES, TENSORS
from tests.unit.test_pickle_exactness import BLOCKS, LED_ASTRAY, VALUES, holds

FUZZ_S = float(os.environ.get("AIRLOCK_FUZZ_S", "20"))
TARGETS = 9
#: CPU seconds of one input, and what the process may grow by meanwhile.
MAX_INPUT_S = 3.0
MAX_GROWTH_MB = 250
EXAMPLES_AT_ONCE = 60


def fuzz(strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Feed a check for its share of the time."""

    inputs = 0

    @settings(
        max_examples=EXAMPLES_AT_ONCE,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def feed(value: Any) -> None:
        nonlocal inputs
        inputs += 1
        began = time.process_time()
        check(value)
        took = time.process_time() - began
        assert took < MAX_INPUT_S, f"{took:.1f} s"

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    until = time.monotonic() + FUZZ_S / TARGETS
    feed()
    while time.monotonic() < until:
        feed()
    print(f"{inputs:,} inputs")
    growth_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert growth_mb < MAX_GROWTH_MB


def told_well(findings: Sequence[Finding]) -> None:
    """Every finding is of a rule, and can be shown."""
    for each in findings:
        assert each.code in RULES
        assert each.message
        assert each.line().isprintable(), each.line()


@st.composite
def changed(draw: st.DrawFn, whole: st.SearchStrategy[bytes], most: int = 6) -> bytes:
    """Bytes with some places overwritten, cut out, doubled or cut off."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, most))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        way = draw(st.integers(0, 4))
        if way == 0:
            data[place : place + 1] = bytes([draw(st.integers(0, 255))])
        elif way == 1:
            del data[place : place + draw(st.integers(1, 9))]
        elif way == 2:
            data[place:place] = draw(st.binary(max_size=9))
        elif way == 3:
            data[place : place + 4] = draw(
                st.sampled_from([b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\x00\x00\x00\x80"])
            )
        else:
            data[place:place] = data[place : place + draw(st.integers(1, 200))]
    return bytes(data)


# ── JSON and config.json ─────────────────────────────────────────────────────────────────────────────────────────────

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=8), inner, max_size=6),
    max_leaves=40,
)
JSON_TEXTS = JSON.flatmap(
    lambda value: st.sampled_from([
        json.dumps(value).encode(),
        json.dumps(value, indent=2, ensure_ascii=False).encode(errors="surrogatepass"),
        b"\xef\xbb\xbf" + json.dumps(value).encode(),
        json.dumps(value).encode("utf-16"),
        json.dumps([value]).replace("]", ",]").encode(),
        b"// comment\n" + json.dumps(value, indent=1).encode() + b"/* */",
        b"[" * 100 + json.dumps(value).encode() + b"]" * 100,
        b'{"a": 1, "a": 2, "b": NaN, "c": 1e999, "d": ' + json.dumps(value).encode() + b"}",
    ])
)


def check_json(data: bytes) -> None:
    try:
        text = parse_json(data)
    except JsonTextError as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert min(refused.line, refused.column) >= 1
        return
    assert text.positions[""] >= (1, 1)
    if not text.loosenesses and not text.duplicates:
        # What has one meaning has it for Python's reader, too.
        assert repr(json.loads(data.decode("utf-8-sig"))) == repr(text.value)


def test_json_texts() -> None:
    fuzz(changed(JSON_TEXTS) | st.binary(max_size=200), check_json)


@st.composite
def configurations(draw: st.DrawFn) -> bytes:
    """The configuration of an example with some of its parts replaced, removed or put elsewhere."""
    config: Any = json.loads(json.dumps(IRIS_CONFIG))
    config["dependencies"] = [
        {"installer": "pip", "packages": [{"package_name": "numpy", "package_version": "1.0", "restraint": "EXACT"}]}
    ]
    # Copied each time: a part that is put into itself is no configuration.
    odd = (JSON | st.sampled_from([
        "file", "float", "list", "object", "../x", "-r x", "a @ git+https://b/c", "{{ 7*7 }}", "$(id)", "\u202e",
        "post", "applicaton/json", "multipart/form-data", "TensorFlow", "Image", "python3.6", [[[]]], {"$ref": "#"},
        {"type": "string", "pattern": "(a+)+$"}, {"type": "array", "items": [{"type": "float"}]}, 10**40, -1, 1e308,
        {"type": {"type": "object"}},
    ])).map(copy.deepcopy)  # fmt: skip
    keys = [
        "type",
        "properties",
        "items",
        "required",
        "enum",
        "url",
        "apis",
        "metrics",
        "health",
        "swr_location",
        "data",
    ]
    for _ in range(draw(st.integers(0, 6))):
        at = config
        while isinstance(at, (dict, list)) and at and draw(st.integers(0, 5)):
            inner = draw(st.sampled_from(sorted(at) if isinstance(at, dict) else list(range(len(at)))))
            if not isinstance(at[inner], (dict, list)) or not draw(st.integers(0, 3)):
                at[inner] = draw(odd)
                break
            at = at[inner]
        if isinstance(at, dict):
            at[draw(st.sampled_from(keys))] = draw(odd)
    return json.dumps(config).encode()


def check_config(data: bytes) -> None:
    config, findings = parse_config(data, config_schema(), CATALOGUE)
    assert (config is None) == any(each.is_error for each in findings)
    told_well(findings)
    if config is None:
        return
    for body in (body for api in config.apis for body in (api.request, api.response) if body.schema is not None):
        Draft7Validator.check_schema(body.schema)
        told = body_parameters(body.schema)
        assert len({each.path for each in told}) == len(told)


def test_configurations() -> None:
    fuzz(configurations() | changed(configurations(), most=2), check_config)


# ── names and inference code ─────────────────────────────────────────────────────────────────────────────────────────

ODD_NAMES = st.sampled_from([
    "a", "A", "a/b", "a//b", "../x", "/etc/x", "a\\b", "\u202ea", "ﬁ", "fi", "x" * 300, "a/" * 600, "\ud800",
])  # fmt: skip
NAMES = st.lists(st.text(max_size=12) | ODD_NAMES, max_size=12)


def check_file_names(names: list[str]) -> None:
    findings = list(check_names(names))
    told_well(findings)
    if not findings:
        # What passes can be made below one folder, each name once, on a system that knows no letter case.
        assert len({name.casefold() for name in names}) == len(set(names))
        assert all(name and not name.startswith("/") and ".." not in name.split("/") for name in names)


def test_names() -> None:
    fuzz(NAMES, check_file_names)


SOURCES = [
    path.read_bytes()
    for path in sorted((ROOT / "tests/packages").rglob("*.py"))
    if path.stat().st_size < 20_000 and "written_by" not in path.parts
]
PYTHONS = ("2.7", "3.6", "3.7", "3.11", "3.12", "3.13")


def check_source(python_and_code: tuple[str, bytes, bytes]) -> None:
    python, code, sibling = python_and_code
    files = {SERVICE_FILE: code, "helper.py": sibling}
    told_well(check_code(files.keys(), files.__getitem__, runtime(python=python), (), sys.version_info[:2]))


def test_inference_code() -> None:
    assert SOURCES
    odd = st.sampled_from([
        b"(" * 3000, b"x = " + b"-" * 5000 + b"1", b"# -*- coding: rot13 -*-\n", b"\x00", b"if 1:\n" * 200,
        b"f'{f\"{x}\"}'", b"class A(B): pass\nclass B(A): pass\n", b"from . import customize_service\n",
        b"import " + b"a." * 2000 + b"b",
    ])  # fmt: skip
    source = changed(st.sampled_from(SOURCES)) | odd
    fuzz(st.tuples(st.sampled_from(PYTHONS), source, source), check_source)


# ── model files ──────────────────────────────────────────────────────────────────────────────────────────────────────

ENGINES = ("Scikit_Learn", "XGBoost", "PyTorch", "TensorFlow", "MindSpore", "")
PICKLES = st.one_of(
    st.builds(pickle.dumps, VALUES, st.integers(0, pickle.HIGHEST_PROTOCOL)),
    st.lists(BLOCKS, max_size=30).map(lambda blocks: b"\x80\x04" + b"".join(blocks) + b"."),
    st.sampled_from([*SHAPES.values(), *ROGUE_ARRAYS.values(), *(b"\x80\x04" + each for each in LED_ASTRAY.values())]),
    st.binary(max_size=60),
)


def check_pickle(data: bytes) -> None:
    for engine in ("Scikit_Learn", "TensorFlow"):
        told_well(check_model_file("model/x.m", len(data), io.BytesIO(data), engine))
    holds(data)


def test_pickles() -> None:
    fuzz(changed(PICKLES), check_pickle)


PACKERS = st.sampled_from([
    zlib.compress,
    gzip.compress,
    bz2.compress,
    lzma.compress,
    functools.partial(lzma.compress, format=lzma.FORMAT_ALONE),
])


def check_file(name_and_data: tuple[str, str, bytes]) -> None:
    name, engine, data = name_and_data
    told_well(check_model_file(f"model/{name}", len(data), io.BytesIO(data), engine))


def test_compressed_pickles() -> None:
    packed = st.builds(lambda pack, data: pack(data), PACKERS, PICKLES)
    fuzz(st.tuples(st.just("x.m"), st.sampled_from(ENGINES), changed(packed, most=2)), check_file)


MEMBERS = st.lists(
    st.tuples(
        st.sampled_from([
            "net/data.pkl",
            "net/version",
            "net/data/0",
            "net/constants.pkl",
            "data.pkl",
            "../x",
            "net/é",
        ]),
        st.sampled_from([TENSORS, b"\x80\x02}.", b"3\n", b"", SHAPES["protocol 0"]]),
    ),
    max_size=4,
    unique_by=lambda member: member[0],
).map(lambda members: archive(*members))


def check_archive(data: bytes) -> None:
    told_well(check_model_file("model/net.pth", len(data), io.BytesIO(data), "PyTorch"))
    try:
        members = Members.of(io.BytesIO(data), len(data))
        for member in members.entries:
            check_contents(io.BytesIO(data), member)
    except Unreadable:
        return
    # What this reader accepts, Python's sees in the same way.
    with zipfile.ZipFile(io.BytesIO(data)) as whole:
        assert whole.namelist() == [member.name for member in members.entries]
        for member in members.entries:
            assert whole.getinfo(member.name).file_size == member.size_bytes
            if member.method == zipfile.ZIP_STORED:
                assert whole.read(member.name) == data[member.start : member.start + member.stored_bytes]


def test_archives() -> None:
    fuzz(changed(st.just(ZIPPED) | MEMBERS), check_archive)


HEADERS = st.sampled_from([b"{}", b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', b"[" * 200, b'{"a":' * 50])


def test_safetensors() -> None:
    whole = st.builds(
        lambda header, data: len(header).to_bytes(8, "little") + header + data, HEADERS, st.binary(max_size=9)
    )
    fuzz(st.tuples(st.just("x.safetensors"), st.just("PyTorch"), changed(whole)), check_file)


#: Files of every form, as the engines themselves wrote them.
FILES = [path for path in sorted(WRITTEN.rglob("*")) if path.is_file() and path.stat().st_size < 200_000]


def test_files_of_every_form() -> None:
    names = {path: path.relative_to(WRITTEN).as_posix().partition("/")[2] for path in FILES}
    known = [path for path in FILES if is_model_file(names[path])]
    assert known
    strategy = st.sampled_from(known).flatmap(
        lambda path: st.tuples(st.just(names[path]), st.sampled_from(ENGINES), changed(st.just(path.read_bytes())))
    )
    fuzz(strategy, check_file)


@pytest.mark.parametrize("size", [1, 100, 10_000])
def test_bytes_of_one_kind(size: int) -> None:
    for value in range(256):
        for name in ("x.m", "x.pth", "x.bin", "x.safetensors", "x.h5", "x.onnx"):
            check_file((name, "PyTorch", bytes([value]) * size))
