"""The strict JSON reader."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from airlock.domain.jsontext import MAX_DEPTH, MAX_TEXT_BYTES, JsonTextError, parse_json, pointer_token


def refused(data: bytes | str) -> JsonTextError:
    with pytest.raises(JsonTextError) as caught:
        parse_json(data.encode() if isinstance(data, str) else data)
    return caught.value


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_value_knows_the_line_and_column_of_its_first_character() -> None:
    text = parse_json(b'{\r\n  "a/b": [1,\n\t{"~": "\xc3\xa9", "z": null}]\n}')
    assert text.positions == {
        "": (1, 1),
        "/a~1b": (2, 10),
        "/a~1b/0": (2, 11),
        "/a~1b/1": (3, 2),
        "/a~1b/1/~0": (3, 8),
        "/a~1b/1/z": (3, 18),
    }


def test_columns_count_characters_and_not_bytes() -> None:
    assert parse_json('{"名字": 1, "b": 2}'.encode()).positions["/b"] == (1, 16)


def test_a_pointer_token_escapes_tilde_and_slash() -> None:
    assert pointer_token("a/b~c") == "a~1b~0c"


def test_a_byte_order_mark_of_utf_8_is_read_over() -> None:
    assert parse_json(b'\xef\xbb\xbf{"a": 1}').value == {"a": 1}


def test_crlf_and_tabs_are_space() -> None:
    assert parse_json(b'{\r\n\t"a":\t1\r\n}\r\n').value == {"a": 1}


@pytest.mark.parametrize(
    "written,value",
    [("0", 0), ("-0", 0), ("-12", -12), ("1.50", 1.5), ("1e3", 1000.0), ("1E-2", 0.01), ("true", True), ("null", None)],
)
def test_numbers_and_words_are_what_json_says(written: str, value: Any) -> None:
    read = parse_json(written.encode()).value
    assert read == value
    assert type(read) is type(value)


def test_surrogate_pairs_make_one_character() -> None:
    assert parse_json(rb'"\ud83d\ude00"').value == "😀"


# ── what is read over, and said ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text,what,line,column",
    [
        ('{"a": 1} // end', "comment", 1, 10),
        ('// first\n{"a": 1}', "comment", 1, 1),
        ('{"a": /* here\n */ 1}', "comment", 1, 7),
        ('{"a": 1,\n}', "trailing comma", 1, 8),
        ('{"a": 1, "a": 1}', "repeated key", 1, 10),
    ],
)
def test_looseness_with_one_meaning_is_read_over_and_reported(text: str, what: str, line: int, column: int) -> None:
    read = parse_json(text.encode())
    assert read.value == {"a": 1}
    assert [(loose.what, loose.line, loose.column) for loose in read.loosenesses] == [(what, line, column)]


def test_a_trailing_comma_in_a_list_is_read_over() -> None:
    read = parse_json(b"[1, 2, ]")
    assert read.value == [1, 2]
    assert [loose.what for loose in read.loosenesses] == ["trailing comma"]


def test_a_comment_inside_a_string_is_text() -> None:
    read = parse_json(b'{"url": "http://a/*b*/"}')
    assert read.value == {"url": "http://a/*b*/"}
    assert read.loosenesses == []


@pytest.mark.parametrize("first,second", [("1", "2"), ("1", "true"), ("1", "1.0"), ("0", "false"), ("[]", "{}")])
def test_a_key_with_two_values_is_reported_with_the_second_ones_place(first: str, second: str) -> None:
    read = parse_json(f'{{"a": {first},\n "a": {second}}}'.encode())
    assert [(twice.pointer, twice.line, twice.column) for twice in read.duplicates] == [("/a", 2, 2)]
    assert read.value == {"a": json.loads(first)}
    assert read.positions["/a"] == (1, 7)


def test_the_same_object_in_another_order_of_keys_is_no_contradiction() -> None:
    read = parse_json(b'{"a": {"x": 1, "y": 2}, "a": {"y": 2, "x": 1}}')
    assert read.duplicates == []


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text,line,column",
    [
        ("", 1, 1),
        ("  \n ", 2, 2),
        ("{", 1, 2),
        ("[", 1, 2),
        ('{"a" 1}', 1, 6),
        ('{"a": }', 1, 7),
        ('{"a": 1 "b": 2}', 1, 9),
        ("{a: 1}", 1, 2),
        ("{'a': 1}", 1, 2),
        ("[1 2]", 1, 4),
        ("[,]", 1, 2),
        ("[1,,2]", 1, 4),
        ("{,}", 1, 2),
        ('{"a": 1}\n{"b": 2}', 2, 1),
        ('["a\nb"]', 1, 4),
        ('["a', 1, 2),
        ('["\\x"]', 1, 3),
        ('["\\u12G4"]', 1, 3),
        ("[01]", 1, 3),
        ("[1.]", 1, 3),
        ("[.5]", 1, 2),
        ("[+1]", 1, 2),
        ("[nul]", 1, 2),
        ("[truely]", 1, 6),
        ("[1] /* open", 1, 5),
        ("[1] # no", 1, 5),
        ("[1]\u00a0", 1, 4),
    ],
)
def test_what_is_not_json_is_refused_at_its_place(text: str, line: int, column: int) -> None:
    error = refused(text)
    assert (error.line, error.column, error.too_large) == (line, column, False)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "nan", "1e999", "-1e999"])
def test_numbers_that_json_does_not_have_are_refused(word: str) -> None:
    refused(f'{{"a": {word}}}')


@pytest.mark.parametrize(
    "data",
    [
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-32"),
        '{"名": 1}'.encode("gbk"),
        b'{"a": "\xff"}',
        b'{"a": "\xc0\xaf"}',
        b'{"a": "\xed\xa0\x80"}',
        b'\xef\xbb\xbf\xef\xbb\xbf{"a": 1}',
    ],
)
def test_other_encodings_are_refused(data: bytes) -> None:
    assert not refused(data).too_large


def test_the_line_of_a_wrong_byte_is_told() -> None:
    assert refused(b'{\n\n"a": "\xff"}').line == 3


@pytest.mark.parametrize("text", [r'"\ud800"', r'"\udc00"', r'"\ud800\ud800"', r'"\ud800x"', r'"\ud800\n"'])
def test_half_a_surrogate_pair_is_refused(text: str) -> None:
    refused(text)


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_megabyte_is_read_and_a_byte_more_is_not() -> None:
    fits = b'"' + b"x" * (MAX_TEXT_BYTES - 2) + b'"'
    assert len(parse_json(fits).value) == MAX_TEXT_BYTES - 2
    assert refused(fits + b" ").too_large


@pytest.mark.parametrize("opening,closing", [("[", "]"), ('{"a":', "}")])
def test_64_levels_are_read_and_one_more_is_not(opening: str, closing: str) -> None:
    inner = "1"
    parse_json((opening * (MAX_DEPTH - 1) + inner + closing * (MAX_DEPTH - 1)).encode())
    assert refused(opening * MAX_DEPTH + inner + closing * MAX_DEPTH).too_large


def test_a_hundred_thousand_brackets_are_refused_and_not_a_crash() -> None:
    assert refused("[" * 100_000).too_large


def test_a_number_of_a_million_digits_is_refused() -> None:
    assert refused("1" * 900_000).too_large


@pytest.mark.parametrize(
    "text",
    [
        "[" + "1," * 90_000 + "1]",
        '{"' + "k" * 20_000 + '": [' + "1," * 40_000 + "1]}",
        ('{"' + "k" * 1_000 + '":') * 50 + "[" + "1," * 40_000 + "1]" + "}" * 50,
        "//\n" * 60_000 + "1",
        "[" + '"\\n",' * 40_000 + "1]",
        '{"a": [' + "1," * 40_000 + "1]" + ', "a": [2]' * 15_000 + "}",
    ],
    ids=["long list", "long key over a long list", "deep long keys", "comments", "escapes", "repeated keys"],
)
def test_hostile_texts_cost_in_proportion_to_their_length(text: str) -> None:
    started = time.process_time()
    read = parse_json(text.encode())
    assert time.process_time() - started < 3
    # Positions are kept in memory: a text of one megabyte must not become gigabytes of pointers.
    assert sum(map(len, read.positions)) < 50 * len(text)


# ── against the standard parser ──────────────────────────────────────────────────────────────────────────────────────

characters = st.characters(exclude_categories=["Cs"])
numbers = st.integers(-(10**60), 10**60) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | numbers | st.text(characters, max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(characters, max_size=8), inner, max_size=5),
    max_leaves=25,
)


def as_written(value: Any) -> str:
    """A value with its types: True is not 1, and 1 is not 1.0."""
    return repr(value)


@given(values, st.booleans(), st.sampled_from([None, 1, "\t"]))
@settings(max_examples=100)
def test_whatever_the_standard_writer_writes_is_read_back(value: Any, ascii_only: bool, indent: Any) -> None:
    read = parse_json(json.dumps(value, ensure_ascii=ascii_only, indent=indent).encode())
    assert as_written(read.value) == as_written(value)
    assert read.loosenesses == []
    assert read.duplicates == []


def strictly(text: str) -> tuple[bool, Any]:
    """What the standard parser says, made strict: no NaN, no duplicate keys, no infinities, no lone surrogates."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("duplicate key")
        return dict(pairs)

    def finite(digits: str) -> float:
        number = float(digits)
        if number in (float("inf"), float("-inf")):
            raise ValueError("infinite")
        return number

    def refuse(word: str) -> None:
        raise ValueError(word)

    try:
        value = json.loads(text, parse_constant=refuse, parse_float=finite, object_pairs_hook=unique)
        repr(value).encode()
        json.dumps(value, ensure_ascii=False).encode()
    except ValueError:
        return False, None
    return True, value


@st.composite
def damaged_texts(draw: st.DrawFn) -> str:
    """Valid JSON with a few characters inserted, removed or replaced."""
    text = json.dumps(draw(values), ensure_ascii=draw(st.booleans()))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        piece = draw(
            st.sampled_from([*'{}[]",:\\/0123456789eE+-. \n\tuntrfalse*', "\\ud800", "\x01", "é", '"a":1,', "NaN"])
        )
        text = text[:at] + piece + text[at + draw(st.integers(0, 1)) :]
    return text


@given(damaged_texts())
@example('{"a":1,"a":1}')
@example('"\\ud83d\\ude00"')
@settings(max_examples=400)
def test_damaged_texts_are_accepted_exactly_where_a_strict_standard_parser_accepts_them(text: str) -> None:
    accepted, value = strictly(text)
    try:
        read = parse_json(text.encode())
    except JsonTextError:
        assert not accepted
        return
    loose = bool(read.loosenesses or read.duplicates)
    assert accepted is not loose
    if accepted:
        assert as_written(read.value) == as_written(value)
