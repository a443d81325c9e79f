"""Images of the user's own from real registries: had, kept by digest, or refused with nothing left."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import user_images as images
from image_bench import Images
from image_registry import ACCOUNT, PASSWORD, ImageRegistry, installed

from airlock.adapters.docker_pull import Credentials
from airlock.adapters.image_credentials import from_connections
from airlock.errors import BackendUnavailable, ImageRefused


def _registry(folder: Path, here: Images, guarded: bool) -> Iterator[ImageRegistry]:
    if not installed():
        pytest.skip("docker-registry is not installed")
    registry = ImageRegistry(folder, guarded=guarded)
    yield registry
    for image in here.client.images.list():
        for name in (*image.tags, *(image.attrs.get("RepoDigests") or ())):
            if name.startswith(f"{registry.host}/"):
                with contextlib.suppress(Exception):
                    here.client.images.remove(name, force=True)
    registry.close()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, here: Images) -> Iterator[ImageRegistry]:
    """A registry that gives to everybody."""
    yield from _registry(tmp_path_factory.mktemp("registry") / "open", here, False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, here: Images) -> Iterator[ImageRegistry]:
    """A registry that wants a name and a password."""
    yield from _registry(tmp_path_factory.mktemp("registry") / "guarded", here, True)


def test_an_image_is_pulled_and_kept_by_its_digest(here: Images, registry: ImageRegistry, shell: str) -> None:
    there = here.push(shell, registry, "pulled")
    line = here.line(images.package(images.a_shell_config(there)))
    built = line.until_built()
    image = built[-1]
    assert image.reference == f"{registry.host}/team/pulled@{image.digest}"
    assert not image.layers[0].reused
    # The tag moves, here and in the registry; another worker has neither.
    registry.put_image("team/pulled", "1")
    here.client.images.remove(there)
    assert not here.has(image.reference)
    assert line.smoke(built).verdict.value == "passed"
    assert line.register(built, line.smoke(built)).summary()["image"] == image.reference
    again = here.obtain(image.reference)
    assert (again.digest, again.layers[0].reused) == (image.digest, True)


def test_an_image_that_is_here_is_not_pulled_unless_the_setting_says_so(
    here: Images, registry: ImageRegistry, shell: str
) -> None:
    there = here.push(shell, registry, "moving")
    first = here.obtain(there)
    registry.put_image("team/moving", "1")
    assert here.obtain(there).digest == first.digest
    assert here.obtain(there, image_pull="always").digest != first.digest
    here.client.images.remove(there)
    error = here.refusal(there, image_pull="never")
    assert error.code == "IMG001"
    assert "image_pull" in error.message


@pytest.mark.parametrize("path", ["team/absent:1", "team/pinned@sha256:" + "ab" * 32])
def test_an_image_that_the_registry_does_not_have_is_told(here: Images, registry: ImageRegistry, path: str) -> None:
    error = here.refusal(f"{registry.host}/{path}")
    assert isinstance(error, ImageRefused)
    assert error.code == "IMG001"
    assert registry.host in error.message


def test_a_registry_that_the_installation_does_not_name_is_not_asked(here: Images, registry: ImageRegistry) -> None:
    error = here.refusal(f"{registry.host}/team/absent:1", image_registries=("swr.example.com",))
    assert error.code == "IMG012"


def test_a_registry_that_does_not_answer_may_answer_later(here: Images) -> None:
    error = here.refusal("127.0.0.1:1/team/iris:1")
    assert isinstance(error, BackendUnavailable)
    assert error.code == "IMG003"


def test_a_guarded_registry_gives_to_the_connection_that_names_it_only(
    here: Images, guarded: ImageRegistry, shell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = here.push(shell, guarded, "guarded", username=ACCOUNT, password=PASSWORD)

    def asked(**connection: Any) -> Callable[[str], Credentials | None]:
        value = {"conn_type": "docker", "login": ACCOUNT, "password": PASSWORD, **connection}
        monkeypatch.setenv("AIRFLOW_CONN_IMAGES", json.dumps(value))
        return from_connections(("images",))

    nobody = here.refusal(there)
    assert (type(nobody), nobody.code) == (ImageRefused, "IMG002")
    assert "without credentials" in nobody.message
    wrong = here.refusal(there, credentials_of=asked(host="127.0.0.1", port=guarded.port, password="a-wrong-one"))
    assert (type(wrong), wrong.code) == (ImageRefused, "IMG002")
    assert "a-wrong-one" not in str(wrong)
    assert here.refusal(there, credentials_of=asked(host="other.example.com")).code == "IMG002"
    image = here.obtain(there, credentials_of=asked(host=f"http://{guarded.host}/v2/"))
    assert image.reference.startswith(f"{guarded.host}/team/guarded@sha256:")


def test_a_layer_that_is_not_what_its_digest_says_is_told(here: Images, registry: ImageRegistry) -> None:
    manifest = json.loads(registry.put_image("team/damaged", "1"))
    registry.damage(manifest["layers"][0]["digest"])
    error = here.refusal(f"{registry.host}/team/damaged:1")
    assert (type(error), error.code) == (ImageRefused, "IMG004")


def test_an_image_for_another_architecture_is_refused_and_removed(here: Images, registry: ImageRegistry) -> None:
    manifest = registry.put_image("team/arm", "1", architecture="arm64")
    registry.put_list("team/arm", "list", {"arm64": manifest})
    for tag in ("1", "list"):
        error = here.refusal(f"{registry.host}/team/arm:{tag}")
        assert (type(error), error.code) == (ImageRefused, "IMG006")
        assert not here.has(f"{registry.host}/team/arm:{tag}")


def test_an_image_that_is_too_large_is_refused_with_the_number_and_removed(
    here: Images, registry: ImageRegistry, shell: str
) -> None:
    registry.put_image("team/large", "1", size_bytes=300_000)
    compressed = here.refusal(f"{registry.host}/team/large:1", max_image_bytes=200_000)
    assert compressed.code == "IMG005"
    assert "even when compressed, at most 200,000 are taken" in compressed.message
    there = here.push(shell, registry, "large-one")
    whole = here.refusal(there, max_image_bytes=1_900_000)
    assert whole.code == "IMG005"
    assert "at most 1,900,000 are taken" in whole.message
    assert not here.has(there)
    assert here.has(shell), "an image that was here before stays"
