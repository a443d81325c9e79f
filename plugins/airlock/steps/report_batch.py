"""report: what became of every package of a batch, from the registry and no task's own word."""

from __future__ import annotations

from airlock.domain.batch import BatchItem, BatchPlan, BatchRow, Outcome, Plan, short
from airlock.domain.version import RunRef, Status
from airlock.ports.registry import Registry
from airlock.registry_ports import RegistryReader

#: The DAG whose runs import the packages.
IMPORT_DAG = "import_model"
#: A package that another run imports is that run's to tell of.
_UNIMPORTED = {Plan.IDENTICAL: Outcome.SKIPPED, Plan.UNDER_WAY: Outcome.SKIPPED, Plan.INVALID: Outcome.INVALID}


def report_batch(plan: BatchPlan, *, registry: Registry, reader: RegistryReader) -> tuple[BatchRow, ...]:
    """One row for each package, in the batch's order.

    Args:
        plan: The batch as it was planned.
        registry: Which run holds which version.
        reader: Where the versions are.
    """
    return tuple(_row(item, plan.dry_run, registry, reader) for item in plan.items)


def _row(item: BatchItem, dry_run: bool, registry: Registry, reader: RegistryReader) -> BatchRow:
    version, outcome, reason = "", _UNIMPORTED.get(item.plan, Outcome.PLANNED), item.reason
    if item.plan.is_imported and not dry_run:
        outcome, reason = Outcome.FAILED, "Its run ended before it held a version, or was not started."
        held = registry.reservation_of(RunRef(dag_id=IMPORT_DAG, run_id=item.run_id))
        row = reader.find(held.model_name, held.model_version) if held else None
        if row is not None:
            version, reason = row.model_version, row.reason
            if row.status is Status.NORMAL:
                outcome = Outcome.IMPORTED
            elif row.status is Status.IMPORTING:
                outcome, reason = Outcome.UNFINISHED, "Its run still goes on, or was ended."
    return BatchRow(
        model_name=item.model_name,
        model_version=version,
        source=item.source,
        plan=item.plan,
        outcome=outcome,
        reason=short(reason),
        run_id=item.run_id if not dry_run else "",
    )
