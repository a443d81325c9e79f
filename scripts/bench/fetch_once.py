"""One fetch of a package by the step itself, in a process of its own, with what it took."""

from __future__ import annotations

import argparse
import gc
import json
import resource
import time
from pathlib import Path

from airlock.adapters.clock import SystemClock
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.s3 import S3Storage
from airlock.domain.package import FetchLimits
from airlock.domain.source import SourceLocation
from airlock.steps.fetch import stage


def main() -> None:
    """Fetches, and writes what it took; the start of Python and of Airflow's libraries does not count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source")
    parser.add_argument("--connection", required=True)
    parser.add_argument("--store", type=Path, required=True)
    parser.add_argument("--report", type=Path, required=True)
    arguments = parser.parse_args()
    source = SourceLocation.parse(arguments.source)
    if source is None:
        parser.error("the source is no folder in object storage")
    storage = S3Storage(arguments.connection)
    # The Connection's client is what a worker has at hand.
    identity = storage.identity
    # As a task of ours does.
    gc.freeze()
    before, used = time.perf_counter(), time.process_time()
    package = stage(
        source,
        storage=storage,
        store=PackageFolderStore(arguments.store, SystemClock()),
        limits=FetchLimits(max_package_bytes=10**12, max_objects=10**6),
        scope=identity,
        log=print,
    )
    report = {
        "seconds": time.perf_counter() - before,
        "cpu_seconds": time.process_time() - used,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes_read": package.bytes_copied,
        "digest": package.digest,
    }
    arguments.report.write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main()
