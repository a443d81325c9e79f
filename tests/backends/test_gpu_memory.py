"""What `nvidia-smi` says of memory, as it writes it."""

from __future__ import annotations

from pathlib import Path

import pytest

from airlock.adapters.gpu_memory import memory_of_processes, used_by, used_in_all

MIB = 1024 * 1024


def test_the_memory_of_our_processes_is_added_up_over_all_gpus() -> None:
    assert used_by("4242, 512\n17, 9000\n4242, 256\n4243, 1\n", {4242, 4243}) == 769 * MIB


@pytest.mark.parametrize(
    "told", ["", "17, 9000\n", "4242, [N/A]\n", "4242, [Insufficient Permissions]\n", "No devices were found\n", ",\n"]
)
def test_what_says_no_number_of_ours_is_no_figure(told: str) -> None:
    assert used_by(told, {4242}) is None


def test_the_memory_in_use_on_all_gpus_is_added_up() -> None:
    assert used_in_all("1024\n3\n") == 1027 * MIB
    assert used_in_all("[N/A]\n") is None


def test_the_program_itself_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert memory_of_processes({1}) is None
    program = tmp_path / "nvidia-smi"
    program.write_text(
        '#!/bin/sh\n[ "$*" = "--query-compute-apps=pid,used_memory --format=csv,noheader,nounits" ] || exit 9\n'
        "echo '4242, 512'\n"
    )
    program.chmod(0o755)
    assert memory_of_processes({4242}) == 512 * MIB
    program.write_text("#!/bin/sh\nexit 6\n")
    assert memory_of_processes({4242}) is None
