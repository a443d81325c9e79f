"""The serving code under load, against MLflow's scoring server and MLServer with the same model, in one run.

Each server is one process as it is meant to be started, on this machine's processors, which `wrk` shares with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts import mlflow_server
from scripts.bench.measure import RunFailed
from scripts.bench.table import Row
from scripts.local_state import ROOT, free_ports
from scripts.uv_tool import find_uv, run_uv

SKLEARN = "scikit-learn==1.9.1"
MLFLOW = (mlflow_server.PACKAGE, SKLEARN)
MLSERVER = ("mlserver==1.7.1", "mlserver-sklearn==1.7.1", SKLEARN)
CONNECTIONS = 8
WARM_UP_S = 2
LOAD_S = 6
READY_S = 180.0
_TRAIN = """
import sys
import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

rows, kinds = load_iris(return_X_y=True)
joblib.dump(LogisticRegression(max_iter=500).fit(rows, kinds), sys.argv[1])
"""
_SAVE_FOR_MLFLOW = """
import sys
import joblib
import mlflow.sklearn

mlflow.sklearn.save_model(joblib.load(sys.argv[1]), sys.argv[2])
"""
ROW = (5.1, 3.5, 1.4, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server to be loaded.

    Attributes:
        argv: The program and its arguments.
        env: Its whole environment.
        url: Where it predicts.
        body: One request with one row.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    url: str
    body: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What `wrk` says of one load.

    Attributes:
        per_second: Requests that were answered in a second.
        p99_ms: 99th percentile of the times.
    """

    per_second: float
    p99_ms: float


