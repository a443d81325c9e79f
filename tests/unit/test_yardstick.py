"""The yardstick: 69 configurations that are as loose as 69 real ones were.

How often each looseness occurs is what was counted there. A validator that refused every deviation would refuse most of
them, although their meaning is plain; of these only the ones with unreadable JSON, two readings, or a runtime that
nobody has may fail.
"""

from __future__ import annotations

import functools
import json
import random
import re
from collections.abc import Callable
from typing import Any

import pytest

from airlock.domain.findings import Severity
from tests.unit.given import SERVICE
from tests.unit.line import Line
from tests.unit.rule_cases import whole_catalogue

CONFIGURATIONS = 69
Config = dict[str, Any]
#: Changes the configuration; or its text, once it is written.
Change = Callable[[Config], None]


def base() -> Config:
    """A configuration of PyTorch without any looseness."""
    return {
        "model_type": "PyTorch",
        "model_algorithm": "image_classification",
        "runtime": "pytorch2.13-python3.11-cpu",
        "metrics": {"f1": 0.9},
        "apis": [
            {
                "protocol": "http",
                "url": "/",
                "method": "post",
                "request": {
                    "Content-type": "multipart/form-data",
                    "data": {"type": "object", "properties": {"images": {"type": "string"}}},
                },
                "response": {
                    "Content-type": "application/json",
                    "data": {
                        "type": "object",
                        "properties": {"scores": {"type": "array", "items": {"type": "number"}}},
                    },
                },
            }
        ],
        "dependencies": [{"installer": "pip", "packages": [{"package_name": "Pillow"}]}],
    }


def api(config: Config) -> Config:
    found: Config = config["apis"][0]
    return found


def scores(config: Config) -> Config:
    """The schema of the answer's list."""
    body = api(config)
    body = body.get("response") or body["request"]["response"]
    schema = body["data"]
    found: Config = (schema.get("properties") or schema["roperties"])["scores"]
    return found


def misspell_protocol(config: Config) -> None:
    api(config)["procotol"] = api(config).pop("protocol")


def misspell_json(config: Config) -> None:
    api(config)["response"]["Content-type"] = "applicaton/json"


def answer_multipart(config: Config) -> None:
    api(config)["response"]["Content-type"] = "multipart/form-data"


def multipart_json(config: Config) -> None:
    api(config)["request"]["Content-type"] = "multipart/json"


def take_a_file(config: Config) -> None:
    api(config)["request"]["data"]["properties"]["images"] = {"type": "file"}


def file_under_json(config: Config) -> None:
    take_a_file(config)
    api(config)["request"]["Content-type"] = "application/json"


def list_of_items(config: Config) -> None:
    scores(config)["items"] = [{"type": "number"}]


def item(config: Config) -> None:
    scores(config)["item"] = scores(config).pop("items", {"type": "number"})


def other_types(config: Config) -> None:
    scores(config)["type"] = "list"
    api(config)["request"]["data"]["type"] = "json"
    api(config)["request"]["data"]["properties"]["threshold"] = {"type": "float"}


def roperties(config: Config) -> None:
    schema = api(config)["response"]["data"]
    schema["roperties"] = schema.pop("properties")


def nest_the_response(config: Config) -> None:
    api(config)["request"]["response"] = api(config).pop("response")


def unknown_keys(config: Config) -> None:
    config["author"] = "somebody"


def no_runtime(config: Config) -> None:
    del config["runtime"]


def odd_metrics(config: Config) -> None:
    config["metrics"] = {"loss": 0.1, "accuracy": "0.95"}


def empty_strings(config: Config) -> None:
    config["dependencies"][0]["packages"].append({"package_name": "six", "package_version": "", "restraint": ""})


def pinned_twice(config: Config) -> None:
    config["dependencies"][0]["packages"] += [
        {"package_name": "six", "package_version": version, "restraint": "EXACT"} for version in ("1.15.0", "1.16.0")
    ]


def own_wheel(config: Config) -> None:
    config["dependencies"][0]["packages"].append({"package_name": "/home/mind/model/own-1.0-py3-none-any.whl"})


def pin_the_engine(config: Config) -> None:
    # The version that the runtime has: another one is an impossible combination.
    row = whole_catalogue().of_config("PyTorch", config.get("runtime"))
    pin = re.search(r"(?m)^torch==([^+\s]+)", row.constraints) if row else None
    config["dependencies"][0]["packages"].append({
        "package_name": "torch",
        "package_version": pin[1] if pin else "1.0",
        "restraint": "EXACT",
    })


def unified_name(config: Config) -> None:
    config["runtime"] = "pytorch_2.13.0-cpu-py_3.11-ubuntu_22.04-x86_64"


def nobodys_runtime(config: Config) -> None:
    config["runtime"] = "python9.9"


#: Change → how many of the 69 have it, and whether nobody can take it. Those that exclude each other stand apart.
CHANGES: tuple[tuple[Change, int, bool], ...] = (
    (misspell_protocol, 31, False),
    (take_a_file, 61, False),
    (multipart_json, 3, False),
    (file_under_json, 3, False),
    (misspell_json, 14, False),
    (answer_multipart, 41, False),
    (other_types, 15, False),
    (list_of_items, 32, False),
    (item, 5, False),
    (roperties, 3, False),
    (nest_the_response, 4, False),
    (unknown_keys, 3, False),
    (no_runtime, 8, False),
    (unified_name, 6, False),
    (nobodys_runtime, 2, True),
    (odd_metrics, 4, False),
    (empty_strings, 11, False),
    (own_wheel, 2, False),
    (pin_the_engine, 29, False),
    (pinned_twice, 1, True),
)
APART = (
    {no_runtime, unified_name, nobodys_runtime},
    {multipart_json, file_under_json},
    {take_a_file, file_under_json},
    {misspell_json, answer_multipart},
    {list_of_items, item},
)


