"""The table of measurements: what is sent, what the page says of it, and what the dashboard asks for."""

from __future__ import annotations

import json
import re
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import TaskAwaitingInput

from airlock.codec import encode
from airlock.domain.metrics import METRICS, STEP_TIME, Metric, exported_names
from airlock.operators import base
from airlock.operators.approve import ApproveOperator
from tests.unit.given import ROOT
from tests.unit.line import Line

DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "airlock.json").read_text(encoding="utf-8"))
EXPORTED: dict[str, Metric] = {name: metric for metric in METRICS for name in exported_names(metric)}
_SELECTOR = re.compile(r"(airflow_[a-z_]+)(?:\{([^}]*)\})?")
_BY = re.compile(r"\bby \(([^)]*)\)")
#: What a summary has beside the metric's own tags.
OF_SUMMARIES = {"quantile"}


def expressions() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("expression", expressions())
def test_the_dashboard_asks_for_nothing_that_is_not_sent(expression: str) -> None:
    selectors = _SELECTOR.findall(expression)
    assert selectors
    for name, conditions in selectors:
        assert name in EXPORTED, f"{name} is none of {sorted(EXPORTED)}"
        asked = {word for words in _BY.findall(expression) for word in re.split(r"[,\s]+", words)}
        asked |= {re.split(r"[=!~]", condition)[0].strip() for condition in conditions.split(",") if condition}
        assert asked <= {*EXPORTED[name].tags, *OF_SUMMARIES}, expression


def test_the_dashboard_shows_every_measurement() -> None:
    shown = {EXPORTED[name].name for expression in expressions() for name, _ in _SELECTOR.findall(expression)}
    assert shown == {metric.name for metric in METRICS}


def test_the_dashboards_panels_have_places_and_names_of_their_own() -> None:
    panels = DASHBOARD["panels"]
    for key in ("id", "title"):
        assert len({panel[key] for panel in panels}) == len(panels)
    cells = [
        (place["x"] + across, place["y"] + down)
        for place in (panel["gridPos"] for panel in panels)
        for across in range(place["w"])
        for down in range(place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(across for across, _ in cells) == 23


def test_the_page_lists_the_table() -> None:
    page = (ROOT / "docs" / "observability.md").read_text(encoding="utf-8")
    for metric in METRICS:
        tags = ", ".join(f"`{tag}`" for tag in metric.tags)
        assert f"| `{metric.name}` | {metric.kind.value} | {tags} | {metric.meaning} |\n" in page
    assert page.count("| `airlock.") == len(METRICS)


def test_every_measurement_is_sent_somewhere() -> None:
    import airlock.domain.metrics as table

    code = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("operators", "adapters")
        for path in (ROOT / "plugins" / "airlock" / folder).glob("*.py")
    )
    named = {value.name: name for name, value in vars(table).items() if isinstance(value, Metric)}
    for metric in METRICS:
        assert re.search(rf"\b{named[metric.name]}, ", code), f"{metric.name} is sent nowhere"


def test_tags_are_the_tables_and_end_nothing_on_the_wire() -> None:
    assert STEP_TIME.checked({"outcome": "done", "step": "a b,c=d"}) == {"step": "a_b_c_d", "outcome": "done"}
    with pytest.raises(ValueError, match="has the tags"):
        STEP_TIME.checked({"step": "fetch"})


def test_a_task_that_waits_for_a_person_is_neither_done_nor_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    line, measured = Line(), []
    accepted, _, _, detection = line.until_built(approval=True)[:4]
    wiring = SimpleNamespace(
        registry=line.registry,
        measure=lambda metric, value, tags: measured.append((metric, tags)),
        flush_measurements=lambda: None,
    )
    monkeypatch.setattr(base, "wiring_of_airflow", lambda: wiring)
    monkeypatch.setattr("airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **named: None)
    monkeypatch.setattr(ApproveOperator, "get_flat_relative_ids", lambda self, **named: set())
    operator = ApproveOperator(task_id="approve", accepted=encode(accepted), detection=encode(detection), reports=[])
    ti = SimpleNamespace(id="0", try_number=1, max_tries=2)
    run = SimpleNamespace(dag_id="import_model", run_id="r", conf={})
    context: Any = {"task_instance": ti, "ti": ti, "dag_run": run, "params": {}}
    with pytest.raises(TaskAwaitingInput):
        operator.execute(context)
    assert measured == [(STEP_TIME, {"step": "approve", "outcome": "waiting"})]
