"""What the API gives and takes, as JSON: the original's field names where it has one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict, Field

from airlock.domain.notification import Delivery
from airlock.domain.record import Event, VersionRow
from airlock.domain.registered import (
    MAX_PAGE,
    Alias,
    AuditEntry,
    Difference,
    HealthPoint,
    Listing,
    ModelRow,
    Page,
)
from airlock.domain.version import ALIAS_FORM, Stage

NAME_FORM = r"^[0-9A-Za-z_\-\u3400-\u4dbf\u4e00-\u9fff]{1,64}$"
VERSION_FORM = r"^(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]?)$"
#: No control characters: databases refuse the first of them.
TEXT_FORM = r"^[^\x00-\x1f]*$"

ModelName = Annotated[str, Path(pattern=NAME_FORM, description="Name of the model")]
ModelVersion = Annotated[str, Path(pattern=VERSION_FORM, description="Version, N.N.N")]
AliasName = Annotated[str, Path(pattern=ALIAS_FORM, description="Alias, such as `champion`")]
SearchText = Annotated[str, Query(max_length=100, pattern=TEXT_FORM)]


def paging(
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Most items")] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000_000, description="Items left out before")] = 0,
) -> Page:
    """A page, as it is asked for."""
    return Page(limit=limit, offset=offset)


class _Shape(BaseModel):
    model_config = ConfigDict(protected_namespaces=())


class Count(_Shape):
    """How many there are."""

    total_count: int = Field(description="Items on all pages")
    total_is_exact: bool = Field(description="Whether there are no more than `total_count`")
    count: int = Field(description="Items on this page")


def counted(listing: Listing[Any]) -> dict[str, Any]:
    """The counts of a listing."""
    return {"total_count": listing.total, "total_is_exact": listing.exact, "count": len(listing.items)}


class ModelDoc(_Shape):
    """A document that describes a model."""

    doc_name: str
    doc_url: str


class RunShape(_Shape):
    """A DAG run."""

    dag_id: str
    run_id: str
    href: str = Field(description="Its page in Airflow")


def run_shape(dag_id: str, run_id: str) -> RunShape:
    """A run with its page's address."""
    from urllib.parse import quote

    return RunShape(dag_id=dag_id, run_id=run_id, href=f"/dags/{quote(dag_id, safe='')}/runs/{quote(run_id, safe='')}")


class VersionShape(_Shape):
    """A version in a listing."""

    model_id: str = Field(description="`model_name/model_version`")
    model_name: str
    model_version: str
    model_status: str = Field(description="Importing, Normal, Abnormal, Failed or Deleted")
    reason: str = Field(description="Why it is Failed or Abnormal, code first")
    model_type: str = Field(description="Engine; empty until it is known")
    runtime: str
    model_size: int | None = Field(description="Bytes of the package")
    description: str
    labels: list[str]
    install_type: list[str] = Field(description="Deployment types that it may be used for")
    model_docs: list[ModelDoc]
    source_location: str
    owner: str = Field(description="The user whose run imported it")
    create_at: int = Field(description="Milliseconds since 1970")
    update_at: int = Field(description="Milliseconds since 1970")
    image_address: str
    image_digest: str
    package_digest: str
    devices: dict[str, str] = Field(description="Device → result of its test")
    latency_ms: float | None
    stage: Stage
    aliases: list[str]
    run: RunShape = Field(description="The run that imported it, or rebuilt it last")
    rebuild: RunShape | None = Field(description="The run that rebuilds it now")


