"""Models of boosted trees as XGBoost, LightGBM and CatBoost write them: numbers and text, no code.

Source: XGBoost, doc/tutorials/saving_model.rst and src/learner.cc; LightGBM, src/boosting/gbdt_model_text.cpp;
CatBoost, catboost/libs/model/model.cpp; Universal Binary JSON.
"""

from __future__ import annotations

import re

from airlock.domain.model_files.facts import CERTAIN, STRONG, Facts, Problem, WrittenBy, claims
from airlock.domain.model_files.ranges import Ranges
from airlock.domain.model_files.streams import Unreadable

#: Openings of XGBoost's models that have a mark. No pickle begins so: the first byte finds no value.
XGBOOST_OPENINGS = (b"binf", b"bs64", b'{"learner"', b'{"version":[', b"{L\x00\x00\x00\x00\x00\x00\x00")
LIGHTGBM_OPENING = b"tree\nversion="
CATBOOST_OPENING = b"CBM1"
_LOOKED_AT_BYTES = 1 << 16
_PARAMETERS_BYTES = 136
_OBJECTIVE = re.compile(rb"(?:gpu:)?(?:reg|binary|multi|rank|count|survival):[a-z:_]{2,40}")
_JSON_VERSION = re.compile(rb'"version"\s*:\s*\[\s*(\d{1,4})\s*,\s*(\d{1,4})\s*,\s*(\d{1,4})\s*\]')
_UBJ_VERSION = re.compile(rb"version\[(?:\$([iUIlL]))?#([iUIlL])(.{1,40})", re.DOTALL)
_UBJ_WIDTHS = {b"i": 1, b"U": 1, b"I": 2, b"l": 4, b"L": 8}
_LIGHTGBM_VERSION = re.compile(rb"tree\nversion=v(\d{1,3})\r?\n")
_CATBOOST_JSON = re.compile(rb'\{\s*"(?:ctr_data|features_info)"\s*:\s*[\[{]')
_CATBOOST_VERSION = re.compile(rb"(?:tags/v|CatBoost release )(\d{1,4}(?:\.\d{1,4}){1,3})")


def is_old_xgboost(head: bytes) -> bool:
    """Whether these are the parameters and the objective that XGBoost before 1.0 began a model with."""
    at = _PARAMETERS_BYTES
    if len(head) < at + 16:
        return False
    length = int.from_bytes(head[at : at + 8], "little")
    return 4 < length < 64 and _OBJECTIVE.fullmatch(head[at + 8 : at + 8 + length]) is not None


def read_xgboost(ranges: Ranges) -> Facts:
    """A raw booster, in any of its four forms.

    Raises:
        Unreadable: It is none.
    """
    head, tail = ranges.up_to(0, _LOOKED_AT_BYTES), ranges.tail(_LOOKED_AT_BYTES)
    if head.startswith(b"{L"):
        # Before 1.6 there was no such form.
        form, version = "in UBJSON", ubj_version(tail) or ubj_version(head)
        if b"\x07learner" not in head[:64] and b"\x07version" not in head[:64]:
            raise Unreadable("it is no booster of XGBoost")
        least = "1.6"
    elif head.startswith(b"{"):
        match = _JSON_VERSION.search(tail) or _JSON_VERSION.search(head)
        form, version, least = "in JSON", ".".join(str(int(part)) for part in match.groups()) if match else "", "1.0"
    else:
        form, version, least = "in its old binary form", "", ""
        start = 4 if head.startswith((b"binf", b"bs64")) else 0
        if head.startswith(b"binf") or is_old_xgboost(head):
            major = int.from_bytes(head[start + 20 : start + 24], "little")
            minor = int.from_bytes(head[start + 24 : start + 28], "little")
            version = f"{major}.{minor}" if 0 < major < 10 and minor < 100 else ""
        elif not head.startswith(b"bs64"):
            raise Unreadable("it is no booster of XGBoost")
    written = []
    if version or least:
        written.append(WrittenBy(library="XGBoost", version=version or least, or_newer=not version))
    if not least:
        written.append(WrittenBy(library="XGBoost binary form", version="1"))
    return Facts(says=f"is a booster of XGBoost {form}", claims=claims(CERTAIN, "XGBoost"), written_by=tuple(written))


