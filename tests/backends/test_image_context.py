"""What an image build is given, and which wheels on disk it may use."""

from __future__ import annotations

import platform
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest
from backend_bench import TINY, write_package

from airlock.adapters.build_litter import Signature
from airlock.adapters.docker_context import build_arguments, build_context
from airlock.adapters.install_settings import InstallSettings
from airlock.adapters.local_wheels import chosen_wheels, further_indexes, of_other_builds, usable_wheels
from airlock.adapters.process_environment import wheel_links
from airlock.adapters.serving_code import serving_digest, serving_files
from airlock.domain.dependencies import Dependency
from airlock.domain.image import BuildPlan, plan_build
from airlock.domain.installing import install_program
from airlock.domain.slimming import slim_program
from airlock.errors import BuildFailed

PYTORCH = "https://wheels.example/cpu"
WHEEL = "wheels/brought-1.0-py3-none-any.whl"
RUNTIME = replace(TINY, constraints="numpy==2.0.0\ntorch==2.13.0+cpu\n", extra_index_urls=(PYTORCH,))


def plan(*dependencies: Dependency) -> BuildPlan:
    return plan_build(
        RUNTIME,
        dependencies,
        serving_digest="s",
        base_image_prefix="",
        package_digest="d",
        bundled_digests={WHEEL: "0"},
    )


SIGNATURE = Signature(owner="boot/pid:[1]/7/8", locks="disk")


