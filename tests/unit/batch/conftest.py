from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.batch.batch_line import BatchLine


@pytest.fixture
def line(empty_registry: Path, tmp_path: Path) -> Iterator[BatchLine]:
    made = BatchLine(Path(shutil.copy(empty_registry, tmp_path)))
    yield made
    made.registry.engine.dispose()
