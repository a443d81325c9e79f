"""What every step operator shares: the one place where errors become task outcomes.

A `PermanentError` ends the task without another try; anything else propagates and Airflow tries again. Either way the
version's history says what happened, and the last word makes it Failed.
"""

from __future__ import annotations

import contextlib
import gc
import resource
import time
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    DownstreamTasksSkipped,
    TaskAwaitingInput,
    TaskDeferred,
)

from airlock.codec import decode, encode
from airlock.domain.package import Package
from airlock.domain.record import Accepted
from airlock.domain.version import EventKind, Reservation, RunRef
from airlock.errors import AirlockError, PermanentError, SmokeFailed
from airlock.operators.links import ModelLink, ReportLink
from airlock.operators.telemetry import name_in_log, step_ended

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.adapters.wiring import Wiring
    from airlock.domain.failure import FailureReport


def wiring_of_airflow() -> Wiring:
    """The adapters of this installation.

    Raises:
        AirflowFailException: A setting cannot be used.
    """
    from airlock.adapters.settings import from_airflow
    from airlock.adapters.wiring import Wiring

    try:
        return Wiring(from_airflow())
    except AirlockError as error:
        raise AirflowFailException(str(error)) from None


class StepOperator(BaseOperator):
    """Base of the operators of an import.

    Subclasses implement `run_step`; what it returns goes into XCom.
    """

    ui_color: ClassVar[str] = "#e8f0ec"
    operator_extra_links: Collection[BaseOperatorLink] = (ModelLink(), ReportLink())
    _is_executing = False

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Do the step and return JSON for XCom."""
        raise NotImplementedError

    def execute(self, context: Context) -> Any:
        """Run the step, and make its failure the task's and the version's."""
        # What is imported until now stays: looking through all of it for garbage takes 0.2 s a time.
        gc.freeze()
        wiring = wiring_of_airflow()
        self._is_executing = True
        began = time.perf_counter()
        outcome = "broken"
        try:
            reservation = self.reservation(context)
            name_in_log(reservation, self.package_digest())
            if reservation is not None:
                # Cleared tasks take a failed version up again; tasks that run beside the failed one do not.
                wiring.registry.resume(reservation, {self.task_id, *self.get_flat_relative_ids()})
            given = self.run_step(wiring, context)
            outcome = "done"
            return given
        except AirflowSkipException:
            outcome = "skipped"
            raise
        except DownstreamTasksSkipped:
            outcome = "done"
            raise
        except (TaskDeferred, TaskAwaitingInput):
            # Not the step's end: it goes on elsewhere, or when a person has answered.
            outcome = "waiting"
            raise
        except PermanentError as error:
            outcome = "refused"
            self._tell(error)
            report = error.report if isinstance(error, SmokeFailed) else None
            self._fail_version(wiring, context, error.code, str(error), report)
            raise AirflowFailException(str(error)) from None
        except Exception as error:
            code = error.code if isinstance(error, AirlockError) else "INT001"
            text = (
                str(error)
                if isinstance(error, AirlockError)
                else f"{type(error).__name__} in step {self.task_id}: {error}"
            )
            self._tried(wiring, context, code, text)
            raise
        finally:
            self._is_executing = False
            seconds = time.perf_counter() - began
            self._tell_cost(seconds)
            step_ended(wiring, self.task_id, outcome, seconds)

    def on_kill(self) -> None:
        """End the step where it stands, so that what it started is removed before the process is killed."""
        # Airflow calls this from its signal handler and lets the step run on; and again after a time-out, when the
        # step has ended already.
        if self._is_executing:
            raise SystemExit(f"step {self.task_id} was asked to end")

    def reservation(self, context: Context) -> Reservation | None:
        """The version that this task works for; None before it is reserved."""
        accepted = getattr(self, "accepted", None)
        return None if accepted is None else decode(Accepted, accepted).reservation

    def package_digest(self) -> str:
        """The package that this task works on, hex digest; empty before it is fetched."""
        package = getattr(self, "package", None)
        return "" if package is None else decode(Package, package).digest

    @staticmethod
    def run_ref(context: Context) -> RunRef:
        """The run that this task belongs to."""
        dag_run = context["dag_run"]
        return RunRef(dag_id=dag_run.dag_id, run_id=dag_run.run_id)

    def task_label(self, context: Context) -> str:
        """The task's name for what it starts: mapped tasks of one run are tasks of their own, and run at once."""
        index = context["ti"].map_index
        return f"{self.task_id}.{index}" if index is not None and index >= 0 else self.task_id

    def lines(self) -> Callable[[str], None]:
        """A function that writes one line of a tool's output into the task's log."""
        return lambda line: self.log.info("%s", line)

    def _tell_cost(self, seconds: float) -> None:
        """What the step took, without Airflow's own part; the memory is the most that one of its processes had."""
        peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        self.log.info("Step %s took %.2f s and at most %d MB.", self.task_id, seconds, peak * 1024 // 1_000_000)

    def _tell(self, error: PermanentError) -> None:
        self.log.error("%s", error)
        if isinstance(error, SmokeFailed) and error.report is not None and error.report.log:
            self.log.error("The service's last log lines:\n%s", error.report.log)

    def _fail_version(
        self, wiring: Wiring, context: Context, code: str, text: str, report: FailureReport | None = None
    ) -> None:
        with self._registry_may_be_away():
            reservation = self.reservation(context) or wiring.registry.reservation_of(self.run_ref(context))
            if reservation is not None:
                kept = None if report is None else encode(report)
                wiring.registry.fail(reservation, self.task_id, code, text, kept)

    def _tried(self, wiring: Wiring, context: Context, code: str, text: str) -> None:
        ti = context["ti"]
        tries = (ti.max_tries or 0) + 1
        if ti.try_number >= tries:
            self._fail_version(wiring, context, code, text)
            return
        with self._registry_may_be_away():
            reservation = self.reservation(context)
            if reservation is not None:
                message = f"Step {self.task_id}, try {ti.try_number} of {tries}, failed: {text}"
                wiring.registry.add_event(reservation, EventKind.ABNORMAL, message)

    @contextlib.contextmanager
    def _registry_may_be_away(self) -> Iterator[None]:
        """The step's own failure is the news; that the registry could not be told of it is only logged."""
        try:
            yield
        except AirlockError as error:
            self.log.warning("The registry could not be told: %s", error)
