"""Every failure as a problem in the form of RFC 9457, with Airlock's stable code and what to change."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException

from airlock.domain.findings import Finding, shown
from airlock.errors import (
    AirlockError,
    AliasRefused,
    FormRefused,
    HandOffRefused,
    NoSuchVersion,
    Rejected,
    RunRefused,
    SettingInvalid,
    SourceRefused,
    TransientError,
    VersionBusy,
    VersionExists,
    VersionGone,
)

MEDIA_TYPE = "application/problem+json"
log = logging.getLogger(__name__)

#: Airlock's error → HTTP status, the first that fits.
_STATUSES: tuple[tuple[type[AirlockError], int], ...] = (
    (NoSuchVersion, 404),
    (VersionExists, 409),
    (VersionBusy, 409),
    (VersionGone, 409),
    (HandOffRefused, 409),
    (Rejected, 422),
    (AliasRefused, 422),
    (FormRefused, 422),
    (RunRefused, 409),
    (SourceRefused, 422),
    (SettingInvalid, 500),
    (TransientError, 503),
)
#: What Airflow's sign-in and the framework refuse by themselves.
_OF_STATUS = {
    400: ("WEB001", "The request cannot be read", "Correct it by the description at `docs`."),
    401: ("WEB002", "Nobody is signed in", "Get a token from Airflow's /auth/token and send it as a bearer token."),
    403: ("WEB003", "Not allowed", "Ask for the permission on the DAG import_model in Airflow."),
    404: ("WEB004", "Not found", "Look at the description at `docs`."),
    405: ("WEB005", "The address does not take this method", "Look at the description at `docs`."),
}


class ProblemFinding(BaseModel):
    """One broken rule."""

    code: str = Field(description="Stable code of the rule")
    severity: str
    field: str = Field(description="JSON pointer or name of the field, empty for the whole")
    message: str
    value: str = Field(description="What was found, shortened")
    remedy: str


class Problem(BaseModel):
    """A failure, in the form of RFC 9457."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(description="`urn:airlock:problem:` and the code")
    title: str
    status: int
    detail: str = Field(description="Where, what and how many")
    code: str = Field(description="Stable code of the case")
    remedy: str = Field(description="What to change; empty where the caller can do nothing")
    findings: list[ProblemFinding] = Field(default=[], description="Every broken rule, errors first")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems, and of everything that may always happen."""
    schema = {"$ref": "#/components/schemas/Problem"}
    always = (400, 401, 403, 422, 503)
    titles = {409: "Not in this state", 422: "Rules are broken", 500: "A setting is wrong", 503: "Does not answer"}
    return {
        status: {
            "description": titles.get(status) or _OF_STATUS[status][1],
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status in sorted({*always, *statuses})
    }


def problem(
    status: int, code: str, title: str, detail: str, remedy: str = "", findings: tuple[ProblemFinding, ...] = ()
) -> JSONResponse:
    """A problem as an answer."""
    told = Problem(
        type=f"urn:airlock:problem:{code}",
        title=title,
        status=status,
        detail=detail,
        code=code,
        remedy=remedy,
        findings=list(findings),
    )
    return JSONResponse(told.model_dump(), status_code=status, media_type=MEDIA_TYPE)


def finding_shape(item: Finding) -> ProblemFinding:
    """A finding as JSON."""
    return ProblemFinding(
        code=item.code,
        severity=item.severity.value,
        field=str(item.place),
        message=item.message,
        value=item.value,
        remedy=item.fix,
    )


def refusal_shape(error: AirlockError) -> ProblemFinding:
    """A refusal that is no finding as one."""
    return ProblemFinding(
        code=error.code, severity="error", field="", message=error.message, value="", remedy=error.remedy
    )


def of_http(error: StarletteHTTPException) -> JSONResponse:
    """What Airflow's sign-in or the framework refuse, as a problem."""
    code, title, remedy = _OF_STATUS.get(error.status_code, ("WEB006", "The request failed", ""))
    answer = problem(error.status_code, code, title, str(error.detail), remedy)
    answer.headers.update(error.headers or {})
    return answer


def handle_problems(app: FastAPI) -> None:
    """Answer every failure of the application's routes with a problem."""

    @app.exception_handler(AirlockError)
    def of_airlock(request: Request, error: AirlockError) -> JSONResponse:
        status = next((status for kind, status in _STATUSES if isinstance(error, kind)), 500)
        findings = tuple(map(finding_shape, error.findings)) if isinstance(error, Rejected) else ()
        title = type(error).__doc__ or ""
        return problem(status, error.code, title.partition(".")[0], error.message, error.remedy, findings)

    @app.exception_handler(RequestValidationError)
    def of_form(request: Request, error: RequestValidationError) -> JSONResponse:
        findings = tuple(
            ProblemFinding(
                code="WEB001",
                severity="error",
                field="/".join(map(str, each["loc"])),
                message=each["msg"],
                value=shown(str(each.get("input", ""))),
                remedy="",
            )
            for each in error.errors()
        )
        detail = f"{len(findings)} parts of the request break their form."
        return problem(422, "WEB001", _OF_STATUS[400][1], detail, _OF_STATUS[400][2], findings)

    @app.exception_handler(StarletteHTTPException)
    def of_framework(request: Request, error: StarletteHTTPException) -> JSONResponse:
        return of_http(error)

    @app.exception_handler(Exception)
    def of_a_defect(request: Request, error: Exception) -> JSONResponse:
        log.error("A defect in %s %s", request.method, request.url.path, exc_info=error)
        return problem(500, "WEB006", "A defect of Airlock", "The API server's log says more.")
