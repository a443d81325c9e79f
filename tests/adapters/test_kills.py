"""SIGKILL at random moments of the fetch step, on a real server, store and registry: consistent after each."""

from __future__ import annotations

import io
import multiprocessing
import os
import random
import sqlite3
import time
import zipfile
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import open_engine, upgrade
from airlock.adapters.store_collector import StoreCollector
from airlock.adapters.store_folders import StoreFolders
from airlock.adapters.store_verifier import StoreVerifier
from airlock.domain.version import RunRef, Status
from tests.adapters import killed_importer
from tests.conftest import Bucket
from tests.fakes.package_store import FakeUse
from tests.unit.given import ROOT, manifest_of

SEED = 20_260


@pytest.fixture
def importers(monkeypatch: pytest.MonkeyPatch) -> ForkServerContext:
    """Processes that have all modules at hand and nothing else of this one."""
    # The server that they are forked from imports the modules once, and knows no other path.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), str(ROOT / "plugins")]))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.adapters.killed_importer"])
    return context


def packages(bucket: Bucket) -> dict[str, str]:
    """Sources that copy in every way, two of them with a large file in common: source → digest."""
    chance = random.Random(SEED)
    weights = chance.randbytes(20_000_000)
    small = {f"model/{number}.bin": chance.randbytes(number * 1000) for number in range(20)}
    contents = {
        "one/": {"model/weights.bin": weights, "model/config.json": b"{}", **small},
        "two/": {"model/weights.bin": weights, "model/config.json": b"[]"},
        "three.zip": {"model/other.bin": weights[:5_000_000], "model/config.json": b"{}", **small},
    }
    for source, files in contents.items():
        if source.endswith(".zip"):
            made = io.BytesIO()
            with zipfile.ZipFile(made, "w") as archive:
                for path, data in files.items():
                    archive.writestr(path, data)
            bucket.put(source, made.getvalue())
        else:
            for path, data in files.items():
                bucket.put(source + path, data)
    return {f"s3://{bucket.name}/{source}": manifest_of(files).digest() for source, files in contents.items()}


def test_an_importer_killed_at_any_moment_leaves_store_and_registry_consistent(
    object_server: Any, bucket: Bucket, tmp_path: Path, importers: ForkServerContext, pytestconfig: pytest.Config
) -> None:
    rounds: int = pytestconfig.getoption("--kills")
    chance = random.Random(SEED)
    sources = packages(bucket)
    store, url = tmp_path / "store", f"sqlite:///{tmp_path / 'registry.db'}"
    engine = open_engine(url)
    upgrade(engine)
    registry = SqlRegistry(engine, SystemClock())
    reader = SqlRegistryReader(engine, SystemClock())
    verifier = StoreVerifier(store, reader, SystemClock())

    def begin(source: str, number: int) -> tuple[Any, Any]:
        here, there = importers.Pipe()
        connection = object_server.airflow_connection_json()
        process = importers.Process(
            target=killed_importer.run, args=(there, connection, source, store, url, f"run-{number}")
        )
        process.start()
        there.close()
        assert here.poll(120)
        assert here.recv() == "begins"
        return process, here

    def finish(source: str, number: int) -> None:
        process, pipe = begin(source, number)
        assert pipe.poll(120)
        assert pipe.recv() == sources[source]
        process.join(120)
        assert process.exitcode == 0

    def forget() -> None:
        """So that the next round copies again."""
        list(StoreCollector(store, FakeUse(), SystemClock()).collect(0, dry_run=False))

    taken = {}
    for source in sources:
        began = time.monotonic()
        finish(source, -len(taken))
        taken[source] = time.monotonic() - began
        forget()
    killed_midway = 0
    versions: set[str] = set()
    for number in range(1, rounds + 1):
        source = chance.choice(list(sources))
        process, pipe = begin(source, number)
        # Whenever within it, and sometimes right after it.
        pipe.poll(chance.uniform(0, 1.1) * taken[source])
        process.kill()
        process.join()
        killed_midway += process.exitcode != 0

        found = verifier.verify(repair=False, tell=str)
        assert found.clean, (number, found.problems)
        with sqlite3.connect(tmp_path / "registry.db") as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        finish(source, number)
        found = verifier.verify(repair=False, tell=str)
        assert (found.problems, found.packages) == ([], 1), number
        assert list(StoreFolders(store).incoming.iterdir()) == []
        held = registry.reservation_of(RunRef(dag_id="import_model", run_id=f"run-{number}"))
        assert held is not None
        row = reader.find(held.model_name, held.model_version)
        assert row is not None
        assert row.status is Status.IMPORTING
        versions.add(held.model_version)
        assert len(versions) == number, "each run holds one version, in both of its tries"
        forget()
    engine.dispose()
    assert killed_midway > rounds // 3
