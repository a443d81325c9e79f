"""How images of the user's own are had and started, without an engine: options, credentials, an engine's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any
from unittest.mock import Mock

import docker
import pytest
import requests
from docker.api.client import APIClient
from docker.errors import APIError, NotFound

from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_image_options import relay_options, user_image_options
from airlock.adapters.docker_options import HostDevices
from airlock.adapters.docker_pull import Credentials, ImagePull
from airlock.adapters.docker_user_image import facts_of
from airlock.adapters.image_credentials import from_connections, nobody, registry_of
from airlock.domain.apis import Api, Body
from airlock.domain.device import Device
from airlock.domain.health import Health
from airlock.domain.image import BackendKind, Image, Isolation, UserImage
from airlock.domain.image_reference import parse_reference
from airlock.domain.user_image import (
    NOBODY,
    ImageFacts,
    check_image,
    check_registry,
    kept_reference,
    port_of,
    runnable,
    users_to_try,
    writable_folders,
)
from airlock.domain.version import RunRef
from airlock.errors import AirlockError, BackendUnavailable, ImageRefused, SettingInvalid
from airlock.ports.running_service import ImageLaunch

REFERENCE = parse_reference("swr.example.com/org/iris:1.0")
DIGEST = "sha256:" + "ab" * 32
HOST = HostDevices(cpus=8, gpu="nvidia")


def launch(**changes: Any) -> ImageLaunch:
    image = Image(
        backend=BackendKind.DOCKER,
        isolation=Isolation.CONTAINER,
        reference=str(REFERENCE),
        digest=DIGEST,
        size_bytes=0,
        layers=(),
        log="",
        own=changes.pop("own", UserImage()),
    )
    values: dict[str, Any] = {
        "image": image, "package_digest": "d", "device": Device.CPU, "cpus": 64.0, "memory_mb": 2000, "user": NOBODY,
        "ports": (8080, 9000), "health": Health(), "run": RunRef(dag_id="d", run_id="r"), "task": "smoke_cpu",
        "attempt": 2,
    }  # fmt: skip
    return ImageLaunch(**{**values, **changes})


def options(**changes: Any) -> dict[str, Any]:
    return user_image_options(launch(**changes), relay="the-relay", model_folder="/store/x/model", host=HOST)


# ── options ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_image_is_started_in_the_sandbox_of_every_test() -> None:
    made = options()
    assert made["network_mode"] == "container:the-relay"
    assert (made["read_only"], made["cap_drop"], made["user"]) == (True, ["ALL"], NOBODY)
    assert made["security_opt"] == ["no-new-privileges:true"]
    assert made["mem_limit"] == made["memswap_limit"] == 2_000_000_000
    assert made["nano_cpus"] == 8_000_000_000, "no more than the host has"
    assert made["labels"]["io.airlock.run"] == "d/r"
    # Its own program, working directory and first process.
    assert not {"entrypoint", "command", "working_dir", "init", "hostname"} & set(made)


def test_nothing_of_the_host_is_mounted_but_the_package_and_that_read_only() -> None:
    binds = [mount for mount in options()["mounts"] if mount["Type"] == "bind"]
    assert [(mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in binds] == [
        ("/store/x/model", "/home/mind/model", True)
    ]


def test_volumes_of_the_image_are_memory_and_never_the_systems_own_folders() -> None:
    volumes = ("/", "/data", "/data/../etc/x", "/proc/x", "/dev", "/home/mind/model", "relative", "/tmp")
    assert writable_folders(UserImage(volumes=volumes)) == ("/tmp", "/var/tmp", "/run", "/data", "/etc/x")
    mounts = options(own=UserImage(volumes=("/data",)))["mounts"]
    made = [mount for mount in mounts if mount["Type"] == "volume"]
    assert {mount["VolumeOptions"]["Labels"]["io.airlock.run"] for mount in made} == {"d/r"}
    assert [mount["Target"] for mount in made] == ["/tmp", "/var/tmp", "/run", "/data"]
    for mount in made:
        assert mount["VolumeOptions"]["DriverConfig"]["Options"]["type"] == "tmpfs"
        assert "size=1000000000" in mount["VolumeOptions"]["DriverConfig"]["Options"]["o"]


def test_only_a_user_that_is_not_the_images_own_gets_another_home() -> None:
    assert options()["environment"] == {"HOME": "/tmp"}
    assert options(user="1234")["environment"] == {}


def test_a_health_command_is_given_to_the_engine_and_the_images_own_is_not_asked() -> None:
    assert options()["healthcheck"]["Test"] == ["NONE"]
    health = Health(method="EXEC", command="test -f /x", initial_delay_s=3, timeout_s=2, period_s=5, failures=4)
    check = options(health=health)["healthcheck"]
    assert check["Test"] == ["CMD-SHELL", "test -f /x"]
    assert (check["StartPeriod"], check["Timeout"], check["Interval"], check["Retries"]) == (
        3_000_000_000, 2_000_000_000, 5_000_000_000, 4,
    )  # fmt: skip


def test_a_gpu_is_passed_on() -> None:
    assert options(device=Device.GPU)["device_requests"]


def test_the_relay_owns_a_namespace_without_network_and_listens_for_each_port() -> None:
    made = relay_options(launch(), "the program", "/work/s")
    assert made["network_mode"] == "none"
    assert made["command"][-4:] == ["the program", "/run/airlock", "8080", "9000"]
    assert (made["read_only"], made["cap_drop"], made["user"]) == (True, ["ALL"], NOBODY)
    assert made["sysctls"] == {"net.ipv4.ip_unprivileged_port_start": "0"}
    assert [mount["Source"] for mount in made["mounts"]] == ["/work/s"]


# ── what an image is ─────────────────────────────────────────────────────────────────────────────────────────────────


def facts(**changes: Any) -> ImageFacts:
    values: dict[str, Any] = {
        "identity": "sha256:1", "repository_digests": (), "size_bytes": 1000, "operating_system": "linux",
        "starts": True, "own": UserImage(architecture="x86_64"),
    }  # fmt: skip
    return ImageFacts(**{**values, **changes})


def test_the_engines_words_of_an_image_are_read() -> None:
    said = {
        "Id": "sha256:1",
        "RepoDigests": [f"swr.example.com/org/iris@{DIGEST}"],
        "Size": 5,
        "Os": "linux",
        "Architecture": "arm64",
        "Config": {
            "User": "app",
            "Entrypoint": ["/x"],
            "ExposedPorts": {"9000/tcp": {}, "80/tcp": {}, "53/udp": {}},
            "Volumes": {"/b": {}, "/a": {}},
        },
    }
    own = UserImage(user="app", ports=(80, 9000), volumes=("/a", "/b"), architecture="aarch64")
    assert facts_of(said) == facts(size_bytes=5, repository_digests=(f"swr.example.com/org/iris@{DIGEST}",), own=own)
    assert facts_of({"Id": "sha256:1", "Config": None}) == facts(
        size_bytes=0, operating_system="", starts=False, own=UserImage()
    )


@pytest.mark.parametrize(
    "changes,code,says",
    [
        ({"size_bytes": 2001}, "IMG005", "2,001 bytes, at most 2,000"),
        ({"operating_system": "windows"}, "IMG006", "windows, not for Linux"),
        ({"own": UserImage(architecture="aarch64")}, "IMG006", "made for aarch64; the engine runs on x86_64"),
        ({"starts": False}, "IMG007", "does not say what to start"),
    ],
)
def test_an_image_that_cannot_be_served_here_is_refused(changes: dict[str, Any], code: str, says: str) -> None:
    with pytest.raises(ImageRefused, match=says) as caught:
        check_image(REFERENCE, facts(**changes), machine="x86_64", max_bytes=2000)
    assert caught.value.code == code
    check_image(REFERENCE, facts(size_bytes=2000), machine="x86_64", max_bytes=2000)


def test_images_come_from_the_registries_that_the_installation_names() -> None:
    check_registry(REFERENCE, ())
    check_registry(parse_reference("SWR.example.com/org/iris:1"), ("swr.example.com", "docker.io"))
    check_registry(parse_reference("iris:1"), ("docker.io",))
    with pytest.raises(ImageRefused, match="Push it to one of docker"):
        check_registry(REFERENCE, ("docker.io",))


@pytest.mark.parametrize(
    "reference,known,kept",
    [
        ("swr.example.com/org/iris:1.0", f"swr.example.com/org/iris@{DIGEST}", f"swr.example.com/org/iris@{DIGEST}"),
        ("docker.io/library/iris:1", f"iris@{DIGEST}", f"iris@{DIGEST}"),
        ("docker.io/team/iris:1", f"team/iris@{DIGEST}", f"team/iris@{DIGEST}"),
        ("swr.example.com/org/iris:1.0", f"other.example.com/org/iris@{DIGEST}", "swr.example.com/org/iris:1.0"),
    ],
)
def test_the_version_keeps_the_digest_of_the_registry_that_was_named(reference: str, known: str, kept: str) -> None:
    name, digest = kept_reference(parse_reference(reference), facts(repository_digests=(known,)))
    assert name == kept
    assert digest == (DIGEST if "@" in kept else "sha256:1")
    assert runnable(name, digest) == (kept if "@" in kept else "sha256:1"), "never a tag"


def test_of_two_digests_the_pinned_one_is_kept() -> None:
    other = "sha256:" + "01" * 32
    known = (f"swr.example.com/org/iris@{other}", f"swr.example.com/org/iris@{DIGEST}")
    name, _ = kept_reference(parse_reference(f"swr.example.com/org/iris@{DIGEST}"), facts(repository_digests=known))
    assert name.endswith(DIGEST)


@pytest.mark.parametrize("user,tried", [("", (NOBODY, "0:0")), ("root", (NOBODY, "root")), ("app:app", ("app:app",))])
def test_root_is_the_last_user_to_try(user: str, tried: tuple[str, ...]) -> None:
    assert users_to_try(UserImage(user=user)) == tried


def test_a_declared_port_comes_before_the_exposed_one() -> None:
    any_body = Body(content_type="application/json", schema=None)
    api = Api(protocol="http", url="/", method="POST", request=any_body, response=any_body, port=9000)
    assert port_of(api, UserImage(ports=(80,))) == 9000


# ── credentials ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "host,port,name",
    [
        ("swr.example.com", None, "swr.example.com"),
        ("https://SWR.example.com/v2/", None, "swr.example.com"),
        ("swr.example.com", 5000, "swr.example.com:5000"),
        ("swr.example.com:5000", 5000, "swr.example.com:5000"),
        ("https://index.docker.io/v1/", None, "docker.io"),
        ("[::1]", 5000, "[::1]:5000"),
    ],
)
def test_a_connection_names_a_registry_as_references_do(host: str, port: int | None, name: str) -> None:
    assert registry_of(host, port) == name


def connection(monkeypatch: pytest.MonkeyPatch, name: str, **values: Any) -> None:
    value = {"conn_type": "docker", **values}
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", json.dumps(value))


def test_each_registry_gets_the_credentials_of_its_own_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "one", host="one.example.com", login="a", password="secret-a")
    connection(monkeypatch, "two", host="two.example.com", port=443, login="b", password="secret-b")
    find = from_connections(("one", "two"))
    assert find("one.example.com") == Credentials("a", "secret-a")
    assert find("two.example.com:443") == Credentials("b", "secret-b")
    assert find("two.example.com") is None
    assert nobody("one.example.com") is None
    assert "secret" not in repr(find("one.example.com"))


@pytest.mark.parametrize("values", [{"host": "", "login": "a", "password": "b"}, {"host": "x.example.com"}])
def test_a_connection_that_lacks_something_is_told_without_its_secret(
    monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]
) -> None:
    connection(monkeypatch, "half", **values)
    with pytest.raises(SettingInvalid, match="SET013"):
        from_connections(("half",))("x.example.com")


def test_a_connection_that_is_not_there_is_told() -> None:
    with pytest.raises(SettingInvalid, match="absent"):
        from_connections(("absent",))("x.example.com")


# ── what an engine's words mean ──────────────────────────────────────────────────────────────────────────────────────


def pulled(answer: Callable[..., Any] | list[Mapping[str, Any]], credentials: Credentials | None = None) -> Any:
    """The outcome of a pull whose engine answers so, and what the engine was asked."""
    client = Mock(spec=docker.DockerClient, api=Mock(spec=APIClient))
    client.api.pull.side_effect = answer if callable(answer) else lambda *a, **k: iter(answer)
    lines: list[str] = []
    pull = ImagePull(client, machine="x86_64", timeout_s=30, max_bytes=1000, clock=SystemClock())
    try:
        pull.pull(REFERENCE, credentials, lines.append)
    except AirlockError as error:
        return error, client.api.pull.call_args, lines
    return None, client.api.pull.call_args, lines


def refusing(status: int, said: str) -> Callable[..., Any]:
    def answer(*arguments: Any, **options: Any) -> Any:
        response = requests.Response()
        response.status_code = status
        raise (NotFound if status == 404 else APIError)("refused", response=response, explanation=said)

    return answer


@pytest.mark.parametrize(
    "status,said,kind,code",
    [
        (404, "manifest for swr.example.com/org/iris:1.0 not found: manifest unknown", ImageRefused, "IMG001"),
        (404, "pull access denied for iris, repository does not exist or may require 'docker login'", ImageRefused,
         "IMG002"),
        (500, 'Head "https://swr.example.com/v2/": no basic auth credentials', ImageRefused, "IMG002"),
        (500, "unauthorized: authentication required", ImageRefused, "IMG002"),
        (403, "no", ImageRefused, "IMG002"),
        (500, 'Get "https://swr.example.com/v2/": dial tcp: lookup swr.example.com: no such host',
         BackendUnavailable, "IMG003"),
        (500, "received unexpected HTTP status: 502 Bad Gateway", BackendUnavailable, "IMG003"),
        (500, "toomanyrequests: slow down", BackendUnavailable, "IMG003"),
    ],
)  # fmt: skip
def test_a_wrong_name_is_told_from_a_registry_that_is_away(
    status: int, said: str, kind: type[AirlockError], code: str
) -> None:
    error, _, _ = pulled(refusing(status, said))
    assert (type(error), error.code) == (kind, code)
    assert error.remedy


@pytest.mark.parametrize(
    "said,code",
    [
        ("no matching manifest for linux/amd64 in the manifest list entries", "IMG006"),
        ("filesystem layer verification failed for digest sha256:12", "IMG004"),
        ("write /var/lib/docker/tmp/x: no space left on device", "IMG003"),
    ],
)
def test_an_error_in_the_middle_of_a_pull_is_told(said: str, code: str) -> None:
    error, _, _ = pulled([{"status": "Pulling fs layer", "id": "a"}, {"error": said, "errorDetail": {"message": said}}])
    assert error.code == code


def test_layers_that_are_too_large_together_end_the_pull() -> None:
    sizes = [{"status": "Downloading", "id": name, "progressDetail": {"total": 600}} for name in "aab"]
    error, _, lines = pulled(sizes)
    assert error.code == "IMG005"
    assert "1,200 bytes even when compressed, at most 1,000" in error.message
    assert lines == ["a: Downloading", "b: Downloading"]


def test_credentials_in_the_engines_words_are_struck_out() -> None:
    error, _, _ = pulled(refusing(500, 'Get "https://reader:secret@swr.example.com/v2/": EOF'))
    assert "secret" not in str(error)


def test_a_registry_is_asked_as_nobody_unless_a_connection_is_for_it() -> None:
    done, call, _ = pulled([{"status": "Pull complete", "id": "a"}])
    assert done is None
    assert call.kwargs["auth_config"] == {}, "None would send what `docker login` left on this machine"
    _, call, _ = pulled([], Credentials("reader", "secret"))
    assert call.kwargs["auth_config"] == {
        "username": "reader", "password": "secret", "serveraddress": "swr.example.com",
    }  # fmt: skip


def test_an_engine_that_goes_away_in_a_pull_may_come_back() -> None:
    def dying(*arguments: Any, **options: Any) -> Any:
        yield {"status": "Pulling fs layer", "id": "a"}
        raise requests.ConnectionError("gone")

    error, _, _ = pulled(dying)
    assert isinstance(error, BackendUnavailable)
