"""The REST API changes versions of a real registry."""

from __future__ import annotations

from typing import Any

from tests.web.api.api_answers import API, ONE, is_problem
from tests.web.conftest import Site


def test_description_and_labels_are_changed_by_name(site: Site, imported_iris: Any) -> None:
    answer = site.ask("PATCH", ONE, json={"description": "New", "labels": ["b"]})
    assert (answer.json()["description"], answer.json()["labels"]) == ("New", ["b"])
    assert site.ask("PATCH", ONE, json={"labels": []}).json()["description"] == "New"
    last = site.get(f"{ONE}/events").json()["events"][-1]
    assert (last["event_info"], last["actor"]) == ("Labels updated by ada.", "ada")


def test_a_change_keeps_the_rules_of_the_form(site: Site, imported_iris: Any) -> None:
    told = is_problem(site.ask("PATCH", ONE, json={"description": "<b>", "labels": list("abcdef")}), 422, "REQ006")
    assert {finding["code"] for finding in told["findings"]} == {"REQ006", "REQ007"}
    is_problem(site.ask("PATCH", ONE, json={"engine": "PyTorch"}), 422, "WEB001")
    assert site.get(ONE).json()["description"] == "Flowers"


def test_a_version_is_deleted_for_good(site: Site, imported_iris: Any) -> None:
    assert site.ask("DELETE", ONE).status_code == 204
    assert site.get(ONE).json()["model_status"] == "Deleted"
    is_problem(site.ask("DELETE", ONE), 404, "REG008")
    assert site.get(f"{API}/versions").json()["total_count"] == 0


def test_aliases_and_stages_are_set_and_shown(site: Site, imported_iris: Any) -> None:
    alias = f"{API}/models/iris/aliases/champion"
    is_problem(site.get(alias), 404, "REG011")
    assert site.ask("PUT", alias, json={"model_version": "0.0.1"}).json()["set_by"] == "ada"
    assert site.get(alias).json()["model_version"] == "0.0.1"
    assert site.get(f"{API}/models/iris").json()["aliases"] == {"champion": "0.0.1"}
    is_problem(site.ask("PUT", alias, json={"model_version": "9.9.9"}), 404, "REG008")
    assert site.ask("DELETE", alias).status_code == 204
    assert site.ask("PUT", f"{ONE}/stage", json={"stage": "Production"}).json()["stage"] == "Production"
    is_problem(site.ask("PUT", f"{ONE}/stage", json={"stage": "Live"}), 422, "WEB001")
