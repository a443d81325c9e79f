"""Imports that are started from a page or over the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool

from airlock.domain.request_form import given_fields, parse_request
from airlock.domain.version import RunRef
from airlock.ports.dag_runs import DagRuns
from airlock.ports.registry import Registry
from airlock.web.access import DAG_ID


async def start_import(
    form: Mapping[str, Any], *, runs: DagRuns, importers: Registry, credentials: Mapping[str, str]
) -> RunRef:
    """Start an import, unless its first task would refuse it.

    Raises:
        RequestRejected: The form breaks rules.
        VersionExists: The version is taken. Another import may still take it before this one does.
        RunRefused: Airflow does not start it.
    """
    request = parse_request(form)
    # What is rebuilt is a version that exists.
    if not request.rebuild:
        await run_in_threadpool(importers.free_version, request)
    return await runs.start(DAG_ID, given_fields(form), credentials)
