"""What `make up` makes of its words."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import Any

import pytest

from scripts import bootstrap, local_run
from scripts.local_state import ROOT, LocalError


def made_for(monkeypatch: pytest.MonkeyPatch, *words: str) -> dict[str, Any]:
    """What Airflow would be started with."""
    asked: dict[str, Any] = {}

    def airflow(**given: Any) -> Any:
        asked.update(given)
        raise LocalError("nothing is started here")

    monkeypatch.setattr(local_run, "AirflowLocal", airflow)
    monkeypatch.setattr(bootstrap, "sync_environment", lambda *given: None)
    monkeypatch.setattr(sys, "argv", ["local_run", "up", *words])
    assert local_run.main() == 1
    return asked


def test_the_backend_that_is_asked_for_is_airflows_setting(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert made_for(monkeypatch, "--backend", "docker")["extra_env"] == {"AIRFLOW__AIRLOCK__BACKEND": "docker"}
    assert "WITHOUT ISOLATION" not in "".join(capsys.readouterr())
    assert made_for(monkeypatch, "--backend", "process")["extra_env"] == {"AIRFLOW__AIRLOCK__BACKEND": "process"}
    assert "WITHOUT ISOLATION" in "".join(capsys.readouterr())
    assert made_for(monkeypatch)["extra_env"] is None


@pytest.mark.parametrize("words,has", [(("BACKEND=process",), True), ((), False), (("BACKEND=auto",), False)])
def test_make_hands_the_backend_on(words: tuple[str, ...], has: bool) -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not there")
    told = subprocess.run(["make", "-n", "up", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert ("local_run up --backend process" in " ".join(told.replace('"', "").split())) is has
    assert ("--backend" in told) is has
