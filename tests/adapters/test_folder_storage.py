"""Folders of the worker as a source: nothing outside of what is allowed, no link followed, no mix of two states."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from airlock.adapters.clock import SystemClock
from airlock.adapters.folder_storage import FolderStorage
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.s3 import S3Storage
from airlock.adapters.settings import load_settings
from airlock.adapters.wiring import Wiring
from airlock.domain.package import FetchLimits, ListedObject
from airlock.domain.source import Scheme, SourceLocation
from airlock.errors import PackageRejected, SettingInvalid, SourceChanged, SourceRefused
from airlock.steps.fetch import stage
from tests.fakes.clock import FakeClock

LIMITS = FetchLimits(max_package_bytes=10_000_000, max_objects=100)


@pytest.fixture
def allowed(tmp_path: Path) -> Path:
    folder = tmp_path / "allowed"
    (folder / "iris/model/sub").mkdir(parents=True)
    (folder / "iris/model/config.json").write_bytes(b"{}")
    (folder / "iris/model/sub/文件 1.bin").write_bytes(os.urandom(600_000))
    (folder / "iris/model/empty").touch()
    return folder


@pytest.fixture
def storage(allowed: Path) -> FolderStorage:
    # An hour later the files' times are trusted.
    return FolderStorage([allowed], FakeClock(time.time() + 3600))


def at(path: Path, closing: str = "/") -> SourceLocation:
    location = SourceLocation.parse(f"file://{path}{closing}")
    assert location is not None
    return location


def listed(storage: FolderStorage, folder: Path) -> dict[str, ListedObject]:
    location = at(folder)
    return {item.key[len(location.prefix) :]: item for item in storage.list(location)}


def test_a_folder_is_listed_and_read_byte_for_byte(storage: FolderStorage, allowed: Path) -> None:
    items = listed(storage, allowed / "iris")
    assert sorted(items) == ["model/config.json", "model/empty", "model/sub/文件 1.bin"]
    whole = (allowed / "iris/model/sub/文件 1.bin").read_bytes()
    item = items["model/sub/文件 1.bin"]
    assert item.size_bytes == len(whole)
    location = at(allowed / "iris")
    assert b"".join(storage.read(location, item, 0, len(whole))) == whole
    assert b"".join(storage.read(location, item, 100, 300_000)) == whole[100:300_000]


@pytest.mark.parametrize("folders", [[], ["allowed/iris"]])
def test_what_is_not_below_an_allowed_folder_is_refused(tmp_path: Path, allowed: Path, folders: list[str]) -> None:
    (allowed / "irises").mkdir()
    storage = FolderStorage([tmp_path / name for name in folders], SystemClock())
    for place in (allowed / "irises", allowed, Path("/etc")):
        with pytest.raises(SourceRefused, match=r"SRC007.*may not be read.*file_source_dirs"):
            list(storage.list(at(place)))


def test_a_folder_that_is_not_there_is_named(storage: FolderStorage, allowed: Path) -> None:
    for place in (allowed / "none", allowed / "iris/model/config.json", allowed / "iris/model/config.json/x"):
        with pytest.raises(SourceRefused, match="SRC008"):
            list(storage.list(at(place)))


@pytest.mark.parametrize("where", ["last", "between"])
def test_a_link_on_the_way_is_not_followed(storage: FolderStorage, allowed: Path, tmp_path: Path, where: str) -> None:
    (tmp_path / "secret/iris/model").mkdir(parents=True)
    (tmp_path / "secret/iris/model/config.json").write_bytes(b"secret")
    (allowed / "link").symlink_to(tmp_path / "secret" / ("iris" if where == "last" else ""))
    with pytest.raises(SourceRefused, match=r"SRC007.*link in its path is a symbolic link"):
        list(storage.list(at(allowed / "link" / ("" if where == "last" else "iris"))))


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def link_to_a_folder(path: Path) -> None:
    path.symlink_to("/etc")


def link_to_the_folder_above(path: Path) -> None:
    path.symlink_to(".")


@pytest.mark.parametrize(
    "make", [link, link_to_a_folder, link_to_the_folder_above, os.mkfifo], ids=lambda make: make.__name__
)
def test_links_and_pipes_in_a_package_are_refused_by_name(
    storage: FolderStorage, allowed: Path, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(allowed / "iris/model/sub/odd")
    store = PackageFolderStore(tmp_path / "store", SystemClock())
    with pytest.raises(PackageRejected, match=r"PKG013 model/sub/odd: It is a (symbolic link|pipe)"):
        stage(at(allowed / "iris"), storage=storage, store=store, limits=LIMITS, scope="run", log=print)
    assert not store.folders.packages.exists()


def test_a_file_that_becomes_a_link_after_the_listing_is_not_followed(storage: FolderStorage, allowed: Path) -> None:
    item = listed(storage, allowed / "iris")["model/config.json"]
    path = allowed / "iris/model/config.json"
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(SourceRefused, match="SRC007"):
        b"".join(storage.read(at(allowed / "iris"), item, 0, 2))


@pytest.mark.parametrize("change", ["written", "replaced", "deleted", "appended"])
def test_a_file_that_changes_after_the_listing_is_an_error(storage: FolderStorage, allowed: Path, change: str) -> None:
    path = allowed / "iris/model/sub/文件 1.bin"
    item = listed(storage, allowed / "iris")["model/sub/文件 1.bin"]
    chunks = storage.read(at(allowed / "iris"), item, 0, item.size_bytes)
    if change == "deleted":
        path.unlink()
    else:
        next(chunks)
        if change == "written":
            with path.open("r+b") as file:
                file.write(b"?")
        elif change == "appended":
            with path.open("ab") as file:
                file.write(b"?")
        else:
            (allowed / "new").write_bytes(bytes(600_000))
            os.replace(allowed / "new", path)
    with pytest.raises(SourceChanged, match="SRC006"):
        b"".join(chunks)


def test_an_unchanged_folder_is_not_read_again_and_a_changed_file_is_noticed(
    storage: FolderStorage, allowed: Path, tmp_path: Path
) -> None:
    store = PackageFolderStore(tmp_path / "store", SystemClock())

    def staged() -> tuple[str, int]:
        package = stage(at(allowed / "iris"), storage=storage, store=store, limits=LIMITS, scope="run", log=print)
        return package.digest, package.bytes_copied

    first, copied = staged()
    assert copied == 600_002
    assert staged() == (first, 0)
    path = allowed / "iris/model/config.json"
    before = path.stat()
    path.write_bytes(b"[]")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    changed, copied = staged()
    assert changed != first
    assert copied == 600_002


def test_a_file_of_this_moment_has_no_tag_yet(allowed: Path) -> None:
    storage = FolderStorage([allowed], SystemClock())
    (allowed / "iris/model/new").touch()
    assert listed(storage, allowed / "iris")["model/new"].etag == ""


def test_an_archive_on_a_disk_is_one_object(storage: FolderStorage, allowed: Path) -> None:
    (allowed / "iris.zip").write_bytes(b"PK")
    (allowed / "folder.zip").mkdir()
    (item,) = storage.list(at(allowed / "iris.zip", ""))
    assert (item.key, item.size_bytes) == (str(allowed / "iris.zip").lstrip("/"), 2)
    with pytest.raises(SourceRefused, match="SRC008"):
        list(storage.list(at(allowed / "folder.zip", "")))


def test_folders_that_may_be_read_are_absolute_paths() -> None:
    values = {"file_source_dirs": "/srv/models, /data"}
    assert load_settings(lambda key: values.get(key, "")).file_source_dirs == (Path("/srv/models"), Path("/data"))
    for bad in ("models", "/srv/../etc"):
        with pytest.raises(SettingInvalid, match="SET001"):
            load_settings(lambda key, bad=bad: bad if key == "file_source_dirs" else "")  # type: ignore[misc]


def test_the_installation_gives_folders_for_file_and_a_connection_for_the_rest(allowed: Path) -> None:
    values = {"file_source_dirs": str(allowed)}
    wiring = Wiring(load_settings(lambda key: values.get(key, "")))
    storage = wiring.storage(Scheme.FILE, "airlock_s3")
    assert [item.key.rpartition("/")[2] for item in storage.list(at(allowed / "iris/model/sub"))] == ["文件 1.bin"]
    assert isinstance(wiring.storage(Scheme.S3, "airlock_s3"), S3Storage)
