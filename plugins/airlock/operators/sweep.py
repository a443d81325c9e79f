"""The operators of `revalidate_models`: plan a sweep, check, test and judge a batch of versions, sum up."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.exceptions import DownstreamTasksSkipped

from airlock import __version__
from airlock.adapters.settings import from_airflow
from airlock.codec import decode, encode
from airlock.domain.device import Device
from airlock.domain.revalidation import Checked, Outcome, Retest, SweepPart, as_result
from airlock.domain.sweep_request import SweepRequest, parse_sweep
from airlock.domain.sweeping import SweepBatch, SweepPlan
from airlock.errors import SettingInvalid, SweepIncomplete
from airlock.operators.base import StepOperator
from airlock.operators.links import SweepLink
from airlock.steps.check_version import VersionChecks
from airlock.steps.judge_versions import judge_versions
from airlock.steps.plan_sweep import choose_versions
from airlock.steps.report_sweep import report_sweep
from airlock.steps.retest import retest

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.adapters.wiring import Wiring

RETURN = "return_value"
#: Airflow's word for a run that its schedule started.
SCHEDULED = "scheduled"
#: What a check hands on to the tests of its batch, beside what became of the versions that are not tested.
TO_TEST = "to_test"
#: How long a scheduled sweep that does not end, as one that waits for a device's queue, keeps others from beginning.
LONGEST_SWEEP_S = 3 * 86_400.0


class SweepOperator(StepOperator):
    """Base of the operators of a sweep, which is no import of a version."""

    operator_extra_links: Collection[BaseOperatorLink] = (SweepLink(),)

    @staticmethod
    def request(context: Context) -> SweepRequest:
        """The run's form. Airflow takes keys in conf that no Param declares; here they are seen and refused."""
        return parse_sweep({**context["params"], **(context["dag_run"].conf or {})})

    def judge_tested(
        self, wiring: Wiring, context: Context, check: str, tests: Mapping[str, str], batch: int
    ) -> SweepPart:
        """Decide about the versions of a batch that were to be tested, by what its tests have said.

        Args:
            wiring: The installation.
            context: The task's.
            check: Id of the task that said what is to be tested.
            tests: Device → id of the task that tests on it; only those are asked that had something to test.
            batch: The batch's map index.
        """
        ti = context["ti"]
        to_test = ti.xcom_pull(task_ids=check, key=TO_TEST, map_indexes=batch)
        checks = [decode(Checked, each) for each in to_test or ()]
        asked = [tests[device] for device in {device for checked in checks for device in checked.devices}]
        given = [ti.xcom_pull(task_ids=task_id, map_indexes=batch) for task_id in asked]
        return judge_versions(
            checks,
            [decode(Retest, each) for found in given for each in found or ()],
            self.run_ref(context),
            registry=wiring.registry,
            sweeps=wiring.sweeps,
            clock=wiring.clock,
            log=self.lines(),
        )


