"""The rule table: every code in use is in it, and every rule in it is in use."""

from __future__ import annotations

import ast
import json
import re

from airlock.domain.rules import RULES
from tests.unit.given import ROOT

CODE = re.compile(r"(?:PKG|CFG|API|DEP|SVC|MDL|DET|REQ)\d{3}")


def codes_in_use() -> dict[str, set[str]]:
    """Code → files that name it as a whole string, the table itself left out."""
    found: dict[str, set[str]] = {}
    for path in sorted((ROOT / "plugins/airlock").rglob("*.py")):
        if path.name == "rules.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and CODE.fullmatch(node.value):
                found.setdefault(node.value, set()).add(path.name)
    schema = (ROOT / "include/specs/config.schema.json").read_text(encoding="utf-8")
    for code in re.findall(r'"x-rule": "(\w+)"', schema):
        found.setdefault(code, set()).add("config.schema.json")
    return found


def codes_in_tests() -> set[str]:
    texts = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / "tests/unit").glob("test_*.py")
        if path.name != "test_rules_table.py"
    ]
    for path in (ROOT / "tests/packages/reject").glob("*/expected.json"):
        texts += json.loads(path.read_text(encoding="utf-8"))["codes"]
    return {code for text in texts for code in CODE.findall(text)}


def test_every_code_in_use_is_a_rule() -> None:
    assert {code: files for code, files in codes_in_use().items() if code not in RULES} == {}


def test_every_rule_is_checked_somewhere() -> None:
    assert set(RULES) == set(codes_in_use())


def test_every_rule_is_seen_by_a_test() -> None:
    assert set(RULES) <= codes_in_tests()


def test_codes_are_well_formed_and_their_own_keys() -> None:
    for code, rule in RULES.items():
        assert CODE.fullmatch(code)
        assert rule.code == code


def test_every_rule_says_what_why_what_to_do_and_where_it_comes_from() -> None:
    for rule in RULES.values():
        assert rule.severity in ("error", "warning", "info")
        assert rule.title
        assert rule.source
        for sentence in (rule.reason, rule.remedy):
            assert sentence.endswith((".", "`", '"', '".'))


def test_no_two_rules_have_one_title_in_one_family() -> None:
    titles = [(code[:3], rule.title) for code, rule in RULES.items()]
    assert len(titles) == len(set(titles))


def test_the_page_of_rules_is_up_to_date() -> None:
    from scripts.rules_doc import FAMILIES, PAGE, render

    assert PAGE.read_text(encoding="utf-8") == render(), "run `python -m scripts.rules_doc`"
    assert {code[:3] for code in RULES} == set(FAMILIES)
