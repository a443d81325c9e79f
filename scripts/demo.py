"""The demo: example models go from training to registered versions, on real parts, and nothing is left running.

python -m scripts.demo                              the default examples
python -m scripts.demo --engines all --backend process
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from scripts import bootstrap, container_engine, demo_report, example_packages, object_server
from scripts.airflow_config import BACKEND_VARIABLE, BACKENDS, WITHOUT_ISOLATION
from scripts.airflow_local import CONNECTION_VARIABLE, AirflowLocal
from scripts.children import Interrupted, Keeper, Patience, interruptible
from scripts.example_packages import Example
from scripts.import_run import DAG_ID, ImportRun, follow_until_finished
from scripts.local_state import LocalError, state_dir
from scripts.object_server import ObjectServer
from scripts.progress import Progress

SETUP = "setup"
POLL_S = 0.4
DAG_TIMEOUT_S = 120.0
# Downloading a large engine into a runtime is part of a first import.
IMPORT_TIMEOUT_S = 3600.0
CANCEL_TIMEOUT_S = 15.0


class Demo:
    """Everything that one demo runs, and its end."""

    def __init__(self, engines: str, backend: str, elapsed_s: float = 0.0) -> None:
        """Prepares nothing yet.

        Args:
            engines: Which examples, as `example_packages.choose` takes them.
            backend: `auto`, `docker` or `process`.
            elapsed_s: Seconds that belong to the demo and have passed already.
        """
        self.progress = Progress(sys.stdout, elapsed_s=elapsed_s)
        self.runs: list[ImportRun] = []
        self._engines = engines
        self._backend = backend
        self._state = state_dir()
        self._tools = Keeper(grace_s=5)
        self._server = ObjectServer(self._state / "object-server" / "state")
        self._airflow = AirflowLocal()
        self._pool = ThreadPoolExecutor(8, thread_name_prefix="demo")

    def run(self) -> None:
        """Runs the demo up to the end of the last import.

        Raises:
            LocalError: Something that it needs is missing or failed.
        """
        self._airflow.claim()
        # Here, because what the main thread waits for ends with an interrupt.
        bootstrap.sync_environment(object_server.default_venv_dir(), object_server.LOCK_FILE, self.progress.note)
        examples = example_packages.choose(self._engines)
        self.progress.note(f"importing {', '.join(example.name for example in examples)}")
        storage = self._in_background("object server", self._server.start)
        databases = self._in_background("databases", self._airflow.prepare)
        trained = self._train_in_background(examples)
        backend = self._choose_backend(examples)
        airflow = self._pool.submit(self._launch_airflow, storage, databases, backend)
        waiting = {example: trained[example] for example in examples}
        began = time.monotonic()
        while waiting or not all(run.is_finished for run in self.runs):
            self._look_at([storage, databases, airflow, *waiting.values()])
            for example in [example for example in waiting if waiting[example].done() and airflow.done()]:
                self._import(example, waiting.pop(example).result(), storage)
            for run in self.runs:
                if not run.is_finished:
                    run.follow()
            self.progress.refresh()
            if time.monotonic() - began > IMPORT_TIMEOUT_S:
                raise LocalError(f"the imports have not ended after {IMPORT_TIMEOUT_S:.0f} s")
            self._pause(airflow)

    def stop(self, patience: Patience) -> None:
        """Ends everything: unfinished imports first, so that their versions are decided and their containers gone."""
        unfinished = [run for run in self.runs if not run.is_finished]
        if unfinished and not patience.is_over:
            self.progress.note("ending the unfinished imports (once more to stop at once)")
            for run in unfinished:
                run.cancel()
            follow_until_finished(unfinished, CANCEL_TIMEOUT_S, lambda: patience.is_over)
        self.progress.close()
        self.progress.begin(SETUP, "stop")
        with ThreadPoolExecutor(3) as stoppers:
            list(stoppers.map(lambda part: part.stop(), (self._tools, self._airflow, self._server)))
        # What still waits in there waits for children that are gone now.
        self._pool.shutdown(wait=True, cancel_futures=True)
        swept = container_engine.sweep(f"{DAG_ID}/{run.run_id}" for run in self.runs) if self._uses_docker() else 0
        left = f", {swept} containers of cancelled imports removed" if swept else ""
        self.progress.end(SETUP, "stop", f"no process and no port is left{left}")

    def _uses_docker(self) -> bool:
        return self._backend == "docker"

    def _in_background(self, step: str, work: Callable[[], None]) -> Future[None]:
        def timed() -> None:
            self.progress.begin(SETUP, step)
            work()
            self.progress.end(SETUP, step, "ready")

        return self._pool.submit(timed)

    def _train_in_background(self, examples: list[Example]) -> dict[Example, Future[Path]]:
        """One after the other: each would like all processors, and the first import can start early."""
        futures: dict[Example, Future[Path]] = {example: Future() for example in examples}

        def train_all() -> None:
            for example, future in futures.items():
                try:
                    self.progress.begin(example.name, "train")
                    out = self._state / "examples" / "packages"
                    log = self._state / "logs" / "examples" / f"{example.name}.log"
                    package = example_packages.train(example, self._tools, out, log)
                    self.progress.end(example.name, "train", f"with {example.runtime}")
                    future.set_result(package)
                except LocalError as error:
                    future.set_exception(error)
                    return

        self._pool.submit(train_all)
        return futures

    def _choose_backend(self, examples: list[Example]) -> str:
        if self._backend == "process":
            self.progress.note(WITHOUT_ISOLATION)
            return "process"
        self.progress.begin(SETUP, "containers")
        try:
            container_engine.connect()
            images = [container_engine.base_image(example.engine, example.runtime) for example in examples]
            log = self._state / "logs" / "make-base-images.log"
            container_engine.provide_base_images(images, self._tools, log, self.progress.note)
        except container_engine.EngineUnusable as error:
            if self._backend == "docker":
                raise
            self.progress.end(SETUP, "containers", "NOT USED")
            self.progress.note(f"{WITHOUT_ISOLATION}, because {error}")
            self._backend = "process"
        else:
            self._backend = "docker"
            self.progress.end(SETUP, "containers", "Docker Engine answers, base images are there")
        return self._backend

    def _launch_airflow(self, storage: Future[None], databases: Future[None], backend: str) -> None:
        storage.result()
        databases.result()
        self.progress.begin(SETUP, "airflow")
        self._airflow.launch({
            CONNECTION_VARIABLE: self._server.airflow_connection_json(),
            BACKEND_VARIABLE: backend,
        })
        self._airflow.api().wait_for_dag(DAG_ID, DAG_TIMEOUT_S, self._airflow.launched_at)
        self.progress.end(SETUP, "airflow", f"healthy at {self._airflow.url}")

    def _look_at(self, futures: list[Future[None] | Future[Path]]) -> None:
        """Raises the first failure of what runs in the background."""
        for future in futures:
            if future.done():
                future.result()
        if self.runs:
            self._server.check()
            self._airflow.check()

    def _import(self, example: Example, package: Path, storage: Future[None]) -> None:
        storage.result()
        self.progress.begin(example.name, "upload")
        location = example_packages.upload(package, example.name, self._server)
        self.progress.end(example.name, "upload", location)
        conf = {"model_name": example.name, "source_location": location, "labels": ["demo"]}
        self.runs.append(ImportRun(self._airflow.api(), self.progress, example.name, example.engine, conf))

    def _pause(self, airflow: Future[None]) -> None:
        if airflow.done():
            self._airflow.wait(POLL_S)
        else:
            time.sleep(POLL_S)


def main() -> int:
    """Runs the demo; exit code 0 only if every version is Normal."""
    parser = argparse.ArgumentParser(prog="python -m scripts.demo", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--engines", default="", help="all, or names with commas (default: those that download little)")
    parser.add_argument("--backend", default="auto", choices=BACKENDS)
    parser.add_argument("--began", type=float, help="when the demo began, with its setup, in seconds since 1970")
    arguments = parser.parse_args()
    elapsed_s = max(0.0, time.time() - arguments.began) if arguments.began else 0.0
    failure = ""
    try:
        with interruptible() as patience:
            demo = Demo(arguments.engines, arguments.backend, elapsed_s)
            try:
                demo.run()
            except (LocalError, OSError) as error:
                failure = str(error)
            finally:
                demo.stop(patience)
    except Interrupted as interrupted:
        print("interrupted")
        return interrupted.exit_code
    except (LocalError, OSError) as error:
        failure = str(error)
    else:
        print()
        print(demo_report.render(demo.runs, demo.progress.elapsed_s()), flush=True)
    if failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 1
    return 0 if demo.runs and all(run.is_normal for run in demo.runs) else 1


if __name__ == "__main__":
    sys.exit(main())
