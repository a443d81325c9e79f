"""The example packages: which there are, trained here, uploaded as a user's tool would do it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path
from typing import NamedTuple

from scripts.bootstrap import clean_environment
from scripts.children import Keeper
from scripts.local_state import ROOT, VENV_PYTHON, LocalError, log_tail
from scripts.object_server import ObjectServer

MAKE_PACKAGE = ROOT / "examples" / "make_package.py"
BUCKET = "airlock-demo"
# Installing an engine's training environment is a download of up to a gigabyte.
TRAIN_TIMEOUT_S = 1800.0


class ExampleUnknown(LocalError):
    """No such example, or none that this machine can train."""


class UploadFailed(LocalError):
    """The object server did not take a package."""


class Example(NamedTuple):
    """One example package.

    Attributes:
        engine: The engine's name.
        name: The model's name.
        runtime: The runtime that trains and serves it.
    """

    engine: str
    name: str
    runtime: str


def choose(engines: str) -> list[Example]:
    """Returns the wanted examples, in the order of the list.

    Args:
        engines: Empty for the default ones, `all`, or names with commas.

    Raises:
        ExampleUnknown: A name is unknown, or there is no Python here for its runtimes.
    """
    listing = subprocess.run(
        [str(VENV_PYTHON), str(MAKE_PACKAGE), "--list"],
        env=clean_environment(),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if listing.returncode != 0:
        raise ExampleUnknown(f"the examples cannot be listed:\n{listing.stderr.strip()}")
    rows = [json.loads(line) for line in listing.stdout.splitlines() if line.startswith("{")]
    wanted = [name.strip() for name in engines.split(",") if name.strip()]
    known = [row["engine"] for row in rows]
    unknown = [name for name in wanted if name not in known and name != "all"]
    if unknown:
        raise ExampleUnknown(f"no example for {', '.join(unknown)}; there are {', '.join(known)}, and all")
    if "all" in wanted:
        wanted = known
    chosen = [row for row in rows if (row["engine"] in wanted if wanted else row["default"])]
    for row in chosen:
        if row["runtime"] is None:
            raise ExampleUnknown(
                f"this machine has no Python that a current runtime of {row['engine']} is made for; install Python 3.11"
            )
    return [Example(row["engine"], row["name"], row["runtime"]) for row in chosen]


def train(example: Example, keeper: Keeper, out: Path, log: Path) -> Path:
    """Trains the example's model and writes its package.

    Returns:
        The package's folder, which contains `model/`.

    Raises:
        ChildFailed: The training failed; its log says why.
    """
    log.unlink(missing_ok=True)
    keeper.run(
        f"train {example.name}",
        [VENV_PYTHON, MAKE_PACKAGE, "--engine", example.engine, "--runtime", example.runtime, "--out", out],
        env=clean_environment(),
        log=log,
        timeout_s=TRAIN_TIMEOUT_S,
    )
    return Path(log_tail(log, 1))


def upload(package: Path, name: str, server: ObjectServer) -> str:
    """Puts a package into the object server, in place of what is there under its name.

    Args:
        package: The folder that contains `model/`.
        name: The folder's name in the bucket.
        server: The running object server.

    Returns:
        The source location for the import.

    Raises:
        UploadFailed: The server refused or is gone.
    """
    import boto3
    from boto3.exceptions import Boto3Error
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(
            s3={"addressing_style": "path"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )
    files = {f"{name}/{path.relative_to(package).as_posix()}": path for path in package.rglob("*") if path.is_file()}
    try:
        with contextlib.suppress(client.exceptions.BucketAlreadyOwnedByYou):
            client.create_bucket(Bucket=BUCKET)
        for key, path in sorted(files.items()):
            # In parts when it is large.
            client.upload_file(str(path), BUCKET, key)
        # What an earlier package had and this one has not would be imported with it.
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=f"{name}/"):
            for entry in page.get("Contents", []):
                if entry["Key"] not in files:
                    client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    except (Boto3Error, BotoCoreError, ClientError) as error:
        raise UploadFailed(f"{package} could not be uploaded to {server.endpoint_url}: {error}") from error
    return f"s3://{BUCKET}/{name}/"
