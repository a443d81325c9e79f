"""The registry's schema, from the first one on, with rows in it, on both databases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, text

from airlock.adapters.clock import SystemClock
from airlock.adapters.registry import SqlRegistry
from airlock.adapters.registry_reads import SqlRegistryReader
from airlock.adapters.registry_schema import alembic_config, newest_schema, open_engine, upgrade
from airlock.adapters.registry_tables import metadata
from airlock.codec import encode
from airlock.domain.record import ModelVersion
from airlock.domain.registered import Page, VersionFilter
from airlock.domain.request_form import parse_request
from airlock.domain.version import RunRef, Status

TABLES = (
    "models", "model_versions", "version_search", "version_records", "version_labels", "version_devices",
    "version_install_types", "version_documents", "aliases", "events", "health_points", "audit", "deliveries",
    "mirror_states", "label_counts", "sweep_states",
)  # fmt: skip


def test_the_migrations_make_the_tables_that_the_code_uses(engine: Engine) -> None:
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_an_upgrade_says_what_it_found_and_can_be_repeated(url: str) -> None:
    engine = open_engine(url)
    newest = newest_schema()
    assert upgrade(engine) == (None, newest)
    assert upgrade(engine) == (newest, newest)
    engine.dispose()


def at_the_first_schema(url: str) -> Engine:
    engine = open_engine(url)
    with engine.begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    return engine


def put(engine: Engine, table: str, **values: Any) -> None:
    columns = ", ".join(values)
    places = ", ".join(f":{name}" for name in values)
    plain = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in values.items()}
    with engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({places})"), plain)


def a_row(number: int, **values: Any) -> dict[str, Any]:
    return {
        "id": number, "model_name": "iris", "model_version": f"0.0.{number}", "status": "Normal", "reason": "",
        "failed_step": "", "dag_id": "import_model", "run_id": f"run-{number}", "created_at": 1000.0 + number,
        "updated_at": 2000.0 + number, "summary": {}, "details": {}, **values,
    }  # fmt: skip


@pytest.fixture
def upgraded(url: str, a_version: ModelVersion) -> Any:
    """A registry of the first schema with rows of every kind, brought to the newest one."""
    engine = at_the_first_schema(url)
    details = encode(a_version)
    request = details["accepted"]["request"]
    request["description"] = "Flowers by their leaves"
    request["documents"] = [
        {"name": "Card", "url": "https://example.com/b"},
        {"name": "About", "url": "https://example.com/a"},
    ]
    summary = {**a_version.summary(), "labels": ["flowers", "Blüten"]}
    put(engine, "model_versions", **a_row(1, summary=summary, details=details))
    put(engine, "model_versions", **a_row(2, status="Failed", reason="[BLD002] No.", failed_step="build"))
    put(engine, "model_versions", **a_row(3, status="Deleted"))
    put(engine, "model_versions", **a_row(4, model_name="sums", model_version="10.2.33", status="Importing"))
    for number, what in enumerate(("Import started.", "Model imported."), 1):
        put(
            engine, "events",
            id=number, version_id=1, at=1000.0 + number, kind="Normal", text=what, run="import_model/run-1",
        )  # fmt: skip
    put(engine, "events", id=3, version_id=2, at=1003.0, kind="Abnormal", text="No.", run="import_model/run-2")
    assert upgrade(engine) == ("0001", newest_schema())
    yield engine
    engine.dispose()


def test_from_the_first_schema_every_row_keeps_what_it_says(upgraded: Engine, a_version: ModelVersion) -> None:
    reader = SqlRegistryReader(upgraded, SystemClock())
    row = reader.find("iris", "0.0.1")
    assert row is not None
    summary = a_version.summary()
    assert (row.status, row.run, row.created_at, row.updated_at) == (
        Status.NORMAL, "import_model/run-1", 1001.0, 2001.0,
    )  # fmt: skip
    assert (row.description, row.labels) == ("Flowers by their leaves", ("Blüten", "flowers"))
    assert [(each.name, each.url) for each in row.documents] == [
        ("Card", "https://example.com/b"),
        ("About", "https://example.com/a"),
    ]
    assert (row.engine, row.runtime, row.size_bytes) == (summary["engine"], summary["runtime"], summary["size_bytes"])
    assert (row.package_digest, row.image_digest) == (summary["package_digest"], summary["image_digest"])
    assert row.devices == summary["devices"]
    assert row.install_type == tuple(summary["install_type"])
    assert row.summary["latency_ms"] == summary["latency_ms"]
    assert row.details["package"]["digest"] == a_version.package.digest
    assert [(event.at, event.text, event.actor) for event in row.events] == [
        (1001.0, "Import started.", ""),
        (1002.0, "Model imported.", ""),
    ]
    (point,) = reader.health("iris", "0.0.1")
    assert (point.at, point.device.value, point.p50_ms) == (2001.0, "cpu", summary["latency_ms"])
    failed = reader.find("iris", "0.0.2")
    assert failed is not None
    assert (failed.status, failed.reason, [event.text for event in failed.events]) == (
        Status.FAILED, "[BLD002] No.", ["No."],
    )  # fmt: skip


def test_from_the_first_schema_versions_are_found_counted_and_numbered_on(upgraded: Engine) -> None:
    reader = SqlRegistryReader(upgraded, SystemClock())
    listed = reader.versions(VersionFilter(), Page())
    assert [(row.model_name, row.model_version) for row in listed.items] == [
        ("sums", "10.2.33"), ("iris", "0.0.2"), ("iris", "0.0.1"),
    ]  # fmt: skip
    assert [row.model_version for row in reader.versions(VersionFilter(text="BLÜTEN"), Page()).items] == ["0.0.1"]
    assert [row.model_version for row in reader.versions(VersionFilter(text="flowers 0.0.1"), Page()).items] == [
        "0.0.1"
    ]
    models = reader.models(VersionFilter(), Page())
    assert [(model.model_name, model.version_count) for model in models.items] == [("sums", 1), ("iris", 2)]
    registry = SqlRegistry(upgraded, SystemClock())
    for name, expected in (("iris", "0.0.4"), ("sums", "10.2.34")):
        request = parse_request({"model_name": name, "source_location": "s3://bucket/x/"})
        assert registry.reserve(request, RunRef(dag_id="d", run_id=name)).model_version == expected


def test_every_table_of_the_registry_is_known_to_these_tests() -> None:
    assert set(metadata.tables) == set(TABLES)
