"""The pages of one version: its tabs, and the way from a run to the version that it made."""

from __future__ import annotations

import enum
import math
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, HTTPException, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from airlock.domain.record import VersionRow
from airlock.domain.registered import Page, VersionFilter
from airlock.domain.version import RunRef, Status
from airlock.registry_ports import RegistryReader
from airlock.web.access import REVALIDATE_DAG_ID, ChangesAllowed
from airlock.web.comparison import compared
from airlock.web.listing import PageNumber
from airlock.web.rendering import page, prefix_of, version_path
from airlock.web.retests import retested
from airlock.web.wired import WiredImporters, WiredRegistry, WiredReports, WiredRuns, WiredSweeps

VERSIONS_PER_PAGE = 50
#: DAG and run, as the registry keeps them.
MAX_RUN_CHARACTERS = 502

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
WITHOUT_RECORD = frozenset({Tab.OVERVIEW, Tab.EVENTS, Tab.HEALTH, Tab.VERSIONS})

#: Codes of failed tests begin with it.
SMOKE_CODES = "[SMK"

#: Versions with these can be tested again.
TESTABLE = (Status.NORMAL, Status.ABNORMAL)

#: What a change says when it has been made, by the word that its redirect brings along.
DONE = {
    "edited": "Description and labels are saved.",
    "alias": "The alias is set.",
    "unalias": "The alias is removed.",
    "stage": "The stage is set.",
    "revalidating": "The version is being tested again.",
    "rebuilding": "The image is being made again.",
}


def known_version(registry: RegistryReader, model_name: str, model_version: str) -> VersionRow:
    """A version, deleted or not; HTTP 404 where there never was one."""
    row = registry.find(model_name, model_version)
    if row is None:
        raise HTTPException(404, f"There is no version {model_version} of {model_name}.")
    return row


def run_of(row: VersionRow) -> RunRef:
    """The run that imported a version, or made its image last."""
    return _run(row.run)


def _run(text: str) -> RunRef:
    dag_id, _, run_id = text.partition("/")
    return RunRef(dag_id=dag_id, run_id=run_id)


@router.get("/models/{model_name}")
def newest(request: Request, registry: WiredRegistry, model_name: str) -> Response:
    """A model's newest version."""
    model = registry.model(model_name, versions_each=1)
    if model is None or not model.versions:
        raise HTTPException(404, f"There is no version of {model_name}.")
    return to_version(request, model_name, model.versions[0].model_version)


@router.get("/models/{model_name}/{model_version}")
@router.get("/models/{model_name}/{model_version}/{tab}")
def version(
    request: Request,
    registry: WiredRegistry,
    sweeps: WiredSweeps,
    reports: WiredReports,
    runs: WiredRuns,
    may_change: ChangesAllowed,
    model_name: str,
    model_version: str,
    tab: Tab = Tab.OVERVIEW,
    beside: str = "",
    done: str = "",
    started: Annotated[str, Query(max_length=MAX_RUN_CHARACTERS)] = "",
    number: PageNumber = 1,
) -> HTMLResponse:
    """One tab of one version."""
    row = known_version(registry, model_name, model_version)
    # A run that somebody has just started shows in the registry only when its first task has run.
    under_way = bool(started) and runs.is_under_way(_run(started))
    more: dict[str, Any] = {}
    if tab is Tab.VERSIONS:
        before = (number - 1) * VERSIONS_PER_PAGE
        siblings = registry.versions(VersionFilter(model_name=model_name), Page(limit=VERSIONS_PER_PAGE, offset=before))
        other = known_version(registry, model_name, beside) if beside else None
        more = {
            "siblings": siblings,
            "first": before + 1,
            "number": number,
            "last_page": max(1, math.ceil(siblings.total / VERSIONS_PER_PAGE)),
            "other": other,
            "comparison": compared(row, other) if other else None,
        }
    elif tab is Tab.HEALTH:
        standing = next(iter(sweeps.standings((model_name,), model_version)), None)
        more = {
            "health": registry.health(model_name, model_version),
            "swept": standing.state if standing is not None else None,
            "failed_test": row.reason.startswith(SMOKE_CODES),
        }
    has_content = bool(row.summary) or tab in WITHOUT_RECORD
    # What was checked is known long before a record is, and is why many a version never has one.
    is_reported = tab is Tab.VALIDATION and not has_content and row.status is not Status.DELETED
    return page(
        request,
        "version.html",
        row=row,
        run=run_of(row),
        base=version_path(model_name, model_version),
        tab=tab.value,
        titles={each.value: title for each, title in TITLES.items()},
        has_content=has_content,
        reported=reports.find(run_of(row)) if is_reported else None,
        is_live=row.status is Status.IMPORTING or bool(row.rebuild) or under_way,
        may_change=may_change,
        may_revalidate=may_change
        and row.status in (Status.NORMAL, Status.ABNORMAL)
        and runs.has_dag(REVALIDATE_DAG_ID),
        told=DONE.get(done, "") if under_way or not started else "",
        retested=retested(row, _run(started), runs, reports) if started and not under_way else None,
        **more,
    )


@router.get("/runs/{dag_id}/{run_id:path}")
def run(
    request: Request, importers: WiredImporters, runs: WiredRuns, reports: WiredReports, dag_id: str, run_id: str
) -> Response:
    """The version that a run imports; a page that waits while it has reserved none, and says why it never did."""
    ref = RunRef(dag_id=dag_id, run_id=run_id)
    held = importers.reservation_of(ref)
    if held is None:
        is_waiting = runs.is_under_way(ref)
        refusal = None if is_waiting else reports.find(ref).refusal
        return page(request, "run.html", run=ref, is_waiting=is_waiting, refusal=refusal)
    return to_version(request, held.model_name, held.model_version)


def to_version(
    request: Request,
    model_name: str,
    model_version: str,
    part: str = "",
    done: str = "",
    started: RunRef | None = None,
) -> Response:
    """Send the browser on to a version's page, which tells what was done and follows the run that was started."""
    said = {"done": done, "started": str(started or "")}
    query = urlencode({name: value for name, value in said.items() if value})
    address = f"{prefix_of(request)}{version_path(model_name, model_version, part)}"
    return RedirectResponse(f"{address}?{query}" if query else address, status_code=303)
