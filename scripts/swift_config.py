"""The configuration files and rings of a Swift on one machine and one disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from scripts.children import Keeper
from scripts.local_state import private_dir, read_json, write_private

SERVERS = ("account", "container", "object", "proxy")
DEVICE = "disk1"

PROXY_PIPELINE = (
    "catch_errors gatekeeper healthcheck listing_formats bulk tempurl s3api tempauth copy slo dlo versioned_writes "
    "symlink proxy-server"
)

#: A bucket may also be named by its host, `<bucket>.` before this; nobody resolves it, so clients need a proxy for it.
STORAGE_DOMAIN = "storage.test"

# One partition, one copy, one device: all the ring that one folder needs. In one process, because nine calls of
# swift-ring-builder cost seconds of imports.
_MAKE_RINGS = """
import json, sys
from swift.common.ring import RingBuilder
folder, device, ports = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
for name in ("account", "container", "object"):
    builder = RingBuilder(part_power=0, replicas=1, min_part_hours=1)
    builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": ports[name], "device": device, "weight": 1.0,
                     "replication_ip": "127.0.0.1", "replication_port": ports[name], "meta": ""})
    builder.rebalance(seed="1")
    builder.get_ring().save(f"{folder}/{name}.ring.gz")
"""


def write(
    folder: Path,
    ports: Mapping[str, int],
    *,
    account: str,
    user: str,
    secret_key: str,
    hash_prefix: str,
    hash_suffix: str,
    region: str,
    host: str,
    run_as: str,
) -> None:
    """Writes swift.conf and the four servers' configuration files.

    Args:
        folder: The state folder; files, rings and the disk's folder go there.
        ports: Port on 127.0.0.1 of every server.
        account: Swift's account, the part of the access key before the colon.
        user: The user in it, the part after the colon.
        secret_key: The user's secret.
        hash_prefix: Swift's secret in the hash of every path; must stay the same while objects are stored.
        hash_suffix: The second such secret.
        region: The region that the s3api reports.
        host: The address that the proxy listens on; the others listen on 127.0.0.1.
        run_as: The system user that the servers run as.
    """
    private_dir(folder / "disk" / DEVICE)
    write_private(
        folder / "swift.conf",
        f"""[swift-hash]
swift_hash_path_prefix = {hash_prefix}
swift_hash_path_suffix = {hash_suffix}

[storage-policy:0]
name = single
default = yes
""",
    )
    common = f"""swift_dir = {folder}
user = {run_as}
# 0: serve in the one process that was started, without a pool of workers.
workers = 0
# A port that is taken must show at once, not after half a minute of attempts.
bind_timeout = 1
log_level = WARNING
"""
    for name in SERVERS[:3]:
        write_private(
            folder / f"{name}.conf",
            f"""[DEFAULT]
{common}bind_ip = 127.0.0.1
bind_port = {ports[name]}
devices = {folder / "disk"}
mount_check = false
# Share of the disk that Swift refuses to fill, and preallocates for: a laptop's disk is the user's to fill.
fallocate_reserve = 0

[pipeline:main]
pipeline = healthcheck {name}-server

[app:{name}-server]
use = egg:swift#{name}
log_requests = false

[filter:healthcheck]
use = egg:swift#healthcheck
""",
        )
    write_private(
        folder / "proxy.conf",
        f"""[DEFAULT]
{common}bind_ip = {host}
bind_port = {ports["proxy"]}

[pipeline:main]
# Without `cache`: it would talk to whatever memcached listens on this machine.
pipeline = {PROXY_PIPELINE}

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
allow_account_management = true

[filter:s3api]
use = egg:swift#s3api
location = {region}
storage_domain = {STORAGE_DOMAIN}
allow_multipart_uploads = true
max_bucket_listing = 1000
max_multi_delete_objects = 1000

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secret_key} .admin

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true
allow_object_versioning = true

[filter:slo]
use = egg:swift#slo
# The s3api joins multipart uploads with these; S3 allows 10,000 parts.
max_manifest_segments = 10000
max_manifest_size = 8388608

[filter:catch_errors]
use = egg:swift#catch_errors
[filter:gatekeeper]
use = egg:swift#gatekeeper
[filter:healthcheck]
use = egg:swift#healthcheck
[filter:listing_formats]
use = egg:swift#listing_formats
[filter:bulk]
use = egg:swift#bulk
[filter:tempurl]
use = egg:swift#tempurl
[filter:copy]
use = egg:swift#copy
[filter:dlo]
use = egg:swift#dlo
[filter:symlink]
use = egg:swift#symlink
""",
    )


def make_rings(
    keeper: Keeper, python: Path, folder: Path, ports: Mapping[str, int], *, env: Mapping[str, str], name: str
) -> None:
    """Makes the rings, which tell the servers each other's ports, unless they are there for these ports.

    Raises:
        ChildFailed: Swift's ring builder failed.
    """
    stamp = folder / "rings.json"
    if read_json(stamp) == dict(ports) and (folder / "object.ring.gz").exists():
        return
    argv: list[str | os.PathLike[str]] = [python, "-c", _MAKE_RINGS, str(folder), DEVICE, json.dumps(dict(ports))]
    keeper.run(name, [str(part) for part in argv], env=env, log=folder / "log" / "rings.log", cwd=folder, timeout_s=60)
    write_private(stamp, json.dumps(dict(ports)) + "\n")
