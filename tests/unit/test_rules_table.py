"""The rule table: every code in use is in it, and every rule in it is in use."""

from __future__ import annotations

import ast
import re

import pytest

from airlock.domain.rules import RETIRED, RULES
from tests.unit.given import ROOT
from tests.unit.rule_cases import CASES, codes_told

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


def test_every_code_in_use_is_a_rule() -> None:
    assert {code: files for code, files in codes_in_use().items() if code not in RULES} == {}


def test_every_rule_is_checked_somewhere() -> None:
    assert set(RULES) == set(codes_in_use())


def test_every_rule_is_broken_and_kept_by_a_case_of_its_own() -> None:
    assert set(CASES) == set(RULES), "give the rule a package that breaks it and one that keeps it in rule_cases.py"


@pytest.mark.parametrize("code", CASES)
def test_a_rule_is_told_where_it_is_broken_and_nowhere_else(code: str) -> None:
    broken, kept = CASES[code]
    assert code in codes_told(broken)
    told = codes_told(kept)
    # What keeps the rule is a package that is taken: no other error hides this one.
    assert {each for each in told if RULES[each].severity == "error"} == set()
    assert code not in told


@pytest.mark.parametrize("code", [code for code in CASES if RULES[code].severity != "error"])
def test_a_warning_refuses_nothing(code: str) -> None:
    assert {each for each in codes_told(CASES[code][0]) if RULES[each].severity == "error"} == set()


def test_codes_are_well_formed_and_their_own_keys() -> None:
    for code, rule in RULES.items():
        assert CODE.fullmatch(code)
        assert rule.code == code


def test_the_code_of_a_rule_that_is_gone_is_given_to_no_other() -> None:
    assert set(RULES).isdisjoint(RETIRED)
    assert all(CODE.fullmatch(code) for code in RETIRED)


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
