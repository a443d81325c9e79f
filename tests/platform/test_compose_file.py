"""docker-compose.yaml read without starting it, and the secrets that it needs. tests/compose starts it."""

from __future__ import annotations

import configparser
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from scripts import airflow_config, compose_secrets
from scripts.local_state import ROOT, LocalError

FILE = ROOT / "docker-compose.yaml"
STACK: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = STACK["services"]
ENDS_BY_ITSELF = {"init"}
#: Settings of a local run that hold for one machine only.
LOCAL_ONLY = {
    ("core", "executor"), ("core", "parallelism"), ("core", "dags_folder"), ("core", "plugins_folder"),
    ("core", "simple_auth_manager_users"), ("core", "simple_auth_manager_passwords_file"), ("core", "fernet_key"),
    ("core", "execution_api_server_url"), ("core", "hostname_callable"), ("database", "sql_alchemy_conn"),
    ("api", "host"), ("api", "port"), ("api", "base_url"), ("api", "secret_key"), ("api_auth", "jwt_secret"),
    ("airlock", "store"), ("airlock", "registry_url"), ("airlock", "runtimes_dir"), ("airlock", "work_dir"),
    ("airlock", "judge_dir"),
}  # fmt: skip


def environment(service: str) -> dict[str, str]:
    found: dict[str, str] = SERVICES[service].get("environment", {})
    return found


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_service_has_limits_a_network_at_most_and_a_health_check(service: str) -> None:
    settings = SERVICES[service]
    limits = settings["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}
    assert settings.get("networks") == ["airlock"] or settings["network_mode"] == "none"
    assert "no-new-privileges:true" in settings["security_opt"]
    assert not settings.get("privileged")
    assert ("healthcheck" in settings) == (service not in ENDS_BY_ITSELF)
    assert settings["restart"] == ("no" if service in ENDS_BY_ITSELF else "unless-stopped")


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_every_image_has_a_tag_and_a_variable_that_replaces_it(service: str) -> None:
    matched = re.fullmatch(r"\$\{[A-Z_]+_IMAGE:-[a-z-]+:([A-Za-z0-9._-]+)\}", SERVICES[service]["image"])
    assert matched, SERVICES[service]["image"]
    assert re.match(r"\d+\.\d+", matched[1])


def test_there_is_one_network_and_nothing_is_published_beyond_this_machine() -> None:
    assert list(STACK["networks"]) == ["airlock"]
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert sorted(published) == ["api-server", "object-storage", "registry"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


@pytest.mark.parametrize("service", sorted(SERVICES))
def test_no_secret_stands_in_the_environment(service: str) -> None:
    for name, value in environment(service).items():
        assert not re.search(r"://[^/@\s]*:[^/@\s]+@", str(value)), name
        if re.search(r"PASSWORD|PASSFILE|SECRET|KEY|TOKEN|BROKER", name):
            assert name.endswith(("_CMD", "_FILE")) or name == "PGPASSFILE", name
            assert str(value).removeprefix("cat ").startswith("/run/secrets/"), name


def test_workers_get_no_secret_of_airflows_own() -> None:
    core = {"pgpass_core", "fernet_key", "api_secret_key", "jwt_secret", "connections", "admin_password"}
    workers = [name for name in SERVICES if name.startswith("worker-")]
    assert sorted(workers) == ["worker-ascend", "worker-cpu", "worker-gpu"]
    for name in workers:
        given = {one if isinstance(one, str) else one["source"] for one in SERVICES[name]["secrets"]}
        assert not given & core
        assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in environment(name)


def test_the_engines_socket_is_seen_by_the_proxy_alone() -> None:
    text = {name: json.dumps(service) for name, service in SERVICES.items()}
    assert [name for name in text if "docker.sock" in text[name] and "DOCKER_SOCKET" in text[name]] == ["docker-proxy"]
    mounted = {name for name, service in SERVICES.items() if "docker-proxy:/run/docker-proxy" in service["volumes"]}
    # `init` mounts it once, empty, so that it belongs to the stack's user.
    assert mounted == {"docker-proxy", "init", "worker-cpu", "worker-gpu", "worker-ascend"}


@pytest.mark.parametrize("worker", ["worker-cpu", "worker-gpu", "worker-ascend"])
def test_store_and_sockets_have_the_engines_paths(worker: str) -> None:
    shared = [one for one in SERVICES[worker]["volumes"] if isinstance(one, dict)]
    folder = shared[0]["source"]
    assert shared[0]["target"] == folder
    assert environment(worker)["AIRFLOW__AIRLOCK__STORE"] == f"{folder}/store"
    assert environment(worker)["AIRFLOW__AIRLOCK__WORK_DIR"] == f"{folder}/work"
    assert environment(worker)["AIRFLOW__AIRLOCK__REPORTS"] == f"{folder}/reports"


def test_the_api_server_reads_what_workers_report_and_writes_nothing_there() -> None:
    (shared,) = [one for one in SERVICES["api-server"]["volumes"] if isinstance(one, dict)]
    assert environment("api-server")["AIRFLOW__AIRLOCK__REPORTS"] == f"{shared['target']}/reports"
    assert shared["read_only"]


@pytest.mark.parametrize("device", ["gpu", "ascend"])
def test_a_device_has_a_profile_and_a_queue_of_its_own(device: str) -> None:
    service = SERVICES[f"worker-{device}"]
    assert service["profiles"] == [device]
    assert service["command"][-1] == device
    assert {name for name in SERVICES if "profiles" in SERVICES[name]} == {"worker-gpu", "worker-ascend"}


@pytest.mark.parametrize("queues,refused", [("cpu,gpu,ascend", True), ("cpu,ascend", False)])
def test_a_worker_for_gpus_refuses_to_share_its_queue_with_those_for_cpus(
    queues: str, refused: bool, tmp_path: Path
) -> None:
    stand_in = tmp_path / "airflow"
    stand_in.write_text('#!/bin/sh\necho "$@"\n')
    stand_in.chmod(0o755)
    # Compose writes two dollar signs as one.
    command = [part.replace("$$", "$") for part in SERVICES["worker-gpu"]["command"]]
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "CPU_QUEUES": queues}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if refused:
        assert done.returncode == 1
        assert "scripts.compose_secrets --devices gpu" in done.stderr
    else:
        assert done.stdout == "celery worker --skip-serve-logs --queues gpu --concurrency 1\n"


def test_the_stack_has_the_settings_of_a_local_run(tmp_path: Path) -> None:
    airflow_config.write(
        tmp_path / "home", tmp_path, port=8080, dags_folder=tmp_path, plugins_folder=tmp_path, parallelism=1
    )
    parser = configparser.RawConfigParser()
    parser.read(tmp_path / "home" / "airflow.cfg", encoding="utf-8")
    local = {(section, key): value for section in parser.sections() for key, value in parser[section].items()}
    assert set(local) >= LOCAL_ONLY
    core = environment("scheduler")
    for (section, key), value in local.items():
        if (section, key) not in LOCAL_ONLY:
            assert core.get(f"AIRFLOW__{section.upper()}__{key.upper()}") == value, (section, key)


def test_build_and_proxy_settings_are_files_that_are_there() -> None:
    assert all((ROOT / config["file"]).is_file() for config in STACK["configs"].values())
    for name in ("init", "object-storage"):
        build = SERVICES[name]["build"]
        assert f" AS {build['target']}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
        assert not set(build["args"]) & {"PIP_INDEX_URL", "PIP_CERT"}, "arguments stay in an image's history"


# ── the secrets ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def engine_socket(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "docker.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        yield path


def make(project: Path, engine_socket: Path, *more: str, **environ: str) -> subprocess.CompletedProcess[str]:
    base = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "REGISTRY_"))}
    command = [sys.executable, "-m", "scripts.compose_secrets", "--project", str(project), "--socket"]
    return subprocess.run(
        [*command, str(engine_socket), *more],
        cwd=ROOT,
        env={**base, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def machine(project: Path) -> dict[str, str]:
    lines = (project / ".env").read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_every_secret_of_the_file_is_made_for_its_owner_alone(tmp_path: Path, engine_socket: Path) -> None:
    assert make(tmp_path, engine_socket, "--data", str(tmp_path / "data")).returncode == 0
    folder = tmp_path / "secrets"
    wanted = {secret["file"].rpartition("/")[2].rstrip("}") for secret in STACK["secrets"].values()}
    there = {path.name for path in folder.iterdir()}
    # The roles' passwords are inside of the password files.
    assert there - wanted == {"airflow_password", "results_password", "airlock_password"}
    assert wanted <= there
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600
    uid = os.geteuid() or compose_secrets.IMAGE_UID
    assert {path.stat().st_uid for path in (folder, tmp_path / "data", *folder.iterdir())} == {uid}
    assert machine(tmp_path)["AIRLOCK_UID"] == str(uid)
    assert ":airflow:" not in (folder / "pgpass_worker").read_text(encoding="utf-8")


def test_a_second_call_keeps_the_secrets_and_what_else_is_in_the_environment_file(
    tmp_path: Path, engine_socket: Path
) -> None:
    assert make(tmp_path, engine_socket, "--data", str(tmp_path / "data")).returncode == 0
    before = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()}
    with (tmp_path / ".env").open("a", encoding="utf-8") as file:
        file.write("WORKER_MEMORY=8g\n")
    assert make(tmp_path, engine_socket, "--devices", "gpu").returncode == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "secrets").iterdir()} == before
    values = machine(tmp_path)
    assert values["WORKER_MEMORY"] == "8g"
    assert (values["COMPOSE_PROFILES"], values["CPU_QUEUES"]) == ("gpu", "cpu,ascend")
    assert values["AIRLOCK_DATA"] == str(tmp_path / "data")


