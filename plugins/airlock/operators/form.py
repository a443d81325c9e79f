"""The import form: the Params of `import_model`, with sections, titles, help, defaults and limits.

Airflow's form checks types and limits; every rule is checked again, and completely, by the first task.
Source: Importing a meta model from OBS, tables 2 and 3 and step 3c.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from airlock.domain.device import Device
from airlock.domain.request_form import (
    DEPLOYMENT_TYPES,
    DEVICE_TOLERANCE_LIMITS,
    MAX_DESCRIPTION_CHARACTERS,
    MAX_DOCUMENTS,
    MAX_LABEL_CHARACTERS,
    MAX_LABELS,
    MAX_NAME_CHARACTERS,
    NAME_PATTERN,
    SPEC_LIMITS,
    STARTUP_TIMEOUT_LIMITS_S,
)
from airlock.domain.source import DEFAULT_CONNECTION

BASIC = "Basic information"
SOURCE = "Meta model source"
DEPLOYMENT = "Deployment"
SPECS = "Inference specifications"
DESCRIPTION = "Model description"
ADVANCED = "Advanced"

IMPORT_FORM_DOC = """
### Import a model

Point at the folder in object storage that contains `model/`, or at a .tar, .tar.gz or .zip of it. The engine and its
runtime are found from it and shown; every broken rule is listed with its place and its remedy. The record of the
finished version is this run's result.
"""


def _number(name: str, section: str, title: str, help_text: str, whole: bool) -> Param:
    least, greatest = SPEC_LIMITS[name]
    return Param(
        None,
        type=["null", "integer" if whole else "number"],
        minimum=least,
        maximum=greatest,
        section=section,
        title=title,
        description=help_text,
    )


IMPORT_FORM: dict[str, Any] = {
    "model_name": Param(
        type="string",
        minLength=1,
        maxLength=MAX_NAME_CHARACTERS,
        pattern=f"^{NAME_PATTERN}$",
        section=BASIC,
        title="Name",
        description="1 to 64 letters, digits, Chinese characters, hyphens and underscores.",
    ),
    "model_version": Param(
        None,
        type=["null", "string"],
        pattern=r"^(\d{1,2}\.\d{1,2}\.\d{1,2})?$",
        section=BASIC,
        title="Version",
        description="N.N.N, each from 0 to 99. Empty: 0.0.1 for a new model, else the next patch number.",
    ),
    "labels": Param(
        [],
        type="array",
        items={"type": "string", "minLength": 1, "maxLength": MAX_LABEL_CHARACTERS},
        maxItems=MAX_LABELS,
        section=BASIC,
        title="Labels",
        description="At most five, one per line, each of 1 to 32 visible characters.",
    ),
    "description": Param(
        "",
        type=["null", "string"],
        maxLength=MAX_DESCRIPTION_CHARACTERS,
        section=BASIC,
        title="Description",
        description="At most 100 characters, none of ! < > = & ' \".",
    ),
    "source_location": Param(
        type="string",
        minLength=1,
        section=SOURCE,
        title="Meta model",
        description="The folder that contains model/: s3://bucket/prefix/, obs://bucket/prefix/ or /bucket/prefix/, or "
        "file:///path/ where the installation allows it; or a .tar, .tar.gz or .zip of it.",
    ),
    "source_connection": Param(
        DEFAULT_CONNECTION,
        type="string",
        section=SOURCE,
        title="Storage connection",
        description="Id of the Airflow Connection (type aws) that opens the storage.",
    ),
    "config_override": Param(
        None,
        type=["null", "object"],
        section=SOURCE,
        title="Configuration file",
        description="Replaces the folder's config.json for this import. Empty: the folder's own is used.",
    ),
    "install_type": Param(
        [DEPLOYMENT_TYPES[0]],
        type="array",
        items={"type": "string", "enum": list(DEPLOYMENT_TYPES)},
        examples=list(DEPLOYMENT_TYPES),
        minItems=1,
        section=DEPLOYMENT,
        title="Deployment type",
        description="What the version may be deployed as; deploying as anything else is refused.",
    ),
    "min_cpu": _number(
        "min_cpu", SPECS, "Min. CPU (cores)", "Cores that one real-time instance needs at least.", False
    ),
    "min_memory_mb": _number(
        "min_memory_mb", SPECS, "Min. memory (MB)", "Memory that one instance needs; the test runs within it.", True
    ),
    "min_gpu": _number("min_gpu", SPECS, "Min. GPU", "NVIDIA GPUs that one instance needs.", True),
    "min_ascend": _number("min_ascend", SPECS, "Min. Ascend", "Ascend devices that one instance needs.", True),
    "model_docs": Param(
        [],
        type="array",
        items={
            "type": "object",
            "required": ["doc_name", "doc_url"],
            "properties": {"doc_name": {"type": "string"}, "doc_url": {"type": "string"}},
            "additionalProperties": False,
        },
        maxItems=MAX_DOCUMENTS,
        section=DESCRIPTION,
        title="Documents",
        description='At most three: [{"doc_name": "Card", "doc_url": "https://…"}].',
    ),
    "dependencies": Param(
        None,
        type=["null", "array"],
        items={"type": "object"},
        section=ADVANCED,
        title="Runtime dependency",
        description="Replaces config.json's `dependencies`, in the same form. Empty: the file's own are used.",
    ),
    "required_devices": Param(
        [],
        type="array",
        items={"type": "string", "enum": [device.value for device in Device]},
        examples=[device.value for device in Device],
        section=ADVANCED,
        title="Required devices",
        description="Devices that must pass the test. Empty: at least one device must.",
    ),
    "startup_timeout_s": Param(
        None,
        type=["null", "number"],
        minimum=STARTUP_TIMEOUT_LIMITS_S[0],
        maximum=STARTUP_TIMEOUT_LIMITS_S[1],
        section=ADVANCED,
        title="Start time-out (s)",
        description="Seconds until the first successful prediction. Empty: the runtime's own.",
    ),
    "device_tolerance": Param(
        None,
        type=["null", "number"],
        minimum=DEVICE_TOLERANCE_LIMITS[0],
        maximum=DEVICE_TOLERANCE_LIMITS[1],
        section=ADVANCED,
        title="Tolerance between devices",
        description="Share by which numbers in the answers of two devices may differ. Empty: 0.001. With 1, "
        "differences are recorded and never fail the import.",
    ),
    "trust_model_code": Param(
        False,
        type="boolean",
        section=ADVANCED,
        title="Trust code in model files",
        description="Overrides findings of executable code in model files. Recorded with the version for good.",
    ),
    "bake_model": Param(
        False,
        type="boolean",
        section=DEPLOYMENT,
        title="Image with the model inside",
        description="Makes one self-contained image, which takes as long as writing the model to the disk twice. "
        "Otherwise the model is mounted into its runtime's image.",
    ),
    "rebuild": Param(
        False,
        type="boolean",
        section=ADVANCED,
        title="Rebuild",
        description="Makes the image of a registered version again with the runtime dependencies given here, from the "
        "package that it has. Everything else stays as it was imported.",
    ),
    "approval": Param(
        False,
        type="boolean",
        section=ADVANCED,
        title="Ask for approval",
        description="A person decides about the tested version before it is registered: Browse, Required Actions.",
    ),
}
