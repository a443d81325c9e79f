"""The operators of `import_models`: plan a batch, choose what is imported, tell what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from airlock.adapters.settings import from_airflow
from airlock.codec import decode, encode
from airlock.domain.batch import MAX_PACKAGES, BatchPlan, BatchRow, Outcome
from airlock.domain.batch_request import parse_batch
from airlock.errors import BatchIncomplete, SettingInvalid
from airlock.operators.arrivals import arrived
from airlock.operators.base import StepOperator
from airlock.steps.plan_batch import one_too_many, plan_batch
from airlock.steps.report_batch import report_batch

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.adapters.wiring import Wiring

#: What makes a batch's run fail: the packages are worth another look.
_BAD = (Outcome.FAILED, Outcome.INVALID, Outcome.UNFINISHED)


class BatchOperator(StepOperator):
    """Base of the operators of a batch, which has no version and so no version's report."""

    operator_extra_links: Collection[BaseOperatorLink] = ()


class PlanBatchOperator(BatchOperator):
    """Find out what is to become of every package of a batch.

    :param conf: the run's parameters, unknown keys of its conf included. (templated)
    """

    template_fields: Sequence[str] = ("conf",)

    def __init__(self, *, conf: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conf = conf

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return the plan."""
        # Airflow takes keys in conf that no Param declares; here they are seen and refused.
        conf = self.conf if self.conf is not None else {**context["params"], **(context["dag_run"].conf or {})}
        packages = arrived(context.get("triggering_asset_events"))
        if packages:
            settings = wiring.settings
            conf = {**conf, "packages": packages[:MAX_PACKAGES], "source_connection": settings.arrivals_connection}
        plan = plan_batch(
            parse_batch(conf),
            batch_run_id=context["dag_run"].run_id,
            storage_of=wiring.storage,
            store=wiring.store,
            reader=wiring.registry_reader,
            catalogue=wiring.catalogue,
            schema=wiring.config_schema,
            limits=wiring.fetch_limits,
            log=self.lines(),
        )
        plan = replace(plan, items=(*plan.items, *map(one_too_many, packages[MAX_PACKAGES:])))
        counts = Counter(item.plan.value for item in plan.items)
        self.log.info("%d packages: %s", len(plan.items), ", ".join(f"{n} {name}" for name, n in counts.items()))
        return encode(plan)


class ChooseImportsOperator(BatchOperator):
    """Give what the imports are mapped over: nothing in a dry run.

    :param plan: what plan gave. (templated)
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def run_step(self, wiring: Wiring, context: Context) -> list[dict[str, Any]]:
        """Return run id and conf of each import."""
        plan = decode(BatchPlan, self.plan)
        if plan.dry_run:
            return []
        return [{"trigger_run_id": item.run_id, "conf": item.form} for item in plan.items if item.plan.is_imported]


class ReportBatchOperator(BatchOperator):
    """Tell what became of every package; fails where one needs another look.

    :param plan: what plan gave. (templated)
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan

    def run_step(self, wiring: Wiring, context: Context) -> Mapping[str, Any]:
        """Return the table, with a count for each outcome."""
        plan = decode(BatchPlan, self.plan)
        rows = report_batch(plan, registry=wiring.registry, reader=wiring.registry_reader)
        for line in table(rows):
            self.log.info("%s", line)
        counts = Counter(row.outcome for row in rows)
        result = {
            "dry_run": plan.dry_run,
            "counts": {outcome.value: counts[outcome] for outcome in Outcome if counts[outcome]},
            "packages": [encode(row) for row in rows],
        }
        bad = sum(counts[outcome] for outcome in _BAD)
        if bad and not plan.dry_run:
            # A failed task gives no return value by itself; the table is the run's result all the same.
            context["ti"].xcom_push(key="return_value", value=result)
            raise BatchIncomplete(
                "BAT005",
                f"{bad} of {len(rows)} packages were not imported; the result of this task lists each with its reason.",
                "Correct them and start the batch again: what is imported already is skipped.",
            )
        return result


def table(rows: Sequence[BatchRow]) -> list[str]:
    """The rows as aligned lines of text, with a headline."""
    cells = [("model", "version", "plan", "outcome", "reason")]
    cells += [
        (row.model_name, row.model_version or "–", row.plan.value, row.outcome.value, row.reason.replace("\n", " "))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(4)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[4]]).rstrip()
        for line in cells
    ]


def batch_concurrency() -> int:
    """`[airlock] batch_concurrency`, read while the DAG's file is parsed."""
    try:
        return from_airflow().batch_concurrency
    except SettingInvalid:
        # Every task of a run says which setting it is; a DAG that is not there would say nothing.
        return 1
