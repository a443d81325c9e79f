"""The environments: made once, from what pip is told about package sources, with a Python that is fit for it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from scripts import bootstrap
from scripts.interpreters import choose_interpreter, version_of
from scripts.local_state import ROOT
from scripts.uv_tool import UvError, pip_settings, uv_environment

# Files that no machine's pip configuration names.
NO_CONFIGURATION = {"HOME": "/nonexistent", "PIP_CONFIG_FILE": os.devnull}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """A lock of one small distribution, cut out of the project's own."""
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    start = text.index("\nidna==") + 1
    entry = text[start : text.index("    # via", start)]
    path = tmp_path / "small.lock"
    path.write_text(entry, encoding="utf-8")
    return path


def test_a_second_call_finds_the_environment_and_does_nothing(tmp_path: Path, lock: Path) -> None:
    told: list[str] = []

    python = bootstrap.sync_environment(tmp_path / "venv", lock, told.append)
    first = list(told)
    told.clear()
    again = bootstrap.sync_environment(tmp_path / "venv", lock, told.append)

    assert [line.split()[0] for line in first] == ["making", "installing"]
    assert told == []
    assert python == again
    assert (tmp_path / "venv").joinpath("lib").exists()
    assert list((tmp_path / "venv").rglob("idna/__init__.py"))


def test_a_changed_lock_is_installed_again(tmp_path: Path, lock: Path) -> None:
    told: list[str] = []
    bootstrap.sync_environment(tmp_path / "venv", lock, told.append)
    told.clear()
    lock.write_text(lock.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")

    bootstrap.sync_environment(tmp_path / "venv", lock, told.append)

    assert [line.split()[0] for line in told] == ["installing"]


def test_an_environment_whose_interpreter_is_gone_is_made_again(tmp_path: Path, lock: Path) -> None:
    venv = tmp_path / "venv"
    bootstrap.sync_environment(venv, lock, lambda line: None)
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").symlink_to("/no/such/python")

    python = bootstrap.sync_environment(venv, lock, lambda line: None)

    assert version_of(python) is not None


def test_a_wrong_hash_is_refused_and_leaves_no_stamp(tmp_path: Path, lock: Path) -> None:
    text = lock.read_text(encoding="utf-8")
    lock.write_text(re.sub("sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, text), encoding="utf-8")

    with pytest.raises(UvError, match=r"(?i)hash"):
        bootstrap.sync_environment(tmp_path / "venv", lock, lambda line: None)

    assert not (tmp_path / "venv" / bootstrap.STAMP).exists()


def test_the_dev_environment_serves_as_the_plain_one() -> None:
    stamp = json.loads((ROOT / ".venv" / bootstrap.STAMP).read_text(encoding="utf-8"))

    assert set(stamp["locks"]) == {"requirements.lock", "requirements-dev.lock"}


def test_the_chosen_interpreter_is_one_that_airflow_runs_on() -> None:
    version = version_of(Path(choose_interpreter().argument))

    assert version is not None
    assert (3, 11) <= version[:2] <= (3, 13)


def test_a_program_that_is_no_python_has_no_version(tmp_path: Path) -> None:
    assert version_of(tmp_path / "missing") is None
    assert version_of(Path("/bin/true")) is None


def test_uv_gets_the_package_sources_that_pip_has() -> None:
    env = uv_environment({
        **NO_CONFIGURATION,
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_EXTRA_INDEX_URL": "https://a.example/simple https://b.example/simple",
        "PIP_FIND_LINKS": "/wheels /more",
        "PIP_CERT": "/etc/company.pem",
        "PIP_TRUSTED_HOST": "mirror.example",
    })

    assert env["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
    assert env["UV_INDEX"] == "https://a.example/simple https://b.example/simple"
    assert env["UV_FIND_LINKS"] == "/wheels,/more"
    assert env["SSL_CERT_FILE"] == "/etc/company.pem"
    assert env["UV_INSECURE_HOST"] == "mirror.example"


def test_what_is_set_for_uv_itself_wins() -> None:
    env = uv_environment({
        **NO_CONFIGURATION,
        "UV_DEFAULT_INDEX": "https://uv.example/simple",
        "PIP_INDEX_URL": "https://pip.example/simple",
        "SSL_CERT_FILE": "/etc/own.pem",
        "PIP_CERT": "/etc/company.pem",
    })

    assert env["UV_DEFAULT_INDEX"] == "https://uv.example/simple"
    assert env["SSL_CERT_FILE"] == "/etc/own.pem"


def test_pip_configuration_files_count_and_variables_win(tmp_path: Path) -> None:
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://file.example/simple\ncert = /file.pem\n[install]\nno-index = true\n")

    settings = pip_settings({"PIP_CONFIG_FILE": str(file), "PIP_CERT": "/variable.pem"})

    assert settings == {"index-url": "https://file.example/simple", "cert": "/variable.pem", "no-index": "true"}


def test_started_programs_do_not_inherit_what_would_bend_their_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("no_proxy", "intranet.example")

    env = bootstrap.clean_environment()

    assert "PYTHONPATH" not in env
    assert "PYTHONDONTWRITEBYTECODE" not in env
    assert env["no_proxy"] == "intranet.example,127.0.0.1,localhost"
