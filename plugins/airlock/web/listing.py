"""The list of models: searched, filtered and cut into pages, all of it in the address."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import BeforeValidator

from airlock.domain.device import Device
from airlock.domain.registered import Facets, Page, VersionFilter
from airlock.domain.version import Status
from airlock.web.access import ChangesAllowed
from airlock.web.rendering import page
from airlock.web.wired import WiredRegistry

MODELS_PER_PAGE = 25
#: Versions that are folded under their model; the page of a version has them all.
VERSIONS_PER_MODEL = 20
#: A search looks at this much of what somebody typed.
MAX_SEARCH_CHARACTERS = 200

#: A form sends what was left open as an empty text.
_LEFT_OPEN = BeforeValidator(lambda value: value or None)

#: A page's number, as an address gives it.
PageNumber = Annotated[int, Query(alias="page", ge=1, le=1_000_000)]

# Plain functions: FastAPI runs them in threads, and the registry blocks.
router = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the address of a list says.

    Attributes:
        search: Words, each a part of name, number, description, label, engine or runtime.
        engine: The engine.
        status: Where a version stands.
        label: One of its labels.
        device: A device that it passed on.
        page: From 1.
    """

    search: str = ""
    engine: str = ""
    status: str = ""
    label: str = ""
    device: str = ""
    page: int = 1

    @property
    def is_filtered(self) -> bool:
        """Whether anything is left out."""
        return replace(self, page=1) != Asked()

    def filter(self) -> VersionFilter:
        """As the registry is asked; what no version can have is asked as it is and finds nothing."""
        return VersionFilter(
            text=self.search,
            engine=self.engine,
            status=Status(self.status) if self.status else None,
            label=self.label,
            device=Device(self.device) if self.device else None,
        )

    def link(self, number: int) -> str:
        """The query of another page of the same list."""
        values = {name: value for name, value in asdict(replace(self, page=number)).items() if value}
        if number == 1:
            del values["page"]
        return f"?{urlencode(values)}" if values else "?"


@router.get("/")
def models(
    request: Request,
    registry: WiredRegistry,
    may_change: ChangesAllowed,
    search: Annotated[str, Query(max_length=MAX_SEARCH_CHARACTERS)] = "",
    engine: str = "",
    status: Annotated[Status | None, _LEFT_OPEN] = None,
    label: str = "",
    device: Annotated[Device | None, _LEFT_OPEN] = None,
    number: PageNumber = 1,
) -> HTMLResponse:
    """Models, the one with the newest version first, each with its versions folded under it."""
    asked = Asked(
        search=search.strip(),
        engine=engine,
        status=status.value if status else "",
        label=label,
        device=device.value if device else "",
        page=number,
    )
    found = registry.models(
        asked.filter(), Page(limit=MODELS_PER_PAGE, offset=(number - 1) * MODELS_PER_PAGE), VERSIONS_PER_MODEL
    )
    return page(
        request,
        "models.html",
        models=found.items,
        total=found.total,
        first=(number - 1) * MODELS_PER_PAGE + 1,
        last_page=max(1, math.ceil(found.total / MODELS_PER_PAGE)),
        asked=asked,
        choices=_choices(registry.facets()),
        may_change=may_change,
    )


def _choices(facets: Facets) -> dict[str, dict[str, int | None]]:
    """Filter → what there is to choose, with how many versions have it where that is known."""
    return {
        "engine": dict(facets.engines),
        "status": {status.value: facets.statuses[status] for status in Status if status in facets.statuses},
        "label": dict(facets.labels),
        "device": {device.value: None for device in Device},
    }