def twice_the_same(text: str) -> str:
    return text.replace('"model_algorithm":', '"model_algorithm": "image_classification", "model_algorithm":', 1)


def twice_another(text: str) -> str:
    return text.replace('"model_algorithm":', '"model_algorithm": "object_detection", "model_algorithm":', 1)


def comment(text: str) -> str:
    return text.replace("{", "{ // what it is", 1)


def trailing_comma(text: str) -> str:
    return re.sub(r"\}\s*$", ",}", text)


def no_json(text: str) -> str:
    return text.replace(":", "=", 1)


def tabs(text: str) -> str:
    return text.replace("    ", "\t")


def crlf(text: str) -> str:
    return text.replace("\n", "\r\n")


#: The same for the written text. Line ends come last.
TEXTS: tuple[tuple[Callable[[str], str], int, bool], ...] = (
    (twice_the_same, 2, False),
    (twice_another, 1, True),
    (comment, 4, False),
    (trailing_comma, 3, False),
    (no_json, 1, True),
    (tabs, 16, False),
    (crlf, 20, False),
)
TEXTS_APART = ({twice_the_same, twice_another}, {comment, trailing_comma, no_json})


def dealt(changes: Any, apart: Any, chance: random.Random) -> list[list[tuple[Any, bool]]]:
    """Which of the 69 gets which changes: as many as were counted, each in different ones every time."""
    hands: list[list[tuple[Any, bool]]] = [[] for _ in range(CONFIGURATIONS)]
    for change, count, refused in changes:
        rivals = set().union(*(group for group in apart if change in group)) - {change}
        free = [number for number, hand in enumerate(hands) if not rivals & {each for each, _ in hand}]
        assert len(free) >= count, change.__name__
        for number in chance.sample(free, count):
            hands[number].append((change, refused))
    return hands


@functools.cache
def configurations(seed: int) -> tuple[tuple[bytes, tuple[str, ...], bool], ...]:
    """The text of each, the names of its changes, and whether it may be refused."""
    chance = random.Random(seed)
    made = []
    hands = dealt(CHANGES, APART, chance)
    for values, texts in zip(hands, dealt(TEXTS, TEXTS_APART, chance), strict=True):
        config = base()
        for change, _ in values:
            change(config)
        text = json.dumps(config, indent=4, ensure_ascii=False)
        for rewrite, _ in texts:
            text = rewrite(text)
        names = tuple(each.__name__ for each, _ in (*values, *texts))
        made.append((text.encode(), names, any(refused for _, refused in (*values, *texts))))
    return tuple(made)


def outcome(config: bytes) -> list[str]:
    """Codes of the errors, empty where the package is taken; its warnings are checked as well."""
    service = SERVICE.replace(b"python_model_service", b"pytorch_model_service").replace(b"XgSkl", b"PT")
    line = Line(
        {
            "model/config.json": config,
            "model/net.pth": b"\x80\x02}.",
            "model/customize_service.py": service,
            "model/own-1.0-py3-none-any.whl": b"x",
        },
        whole_catalogue(),
    )
    from airlock.errors import PackageRejected

    accepted = line.accept()
    package = line.fetch(accepted)
    try:
        line.validate(accepted, package)
    except PackageRejected as error:
        return [item.code for item in error.findings if item.severity is Severity.ERROR]
    return []


@pytest.mark.parametrize("seed", range(3))
def test_only_what_has_no_one_meaning_is_refused(seed: int) -> None:
    refused = {names for config, names, _ in configurations(seed) if outcome(config)}
    allowed = {names for _, names, may in configurations(seed) if may}
    assert refused == allowed
    # Two runtimes that nobody has, a package pinned twice, a key with two values, and a text that is not JSON.
    assert len(refused) <= 5


def test_the_counts_are_those_that_were_made() -> None:
    counts: dict[str, int] = {}
    for _, names, _ in configurations(0):
        for name in names:
            counts[name] = counts.get(name, 0) + 1
    assert counts == {change.__name__: count for change, count, _ in (*CHANGES, *TEXTS)}
    loose = [names for _, names, may in configurations(0) if names and not may]
    assert len(loose) > 51


@pytest.mark.parametrize(
    "change,code",
    [
        *((change, "CFG012") for change in (
            misspell_protocol, misspell_json, answer_multipart, multipart_json, file_under_json, list_of_items, item,
            other_types, roperties, nest_the_response,
        )),
        (unknown_keys, "CFG011"),
        (no_runtime, "CFG014"),
        (odd_metrics, "CFG013"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)  # fmt: skip
def test_each_looseness_is_told_with_its_place_and_the_right_spelling(change: Change, code: str) -> None:
    from tests.unit.given import read_config

    config = base()
    change(config)
    value, findings = read_config(config, whole_catalogue())
    assert value is not None
    told = [item for item in findings if item.code == code]
    assert told
    assert all(item.place.line and item.fix for item in told)
