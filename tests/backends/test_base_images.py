"""Base images: which are pulled, which only looked for, and the command that prints a recipe."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any
from unittest.mock import create_autospec

import docker
import pytest
from backend_bench import BASE_IMAGE, TINY, Bench
from docker.errors import APIError, ImageNotFound, NotFound
from docker.models.images import ImageCollection

from airlock.__main__ import main
from airlock.adapters.build_litter import Signature
from airlock.adapters.clock import SystemClock
from airlock.adapters.docker_build import LayerBuild
from airlock.domain.image import BuildPlan, plan_build
from airlock.errors import AirlockError, BackendUnavailable, RuntimeUnavailable
from airlock.steps.build import first_made

MADE = replace(
    TINY, base_image="airlock-base/python:3.6-cuda9.0-cudnn7", base_image_digest="", base_recipe="ARG CUDA_IMAGE=x\n"
)


def plan(prefix: str = "", **changes: Any) -> BuildPlan:
    return plan_build(
        replace(MADE, **changes),
        (),
        serving_digest="s",
        base_image_prefix=prefix,
        package_digest="",
        bundled_digests={},
    )


def refused(plan: BuildPlan, pull: Exception | None = None) -> tuple[AirlockError, Any]:
    """The error of a build whose base image is not on the engine, and the client that was used."""
    client = create_autospec(docker.DockerClient, instance=True)
    client.images = create_autospec(ImageCollection, instance=True)
    client.api = create_autospec(docker.APIClient, instance=True)
    client.images.get.side_effect = ImageNotFound("no such image")
    client.images.pull.side_effect = pull
    client.api.containers.return_value = client.api.images.return_value = []
    builder = LayerBuild(
        lambda: client, network="none", timeout_s=5, clock=SystemClock(), builder=Signature(owner="", locks="")
    )
    with pytest.raises(AirlockError) as caught:
        builder.have_base(plan, lambda line: None)
    return caught.value, client


def test_a_base_image_that_nobody_publishes_is_never_pulled_from_the_public_registry() -> None:
    error, client = refused(plan())
    assert isinstance(error, RuntimeUnavailable)
    assert error.code == "BLD007"
    assert f"starts from the base image {MADE.base_image}, which is not on this worker" in error.message
    assert f"`python -m airlock base-recipe {MADE.base_image} | docker build -t {MADE.base_image} -`" in error.remedy
    assert "--build-arg CUDA_IMAGE=" in error.remedy
    assert "`[airlock] base_image_prefix`" in error.remedy
    client.images.pull.assert_not_called()
    client.api.build.assert_not_called()


@pytest.mark.parametrize(
    "pull, kind",
    [
        (NotFound("manifest unknown"), RuntimeUnavailable),
        (APIError("no such host"), BackendUnavailable),
    ],
)
def test_it_is_pulled_from_a_registry_that_the_installation_names(pull: Exception, kind: type[AirlockError]) -> None:
    error, client = refused(plan("mirror.corp/"), pull)
    assert isinstance(error, kind)
    client.images.pull.assert_called_once_with(f"mirror.corp/{MADE.base_image}")
    assert f"docker build -t mirror.corp/{MADE.base_image} -" in error.remedy


def test_a_public_base_image_is_pulled() -> None:
    error, client = refused(plan(base_recipe="", base_image="python:3.11-slim"), NotFound("manifest unknown"))
    client.images.pull.assert_called_once_with("python:3.11-slim")
    assert error.message == "There is no base image python:3.11-slim: manifest unknown"
    assert "make base-images" in error.remedy


def test_the_recipes_are_printed_for_the_engine_to_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["base-recipe"]) == 0
    tags = capsys.readouterr().out.split()
    assert "airlock-base/caffe:1.0.0-python3.6-cpu" in tags
    assert MADE.base_image in tags
    assert main(["base-recipe", MADE.base_image]) == 0
    text = capsys.readouterr().out
    assert text.startswith("ARG CUDA_IMAGE=nvidia/cuda:9.0-cudnn7-runtime-ubuntu16.04\nFROM ${CUDA_IMAGE} AS cuda\n")
    assert main(["base-recipe", "python:3.11-slim"]) == 1
    assert "no recipe of 'python:3.11-slim'; it has those of airlock-base/" in capsys.readouterr().err


def test_a_variant_is_chosen_where_its_base_image_is_and_nowhere_else(docker_bench: Bench) -> None:
    tag = f"airlock-base/tests:{docker_bench.token}"
    row = replace(docker_bench.runtime, base_image=tag, base_recipe="FROM scratch\n", variant="genuine")
    backend, plan = docker_bench.backend(), docker_bench.plan(runtime=row)
    assert not backend.base_at_hand(plan)
    (unmade,) = first_made([plan], backend, docker_bench.lines.append).unmade
    assert f"base image {tag}, which is not on this worker" in unmade.message
    client = docker.from_env()
    try:
        client.images.get(BASE_IMAGE).tag(tag)
        assert backend.base_at_hand(plan)
    finally:
        with contextlib.suppress(ImageNotFound):
            client.images.remove(tag)
        client.close()
    assert not backend.base_at_hand(plan)
    assert backend.base_at_hand(docker_bench.plan())
