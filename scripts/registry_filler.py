"""A registry of many versions, written at once: for tests and measurements of what looking something up costs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, Table, func, insert, select

from airlock.adapters.registry_tables import (
    events,
    health_points,
    label_counts,
    model_versions,
    models,
    version_devices,
    version_install_types,
    version_labels,
    version_records,
    version_search,
)
from airlock.domain.registered import search_text
from airlock.domain.version import VersionNumber

ENGINES = (
    "Scikit_Learn", "XGBoost", "PyTorch", "TensorFlow", "MXNet", "Caffe", "Spark_MLlib", "MindSpore", "ONNX",
    "LightGBM",
)  # fmt: skip
#: One in so many versions stands there; the others are Normal.
STATUSES = {7: "Failed", 11: "Abnormal", 13: "Deleted"}
#: As long as the record of a small real import.
RECORD_CHARACTERS = 12_000
AT_ONCE = 2_000
#: A label that very few versions bear, and a word that very few descriptions hold.
RARE_LABEL = "rare"
RARE_WORD = "platypus"


def fill(engine: Engine, count: int, of_each: int = 20, record_characters: int = RECORD_CHARACTERS) -> None:
    """Write versions.

    Args:
        engine: An empty registry of this release's schema.
        count: How many versions.
        of_each: How many versions a model has.
        record_characters: How long each record is.
    """
    record = "x" * record_characters
    with engine.begin() as connection:
        for start in range(0, count, AT_ONCE):
            rows: dict[Table, list[dict[str, Any]]] = {
                table: []
                for table in (
                    models, model_versions, version_search, version_records, version_labels, version_devices,
                    version_install_types, events, health_points,
                )
            }  # fmt: skip
            for number in range(start, min(start + AT_ONCE, count)):
                _add(rows, number, of_each, record)
            for table, values in rows.items():
                if values:
                    connection.execute(insert(table), values)
        connection.execute(
            insert(label_counts).from_select(
                ["label", "versions"],
                select(version_labels.c.label, func.count()).group_by(version_labels.c.label),
            )
        )
    with engine.connect() as connection:
        # As PostgreSQL does by itself after a while; SQLite does without.
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("VACUUM ANALYZE")


def _add(rows: dict[Table, list[dict[str, Any]]], number: int, of_each: int, record: str) -> None:
    version_id, at = number + 1, 1_700_000_000.0 + number
    model, place = divmod(number, of_each)
    name, version = f"model-{model:06d}", VersionNumber.of_rank(place + 1)
    status = next((status for every, status in STATUSES.items() if number % every == every - 1), "Normal")
    engine = ENGINES[model % len(ENGINES)]
    runtime = f"{engine.lower()}-python3.11"
    labels = [f"team-{model % 50}", f"season-{number % 4}", *([RARE_LABEL] if number % 10_000 == 0 else [])]
    description = f"Predicts the number {number}" + (f" of the {RARE_WORD}" if number % 10_000 == 0 else "")
    if place == 0:
        left = range(number, number + of_each)
        deleted = sum(_is_deleted(each) for each in left)
        rows[models].append({
            "name": name, "created_at": at, "last_version_id": number + of_each, "live": of_each - deleted,
        })  # fmt: skip
    rows[model_versions].append({
        "id": version_id, "model_name": name, "model_version": str(version), "version_rank": version.rank,
        "status": status, "dag_id": "import_model", "run_id": f"run-{number}", "created_at": at, "updated_at": at,
        "description": description, "source": f"s3://models/{name}/{version}/", "engine": engine, "runtime": runtime,
        "size_bytes": 1000 + number, "package_digest": f"sha256:{number:064x}", "image_digest": f"sha256:{model:064x}",
    })  # fmt: skip
    if status == "Deleted":
        return
    text = search_text(name, str(version), description, labels, engine, runtime)
    rows[version_search].append({"version_id": version_id, "name": name, "text": text, "model_name": name})
    rows[version_records].append({
        "version_id": version_id, "summary": {"engine": engine, "latency_ms": 1.5}, "details": {"text": record},
    })  # fmt: skip
    rows[version_labels] += [{"version_id": version_id, "label": label, "model_name": name} for label in labels]
    rows[version_devices] += [
        {"version_id": version_id, "device": device, "result": result, "model_name": name}
        for device, result in (
            ("cpu", "passed"),
            ("gpu", "passed" if number % 5 == 0 else "not run: no device"),
            ("ascend", "not served"),
        )
    ]
    rows[version_install_types].append({
        "version_id": version_id, "install_type": "real-time", "model_name": name,
    })  # fmt: skip
    rows[events] += [
        {"version_id": version_id, "at": at, "kind": "Normal", "text": f"Event {each}.", "run": f"run-{number}"}
        for each in range(2)
    ]
    rows[health_points].append({
        "version_id": version_id, "at": at, "device": "cpu", "verdict": "passed", "p50_ms": 1.5, "run": "run",
    })  # fmt: skip


def _is_deleted(number: int) -> bool:
    return next((s for every, s in STATUSES.items() if number % every == every - 1), "") == "Deleted"
