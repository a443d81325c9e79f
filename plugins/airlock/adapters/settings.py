"""Settings of section [airlock] in Airflow's configuration; AIRFLOW__AIRLOCK__* in the environment.

docs/operations.md lists them; a test compares that list with this module.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from airlock.domain.source import DEFAULT_CONNECTION, parse_prefix
from airlock.errors import SettingInvalid

SECTION = "airlock"
GIGABYTE = 1_000_000_000
BACKENDS = ("auto", "docker", "process")
PROCESS_ISOLATIONS = ("auto", "bubblewrap", "none")
ASCEND_ACCESSES = ("auto", "devices", "runtime")
PULL_POLICIES = ("missing", "always", "never")
NEVER = "never"
PRESETS = ("@hourly", "@daily", "@weekly", "@monthly")
_CRON = re.compile(r"[0-9A-Za-z*/,#?-]+(?: [0-9A-Za-z*/,#?-]+){4}")
SCARCE_DEVICES = ("gpu", "ascend")
_RESOURCE = re.compile(r"((?:[a-z0-9.-]+/)?[A-Za-z0-9._-]+)=([0-9]+(?:\.[0-9]+)?(?:m|[kMGT]i?)?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRequest:
    """What the pod of a device's test asks Kubernetes for.

    Attributes:
        device: `gpu` or `ascend`.
        resources: Name and quantity: `nvidia.com/gpu` and `1`, `memory` and `16Gi`.
    """

    device: str
    resources: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, checked.

    Attributes:
        store: Folder of the package store.
        registry_url: SQLAlchemy URL of the registry.
        backend: `auto`, `docker` or `process`.
        process_isolation: Whether the process backend uses bubblewrap: `auto`, where it can; `bubblewrap`; `none`.
        ascend_access: How containers get Ascend devices: `auto`, `devices` or `runtime`.
        device_pools: Whether the test tasks run in Airflow pools of their own, one for each device.
        runtimes_dir: Environments of the process backend.
        work_dir: Short-lived files, locks and build logs.
        include_dir: Specifications, catalogue and serving code.
        reports: Reports of imports; every worker writes there, and the pages read it.
        judge_refused: Whether suites judge the files of an import that ends before its service is tested.
        judge_dir: Where the process that judges tables is found; its user's alone.
        judge_idle_s: Seconds that it stays when no task needs it.
        base_image_prefix: Replaces the public registry in base images.
        build_network: Network of image builds, as `docker build --network` takes it.
        build_timeout_s: Seconds that one layer may take.
        file_source_dirs: Folders below which `file:///` packages may lie; none means that there may be none.
        max_package_bytes: Largest package.
        max_objects: Most objects below a source folder.
        max_image_bytes: Largest image of the user's own.
        image_pull: Whether such an image is pulled where it is `missing`, `always` or `never`.
        image_registries: Registries that such images may be pulled from; none means any.
        image_repository: Where the installation's own images are pushed to and pulled from; empty means nowhere.
        image_connections: Ids of the Connections that container registries know us by.
        relay_image: Image with Python that the relay to such an image's ports runs in.
        pod_requests: What the pods of tests ask Kubernetes for; at most one for each device.
        batch_concurrency: Imports of one batch at once.
        notify_connections: Ids of the Connections that are told when a version becomes Normal, Failed or Abnormal.
        notifiers: Dotted names of Airflow notifiers that are told, too.
        mlflow_connection: Id of the Connection of the MLflow server that mirrors registered versions; empty for none.
        arrivals: Prefix whose packages are imported when their markers appear, `s3://bucket/folder/*/`; empty for none.
        arrivals_marker: Name of a package's marker, beside `model/`.
        arrivals_connection: Id of the Connection that opens the prefix.
        arrivals_poll_s: Seconds between two looks at the prefix.
        revalidation_schedule: When registered versions are looked at again, as Airflow's `schedule`; empty for never.
        pip_index_url: Package index; empty means PIP_INDEX_URL.
        pip_extra_index_url: Further indexes; empty means PIP_EXTRA_INDEX_URL.
        pip_find_links: Folders of wheels; empty means PIP_FIND_LINKS.
        pip_cert: CA bundle; empty means PIP_CERT.
        pip_trusted_host: Hosts without a valid certificate; empty means PIP_TRUSTED_HOST.
        pip_no_index: Whether only wheels on disk are used.
    """

    store: Path
    registry_url: str
    backend: str
    process_isolation: str
    ascend_access: str
    device_pools: bool
    runtimes_dir: Path
    work_dir: Path
    include_dir: Path
    reports: Path
    judge_refused: bool
    judge_dir: Path
    judge_idle_s: float
    base_image_prefix: str
    build_network: str
    build_timeout_s: float
    file_source_dirs: tuple[Path, ...]
    max_package_bytes: int
    max_objects: int
    max_image_bytes: int
    image_pull: str
    image_registries: tuple[str, ...]
    image_repository: str
    image_connections: tuple[str, ...]
    relay_image: str
    pod_requests: tuple[PodRequest, ...]
    batch_concurrency: int
    notify_connections: tuple[str, ...]
    notifiers: tuple[str, ...]
    mlflow_connection: str
    arrivals: str
    arrivals_marker: str
    arrivals_connection: str
    arrivals_poll_s: float
    revalidation_schedule: str
    pip_index_url: str
    pip_extra_index_url: str
    pip_find_links: str
    pip_cert: str
    pip_trusted_host: str
    pip_no_index: bool


