"""What the documents name is there."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from airlock.adapters.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "docs/operations.md",
    "docs/engines.md",
    "docs/images.md",
    "docs/serving.md",
    "docs/batches.md",
    "docs/deployment.md",
    "docs/kubernetes.md",
]
FOLDERS = ("dags/", "deploy/", "docs/", "examples/", "include/", "plugins/", "scripts/", "tests/")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    named = {
        name for name in re.findall(r"`([^`\s]+)`", text) if name.startswith(FOLDERS) and not set(name) & set("<*{")
    }
    linked = {name for name in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in name}
    assert named or linked, "the document names something"
    assert [name for name in sorted(named | linked) if not (ROOT / name).exists()] == []


def test_the_architecture_names_every_step() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    steps = {path.stem for path in (ROOT / "plugins/airlock/steps").glob("*.py")} - {"__init__"}
    assert {step for step in steps if f"steps/{step}.py" not in text} <= {"check"}


def test_the_operations_page_lists_every_setting() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    listed = re.findall(r"(?m)^\| `([a-z_]+)` \|", text)
    assert sorted(listed) == sorted(field.name for field in dataclasses.fields(Settings))


def test_the_serving_page_lists_every_variable_of_the_server() -> None:
    known = (ROOT / "include/runtimes/serving/model_service/settings.py").read_text(encoding="utf-8")
    rows = re.findall(r"(?m)^\| (`[A-Z_`, ]+`) \|", (ROOT / "docs/serving.md").read_text(encoding="utf-8"))
    listed = set(re.findall(r"`(AIRLOCK_[A-Z_]+)`", " ".join(rows)))
    assert listed == set(re.findall(r'"(AIRLOCK_[A-Z_]+)"', known))


@pytest.mark.parametrize("command", ["make demo", "make test"])
def test_the_readme_names_both_commands(command: str) -> None:
    assert command in (ROOT / "README.md").read_text(encoding="utf-8")
