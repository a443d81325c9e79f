"""Makes what `docker compose up` needs and no repository may hold: secrets, and what belongs to this machine.

    python3 -m scripts.compose_secrets                          once, before the first `docker compose up`
    python3 -m scripts.compose_secrets --devices gpu            with a worker for GPUs
    python3 -m scripts.compose_secrets --data /srv/airlock      packages and working files in another folder

Secrets go into secrets/, one file each, readable by the stack's user only. They are made once: a second call keeps
them, and writes anew what is put together from them. Needs nothing but Python.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from scripts.local_state import ROOT, LocalError, kept_values, new_password, private_dir, write_private
from scripts.object_server import CREDENTIALS, REGION, airflow_connection

#: The user of the image, for a stack that root starts.
IMAGE_UID = 50000
DATABASE_ROLES = ("postgres", "airflow", "results", "airlock")
#: Password file → the roles in it. Workers never see Airflow's own database.
PASSWORD_FILES = {
    "pgpass_init": DATABASE_ROLES,
    "pgpass_core": ("airflow", "results", "airlock"),
    "pgpass_worker": ("results", "airlock"),
}
DEVICES = ("gpu", "ascend")
DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_DATA = "/var/lib/airlock"
REGISTRY_USER = "airlock"
BUILD_CA = "/run/secrets/build_ca"
MAKERS: dict[str, Callable[[], str]] = {
    **{f"{role}_password": new_password for role in DATABASE_ROLES},
    "redis_password": new_password,
    "fernet_key": lambda: base64.urlsafe_b64encode(os.urandom(32)).decode(),
    "jwt_secret": lambda: secrets.token_hex(64),
    "api_secret_key": lambda: secrets.token_hex(32),
    "admin_password": new_password,
    "registry_password": new_password,
}


def write_secrets(folder: Path, environ: Mapping[str, str]) -> None:
    """Writes every file that docker-compose.yaml names below `secrets:`.

    Args:
        folder: Where they go.
        environ: pip's variables in it (PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, PIP_TRUSTED_HOST, PIP_CERT) hold while the
            images are built, as does the registry's port (REGISTRY_PORT).

    Raises:
        LocalError: PIP_CERT names no file.
    """
    private_dir(folder)
    kept = {name: _kept(folder / name, maker) for name, maker in MAKERS.items()}
    server = kept_values(folder / "object_server", CREDENTIALS)
    for name, roles in PASSWORD_FILES.items():
        lines = [f"postgres:5432:*:{role}:{kept[f'{role}_password']}\n" for role in roles]
        write_private(folder / name, "".join(lines))
    write_private(folder / "broker_url", f"redis://:{kept['redis_password']}@redis:6379/0")
    access_key = f"{server['account']}:{server['user']}"
    connection = airflow_connection("http://object-storage:9000", REGION, access_key, server["secret_key"])
    registry = f"localhost:{environ.get('REGISTRY_PORT') or 5000}"
    images = {"conn_type": "docker", "host": registry, "login": REGISTRY_USER, "password": kept["registry_password"]}
    write_private(folder / "connections", json.dumps({"airlock_s3": connection, "airlock_images": images}, indent=2))
    login = base64.b64encode(f"{REGISTRY_USER}:{kept['registry_password']}".encode()).decode()
    write_private(folder / "docker_config", json.dumps({"auths": {registry: {"auth": login}}}))
    _write_pip(folder, environ)


def _kept(path: Path, maker: Callable[[], str]) -> str:
    if not path.exists():
        write_private(path, maker())
    return path.read_text(encoding="utf-8")


def _write_pip(folder: Path, environ: Mapping[str, str]) -> None:
    certificate = environ.get("PIP_CERT") or ""
    if certificate and not Path(certificate).is_file():
        raise LocalError(f"PIP_CERT is {certificate}, and there is no such file")
    text = Path(certificate).read_text(encoding="utf-8") if certificate else ""
    write_private(folder / "build_ca", text)
    options = {
        "index-url": environ.get("PIP_INDEX_URL") or "",
        "extra-index-url": environ.get("PIP_EXTRA_INDEX_URL") or "",
        "trusted-host": environ.get("PIP_TRUSTED_HOST") or "",
        "cert": BUILD_CA if text else "",
        # A slow network is no reason to begin again.
        "timeout": environ.get("PIP_DEFAULT_TIMEOUT") or "60",
    }
    lines = [f"{name} = {value}\n" for name, value in options.items() if value]
    write_private(folder / "pip_conf", "[global]\n" + "".join(lines))


def machine_values(
    environ: Mapping[str, str], *, folder: Path, data: Path, socket: Path, devices: tuple[str, ...], uid: int
) -> dict[str, str]:
    """Returns what belongs to this machine, as docker-compose.yaml names it.

    Args:
        environ: PIP_CERT and REGISTRY_PORT in it are handed on.
        folder: Folder of the secrets.
        data: Folder of packages and working files.
        socket: The socket of the container engine.
        devices: Devices that get a worker of their own.
        uid: The user that the stack runs as.

    Raises:
        LocalError: There is no such socket.
    """
    if not socket.is_socket():
        raise LocalError(f"there is no container engine's socket {socket}; name it with --socket")
    values = {
        "AIRLOCK_UID": str(uid),
        "AIRLOCK_SECRETS": str(folder),
        "DOCKER_GID": str(socket.stat().st_gid),
        "DOCKER_SOCKET": str(socket),
        "AIRLOCK_DATA": str(data),
        "COMPOSE_PROFILES": ",".join(devices),
        # A queue belongs to one kind of worker: else one without the device might take its tests.
        "CPU_QUEUES": ",".join(["cpu", *(device for device in DEVICES if device not in devices)]),
        "AIRLOCK_PIP_CERT": BUILD_CA if environ.get("PIP_CERT") else "",
    }
    if environ.get("REGISTRY_PORT"):
        values["REGISTRY_PORT"] = environ["REGISTRY_PORT"]
    return values


def write_machine(path: Path, values: Mapping[str, str]) -> None:
    """Writes values into an environment file; lines of other names stay."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.partition("=")[0].strip() not in values]
    write_private(path, "\n".join([*kept, *(f"{name}={value}" for name, value in values.items())]) + "\n")


