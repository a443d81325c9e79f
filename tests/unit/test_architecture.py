"""Dependencies point one way: dags → operators → steps → ports → domain; adapters → ports, domain; web → wiring.

Every import is looked at, those inside functions and under TYPE_CHECKING too.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.given import ROOT

PLUGINS = ROOT / "plugins"

#: Layer → the layers of airlock that it may import, itself included.
ALLOWED = {
    "errors": {"domain"},
    "domain": {"domain", "errors"},
    "ports": {"domain", "ports"},
    "registry_ports": {"domain", "registry_ports"},
    "steps": {"domain", "errors", "ports", "registry_ports", "steps"},
    "codec": {"domain"},
    "adapters": {"adapters", "codec", "domain", "errors", "ports", "registry_ports"},
    "operators": {"adapters.settings", "adapters.wiring", "codec", "domain", "errors", "operators", "ports", "steps"},
    "web": {
        "adapters.settings",
        "adapters.wiring",
        "codec",
        "domain",
        "errors",
        "operators.form",
        "ports",
        "registry_ports",
        "steps.check",
        "web",
    },
    "cli": {"adapters", "cli", "codec", "domain", "errors", "ports", "steps"},
    "__main__": {"adapters", "cli", "codec", "domain", "errors", "ports", "steps", "web"},
    "dags": {"operators"},
    "airlock_plugin": {"operators.links", "web"},
}

#: Single imports against the rule, each with its reason.
EXCEPTIONS: set[tuple[str, str]] = set()

#: What the domain may import beside itself: pure parts of the standard library, and pure checkers.
PURE = {
    "__future__", "ast", "base64", "bz2", "collections", "contextlib", "csv", "dataclasses", "difflib", "encodings",
    "enum", "fnmatch", "functools", "hashlib", "hmac", "ipaddress", "itertools", "json", "keyword", "lzma", "math",
    "posixpath", "re", "shlex", "statistics", "string", "struct", "typing", "unicodedata", "urllib.parse", "warnings",
    "zlib", "jsonschema", "packaging", "parso", "referencing",
}  # fmt: skip
#: What the steps and ports may import beside the layers below them.
PURE_STEPS = {*PURE, "sys"}

#: Clients of the outside world; only adapters (and for Airflow operators, web and dags) know them.
CLIENTS = {"boto3", "botocore", "docker", "sqlalchemy", "alembic", "great_expectations", "httpx", "requests"}

#: Built-in functions that reach out of a module or hide what it imports.
IMPURE_CALLS = {"open", "exec", "eval", "compile", "__import__", "input", "print", "breakpoint"}


def imports(source: str, package: str) -> Iterator[tuple[str, bool]]:
    """Every module that is imported, and whether for type checking only.

    Args:
        source: Python text.
        package: The package that relative imports start from.
    """

    def visit(node: ast.AST, checking: bool) -> Iterator[tuple[str, bool]]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for child in node.body:
                yield from visit(child, True)
            for child in node.orelse:
                yield from visit(child, checking)
            return
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, checking
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")
                base = ".".join([*parents[: len(parents) - node.level + 1], *([base] if base else [])])
            # `from airlock import steps` imports airlock.steps.
            for name in node.names:
                yield (f"{base}.{name.name}" if base in ("airlock", "airlock.adapters", "urllib") else base), checking
        for child in ast.iter_child_nodes(node):
            yield from visit(child, checking)

    yield from visit(ast.parse(source), False)


def within(module: str, allowed: set[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in allowed)


def layer_of(path: str) -> str:
    """The layer of a file, given relative to plugins/ or to the project."""
    parts = Path(path).with_suffix("").parts
    return parts[1] if parts[0] == "airlock" and len(parts) > 1 else parts[0]


def violations(path: str, source: str) -> list[str]:
    """What in a file breaks the rules.

    Args:
        path: Relative to plugins/ (`airlock/domain/x.py`), or `dags/x.py`.
        source: Its text.
    """
    layer = layer_of(path)
    package = ".".join(Path(path).parent.parts)
    found = []
    for module, checking in imports(source, package):
        if module == "airlock" or module.startswith("airlock."):
            inner = module.removeprefix("airlock").removeprefix(".").removeprefix("__version__")
            if inner and not within(inner, ALLOWED[layer]) and (path, module) not in EXCEPTIONS:
                found.append(f"{path} imports {module}")
            if layer == "errors" and (inner not in ("domain.findings", "domain.failure") or not checking):
                found.append(f"{path} imports {module}; only what errors carry, for type checking")
        elif layer in ("domain", "errors", "ports", "registry_ports", "steps") and not within(
            module, PURE if layer == "domain" else PURE_STEPS
        ):
            found.append(f"{path} imports {module}, which is not pure")
        elif layer != "adapters" and module.partition(".")[0] in CLIENTS:
            found.append(f"{path} imports {module}; only adapters know clients")
    if layer in ("domain", "steps"):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in IMPURE_CALLS:
                found.append(f"{path}:{node.lineno} calls {node.func.id}")
    return found


def files() -> list[tuple[str, str]]:
    paths = [*(PLUGINS / "airlock").rglob("*.py"), *PLUGINS.glob("*.py")]
    named = [(path.relative_to(PLUGINS).as_posix(), path) for path in paths if "migrations" not in path.parts]
    named += [(f"dags/{path.name}", path) for path in (ROOT / "dags").glob("*.py")]
    return [(name, path.read_text(encoding="utf-8")) for name, path in sorted(named) if name != "airlock/__init__.py"]


def test_every_import_points_the_right_way() -> None:
    assert [line for name, source in files() for line in violations(name, source)] == []


def test_every_layer_is_looked_at() -> None:
    layers = {layer_of(name) for name, _ in files()}
    assert {"domain", "steps", "ports", "errors", "adapters", "operators", "web", "dags"} <= layers
    assert layers <= set(ALLOWED)


def test_every_exception_is_still_needed() -> None:
    sources = dict(files())
    for name, module in EXCEPTIONS:
        assert module in [found for found, _ in imports(sources[name], "airlock.adapters")], (
            f"{name} no longer needs it"
        )


@pytest.mark.parametrize(
    "path,source",
    [
        ("airlock/domain/x.py", "import os"),
        ("airlock/domain/x.py", "import os.path as p"),
        ("airlock/domain/x.py", "from pathlib import Path"),
        ("airlock/domain/x.py", "def f():\n    import time"),
        ("airlock/domain/x.py", "from datetime import datetime"),
        ("airlock/domain/x.py", "import random"),
        ("airlock/domain/x.py", "import subprocess, json"),
        ("airlock/domain/x.py", "import socket"),
        ("airlock/domain/x.py", "import tempfile"),
        ("airlock/domain/x.py", "import urllib.request"),
        ("airlock/domain/x.py", "from urllib import request"),
        ("airlock/domain/x.py", "import airflow"),
        ("airlock/domain/x.py", "from airflow.sdk import Context"),
        ("airlock/domain/x.py", "import boto3"),
        ("airlock/domain/x.py", "import docker"),
        ("airlock/domain/x.py", "from sqlalchemy.orm import Session"),
        ("airlock/domain/x.py", "import great_expectations as gx"),
        ("airlock/domain/x.py", "try:\n    import httpx\nexcept ImportError:\n    pass"),
        ("airlock/domain/x.py", "if TYPE_CHECKING:\n    import requests"),
        ("airlock/domain/x.py", "def f():\n    return open('x')"),
        ("airlock/domain/x.py", "__import__('os')"),
        ("airlock/domain/x.py", "import importlib"),
        ("airlock/domain/x.py", "from airlock.ports.clock import Clock"),
        ("airlock/domain/x.py", "from airlock import ports"),
        ("airlock/domain/x.py", "from airlock.steps.fetch import fetch"),
        ("airlock/domain/x.py", "from .. import adapters"),
        ("airlock/domain/x.py", "from ..adapters import s3"),
        ("airlock/domain/x.py", "from airlock.adapters.s3 import x"),
        ("airlock/domain/x.py", "if TYPE_CHECKING:\n    from airlock.steps import fetch"),
        ("airlock/errors.py", "from airlock.domain.findings import Finding"),
        ("airlock/errors.py", "if TYPE_CHECKING:\n    from airlock.domain.rules import RULES"),
        ("airlock/errors.py", "import logging"),
        ("airlock/ports/x.py", "from airlock.steps.fetch import FetchLimits"),
        ("airlock/ports/x.py", "from airlock.adapters.s3 import x"),
        ("airlock/steps/x.py", "from airlock.adapters.s3 import x"),
        ("airlock/steps/x.py", "from airlock.operators.base import StepOperator"),
        ("airlock/steps/x.py", "import os"),
        ("airlock/steps/x.py", "import airflow"),
        ("airlock/adapters/x.py", "from airlock.steps.fetch import fetch"),
        ("airlock/adapters/x.py", "from airlock.operators.base import StepOperator"),
        ("airlock/adapters/x.py", "from airlock.web.app import create_app"),
        ("airlock/operators/x.py", "from airlock.adapters.s3 import x"),
        ("airlock/operators/x.py", "from airlock.adapters import s3"),
        ("airlock/operators/x.py", "import docker"),
        ("airlock/operators/x.py", "from airlock.web.app import create_app"),
        ("airlock/web/x.py", "from airlock.steps.fetch import fetch"),
        ("airlock/web/x.py", "from airlock.operators.base import StepOperator"),
        ("airlock/web/x.py", "import sqlalchemy"),
        ("dags/x.py", "from airlock.steps.fetch import fetch"),
        ("dags/x.py", "from airlock.domain.device import Device"),
        ("dags/x.py", "import boto3"),
        ("airlock_plugin.py", "from airlock.operators.base import StepOperator"),
    ],
)
def test_a_planted_violation_is_found(path: str, source: str) -> None:
    assert violations(path, source)


@pytest.mark.parametrize(
    "path,source",
    [
        (
            "airlock/domain/x.py",
            "from collections.abc import Mapping\nfrom urllib.parse import urlsplit\nimport jsonschema",
        ),
        ("airlock/domain/x.py", "from airlock.errors import Rejected\nfrom . import rules\nfrom .rules import RULES"),
        ("airlock/errors.py", "if TYPE_CHECKING:\n    from airlock.domain.findings import Finding"),
        ("airlock/steps/x.py", "from airlock.ports.clock import Clock\nfrom airlock.steps.build import known_runtime"),
        ("airlock/adapters/x.py", "import boto3, os\nfrom airlock.ports.clock import Clock\nfrom . import s3"),
        ("airlock/operators/x.py", "from airlock.adapters.wiring import Wiring\nfrom airflow.sdk import BaseOperator"),
        ("dags/x.py", "from airlock.operators.steps import FetchOperator\nfrom airflow.sdk import DAG"),
    ],
)
def test_what_is_allowed_is_not_found(path: str, source: str) -> None:
    assert violations(path, source) == []