class PlanSweepOperator(SweepOperator):
    """Find the versions that are due. Batches are mapped over its return value; the plan's figures stand beside it."""

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return the batches; none where the scheduled sweep before this one is still at it."""
        request, before = self.request(context), self._under_way(wiring, context)
        if before:
            # Both would test the same versions: what the other one has not come to yet is as due as it was.
            request = replace(request, max_versions=0)
            self.log.info("The sweep %s is still under way: what is due waits for the next one.", before)
        plan = choose_versions(
            request,
            sweeps=wiring.sweeps,
            catalogue=wiring.catalogue,
            schema=wiring.config_schema,
            release=__version__,
            base_image_prefix=wiring.settings.base_image_prefix,
            clock=wiring.clock,
        )
        tests = sum(due.test for batch in plan.batches for due in batch.versions)
        self.log.info(
            "%d versions, %d due: %d are looked at in %d batches, %d of them are tested; %d have to wait.",
            plan.registered,
            plan.due,
            plan.due - plan.later,
            len(plan.batches),
            tests,
            plan.later,
        )
        figures = SweepPlan(
            batches=(),
            registered=plan.registered,
            due=plan.due,
            later=plan.later,
            untested=plan.untested,
            asked=plan.asked,
        )
        context["ti"].xcom_push(key="plan", value={"plan": encode(figures), "batches": len(plan.batches)})
        return [encode(batch) for batch in plan.batches]

    @staticmethod
    def _under_way(wiring: Wiring, context: Context) -> str:
        """The id of the scheduled sweep before this one, where both are scheduled and it has not ended, else nothing.

        A sweep that somebody asks for never waits: whichever judges a version first is believed.
        """
        if context["dag_run"].run_type != SCHEDULED:
            return ""
        before = context["ti"].get_previous_dagrun(state="running")
        if before is None or before.run_type != SCHEDULED or before.start_date is None:
            return ""
        age_s = wiring.clock.now() - before.start_date.timestamp()
        return str(before.run_id) if age_s < LONGEST_SWEEP_S else ""


class CheckVersionsOperator(SweepOperator):
    """Check the versions of a batch without starting a service, and decide about those that are not to be tested.

    The tests of devices that no version of the batch needs are skipped from here, so that they start no process.

    :param batch: one of the batches that plan gave. (templated)
    """

    template_fields: Sequence[str] = ("batch",)

    def __init__(self, *, batch: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch = batch

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return what became of the versions that are not tested."""
        batch = decode(SweepBatch, self.batch)
        checks = VersionChecks(
            self.request(context),
            sweeps=wiring.sweeps,
            store=wiring.store,
            backend=wiring.backend,
            storage_of=wiring.storage,
            catalogue=wiring.catalogue,
            schema=wiring.config_schema,
            release=__version__,
            base_image_prefix=wiring.settings.base_image_prefix,
            limits=wiring.fetch_limits,
            clock=wiring.clock,
        )
        found = checks.check_batch(batch)
        decided = [checked for checked in found if not checked.devices]
        part = judge_versions(
            decided,
            (),
            self.run_ref(context),
            registry=wiring.registry,
            sweeps=wiring.sweeps,
            clock=wiring.clock,
            log=self.lines(),
        )
        to_test = [checked for checked in found if checked.devices]
        self.log.info("Batch %d: %d decided, %d to be tested.", batch.number, len(decided), len(to_test))
        ti = context["ti"]
        ti.xcom_push(key=TO_TEST, value=[encode(checked) for checked in to_test])
        ti.xcom_push(key=RETURN, value=encode(part))
        devices = {device for checked in to_test for device in checked.devices}
        skipped = [
            task_id
            for task_id in self.get_flat_relative_ids()
            if (device := self._device_of(task_id)) is not None and device not in devices
        ]
        if skipped:
            index = ti.map_index
            raise DownstreamTasksSkipped(tasks=[(task_id, index) if index >= 0 else task_id for task_id in skipped])
        return encode(part)

    @staticmethod
    def _device_of(task_id: str) -> Device | None:
        name = task_id.rpartition(".test_")[2]
        return Device(name) if name in {device.value for device in Device} else None