class ServingBench:
    """Three servers with one model.

    Args:
        folder: Where models and logs lie; gone at the end.
        tools: Where the environments lie; they stay for the next run.
        tell: Takes a line of progress.

    Raises:
        RunFailed: `wrk` is not installed.
    """

    def __init__(self, folder: Path, tools: Path, tell: Callable[[str], None]) -> None:
        if shutil.which("wrk") is None:
            raise RunFailed("wrk is not installed (Debian: wrk)")
        self._folder, self._tools, self._tell = folder, tools, tell
        folder.mkdir(parents=True)
        self._uv = find_uv(tell)

    def servers(self) -> dict[str, Server]:
        """The servers, with everything that they need."""
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        pins = ROOT / f"include/runtimes/images/constraints/Scikit_Learn/sklearn1.9-python{version}.txt"
        ours = self._environment("ours", "-r", str(pins))
        mlflow, mlserver = self._environment("mlflow", *MLFLOW), self._environment("mlserver", *MLSERVER)
        model = self._folder / "package" / "model" / "iris.m"
        model.parent.mkdir(parents=True)
        self._run(ours, "-c", _TRAIN, str(model))
        (model.parent / "config.json").write_text(json.dumps({"model_type": "Scikit_Learn"}))
        self._run(mlflow, "-c", _SAVE_FOR_MLFLOW, str(model), str(self._folder / "mlflow"))
        return {
            "ours": self._ours(ours),
            "mlflow": self._mlflow(mlflow),
            "mlserver": self._mlserver(mlserver, model),
        }

    def load(self, name: str, server: Server) -> Load:
        """Start a server, load it, and end it."""
        script = self._folder / "post.lua"
        script.write_text(
            f'wrk.method = "POST"\nwrk.body = [==[{server.body}]==]\nwrk.headers["Content-Type"] = "application/json"\n'
        )
        log = self._folder / f"{name}.log"
        with self._running(server, log):
            self._wrk(server, script, WARM_UP_S)
            return read_wrk(self._wrk(server, script, LOAD_S))

    def _ours(self, python: Path) -> Server:
        home, port = self._folder / "home", free_ports(1)[0]
        env = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT / "include" / "runtimes" / "serving"),
            "AIRLOCK_ENGINE": "Scikit_Learn",
            "AIRLOCK_PACKAGE_DIR": str(self._folder / "package"),
            "AIRLOCK_HOME": str(home),
            "AIRLOCK_BIND": f"127.0.0.1:{port}",
        }
        row = dict(zip("abcd", ROW, strict=True))
        return Server(
            argv=(str(python), "-m", "model_service.server"),
            env=env,
            url=f"http://127.0.0.1:{port}/",
            body=json.dumps({"data": {"req_data": [row]}}),
        )

    def _mlflow(self, python: Path) -> Server:
        port = free_ports(1)[0]
        argv = (str(python), "-m", "mlflow", "models", "serve", "--model-uri", str(self._folder / "mlflow"))
        return Server(
            argv=(*argv, "--env-manager", "local", "--port", str(port)),
            env={"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(self._folder)},
            url=f"http://127.0.0.1:{port}/invocations",
            body=json.dumps({"inputs": [list(ROW)]}),
        )

    def _mlserver(self, python: Path, model: Path) -> Server:
        folder = self._folder / "mlserver"
        (folder / "iris").mkdir(parents=True)
        port = free_ports(1)[0]
        settings = {
            "host": "127.0.0.1",
            "http_port": port,
            "grpc_port": free_ports(1)[0],
            "metrics_port": free_ports(1)[0],
            # In its own process, without passing each request on to another one: its fastest way for a small model.
            "parallel_workers": 0,
            "debug": False,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        described = {
            "name": "iris",
            "implementation": "mlserver_sklearn.SKLearnModel",
            "parameters": {"uri": str(model)},
        }
        (folder / "iris" / "model-settings.json").write_text(json.dumps(described))
        tensor = {"name": "rows", "shape": [1, 4], "datatype": "FP64", "data": list(ROW)}
        return Server(
            argv=(str(python.parent / "mlserver"), "start", str(folder)),
            env={"PATH": f"{python.parent}:{os.environ['PATH']}", "HOME": str(self._folder)},
            url=f"http://127.0.0.1:{port}/v2/models/iris/infer",
            body=json.dumps({"inputs": [tensor]}),
        )

    def _environment(self, name: str, *packages: str) -> Path:
        """An environment with packages, made once."""
        folder = self._tools / name
        python, stamp = folder / "bin" / "python", folder / "bench-packages"
        if not stamp.exists() or stamp.read_text() != "\n".join(packages):
            self._tell(f"installing {' '.join(packages)}")
            shutil.rmtree(folder, ignore_errors=True)
            run_uv(self._uv, ["venv", "--quiet", "--python", sys.executable, str(folder)])
            run_uv(self._uv, ["pip", "install", "--quiet", "--python", str(python), *packages])
            stamp.write_text("\n".join(packages))
        return python

    def _run(self, python: Path, *arguments: str) -> None:
        done = subprocess.run([str(python), *arguments], cwd=self._folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunFailed(f"{python} ended with status {done.returncode}:\n{done.stderr[-2000:]}")

    @contextlib.contextmanager
    def _running(self, server: Server, log: Path) -> Iterator[None]:
        with log.open("wb") as output:
            process = subprocess.Popen(
                server.argv,
                env=dict(server.env),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                self._until_ready(server, process, log)
                yield
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def _until_ready(self, server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
        deadline = time.monotonic() + READY_S
        request = urllib.request.Request(
            server.url, server.body.encode(), {"Content-Type": "application/json"}, method="POST"
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while time.monotonic() < deadline and process.poll() is None:
            try:
                with opener.open(request, timeout=10) as answer:
                    answer.read()
                return
            except (OSError, urllib.error.URLError):
                time.sleep(0.2)
        raise RunFailed(f"{server.argv[0]} did not answer:\n{log.read_text(errors='replace')[-2000:]}")

    def _wrk(self, server: Server, script: Path, seconds: int) -> str:
        argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", str(script), server.url]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RunFailed(f"wrk ended with status {done.returncode}:\n{done.stderr[-2000:]}")
        return done.stdout


def read_wrk(text: str) -> Load:
    """What `wrk --latency` printed.

    Raises:
        RunFailed: An answer was no success, or the figures are not there.
    """
    wrong = re.search(r"Non-2xx or 3xx responses: \d+|Socket errors: .*", text)
    if wrong:
        raise RunFailed(f"the load was not answered: {wrong[0]}")
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", text)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", text)
    if per_second is None or p99 is None:
        raise RunFailed(f"wrk said no figures:\n{text[-2000:]}")
    unit = {"us": 0.001, "ms": 1.0, "s": 1000.0}[p99[2]]
    return Load(per_second=float(per_second[1]), p99_ms=float(p99[1]) * unit)


def rows(bench: ServingBench, *, runs: int, tell: Callable[[str], None]) -> Iterator[Row]:
    """The rows about serving.

    Args:
        bench: The servers.
        runs: How often each is loaded, in turns.
        tell: Takes a line of progress.
    """
    servers = bench.servers()
    loads: dict[str, list[Load]] = {name: [] for name in servers}
    for _ in range(runs):
        for name, server in servers.items():
            load = bench.load(name, server)
            tell(f"{name}: {load.per_second:.0f} requests/s, p99 {load.p99_ms:.1f} ms")
            loads[name].append(load)
    ours = _median(loads["ours"])
    for name, title in (("mlflow", "MLflow's"), ("mlserver", "MLServer's")):
        other = _median(loads[name])
        yield Row(
            name=f"time of a request under load, iris ({ours.per_second:.0f}/s), to {title} ({other.per_second:.0f}/s)",
            value=other.per_second / ours.per_second,
            unit="ratio",
            target=0.5,
        )
        yield Row(
            name=f"p99 of the same ({ours.p99_ms:.1f} ms), to {title} ({other.p99_ms:.1f} ms)",
            value=ours.p99_ms / other.p99_ms,
            unit="ratio",
            target=1.0,
        )


def _median(loads: Sequence[Load]) -> Load:
    return Load(
        per_second=statistics.median(load.per_second for load in loads),
        p99_ms=statistics.median(load.p99_ms for load in loads),
    )