def wheels(folder: Path, *names: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(name.encode())
    return folder


@pytest.fixture
def serving(tmp_path: Path) -> Path:
    folder = tmp_path / "serving"
    (folder / "model_service" / "__pycache__").mkdir(parents=True)
    (folder / "log.py").write_text("x = 1\n")
    (folder / "model_service" / "server.py").write_text("y = 1\n")
    (folder / "model_service" / "__pycache__" / "server.cpython-311.pyc").write_bytes(b"z")
    return folder


def contents(
    plan: BuildPlan, number: int, install: InstallSettings, serving: Path, package: Path | None = None
) -> dict[str, bytes]:
    layer = plan.layers[number]
    with (
        build_context(
            plan.runtime,
            layer,
            install=install,
            serving_folder=serving,
            package_folder=package,
            machine="x86_64",
            work_dir=serving.parent / "work",
            signature=SIGNATURE,
        ) as context,
        tarfile.open(fileobj=context) as tar,
    ):
        members = tar.getmembers()
        assert {(member.uid, member.gid, member.mtime) for member in members} == {(0, 0, 0)}
        assert list((serving.parent / "work").iterdir()) == []
        found = {}
        for member in members:
            file = tar.extractfile(member)
            found[member.name] = file.read() if file else b""
        return found


def test_the_base_layer_gets_pins_and_certificates_and_no_serving_code(tmp_path: Path, serving: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificates")
    made = contents(plan(), 0, InstallSettings(cert=str(tmp_path / "ca.pem")), serving)
    layer = plan().layers[0]
    assert made["Dockerfile"].decode() == SIGNATURE.sign(layer.dockerfile, layer.tag)
    assert made["install/requirements.txt"] == made["install/constraints.txt"] == RUNTIME.constraints.encode()
    assert made["install/ca.pem"] == b"certificates"
    assert made["install/slim.py"].decode() == slim_program()
    assert "install/wheels" in made
    assert not [name for name in made if name.startswith("serving/")]


def test_the_serving_layer_gets_its_code_and_nothing_else(tmp_path: Path, serving: Path) -> None:
    (tmp_path / "ca.pem").write_text("certificates")
    made = contents(plan(), 1, InstallSettings(cert=str(tmp_path / "ca.pem")), serving)
    assert sorted(made) == ["Dockerfile", "serving/log.py", "serving/model_service/server.py"]
    assert build_arguments(plan().runtime, plan().layers[1], InstallSettings(no_index=True), "x86_64") == {}


def test_every_stage_is_signed_in_the_step_that_names_its_layer(serving: Path) -> None:
    made = contents(plan(), 0, InstallSettings(), serving)["Dockerfile"].decode()
    tag = plan().layers[0].tag
    line = f"LABEL io.airlock.layer={tag} io.airlock.owner=boot/pid:[1]/7/8 io.airlock.locks=disk\n"
    assert made.count(line) == made.count("LABEL") == made.count("FROM") == 2


def test_the_same_inputs_give_the_same_context(serving: Path) -> None:
    def read() -> bytes:
        made = plan()
        with build_context(
            made.runtime,
            made.layers[0],
            install=InstallSettings(),
            serving_folder=serving,
            package_folder=None,
            machine="x86_64",
            work_dir=serving.parent / "work",
            signature=SIGNATURE,
        ) as context:
            return context.read()

    assert read() == read()


def test_the_dependency_layer_gets_its_lines_the_pins_and_the_packages_wheels(tmp_path: Path, serving: Path) -> None:
    write_package(tmp_path / "package", "pass", "return 0")
    made = contents(
        plan(Dependency(name="six"), Dependency(name=WHEEL, bundled=True)),
        1,
        InstallSettings(),
        serving,
        tmp_path / "package",
    )
    assert made["install/requirements.txt"].decode().splitlines() == ["six", f"/tmp/install/bundled/{WHEEL}"]
    assert made["install/constraints.txt"] == RUNTIME.constraints.encode()
    assert made[f"install/bundled/{WHEEL}"].startswith(b"PK")
    assert made["install/slim.py"].decode() == slim_program()
    assert made["install/install.sh"].decode() == install_program()
    assert "Dockerfile" not in made
    assert not [name for name in made if name.startswith("serving/")]


@pytest.mark.parametrize(
    "python,machine,brought",
    [("3.11", platform.machine(), True), ("3.7", platform.machine(), False), ("3.11", "riscv64", False)],
)
def test_uv_is_brought_where_it_runs_and_serves_the_python(
    tmp_path: Path, serving: Path, python: str, machine: str, brought: bool
) -> None:
    made = plan(Dependency(name="six"))
    with (
        build_context(
            replace(RUNTIME, python=python),
            made.layers[1],
            install=InstallSettings(),
            serving_folder=serving,
            package_folder=None,
            machine=machine,
            work_dir=tmp_path / "work",
            signature=SIGNATURE,
        ) as context,
        tarfile.open(fileobj=context) as tar,
    ):
        assert ("install/uv" in tar.getnames()) is brought


def test_only_wheels_that_fit_a_pin_are_copied(tmp_path: Path, serving: Path) -> None:
    folder = wheels(
        tmp_path / "wheels",
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.12.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp310-cp310-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp311-cp311-win_amd64.whl",
        "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_aarch64.whl",
        "other-1.0-py3-none-any.whl",
        "no wheel.whl",
    )
    made = contents(plan(), 0, InstallSettings(find_links=(str(folder),)), serving)
    assert [name for name in made if name.endswith(".whl")] == [
        "install/wheels/torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl"
    ]


def test_without_an_index_dependencies_get_every_wheel_they_could_need(tmp_path: Path, serving: Path) -> None:
    folder = wheels(
        tmp_path / "wheels",
        "six-1.17.0-py2.py3-none-any.whl",
        "needed_by_six-1.0-py3-none-any.whl",
        "numpy-2.0.0-cp311-cp311-manylinux_2_17_x86_64.whl",
    )
    made_plan = plan(Dependency(name="six"))

    def copied(**settings: bool) -> list[str]:
        made = contents(made_plan, 1, InstallSettings(find_links=(str(folder),), **settings), serving)  # type: ignore[arg-type]
        return sorted(name.rpartition("/")[2].partition("-")[0] for name in made if name.endswith(".whl"))

    assert copied() == ["six"]
    # numpy is in the layer below already.
    assert copied(no_index=True) == ["needed_by_six", "six"]


def test_the_runtimes_own_index_is_asked_only_where_no_wheel_on_disk_will_do(tmp_path: Path) -> None:
    folder = wheels(tmp_path / "wheels", "torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl")
    made = plan()

    def asked(install: InstallSettings) -> str:
        return build_arguments(made.runtime, made.layers[0], install, "x86_64").get("PIP_EXTRA_INDEX_URL", "")

    assert asked(InstallSettings()) == PYTORCH
    assert asked(InstallSettings(extra_index_url=("https://own.example",))) == f"https://own.example {PYTORCH}"
    assert asked(InstallSettings(find_links=(str(folder),))) == ""
    assert asked(InstallSettings(no_index=True)) == ""
    second = plan(Dependency(name="six"))
    assert "PIP_EXTRA_INDEX_URL" not in build_arguments(second.runtime, second.layers[1], InstallSettings(), "x86_64")


def test_an_index_on_this_machines_disk_is_not_handed_to_a_container() -> None:
    install = InstallSettings(index_url="file:///opt/simple", extra_index_url=("file:///opt/more",), no_index=False)
    made = plan(Dependency(name="six"))
    assert build_arguments(made.runtime, made.layers[1], install, "x86_64") == {}


def test_only_what_is_set_becomes_an_argument() -> None:
    made = plan(Dependency(name="six"))
    install = InstallSettings(
        index_url="https://index.example/simple",
        trusted_host=("index.example",),
        find_links=("https://links.example",),
        https_proxy="http://proxy.example",
    )
    assert build_arguments(made.runtime, made.layers[1], install, "x86_64") == {
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_TRUSTED_HOST": "index.example",
        "PIP_FIND_LINKS": "https://links.example",
        "HTTPS_PROXY": "http://proxy.example",
        "https_proxy": "http://proxy.example",
    }


def test_nothing_of_the_install_stage_reaches_the_image() -> None:
    for layer in plan(Dependency(name="six")).layers:
        final = layer.dockerfile.rpartition("\nFROM ")[2]
        assert "ARG" not in final
        assert "/tmp/install" not in final


@pytest.mark.parametrize(
    "name, python, fits",
    [
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.whl", "3.11", True),
        ("a-1-cp311-cp311-manylinux_2_17_x86_64.whl", "3.12", False),
        ("a-1-cp36-abi3-manylinux1_x86_64.whl", "3.11", True),
        ("a-1-cp312-abi3-manylinux1_x86_64.whl", "3.11", False),
        ("a-1-py3-none-any.whl", "3.6", True),
        ("a-1-py2.py3-none-any.whl", "2.7", True),
        ("a-1-py3-none-any.whl", "2.7", False),
        ("a-1-cp27-cp27mu-manylinux1_x86_64.whl", "2.7", True),
        ("a-1-py3-none-macosx_11_0_arm64.whl", "3.11", False),
    ],
)
def test_a_wheel_fits_an_interpreter_or_does_not(tmp_path: Path, name: str, python: str, fits: bool) -> None:
    wheels(tmp_path, name)
    assert bool(usable_wheels([tmp_path], python=python, machine="x86_64")) is fits


def test_a_folder_that_is_missing_has_no_wheels(tmp_path: Path) -> None:
    assert usable_wheels([tmp_path / "none"], python="3.11", machine="x86_64") == ()


def test_names_are_compared_in_their_normal_form(tmp_path: Path) -> None:
    folder = wheels(tmp_path / "w", "typing_extensions-4.0-py3-none-any.whl")
    usable = usable_wheels([folder], python="3.11", machine="x86_64")
    assert len(chosen_wheels(usable, "Typing.Extensions==4.0\n")) == 1
    assert chosen_wheels(usable, "Typing.Extensions==4.1\n") == ()
    assert further_indexes((PYTORCH,), "typing-extensions==4.0\n", usable) == ()


BUILDS = ("torch-2.13.0-cp311-cp311-linux_x86_64.whl", "torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl")


@pytest.mark.parametrize(
    "pins, dropped",
    [("torch==2.13.0\n", [BUILDS[1]]), ("torch==2.13.0+cpu\n", []), ("six==1.0\ntorch==2.13.0+cu130\n", [BUILDS[1]])],
)
def test_a_wheel_of_a_labelled_build_is_for_rows_that_name_it(tmp_path: Path, pins: str, dropped: list[str]) -> None:
    usable = usable_wheels([wheels(tmp_path / "w", *BUILDS)], python="3.11", machine="x86_64")
    assert [path.name for path in of_other_builds(usable, pins)] == dropped


@pytest.mark.parametrize("pin, offered", [("torch==2.13.0", []), ("torch==2.13.0+cpu", [BUILDS[1]])])
@pytest.mark.parametrize("wanted", [(), (Dependency(name="torch"),)], ids=["base", "dependency"])
def test_an_image_for_gpus_never_gets_the_build_for_cpus(
    tmp_path: Path, serving: Path, pin: str, offered: list[str], wanted: tuple[Dependency, ...]
) -> None:
    folder = wheels(tmp_path / "w", BUILDS[1], "torchvision-0.28.0+cpu-cp311-cp311-linux_x86_64.whl")
    row = replace(RUNTIME, constraints=f"{pin}\n")
    whole = plan_build(row, wanted, serving_digest="s", base_image_prefix="", package_digest="d", bundled_digests={})
    install = InstallSettings(find_links=(str(folder),), no_index=True)
    files = contents(whole, 0, install, serving)
    assert [name.removeprefix("install/wheels/") for name in files if "torch-" in name] == offered
    if wanted:
        more = [name for name in contents(whole, 1, install, serving) if name.endswith(".whl")]
        assert bool(more) == bool(offered)


def test_an_environment_for_gpus_is_not_shown_the_build_for_cpus(tmp_path: Path) -> None:
    folder = wheels(tmp_path / "w", *BUILDS, "six-1.17.0-py2.py3-none-any.whl", "gast-0.2.2.tar.gz")
    install = InstallSettings(find_links=(str(folder), str(tmp_path / "none"), "https://links.example/"))
    assert wheel_links(install, RUNTIME, "x86_64", tmp_path) == install.find_links
    row = replace(RUNTIME, constraints="torch==2.13.0\n")
    links, page = wheel_links(install, row, "x86_64", tmp_path)
    assert page == "https://links.example/"
    there = {path.name for path in folder.iterdir()}
    assert {path.name for path in Path(links).iterdir()} == there - {BUILDS[1]}
    assert (Path(links) / BUILDS[0]).read_bytes() == BUILDS[0].encode()


def test_the_serving_codes_digest_covers_names_and_bytes_and_no_caches(serving: Path) -> None:
    before = serving_digest(serving)
    assert [name for name, _ in serving_files(serving)] == ["log.py", "model_service/server.py"]
    (serving / "__pycache__").mkdir()
    (serving / "__pycache__" / "log.cpython-311.pyc").write_bytes(b"new")
    assert serving_digest(serving) == before
    (serving / "log.py").rename(serving / "log2.py")
    assert serving_digest(serving) != before
    (serving / "log2.py").rename(serving / "log.py")
    (serving / "log.py").write_text("x = 2\n")
    assert serving_digest(serving) != before


def test_a_stand_in_goes_with_the_serving_code_of_the_rows_that_have_one_and_of_no_other(serving: Path) -> None:
    own = serving.parent / "stand_ins" / RUNTIME.engine / "engine_module" / "__init__.py"
    own.parent.mkdir(parents=True)
    own.write_text("x = 1\n")
    row = replace(RUNTIME, stand_in="Something else, which is not the engine.")
    for made in (RUNTIME, row):
        whole = plan_build(
            made,
            (),
            serving_digest=serving_digest(serving, made.stand_in_for),
            base_image_prefix="",
            package_digest="d",
            bundled_digests={},
        )
        files = contents(whole, 1, InstallSettings(), serving)
        assert ("serving/stand-in/engine_module/__init__.py" in files) == (made is row)
        folders = "/opt/airlock/serving:/opt/airlock/serving/stand-in" if made is row else "/opt/airlock/serving"
        assert f'PYTHONPATH="{folders}"' in whole.layers[1].dockerfile
    before = serving_digest(serving, RUNTIME.engine)
    assert before != serving_digest(serving)
    own.write_text("x = 2\n")
    assert serving_digest(serving, RUNTIME.engine) != before


def test_a_stand_in_that_is_not_there_is_told(serving: Path) -> None:
    with pytest.raises(BuildFailed, match="There is no stand-in for Caffe"):
        serving_files(serving, "Caffe")