class RetestVersionsOperator(SweepOperator):
    """Start the services of a batch's versions on one device, one after the other, and ask them again.

    :param device: `cpu`, `gpu` or `ascend`.
    :param to_test: what check handed on. (templated)
    """

    template_fields: Sequence[str] = ("to_test",)

    def __init__(self, *, device: str, to_test: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.device = device
        self.to_test = to_test

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return what was found of each."""
        device, found = Device(self.device), []
        for checked in (decode(Checked, each) for each in self.to_test or ()):
            if device not in checked.devices:
                continue
            tested = retest(
                checked,
                device,
                self.run_ref(context),
                task=self.task_label(context),
                attempt=context["ti"].try_number,
                sweeps=wiring.sweeps,
                reader=wiring.registry_reader,
                store=wiring.store,
                backend=wiring.backend,
                catalogue=wiring.catalogue,
                clock=wiring.clock,
                base_image_prefix=wiring.settings.base_image_prefix,
                expectations=wiring.expectations,
                log=self.lines(),
            )
            said = tested.problem or tested.undecided or ("as at its import" if tested.passed else "not tested")
            self.log.info("%s on %s: %s", checked, self.device, said)
            found.append(encode(tested))
        return found


class JudgeVersionsOperator(SweepOperator):
    """Decide about the versions of a batch that were tested. Skipped with the tests, where there are none.

    What it needs is pulled by id and not templated: with check upstream it would run where every test was skipped.

    :param check: id of the task that said what is to be tested.
    :param tests: device → id of the task that tests on it; only those are asked that had something to test.
    """

    def __init__(self, *, check: str, tests: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.check = check
        self.tests = tests

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return what became of them."""
        return encode(self.judge_tested(wiring, context, self.check, self.tests, context["ti"].map_index))


class ReportSweepOperator(SweepOperator):
    """Sum up the sweep, judge the registry as a table, and keep both as a page; fails where something is not decided.

    A batch that nobody has judged, because a test of it failed for good, is judged here by what its tests have said.

    :param plan: what plan said beside its batches. (templated)
    :param check: id of the task that checks a batch; its values are summed up.
    :param judge: id of the task that judges one; likewise.
    :param tests: device → id of the task that tests on it.
    """

    template_fields: Sequence[str] = ("plan",)

    def __init__(self, *, plan: Any, check: str, judge: str, tests: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.plan = plan
        self.check = check
        self.judge = judge
        self.tests = tests

    def run_step(self, wiring: Wiring, context: Context) -> Mapping[str, Any]:
        """Return the summary's figures."""
        if not self.plan:
            raise SweepIncomplete("RVL011", "The sweep could not be planned.", "See the task plan.")
        run, planned = self.run_ref(context), decode(SweepPlan, self.plan["plan"])
        # One task's values of all batches: a list of ids gives a list, however many there are.
        given = [
            each for task_id in (self.check, self.judge) for each in context["ti"].xcom_pull(task_ids=[task_id]) or ()
        ]
        parts = [decode(SweepPart, each) for each in given if each]
        chosen = planned.due - planned.later
        if _counted(parts) < chosen:
            parts += self._judge_the_rest(wiring, context, self.plan["batches"])
        report = report_sweep(
            planned,
            parts,
            max(0, chosen - _counted(parts)),
            run,
            sweeps=wiring.sweeps,
            expectations=wiring.expectations,
            reports=wiring.reports,
            clock=wiring.clock,
            log=self.lines(),
        )
        removed = wiring.backend.sweep(run) if report.tests else 0
        if removed:
            self.log.info("%d leftovers removed", removed)
        for row in report.rows:
            self.log.info("%s %s: %s %s", row.model_name, row.model_version, row.outcome.value, row.reason)
        for each in report.registry.results if report.registry else ():
            if not each.met:
                self.log.warning("registry: not met: %s (%s)", each.says, each.observed)
        result = as_result(report)
        open_ends = report.counts.get(Outcome.UNDECIDED, 0) + report.lost
        if open_ends:
            # A failed task gives no return value by itself; the figures are the run's result all the same.
            context["ti"].xcom_push(key=RETURN, value=result)
            raise SweepIncomplete(
                "RVL011",
                f"{open_ends} of {chosen} versions could not be looked at; the report of this run "
                "says why. They stay what they were, and stay due.",
                "Put right what the report names; the next sweep looks at them first.",
            )
        return result

    def _judge_the_rest(self, wiring: Wiring, context: Context, batches: int) -> list[SweepPart]:
        pull = context["ti"].xcom_pull
        return [
            self.judge_tested(wiring, context, self.check, self.tests, batch)
            for batch in range(batches)
            if pull(task_ids=self.judge, map_indexes=batch) is None
        ]


def _counted(parts: Iterable[SweepPart]) -> int:
    """Versions of which something is known."""
    return sum(sum(part.counts.values()) for part in parts)


def revalidation_schedule() -> str | None:
    """`[airlock] revalidation_schedule`, read while the DAG's file is parsed."""
    try:
        return from_airflow().revalidation_schedule or None
    except SettingInvalid:
        # Every task of a run says which setting it is; a DAG that is not there would say nothing.
        return None