def version_fields(row: VersionRow) -> dict[str, Any]:
    """What a listing shows of a version."""
    dag_id, _, run_id = row.run.partition("/")
    rebuild = row.rebuild.partition("/")
    return {
        "model_id": f"{row.model_name}/{row.model_version}",
        "model_name": row.model_name,
        "model_version": row.model_version,
        "model_status": row.status.value,
        "reason": row.reason,
        "model_type": row.engine,
        "runtime": row.runtime,
        "model_size": row.size_bytes,
        "description": row.description,
        "labels": list(row.labels),
        "install_type": list(row.install_type),
        "model_docs": [ModelDoc(doc_name=each.name, doc_url=each.url) for each in row.documents],
        "source_location": row.source,
        "owner": row.created_by,
        "create_at": int(row.created_at * 1000),
        "update_at": int(row.updated_at * 1000),
        "image_address": row.summary.get("image", ""),
        "image_digest": row.image_digest,
        "package_digest": row.package_digest,
        "devices": dict(row.devices),
        "latency_ms": row.summary.get("latency_ms"),
        "stage": row.stage,
        "aliases": list(row.aliases),
        "run": run_shape(dag_id, run_id),
        "rebuild": run_shape(rebuild[0], rebuild[2]) if row.rebuild else None,
    }


class Specification(_Shape):
    """Least resources of one instance."""

    min_cpu: float | None
    min_memory_mb: int | None
    min_gpu: int
    min_ascend: int


class VersionDetail(VersionShape):
    """A version with all that was found out about it."""

    model_algorithm: str
    model_metrics: dict[str, float]
    apis: list[dict[str, Any]] = Field(description="The declared interface, normalised")
    parameters: list[dict[str, Any]] = Field(description="What it takes and gives, by API")
    dependencies: list[dict[str, Any]] = Field(description="Packages beside the runtime, in config.json's form")
    specification: Specification | None
    findings: list[dict[str, Any]] = Field(description="Warnings and infos of its import")
    failure: dict[str, Any] | None = Field(description="Report of the test that failed its import")


def version_detail(row: VersionRow) -> VersionDetail:
    """Everything of a version but its history and its reports."""
    details = row.details
    config = details.get("validated", {}).get("config", {})
    specs = details.get("accepted", {}).get("request", {}).get("minimum_specs")
    return VersionDetail(
        **version_fields(row),
        model_algorithm=config.get("model_algorithm", ""),
        model_metrics=config.get("metrics", {}),
        apis=config.get("apis", []),
        parameters=details.get("parameters", []),
        dependencies=dependency_groups(config.get("dependencies", ())),
        specification=specs
        and Specification(
            min_cpu=specs["cpu"],
            min_memory_mb=specs["memory_mb"],
            min_gpu=specs["gpu"],
            min_ascend=specs["ascend"],
        ),
        findings=[
            finding
            for step in ("package", "validated", "detection")
            for finding in details.get(step, {}).get("findings", ())
        ],
        failure=details.get("failure"),
    )


