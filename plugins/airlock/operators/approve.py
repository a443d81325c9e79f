"""approve: where the request asks for it, a person decides whether a tested version is registered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.standard.exceptions import HITLRejectException, HITLTimeoutError
from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from airlock.codec import decode
from airlock.domain.detection import Detection
from airlock.domain.record import Accepted
from airlock.domain.smoke import SmokeReport
from airlock.domain.version import EventKind
from airlock.operators.base import StepOperator, wiring_of_airflow

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.adapters.wiring import Wiring


class ApproveOperator(StepOperator, ApprovalOperator):
    """Wait for a person's word, holding no worker meanwhile; skipped where the request does not ask for it.

    :param accepted: what accept gave. (templated)
    :param detection: what detect gave. (templated)
    :param reports: what the smoke tasks gave. (templated)
    """

    template_fields: Sequence[str] = ("accepted", "detection", "reports")

    def __init__(self, *, accepted: Any, detection: Any, reports: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(subject="Register this model version?", fail_on_reject=True, **kwargs)
        self.accepted = accepted
        self.detection = detection
        self.reports = reports

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Ask."""
        accepted = decode(Accepted, self.accepted)
        if not accepted.request.approval:
            raise AirflowSkipException("The request asks for no approval.")
        reports = [decode(SmokeReport, report) for report in self.reports if report is not None]
        self.subject = f"Register {accepted.reservation}?"
        self.body = question(accepted, decode(Detection, self.detection), reports)
        wiring.registry.add_event(accepted.reservation, EventKind.NORMAL, "Tested; waits for a person's approval.")
        return ApprovalOperator.execute(self, context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Take the answer: a refusal makes the version Failed, with the name of who refused it."""
        reservation = decode(Accepted, self.accepted).reservation
        registry = wiring_of_airflow().registry
        person = (event.get("responded_by_user") or {}).get("name") or "somebody"
        try:
            answer = super().execute_complete(context=context, event=event)
        except HITLRejectException:
            reason = f"[APR001] {person} refused to register {reservation}. Ask why, and import a better one."
        except HITLTimeoutError:
            reason = f"[APR002] Nobody said in time whether {reservation} is registered. Clear this task to ask again."
        else:
            registry.add_event(reservation, EventKind.NORMAL, f"Approved by {person}.")
            return answer
        registry.fail(reservation, self.task_id, reason[1:7], reason)
        raise AirflowFailException(reason)


def question(accepted: Accepted, detection: Detection, reports: Sequence[SmokeReport]) -> str:
    """What a person reads before they decide, as Markdown."""
    lines = [
        f"- Source: `{accepted.request.source}`",
        f"- Engine: {detection.engine} {detection.runtime}".rstrip(),
        *(f"- Test on {report.device.value}: {report.verdict.value}" for report in reports),
    ]
    if accepted.request.trust_model_code:
        lines.append("- **Code in its model files is trusted by the request.**")
    return "\n".join(lines)
