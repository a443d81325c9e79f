"""Hand-off: manifests that their platforms accept, and no manifest for what was not imported for it."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from airlock.codec import encode
from airlock.domain.deployment.docker_manifests import compose_file, docker_command
from airlock.domain.deployment.hand_off import Platform, hand_off, platform_name
from airlock.domain.deployment.kubernetes_manifests import kserve_object, kubernetes_objects
from airlock.domain.device import Device
from airlock.domain.health import Health
from airlock.domain.health_check import check_command
from airlock.domain.image import UserImage
from airlock.domain.record import VersionRow
from airlock.domain.version import Status
from airlock.errors import HandOffRefused
from airlock.web.api.deployment import written
from tests.unit.line import Line

PINNED = "registry.example.com/models/iris@sha256:" + "a" * 64
FOLDER = "/store/sha256/abc"
KUBERNETES = "1.31"


def a_row(**conf: Any) -> VersionRow:
    line = Line()
    version = line.import_model(**conf)
    summary = version.summary()
    return replace(
        line.row(),
        details=encode(version),
        devices=summary["devices"],
        package_digest=summary["package_digest"],
        status=Status.NORMAL,
    )


def given(row: VersionRow, platform: Platform = Platform.KUBERNETES, **more: Any) -> Any:
    more = {"device": None, "package_folder": FOLDER, "image": PINNED, **more}
    return hand_off(row, platform, **more)


def on_gpu(row: VersionRow, gpus: int = 2, device: str = "gpu") -> VersionRow:
    """The same version, passed on another device, too."""
    details = {**row.details}
    report = {**details["reports"][0], "device": device, "verdict": "passed"}
    details["reports"] = [details["reports"][0], report]
    request = details["accepted"]["request"]
    specs = {**request["minimum_specs"], device: gpus}
    details["accepted"] = {**details["accepted"], "request": {**request, "minimum_specs": specs}}
    return replace(row, details=details, devices={**row.devices, device: "passed"})


def test_kubernetes_takes_the_objects_by_its_own_schema() -> None:
    row = on_gpu(a_row(min_cpu=1.5, min_memory_mb=2000))
    for device in (Device.CPU, Device.GPU):
        for more in ({}, {"claim": "airlock-store"}):
            made = given(row, device=device, **more)
            documents = list(yaml.safe_load_all(written(made, Platform.KUBERNETES)))
            assert documents == list(kubernetes_objects(made))
            for document in documents:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)


def test_what_kubernetes_would_refuse_is_noticed_by_that_schema() -> None:
    broken = dict(kubernetes_objects(given(a_row()))[0])
    broken["spec"] = {**broken["spec"], "replicas": "one"}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(broken, KUBERNETES, strict=True)


SCHEMA = json.loads((Path(__file__).parent / "kserve_v1beta1.schema.json").read_text())


def kserve_takes(document: dict[str, Any]) -> None:
    """By its own types, and for the fields of a pod in them by Kubernetes' schema."""
    jsonschema.Draft202012Validator(SCHEMA).validate(document)
    spec = SCHEMA["properties"]["spec"]["properties"]["predictor"]["properties"]
    own = set(spec) - {"containers"}
    pod = {name: value for name, value in document["spec"]["predictor"].items() if name not in own}
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod}, KUBERNETES, strict=True
    )


def test_kserve_takes_the_object_by_its_own_types_and_its_pod_by_kubernetes_schema() -> None:
    row = on_gpu(a_row(min_cpu=1.5, min_memory_mb=2000))
    for name in ("iris", "9 lives", "语言"):
        for device in (Device.CPU, Device.GPU):
            for more in ({}, {"claim": "airlock-store"}):
                made = given(replace(row, model_name=name), Platform.KSERVE, device=device, **more)
                (document,) = yaml.safe_load_all(written(made, Platform.KSERVE))
                assert document == kserve_object(made)
                kserve_takes(document)


