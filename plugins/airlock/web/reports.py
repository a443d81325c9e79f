"""The report of one run: what an import found in its package, or what became of the versions of a sweep."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, JSONResponse

from airlock.codec import encode
from airlock.domain.findings import Severity
from airlock.domain.version import RunRef
from airlock.web.rendering import page
from airlock.web.wired import WiredReports

#: Files that the page lists; the report as JSON has them all.
MAX_FILES = 1000

router = APIRouter()


@router.get("/reports/{dag_id}/{run_id}")
def report(request: Request, reports: WiredReports, dag_id: str, run_id: str) -> HTMLResponse:
    """The page, for an import that was refused as well as for one that is still under way."""
    run = RunRef(dag_id=dag_id, run_id=run_id)
    found = reports.find(run)
    if found.sweep is not None:
        return page(request, "sweep.html", sweep=found.sweep, run=run)
    if found.refusal is not None and found.package is None:
        return page(request, "run.html", run=run, is_waiting=False, refusal=found.refusal)
    # What is wrong comes first: a long list is cut.
    files = (
        () if found.package is None else sorted(found.package.files, key=lambda each: (-each.errors, -each.warnings))
    )
    findings = () if found.package is None else found.package.findings
    return page(
        request,
        "report.html",
        200 if found.package or found.suites else 404,
        report=found,
        files=files[:MAX_FILES],
        left_out=max(0, len(files) - MAX_FILES),
        run=run,
        errors=sum(item.count for item in findings if item.severity is Severity.ERROR),
        count=sum(item.count for item in findings),
    )


@router.get("/reports/{dag_id}/{run_id}/report.json")
def report_as_json(reports: WiredReports, dag_id: str, run_id: str) -> JSONResponse:
    """Everything that is kept, as JSON."""
    return JSONResponse(encode(reports.find(RunRef(dag_id=dag_id, run_id=run_id))))
