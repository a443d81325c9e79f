"""Where the REST API answers, and how it says what is wrong."""

from __future__ import annotations

from typing import Any

import httpx

API = "/api/v1"
ONE = f"{API}/models/iris/versions/0.0.1"
PROBLEM = "application/problem+json"


def is_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == PROBLEM
    told: dict[str, Any] = answer.json()
    assert (told["status"], told["code"], told["type"]) == (status, code, f"urn:airlock:problem:{code}")
    assert told["title"]
    assert told["detail"]
    return told
