"""The Params of `import_models`. The first task checks every rule again, and completely."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from airlock.domain.batch import MAX_PACKAGES
from airlock.domain.source import DEFAULT_CONNECTION

PACKAGES = "Packages"
IMPORT = "Import"

BATCH_FORM_DOC = """
### Import many models

Name the packages in one of three ways: a list, a prefix whose folders are packages, or a manifest in the bucket. A dry
run says what would happen. Each package is imported by a run of **Import a model**; the table of them all is this run's
result. Start the batch again after a correction: what is imported already is skipped.
"""

BATCH_FORM: dict[str, Any] = {
    "packages": Param(
        [],
        type=["null", "array"],
        items={"type": "string", "minLength": 1},
        maxItems=MAX_PACKAGES,
        section=PACKAGES,
        title="List",
        description="One source location a line: s3://bucket/models/iris/.",
    ),
    "prefix": Param(
        None,
        type=["null", "string"],
        section=PACKAGES,
        title="Prefix",
        description="s3://bucket/models/*/: every folder there is a package, and its name is the model's.",
    ),
    "manifest": Param(
        None,
        type=["null", "string"],
        section=PACKAGES,
        title="Manifest",
        description="s3://bucket/batch.csv or .json: a package a line, with the import form's fields.",
    ),
    "source_connection": Param(
        DEFAULT_CONNECTION,
        type="string",
        section=PACKAGES,
        title="Storage connection",
        description="Id of the Airflow Connection (type aws) that opens the storage.",
    ),
    "defaults": Param(
        None,
        type=["null", "object"],
        section=IMPORT,
        title="Fields for all",
        description='Fields of the import form for every package that does not give them: {"labels": ["batch"]}.',
    ),
    "dry_run": Param(
        False,
        type="boolean",
        section=IMPORT,
        title="Dry run",
        description="Only say what would happen: new, new version, identical, or invalid and why.",
    ),
}
