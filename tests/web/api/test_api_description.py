"""The REST API describes itself."""

from __future__ import annotations

import re

from tests.web.api.api_answers import API
from tests.web.conftest import Site, without_own_script


def test_the_description_is_readable_without_the_internet(site: Site) -> None:
    described = site.get(f"{API}/openapi.json").json()
    assert "/models/{model_name}/versions/{model_version}" in described["paths"]
    assert "Problem" in described["components"]["schemas"]
    page = site.get(f"{API}/docs").text
    assert "PATCH /airlock/api/v1/models/{model_name}/versions/{model_version}" in page
    assert re.findall(r"(?:src|href)=[\"']?(?:https?:)?//", page) == []
    assert "<script" not in without_own_script(page)


def test_the_description_has_every_field_of_the_import_form(site: Site) -> None:
    import jsonschema

    from airlock.domain.request_form import FIELDS

    described = site.get(f"{API}/openapi.json").json()
    body = described["paths"]["/imports"]["post"]["requestBody"]
    assert (body["required"], body["content"]["application/json"]["schema"]) == (
        True, {"$ref": "#/components/schemas/ImportForm"},
    )  # fmt: skip
    form = described["components"]["schemas"]["ImportForm"]
    assert set(form["properties"]) == set(FIELDS)
    assert (form["required"], form["additionalProperties"]) == (["model_name", "source_location"], False)
    assert form["properties"]["labels"]["default"] == []
    assert all(field["description"] and field["title"] for field in form["properties"].values())
    takes = jsonschema.Draft202012Validator(form)
    least = {"model_name": "语_iris-1", "source_location": "s3://models/iris/"}
    assert takes.is_valid({**least, "labels": None, "install_type": ["edge"], "model_version": None})
    for broken in ({"model_name": "a b"}, {"colour": 1}, {"labels": "a"}, {"min_cpu": 0}, {"install_type": ["cloud"]}):
        assert not takes.is_valid({**least, **broken}), broken
