"""What keeps the package store small and right: shared files, removal of what no version names, verification."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from airlock.__main__ import main
from airlock.adapters.clock import SystemClock
from airlock.adapters.package_store import PackageFolderStore
from airlock.adapters.registry_schema import open_engine, upgrade
from airlock.adapters.shared_files import MIN_SHARED_BYTES
from airlock.adapters.store_collector import StoreCollector
from airlock.adapters.store_folders import OLD_COPY_S
from airlock.adapters.store_verifier import Problem, StoreVerifier, Verified
from airlock.errors import StoreDamaged
from airlock.ports.package_store import IncomingFile
from tests.fakes.clock import FakeClock
from tests.fakes.package_store import FakeUse

WEIGHTS = os.urandom(MIN_SHARED_BYTES)
FILES = {"model/config.json": b"{}", "model/sub/weights.bin": WEIGHTS}
DAY = 86_400.0


def arriving(data: bytes) -> IncomingFile:
    def read(start: int, stop: int) -> Generator[bytes, None, None]:
        yield data[start:stop]

    return IncomingFile(size_bytes=len(data), read=read)


def stage(store: PackageFolderStore, files: dict[str, bytes] = FILES, listing: str = "a" * 64) -> str:
    arrived = {path: arriving(data) for path, data in files.items()}
    return store.stage(listing, arrived, lambda line: None).manifest.digest()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(time.time())


@pytest.fixture
def store(tmp_path: Path, clock: FakeClock) -> PackageFolderStore:
    return PackageFolderStore(tmp_path / "store", clock)


def collect(
    store: PackageFolderStore,
    clock: FakeClock,
    use: FakeUse | None = None,
    age_s: float = 7 * DAY,
    dry_run: bool = False,
) -> list[tuple[str, str, int]]:
    removed = StoreCollector(store.root, use or FakeUse(), clock).collect(age_s, dry_run=dry_run)
    return [(each.what, each.name, each.size_bytes) for each in removed]


def verify(store: PackageFolderStore, use: FakeUse | None = None, repair: bool = False) -> Verified:
    return StoreVerifier(store.root, use or FakeUse(), SystemClock()).verify(repair=repair, tell=lambda line: None)


def codes(found: Verified) -> list[str]:
    return [problem.code for problem in found.problems]


def spoil(path: Path, data: bytes) -> None:
    path.chmod(0o644)
    path.write_bytes(data)


# ── files that several packages have ─────────────────────────────────────────────────────────────────────────────────


def test_a_file_of_two_packages_is_kept_once(store: PackageFolderStore) -> None:
    first = stage(store)
    second = stage(store, {**FILES, "model/config.json": b"[]"}, "b" * 64)
    paths = [Path(store.folder(digest)) / "model/sub/weights.bin" for digest in (first, second)]
    assert first != second
    assert paths[0].samefile(paths[1])
    assert paths[1].read_bytes() == WEIGHTS
    assert paths[1].stat().st_mode & 0o777 == 0o444
    assert not any(path.name == "config.json" for path in store.folders.files.rglob("*"))


def test_a_shared_file_whose_bytes_the_disk_changed_is_not_taken(store: PackageFolderStore) -> None:
    first = stage(store)
    spoil(Path(store.folder(first)) / "model/sub/weights.bin", bytes(MIN_SHARED_BYTES))
    second = stage(store, {**FILES, "model/config.json": b"[]"}, "b" * 64)
    assert (Path(store.folder(second)) / "model/sub/weights.bin").read_bytes() == WEIGHTS
    third = stage(store, {**FILES, "model/config.json": b"[1]"}, "c" * 64)
    assert (Path(store.folder(third)) / "model/sub/weights.bin").samefile(
        Path(store.folder(second)) / "model/sub/weights.bin"
    )


def test_a_file_system_without_hard_links_keeps_every_copy(
    store: PackageFolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    for listing, config in (("a" * 64, b"{}"), ("b" * 64, b"[]")):
        digest = stage(store, {**FILES, "model/config.json": config}, listing)
        assert (Path(store.folder(digest)) / "model/sub/weights.bin").read_bytes() == WEIGHTS


# ── what no version names ────────────────────────────────────────────────────────────────────────────────────────────


def test_only_packages_that_no_version_names_and_nobody_used_for_long_are_removed(
    store: PackageFolderStore, clock: FakeClock
) -> None:
    named = stage(store, {"model/a": b"named"}, "a" * 64)
    unnamed = stage(store, {"model/a": b"unnamed"}, "b" * 64)
    used = stage(store, {"model/a": b"used"}, "c" * 64)
    clock.sleep(8 * DAY)
    assert store.known("c" * 64) == used
    planned = collect(store, clock, FakeUse(named), dry_run=True)
    assert [each[:2] for each in planned] == [("package", unnamed)]
    assert collect(store, clock, FakeUse(named)) == [*planned, ("listing", "b" * 64, 0)]
    assert not Path(store.folder(unnamed)).exists()
    assert store.known("b" * 64) is None
    assert (store.known("a" * 64), store.known("c" * 64)) == (named, used)
    assert list(store.folders.removed.iterdir()) == []
    assert collect(store, clock, FakeUse(named)) == []
    assert verify(store, FakeUse(named)).problems == []


def test_a_dry_run_changes_nothing(store: PackageFolderStore, clock: FakeClock) -> None:
    stage(store)
    (store.folders.incoming / ("b" * 64)).mkdir()
    clock.sleep(8 * DAY)
    before = sorted((path, path.lstat().st_mtime_ns) for path in store.root.rglob("*") if path.suffix != ".lock")
    assert collect(store, clock, dry_run=True) != []
    after = sorted((path, path.lstat().st_mtime_ns) for path in store.root.rglob("*") if path.suffix != ".lock")
    assert [path for path, _ in after] == [path for path, _ in before]


def test_what_an_import_under_way_uses_is_kept_however_short_the_age(
    store: PackageFolderStore, clock: FakeClock
) -> None:
    began = clock.now()
    clock.sleep(60)
    digest = stage(store)
    clock.sleep(8 * DAY)
    assert collect(store, clock, FakeUse(since=began), age_s=0) == []
    assert Path(store.folder(digest)).is_dir()
    assert [what for what, *_ in collect(store, clock, age_s=0)] == ["package", "listing"]


def test_room_is_counted_once_for_a_shared_file(store: PackageFolderStore, clock: FakeClock) -> None:
    first = stage(store)
    second = stage(store, {**FILES, "model/config.json": b"[]"}, "b" * 64)
    clock.sleep(8 * DAY)
    (kept,) = collect(store, clock, FakeUse(second), dry_run=True)
    assert kept[1] == first
    assert kept[2] < MIN_SHARED_BYTES
    planned = [each for each in collect(store, clock, dry_run=True) if each[0] == "package"]
    assert sorted(each[1] for each in planned) == sorted([first, second])
    assert MIN_SHARED_BYTES <= sum(each[2] for each in planned) < 1.5 * MIN_SHARED_BYTES
    done = collect(store, clock)
    assert [each for each in done if each[0] == "package"] == planned
    assert [each for each in done if each[0] == "file"] == []
    assert [path for path in store.folders.files.rglob("*") if path.is_file()] == []


def test_what_killed_ones_left_is_removed_and_what_is_held_is_not(store: PackageFolderStore, clock: FakeClock) -> None:
    stage(store)
    for name in ("b", "c"):
        (store.folders.incoming / (name * 64)).mkdir()
    (store.folders.removed / "killed").mkdir()
    (store.folders.removed / "damaged-late").mkdir()
    now = clock.now()
    os.utime(store.folders.incoming / ("c" * 64), (now + OLD_COPY_S, now + OLD_COPY_S))
    os.utime(store.folders.removed / "damaged-late", (now + DAY, now + DAY))
    clock.sleep(OLD_COPY_S + 1)
    assert {each[:2] for each in collect(store, clock, FakeUse(), age_s=7 * DAY)} == {
        ("copy", "b" * 64),
        ("remainder", "killed"),
    }


def test_a_store_that_is_not_there_yet_is_clean(store: PackageFolderStore, clock: FakeClock) -> None:
    assert collect(store, clock) == []
    assert verify(store).clean
    assert not store.root.exists()


def test_a_package_that_is_used_while_it_is_about_to_go_stays(store: PackageFolderStore, clock: FakeClock) -> None:
    digest = stage(store)
    clock.sleep(8 * DAY)

    class Waits(FakeClock):
        """An import uses the package after it was found to be old, and before it is taken away."""

        calls = 0

        def now(self) -> float:
            self.calls += 1
            if self.calls == 2:
                assert store.known("a" * 64) == digest
            return clock.now()

    assert collect(store, Waits()) == []
    assert store.known("a" * 64) == digest


def test_removal_beside_imports_leaves_nothing_half_there(tmp_path: Path) -> None:
    root = tmp_path / "store"
    ends = time.monotonic() + 3

    def import_again_and_again(number: int) -> int:
        rounds = 0
        while time.monotonic() < ends:
            # No import is under way as far as the registry knows, so what was just made may be gone at once.
            with suppress(StoreDamaged):
                stage(PackageFolderStore(root, SystemClock()), {"model/a": b"%d" % number}, f"{number:064d}")
                rounds += 1
        return rounds

    removed = 0
    with ThreadPoolExecutor(2) as pool:
        importers = [pool.submit(import_again_and_again, number) for number in range(2)]
        while time.monotonic() < ends:
            removed += len(list(StoreCollector(root, FakeUse(), SystemClock()).collect(0, dry_run=False)))
            assert StoreVerifier(root, FakeUse(), SystemClock()).verify(repair=False, tell=str).problems == []
        assert all(importer.result() > 0 for importer in importers)
    assert removed > 0


# ── whether everything is right ──────────────────────────────────────────────────────────────────────────────────────


def test_a_whole_store_is_clean_and_a_shared_file_is_read_once(store: PackageFolderStore) -> None:
    digests = [stage(store), stage(store, {**FILES, "model/config.json": b"[]"}, "b" * 64)]
    found = verify(store, FakeUse(*digests))
    assert (found.problems, found.packages, found.files, found.clean) == ([], 2, 4, True)
    assert found.bytes == MIN_SHARED_BYTES + 4


def damage_bytes(store: PackageFolderStore, digest: str) -> None:
    spoil(Path(store.folder(digest)) / "model/config.json", b"[]")


def damage_length(store: PackageFolderStore, digest: str) -> None:
    spoil(Path(store.folder(digest)) / "model/config.json", b"{ }")


def damage_missing(store: PackageFolderStore, digest: str) -> None:
    (Path(store.folder(digest)) / "model/config.json").unlink()


def damage_link(store: PackageFolderStore, digest: str) -> None:
    damage_missing(store, digest)
    (Path(store.folder(digest)) / "model/config.json").symlink_to("/etc/hostname")


def damage_more(store: PackageFolderStore, digest: str) -> None:
    (Path(store.folder(digest)) / "model/extra.py").write_bytes(b"import os")


def damage_manifest(store: PackageFolderStore, digest: str) -> None:
    store.folders.manifest_path(digest).write_text("[]")


def damage_folder(store: PackageFolderStore, digest: str) -> None:
    shutil.rmtree(store.folder(digest))


@pytest.mark.parametrize(
    "damage,expected",
    [
        (damage_bytes, {"STO006"}),
        (damage_length, {"STO003"}),
        (damage_missing, {"STO003"}),
        (damage_link, {"STO003"}),
        (damage_more, {"STO007"}),
        (damage_manifest, {"STO002"}),
        (damage_folder, {"STO003", "STO009", "STO001"}),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_a_damaged_package_is_found_and_after_repair_a_new_import_brings_it_back(
    store: PackageFolderStore, damage: Any, expected: set[str]
) -> None:
    digest = stage(store)
    use = FakeUse(digest)
    damage(store, digest)
    found = verify(store, use)
    assert set(codes(found)) == expected
    assert not found.clean
    repaired = verify(store, use, repair=True)
    assert {problem.code for problem in repaired.problems if not problem.repaired} == {"STO001"}
    assert stage(store) == digest
    assert store.read(digest, store.manifest(digest).model_paths()["config.json"], 10) == b"{}"
    assert verify(store, use).problems == []


def test_a_package_whose_manifest_is_gone_gets_it_back_from_its_bytes(store: PackageFolderStore) -> None:
    digest = stage(store)
    store.folders.manifest_path(digest).unlink()
    assert codes(verify(store)) == ["STO008", "STO009"]
    assert verify(store, repair=True).clean
    assert verify(store, FakeUse(digest)).problems == []
    assert store.known("a" * 64) == digest


def test_what_belongs_to_nothing_is_found(store: PackageFolderStore) -> None:
    stage(store)
    (store.root / "notes.txt").touch()
    (store.folders.listings / "notes").touch()
    (store.folders.listings / ("b" * 64 + ".json")).write_text('{"digest": "dead"}')
    (store.folders.listings / ("c" * 64 + ".json")).write_text("half a li")
    pooled = store.folders.pooled("ab" + "0" * 62)
    pooled.parent.mkdir(exist_ok=True)
    pooled.write_bytes(b"other")
    assert sorted(codes(verify(store))) == ["STO006", "STO007", "STO009", "STO009", "STO009"]
    left = [problem for problem in verify(store, repair=True).problems if not problem.repaired]
    assert left == [Problem(code="STO007", path="notes.txt", message="It is no part of the store; remove it by hand.")]
    assert codes(verify(store)) == ["STO007"]


def test_a_package_that_a_version_names_and_the_store_lacks_is_told(store: PackageFolderStore) -> None:
    stage(store)
    (problem,) = verify(store, FakeUse("d" * 64)).problems
    assert (problem.code, problem.path) == ("STO001", f"sha256/{'d' * 64}")


# ── on the command line ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageFolderStore:
    url = f"sqlite:///{tmp_path / 'registry.db'}"
    engine = open_engine(url)
    upgrade(engine)
    engine.dispose()
    monkeypatch.setenv("AIRFLOW__AIRLOCK__STORE", str(tmp_path / "store"))
    monkeypatch.setenv("AIRFLOW__AIRLOCK__REGISTRY_URL", url)
    return PackageFolderStore(tmp_path / "store", SystemClock())


def test_fsck_ends_with_what_it_found(places: PackageFolderStore, capsys: pytest.CaptureFixture[str]) -> None:
    digest = stage(places)
    assert main(["fsck"]) == 0
    assert capsys.readouterr().out == f"clean: 1 packages, 2 files, {MIN_SHARED_BYTES + 2:,} bytes read.\n"
    (Path(places.folder(digest)) / "model/\x1b[2J").write_bytes(b"")
    assert main(["fsck"]) == 1
    text = capsys.readouterr().out
    assert f"STO007 sha256/{digest}/model/\\x1b[2J: It does not belong to the package." in text
    assert main(["fsck", "--format", "json", "--repair"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert (data["clean"], [problem["code"] for problem in data["problems"]]) == (True, ["STO007", "STO009"])


def test_gc_tells_and_then_removes(places: PackageFolderStore, capsys: pytest.CaptureFixture[str]) -> None:
    digest = stage(places)
    assert main(["gc"]) == 0
    assert capsys.readouterr().out == "0 removed, 0 bytes.\n"
    time.sleep(0.05)
    assert main(["gc", "--older-than", "0s", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(f"would remove package {digest}: 1,0")
    assert places.known("a" * 64) == digest
    time.sleep(0.05)
    assert main(["gc", "--older-than", "0s", "--format", "json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [each["what"] for each in data["removed"]] == ["package", "listing"]
    assert places.known("a" * 64) is None


def test_neither_works_without_the_registry(places: PackageFolderStore, capsys: pytest.CaptureFixture[str]) -> None:
    digest = stage(places)
    for command in ("gc", "fsck"):
        assert main([command, "--url", f"sqlite:///{places.root}/../none/registry.db"]) == 2
        assert "REG002" in capsys.readouterr().err
    assert places.known("a" * 64) == digest


def test_an_age_is_a_number_and_a_unit(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["gc", "--older-than", "yesterday"])
    assert caught.value.code == 2
    assert "is no age such as 12h or 7d" in capsys.readouterr().err
