from __future__ import annotations

from typing import Any

import pytest

from tests.web.api.api_fakes import Runs
from tests.web.conftest import Site


@pytest.fixture
def runs(site: Site) -> Runs:
    from airlock.web import wired

    made = Runs()
    site.put(wired.runs, made)
    return made


@pytest.fixture
def imported_iris(site: Site) -> Any:
    return site.line().import_model(
        labels=["garden", "a"],
        description="Flowers",
        min_cpu=2,
        model_docs=[{"doc_name": "Card", "doc_url": "https://example.com/card"}],
        install_type=["real-time", "batch"],
    )
