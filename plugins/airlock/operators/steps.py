"""One operator per step of an import. Each takes earlier steps' values from XCom and gives its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from airlock.codec import decode, encode
from airlock.domain.detection import Detection
from airlock.domain.device import Device
from airlock.domain.image import Image
from airlock.domain.import_report import Refusal
from airlock.domain.package import Package
from airlock.domain.record import Accepted, Validated
from airlock.domain.smoke import SmokeReport, Verdict
from airlock.operators.assets import tell_of_version
from airlock.operators.base import StepOperator
from airlock.operators.telemetry import device_tested, device_waited, image_built, name_in_log, package_fetched
from airlock.steps.accept import accept
from airlock.steps.build import build
from airlock.steps.close import close
from airlock.steps.detect import detect
from airlock.steps.fetch import fetch
from airlock.steps.register import register
from airlock.steps.reporting import (
    ReportingExpectations,
    complete_report,
    judged_files,
    keep_refusal,
    refusal_reported,
)
from airlock.steps.smoke import smoke
from airlock.steps.validate import validate

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airlock.adapters.wiring import Wiring
    from airlock.domain.failure import FailureReport


APPROVAL_TASK = "approve"
BUILD_TASK = "build"


class AcceptOperator(StepOperator):
    """Check the import form and reserve the version.

    :param conf: the run's parameters, unknown keys of its conf included. (templated)
    """

    template_fields: Sequence[str] = ("conf",)

    def __init__(self, *, conf: Any = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.conf = conf

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return the accepted request."""
        # Airflow takes keys in conf that no Param declares; here they are seen and refused.
        dag_run = context["dag_run"]
        conf = self.conf if self.conf is not None else {**context["params"], **(dag_run.conf or {})}
        by = getattr(dag_run, "triggering_user_name", None) or ""
        accepted = accept(conf, self.run_ref(context), registry=wiring.registry, clock=wiring.clock, by=by)
        name_in_log(accepted.reservation)
        self.log.info("%s is reserved for %s", accepted.reservation, accepted.request.source)
        if accepted.request.approval or APPROVAL_TASK not in self.get_flat_relative_ids():
            return encode(accepted)
        # Skipped from here, it costs no start of a process. A task that skips others gives no value by itself.
        context["ti"].xcom_push(key="return_value", value=encode(accepted))
        raise DownstreamTasksSkipped(tasks=[APPROVAL_TASK])

    def _fail_version(
        self, wiring: Wiring, context: Context, code: str, text: str, report: FailureReport | None = None
    ) -> None:
        # There is no version yet whose page could say it.
        refusal = Refusal(reason=text, at=wiring.clock.now())
        keep_refusal(refusal, reports=wiring.reports, run=self.run_ref(context), log=self.lines())
        super()._fail_version(wiring, context, code, text, report)


