"""report: one summary of a sweep, with what the installation expects of its registry."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from airlock.domain.revalidation import SWEEP_SUITE, SweepPart, SweepReport, registry_table, report_of
from airlock.domain.sweeping import SweepPlan
from airlock.domain.version import RunRef
from airlock.errors import AirlockError
from airlock.ports.clock import Clock
from airlock.ports.expectations import Expectations
from airlock.ports.reports import Reports
from airlock.registry_ports import Sweeps


def report_sweep(
    plan: SweepPlan,
    parts: Iterable[SweepPart],
    lost: int,
    run: RunRef,
    *,
    sweeps: Sweeps,
    expectations: Expectations,
    reports: Reports,
    clock: Clock,
    log: Callable[[str], None],
) -> SweepReport:
    """Sum up what a sweep did, and keep it as a page.

    Args:
        plan: What it was to do.
        parts: What became of the versions.
        lost: Versions of which nothing is known.
        run: The sweep.
        sweeps: The registry, which is judged as a table after the sweep.
        expectations: What the installation expects of it.
        reports: Where the page is kept.
        clock: Time.
        log: Takes what could not be done: no summary decides about a version.
    """
    report = report_of(plan, parts, clock.now(), lost)
    # A sweep of one version that somebody asked for says nothing about the registry.
    standings = [] if plan.asked else sweeps.standings()
    if standings:
        try:
            with expectations.judging() as judge:
                suite = judge.judge(SWEEP_SUITE, registry_table(standings, clock.now()))
            report = replace(report, registry=suite)
        except AirlockError as error:
            log(f"The registry was not judged: {error}")
    try:
        reports.keep_sweep(run, report)
    except AirlockError as error:
        log(f"The sweep's summary is not kept: {error}")
    return report