@pytest.mark.parametrize(
    "changes",
    [
        {"predictor": {"minReplica": 1}},
        {"predictor": {"minReplicas": -1}},
        {"predictor": {"sklearn": {}}},
        {"predictor": {"containers": [{"name": "model", "image": "x"}]}},
        {"predictor": {"containers": [{"name": "kserve-container", "image": "x", "port": 1}]}},
        {"predictors": {}},
    ],
    ids=str,
)
def test_what_kserve_would_refuse_is_noticed(changes: dict[str, Any]) -> None:
    document = kserve_object(given(a_row(), Platform.KSERVE))
    spec = dict(document["spec"])
    for name, value in changes.items():
        spec[name] = {**spec.get(name, {}), **value}
    with pytest.raises((jsonschema.ValidationError, kubernetes_validate.ValidationError)):
        kserve_takes({**document, "spec": spec})
    with pytest.raises(jsonschema.ValidationError):
        kserve_takes({**document, "metadata": {"name": "9lives"}})


def test_docker_and_compose_publish_on_the_port_of_the_host_that_was_asked_for() -> None:
    made = given(a_row(), Platform.DOCKER, host_port=9999)
    command = docker_command(made)
    assert command[command.index("--publish") + 1] == "127.0.0.1:9999:8080"
    assert compose_file(made)["services"]["model"]["ports"] == ["127.0.0.1:9999:8080"]
    # Not where Airflow itself listens.
    assert "127.0.0.1:8090:8080" in docker_command(given(a_row(), Platform.DOCKER))


def test_a_deployment_has_image_by_digest_resources_probes_and_the_sandbox_of_the_test() -> None:
    deployment, service = kubernetes_objects(given(a_row(min_cpu=1.5, min_memory_mb=2000)))
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["image"] == PINNED
    assert container["resources"]["limits"] == {"cpu": "1.5", "memory": "2000M"}
    assert container["startupProbe"]["httpGet"] == {"path": "/health", "port": "http"}
    assert container["startupProbe"]["failureThreshold"] == 24
    assert container["livenessProbe"]["timeoutSeconds"] == 5
    assert pod["terminationGracePeriodSeconds"] == 45
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["runAsUser"] == 65534
    assert {"name": "package", "hostPath": {"path": FOLDER, "type": "Directory"}} in pod["volumes"]
    assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]


# ── health ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def an_image(
    user: str = "1000", volumes: tuple[str, ...] = (), has_shell: bool | None = True, **health: Any
) -> VersionRow:
    """A version of an image of the user's own, whose health block says this."""
    own = UserImage(user=user, ports=(9001,), volumes=volumes, architecture="x86_64")
    row = a_row()
    config = {**row.details["validated"]["config"], "health": encode(Health(**health)) if health else None}
    image = {**row.details["image"], "own": encode(own)}
    reports = [{**row.details["reports"][0], "image": image, "user": user, "has_shell": has_shell}]
    details = {**row.details, "validated": {**row.details["validated"], "config": config}, "reports": reports}
    return replace(row, details=details)


def option(command: tuple[str, ...], name: str) -> str:
    return command[command.index(name) + 1]


def test_docker_and_compose_ask_for_health_with_the_images_python_and_give_it_time_to_end() -> None:
    made = given(a_row(), Platform.DOCKER)
    command = docker_command(made)
    check = shlex.split(option(command, "--health-cmd"))
    assert (check[0], check[-3:]) == ("python", ["8080", "/health", "5"])
    assert [option(command, f"--health-{name}") for name in ("interval", "timeout", "start-period", "retries")] == [
        "10s", "5s", "120s", "3",
    ]  # fmt: skip
    assert option(command, "--stop-timeout") == "45"
    service = compose_file(made)["services"]["model"]
    assert service["healthcheck"] == {
        "test": ["CMD", *check], "interval": "10s", "timeout": "5s", "start_period": "120s", "retries": 3,
    }  # fmt: skip
    assert service["stop_grace_period"] == "45s"
    assert kserve_object(given(a_row(), Platform.KSERVE))["spec"]["predictor"]["terminationGracePeriodSeconds"] == 45