class FetchOperator(StepOperator):
    """Copy the package into the store.

    :param accepted: what accept gave. (templated)
    """

    template_fields: Sequence[str] = ("accepted",)

    def __init__(self, *, accepted: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accepted = accepted

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return the package."""
        accepted = decode(Accepted, self.accepted)
        with refusal_reported(accepted, reports=wiring.reports, clock=wiring.clock, log=self.lines()):
            package = fetch(
                accepted,
                storage=wiring.storage(accepted.request.source.scheme, accepted.request.source_connection),
                store=wiring.store,
                registry=wiring.registry,
                limits=wiring.fetch_limits,
                log=self.lines(),
            )
        name_in_log(None, package.digest)
        package_fetched(wiring, package)
        self.log.info(
            "%d files, %d bytes, %d copied: %s",
            package.file_count,
            package.size_bytes,
            package.bytes_copied,
            package.digest,
        )
        return encode(package)


class ValidateOperator(StepOperator):
    """Check the configuration and the files.

    :param accepted: what accept gave. (templated)
    :param package: what fetch gave. (templated)
    """

    template_fields: Sequence[str] = ("accepted", "package")

    def __init__(self, *, accepted: Any, package: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accepted = accepted
        self.package = package

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return the configuration with its findings."""
        validated = validate(
            decode(Accepted, self.accepted),
            decode(Package, self.package),
            store=wiring.store,
            registry=wiring.registry,
            catalogue=wiring.catalogue,
            schema=wiring.config_schema,
            reports=wiring.reports,
            clock=wiring.clock,
            log=self.lines(),
        )
        for item in validated.findings:
            self.log.warning("%s: %s", item.severity.value, item.line())
        return encode(validated)


class DetectOperator(StepOperator):
    """Find engine and runtime.

    :param accepted: what accept gave. (templated)
    :param package: what fetch gave. (templated)
    :param validated: what validate gave. (templated)
    """

    template_fields: Sequence[str] = ("accepted", "package", "validated")

    def __init__(self, *, accepted: Any, package: Any, validated: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accepted = accepted
        self.package = package
        self.validated = validated

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return engine, runtime and evidence."""
        detection = detect(
            decode(Accepted, self.accepted),
            decode(Package, self.package),
            decode(Validated, self.validated),
            store=wiring.store,
            registry=wiring.registry,
            catalogue=wiring.catalogue,
        )
        if detection.runtime:
            self.log.info("%s %s on Python %s", detection.engine, detection.runtime, detection.python)
        for item in detection.evidence:
            confidence = item.confidence(detection.engine)
            by = f", written by {', '.join(map(str, item.written_by))}" if item.written_by else ""
            self.log.info("evidence: %s %s%s (confidence %s)", item.file, item.says, by, confidence)
        for noticed in detection.findings:
            self.log.warning("%s: %s", noticed.severity.value, noticed.line())
        return encode(detection)


class BuildOperator(StepOperator):
    """Make the runtime image or environment.

    :param accepted: what accept gave. (templated)
    :param package: what fetch gave. (templated)
    :param validated: what validate gave. (templated)
    :param detection: what detect gave. (templated)
    """

    template_fields: Sequence[str] = ("accepted", "package", "validated", "detection")

    def __init__(self, *, accepted: Any, package: Any, validated: Any, detection: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.accepted = accepted
        self.package = package
        self.validated = validated
        self.detection = detection

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return the image."""
        image = build(
            decode(Accepted, self.accepted),
            decode(Package, self.package),
            decode(Validated, self.validated),
            decode(Detection, self.detection),
            store=wiring.store,
            backend=wiring.backend,
            registry=wiring.registry,
            catalogue=wiring.catalogue,
            base_image_prefix=wiring.settings.base_image_prefix,
            log=self.lines(),
        )
        image_built(wiring, image, context)
        self.log.info(
            "backend %s, isolation %s, build %s, %s",
            image.backend.value,
            image.isolation.value,
            image.build,
            image.reference,
        )
        return encode(image)


class SmokeOperator(StepOperator):
    """Send real requests to the service on one device.

    The task is skipped where the runtime does not serve the device, or the worker has none; its report says which.

    :param device: `cpu`, `gpu` or `ascend`.
    :param accepted: what accept gave. (templated)
    :param package: what fetch gave. (templated)
    :param validated: what validate gave. (templated)
    :param detection: what detect gave. (templated)
    :param image: what build gave. (templated)
    """

    template_fields: Sequence[str] = ("accepted", "package", "validated", "detection", "image")

    def __init__(
        self, *, device: str, accepted: Any, package: Any, validated: Any, detection: Any, image: Any, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.device = device
        self.accepted = accepted
        self.package = package
        self.validated = validated
        self.detection = detection
        self.image = image

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return the report."""
        device_waited(wiring, self.device, BUILD_TASK, context)
        report = smoke(
            Device(self.device),
            decode(Accepted, self.accepted),
            decode(Package, self.package),
            decode(Validated, self.validated),
            decode(Detection, self.detection),
            decode(Image, self.image),
            task=self.task_label(context),
            attempt=context["ti"].try_number,
            store=wiring.store,
            backend=wiring.backend,
            registry=wiring.registry,
            catalogue=wiring.catalogue,
            clock=wiring.clock,
            base_image_prefix=wiring.settings.base_image_prefix,
            expectations=ReportingExpectations(
                wiring.expectations,
                reports=wiring.reports,
                run=self.run_ref(context),
                task=self.task_id,
                log=self.lines(),
            ),
            log=self.lines(),
        )
        device_tested(wiring, report)
        if report.verdict is not Verdict.PASSED:
            # A skipped task gives no return value by itself; register wants to know why it was skipped.
            context["ti"].xcom_push(key="return_value", value=encode(report))
            raise AirflowSkipException(f"{self.device}: {report.verdict.value}")
        build = report.image.build if report.image else "none"
        self.log.info("%s: %s, build %s", self.device, report.verdict.value, build)
        for suite in report.suites:
            for result in (each for each in suite.results if not each.met):
                self.log.warning("%s: not met: %s (%s)", suite.suite, result.says, result.observed)
        return encode(report)


class RegisterOperator(StepOperator):
    """Make the version Normal.

    :param accepted: what accept gave. (templated)
    :param package: what fetch gave. (templated)
    :param validated: what validate gave. (templated)
    :param detection: what detect gave. (templated)
    :param image: what build gave. (templated)
    :param reports: what the smoke tasks gave. (templated)
    """

    template_fields: Sequence[str] = ("accepted", "package", "validated", "detection", "image", "reports")

    def __init__(
        self,
        *,
        accepted: Any,
        package: Any,
        validated: Any,
        detection: Any,
        image: Any,
        reports: Sequence[Any],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.accepted = accepted
        self.package = package
        self.validated = validated
        self.detection = detection
        self.image = image
        self.reports = reports

    def run_step(self, wiring: Wiring, context: Context) -> Mapping[str, Any]:
        """Return the registration record."""
        version = register(
            decode(Accepted, self.accepted),
            decode(Package, self.package),
            decode(Validated, self.validated),
            decode(Detection, self.detection),
            decode(Image, self.image),
            [decode(SmokeReport, report) for report in self.reports if report is not None],
            registry=wiring.registry,
            clock=wiring.clock,
            inventory=judged_files(wiring.reports, self.run_ref(context), self.lines()),
            details_of=encode,
        )
        summary = version.summary()
        self.log.info("%s is Normal", version.accepted.reservation)
        tell_of_version(summary, context)
        return summary


class CloseOperator(StepOperator):
    """Decide what a killed task left undecided, and remove what it left behind. A teardown: runs whatever happened."""

    def run_step(self, wiring: Wiring, context: Context) -> Any:
        """Return how many leftovers were removed."""
        run = self.run_ref(context)
        states = context["ti"].get_task_states(dag_id=run.dag_id, run_ids=[run.run_id]).get(run.run_id, {})
        bad = sorted(
            f"{task} {state}" for task, state in states.items() if state in ("failed", "upstream_failed", "removed")
        )
        removed = close(
            run,
            step=self.task_id,
            registry=wiring.registry,
            backend=wiring.backend,
            ended=", ".join(bad) or "no task failed",
        )
        if bad and wiring.settings.judge_refused:
            complete_report(
                run,
                task=self.task_id,
                expectations=wiring.expectations,
                reports=wiring.reports,
                log=self.lines(),
            )
        self.log.info("%d leftovers removed", removed)
        return removed
