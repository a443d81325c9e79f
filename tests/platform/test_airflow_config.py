"""The local Airflow: secrets for the owner alone, and nothing of another Airflow on the machine."""

from __future__ import annotations

import configparser
import json
import stat
from pathlib import Path

import pytest

from scripts import airflow_config


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "airflow"
    airflow_config.write(home, tmp_path, port=8099, dags_folder=tmp_path, plugins_folder=tmp_path, parallelism=2)
    return home


def read(home: Path) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser()
    parser.read_string((home / "airflow.cfg").read_text(encoding="utf-8"))
    return parser


def test_only_the_owner_can_read_configuration_and_passwords(home: Path) -> None:
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()} == {0o600}


def test_secrets_stay_the_same_at_the_next_start_and_differ_between_installations(home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    before = read(home)
    for place in (home, other):
        airflow_config.write(place, tmp_path, port=8100, dags_folder=tmp_path, plugins_folder=tmp_path, parallelism=2)

    for section, key in (("core", "fernet_key"), ("api_auth", "jwt_secret"), ("api", "secret_key")):
        assert read(home)[section][key] == before[section][key]
        assert read(other)[section][key] != before[section][key]
    passwords = [json.loads(airflow_config.password_file(place).read_text(encoding="utf-8")) for place in (home, other)]
    assert passwords[0] != passwords[1]


def test_the_page_listens_on_the_loopback_interface_and_reports_nothing_home(home: Path) -> None:
    configuration = read(home)

    assert configuration["api"]["host"] == "127.0.0.1"
    assert configuration["usage_data_collection"]["enabled"] == "False"
    assert configuration["core"]["load_examples"] == "False"


def test_another_airflows_settings_stay_out_and_airlocks_own_get_in(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://production/airflow")
    monkeypatch.setenv("AIRFLOW_HOME", "/elsewhere")
    monkeypatch.setenv("AIRFLOW_CONFIG", "/elsewhere/airflow.cfg")
    monkeypatch.setenv("AIRFLOW__AIRLOCK__STORE", "/data/store")
    monkeypatch.setenv("AIRFLOW_CONN_AIRLOCK_S3", "{}")

    env = airflow_config.environment(home, tmp_path, {"AIRFLOW__AIRLOCK__BACKEND": "process"})

    assert "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" not in env
    assert "AIRFLOW_CONFIG" not in env
    assert env["AIRFLOW_HOME"] == str(home)
    assert env["AIRFLOW__AIRLOCK__STORE"] == "/data/store"
    assert env["AIRFLOW__AIRLOCK__REGISTRY_URL"] == f"sqlite:///{tmp_path / 'registry.db'}"
    assert env["AIRFLOW__AIRLOCK__BACKEND"] == "process"
    assert env["AIRFLOW_CONN_AIRLOCK_S3"] == "{}"
