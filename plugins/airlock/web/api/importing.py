"""Imports, checks without an import, and rebuilds: what starts work."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler, RootModel
from pydantic_core import CoreSchema
from starlette.concurrency import run_in_threadpool

from airlock.domain.record import VersionRow
from airlock.domain.request_form import parse_new_dependencies, parse_source
from airlock.domain.version import RunRef, Status
from airlock.errors import NoSuchVersion, VersionBusy
from airlock.operators.form import IMPORT_FORM
from airlock.registry_ports import RegistryReader
from airlock.steps.check import DEFAULT_READ_BYTES, check_source
from airlock.web.access import DAG_ID, REVALIDATE_DAG_ID, may_change
from airlock.web.api import shapes
from airlock.web.api.problems import ProblemFinding, documented, finding_shape, refusal_shape
from airlock.web.api.reading import ONE, existing
from airlock.web.api.shapes import ModelName, ModelVersion
from airlock.web.starting import start_import
from airlock.web.wired import WiredAdapters, WiredImporters, WiredRegistry, WiredRuns

router = APIRouter(tags=["Imports"], responses=documented(409, 500), dependencies=[may_change])


class StartedRun(shapes.RunShape):
    """A run that was started."""

    state: str = "queued"


class ImportForm(RootModel[dict[str, Any]]):
    """The import form, described as the DAG `import_model` has it and checked by the rules of the import."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return form_schema()


#: What only Airflow's page makes something of. Its examples are what may be chosen, not examples of the whole.
_OF_THE_PAGE = ("section", "examples")


def form_schema() -> dict[str, Any]:
    """The fields of the form as a JSON Schema. Those that may be left out may be null, too."""
    properties: dict[str, Any] = {}
    required: list[str] = []
    for name, param in IMPORT_FORM.items():
        field = {key: value for key, value in param.schema.items() if key not in _OF_THE_PAGE}
        types = {field["type"]} if isinstance(field["type"], str) else {*field["type"]}
        if param.has_value:
            field["default"] = param.value
        if param.has_value or "null" in types:
            field["type"] = sorted(types | {"null"})
        else:
            required.append(name)
        properties[name] = {**field, "description": param.description}
    return {
        "title": "ImportForm",
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


class CheckBody(BaseModel):
    """What is checked."""

    model_config = ConfigDict(extra="forbid")

    source_location: str = Field(max_length=2000, description="s3://bucket/folder/ that contains `model/`")
    source_connection: str = Field(default="", max_length=128, description="Id of the Airflow Connection")
    trust_model_code: bool = False


class Checked(BaseModel):
    """What a check has to say."""

    model_config = ConfigDict(protected_namespaces=())

    passed: bool = Field(description="Whether the package would get past validation and detection")
    complete: bool = Field(description="Whether every model file was read as far as an import reads it")
    findings: list[ProblemFinding]
    refusal: ProblemFinding | None = Field(description="Why no engine was found, though every rule is kept")
    model_type: str
    runtime: str
    file_count: int
    model_size: int = Field(description="Bytes of the package")
    bytes_read: int | None


class DependenciesBody(BaseModel):
    """Runtime dependencies, in config.json's form."""

    model_config = ConfigDict(extra="forbid")

    dependencies: list[dict[str, Any]] = Field(description='[{"installer": "pip", "packages": [{"package_name": …}]}]')


def _imported(registry: RegistryReader, model_name: str, model_version: str, done: str) -> VersionRow:
    """A version that was imported, or a problem that says what can be done to nothing else."""
    row = existing(registry, model_name, model_version)
    if row.status is Status.DELETED:
        raise NoSuchVersion("REG008", f"{model_name} {model_version} was deleted.", "Look at /models.")
    if row.status not in (Status.NORMAL, Status.ABNORMAL):
        raise VersionBusy(
            "REG009", f"{model_name} {model_version} has status {row.status}.", f"Only what was imported is {done}."
        )
    return row


def _started(run: RunRef) -> StartedRun:
    return StartedRun(**shapes.run_shape(run.dag_id, run.run_id).model_dump())


@router.post("/imports", status_code=202)
async def import_model(
    request: Request,
    importers: WiredImporters,
    runs: WiredRuns,
    form: ImportForm,
) -> StartedRun:
    """Start an import; the answer names its run. Broken rules of the form and a version that exists are told at once,
    and nothing is started.
    """
    return _started(await start_import(form.root, runs=runs, importers=importers, credentials=request.headers))


@router.post("/checks")
def check_without_import(adapters: WiredAdapters, body: CheckBody) -> Checked:
    """Apply the rules of an import to a package where it lies, from its listing and its files' headers."""
    location, connection = parse_source(body.model_dump(exclude={"trust_model_code"}))
    report = check_source(
        location,
        storage=adapters.storage(location.scheme, connection),
        catalogue=adapters.catalogue,
        schema=adapters.config_schema,
        limits=adapters.fetch_limits,
        trusted=body.trust_model_code,
        max_read_bytes=DEFAULT_READ_BYTES,
    )
    refusal = report.refusal
    return Checked(
        passed=report.passed,
        complete=report.complete,
        findings=list(map(finding_shape, report.findings)),
        refusal=None if refusal is None else refusal_shape(refusal),
        model_type=report.detection.engine if report.detection else "",
        runtime=(report.detection.runtime or "") if report.detection else "",
        file_count=report.file_count,
        model_size=report.size_bytes,
        bytes_read=report.bytes_read,
    )


@router.put(f"{ONE}/dependencies", status_code=202, responses=documented(404))
async def replace_dependencies(
    request: Request,
    registry: WiredRegistry,
    runs: WiredRuns,
    model_name: ModelName,
    model_version: ModelVersion,
    body: DependenciesBody,
) -> StartedRun:
    """Make a version's image again with other runtime dependencies, from the package that it has.

    The version stays what it is until the run has succeeded.
    """
    parse_new_dependencies(body.dependencies)
    row = await run_in_threadpool(_imported, registry, model_name, model_version, "rebuilt")
    form = {
        "model_name": model_name,
        "model_version": model_version,
        "source_location": row.source,
        "dependencies": body.dependencies,
        "rebuild": True,
    }
    return _started(await runs.start(DAG_ID, form, request.headers))


@router.post(f"{ONE}/revalidation", status_code=202, responses=documented(404))
async def revalidate(
    request: Request, registry: WiredRegistry, runs: WiredRuns, model_name: ModelName, model_version: ModelVersion
) -> StartedRun:
    """Check and test a version again, now: it becomes Abnormal where it is no longer fit, or Normal again."""
    await run_in_threadpool(_imported, registry, model_name, model_version, "tested again")
    form = {"model_name": model_name, "model_version": model_version}
    return _started(await runs.start(REVALIDATE_DAG_ID, form, request.headers))
