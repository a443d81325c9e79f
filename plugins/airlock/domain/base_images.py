"""Base images that are not on the worker: what is the matter, and what to do."""

from __future__ import annotations

from airlock.domain.image import BackendKind, BuildPlan


def missing_base(plan: BuildPlan, kind: BackendKind = BackendKind.DOCKER) -> tuple[str, str]:
    """That a plan's base image is not there: what is the matter, and what to do.

    An image with a recipe is made once on a worker, or taken from a registry that the installation names.

    Args:
        plan: The plan that starts from it.
        kind: What was to build it.
    """
    runtime, base = plan.runtime, plan.layers[0].base
    if kind is BackendKind.PROCESS:
        return (
            f"{runtime} starts from the base image {base}, and the process backend has no base images.",
            "Use a worker with a container engine (Docker).",
        )
    make = "Make it on this worker (`make base-images`)"
    if runtime.base_recipe:
        cuda = (
            " (with `--build-arg CUDA_IMAGE=…` naming a mirror of NVIDIA's image, which the public registry removed)"
            if "ARG CUDA_IMAGE=" in runtime.base_recipe
            else ""
        )
        recipe = f"python -m airlock base-recipe {runtime.base_image}"
        make = f"Make it on this worker from the catalogue's recipe: `{recipe} | docker build -t {base} -`{cuda}"
    return (
        f"{runtime} starts from the base image {base}, which is not on this worker"
        + ("." if plan.base_may_be_pulled else ", and which nobody publishes."),
        f"{make}, or name a registry that has it in `[airlock] base_image_prefix`.",
    )
