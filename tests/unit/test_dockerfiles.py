"""Dockerfiles and tags: the same input gives the same text, and every input that matters changes the tag."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.base_images import missing_base
from airlock.domain.catalogue import Runtime, ServiceSpec, Variant
from airlock.domain.dependencies import Dependency, Restraint
from airlock.domain.device import Device
from airlock.domain.image import BackendKind, BuildPlan, Layer, plan_build
from airlock.domain.installing import install_environment, uv_serves
from tests.unit.given import ROOT, runtime

NUMPY = Dependency(name="numpy", version="1.26.4", restraint=Restraint.EXACT)
PANDAS = Dependency(name="Pandas", version="2.0", restraint=Restraint.ATLEAST)
PLAIN = Dependency(name="six")
WHEEL = Dependency(name="wheels/x-1.0-py3-none-any.whl", bundled=True)

TORCH = runtime(
    "PyTorch",
    "pytorch2.13-python3.11-cpu",
    base_image_digest="sha256:" + "ab" * 32,
    system_packages=("libgomp1", "libgl1"),
    service=ServiceSpec(base_class="model_service.pytorch_model_service:PTServingBaseService", model_path="*.pth,*.pt"),
    environment=(("OMP_NUM_THREADS", "2"), ("GREETING", 'a "b" $HOME \\ c')),
)


def plan(row: Runtime | None = None, *dependencies: Dependency, **changes: Any) -> BuildPlan:
    options: dict[str, Any] = {
        "serving_digest": "5e" * 32,
        "base_image_prefix": "",
        "package_digest": "77" * 32,
        "bundled_digests": {WHEEL.name: "aa" * 32},
    }
    return plan_build(row or runtime(), dependencies, **{**options, **changes})


def shown(layers: tuple[Layer, ...]) -> str:
    parts = []
    for layer in layers:
        how = layer.dockerfile or layer.program
        parts.append(f"# ── {layer.name}: {layer.tag}\n{how}\n# requirements\n{layer.requirements}")
    return "\n".join(parts)


@pytest.mark.parametrize(
    "name,row,dependencies",
    [
        ("scikit_learn.Dockerfile", runtime(), ()),
        ("scikit_learn-no-system-packages.Dockerfile", runtime(system_packages=()), ()),
        ("pytorch-with-dependencies.Dockerfile", TORCH, (PANDAS, NUMPY, WHEEL, PLAIN)),
    ],
)
def test_the_dockerfile_is_the_golden_one(
    golden: Callable[[str, str], None], name: str, row: Runtime, dependencies: tuple[Dependency, ...]
) -> None:
    golden(name, shown(plan(row, *dependencies).layers))


CAFFE = {
    "caffe-genuine-python3.6.Dockerfile": "python3.6",
    "caffe-genuine-python3.7-gpu.Dockerfile": "python3.7-gpu",
}


@pytest.mark.parametrize("name", CAFFE)
def test_caffe_itself_is_rendered_with_the_recipe_of_its_base_image(
    golden: Callable[[str, str], None], name: str
) -> None:
    row = load_catalogue(ROOT / "include").find("Caffe", CAFFE[name])
    assert row is not None
    genuine = row.genuine()
    assert genuine is not None
    made = plan(genuine)
    golden(name, f"# ── base image: {genuine.base_image}\n{genuine.base_recipe}\n{shown(made.layers)}")
    assert (genuine.build, genuine.stand_in, row.build) == ("genuine", "", "stand-in")
    assert not made.base_may_be_pulled
    # The engine comes with the base image, so that no pin brings the stand-in's.
    assert "opencv" not in made.layers[0].requirements
    assert "stand-in" not in made.layers[-1].dockerfile
    assert "stand-in" in plan(row).layers[-1].dockerfile


GPU = Variant(
    name="gpu",
    devices=(Device.GPU,),
    base_image="airlock-base/python:3.11-cuda9.0",
    base_recipe="ARG CUDA_IMAGE=x\nFROM ${CUDA_IMAGE}\n",
    system_packages=("libgomp1",),
    environment=(("CUDA_CACHE_DISABLE", "1"),),
    constraints="engine-gpu==1.0\n",
)


def test_a_build_for_gpus_is_a_set_of_layers_of_its_own(golden: Callable[[str, str], None]) -> None:
    row = runtime("TensorFlow", "python3.6", devices=(Device.CPU, Device.GPU), variants=(GPU,))
    gpu = row.as_variant("gpu")
    golden("tensorflow-gpu-build.Dockerfile", shown(plan(gpu, NUMPY).layers))
    tags = {layer.tag for layer in plan(row, NUMPY).layers} | {layer.tag for layer in plan(gpu, NUMPY).layers}
    assert len(tags) == 6
    assert plan(gpu).key.startswith("tensorflow-python3.6-gpu-")


def test_a_base_image_with_a_recipe_is_pulled_from_a_registry_that_the_installation_names_and_from_no_other() -> None:
    gpu = runtime("TensorFlow", "python3.6", variants=(GPU,)).as_variant("gpu")
    assert plan().base_may_be_pulled
    assert not plan(gpu).base_may_be_pulled
    assert plan(gpu, base_image_prefix="mirror.corp/").base_may_be_pulled


def test_a_missing_base_image_is_told_with_the_command_that_makes_it() -> None:
    gpu = runtime("TensorFlow", "python3.6", variants=(GPU,)).as_variant("gpu")
    message, remedy = missing_base(plan(gpu))
    assert message == (
        "TensorFlow python3.6 (build gpu) starts from the base image airlock-base/python:3.11-cuda9.0, "
        "which is not on this worker, and which nobody publishes."
    )
    assert remedy == (
        "Make it on this worker from the catalogue's recipe: `python -m airlock base-recipe "
        "airlock-base/python:3.11-cuda9.0 | docker build -t airlock-base/python:3.11-cuda9.0 -` (with "
        "`--build-arg CUDA_IMAGE=…` naming a mirror of NVIDIA's image, which the public registry removed), or name a "
        "registry that has it in `[airlock] base_image_prefix`."
    )
    message, remedy = missing_base(plan(gpu), BackendKind.PROCESS)
    assert message.endswith("base image airlock-base/python:3.11-cuda9.0, and the process backend has no base images.")
    assert "Docker" in remedy
    message, remedy = missing_base(plan())
    assert message.endswith("python:3.11-slim-bookworm, which is not on this worker.")
    assert remedy.startswith("Make it on this worker (`make base-images`), or name a registry")


def test_the_same_input_gives_the_same_text_and_tag() -> None:
    assert plan(TORCH, NUMPY, WHEEL) == plan(TORCH, NUMPY, WHEEL)


def test_without_dependencies_there_are_two_layers_and_the_second_installs_nothing() -> None:
    base, serving = plan().layers
    assert (base.name, base.requirements) == ("base", runtime().constraints)
    assert (serving.name, serving.requirements, serving.base) == ("serving", "", base.tag)


def test_each_layer_is_made_on_the_one_before_it() -> None:
    base, dependencies, serving = plan(None, NUMPY).layers
    assert (dependencies.base, serving.base) == (base.tag, dependencies.tag)


def test_the_key_is_the_last_layers_tag_without_repository() -> None:
    built = plan(None, NUMPY)
    assert built.layers[-1].tag == f"airlock/serving:{built.key}"


@pytest.mark.parametrize(
    "row",
    [
        runtime(constraints="numpy==2.4.7\n"),
        runtime(base_image="python:3.12-slim"),
        runtime(base_image_digest="sha256:" + "0" * 64),
        runtime(system_packages=()),
        runtime(name="other"),
        runtime(engine="XGBoost"),
    ],
)
def test_every_input_of_the_base_layer_changes_its_tag(row: Runtime) -> None:
    assert plan(row).layers[0].tag != plan().layers[0].tag


@pytest.mark.parametrize(
    "row",
    [
        runtime(environment=(("A", "1"),)),
        runtime(service=ServiceSpec(base_class="a:B", model_path="*.m")),
        runtime(service=dataclasses.replace(runtime().service, model_path="folder")),
    ],
)
def test_how_a_runtime_is_started_changes_its_serving_layer_and_reinstalls_nothing(row: Runtime) -> None:
    assert plan(row).layers[0] == plan().layers[0]
    assert plan(row).key != plan().key


def test_a_release_with_other_serving_code_reinstalls_nothing() -> None:
    old, new = plan(None, NUMPY), plan(None, NUMPY, serving_digest="00" * 32)
    assert old.layers[:2] == new.layers[:2]
    assert old.key != new.key


def test_a_registry_prefix_changes_the_base_layers_tag() -> None:
    assert plan(base_image_prefix="mirror.corp/library/").layers[0].tag != plan().layers[0].tag


@pytest.mark.parametrize(
    "change", [{"memory_mb": 9}, {"startup_timeout_s": 9.0}, {"default": True}, {"status": "seed"}, {"nearest": "x"}]
)
def test_what_does_not_go_into_the_image_does_not_change_its_tag(change: dict[str, Any]) -> None:
    assert plan(runtime(**change)).key == plan().key


def test_the_order_of_inputs_says_nothing() -> None:
    turned = dataclasses.replace(
        TORCH, system_packages=TORCH.system_packages[::-1], environment=TORCH.environment[::-1]
    )
    assert plan(turned).layers == plan(TORCH).layers
    assert plan(None, NUMPY, WHEEL, PANDAS).layers == plan(None, PANDAS, NUMPY, WHEEL).layers


@given(st.permutations([NUMPY, PANDAS, PLAIN, WHEEL]))
def test_any_order_of_dependencies_gives_one_image(dependencies: list[Dependency]) -> None:
    assert plan(None, *dependencies).key == plan(None, NUMPY, PANDAS, PLAIN, WHEEL).key


@pytest.mark.parametrize(
    "other",
    [
        Dependency(name="numpy"),
        Dependency(name="numpy", version="1.26.5", restraint=Restraint.EXACT),
        Dependency(name="numpy", version="1.26.4", restraint=Restraint.ATLEAST),
        Dependency(name="scipy", version="1.26.4", restraint=Restraint.EXACT),
    ],
)
def test_another_dependency_is_another_image_on_the_same_base(other: Dependency) -> None:
    one, two = plan(None, NUMPY), plan(None, other)
    assert one.layers[0] == two.layers[0]
    assert one.key != two.key


def test_another_base_is_another_dependency_layer() -> None:
    assert plan(None, NUMPY).key != plan(runtime(constraints="x==1\n"), NUMPY).key


def test_the_content_of_a_bundled_wheel_changes_the_tag_and_nothing_else_of_the_package_does() -> None:
    tag = plan(None, WHEEL).key
    assert plan(None, WHEEL, bundled_digests={WHEEL.name: "bb" * 32}).key != tag
    assert plan(None, WHEEL, package_digest="00" * 32).key == tag


def test_a_bundled_wheel_without_a_digest_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no digest"):
        plan(None, WHEEL, bundled_digests={})


def final_stage(layer: Layer) -> str:
    stages = re.split(r"(?m)^(?=FROM )", layer.dockerfile)
    assert len(stages) == 3
    assert " AS install\n" in stages[1]
    return stages[2]


BASE, DEPENDING = plan(TORCH, NUMPY, WHEEL).layers[:2]


def test_no_ca_password_or_index_reaches_the_final_stage() -> None:
    text = final_stage(BASE)
    for word in ("ca.pem", "PIP_", "PROXY", "ARG", "/tmp/install", "index", "pip install"):
        assert word not in text


def test_both_stages_carry_their_layers_label() -> None:
    assert BASE.dockerfile.count(f"LABEL io.airlock.layer={BASE.tag}\n") == 2


def test_dependencies_are_installed_by_a_program_that_keeps_everything_of_its_own_in_a_volume() -> None:
    assert (DEPENDING.dockerfile, DEPENDING.base) == ("", BASE.tag)
    folders = re.findall(r"/(?:tmp|usr|opt|home|var|etc|root|mnt)\S*", DEPENDING.program)
    assert {folder.strip("\"';") for folder in folders if folder.rstrip(";") != "/dev/null"} <= {
        "/tmp/install", "/tmp/install/ca.pem", "/usr/local", "/usr/local/lib",
    }  # fmt: skip


def test_nothing_that_was_just_installed_is_run() -> None:
    """A `.pth` file of a new distribution would be, by any Python that reads its site-packages."""
    after = DEPENDING.program.partition("pip install")[2].partition("else")[0]
    assert "python -S -E slim.py" in after
    assert re.findall(r"(?:^|;|then) *python (?!-S -E )", after, re.MULTILINE) == []


PIP = {
    "PIP_INDEX_URL": "https://user:secret@index.corp/simple",
    "PIP_EXTRA_INDEX_URL": "https://a.corp https://b.corp",
    "PIP_FIND_LINKS": "https://wheels.corp/a https://wheels.corp/b",
    "PIP_TRUSTED_HOST": "index.corp",
    "HTTPS_PROXY": "http://proxy.corp:3128",
}


def test_uv_is_told_what_pip_is_told() -> None:
    told = install_environment(PIP, shared=True)
    assert told["UV_DEFAULT_INDEX"] == told["PIP_INDEX_URL"]
    assert told["UV_INDEX"] == told["PIP_EXTRA_INDEX_URL"]
    assert told["UV_FIND_LINKS"] == "wheels,https://wheels.corp/a,https://wheels.corp/b"
    assert told["UV_INSECURE_HOST"] == told["PIP_TRUSTED_HOST"]
    assert told["HTTPS_PROXY"] == "http://proxy.corp:3128"
    assert "UV_ARGUMENTS" not in install_environment(PIP, shared=False)
    assert install_environment({"PIP_NO_INDEX": "1"}, shared=False)["UV_ARGUMENTS"] == "--no-index"


def test_whoever_may_compile_gets_no_shared_cache_and_the_other_way_round() -> None:
    shared, alone = install_environment(PIP, shared=True), install_environment(PIP, shared=False)
    assert (shared["UV_ARGUMENTS"], shared["PIP_ONLY_BINARY"]) == ("--only-binary :all:", ":all:")
    assert (shared["UV_CACHE_DIR"], shared["PIP_CACHE_DIR"]) == ("/mnt/uv", "/mnt/pip")
    assert not {"UV_ARGUMENTS", "PIP_ONLY_BINARY", "UV_CACHE_DIR", "PIP_CACHE_DIR"} & set(alone)
    assert (alone["UV_NO_CACHE"], alone["PIP_NO_CACHE_DIR"]) == ("1", "1")


def test_uv_installs_for_the_pythons_that_it_serves() -> None:
    assert [python for python in ("2.7", "3.6", "3.7", "3.8", "3.13") if uv_serves(python)] == ["3.8", "3.13"]


def test_the_final_image_runs_as_nobody() -> None:
    serving = plan(None, NUMPY).layers[-1]
    assert re.findall(r"(?m)^USER (.*)$", serving.dockerfile) == ["65534:65534"]
    assert serving.dockerfile.count(f"LABEL io.airlock.layer={serving.tag}\n") == 1


def test_requirements_are_passed_by_file_and_never_stand_in_the_dockerfile() -> None:
    for layer in plan(None, NUMPY, PANDAS).layers:
        assert "numpy" not in layer.dockerfile
    assert plan(None, PANDAS, NUMPY).layers[1].requirements == "numpy==1.26.4\nPandas>=2.0\n"


def test_a_variable_is_taken_literally() -> None:
    layer = plan(TORCH).layers[-1]
    assert 'GREETING="a \\"b\\" \\$HOME \\\\ c"' in layer.dockerfile


def test_a_pinned_base_image_is_named_by_digest_unless_a_mirror_is_set() -> None:
    assert f"FROM {TORCH.base_image}@{TORCH.base_image_digest} AS install" in plan(TORCH).layers[0].dockerfile
    mirrored = plan(TORCH, base_image_prefix="mirror.corp/library/").layers[0].dockerfile
    assert "FROM mirror.corp/library/python:3.11-slim-bookworm AS install" in mirrored


@pytest.mark.parametrize("row", [runtime(), TORCH, runtime(name="Upper_Case.1-x")])
def test_tags_are_ones_that_registries_take(row: Runtime) -> None:
    for layer in plan(row, NUMPY).layers:
        assert re.fullmatch(r"airlock/(base|dependencies|serving):[a-z0-9][a-z0-9_.-]{0,127}", layer.tag)
