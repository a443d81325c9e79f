"""What the API shows."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from airlock.domain.device import Device
from airlock.domain.record import VersionRow
from airlock.domain.registered import Page, VersionFilter, differences
from airlock.domain.request_form import DEPLOYMENT_TYPES
from airlock.domain.version import Stage, Status
from airlock.errors import NoSuchVersion
from airlock.registry_ports import RegistryReader
from airlock.web.api import shapes
from airlock.web.api.problems import documented
from airlock.web.api.shapes import VERSION_FORM, AliasName, ModelName, ModelVersion, SearchText, paging
from airlock.web.wired import WiredRegistry

# Plain functions: FastAPI runs them in threads, and the registry blocks.
router = APIRouter(tags=["Models"], responses=documented())
Paged = Annotated[Page, Depends(paging)]
ONE = "/models/{model_name}/versions/{model_version}"


def chosen(
    model_name: Annotated[SearchText, Query(description="Part of the name")] = "",
    text: Annotated[
        SearchText, Query(description="Words that all stand in name, number, description, labels, engine or runtime")
    ] = "",
    model_type: Annotated[SearchText, Query(description="Engine")] = "",
    model_status: Annotated[Status | None, Query(description="Without it all but the deleted ones")] = None,
    label: Annotated[SearchText, Query(description="One of its labels")] = "",
    device: Annotated[Device | None, Query(description="A device that it passed on")] = None,
    install_type: Annotated[str, Query(pattern=f"^({'|'.join(DEPLOYMENT_TYPES)})?$")] = "",
    stage: Annotated[Stage | None, Query()] = None,
) -> VersionFilter:
    """A filter, as it is asked for."""
    return VersionFilter(
        name=model_name,
        text=text,
        engine=model_type,
        status=model_status,
        label=label,
        device=device,
        install_type=install_type,
        stage=stage,
    )


Chosen = Annotated[VersionFilter, Depends(chosen)]


def existing(registry: RegistryReader, model_name: str, model_version: str) -> VersionRow:
    """A version, deleted or not.

    Raises:
        NoSuchVersion: It was never reserved.
    """
    row = registry.find(model_name, model_version)
    if row is None:
        raise NoSuchVersion("REG008", f"There is no version {model_version} of {model_name}.", "Look at /models.")
    return row


@router.get("/models")
def list_models(
    registry: WiredRegistry,
    chosen: Chosen,
    page: Paged,
    versions_each: Annotated[int, Query(ge=1, le=50, description="Most versions of each")] = 5,
) -> shapes.ModelList:
    """Models with their versions folded, the one with the newest version first."""
    listing = registry.models(chosen, page, versions_each)
    return shapes.ModelList(**shapes.counted(listing), models=list(map(shapes.model_shape, listing.items)))


@router.get("/versions")
def list_versions(registry: WiredRegistry, chosen: Chosen, page: Paged) -> shapes.VersionList:
    """Versions of all models, newest first."""
    return _version_list(registry, chosen, page)


def _version_list(registry: RegistryReader, chosen: VersionFilter, page: Page) -> shapes.VersionList:
    listing = registry.versions(chosen, page)
    rows = [shapes.VersionShape(**shapes.version_fields(row)) for row in listing.items]
    return shapes.VersionList(**shapes.counted(listing), models=rows)


@router.get("/facets")
def facets(registry: WiredRegistry) -> shapes.FacetShape:
    """What there is to filter by."""
    found = registry.facets()
    return shapes.FacetShape(
        model_type=dict(found.engines),
        labels=dict(found.labels),
        model_status={status.value: count for status, count in found.statuses.items()},
    )


@router.get("/models/{model_name}", responses=documented(404))
def show_model(registry: WiredRegistry, model_name: ModelName) -> shapes.ModelShape:
    """One model."""
    model = registry.model(model_name)
    if model is None:
        raise NoSuchVersion("REG008", f"There is no model {model_name}.", "Look at /models.")
    return shapes.model_shape(model)


@router.get("/models/{model_name}/versions")
def list_versions_of(registry: WiredRegistry, model_name: ModelName, page: Paged) -> shapes.VersionList:
    """Versions of one model, newest first."""
    return _version_list(registry, VersionFilter(model_name=model_name), page)


@router.get("/models/{model_name}/compare", responses=documented(404))
def compare(
    registry: WiredRegistry,
    model_name: ModelName,
    left: Annotated[str, Query(pattern=VERSION_FORM)],
    right: Annotated[str, Query(pattern=VERSION_FORM)],
) -> shapes.Comparison:
    """What differs between two versions."""
    rows = [existing(registry, model_name, version) for version in (left, right)]
    plain = [_comparable(row) for row in rows]
    one, other = (shapes.VersionShape(**shapes.version_fields(row)) for row in rows)
    found = [shapes.difference_shape(each) for each in differences(*plain)]
    return shapes.Comparison(left=one, right=other, differences=found)


#: What is never the same, and says nothing of the model.
_OF_THE_MOMENT = ("model_id", "model_version", "run", "rebuild", "create_at", "update_at")


def _comparable(row: VersionRow) -> dict[str, Any]:
    shape = shapes.version_detail(row).model_dump(mode="json")
    return {name: value for name, value in shape.items() if name not in _OF_THE_MOMENT}


@router.get(ONE, responses=documented(404))
def show_version(registry: WiredRegistry, model_name: ModelName, model_version: ModelVersion) -> shapes.VersionDetail:
    """One version with all that was found out about it."""
    return shapes.version_detail(existing(registry, model_name, model_version))


@router.get(f"{ONE}/events", responses=documented(404))
def list_events(
    registry: WiredRegistry,
    model_name: ModelName,
    model_version: ModelVersion,
    after: Annotated[int, Query(ge=0, le=2**31 - 1, description="Id of the last event that was seen")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
) -> shapes.EventList:
    """A version's history, oldest first."""
    existing(registry, model_name, model_version)
    found = registry.events(model_name, model_version, after, limit)
    return shapes.EventList(events=list(map(shapes.event_shape, found)))


