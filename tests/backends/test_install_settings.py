from __future__ import annotations

from pathlib import Path

import pytest

from airlock.adapters.install_settings import InstallSettings, without_credentials
from airlock.errors import SettingInvalid


def test_pips_own_variables_are_used_where_no_setting_is(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificates")
    install = InstallSettings.from_environment({
        "PIP_INDEX_URL": "https://index.corp/simple",
        "PIP_EXTRA_INDEX_URL": "https://one.corp/simple https://two.corp/simple",
        "PIP_FIND_LINKS": f"{tmp_path} https://wheels.corp/",
        "PIP_CERT": str(bundle),
        "PIP_TRUSTED_HOST": "index.corp",
        "PIP_NO_INDEX": "false",
        "https_proxy": "http://proxy.corp:3128",
        "NO_PROXY": "localhost",
    })
    assert install.index_url == "https://index.corp/simple"
    assert install.extra_index_url == ("https://one.corp/simple", "https://two.corp/simple")
    assert install.wheel_folders == (tmp_path,)
    assert install.wheel_pages == ("https://wheels.corp/",)
    assert install.cert == str(bundle)
    assert install.trusted_host == ("index.corp",)
    assert install.no_index is False
    assert (install.http_proxy, install.https_proxy, install.no_proxy) == ("", "http://proxy.corp:3128", "localhost")


def test_a_setting_goes_before_the_variable() -> None:
    install = InstallSettings.from_environment(
        {"PIP_INDEX_URL": "https://variable.corp/simple", "PIP_NO_INDEX": "1"},
        {"pip_index_url": "https://setting.corp/simple", "pip_no_index": ""},
    )
    assert install.index_url == "https://setting.corp/simple"
    assert install.no_index is True


def test_the_certificates_that_pip_would_find_are_found(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("certificates")
    assert InstallSettings.from_environment({"REQUESTS_CA_BUNDLE": str(bundle)}).cert == str(bundle)
    assert InstallSettings.from_environment({"REQUESTS_CA_BUNDLE": str(tmp_path)}).cert == ""


def test_without_index_no_further_index_is_asked_either() -> None:
    install = InstallSettings(extra_index_url=("https://one.corp/simple",), no_index=True)
    assert install.indexes(("https://more.corp/simple",)) == ()


@pytest.mark.parametrize(
    "environ",
    [
        {"PIP_INDEX_URL": "ftp://index.corp"},
        {"PIP_INDEX_URL": "index.corp/simple"},
        {"PIP_EXTRA_INDEX_URL": "https://one.corp two.corp"},
        {"PIP_FIND_LINKS": "wheels"},
        {"PIP_CERT": "/nowhere/ca.pem"},
        {"PIP_NO_INDEX": "maybe"},
    ],
    ids=lambda environ: next(iter(environ.items())),
)
def test_a_value_that_cannot_be_used_is_refused_with_its_key(environ: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match=next(iter(environ)).lower()):
        InstallSettings.from_environment(environ)


def test_no_password_is_shown() -> None:
    install = InstallSettings.from_environment({
        "PIP_INDEX_URL": "https://user:secret@index.corp/simple",
        "PIP_EXTRA_INDEX_URL": "https://token-secret@one.corp/simple",
        "PIP_FIND_LINKS": "https://user:secret@wheels.corp/",
        "HTTPS_PROXY": "http://user:secret@proxy.corp",
    })
    assert "secret" not in repr(install)
    assert without_credentials("see https://user:secret@index.corp/simple/x") == "see https://****@index.corp/simple/x"
    with pytest.raises(SettingInvalid) as caught:
        InstallSettings.from_environment({"PIP_INDEX_URL": "ftp://user:secret@index.corp"})
    assert "secret" not in str(caught.value)
