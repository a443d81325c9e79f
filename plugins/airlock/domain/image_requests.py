"""The requests that an image of the user's own is tested with: for each API the author's samples, else made ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from airlock.domain.apis import Api
from airlock.domain.findings import shown
from airlock.domain.image import UserImage
from airlock.domain.sample_requests import example, sample_requests
from airlock.domain.smoke import HttpRequest, Sample
from airlock.domain.user_image import port_of
from airlock.errors import SmokeFailed

#: Methods whose requests have a body.
BODY_METHODS = frozenset({"POST", "PUT", "PATCH"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiTest:
    """What one API is tested with.

    Attributes:
        api: The API; None where none is declared, and the path is `/`.
        port: Where it is served.
        samples: What is sent.
    """

    api: Api | None
    port: int
    samples: tuple[Sample, ...]


def api_tests(
    apis: tuple[Api, ...], own: UserImage, bodies: Mapping[str, bytes], expected: Mapping[str, Any]
) -> tuple[ApiTest, ...]:
    """The test of every declared API, in their order.

    A sample in `samples/` itself is for the first API that takes a body; one in a folder below it is for the API whose
    path the folder has: `samples/v1/predict/one.json` for `/v1/predict`.

    Args:
        apis: The declared interface.
        own: The image.
        bodies: Path below `samples/` → request body.
        expected: The same path → the author's expected answer.

    Raises:
        SmokeFailed: A sample is for none of the APIs, or there is nothing to send to one.
        ImageRefused: It cannot be told where an API is served.
    """
    if not apis:
        return (
            _api_test(None, own, {path: body for path, body in bodies.items() if "/" not in path}, expected, False),
        )
    theirs: list[dict[str, bytes]] = [{} for _ in apis]
    for path, body in bodies.items():
        theirs[_index_of(path, apis)][path] = body
    return tuple(
        _api_test(api, own, samples, expected, len(apis) > 1) for api, samples in zip(apis, theirs, strict=True)
    )


def _index_of(path: str, apis: tuple[Api, ...]) -> int:
    folder = path.rpartition("/")[0]
    fitting = [index for index, api in enumerate(apis) if not folder or api.url.partition("?")[0].strip("/") == folder]
    if not fitting:
        known = ", ".join(shown(api.url) for api in apis)
        raise SmokeFailed(
            "SMK008",
            f"The sample model/samples/{shown(path)} is for the path /{shown(folder)}, which no API has; "
            f"declared: {known}.",
            "Move it to `model/samples/`, or to the folder of its API's path.",
        )
    return next((index for index in fitting if apis[index].method in BODY_METHODS), fitting[0])


def _api_test(
    api: Api | None, own: UserImage, bodies: Mapping[str, bytes], expected: Mapping[str, Any], named: bool
) -> ApiTest:
    port = port_of(api, own)
    if api is not None and api.method not in BODY_METHODS:
        samples: tuple[Sample, ...] = (Sample(name="generated", request=_without_body(api)),)
    else:
        samples = sample_requests(api, bodies, expected)
    what = f"{api.method} {shown(api.url)}" if api else "the service"
    if not samples:
        raise SmokeFailed(
            "SMK001",
            f"There is nothing to send to {what}: the package brings no samples for it and declares no request schema.",
            "Add `model/samples/*.json`, or a request schema to the API in config.json.",
        )
    tls = api is not None and api.protocol == "https"
    return ApiTest(
        api=api,
        port=port,
        samples=tuple(
            replace(
                sample,
                name=f"{what} {sample.name}" if named else sample.name,
                request=replace(sample.request, port=port, tls=tls),
            )
            for sample in samples
        ),
    )


def _without_body(api: Api) -> HttpRequest:
    """A request whose declared fields, where there are any, stand in the query."""
    fields = example(api.request.schema) if api.request.schema and api.request.schema.get("properties") else {}
    query = urlencode({name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()})
    joined = "&" if "?" in api.url else "?"
    return HttpRequest(
        method=api.method, path=f"{api.url}{joined}{query}" if query else api.url, content_type="", body=b""
    )
