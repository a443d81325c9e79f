"""The demo's last words: one row per model, the reasons of failures, and the times beside their targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scripts.import_run import ImportRun

TOTAL_TARGET_S = 180.0
IMPORT_TARGET_S = 45.0
# The target is for this package: the small engine, on the process backend.
TARGET_ENGINE = "Scikit_Learn"
COLUMNS = ("model", "version", "engine", "runtime", "backend", "devices", "latency", "copied", "status", "seconds")


def render(runs: Sequence[ImportRun], total_s: float) -> str:
    """Returns the report.

    Args:
        runs: The finished imports.
        total_s: Seconds of the whole demo.
    """
    lines = []
    if runs:
        lines += _table([COLUMNS, *(_row(run) for run in runs)])
        lines += ["", "reports (after `make up`):"]
        lines += [f"  {run.model_name}  {run.url}" for run in runs]
    for run in runs:
        if run.error:
            lines += ["", f"{run.model_name} failed:", *(f"  {line}" for line in run.error.splitlines())]
    lines.append("")
    for run in runs:
        target = f" (target {IMPORT_TARGET_S:.0f} s)" if run.engine == TARGET_ENGINE else ""
        if run.is_normal:
            lines.append(f"{run.model_name}: {run.seconds:.1f} s from trigger to Normal{target}")
    lines.append(
        f"total: {total_s:.1f} s (target {TOTAL_TARGET_S:.0f} s on two cores, packages in the cache, process backend)"
    )
    lines.append(
        "`make up` runs Airflow with these versions again and prints the page's address, user and password file"
    )
    return "\n".join(lines)


def _row(run: ImportRun) -> tuple[str, ...]:
    record = run.record or {}
    latency = record.get("latency_ms")
    backend = record.get("backend", "")
    return (
        run.model_name,
        record.get("model_version", ""),
        record.get("engine", run.engine),
        record.get("runtime", ""),
        f"{backend}, no isolation" if record.get("isolation") == "none" else backend,
        _devices(record.get("devices", {})),
        f"{latency:.1f} ms" if latency is not None else "",
        f"{record['bytes_copied']} B" if "bytes_copied" in record else "",
        record.get("status", "Failed"),
        f"{run.seconds:.1f}",
    )


def _devices(results: dict[str, Any]) -> str:
    """Returns results as `cpu passed; gpu, ascend not served`."""
    by_result: dict[str, list[str]] = {}
    for device, result in results.items():
        by_result.setdefault(str(result), []).append(device)
    return "; ".join(f"{', '.join(devices)} {result}" for result, devices in by_result.items())


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines
