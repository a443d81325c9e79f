"""A row with several builds: which is made, which is tested on which device, and what the version says of it."""

from __future__ import annotations

from typing import Any

import pytest

from airlock.domain.catalogue import Catalogue, Runtime, Variant
from airlock.domain.device import Device
from airlock.domain.smoke import Verdict
from airlock.errors import BackendUnavailable, BuildFailed, DeviceRequired, RuntimeUnavailable
from tests.unit.given import IRIS_CONFIG, iris_files, runtime
from tests.unit.line import Line

CUDA = "airlock-base/python:3.11-cuda9.0"
BASE = "airlock-base/engine:1.0"
MIRROR = "mirror.corp/"
BOTH = (Device.CPU, Device.GPU)


def variant(name: str, base_image: str, *devices: Device, **changes: Any) -> Variant:
    values: dict[str, Any] = {
        "name": name,
        "devices": devices,
        "base_image": base_image,
        "base_recipe": "FROM scratch\n",
        "system_packages": (),
        "environment": (("BUILD", name),),
        "constraints": f"engine-{name}==1\n",
    }
    return Variant(**{**values, **changes})


#: One distribution for each device, as TensorFlow 1 and MXNet have it.
WITH_GPU_BUILD = runtime(default=True, devices=BOTH, variants=(variant("gpu", CUDA, Device.GPU),))
#: Caffe's rows: what is built anywhere is a stand-in that knows the CPU alone.
STAND_IN = runtime(
    default=True, stand_in="Something that is not the engine.", variants=(variant("genuine", BASE, Device.CPU),)
)
STAND_IN_FOR_GPUS = runtime(
    default=True,
    devices=(Device.GPU,),
    stand_in="Something that is not the engine, and uses the CPU.",
    variants=(variant("genuine", BASE, Device.GPU),),
)
#: One distribution for both devices, as PyTorch has it.
ONE_BUILD = runtime(default=True, devices=BOTH)


def line_for(row: Runtime, *devices: Device, bases: tuple[str, ...] = ()) -> Line:
    line = Line(catalogue=Catalogue.of([row]))
    line.backend.on = frozenset(devices)
    line.backend.bases = frozenset(bases)
    return line


@pytest.mark.parametrize("others_there", [True, False])
def test_a_row_for_another_architecture_is_refused_with_the_nearest_that_can_be_had_here(others_there: bool) -> None:
    arm = runtime(engine_version="1.1.1", default=True, architectures=("aarch64",))
    near = runtime(name="near", engine_version="1.3.0")
    far = runtime(name="far", engine_version="2.0.0")
    gone = runtime(name="gone", engine_version="1.1.1", available=False, unavailable_reason="Gone.", nearest="near")
    line = Line(catalogue=Catalogue.of([arm, far, gone, near] if others_there else [arm]))
    with pytest.raises(RuntimeUnavailable) as caught:
        line.import_model()
    assert caught.value.code == "BLD008"
    assert caught.value.message == f"{arm} is made for aarch64; this worker builds for x86_64."
    use = "the runtime 'near' (Scikit_Learn 1.3.0)" if others_there else "another runtime"
    assert caught.value.remedy == f"Use {use}, or a worker of that architecture."


def built_on(line: Line) -> dict[str, tuple[str, str]]:
    """Device → (verdict, build) of a whole import."""
    version = line.import_model()
    return {
        report.device.value: (report.verdict.value, report.image.build if report.image else "")
        for report in version.reports
    }


NOT_SERVED = ("not served", "")


# ── a build for each device ──────────────────────────────────────────────────────────────────────────────────────────


def test_without_the_device_the_row_s_own_build_is_made_and_nothing_else() -> None:
    line = line_for(WITH_GPU_BUILD, Device.CPU, bases=(CUDA,))
    assert built_on(line) == {
        "cpu": ("passed", "own"),
        "gpu": ("not run: no device", ""),
        "ascend": NOT_SERVED,
    }
    assert len(line.backend.tags) == 2


def test_with_the_device_its_own_build_is_made_and_tested_on_it() -> None:
    line = line_for(WITH_GPU_BUILD, *BOTH, bases=(CUDA,))
    version = line.import_model()
    cpu, gpu, _ = version.reports
    assert cpu.image == version.image
    assert gpu.image is not None
    assert (gpu.verdict, gpu.image.build, version.image.build) == (Verdict.PASSED, "gpu", "own")
    assert [launch.runtime.build for launch in line.backend.launches] == ["own", "gpu"]
    assert [launch.image for launch in line.backend.launches] == [cpu.image, gpu.image]
    assert line.backend.launches[1].runtime.environment == (("BUILD", "gpu"),)
    assert not {layer.tag for layer in cpu.image.layers} & {layer.tag for layer in gpu.image.layers}
    assert version.summary()["build"] == "own"
    assert version.summary()["images"] == {
        device: {"build": image.build, "image": image.reference, "image_digest": image.digest}
        for device, image in (("cpu", cpu.image), ("gpu", gpu.image))
    }
    assert any(text.startswith("Image of the build gpu created: base layer") for text in line.events())


def test_the_device_s_build_is_made_once() -> None:
    line = line_for(WITH_GPU_BUILD, *BOTH, bases=(CUDA,))
    line.import_model()
    made = set(line.backend.tags)
    built = line.until_built()
    line.smoke(built, Device.GPU)
    assert line.backend.tags == made
    assert "Existing environment image of the build gpu reused." in line.events()


def test_the_dependencies_of_the_package_go_into_each_build() -> None:
    config = {**IRIS_CONFIG, "dependencies": [{"installer": "pip", "packages": [{"package_name": "six"}]}]}
    line = Line(iris_files(config), catalogue=Catalogue.of([WITH_GPU_BUILD]))
    line.backend.on, line.backend.bases = frozenset(BOTH), frozenset({CUDA})
    gpu = line.smoke(line.until_built(), Device.GPU)
    assert gpu.image is not None
    assert [layer.name for layer in gpu.image.layers] == ["base", "dependencies", "serving"]
    line.backend.index = frozenset()
    line.backend.tags.clear()
    with pytest.raises(BuildFailed):
        line.until_built()


def test_a_build_whose_base_image_is_not_there_is_not_a_pass_and_says_how_to_make_it() -> None:
    line = line_for(WITH_GPU_BUILD, *BOTH)
    assert built_on(line)["gpu"] == ("not run: no build for the device", "")
    (text,) = [text for text in line.events() if text.startswith("Not tested on gpu: no build uses it.")]
    assert f"starts from the base image {CUDA}, which is not on this worker" in text
    assert f"`python -m airlock base-recipe {CUDA} | docker build -t {CUDA} -`" in text
    assert "`[airlock] base_image_prefix`" in text


def test_a_registry_that_the_installation_names_is_asked_for_the_base_image() -> None:
    line = line_for(WITH_GPU_BUILD, *BOTH)
    line.base_image_prefix = MIRROR
    assert built_on(line)["gpu"] == ("not run: no build for the device", "")
    line = line_for(WITH_GPU_BUILD, *BOTH)
    line.base_image_prefix, line.backend.pulls = MIRROR, frozenset({MIRROR + CUDA})
    assert built_on(line)["gpu"] == ("passed", "gpu")


@pytest.mark.parametrize("bases, passes", [((CUDA,), True), ((), False)])
def test_a_demanded_device_needs_its_build(bases: tuple[str, ...], passes: bool) -> None:
    line = line_for(WITH_GPU_BUILD, *BOTH, bases=bases)
    built = line.until_built(required_devices=["gpu"])
    if passes:
        assert (
            line.register(built, line.smoke(built), line.smoke(built, Device.GPU)).device_results()["gpu"] == "passed"
        )
        return
    with pytest.raises(DeviceRequired, match="SMK023") as caught:
        line.smoke(built, Device.GPU)
    assert f"base image {CUDA}" in caught.value.message
    assert "base-recipe" in caught.value.remedy
    assert caught.value.remedy.endswith("Or leave gpu out of `required_devices`.")


def test_a_demanded_device_that_is_not_there_fails_as_ever() -> None:
    line = line_for(WITH_GPU_BUILD, Device.CPU, bases=(CUDA,))
    with pytest.raises(DeviceRequired, match="SMK020"):
        line.smoke(line.until_built(required_devices=["gpu"]), Device.GPU)


def test_an_engine_that_goes_away_while_the_device_s_build_is_made_is_no_verdict() -> None:
    line = line_for(WITH_GPU_BUILD, *BOTH, bases=(CUDA,))
    built = line.until_built()
    line.backend.away = True
    with pytest.raises(BackendUnavailable):
        line.smoke(built, Device.GPU)


def test_one_build_for_both_devices_is_tested_on_both() -> None:
    line = line_for(ONE_BUILD, *BOTH)
    assert built_on(line) == {"cpu": ("passed", "own"), "gpu": ("passed", "own"), "ascend": NOT_SERVED}
    assert len(line.backend.tags) == 2


# ── the engine itself instead of a stand-in ──────────────────────────────────────────────────────────────────────────


def test_a_stand_in_is_built_where_the_engine_s_base_image_is_not_and_the_history_says_what_it_is() -> None:
    line = line_for(STAND_IN, Device.CPU)
    version = line.import_model()
    assert (version.image.build, version.summary()["build"]) == ("stand-in", "stand-in")
    assert "Built as a stand-in for Scikit_Learn. Something that is not the engine." in line.events()
    assert any(BASE in text and "base-recipe" in text for text in line.build_log)


def test_the_engine_itself_is_built_where_its_base_image_is() -> None:
    line = line_for(STAND_IN, Device.CPU, bases=(BASE,))
    version = line.import_model()
    assert version.summary()["build"] == "genuine"
    assert version.summary()["images"]["cpu"]["build"] == "genuine"
    assert line.backend.launches[0].runtime.stand_in == ""
    assert any(text.startswith("Image of the build genuine created") for text in line.events())
    assert not any("stand-in" in text for text in line.events())


def test_the_engine_itself_is_pulled_from_a_registry_that_the_installation_names() -> None:
    line = line_for(STAND_IN, Device.CPU)
    line.base_image_prefix, line.backend.pulls = MIRROR, frozenset({MIRROR + BASE})
    assert built_on(line)["cpu"] == ("passed", "genuine")
    line = line_for(STAND_IN, Device.CPU)
    line.base_image_prefix = MIRROR
    assert built_on(line)["cpu"] == ("passed", "stand-in")


def test_a_version_is_tested_in_the_build_that_was_made_also_when_a_base_image_comes_later() -> None:
    line = line_for(STAND_IN, Device.CPU)
    built = line.until_built()
    line.backend.bases = frozenset({BASE})
    report = line.smoke(built)
    assert report.image is not None
    assert report.image.build == "stand-in"


@pytest.mark.parametrize("there", [True, False])
def test_a_stand_in_for_gpus_without_the_device_tests_nothing(there: bool) -> None:
    line = line_for(STAND_IN_FOR_GPUS, Device.CPU, bases=(BASE,) if there else ())
    built = line.until_built()
    assert built[-1].build == ("genuine" if there else "stand-in")
    report = line.smoke(built, Device.GPU)
    assert report.verdict is Verdict.NO_DEVICE
    with pytest.raises(DeviceRequired, match="serves gpu, and no worker has such a device: nothing was tested"):
        line.register(built, report)


def test_a_stand_in_for_gpus_does_not_pass_on_one() -> None:
    line = line_for(STAND_IN_FOR_GPUS, *BOTH)
    built = line.until_built()
    report = line.smoke(built, Device.GPU)
    assert (report.verdict, report.image) == (Verdict.NO_BUILD, None)
    assert line.backend.launches == []
    with pytest.raises(DeviceRequired, match="a worker has gpu, and no build that uses it could be made"):
        line.register(built, report)


def test_the_engine_itself_passes_on_a_gpu() -> None:
    line = line_for(STAND_IN_FOR_GPUS, *BOTH, bases=(BASE,))
    assert built_on(line)["gpu"] == ("passed", "genuine")
    assert len(line.backend.tags) == 2


def test_the_worker_with_the_device_may_have_the_base_image_that_the_one_that_built_has_not() -> None:
    line = line_for(STAND_IN_FOR_GPUS, *BOTH)
    built = line.until_built()
    line.backend.bases = frozenset({BASE})
    report = line.smoke(built, Device.GPU)
    assert report.image is not None
    assert (built[-1].build, report.image.build) == ("stand-in", "genuine")


def test_a_stand_in_without_another_build_says_that_it_uses_the_cpu() -> None:
    row = runtime(default=True, devices=BOTH, stand_in="It knows the CPU alone.")
    line = line_for(row, *BOTH)
    assert built_on(line)["gpu"] == ("not run: no build for the device", "")
    assert any("made here uses the CPU." in text for text in line.events())


def test_the_row_s_own_build_fails_as_ever() -> None:
    line = line_for(runtime(default=True, base_recipe="FROM scratch\n"), Device.CPU)
    with pytest.raises(RuntimeUnavailable, match="BLD007"):
        line.until_built()


def test_a_build_that_the_catalogue_no_longer_has_is_an_error() -> None:
    assert STAND_IN.as_build("stand-in") is STAND_IN
    assert STAND_IN.as_build("genuine").build == "genuine"
    with pytest.raises(ValueError, match="no variant 'gpu'"):
        STAND_IN.as_build("gpu")