def dependency_groups(dependencies: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A record's dependencies in the form that config.json and the import form have."""
    packages = [
        {
            "package_name": f"/home/mind/model/{each['name']}" if each.get("bundled") else each["name"],
            **({"package_version": each["version"], "restraint": each["restraint"]} if each.get("version") else {}),
        }
        for each in dependencies
    ]
    return [{"installer": "pip", "packages": packages}] if packages else []


class VersionList(Count):
    """One page of versions."""

    models: list[VersionShape]


class ModelShape(_Shape):
    """A model with its versions folded."""

    model_name: str
    create_at: int
    version_count: int = Field(description="Versions that are not deleted")
    matching_count: int = Field(description="Versions that match what was asked")
    statuses: dict[str, int]
    aliases: dict[str, str] = Field(description="Alias → version")
    versions: list[VersionShape] = Field(description="The newest that match")


def model_shape(row: ModelRow) -> ModelShape:
    """A model as JSON."""
    return ModelShape(
        model_name=row.model_name,
        create_at=int(row.created_at * 1000),
        version_count=row.version_count,
        matching_count=row.matching,
        statuses={status.value: count for status, count in row.statuses.items()},
        aliases={alias.alias: alias.model_version for alias in row.aliases},
        versions=[VersionShape(**version_fields(each)) for each in row.versions],
    )


class ModelList(Count):
    """One page of models."""

    models: list[ModelShape]


class EventShape(_Shape):
    """One entry of a history."""

    id: int
    occur_time: int = Field(description="Milliseconds since 1970")
    event_type: str = Field(description="Normal or Abnormal")
    event_info: str
    actor: str
    run: str


def event_shape(event: Event) -> EventShape:
    """An event as JSON."""
    return EventShape(
        id=event.id,
        occur_time=int(event.at * 1000),
        event_type=event.kind.value,
        event_info=event.text,
        actor=event.actor,
        run=event.run,
    )


class EventList(_Shape):
    """Events, oldest first."""

    events: list[EventShape]


class HealthShape(_Shape):
    """How a version fared on one device at one time."""

    at: int = Field(description="Milliseconds since 1970")
    device: str
    verdict: str
    p50_ms: float | None
    p99_ms: float | None
    ready_s: float | None
    peak_memory_bytes: int | None
    run: str


def health_shape(point: HealthPoint) -> HealthShape:
    """A point as JSON."""
    return HealthShape(
        at=int(point.at * 1000),
        device=point.device.value,
        verdict=point.verdict,
        p50_ms=point.p50_ms,
        p99_ms=point.p99_ms,
        ready_s=point.ready_s,
        peak_memory_bytes=point.peak_memory_bytes,
        run=point.run,
    )


class HealthList(_Shape):
    """Points, oldest first."""

    points: list[HealthShape]


class ReportList(_Shape):
    """Reports of the smoke test, one for each device."""

    reports: list[dict[str, Any]]


class GoldenList(_Shape):
    """The first pairs of request and answer, by device."""

    golden: dict[str, list[dict[str, Any]]]


class AliasShape(_Shape):
    """A name that points to a version."""

    model_name: str
    alias: str
    model_version: str
    set_by: str
    set_at: int = Field(description="Milliseconds since 1970")


def alias_shape(alias: Alias) -> AliasShape:
    """An alias as JSON."""
    return AliasShape(
        model_name=alias.model_name,
        alias=alias.alias,
        model_version=alias.model_version,
        set_by=alias.set_by,
        set_at=int(alias.set_at * 1000),
    )


class AuditShape(_Shape):
    """Who did what."""

    at: int = Field(description="Milliseconds since 1970")
    actor: str
    action: str
    model_name: str
    model_version: str
    changes: dict[str, Any]


def audit_shape(entry: AuditEntry) -> AuditShape:
    """An entry as JSON."""
    return AuditShape(
        at=int(entry.at * 1000),
        actor=entry.actor,
        action=entry.action,
        model_name=entry.model_name,
        model_version=entry.model_version,
        changes=dict(entry.changes),
    )


class AuditList(Count):
    """One page of the audit, newest first."""

    entries: list[AuditShape]


class DeliveryShape(_Shape):
    """What became of one notification."""

    at: int = Field(description="Milliseconds since 1970")
    receiver: str = Field(description="Id of the Connection")
    model_name: str
    model_version: str
    model_status: str
    attempts: int
    delivered: bool
    answer: int | None = Field(description="HTTP status of the last answer")
    problem: str


def delivery_shape(delivery: Delivery) -> DeliveryShape:
    """A delivery as JSON."""
    return DeliveryShape(
        at=int(delivery.at * 1000),
        receiver=delivery.receiver,
        model_name=delivery.model_name,
        model_version=delivery.model_version,
        model_status=delivery.status.value,
        attempts=delivery.attempts,
        delivered=delivery.delivered,
        answer=delivery.answer,
        problem=delivery.problem,
    )


class DeliveryList(Count):
    """One page of deliveries, newest first."""

    deliveries: list[DeliveryShape]


class FacetShape(_Shape):
    """What there is to filter by, with the number of versions."""

    model_type: dict[str, int]
    labels: dict[str, int]
    model_status: dict[str, int]


class DifferenceShape(_Shape):
    """A value that is not the same."""

    field: str
    left: Any
    right: Any


class Comparison(_Shape):
    """What differs between two versions."""

    left: VersionShape
    right: VersionShape
    differences: list[DifferenceShape]


def difference_shape(difference: Difference) -> DifferenceShape:
    """A difference as JSON."""
    return DifferenceShape(field=difference.field, left=difference.left, right=difference.right)
