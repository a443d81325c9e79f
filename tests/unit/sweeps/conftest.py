from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.sweeps.sweep_line import SweepLine


@pytest.fixture
def line(empty_registry: Path, tmp_path: Path) -> Iterator[SweepLine]:
    line = SweepLine(shutil.copyfile(empty_registry, tmp_path / "registry.db"))
    yield line
    line.engine.dispose()
