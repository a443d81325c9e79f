"""The `config.json` of a Transformers model, one folder below the package's own.

Source: Hugging Face Transformers, documentation of PretrainedConfig and of custom models.
"""

from __future__ import annotations

from typing import Any

from airlock.domain.model_files.facts import CERTAIN, NAMED, Facts, Problem, WrittenBy, claims, listed, numbered
from airlock.domain.model_files.ranges import Ranges, parsed

MAX_CONFIGURATION_BYTES = 4 << 20


def is_configuration(path: str) -> bool:
    """Whether a path under `model/` may be one."""
    return path.count("/") == 1 and path.endswith("/config.json")


def read_configuration(ranges: Ranges) -> Facts | None:
    """A model's `config.json`; None where it is another one's.

    Raises:
        Unreadable: It is no JSON.
    """
    value: Any = parsed(ranges.whole(MAX_CONFIGURATION_BYTES))
    if not isinstance(value, dict):
        return None
    version = numbered(value.get("transformers_version"))
    architectures = value.get("architectures")
    names = [str(name)[:80] for name in architectures] if isinstance(architectures, list) else []
    if not version and not names and not isinstance(value.get("model_type"), str):
        return None
    problems = []
    own = value.get("auto_map")
    if isinstance(own, dict) and own:
        classes = listed(str(name)[:80] for name in own.values())
        message = f"It asks for classes that inference code must bring: {classes}."
        problems.append(Problem(code="MDL007", message=message))
    details = [("architectures", listed(names))] if names else []
    if isinstance(value.get("model_type"), str):
        details.append(("kind", value["model_type"][:40]))
    return Facts(
        says="is the configuration of a Transformers model",
        claims=claims(CERTAIN if version else NAMED, "Transformers"),
        written_by=(WrittenBy(library="Transformers", version=version),) if version else (),
        details=tuple(details),
        problems=tuple(problems),
    )
