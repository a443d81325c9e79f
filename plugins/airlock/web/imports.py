"""Runs that are started from a version's page: its next version, and a new test of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from starlette.concurrency import run_in_threadpool

from airlock.domain.findings import Finding
from airlock.domain.record import VersionRow
from airlock.domain.request_form import parse_new_dependencies
from airlock.domain.version import RunRef
from airlock.errors import AirlockError, NotStarted, RequestRejected, RunRefused, VersionExists
from airlock.ports.dag_runs import DagRuns
from airlock.registry_ports import RegistryReader
from airlock.web.access import DAG_ID, REVALIDATE_DAG_ID, may_change
from airlock.web.changes import Lines, lines_of, live_version
from airlock.web.rendering import page, prefix_of, version_path
from airlock.web.starting import start_import
from airlock.web.versions import TESTABLE, known_version, run_of, to_version
from airlock.web.wired import WiredImporters, WiredRegistry, WiredRuns

# Plain functions: FastAPI runs them in threads, and the registry blocks. What starts a run waits for a request to
# Airflow's own API, which may need a thread: it keeps none meanwhile.
router = APIRouter()

_NEW_VERSION = "new_version.html"
_DEPENDENCIES = "dependencies.html"
#: Fields that have a place of their own in the form; all others are one JSON object.
_SHOWN = ("model_name", "model_version", "source_location", "description", "labels")
_MAX_OTHERS_CHARACTERS = 1_000_000
#: Where a wheel of the package's own lies in the image, as config.json names it.
BUNDLED_FOLDER = "/home/mind/model/"


def _asked_for(row: VersionRow, runs: DagRuns) -> dict[str, Any]:
    """The request that made a version, from its run; from the registry where Airflow has forgotten the run."""
    run = run_of(row)
    conf = runs.conf_of(run) if run.dag_id == DAG_ID else None
    # A run that made the image again was asked for no import.
    if conf is not None and not conf.get("rebuild"):
        return conf
    return {
        "source_location": row.source,
        "description": row.description,
        "labels": list(row.labels),
        "install_type": list(row.install_type),
        "model_docs": [{"doc_name": each.name, "doc_url": each.url} for each in row.documents],
    }


def _others(conf: Mapping[str, Any]) -> str:
    said = {name: value for name, value in conf.items() if name not in _SHOWN and value not in (None, [], "", False)}
    return json.dumps(said, ensure_ascii=False, indent=2) if said else ""


def _form(
    request: Request,
    template: str,
    row: VersionRow,
    *,
    findings: Sequence[Finding] = (),
    error: AirlockError | None = None,
    **filled: Any,
) -> Response:
    """A form about a version, filled in, with what is wrong with it."""
    return page(
        request,
        template,
        400 if findings or error else 200,
        row=row,
        base=version_path(row.model_name, row.model_version),
        findings=findings,
        error=error,
        **filled,
    )


@router.get("/models/{model_name}/{model_version}/new", dependencies=[may_change])
def new_version_form(
    request: Request, registry: WiredRegistry, runs: WiredRuns, model_name: str, model_version: str
) -> Response:
    """The import form for the next version, filled in as this one was asked for."""
    row = known_version(registry, model_name, model_version)
    conf = _asked_for(row, runs)
    values = {
        "model_version": "",
        "source_location": str(conf.get("source_location") or ""),
        "description": row.description,
        "labels": "\n".join(row.labels),
        "others": _others(conf),
    }
    return _form(request, _NEW_VERSION, row, values=values)


@router.post("/models/{model_name}/{model_version}/new", dependencies=[may_change])
async def import_new_version(
    request: Request,
    registry: WiredRegistry,
    importers: WiredImporters,
    runs: WiredRuns,
    model_name: str,
    model_version: str,
    asked_version: Annotated[str, Form(alias="model_version", max_length=100)] = "",
    source_location: Annotated[str, Form(max_length=10_000)] = "",
    description: Lines = "",
    labels: Lines = "",
    others: Annotated[str, Form(max_length=_MAX_OTHERS_CHARACTERS)] = "",
) -> Response:
    """Start the import of the next version."""
    row = await run_in_threadpool(known_version, registry, model_name, model_version)
    values = {
        "model_version": asked_version,
        "source_location": source_location,
        "description": description,
        "labels": labels,
        "others": others,
    }
    try:
        conf = {
            **_read_others(others),
            "model_name": model_name,
            "model_version": asked_version.strip() or None,
            "source_location": source_location,
            "description": description.replace("\r\n", "\n"),
            "labels": lines_of(labels),
        }
        started = await start_import(conf, runs=runs, importers=importers, credentials=request.headers)
    except RequestRejected as rejected:
        return _form(request, _NEW_VERSION, row, values=values, findings=rejected.findings)
    except (NotStarted, RunRefused, VersionExists) as error:
        return _form(request, _NEW_VERSION, row, values=values, error=error)
    return _to_run(request, started)


def _read_others(text: str) -> dict[str, Any]:
    """The other fields of the form.

    Raises:
        NotStarted: The text is no JSON object, or names a field that has a place of its own.
    """
    if not text.strip():
        return {}
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotStarted(
            "WEB012", f"The other fields are no JSON: {error}.", "Change them, or leave them out."
        ) from error
    if not isinstance(value, dict):
        raise NotStarted("WEB012", "The other fields are no JSON object.", 'Write {"field": value, …}.')
    twice = [name for name in _SHOWN if name in value]
    if twice:
        raise NotStarted(
            "WEB012", f"The other fields name {', '.join(twice)}.", "That has a place of its own in the form."
        )
    return value


@router.post("/models/{model_name}/{model_version}/revalidate", dependencies=[may_change])
async def revalidate(
    request: Request, registry: WiredRegistry, runs: WiredRuns, model_name: str, model_version: str
) -> Response:
    """Test the version again."""
    await run_in_threadpool(_imported, registry, model_name, model_version)
    conf = {"model_name": model_name, "model_version": model_version}
    started = await runs.start(REVALIDATE_DAG_ID, conf, request.headers)
    return to_version(request, model_name, model_version, "health", "revalidating", started)


@router.get("/models/{model_name}/{model_version}/dependencies", dependencies=[may_change])
def dependencies_form(request: Request, registry: WiredRegistry, model_name: str, model_version: str) -> Response:
    """The form for a version's runtime dependencies."""
    row = _imported(registry, model_name, model_version)
    return _form(
        request,
        _DEPENDENCIES,
        row,
        dependencies=_as_configured(row.details["validated"]["config"]["dependencies"]),
    )


