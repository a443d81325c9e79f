"""Measure what the project promises, both sides in one run.

python -m scripts.bench                    everything
python -m scripts.bench --only bake --runs 3 --size 500000000
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from airlock.errors import AirlockError
from scripts import bootstrap
from scripts.bench import bake, batch, fetch, imports, serving, smoke, sweep
from scripts.bench.measure import RunFailed
from scripts.bench.table import Row, as_text, write_json
from scripts.children import Interrupted, interruptible
from scripts.local_state import ROOT, LocalError, state_dir

RESULT = ROOT / "build" / "bench.json"
LOCK = ROOT / "requirements-bench.lock"


def main() -> int:
    """Returns 0 when every promise is kept, 1 when one is missed or a program failed."""
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=5, help="how often each side is run (default 5)")
    parser.add_argument("--size", type=int, default=2_000_000_000, help="bytes of the one long object")
    parser.add_argument("--huge", type=int, default=10_000_000_000, help="bytes of the package for memory; 0 for none")
    parser.add_argument("--packages", type=int, default=batch.COUNT, help="packages of the batch")
    parser.add_argument("--only", choices=GROUPS, action="append", help="one group of rows; may be given several times")
    parser.add_argument(
        "--server",
        choices=("light", "swift"),
        default="light",
        help="what serves the objects of the fetch (default light: nginx)",
    )
    arguments = parser.parse_args()
    rows: list[Row] = []
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=state_dir()))
    try:
        with interruptible():
            tools = state_dir() / "bench" / "venv"
            bootstrap.sync_environment(tools, LOCK)
            for group in arguments.only or GROUPS:
                for row in GROUPS[group](arguments, folder, tools / "bin" / "s5cmd"):
                    rows.append(row)
                    _tell(as_text([row]).splitlines()[1])
    except Interrupted as interrupted:
        return interrupted.exit_code
    except (AirlockError, LocalError, RunFailed, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if rows:
            write_json(rows, RESULT)
            print(as_text(rows))
    return 0 if all(row.ok for row in rows) else 1


def _fetch(arguments: argparse.Namespace, folder: Path, s5cmd: Path) -> Iterator[Row]:
    with fetch.fetch_bench(folder / "fetch", s5cmd, arguments.server) as bench:
        yield from fetch.rows(
            bench, runs=arguments.runs, big_bytes=arguments.size, huge_bytes=arguments.huge, tell=_tell
        )


def _bake(arguments: argparse.Namespace, folder: Path, s5cmd: Path) -> Iterator[Row]:
    with bake.bake_bench(folder / "bake") as bench:
        yield from bake.rows(bench, runs=arguments.runs, big_bytes=arguments.size, tell=_tell)


def _imports(arguments: argparse.Namespace, folder: Path, s5cmd: Path) -> Iterator[Row]:
    with imports.import_bench(folder / "imports", s5cmd, _tell) as (bench, example):
        yield from imports.rows(bench, example, runs=arguments.runs, big_bytes=arguments.size, tell=_tell)


def _batch(arguments: argparse.Namespace, folder: Path, s5cmd: Path) -> Iterator[Row]:
    with imports.import_bench(folder / "batch", s5cmd, _tell) as (bench, example):
        yield from batch.rows(bench, example, count=arguments.packages, tell=_tell)


def _smoke(arguments: argparse.Namespace, folder: Path, s5cmd: Path) -> Iterator[Row]:
    yield from smoke.rows(smoke.smoke_bench(folder / "smoke", _tell), runs=arguments.runs, tell=_tell)


def _serving(arguments: argparse.Namespace, folder: Path, s5cmd: Path) -> Iterator[Row]:
    bench = serving.ServingBench(folder / "serving", state_dir() / "bench" / "serving", _tell)
    yield from serving.rows(bench, runs=min(3, arguments.runs), tell=_tell)


def _sweep(arguments: argparse.Namespace, folder: Path, s5cmd: Path) -> Iterator[Row]:
    yield from sweep.rows(sweep.SweepBench(folder / "sweep", _tell), runs=arguments.runs)


#: In this order; each cleans up before the next begins.
GROUPS: dict[str, Callable[[argparse.Namespace, Path, Path], Iterator[Row]]] = {
    "fetch": _fetch,
    "bake": _bake,
    "imports": _imports,
    "batch": _batch,
    "smoke": _smoke,
    "serving": _serving,
    "sweep": _sweep,
}


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
