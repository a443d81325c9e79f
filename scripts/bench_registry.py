"""Measure the registry: `make bench-registry`, or `PYTHONPATH=plugins python -m scripts.bench_registry`.

Fills an empty registry with versions, on SQLite and on a real PostgreSQL, and looks at them as the pages and the API
do. What each look costs in the database is measured by sending its statements again and reading every row of their
answers; what it costs in all, with making values of it, stands beside that. Prints a table, writes
build/bench-registry.json, and ends with 1 where a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from airlock.adapters.clock import SystemClock
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine, upgrade
from airlock.domain.device import Device
from airlock.domain.registered import Page, VersionFilter
from airlock.domain.version import Status
from scripts.postgres_server import PostgresServer
from scripts.registry_filler import RARE_LABEL, RARE_WORD, fill

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "build" / "bench-registry.json"
VERSIONS = 100_000
RUNS = 15
TARGET_MS = 50.0

Look = Callable[[SqlRegistryReader], Any]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one look cost.

    Attributes:
        database: `sqlite` or `postgresql`.
        what: In words.
        database_ms: Milliseconds in the database, fastest run.
        whole_ms: Milliseconds in all, fastest run.
        target_ms: Milliseconds allowed in the database.
        ok: Whether the target is met.
    """

    database: str
    what: str
    database_ms: float
    whole_ms: float
    target_ms: float
    ok: bool


def looks(count: int) -> dict[str, Look]:
    """What is looked at, by what it is."""
    name = f"model-{count // 40:06d}"
    page = Page()
    filters = {
        "without a filter": VersionFilter(),
        "by status": VersionFilter(status=Status.FAILED),
        "by engine": VersionFilter(engine="PyTorch"),
        "by a frequent label": VersionFilter(label="season-1"),
        "by a rare label": VersionFilter(label=RARE_LABEL),
        "by device": VersionFilter(device=Device.CPU),
        "by part of a name": VersionFilter(name="0042"),
        "by a rare word": VersionFilter(text=RARE_WORD),
        "by a word in all": VersionFilter(text="predicts"),
        "by a word in none": VersionFilter(text="nowhere"),
        "by two words": VersionFilter(text=f"predicts {RARE_WORD}"),
        "by many words, one in none": VersionFilter(text="a predicts the number model season team nowhere"),
        "by a version's number": VersionFilter(text="model-000042 0.0.7"),
        "by everything": VersionFilter(
            status=Status.NORMAL, engine="PyTorch", label="season-1", device=Device.CPU, text="predicts"
        ),
    }
    found: dict[str, Look] = {}
    found |= {f"list of versions {words}": _versions(chosen, page) for words, chosen in filters.items()}
    found |= {f"list of models {words}": _models(chosen, page) for words, chosen in filters.items()}
    last = Page(offset=max(0, count - 1000))
    found["list of versions, last pages"] = _versions(VersionFilter(), last)
    found["one version with its record"] = lambda reader: reader.find(name, "0.0.7")
    found["a page of one model's versions"] = _versions(VersionFilter(model_name=name), page)
    found["what there is to filter by"] = lambda reader: reader.facets()
    found["its history"] = lambda reader: reader.events(name, "0.0.7")
    return found


def _versions(chosen: VersionFilter, page: Page) -> Look:
    return lambda reader: reader.versions(chosen, page)


def _models(chosen: VersionFilter, page: Page) -> Look:
    return lambda reader: reader.models(chosen, page)


def measure(engine: Engine, look: Look, runs: int) -> tuple[float, float]:
    """Milliseconds in the database and in all, the fastest of the runs: what else the machine does is no cost of it."""
    reader = SqlRegistryReader(engine, SystemClock())
    look(reader)
    statements: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, context: Any, many: bool) -> None:
        statements.append((statement, parameters))

    event.listen(engine, "before_cursor_execute", note)
    look(reader)
    event.remove(engine, "before_cursor_execute", note)
    whole, inside = [], []
    raw = engine.raw_connection()
    try:
        for _ in range(runs):
            began = time.perf_counter()
            look(reader)
            whole.append(time.perf_counter() - began)
            began = time.perf_counter()
            for statement, parameters in statements:
                cursor = raw.cursor()
                cursor.execute(statement, parameters)
                cursor.fetchall()
                cursor.close()
            inside.append(time.perf_counter() - began)
            raw.rollback()
    finally:
        raw.close()
    return min(inside) * 1000, min(whole) * 1000


def run(database: str, url: str, count: int, runs: int, only: str = "") -> list[Result]:
    """Fill a registry and look at it."""
    engine = open_engine(url)
    try:
        upgrade(engine)
        fill(engine, count)
        results = []
        for what, look in looks(count).items():
            if only in what:
                inside, whole = measure(engine, look, runs)
                results.append(
                    Result(
                        database=database,
                        what=what,
                        database_ms=round(inside, 2),
                        whole_ms=round(whole, 2),
                        target_ms=TARGET_MS,
                        ok=inside < TARGET_MS,
                    )
                )
                # What was measured is not lost with what comes after it.
                print(f"{database}: {what}: {inside:.1f} ms", file=sys.stderr, flush=True)
        return results
    finally:
        engine.dispose()


def table(results: list[Result]) -> str:
    """The results for people."""
    lines = [f"{'database':<12}{'look':<46}{'database ms':>12}{'whole ms':>10}  target"]
    for each in results:
        verdict = f"{each.target_ms:g} ms: {'ok' if each.ok else 'MISSED'}"
        lines.append(f"{each.database:<12}{each.what:<46}{each.database_ms:>12.1f}{each.whole_ms:>10.1f}  {verdict}")
    return "\n".join(lines)


def main() -> int:
    """Measure both databases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--versions", type=int, default=VERSIONS, help=f"how many (default {VERSIONS})")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"runs of each look (default {RUNS})")
    parser.add_argument("--only", default="", help="only looks whose name contains this")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), help="only this one")
    chosen = parser.parse_args()
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="airlock-bench-") as folder:
        if chosen.database != "postgresql":
            url = f"sqlite:///{folder}/registry.db"
            results += run("sqlite", url, chosen.versions, chosen.runs, chosen.only)
        if chosen.database != "sqlite":
            # PostgreSQL's own user must reach it.
            Path(folder).chmod(0o755)
            with PostgresServer(Path(folder) / "postgres") as server:
                results += run("postgresql", server.database_url(), chosen.versions, chosen.runs, chosen.only)
    print(table(results))
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"versions": chosen.versions, "rows": [asdict(each) for each in results]}, indent=1))
    return 0 if all(each.ok for each in results) else 1


if __name__ == "__main__":
    sys.exit(main())