@router.post("/models/{model_name}/{model_version}/dependencies", dependencies=[may_change])
async def replace_dependencies(
    request: Request,
    registry: WiredRegistry,
    runs: WiredRuns,
    model_name: str,
    model_version: str,
    dependencies: Annotated[str, Form(max_length=_MAX_OTHERS_CHARACTERS)] = "",
) -> Response:
    """Make the version's image again with other runtime dependencies."""
    row = await run_in_threadpool(_imported, registry, model_name, model_version)
    try:
        wanted = json.loads(dependencies or "[]")
        parse_new_dependencies(wanted)
        conf = {
            "model_name": model_name,
            "model_version": model_version,
            "source_location": row.source,
            "dependencies": wanted,
            "rebuild": True,
        }
        started = await runs.start(DAG_ID, conf, request.headers)
    except RequestRejected as rejected:
        return _form(request, _DEPENDENCIES, row, dependencies=dependencies, findings=rejected.findings)
    except (NotStarted, RunRefused) as error:
        return _form(request, _DEPENDENCIES, row, dependencies=dependencies, error=error)
    except (ValueError, RecursionError) as error:
        told = NotStarted("WEB012", f"The dependencies are no JSON: {error}.", "Write a list, as config.json has it.")
        return _form(request, _DEPENDENCIES, row, dependencies=dependencies, error=told)
    return to_version(request, model_name, model_version, "events", "rebuilding", started)


def _imported(registry: RegistryReader, model_name: str, model_version: str) -> VersionRow:
    row = live_version(registry, model_name, model_version)
    if row.status not in TESTABLE:
        raise HTTPException(409, f"{model_name} {model_version} has status {row.status.value}: it was never imported.")
    return row


def _as_configured(dependencies: Sequence[Mapping[str, Any]]) -> str:
    """Dependencies of a record, as config.json writes them."""
    packages = [
        {"package_name": f"{BUNDLED_FOLDER}{item['name']}"}
        if item.get("bundled")
        else {
            "package_name": item["name"],
            **({"package_version": item["version"], "restraint": item["restraint"]} if item.get("restraint") else {}),
        }
        for item in dependencies
    ]
    groups = [{"installer": "pip", "packages": packages}] if packages else []
    return json.dumps(groups, ensure_ascii=False, indent=2)


def _to_run(request: Request, run: RunRef) -> Response:
    address = f"{prefix_of(request)}/runs/{quote(run.dag_id, safe='')}/{quote(run.run_id, safe='')}"
    return RedirectResponse(address, status_code=303)
