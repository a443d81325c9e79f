"""Inference code as a test writes it, and the findings that a check of it gives."""

from __future__ import annotations

from typing import Any

from airlock.domain.catalogue import ServiceSpec
from airlock.domain.dependencies import Dependency
from airlock.domain.findings import Finding, Severity
from airlock.domain.service_code.checking import check_code
from tests.unit.given import runtime

MAIN = "customize_service.py"
PYTORCH = "from model_service.pytorch_model_service import PTServingBaseService\n"
#: A service without fault, in which a test puts what it is about.
GOOD = PYTORCH + "class Service(PTServingBaseService):\n    pass\n"


def check(files: dict[str, str | bytes], **options: Any) -> list[Finding]:
    """The findings of these files, named by their paths under `model/`."""
    data = {path: text.encode() if isinstance(text, str) else text for path, text in files.items()}
    spec = ServiceSpec(base_class="model_service.pytorch_model_service:PTServingBaseService", model_path="*.pth")
    dependencies = tuple(Dependency(name=name) for name in options.pop("dependencies", ()))
    own = options.pop("own", (3, 11))
    values = {"engine": "PyTorch", "service": spec, "python": "3.7", "constraints": "numpy==1.16.6\n", **options}
    return check_code(data.keys(), data.__getitem__, runtime(**values), dependencies, own)


def found(text: str | bytes, **options: Any) -> list[tuple[str, Severity, int, int]]:
    """Code, severity, line and column of the findings in customize_service.py."""
    return [(item.code, item.severity, item.place.line, item.place.column) for item in check({MAIN: text}, **options)]


def codes(text: str | bytes, **options: Any) -> list[str]:
    return [code for code, *_ in found(text, **options)]


def method(text: str, base: str = "PTServingBaseService", module: str = "pytorch_model_service") -> str:
    lines = "".join(f"    {line}\n" for line in text.splitlines())
    return f"from model_service.{module} import {base}\nclass Service({base}):\n{lines}"
