"""Objects of any size on a server that holds 100 MB: Swift joins them from one object of zeros when they are read."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from scripts.object_server import default_venv_dir
from tests.conftest import Bucket

#: Zeros come in so many bytes.
ZEROS = 100_000_000

# The S3 protocol has no such objects, so Swift's own client writes their manifests, without a server of its own.
_PUT_MANIFEST = """
import io, os, sys
from swift.common import utils
folder, account, container, key = sys.argv[1:]
utils.set_swift_dir(folder)
from swift.common.internal_client import InternalClient
client = InternalClient(os.path.join(folder, "internal.conf"), "tests", 1)
body = sys.stdin.buffer.read()
path = client.make_path(account, container, key) + "?multipart-manifest=put"
client.make_request("PUT", path, {"Content-Length": str(len(body))}, (2,), io.BytesIO(body))
"""
_CONFIGURATION = """[DEFAULT]
swift_dir = {folder}
log_level = ERROR

[pipeline:main]
pipeline = catch_errors slo proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true

[filter:slo]
use = egg:swift#slo
max_manifest_segments = 10000

[filter:catch_errors]
use = egg:swift#catch_errors
"""


class LargeObjects:
    """Writes them.

    Args:
        server: The object server.
        bucket: Where they go.
    """

    def __init__(self, server: Any, bucket: Bucket) -> None:
        self._folder: Path = server.state_dir
        self._account = f"AUTH_{server.access_key.partition(':')[0]}"
        self._bucket = bucket
        self._parts = 0
        (self._folder / "internal.conf").write_text(_CONFIGURATION.format(folder=self._folder))
        bucket.put("parts/zeros", bytes(ZEROS))

    def put(self, key: str, pieces: list[bytes | int]) -> None:
        """Write an object of bytes and of so many zeros, in this order."""
        segments = []
        for piece in pieces:
            if isinstance(piece, bytes):
                self._parts += 1
                name = f"parts/{self._parts}"
                self._bucket.put(name, piece)
                segments.append({"path": f"/{self._bucket.name}/{name}", "size_bytes": len(piece)})
            else:
                whole, rest = divmod(piece, ZEROS)
                assert rest == 0
                segments += [{"path": f"/{self._bucket.name}/parts/zeros", "size_bytes": ZEROS}] * whole
        python = default_venv_dir() / "bin" / "python"
        argv = [str(python), "-c", _PUT_MANIFEST, str(self._folder), self._account, self._bucket.name, key]
        environment = {"PATH": os.environ["PATH"], "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(
            argv, input=json.dumps(segments).encode(), env=environment, capture_output=True, timeout=120
        )
        assert done.returncode == 0, done.stderr.decode()