def load_settings(get: Callable[[str], str]) -> Settings:
    """Read and check the settings.

    Args:
        get: Key → text, empty where nothing is set.

    Raises:
        SettingInvalid: A value cannot be used.
    """
    home = Path(os.environ.get("AIRFLOW_HOME") or Path.home() / "airflow") / "airlock"

    def path(key: str, default: Path) -> Path:
        value = Path(get(key) or default).expanduser()
        if not value.is_absolute():
            raise SettingInvalid("SET001", f"`[airlock] {key}` is {str(value)!r}.", "Write an absolute path.")
        return value

    def folders(key: str) -> tuple[Path, ...]:
        found = tuple(Path(name) for name in names(key))
        if not all(each.is_absolute() and ".." not in each.parts for each in found):
            raise SettingInvalid("SET001", f"`[airlock] {key}` is {get(key)!r}.", "Write absolute paths with commas.")
        return found

    def number(key: str, default: float, least: float) -> float:
        text = get(key)
        try:
            value = float(text) if text else default
        except ValueError:
            value = float("nan")
        if not value >= least:
            raise SettingInvalid("SET001", f"`[airlock] {key}` is {text!r}.", f"Write a number from {least:g} upwards.")
        return value

    def names(key: str, form: Callable[[str], str] = str) -> tuple[str, ...]:
        return tuple(form(name.strip()) for name in get(key).split(",") if name.strip())

    def choice(key: str, allowed: tuple[str, ...]) -> str:
        value = get(key).lower() or allowed[0]
        if value not in allowed:
            raise SettingInvalid("SET001", f"`[airlock] {key}` is {value!r}.", f"Write one of {', '.join(allowed)}.")
        return value

    def flag(key: str) -> bool:
        return choice(key, ("false", "true", "0", "1")) in ("true", "1")

    def prefix(key: str) -> str:
        text = get(key)
        if text and parse_prefix(text) is None:
            raise SettingInvalid("SET001", f"`[airlock] {key}` is {text!r}.", "Write s3://bucket/folder/*/.")
        return text

    def schedule(key: str, default: str) -> str:
        text = " ".join(get(key).split()) or default
        if text.lower() == NEVER:
            return ""
        if text not in PRESETS and not _CRON.fullmatch(text):
            fix = f"Write five fields of cron, one of {', '.join(PRESETS)}, or {NEVER}."
            raise SettingInvalid("SET001", f"`[airlock] {key}` is {text!r}.", fix)
        return text

    def pod_requests(key: str) -> tuple[PodRequest, ...]:
        requests: dict[str, PodRequest] = {}
        for text in filter(None, (part.strip() for part in get(key).split(";"))):
            device, _, asked = text.partition(":")
            found = [_RESOURCE.fullmatch(each) for each in asked.split()]
            resources = tuple((match[1], match[2]) for match in found if match)
            # A resource of a device has a domain: without one the pod would get none.
            has_device = any("/" in name for name, _ in resources)
            if device not in SCARCE_DEVICES or device in requests or len(resources) < len(found) or not has_device:
                raise SettingInvalid(
                    "SET001",
                    f"`[airlock] {key}` holds {text!r}.",
                    "Write, for each device once: gpu: nvidia.com/gpu=1 cpu=4 memory=16Gi; "
                    "ascend: huawei.com/Ascend910=1 cpu=4 memory=16Gi.",
                )
            requests[device] = PodRequest(device=device, resources=resources)
        return tuple(requests.values())

    return Settings(
        store=path("store", home / "store"),
        registry_url=get("registry_url") or f"sqlite:///{home / 'registry.db'}",
        backend=choice("backend", BACKENDS),
        process_isolation=choice("process_isolation", PROCESS_ISOLATIONS),
        ascend_access=choice("ascend_access", ASCEND_ACCESSES),
        device_pools=flag("device_pools"),
        runtimes_dir=path("runtimes_dir", home / "runtimes"),
        work_dir=path("work_dir", home / "work"),
        include_dir=path("include_dir", Path(__file__).resolve().parents[3] / "include"),
        reports=path("reports", home / "reports"),
        judge_refused=choice("judge_refused", ("true", "false", "1", "0")) in ("true", "1"),
        judge_dir=path("judge_dir", Path(tempfile.gettempdir()) / f"airlock-judge-{os.getuid()}"),
        judge_idle_s=number("judge_idle_s", 600, 0),
        base_image_prefix=get("base_image_prefix"),
        build_network=get("build_network") or "default",
        build_timeout_s=number("build_timeout_s", 3600, 1),
        file_source_dirs=folders("file_source_dirs"),
        max_package_bytes=int(number("max_package_bytes", 20 * GIGABYTE, 1)),
        max_objects=int(number("max_objects", 20_000, 1)),
        max_image_bytes=int(number("max_image_bytes", 30 * GIGABYTE, 1)),
        image_pull=choice("image_pull", PULL_POLICIES),
        image_registries=names("image_registries", str.lower),
        image_repository=get("image_repository"),
        image_connections=names("image_connections"),
        relay_image=get("relay_image") or "python:3.11-slim-bookworm",
        pod_requests=pod_requests("pod_requests"),
        batch_concurrency=int(number("batch_concurrency", 4, 1)),
        notify_connections=names("notify_connections"),
        notifiers=names("notifiers"),
        mlflow_connection=get("mlflow_connection"),
        arrivals=prefix("arrivals"),
        arrivals_marker=get("arrivals_marker") or "_READY",
        arrivals_connection=get("arrivals_connection") or DEFAULT_CONNECTION,
        arrivals_poll_s=number("arrivals_poll_s", 60, 1),
        revalidation_schedule=schedule("revalidation_schedule", "@daily"),
        pip_index_url=get("pip_index_url"),
        pip_extra_index_url=get("pip_extra_index_url"),
        pip_find_links=get("pip_find_links"),
        pip_cert=get("pip_cert"),
        pip_trusted_host=get("pip_trusted_host"),
        pip_no_index=flag("pip_no_index"),
    )


def from_airflow() -> Settings:
    """The settings of the Airflow installation that this process belongs to.

    Raises:
        SettingInvalid: A value cannot be used.
    """
    from airflow.configuration import conf

    return load_settings(lambda key: conf.get(SECTION, key, fallback="") or "")


def from_environment() -> Settings:
    """The settings without Airflow: environment variables only. For commands that must start fast.

    Raises:
        SettingInvalid: A value cannot be used.
    """
    return load_settings(lambda key: os.environ.get(f"AIRFLOW__{SECTION.upper()}__{key.upper()}", ""))