def make_data_folder(data: Path, uid: int) -> None:
    """Makes the folder that workers share with the engine's host.

    Raises:
        LocalError: It cannot be made, or belongs to somebody else.
    """
    try:
        data.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            os.chown(data, uid, 0)
    except OSError as error:
        raise LocalError(f"{data} cannot be made ({error.strerror}); choose another folder with --data") from error
    if data.stat().st_uid != uid:
        raise LocalError(f"{data} belongs to user {data.stat().st_uid}, the stack runs as {uid}; choose another --data")


def main() -> int:
    """Runs the command."""
    parser = argparse.ArgumentParser(
        prog="python3 -m scripts.compose_secrets", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--data", type=Path, help=f"folder of packages (default: the last one, or {DEFAULT_DATA})")
    parser.add_argument("--devices", default="", help="devices with a worker of their own: gpu, ascend, or both")
    parser.add_argument("--socket", type=Path, default=Path(DEFAULT_SOCKET), help=f"the engine's ({DEFAULT_SOCKET})")
    parser.add_argument("--project", type=Path, default=ROOT, help="folder of secrets/ and .env (default: this one)")
    arguments = parser.parse_args()
    devices = tuple(name.strip() for name in arguments.devices.split(",") if name.strip())
    if unknown := [name for name in devices if name not in DEVICES]:
        parser.error(f"unknown device {unknown[0]!r}; there are {', '.join(DEVICES)}")
    uid = os.geteuid() or IMAGE_UID
    folder, machine = arguments.project.absolute() / "secrets", arguments.project / ".env"
    data = (arguments.data or Path(_known(machine).get("AIRLOCK_DATA") or DEFAULT_DATA)).absolute()
    try:
        values = machine_values(os.environ, folder=folder, data=data, socket=arguments.socket, devices=devices, uid=uid)
        make_data_folder(data, uid)
        write_secrets(folder, os.environ)
        write_machine(machine, values)
        if os.geteuid() == 0:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, uid)
    except (LocalError, OSError) as error:
        print(f"compose secrets: {error}", file=sys.stderr)
        return 1
    print(f"secrets in {folder}, packages in {data}, the rest in {machine}")
    print(f"next: docker compose up --detach; user admin, password in {folder / 'admin_password'}")
    return 0


def _known(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


if __name__ == "__main__":
    sys.exit(main())
