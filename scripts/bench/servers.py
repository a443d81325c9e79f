"""The servers that fetches are measured against.

`LightServer` is nginx that answers the four kinds of request that both sides send: a listing, an object, a range of
it, and one on the condition of a tag. It reads over signatures, so it is a server for benchmarks and nothing else.
Why not the real one that the tests use: Swift takes six milliseconds of a processor for each object, so on a machine of
few processors both sides would mostly wait for it, and the figure would say little about either.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol
from xml.sax.saxutils import escape

from scripts.bench.measure import take
from scripts.children import Keeper
from scripts.local_state import LocalError, free_ports
from scripts.object_server import ObjectServer

BUCKET = "bench"
_PART_BYTES = 64 * 1024 * 1024
_START_TIMEOUT_S = 20.0
_CONFIGURATION = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 512; }}
http {{
  log_format requests '$request_method $uri $status $body_bytes_sent';
  access_log {folder}/requests.log requests;
  client_body_temp_path {folder}/temporary;
  proxy_temp_path {folder}/temporary;
  fastcgi_temp_path {folder}/temporary;
  uwsgi_temp_path {folder}/temporary;
  scgi_temp_path {folder}/temporary;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 100000;
  map $arg_prefix $listing {{ default none; ~^([a-z]+)(/|%2F) $1; }}
  server {{
    listen 127.0.0.1:{port};
    root {folder}/objects;
    location ~ ^/{bucket}/?$ {{ default_type application/xml; root {folder}; try_files /listings/$listing =404; }}
  }}
}}
"""


class BenchServer(Protocol):
    """What a fetch is measured against."""

    endpoint_url: str
    access_key: str
    secret_key: str
    region: str

    def put(self, package: str, sizes: Sequence[int], *, sparse: bool = False) -> None:
        """Put a package of random files into the bucket, or of zeros that take no room."""

    def object_requests(self) -> int:
        """How many objects or parts of them were asked for so far."""

    def airflow_connection_json(self) -> str:
        """The value of an AIRFLOW_CONN_ variable."""


class LightServer:
    """nginx on the loopback interface.

    Args:
        folder: Where it keeps everything.
    """

    access_key, secret_key, region = "bench", "bench-secret", "us-east-1"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keeper = Keeper(1.0)
        self.endpoint_url = ""

    def __enter__(self) -> LightServer:
        program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise LocalError("the benchmark needs nginx: apt-get install nginx-light")
        for name in ("temporary", "listings", f"objects/{BUCKET}"):
            (self._folder / name).mkdir(parents=True)
        (port,) = free_ports(1)
        self.endpoint_url = f"http://127.0.0.1:{port}"
        configuration = self._folder / "nginx.conf"
        text = _CONFIGURATION.format(folder=self._folder, port=port, bucket=BUCKET)
        # Started by root its workers would be nobody, who may not look into a folder of root's.
        configuration.write_text(f"user root;\n{text}" if os.geteuid() == 0 else text, encoding="utf-8")
        self._keeper.start(
            "nginx",
            [program, "-c", configuration, "-e", self._folder / "error.log"],
            env=dict(os.environ),
            log=self._folder / "nginx.log",
        )
        self._wait()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._keeper.stop()

    def _wait(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while True:
            try:
                urllib.request.urlopen(f"{self.endpoint_url}/{BUCKET}/none", timeout=5).close()
            except urllib.error.HTTPError:
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise LocalError(f"nginx does not answer; {self._folder / 'error.log'} says why") from None
                time.sleep(0.1)

    def put(self, package: str, sizes: Sequence[int], *, sparse: bool = False) -> None:
        """Put a package of random files into the bucket, or of zeros that take no room."""
        folder = self._folder / "objects" / BUCKET / package / "model"
        write_files(folder, sizes, sparse=sparse)
        rows = []
        for path in sorted(folder.iterdir()):
            status = path.stat()
            # As nginx itself makes a file's tag.
            tag = f'"{int(status.st_mtime):x}-{status.st_size:x}"'
            rows.append(
                f"<Contents><Key>{package}/model/{path.name}</Key><LastModified>2024-01-01T00:00:00.000Z</LastModified>"
                f"<ETag>{escape(tag, {chr(34): '&quot;'})}</ETag><Size>{status.st_size}</Size>"
                "<StorageClass>STANDARD</StorageClass></Contents>"
            )
        listing = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Name>{BUCKET}</Name><Prefix>{package}/</Prefix><KeyCount>{len(rows)}</KeyCount>"
            f"<MaxKeys>{len(rows)}</MaxKeys><IsTruncated>false</IsTruncated>{''.join(rows)}</ListBucketResult>"
        )
        (self._folder / "listings" / package).write_text(listing, encoding="utf-8")

    def object_requests(self) -> int:
        """How many objects or parts of them were asked for."""
        lines = (self._folder / "requests.log").read_text(encoding="utf-8").splitlines()
        return sum(f" /{BUCKET}/" in line and "/model/" in line for line in lines)

    def airflow_connection_json(self) -> str:
        """The value of an AIRFLOW_CONN_ variable."""
        extra = {
            "endpoint_url": self.endpoint_url,
            "region_name": self.region,
            "config_kwargs": {"s3": {"addressing_style": "path"}},
        }
        return json.dumps({"conn_type": "aws", "login": self.access_key, "password": self.secret_key, "extra": extra})


class SwiftServer(ObjectServer):
    """The real server that the tests use.

    Args:
        folder: Where it keeps everything.
        s5cmd: The program that uploads.
    """

    def __init__(self, folder: Path, s5cmd: Path) -> None:
        super().__init__(folder / "server")
        self._folder = folder
        self._s5cmd = s5cmd

    def start(self) -> None:
        """Start it, and make the bucket."""
        super().start()
        self._s5("mb", f"s3://{BUCKET}")

    def put(self, package: str, sizes: Sequence[int], *, sparse: bool = False) -> None:
        """Put a package of random files into the bucket, or of zeros."""
        source = self._folder / "source" / package / "model"
        write_files(source, sizes, sparse=sparse)
        self._s5("cp", f"{source}/", f"s3://{BUCKET}/{package}/model/")
        shutil.rmtree(source.parent)

    def object_requests(self) -> int:
        """How many objects or parts of them were asked for so far."""
        lines = (self.log_dir / "proxy.log").read_text(encoding="utf-8", errors="replace").splitlines()
        return sum(f"GET /{BUCKET}/" in line and "/model/" in line for line in lines)

    def _s5(self, *arguments: str) -> None:
        env = {**os.environ, **client_environment(self)}
        take([str(self._s5cmd), *arguments], env=env, cwd=self._folder, log=self._folder / "upload.log")


def client_environment(server: BenchServer) -> dict[str, str]:
    """Variables by which s5cmd finds a server."""
    return {
        "AWS_ACCESS_KEY_ID": server.access_key,
        "AWS_SECRET_ACCESS_KEY": server.secret_key,
        "AWS_REGION": server.region,
        "S3_ENDPOINT_URL": server.endpoint_url,
    }


def write_files(folder: Path, sizes: Sequence[int], *, sparse: bool = False) -> None:
    """Write files named by their number: random bytes, or zeros that take no room."""
    folder.mkdir(parents=True)
    for number, size in enumerate(sizes):
        with (folder / f"{number:05d}.bin").open("wb") as file:
            if sparse:
                file.truncate(size)
                continue
            left = size
            while left:
                left -= file.write(os.urandom(min(left, _PART_BYTES)))
