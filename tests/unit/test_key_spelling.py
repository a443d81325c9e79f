"""Keys that are nearly right: read as the one name that they are close to, and as nothing where that is not clear."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.domain.key_spelling import close_names, meant_keys

NAMES = ("minLength", "maxLength", "properties", "not", "format", "type")


@pytest.mark.parametrize(
    "key,names",
    [
        ("propertes", ("properties",)),
        ("PROPERTIES", ("properties",)),
        ("min-length", ("minLength",)),
        ("Min Length", ("minLength",)),
        ("types", ("type",)),
        ("length", ("minLength", "maxLength")),
        ("Not", ("not",)),
        ("note", ()),
        ("form", ()),
        ("colour", ()),
        ("", ()),
        ("propertes" + "_" * 64, ()),
        ("propertes\0", ()),
        ("propertes\ud800", ()),
    ],
)
def test_the_closest_names_are_found(key: str, names: tuple[str, ...]) -> None:
    assert close_names(key, NAMES) == names


def test_a_close_key_means_a_name_only_where_its_value_is_of_the_kind() -> None:
    raw = {"propertes": [], "types": 1, "kind": 2, "note": 3}
    keys = meant_keys(raw, NAMES, lambda name, value: value == 1, {"kind": "format"})
    assert keys.named == {"type": "types", "format": "kind"}
    assert keys.misspelt == keys.named
    assert keys.unknown == {"propertes": "Did you mean 'properties'?", "note": ""}


def test_the_first_of_two_misspelt_keys_is_read() -> None:
    keys = meant_keys({"propertes": 1, "proprties": 2}, NAMES, lambda name, value: True)
    assert keys.named == {"properties": "propertes"}
    assert list(keys.unknown) == ["proprties"]


def test_an_object_of_hundreds_of_keys_is_not_looked_through() -> None:
    raw = {"propertes": 1, **{f"key{number}": 1 for number in range(256)}}
    assert meant_keys(raw, NAMES, lambda name, value: True).named == {}


@given(st.dictionaries(st.one_of(st.text(max_size=12), st.sampled_from(NAMES)), st.integers()))
def test_every_key_is_named_or_unknown(raw: dict[str, int]) -> None:
    keys = meant_keys(raw, NAMES, lambda name, value: value > 0)
    assert sorted([*keys.named.values(), *keys.unknown]) == sorted(raw)
    assert all(keys.named[name] == name for name in NAMES if name in raw)
