"""Where packages are installed from: the settings of section [airlock], else the plain variables of pip."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from airlock.adapters.settings import Settings
from airlock.errors import SettingInvalid

#: In the order in which pip looks for a company's own certificate authority.
_CERT_VARIABLES = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_TRUE = frozenset({"1", "true", "yes", "on", "y", "t"})
_FALSE = frozenset({"", "0", "false", "no", "off", "n", "f"})
_CREDENTIALS = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s@]+@", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallSettings:
    """Where packages come from. URLs may hold a password: they are left out of `repr`.

    Attributes:
        index_url: The package index, empty for the installer's own default.
        extra_index_url: Further indexes.
        find_links: Folders of wheels, and URLs of pages with links to wheels.
        cert: CA bundle, empty for the system's.
        trusted_host: Hosts whose certificate is not checked.
        no_index: Whether only `find_links` is used.
        http_proxy: Proxy for http URLs.
        https_proxy: Proxy for https URLs.
        no_proxy: Hosts that are reached without a proxy.
    """

    index_url: str = field(default="", repr=False)
    extra_index_url: tuple[str, ...] = field(default=(), repr=False)
    find_links: tuple[str, ...] = field(default=(), repr=False)
    cert: str = ""
    trusted_host: tuple[str, ...] = ()
    no_index: bool = False
    http_proxy: str = field(default="", repr=False)
    https_proxy: str = field(default="", repr=False)
    no_proxy: str = ""

    @classmethod
    def from_settings(cls, settings: Settings, environ: Mapping[str, str] | None = None) -> InstallSettings:
        """The installation's settings, with pip's variables where one is empty.

        Raises:
            SettingInvalid: A value cannot be used.
        """
        overrides = {
            "pip_index_url": settings.pip_index_url,
            "pip_extra_index_url": settings.pip_extra_index_url,
            "pip_find_links": settings.pip_find_links,
            "pip_cert": settings.pip_cert,
            "pip_trusted_host": settings.pip_trusted_host,
            "pip_no_index": "1" if settings.pip_no_index else "",
        }
        return cls.from_environment(os.environ if environ is None else environ, overrides)

    @classmethod
    def from_environment(
        cls, environ: Mapping[str, str], overrides: Mapping[str, str] | None = None
    ) -> InstallSettings:
        """Read the settings.

        Args:
            environ: The process's environment: PIP_INDEX_URL and so on, and the usual proxy variables.
            overrides: Keys of section [airlock], `pip_index_url` and so on; an empty one leaves the variable valid.

        Raises:
            SettingInvalid: A value cannot be used.
        """
        chosen = overrides or {}

        def text(key: str) -> str:
            return (chosen.get(key) or environ.get(key.upper()) or "").strip()

        def proxy(name: str) -> str:
            return environ.get(name) or environ.get(name.upper()) or ""

        cert = text("pip_cert") or next((environ[name] for name in _CERT_VARIABLES if environ.get(name)), "")
        return cls(
            index_url=_url("pip_index_url", text("pip_index_url")),
            extra_index_url=tuple(_url("pip_extra_index_url", url) for url in text("pip_extra_index_url").split()),
            find_links=tuple(_link(link) for link in text("pip_find_links").split()),
            cert=_file("pip_cert", cert),
            trusted_host=tuple(text("pip_trusted_host").split()),
            no_index=_flag("pip_no_index", text("pip_no_index")),
            http_proxy=proxy("http_proxy"),
            https_proxy=proxy("https_proxy"),
            no_proxy=proxy("no_proxy"),
        )

    @property
    def wheel_folders(self) -> tuple[Path, ...]:
        """The folders among `find_links`."""
        return tuple(Path(link) for link in self.find_links if "://" not in link)

    @property
    def wheel_pages(self) -> tuple[str, ...]:
        """The URLs among `find_links`."""
        return tuple(link for link in self.find_links if "://" in link)

    def indexes(self, more: tuple[str, ...] = ()) -> tuple[str, ...]:
        """The further indexes, and `more`; none where no index is to be used."""
        return () if self.no_index else (*self.extra_index_url, *more)


def without_credentials(text: str) -> str:
    """The text with user names and passwords in URLs struck out."""
    return _CREDENTIALS.sub(r"\g<scheme>****@", text)


def _url(key: str, url: str) -> str:
    if url and urlsplit(url).scheme not in ("http", "https", "file"):
        raise SettingInvalid(
            "SET010", f"`[airlock] {key}` is {without_credentials(url)!r}.", "Write an http, https or file URL."
        )
    return url


def _link(link: str) -> str:
    if link.startswith("file://"):
        link = urlsplit(link).path
    if "://" in link:
        return _url("pip_find_links", link)
    # Airflow starts its children in folders of its own, so that a relative path would mean another place for each.
    folder = Path(link).expanduser()
    if not folder.is_absolute():
        raise SettingInvalid("SET010", f"`[airlock] pip_find_links` names {link!r}.", "Write an absolute path.")
    return str(folder)


def _file(key: str, path: str) -> str:
    # pip also takes a folder of hashed certificates; nothing but one file can be handed to a container build.
    if path and Path(path).is_dir():
        return ""
    if path and not Path(path).is_file():
        raise SettingInvalid("SET010", f"`[airlock] {key}` is {path!r}, and there is no such file.", "Write its path.")
    return path


def _flag(key: str, text: str) -> bool:
    if text.lower() not in _TRUE | _FALSE:
        raise SettingInvalid("SET010", f"`[airlock] {key}` is {text!r}.", "Write true or false.")
    return text.lower() in _TRUE
