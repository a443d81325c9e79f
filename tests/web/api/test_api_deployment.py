"""The REST API hands versions over as manifests."""

from __future__ import annotations

from typing import Any

from tests.web.api.api_answers import ONE, is_problem
from tests.web.conftest import Site


def test_a_normal_version_is_handed_over_as_a_manifest(site: Site, imported_iris: Any) -> None:
    import yaml

    from airlock.web import wired

    site.put(wired.packages, Packages())
    command = site.get(f"{ONE}/deployment?type=docker")
    assert command.headers["content-type"] == "text/x-shellscript; charset=utf-8"
    assert command.text.startswith("#!/bin/sh\ndocker stop iris-0-0-1 ")
    assert "\nexec docker run " in command.text
    assert f"source=/store/{imported_iris.package.digest}" in command.text
    pinned = "registry.example.com/iris@sha256:" + "a" * 64
    manifest = site.get(f"{ONE}/deployment?type=kubernetes&image={pinned}")
    assert manifest.headers["content-type"] == "application/yaml"
    assert [each["kind"] for each in yaml.safe_load_all(manifest.text)] == ["Deployment", "Service"]
    is_problem(site.get(f"{ONE}/deployment?type=kubernetes"), 409, "HND005")
    is_problem(site.get(f"{ONE}/deployment?type=docker&device=gpu"), 409, "HND003")
    is_problem(site.get(f"{ONE}/deployment?type=swarm"), 422, "WEB001")
    site.ask("DELETE", ONE)
    is_problem(site.get(f"{ONE}/deployment?type=docker"), 409, "HND001")


class Packages:
    def folder(self, digest: str) -> str:
        return f"/store/{digest}"
