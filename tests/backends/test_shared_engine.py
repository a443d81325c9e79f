"""Several installations on one engine, each with folders of its own: two workers with disks of their own, too."""

from __future__ import annotations

import dataclasses
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backend_bench import BASE_IMAGE, Bench, another_process

from airlock.adapters.build_litter import Signature, name_image, remove_litter, remove_old_litter
from airlock.adapters.owner import this_process

#: Of another boot of a machine: nobody here can tell whether it lives.
ELSEWHERE = "6a1f/pid:[1]/1/1"
GONE = this_process().rpartition("/")[0] + "/1"


@pytest.fixture
def made(client: Any, docker_bench: Bench) -> Iterator[Any]:
    """Makes untagged images with a layer's label, and removes what is left of them."""
    tag = f"airlock/dependencies:scikit-learn-tiny-{docker_bench.token}"

    def make(**labels: str) -> tuple[str, str]:
        said = " ".join(f"{name}={value}" for name, value in {"io.airlock.layer": tag, **labels}.items())
        dockerfile = f"FROM {BASE_IMAGE}\nLABEL {said}\nENV A={len(said)}\n".encode()
        answers = list(client.api.build(fileobj=io.BytesIO(dockerfile), rm=True, decode=True))
        return tag, str([each["aux"]["ID"] for each in answers if "aux" in each][-1])

    yield make
    for found in client.containers.list(all=True, filters={"label": f"io.airlock.layer={tag}"}, ignore_removed=True):
        found.remove(force=True)
    for found in client.images.list(filters={"label": f"io.airlock.layer={tag}"}):
        client.images.remove(found.id, force=True)


def test_two_workers_with_disks_of_their_own_make_one_layer_at_once_and_end_neither(
    docker_bench: Bench, client: Any
) -> None:
    docker_bench.image()
    other = dataclasses.replace(docker_bench, folder=docker_bench.folder / "other-disk")
    with another_process(docker_bench, "build", "toml") as one, another_process(other, "build", "toml") as two:
        answers = [json.loads(build.communicate(timeout=180)[0]) for build in (one, two)]
    assert [len(answer) for answer in answers] == [3, 3], "both have the whole image"
    for name in ("dependencies", "serving"):
        images = client.images.list(filters={"label": "io.airlock.layer"}, all=True)
        tags = [tag for image in images for tag in image.tags if tag.startswith(f"airlock/{name}:scikit-learn-tiny-")]
        for tag in tags:
            litter = {"label": f"io.airlock.layer={tag}"}
            assert client.containers.list(all=True, filters=litter, ignore_removed=True) == []
            assert client.images.list(filters={**litter, "dangling": True}) == []


def test_a_killed_build_is_cleared_by_who_holds_its_lock_or_sees_that_it_has_ended(
    made: Any, client: Any, tmp_path: Path
) -> None:
    builder = Signature.of(tmp_path / "locks")
    tag, mine = made(**{"io.airlock.owner": ELSEWHERE, "io.airlock.locks": builder.locks})
    _, gone = made(**{"io.airlock.owner": GONE, "io.airlock.locks": "another"})
    _, unknown = made(**{"io.airlock.owner": ELSEWHERE, "io.airlock.locks": "another"})
    _, alive = made(**{"io.airlock.owner": this_process(), "io.airlock.locks": "a-third"})
    container = client.api.create_container(unknown, ["true"])["Id"]
    assert remove_litter(client, tag, builder) == 2
    left = {image["Id"] for image in client.api.images(filters={"label": [f"io.airlock.layer={tag}"]})}
    assert left == {unknown, alive}
    # What cannot be asked is removed when no build can be that old.
    label = f"io.airlock.layer={tag}"
    assert remove_old_litter(client, time.time() - 60, label) == 0
    assert remove_old_litter(client, time.time() + 60, label) == 3
    assert container not in {each["Id"] for each in client.api.containers(all=True)}
    assert mine != gone


def test_the_first_image_keeps_the_name(made: Any, client: Any) -> None:
    tag, first = made(**{"io.airlock.locks": "one"})
    _, second = made(**{"io.airlock.locks": "another"})
    assert name_image(client, first, tag) is True
    assert name_image(client, second, tag) is False
    assert client.images.get(tag).id == first


def test_what_somebody_runs_from_a_finished_image_is_never_taken_for_a_builds(
    made: Any, client: Any, tmp_path: Path
) -> None:
    builder = Signature.of(tmp_path / "locks")
    tag, image = made(**{"io.airlock.owner": GONE, "io.airlock.locks": builder.locks})
    assert name_image(client, image, tag)
    serving = client.api.create_container(tag, ["sleep", "60"])["Id"]
    assert remove_litter(client, tag, builder) == 0
    assert remove_old_litter(client, time.time() + 60, f"io.airlock.layer={tag}") == 0
    assert serving in {each["Id"] for each in client.api.containers(all=True)}


def test_a_folder_of_locks_has_one_name_for_ever(tmp_path: Path) -> None:
    first = Signature.of(tmp_path / "locks")
    assert first == Signature.of(tmp_path / "locks")
    assert first.locks != Signature.of(tmp_path / "other").locks
    assert sorted(path.name for path in (tmp_path / "locks").iterdir()) == ["name"]
