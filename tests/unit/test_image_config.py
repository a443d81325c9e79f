"""config.json of an image of the user's own: its reference, its health, its APIs."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.domain.health import DEFAULT_PATIENCE_S, Health
from airlock.domain.image_reference import NoReference, parse_reference
from tests.unit.given import changed, codes, good_config, read_config

DIGEST = "sha256:" + "ab" * 32

IMAGE_CONFIG: dict[str, Any] = {
    "model_type": "Image",
    "model_algorithm": "image_classification",
    "swr_location": "swr.example.com/org/image:1",
    "health": {"url": "/health", "protocol": "http", "initial_delay_seconds": "5", "timeout_seconds": 2},
    "apis": [{"url": "/a"}, {"url": "/b", "method": "get"}],
}


def with_health(**health: Any) -> dict[str, Any]:
    return {**IMAGE_CONFIG, "health": health}


def found(value: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(item.severity.value, item.code, item.place.pointer) for item in read_config(value)[1]]


# ── swr_location ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text,registry,repository,tag,digest",
    [
        ("iris", "docker.io", "iris", "", ""),
        ("iris:1.0", "docker.io", "iris", "1.0", ""),
        ("team/iris:1.0", "docker.io", "team/iris", "1.0", ""),
        ("swr.eu-1.example.com/org/iris:1", "swr.eu-1.example.com", "swr.eu-1.example.com/org/iris", "1", ""),
        ("localhost/iris", "localhost", "localhost/iris", "", ""),
        ("localhost:5000/a/b/c", "localhost:5000", "localhost:5000/a/b/c", "", ""),
        ("10.0.0.1:443/iris_a.b--c__d:v-1", "10.0.0.1:443", "10.0.0.1:443/iris_a.b--c__d", "v-1", ""),
        ("[::1]:5000/iris:1", "[::1]:5000", "[::1]:5000/iris", "1", ""),
        (f"iris@{DIGEST}", "docker.io", "iris", "", DIGEST),
        (f"r.example.com/iris:1@{DIGEST}", "r.example.com", "r.example.com/iris", "1", DIGEST),
    ],
)
def test_a_reference_has_a_registry_a_repository_a_tag_and_a_digest(
    text: str, registry: str, repository: str, tag: str, digest: str
) -> None:
    reference = parse_reference(text)
    assert (reference.registry, reference.repository, reference.tag, reference.digest) == (
        registry, repository, tag, digest,
    )  # fmt: skip
    assert parse_reference(str(reference)) == reference or reference.moves


@pytest.mark.parametrize(
    "text,says",
    [
        ("https://swr.example.com/org/iris:1", "no scheme"),
        ("swr.example.com/org/Iris:1", "lower-case"),
        ("swr.example.com/org//iris:1", "lower-case"),
        ("swr.example.com/", "lower-case"),
        ("iris:", "tag"),
        ("iris:-1", "tag"),
        (f"iris:{'1' * 129}", "tag"),
        ("iris@sha256:12", "64 hexadecimal"),
        (f"iris@{DIGEST.upper()}", "64 hexadecimal"),
        ("swr_eu.example.com/iris", "host"),
        ("swr.example.com:0/iris", "port"),
        ("swr.example.com:99999/iris", "port"),
        ("-swr.example.com/iris", "host"),
        ("iris --privileged", "lower-case"),
        ("iris\n", "lower-case"),
        ("iris:1\n", "tag"),
        ("../iris", "host"),
        ("识别", "lower-case"),
        (f"{'a' * 256}", "255"),
    ],
)
def test_other_texts_are_refused_with_the_reason(text: str, says: str) -> None:
    with pytest.raises(NoReference, match=says):
        parse_reference(text)


def test_an_unusable_location_is_an_error_at_its_place() -> None:
    value = {**IMAGE_CONFIG, "swr_location": "https://swr.example.com/org/iris:1"}
    assert found(value) == [("error", "CFG015", "/swr_location")]


@pytest.mark.parametrize("text", ["swr.example.com/iris", "swr.example.com/iris:latest"])
def test_a_location_that_moves_is_a_warning(text: str) -> None:
    assert found({**IMAGE_CONFIG, "swr_location": text}) == [("warning", "CFG016", "/swr_location")]
    assert good_config({**IMAGE_CONFIG, "swr_location": text}).swr_location == "swr.example.com/iris:latest"


@pytest.mark.parametrize("text", ["swr.example.com/iris:1", f"swr.example.com/iris@{DIGEST}", " iris:1 "])
def test_a_location_that_is_pinned_is_read_without_a_word(text: str) -> None:
    assert found({**IMAGE_CONFIG, "swr_location": text}) == []


# ── health ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_full_health_block_is_read() -> None:
    value = with_health(
        check_method="http", url="/live?deep=1", protocol="HTTPS", initial_delay_seconds=10, timeout_seconds="2.5",
        period_seconds=5, failure_threshold="3",
    )  # fmt: skip
    health = good_config(value).health
    assert health == Health(
        url="/live?deep=1", protocol="https", initial_delay_s=10, timeout_s=2.5, period_s=5, failures=3
    )
    assert health.startup_timeout_s == 25


def test_a_block_without_a_threshold_leaves_five_minutes() -> None:
    health = good_config(IMAGE_CONFIG).health
    assert health is not None
    assert health.startup_timeout_s == 5 + DEFAULT_PATIENCE_S


def test_health_may_be_a_command() -> None:
    health = good_config(with_health(check_method="EXEC", command="test -f /tmp/ready")).health
    assert health == Health(method="EXEC", command="test -f /tmp/ready")


@pytest.mark.parametrize(
    "block,expected",
    [
        ({"protocol": "http"}, ("error", "CFG005", "/health/url")),
        ({"check_method": "EXEC"}, ("error", "CFG005", "/health/command")),
        ({"check_method": "TCP", "url": "/"}, ("error", "CFG017", "/health/check_method")),
        ({"url": "health"}, ("error", "CFG006", "/health/url")),
        ({"url": "/a b"}, ("error", "API001", "/health/url")),
        ({"url": "/", "protocol": "ftp"}, ("error", "CFG006", "/health/protocol")),
        ({"url": "/", "period_seconds": 0}, ("error", "CFG006", "/health/period_seconds")),
        ({"url": "/", "timeout_seconds": 0}, ("error", "CFG006", "/health/timeout_seconds")),
        ({"url": "/", "failure_threshold": 0}, ("error", "CFG006", "/health/failure_threshold")),
        ({"url": "/", "failure_threshold": 1e9}, ("error", "CFG006", "/health/failure_threshold")),
        ({"url": "/", "command": "true"}, ("warning", "CFG011", "/health/command")),
        ({"url": "/", "port": 8080}, ("warning", "CFG011", "/health/port")),
    ],
)
def test_each_rule_of_the_block_is_told_at_its_place(block: dict[str, Any], expected: tuple[str, str, str]) -> None:
    place = read_config(with_health(**block))[1]
    assert expected in [(item.severity.value, item.code, item.place.pointer) for item in place]


# ── apis ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_apis_of_an_image_have_their_own_paths_methods_and_ports() -> None:
    apis = [{"url": "/a", "port": 9000}, {"url": "/a", "method": "get", "port": "9001"}, {"url": "/b?c=d%20e"}]
    config = good_config({**IMAGE_CONFIG, "apis": apis})
    assert [(api.method, api.url, api.port) for api in config.apis] == [
        ("POST", "/a", 9000), ("GET", "/a", 9001), ("POST", "/b?c=d%20e", None),
    ]  # fmt: skip


@pytest.mark.parametrize("port", [0, 65536, -1, "http", 80.5, True, "99999999999999999999", [80], "٨٠٨٠"])
def test_other_ports_are_refused(port: Any) -> None:
    assert found({**IMAGE_CONFIG, "apis": [{"url": "/a", "port": port}]}) == [("error", "API006", "/apis/0/port")]


def test_a_port_beside_an_engine_is_read_over_with_a_warning() -> None:
    value = changed()
    value["apis"][0]["port"] = 8080
    assert codes(read_config(value)[1]) == ["CFG011"]


def test_two_apis_with_one_method_and_one_path_are_refused() -> None:
    apis = [{"url": "/a"}, {"url": "/b"}, {"url": "/a", "method": "Post"}, {"url": "/b", "port": 9000}]
    assert found({**IMAGE_CONFIG, "apis": apis}) == [("error", "API007", "/apis/2")]


@pytest.mark.parametrize("url", ["/a b", "/a#b", "/a\r\nHost: b", "/识", "/\x7f"])
def test_a_path_that_no_request_line_can_hold_is_refused(url: str) -> None:
    assert found({**IMAGE_CONFIG, "apis": [{"url": url}]}) == [("error", "API001", "/apis/0/url")]
