"""The pages that show: the list of versions, and one version in tabs."""

from __future__ import annotations

import enum
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, HTMLResponse

from airlock.domain.record import VersionRow
from airlock.domain.registered import MAX_PAGE, Page, VersionFilter
from airlock.registry_ports import RegistryReader
from airlock.web.rendering import HERE, page
from airlock.web.wired import WiredRegistry

PAGE_SIZE = 50

# Plain functions: FastAPI runs them in threads, and the registry blocks.
router = APIRouter()


class Tab(enum.StrEnum):
    """The tabs of a version; each has a template in `templates/version/`."""

    OVERVIEW = "overview"
    PARAMETERS = "parameters"
    RUNTIME = "runtime"
    VALIDATION = "validation"
    SMOKE = "smoke"
    EVENTS = "events"
    HEALTH = "health"
    VERSIONS = "versions"


TITLES = {
    Tab.OVERVIEW: "Overview",
    Tab.PARAMETERS: "Parameters",
    Tab.RUNTIME: "Runtime and dependencies",
    Tab.VALIDATION: "Validation",
    Tab.SMOKE: "Smoke",
    Tab.EVENTS: "Events",
    Tab.HEALTH: "Health over time",
    Tab.VERSIONS: "Versions",
}

#: Tabs of which something can be said before the version's record is there.
WITHOUT_RECORD = frozenset({Tab.EVENTS, Tab.HEALTH, Tab.VERSIONS})


@router.get("/")
def versions(
    registry: WiredRegistry, number: Annotated[int, Query(alias="page", ge=1, le=100_000)] = 1
) -> HTMLResponse:
    """The versions, newest first."""
    offset = (number - 1) * PAGE_SIZE
    listing = registry.versions(VersionFilter(), Page(limit=PAGE_SIZE, offset=offset))
    more = offset + len(listing.items) < listing.total
    return page("versions.html", rows=listing.items, page=number, more=more)


@router.get("/models/{model_name}/{model_version}")
@router.get("/models/{model_name}/{model_version}/{tab}")
def version(registry: WiredRegistry, model_name: str, model_version: str, tab: Tab = Tab.OVERVIEW) -> HTMLResponse:
    """One tab of one version."""
    row = registry.find(model_name, model_version)
    if row is None:
        raise HTTPException(404, f"There is no version {model_version} of {model_name}.")
    dag_id, _, run_id = row.run.partition("/")
    return page(
        "version.html",
        row=row,
        dag_id=dag_id,
        run_id=run_id,
        tab=tab.value,
        titles={each.value: title for each, title in TITLES.items()},
        has_content=bool(row.summary) or tab in WITHOUT_RECORD,
        siblings=_siblings(registry, model_name) if tab is Tab.VERSIONS else (),
    )


def _siblings(registry: RegistryReader, model_name: str) -> tuple[VersionRow, ...]:
    return registry.versions(VersionFilter(model_name=model_name), Page(limit=MAX_PAGE)).items


@router.get("/assets/airlock.css")
def style() -> FileResponse:
    """The style sheet of all pages."""
    return FileResponse(HERE / "assets" / "airlock.css", media_type="text/css")