def test_an_image_is_asked_for_the_health_that_its_block_names() -> None:
    command = "test -e '/tmp/$ready'"
    made = given(an_image(method="EXEC", command=command, timeout_s=0.5, failures=7, initial_delay_s=200))
    assert option(docker_command(made), "--health-cmd") == command
    assert option(docker_command(made), "--health-start-period") == "200s"
    check = compose_file(made)["services"]["model"]["healthcheck"]
    assert (check["test"], check["timeout"], check["retries"]) == (
        ["CMD", "/bin/sh", "-c", "test -e '/tmp/$$ready'"], "0.5s", 7,
    )  # fmt: skip
    (document, _) = kubernetes_objects(made)
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
    probe = document["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert (probe["exec"]["command"], probe["timeoutSeconds"]) == (["/bin/sh", "-c", command], 1)
    made = given(an_image(url="/ok", protocol="https"))
    (document, _) = kubernetes_objects(made)
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
    probe = document["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
    assert probe["httpGet"] == {"path": "/ok", "port": "http", "scheme": "HTTPS"}
    assert "https://127.0.0.1:9001/ok" in option(docker_command(made), "--health-cmd")


def test_an_image_that_says_nothing_of_its_health_is_asked_for_none() -> None:
    made = given(an_image())
    assert "--health-cmd" not in docker_command(made)
    assert "healthcheck" not in compose_file(made)["services"]["model"]
    pod = kubernetes_objects(made)[0]["spec"]["template"]["spec"]
    assert pod["containers"][0]["readinessProbe"]["tcpSocket"] == {"port": "http"}


@pytest.mark.parametrize("has_shell", [False, None], ids=["none", "not looked for"])
def test_an_image_without_a_shell_is_asked_for_its_health_from_outside(has_shell: bool | None) -> None:
    row = an_image(has_shell=has_shell, url="/ok?a='b'&$c", protocol="https")
    made = given(row, Platform.DOCKER, host_port=9999)
    assert not any(each.startswith("--health") for each in docker_command(made))
    assert "healthcheck" not in compose_file(made)["services"]["model"]
    for platform in (Platform.DOCKER, Platform.COMPOSE):
        (note,) = (line for line in written(made, platform).splitlines() if "health" in line)
        assert note.startswith("# No health check runs in the container: the image has no /bin/sh")
        assert "GET https://127.0.0.1:9999/ok?a='b'&$c is answered with 200" in note
    script = written(made, Platform.DOCKER).splitlines()
    assert (script[0], script[1][:2]) == ("#!/bin/sh", "# ")
    assert yaml.safe_load(written(made, Platform.COMPOSE)) == compose_file(made)
    # Kubernetes asks by itself.
    probe = kubernetes_objects(made)[0]["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert probe["httpGet"]["path"] == "/ok?a='b'&$c"
    assert "No health check" not in written(made, Platform.KUBERNETES)


def test_a_command_for_the_health_is_given_though_nobody_looked_for_a_shell() -> None:
    made = given(an_image(has_shell=None, method="EXEC", command="true"))
    assert option(docker_command(made), "--health-cmd") == "true"
    assert "#" not in written(made, Platform.COMPOSE)


class Answers(BaseHTTPRequestHandler):
    """Healthy at one path alone."""

    def do_GET(self) -> None:
        self.send_response({"/he'alth": 200, "/moved": 302}.get(self.path, 503))
        self.send_header("Location", "/he'alth")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def is_healthy(command: tuple[str, ...], folder: Path) -> bool:
    """By a command in an environment that has these programs, and proxies that lead nowhere."""
    proxy = dict.fromkeys(("http_proxy", "HTTP_PROXY", "all_proxy"), "http://127.0.0.1:1")
    done = subprocess.run(command, env={"PATH": str(folder), **proxy}, capture_output=True, timeout=60, check=False)
    return done.returncode == 0


def found(tool: str) -> str | None:
    """A program of this machine; a Python among pyenv's, whose stand-ins on PATH need more than a check has."""
    if tool in ("python", "python3"):
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    of_pyenv = sorted(pyenv.glob(f"*/bin/{tool}"))
    return str(of_pyenv[0]) if of_pyenv else shutil.which(tool)


@pytest.mark.parametrize("tool", ["python", "python2.7", "curl", "wget", "python3"])
def test_a_healthy_service_is_told_from_one_that_is_not(tool: str, port: int, tmp_path: Path) -> None:
    program = found(tool)
    if program is None:
        pytest.skip(f"{tool} is not there")
    name = "python" if tool == "python2.7" else tool
    # A link would hide from an interpreter where its library lies.
    (tmp_path / name).write_text(f'#!/bin/sh\nexec {shlex.quote(program)} "$@"\n')
    (tmp_path / name).chmod(0o755)
    for own_image in (True, False) if name == "python" else (True,):

        def healthy(url: str, own_image: bool = own_image, port: int = port) -> bool:
            return is_healthy(check_command(Health(url=url), port, own_image=own_image), tmp_path)

        assert healthy("/he'alth")
        assert not healthy("/$(exit)`exit`;exit")
        assert not healthy("/he'alth", port=1)
        # Whoever is tested must answer itself; wget alone goes where it is sent.
        assert healthy("/moved") == (tool == "wget")


def test_an_image_with_nothing_to_ask_with_is_not_called_unfit(tmp_path: Path) -> None:
    assert is_healthy(check_command(Health(), 1, own_image=True), tmp_path)


def test_an_image_sees_its_model_and_may_write_where_it_could_in_the_test() -> None:
    row = an_image(volumes=("/data", "/home/mind/model", "/odd:path"))
    made = given(row)
    target = "/home/mind/model"
    command = docker_command(made)
    assert option(command, "--mount") == f"type=bind,source={FOLDER}/model,target={target},readonly"
    written_to = [command[index + 1].partition(":")[0] for index, word in enumerate(command) if word == "--tmpfs"]
    assert written_to == ["/tmp", "/var/tmp", "/run", "/data"]
    service = compose_file(made)["services"]["model"]
    assert [each.partition(":")[0] for each in service["tmpfs"]] == written_to
    assert service["volumes"][0]["target"] == target
    (document, _) = kubernetes_objects(given(row, claim="airlock-store"))
    kubernetes_validate.validate(document, KUBERNETES, strict=True)
    mounts = document["spec"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert [each["mountPath"] for each in mounts] == [*written_to, target]
    assert mounts[-1]["subPath"] == "sha256/" + row.package_digest.removeprefix("sha256:") + "/model"
    # It was tested as nobody, who has no home in the image.
    assert "HOME" not in made.environment
    assert given(an_image(user="65534:65534")).environment == {"HOME": "/tmp"}


# ── the rest ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_claim_holds_the_store_and_the_package_is_a_folder_in_it() -> None:
    row = a_row()
    pod = kserve_object(given(row, Platform.KSERVE, claim="airlock-store"))["spec"]["predictor"]
    (mount,) = (each for each in pod["containers"][0]["volumeMounts"] if each["name"] == "package")
    assert mount["subPath"] == "sha256/" + row.package_digest.removeprefix("sha256:")
    assert pod["containers"][0]["name"] == "kserve-container"
    with pytest.raises(HandOffRefused, match="HND006"):
        given(row, claim="../x")


def test_an_image_that_holds_the_package_mounts_nothing() -> None:
    row = a_row()
    details = {**row.details, "image": {**row.details["image"], "baked": True}}
    details["reports"] = [{**each, "image": {**each["image"], "baked": True}} for each in details["reports"][:1]]
    made = given(replace(row, details=details))
    assert made.package_digest == ""
    assert "package" not in str(kubernetes_objects(made)[0]["spec"])
    assert "--mount" not in docker_command(made)


@pytest.mark.parametrize("device,resource", [(Device.GPU, "nvidia.com/gpu"), (Device.ASCEND, "huawei.com/Ascend910")])
def test_devices_are_asked_for_as_each_platform_names_them(device: Device, resource: str) -> None:
    made = given(on_gpu(a_row(), 2, device.value), device=device)
    container = kubernetes_objects(made)[0]["spec"]["template"]["spec"]["containers"][0]
    assert container["resources"]["limits"][resource] == 2
    command = docker_command(made)
    service = compose_file(made)["services"]["model"]
    if device is Device.GPU:
        assert command[command.index("--gpus") + 1] == "2"
        assert service["deploy"]["resources"]["reservations"]["devices"][0]["count"] == 2
    else:
        assert command[command.index("--runtime") + 1] == "ascend"
        assert service["environment"]["ASCEND_VISIBLE_DEVICES"] == "0,1"


def test_nothing_that_comes_from_outside_leaves_its_place() -> None:
    evil = "$(touch /x); `id` \"'\n- a: b ${HOME}"
    made = replace(given(a_row()), model_name=evil, package_folder=f"/store/{evil}", environment={"A": evil})
    text = written(made, Platform.DOCKER)
    words = shlex.split(text.partition("\nexec ")[2])
    assert words == list(docker_command(made))
    assert f"A={evil}" in words
    loaded = yaml.safe_load(written(made, Platform.COMPOSE))
    assert loaded["services"]["model"]["environment"]["A"] == evil.replace("$", "$$")
    assert (
        next(iter(yaml.safe_load_all(written(made, Platform.KUBERNETES))))["metadata"]["annotations"][
            "airlock.io/model-name"
        ]
        == evil
    )


@pytest.mark.parametrize("platform", Platform)
def test_a_version_that_was_not_imported_for_it_is_refused(platform: Platform) -> None:
    with pytest.raises(HandOffRefused, match=r"HND002.*batch.*real-time"):
        given(replace(a_row(), install_type=("batch",)), platform)


def test_edge_is_served_by_docker_and_compose_alone() -> None:
    row = replace(a_row(), install_type=("edge",))
    given(row, Platform.DOCKER)
    given(row, Platform.COMPOSE)
    with pytest.raises(HandOffRefused, match="HND002"):
        given(row, Platform.KUBERNETES)


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.NORMAL])
def test_a_version_that_is_not_normal_is_refused(status: Status) -> None:
    with pytest.raises(HandOffRefused, match=f"HND001.*{status.value}"):
        given(replace(a_row(), status=status))


def test_a_device_that_it_has_not_passed_on_is_refused() -> None:
    with pytest.raises(HandOffRefused, match=r"HND003.*gpu.*passed on cpu"):
        given(a_row(), device=Device.GPU)


def test_an_ordinary_process_has_no_image_to_hand_over() -> None:
    row = a_row()
    details = {**row.details, "image": {**row.details["image"], "backend": "process"}}
    details["reports"] = [{**each, "image": None} for each in details["reports"]]
    with pytest.raises(HandOffRefused, match="HND004"):
        given(replace(row, details=details))


def test_a_cluster_needs_an_image_that_a_registry_has() -> None:
    row = a_row()
    with pytest.raises(HandOffRefused, match="HND005"):
        given(row, image="")
    with pytest.raises(HandOffRefused, match="HND006"):
        given(row, image="registry.example.com/x:latest")
    made = given(row, Platform.DOCKER, image="")
    assert docker_command(made)[-1] == row.details["reports"][0]["image"]["digest"]
    assert compose_file(made)["services"]["model"]["pull_policy"] == "never"


def test_names_fit_every_platform_and_no_two_versions_share_one() -> None:
    import re

    names = {
        platform_name(name, version)
        for name in ("iris", "Iris", "iris_", "语言", "a" * 64, "9lives", "-x-", "iris-0")
        for version in ("0.0.1", "0.1.0", "10.0.1")
    }
    assert len(names) == 24
    for name in names:
        assert re.fullmatch(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?", name), name
    assert platform_name("iris", "0.0.1") == "iris-0-0-1"
