"""Small images of a user's own: an HTTP service in Python, and one of nothing but a shell."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

#: The service of the Python images. What its environment says changes how it behaves.
SERVICE = """
import json, os, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if os.environ.get("NEEDS_ROOT") and os.getuid() != 0:
    sys.exit("only root can do this")
STARTED = time.time()

def writable(folder):
    try:
        with open(os.path.join(folder, "probe"), "w") as probe:
            probe.write("x")
        return True
    except OSError:
        return False

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/healthz":
            ready = time.time() - STARTED >= float(os.environ.get("READY_AFTER", 0))
            self.answer(int(os.environ.get("HEALTH", 200)) if ready else 503, "text/plain", b"ok" if ready else b"wait")
        elif self.path == "/v1/about":
            self.answer(200, "text/plain", b"adds numbers")
        else:
            self.answer(404, "text/plain", b"no such path")

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/v1/sum":
            self.answer(200, "application/json", json.dumps({"sum": sum(body["numbers"])}).encode())
        elif self.path == "/v1/facts":
            facts = {
                "user": [os.getuid(), os.getgid()],
                "interfaces": sorted(os.listdir("/sys/class/net")),
                "writable": [folder for folder in body["folders"] if writable(folder)],
                "model": sorted(os.listdir("/home/mind/model")),
                "environment": sorted(os.environ),
                "capabilities": [line for line in open("/proc/self/status") if line.startswith("CapEff")][0].split()[1],
            }
            self.answer(200, "application/json", json.dumps(facts).encode())

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

ThreadingHTTPServer(("", int(os.environ.get("PORT", 8080))), Handler).serve_forever()
"""

_SUM = """#!/bin/sh
printf 'Content-Type: application/json\\r\\n\\r\\n'
read -r body
numbers=${body#*[}
numbers=${numbers%%]*}
echo "{\\"sum\\": $((${numbers//,/+}))}"
"""


def build(client: Any, tag: str, dockerfile: str, **files: bytes) -> None:
    """Build an image from texts; `__` in a name stands for a dot."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, data in {"Dockerfile": dockerfile.encode(), **files}.items():
            entry = tarfile.TarInfo(name.replace("__", "."))
            entry.size, entry.mode = len(data), 0o755
            archive.addfile(entry, io.BytesIO(data))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=tag, rm=True, forcerm=True)


def python_image(client: Any, tag: str, *lines: str) -> None:
    """The Python service with further lines of its Dockerfile."""
    text = "\n".join(
        ["FROM python:3.11-slim", "COPY service.py /srv/service.py", "EXPOSE 8080", *lines,
         'CMD ["python", "-u", "/srv/service.py"]', ""]
    )  # fmt: skip
    build(client, tag, text, service__py=SERVICE.encode())


def static_shell() -> Path | None:
    """A busybox that needs no library (Debian: busybox-static), None where there is none."""
    found = shutil.which("busybox")
    if found is None:
        return None
    said = subprocess.run(["ldd", found], capture_output=True, text=True, check=False)
    return Path(found) if said.returncode else None


def shell_image(client: Any, tag: str, shell: Path) -> None:
    """An image with one file of two megabytes and a script: no libraries, no passwd, no /tmp."""
    text = "\n".join(
        ["FROM scratch", "COPY busybox /bin/busybox", "COPY busybox /bin/sh", "COPY sum /www/cgi-bin/sum",
         "COPY healthz /www/healthz", "EXPOSE 8080",
         'CMD ["/bin/busybox", "httpd", "-f", "-p", "8080", "-h", "/www"]', ""]
    )  # fmt: skip
    build(client, tag, text, busybox=shell.read_bytes(), sum=_SUM.encode(), healthz=b"ok\n")


def body(schema: Any) -> dict[str, Any]:
    """One direction of an API."""
    return {"Content-type": "application/json", "data": schema}


NUMBERS = {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "integer"}}},
}
SUM = {"type": "object", "required": ["sum"], "properties": {"sum": {"type": "integer"}}}


def a_config(location: str, **changes: Any) -> dict[str, Any]:
    """The configuration of the Python service."""
    config = {
        "model_type": "Image",
        "model_algorithm": "predict_analysis",
        "swr_location": location,
        "health": {"url": "/healthz", "timeout_seconds": 5, "period_seconds": 0.2},
        "apis": [
            {"url": "/v1/sum", "request": body(NUMBERS), "response": body(SUM)},
            {"url": "/v1/about", "method": "get"},
        ],
    }
    return {key: value for key, value in {**config, **changes}.items() if value is not None}


def a_shell_config(location: str, **changes: Any) -> dict[str, Any]:
    """The configuration of the image of nothing but a shell."""
    apis = [{"url": "/cgi-bin/sum", "request": body(NUMBERS), "response": body(SUM)}]
    return a_config(location, **{"apis": apis, **changes})


def package(config: dict[str, Any], **samples: Any) -> dict[str, bytes]:
    """A package of that configuration, with samples by name."""
    return {
        "model/config.json": json.dumps(config).encode(),
        **{f"model/samples/{name}.json": json.dumps(value).encode() for name, value in samples.items()},
    }