def ubj_version(data: bytes) -> str:
    """The version that a booster in UBJSON names, or an empty text."""
    for match in _UBJ_VERSION.finditer(data):
        kind, count_kind, rest = match[1], match[2], match[3]
        width = _UBJ_WIDTHS[count_kind]
        if int.from_bytes(rest[:width], "big") != 3:
            continue
        numbers, at = [], width
        for _ in range(3):
            item = kind or rest[at : at + 1]
            at += 0 if kind else 1
            if item not in _UBJ_WIDTHS or at + _UBJ_WIDTHS[item] > len(rest):
                break
            numbers.append(int.from_bytes(rest[at : at + _UBJ_WIDTHS[item]], "big"))
            at += _UBJ_WIDTHS[item]
        if len(numbers) == 3 and max(numbers) < 1000:
            return ".".join(map(str, numbers))
    return ""


def read_lightgbm(ranges: Ranges) -> Facts:
    """A model of LightGBM as text.

    Raises:
        Unreadable: It is none.
    """
    match = _LIGHTGBM_VERSION.match(ranges.up_to(0, 64))
    if match is None:
        raise Unreadable("it is no model of LightGBM")
    if b"\nend of trees" not in ranges.up_to(0, _LOOKED_AT_BYTES) + ranges.tail(1 << 20):
        raise Unreadable("its trees do not end")
    return Facts(
        says="is a model of LightGBM as text",
        claims=claims(CERTAIN, "LightGBM"),
        written_by=(WrittenBy(library="LightGBM model form", version=str(int(match[1]))),),
    )


def read_catboost(ranges: Ranges) -> Facts:
    """A model of CatBoost.

    Raises:
        Unreadable: It is none.
    """
    head = ranges.at(0, 8)
    size = int.from_bytes(head[4:], "little")
    if not head.startswith(CATBOOST_OPENING) or not 16 <= size <= ranges.size - 8:
        raise Unreadable("it is no whole model of CatBoost")
    # The texts stand at one end of the model's core: which one is up to its writer.
    start = max(8, 8 + size - _LOOKED_AT_BYTES)
    data = ranges.at(start, 8 + size - start) + ranges.up_to(8, _LOOKED_AT_BYTES)
    match = _CATBOOST_VERSION.search(data)
    return Facts(
        says="is a model of CatBoost",
        claims=claims(CERTAIN if b"FlabuffersModel" in data else STRONG, "CatBoost"),
        written_by=(WrittenBy(library="CatBoost", version=match[1].decode()),) if match else (),
    )


def is_catboost_json(head: bytes) -> bool:
    """Whether a text begins as CatBoost's models in JSON do, whose keys stand in order."""
    return _CATBOOST_JSON.match(head) is not None


def read_catboost_json(ranges: Ranges) -> Facts:
    """A model of CatBoost in JSON.

    Raises:
        Unreadable: It is none.
    """
    data = ranges.up_to(0, _LOOKED_AT_BYTES) + b"\n" + ranges.tail(_LOOKED_AT_BYTES)
    if b'"scale_and_bias"' not in data:
        raise Unreadable("it is no model of CatBoost")
    match = _CATBOOST_VERSION.search(data)
    message = "It is a model of CatBoost in JSON; the service loads `*.cbm`, as `save_model` writes it by itself."
    return Facts(
        says="is a model of CatBoost in JSON",
        claims=claims(CERTAIN if match else STRONG, "CatBoost"),
        written_by=(WrittenBy(library="CatBoost", version=match[1].decode()),) if match else (),
        problems=(Problem(code="MDL010", message=message),),
    )
