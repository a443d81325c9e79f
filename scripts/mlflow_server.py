"""A real MLflow server on this machine, on the loopback interface only, for tests and benchmarks.

    with MlflowServer(Path("some/folder")) as server:
        requests.get(f"{server.url}/health")

It runs in an environment of its own, `.airlock/tools/mlflow`, made at the first start: MLflow brings more packages than
Airflow would bear beside it. What it writes lies in the given folder.
"""

from __future__ import annotations

import shutil
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from scripts.bootstrap import clean_environment
from scripts.children import ChildFailed, Keeper
from scripts.local_state import free_ports, state_dir
from scripts.uv_tool import find_uv, run_uv

PACKAGE = "mlflow==3.17.2"
START_TIMEOUT_S = 180.0
GRACE_S = 5.0


class MlflowServer:
    """One server with a database of its own.

    Attributes:
        folder: What it writes.
        port: Where it listens on 127.0.0.1. Known after start(), and the same after another.
    """

    def __init__(self, folder: Path, tell: Callable[[str], None] = lambda line: None) -> None:
        """Prepares nothing yet.

        Args:
            folder: For its database and its log.
            tell: Gets a line where something takes long.
        """
        self.folder = folder.absolute()
        self.port = 0
        self._tell = tell
        self._keeper = Keeper(GRACE_S)

    def __enter__(self) -> MlflowServer:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Starts it, and returns when it answers.

        Raises:
            ChildFailed: It ended, its log says why.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        python, log = environment(self._tell), self.folder / "mlflow.log"
        self.port = self.port or free_ports(1)[0]
        self._keeper = Keeper(GRACE_S)
        self._keeper.start(
            "mlflow",
            [
                python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1",
                "--backend-store-uri", f"sqlite:///{self.folder}/mlflow.db",
                "--artifacts-destination", str(self.folder / "artifacts"),
            ],
            env={**clean_environment(), "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"},
            log=log, cwd=self.folder,
        )  # fmt: skip
        try:
            deadline = time.monotonic() + START_TIMEOUT_S
            while not self._answers():
                if time.monotonic() > deadline:
                    raise ChildFailed("mlflow", f"did not answer within {START_TIMEOUT_S:.0f} s", log)
                self._keeper.wait_any(["mlflow"], 0.2)
                self._keeper.check(["mlflow"])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Ends it."""
        self._keeper.stop()

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def environment(tell: Callable[[str], None]) -> Path:
    """The Python that has MLflow, with an environment made where there is none."""
    folder = state_dir() / "tools" / "mlflow"
    python, stamp = folder / "bin" / "python", folder / "packages"
    if not stamp.exists() or stamp.read_text() != PACKAGE:
        tell(f"installing {PACKAGE}")
        shutil.rmtree(folder, ignore_errors=True)
        uv = find_uv(tell)
        run_uv(uv, ["venv", "--quiet", "--python", sys.executable, str(folder)])
        run_uv(uv, ["pip", "install", "--quiet", "--python", str(python), PACKAGE])
        stamp.write_text(PACKAGE)
    return python
