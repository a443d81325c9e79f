"""accept, build, register, close, and the whole line on fakes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from airlock.domain.catalogue import Catalogue
from airlock.domain.device import Device
from airlock.domain.smoke import Verdict
from airlock.domain.version import RunRef, Status
from airlock.errors import (
    BackendUnavailable,
    BuildFailed,
    DeviceRequired,
    RegistryUnavailable,
    RequestRejected,
    RuntimeUnavailable,
    VersionExists,
    VersionGone,
)
from tests.unit.given import RUN, SERVICE, ZIPPED, changed, iris_files
from tests.unit.line import Line

OTHER_RUN = RunRef(dag_id="import_model", run_id="manual__2")


# ── the whole line ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_package_becomes_a_normal_version_with_its_history() -> None:
    line = Line()
    version = line.import_model()
    row = line.row()
    (report,) = (report for report in version.reports if report.latency and report.concurrent)
    timed = report.latency.requests + report.concurrent.requests
    assert row.status is Status.NORMAL
    assert row.summary == version.summary()
    assert line.events() == [
        "Import of s3://models/iris/ started.",
        f"Model files imported from s3://models/iris/: 2 files, {version.package.size_bytes:,} bytes, "
        f"{version.package.size_bytes:,} bytes copied.",
        "The package keeps the rules of Scikit_Learn.",
        "Engine Scikit_Learn 1.9.1, runtime sklearn1.9-python3.11, found.",
        "Image task started on backend docker.",
        "Image created: base layer in 2.0 s, serving layer in 2.0 s.",
        f"Answered 1 checked and {timed} timed requests on cpu, ready after 0.0 s, median 10.0 ms.",
        "Model imported.",
    ]


def test_the_record_says_what_a_listing_needs() -> None:
    line = Line()
    line.backend.behaviour.seconds = 1.0
    summary = line.import_model(labels=["a"], install_type=["batch"]).summary()
    assert summary == {
        "model_name": "iris",
        "model_version": "0.0.1",
        "status": "Normal",
        "engine": "Scikit_Learn",
        "engine_version": "1.9.1",
        "runtime": "sklearn1.9-python3.11",
        "backend": "docker",
        "isolation": "container",
        "devices": {"cpu": "passed", "gpu": "not served", "ascend": "not served"},
        "latency_ms": 1000.0,
        "package_digest": f"sha256:{next(iter(line.store.packages))}",
        "image": summary["image"],
        "image_digest": summary["image_digest"],
        "build": "own",
        "baked": False,
        "images": {
            "cpu": {"build": "own", "image": summary["image"], "image_digest": summary["image_digest"]},
        },
        "size_bytes": summary["size_bytes"],
        "bytes_copied": summary["size_bytes"],
        "source": "s3://models/iris/",
        "install_type": ["batch"],
        "labels": ["a"],
        "warnings": 0,
        "trusted_model_code": False,
        "seconds": summary["seconds"],
    }


def test_a_second_import_is_the_next_version_copies_nothing_and_builds_nothing() -> None:
    line = Line()
    line.import_model()
    built_once = list(line.build_log)
    version = line.import_model(run=OTHER_RUN)
    assert version.accepted.reservation.model_version == "0.0.2"
    assert version.summary()["bytes_copied"] == 0
    assert line.build_log == built_once
    assert "Existing environment image reused." in line.events("0.0.2")
    assert any("nothing copied" in text for text in line.events("0.0.2"))


def test_warnings_are_counted_in_the_record() -> None:
    line = Line(iris_files(changed(author="me", metrics={"auc": 1})))
    assert line.import_model().summary()["warnings"] == 2


# ── accept ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_rejected_form_reserves_nothing() -> None:
    line = Line()
    with pytest.raises(RequestRejected):
        line.accept(model_name="a b", labels=3)
    assert line.registry.rows == {}


def test_a_version_that_exists_is_refused() -> None:
    line = Line()
    line.accept(model_version="1.0.0")
    with pytest.raises(VersionExists) as caught:
        line.accept(run=OTHER_RUN, model_version="1.0.0")
    assert "iris 1.0.0 exists already" in str(caught.value)
    assert len(line.registry.rows) == 1


def test_of_two_imports_of_one_version_exactly_one_wins_and_the_other_leaves_it_alone() -> None:
    line = Line()
    winner = line.accept(model_version="1.0.0")
    with pytest.raises(VersionExists):
        line.accept(run=OTHER_RUN, model_version="1.0.0")
    assert line.close(OTHER_RUN) == 0
    assert line.registry.reservation_of(RUN) == winner.reservation
    assert line.row("1.0.0").status is Status.IMPORTING


def test_a_second_try_of_one_run_gets_the_same_version() -> None:
    line = Line()
    assert line.accept().reservation == line.accept().reservation
    assert len(line.registry.rows) == 1


def test_two_runs_without_a_version_get_different_ones() -> None:
    line = Line()
    assert line.accept().reservation.model_version == "0.0.1"
    assert line.accept(run=OTHER_RUN).reservation.model_version == "0.0.2"


def test_a_registry_that_is_away_may_come_back() -> None:
    line = Line()
    line.registry.away = True
    with pytest.raises(RegistryUnavailable):
        line.accept()
    line.registry.away = False
    line.accept()


# ── build ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def with_dependency(name: str, version: str = "", restraint: str = "") -> dict[str, Any]:
    item = {"package_name": name, "package_version": version, "restraint": restraint}
    return changed(dependencies=[{"installer": "pip", "packages": [item]}])


def test_a_dependency_that_does_not_exist_fails_the_build() -> None:
    line = Line(iris_files(with_dependency("no-such-thing"), model__customize_service_dot_py=SERVICE))
    line.backend.index = frozenset({"numpy"})
    with pytest.raises(BuildFailed, match="no-such-thing"):
        line.until_built()


def test_dependencies_make_a_second_layer_on_the_same_base() -> None:
    plain = Line()
    *_, base = plain.until_built()
    line = Line(iris_files(with_dependency("six", "1.16.0", "EXACT"), model__customize_service_dot_py=SERVICE))
    *_, image = line.until_built()
    assert [layer.name for layer in image.layers] == ["base", "dependencies", "serving"]
    assert image.layers[0].tag == base.layers[0].tag
    assert image.reference == image.layers[2].tag


def test_a_wheel_of_the_package_is_part_of_the_images_identity() -> None:
    tags = set()
    for content in (b"one", b"two"):
        config = with_dependency("/home/mind/model/x-1-py3-none-any.whl")
        files = iris_files(config, model__customize_service_dot_py=SERVICE)
        line = Line({**files, "model/x-1-py3-none-any.whl": content})
        *_, image = line.until_built()
        tags.add(image.reference)
    assert len(tags) == 2


def test_an_engine_that_is_away_may_come_back() -> None:
    line = Line()
    line.backend.away = True
    with pytest.raises(BackendUnavailable):
        line.until_built()


def test_a_worker_of_another_release_says_so() -> None:
    line = Line()
    accepted = line.accept()
    package = line.fetch(accepted)
    validated = line.validate(accepted, package)
    detection = line.detect(accepted, package, validated)
    line.catalogue = Catalogue.of([])
    with pytest.raises(RuntimeUnavailable, match="BLD001"):
        line.build(accepted, package, validated, detection)


# ── register ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_device_that_the_request_demands_and_nobody_tested_fails_the_import() -> None:
    line = Line()
    built = line.until_built(required_devices=["cpu", "gpu"])
    with pytest.raises(DeviceRequired, match="gpu"):
        line.register(built, line.smoke(built))
    assert line.row().status is Status.IMPORTING


def test_a_version_that_nothing_tested_is_not_registered() -> None:
    line = Line()
    line.backend.on = frozenset()
    built = line.until_built()
    report = line.smoke(built)
    assert report.verdict is Verdict.NO_DEVICE
    with pytest.raises(DeviceRequired, match="SMK021"):
        line.register(built, report)
    with pytest.raises(DeviceRequired, match="SMK021"):
        line.register(built)


def test_a_device_that_is_served_and_not_there_is_recorded_as_not_run() -> None:
    config = changed(model_type="PyTorch", runtime="pytorch2.13-python3.11-gpu")
    files = iris_files(config, model__customize_service_dot_py=SERVICE, model__net_dot_pth=ZIPPED)
    version = Line(files).import_model()
    assert version.device_results() == {"cpu": "passed", "gpu": "not run: no device", "ascend": "not served"}


def test_a_version_that_was_deleted_meanwhile_is_not_brought_back() -> None:
    line = Line()
    built = line.until_built()
    report = line.smoke(built)
    line.registry.delete(built[0].reservation)
    with pytest.raises(VersionGone):
        line.register(built, report)
    assert line.row().status is Status.DELETED


def test_registering_twice_is_registering_once() -> None:
    line = Line()
    built = line.until_built()
    report = line.smoke(built)
    line.register(built, report)
    line.register(built, report)
    assert line.events().count("Model imported.") == 1


def test_reports_are_kept_in_the_order_of_their_devices() -> None:
    line = Line()
    built = line.until_built()
    reports = [line.smoke(built, device) for device in (Device.GPU, Device.CPU)]
    version = line.register(built, *reports)
    assert [report.device for report in version.reports] == [Device.CPU, Device.GPU]


# ── close ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_version_that_a_killed_task_left_undecided_becomes_failed_and_its_litter_goes() -> None:
    line = Line()
    line.accept()
    line.backend.litter[RUN] = 3
    assert line.close(ended="smoke_cpu was killed") == 3
    row = line.row()
    assert row.status is Status.FAILED
    assert "[RUN001]" in row.reason
    assert "smoke_cpu was killed" in row.reason
    assert row.events[-1].text.startswith("Import failed: [RUN001]")


def test_a_version_that_is_decided_stays_as_it_is() -> None:
    line = Line()
    line.import_model()
    line.close()
    assert line.row().status is Status.NORMAL


def test_a_failed_version_keeps_its_first_reason() -> None:
    line = Line()
    accepted = line.accept()
    line.registry.fail(accepted.reservation, "build", "PKG001", "No folder.")
    line.close()
    assert line.row().reason == "[PKG001] No folder."


def test_a_run_that_never_reserved_anything_is_closed_too() -> None:
    assert Line().close(OTHER_RUN) == 0


def test_a_failed_run_that_is_tried_again_takes_its_version_up() -> None:
    line = Line()
    line.accept()
    line.close()
    line.import_model()
    assert line.row().status is Status.NORMAL
    assert "Import taken up again." in line.events()


def test_other_dependencies_make_the_image_again_from_the_package_that_the_version_has() -> None:
    line = Line()
    first = line.import_model(description="As it was", labels=["a"])
    line.storage.buckets["models"].clear()
    again = replace(RUN, run_id="rebuild-1")
    packages = [{"package_name": "itsdangerous", "package_version": "2.2.0", "restraint": "EXACT"}]
    made = line.import_model(
        run=again,
        rebuild=True,
        model_version="0.0.1",
        description="Another",
        dependencies=[{"installer": "pip", "packages": packages}],
    )
    row = line.row()
    assert made.package.digest == first.package.digest
    assert made.package.bytes_copied == 0
    assert [item.name for item in made.validated.config.dependencies] == ["itsdangerous"]
    assert made.image.reference != first.image.reference
    assert (row.status, row.summary["image"], row.description) == (Status.NORMAL, made.image.reference, "As it was")
    assert "Update of the runtime dependencies started." in line.events()
    assert line.events()[-1] == "Runtime dependencies updated, image made again."


def test_a_rebuild_that_fails_leaves_the_version_and_says_why() -> None:
    line = Line()
    line.import_model()
    before = line.row()
    again = replace(RUN, run_id="rebuild-1")
    line.accept(run=again, rebuild=True, model_version="0.0.1", dependencies=[])
    line.close(run=again, ended="build failed")
    assert (line.row().status, line.row().summary) == (Status.NORMAL, before.summary)
    assert "Runtime dependencies not updated, the version stays as it was: [RUN001]" in line.events()[-1]


def test_a_rebuild_names_its_version_and_its_dependencies() -> None:
    with pytest.raises(RequestRejected) as caught:
        Line().accept(rebuild=True)
    assert [item.place.pointer for item in caught.value.findings] == ["dependencies", "model_version"]