def test_two_installations_share_no_secret(tmp_path: Path, engine_socket: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        assert make(tmp_path / name, engine_socket, "--data", str(tmp_path / "data")).returncode == 0
    for name in compose_secrets.MAKERS:
        assert len({(tmp_path / one / "secrets" / name).read_text(encoding="utf-8") for one in ("one", "two")}) == 2


def test_pips_settings_go_into_the_builds_secrets(tmp_path: Path, engine_socket: Path) -> None:
    authority = tmp_path / "ca.crt"
    authority.write_text("a certificate")
    index = "https://someone:hidden@index.example.com/simple"
    done = make(tmp_path, engine_socket, "--data", str(tmp_path), PIP_INDEX_URL=index, PIP_CERT=str(authority))
    assert done.returncode == 0
    parser = configparser.RawConfigParser()
    parser.read(tmp_path / "secrets" / "pip_conf", encoding="utf-8")
    assert dict(parser["global"]) == {"index-url": index, "cert": "/run/secrets/build_ca", "timeout": "60"}
    assert (tmp_path / "secrets" / "build_ca").read_text(encoding="utf-8") == "a certificate"
    assert machine(tmp_path)["AIRLOCK_PIP_CERT"] == "/run/secrets/build_ca"
    assert "hidden" not in done.stdout


@pytest.mark.parametrize(
    "arguments,environ,said",
    [
        (["--socket", "/nowhere/docker.sock"], {}, "no container engine's socket /nowhere/docker.sock"),
        (["--devices", "tpu"], {}, "unknown device 'tpu'"),
        ([], {"PIP_CERT": "/nowhere/ca.crt"}, "PIP_CERT is /nowhere/ca.crt, and there is no such file"),
        (["--data", "/proc/airlock"], {}, "choose another folder with --data"),
    ],
)
def test_what_cannot_be_is_said(
    arguments: list[str], environ: dict[str, str], said: str, tmp_path: Path, engine_socket: Path
) -> None:
    done = make(tmp_path, engine_socket, "--data", str(tmp_path), *arguments, **environ)
    assert done.returncode != 0
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_data_folder_of_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(LocalError, match=f"belongs to user {os.getuid()}, the stack runs as 12345"):
        compose_secrets.make_data_folder(tmp_path, 12345)


def test_compose_reads_the_file_with_every_profile(tmp_path: Path, engine_socket: Path) -> None:
    where = subprocess.run([ROOT / "scripts/get-compose", "--where"], capture_output=True, text=True, check=True)
    env = {**os.environ, "DOCKER_CONFIG": where.stdout.strip()}
    if subprocess.run(["docker", "compose", "version"], env=env, capture_output=True, check=False).returncode:
        pytest.skip("Docker Compose v2 is not there (scripts/get-compose)")
    assert make(tmp_path, engine_socket, "--data", str(tmp_path), "--devices", "gpu,ascend").returncode == 0
    done = subprocess.run(
        ["docker", "compose", "--file", FILE, "--env-file", tmp_path / ".env", "config", "--format", "json"],
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    seen = json.loads(done.stdout)
    assert sorted(seen["services"]) == sorted(SERVICES)
    assert seen["services"]["worker-cpu"]["command"][4:6] == ["--queues", "cpu"]
    assert all(Path(secret["file"]).is_file() for secret in seen["secrets"].values())