@router.get(f"{ONE}/health", responses=documented(404))
def list_health(registry: WiredRegistry, model_name: ModelName, model_version: ModelVersion) -> shapes.HealthList:
    """How a version fared at its import and at every test after it, oldest first."""
    existing(registry, model_name, model_version)
    return shapes.HealthList(points=list(map(shapes.health_shape, registry.health(model_name, model_version))))


@router.get(f"{ONE}/reports", responses=documented(404))
def list_reports(registry: WiredRegistry, model_name: ModelName, model_version: ModelVersion) -> shapes.ReportList:
    """The reports of its smoke test, one for each device."""
    return shapes.ReportList(reports=existing(registry, model_name, model_version).details.get("reports", []))


@router.get(f"{ONE}/golden", responses=documented(404))
def list_golden(registry: WiredRegistry, model_name: ModelName, model_version: ModelVersion) -> shapes.GoldenList:
    """The pairs of request and answer that were kept."""
    reports = existing(registry, model_name, model_version).details.get("reports", [])
    return shapes.GoldenList(golden={each["device"]: each["golden"] for each in reports if each.get("golden")})


@router.get("/models/{model_name}/aliases/{alias}", responses=documented(404))
def show_alias(registry: WiredRegistry, model_name: ModelName, alias: AliasName) -> shapes.AliasShape:
    """Where an alias points."""
    found = registry.alias(model_name, alias)
    if found is None:
        raise NoSuchVersion("REG011", f"{model_name} has no alias {alias}.", "Look at the model's aliases.")
    return shapes.alias_shape(found)


@router.get("/audit", tags=["Audit"])
def list_audit(
    registry: WiredRegistry,
    page: Paged,
    model_name: SearchText = "",
    model_version: SearchText = "",
) -> shapes.AuditList:
    """Who did what, newest first; of one model or version where it is named whole."""
    listing = registry.audit(page, model_name, model_version)
    return shapes.AuditList(**shapes.counted(listing), entries=list(map(shapes.audit_shape, listing.items)))


@router.get("/deliveries", tags=["Notifications"])
def list_deliveries(
    registry: WiredRegistry,
    page: Paged,
    model_name: SearchText = "",
    model_version: SearchText = "",
) -> shapes.DeliveryList:
    """What became of each notification, newest first; of one model or version where it is named whole."""
    listing = registry.deliveries(page, model_name, model_version)
    return shapes.DeliveryList(**shapes.counted(listing), deliveries=list(map(shapes.delivery_shape, listing.items)))
