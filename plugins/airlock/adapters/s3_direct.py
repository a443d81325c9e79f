"""Object storage without Airflow, with the credentials of the environment, a profile or an AIRFLOW_CONN_ variable.

For the command line, which must start fast and runs on machines that have no Airflow.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from airlock.adapters.s3_client import BucketClient
from airlock.adapters.s3_listing import read_listings
from airlock.domain.findings import shown
from airlock.errors import SourceRefused

#: What of a Connection's extra is understood here; anything else would change who asks, or what.
_EXTRA = frozenset({
    "endpoint_url", "region_name", "config_kwargs", "verify", "aws_access_key_id", "aws_secret_access_key",
    "aws_session_token", "profile_name", "service_config",
})  # fmt: skip
#: Regions mean something to Amazon only; elsewhere a signature needs one all the same.
_DEFAULT_REGION = "us-east-1"


class DirectStorage(BucketClient):
    """An S3-compatible storage that is asked as botocore's own tools would.

    Args:
        endpoint_url: Its address; empty for what the environment or the Connection says, or Amazon's own.
        connection_id: Id of an Airflow Connection whose AIRFLOW_CONN_ variable is read; empty for the environment's own
            credentials (AWS_ACCESS_KEY_ID, AWS_PROFILE, …).
    """

    def __init__(self, *, endpoint_url: str = "", connection_id: str = "") -> None:
        who = f"the Connection {connection_id!r}" if connection_id else "the environment"
        super().__init__(who)
        values = connection_from_environment(connection_id) if connection_id else {}
        # botocore asks this variable by itself; what reads the objects does not.
        self._certificates: bool | str | None = values.get("verify", os.environ.get("AWS_CA_BUNDLE") or None)
        try:
            self._session = boto3.session.Session(
                aws_access_key_id=values.get("aws_access_key_id"),
                aws_secret_access_key=values.get("aws_secret_access_key"),
                aws_session_token=values.get("aws_session_token"),
                region_name=values.get("region_name") or os.environ.get("AWS_REGION"),
                profile_name=values.get("profile_name"),
            )
            read_listings(self._session)
            self._connected = self._session.client(
                "s3",
                endpoint_url=endpoint_url or values.get("endpoint_url"),
                region_name=self._session.region_name or _DEFAULT_REGION,
                verify=self._certificates,
                config=Config(**values.get("config_kwargs", {})),
            )
        except (BotoCoreError, TypeError, ValueError) as error:
            raise SourceRefused("SRC005", f"{who} cannot be used: {shown(str(error))}.", "Correct it.") from None

    def _client(self) -> Any:
        return self._connected

    def _verify(self) -> bool | str | None:
        return self._certificates

    def _credentials(self) -> tuple[str, str, str | None]:
        found = self._session.get_credentials()
        frozen = found and found.get_frozen_credentials()
        if not frozen or not frozen.access_key or not frozen.secret_key:
            raise SourceRefused("SRC003", f"No access key and secret key come from {self.who}.", "Write them there.")
        return frozen.access_key, frozen.secret_key, frozen.token


def connection_from_environment(connection_id: str) -> dict[str, Any]:
    """What an AIRFLOW_CONN_ variable says of a storage, in the names of a botocore session.

    Raises:
        SourceRefused: There is no such variable, it is no Connection of type aws, or it asks for what only Airflow's
            own hook does, such as assuming a role.
    """
    name = f"AIRFLOW_CONN_{connection_id.upper()}"
    text = os.environ.get(name, "")
    if not text:
        raise SourceRefused(
            "SRC005",
            f"The variable {name} is not set.",
            "Set it to the Connection as JSON, or use AWS_PROFILE.",
        )
    try:
        kind, login, password, extra = _as_json(text) if text.lstrip().startswith("{") else _as_address(text)
    except ValueError:
        # Not the error itself: it may show a part of the text, and that holds a secret.
        raise SourceRefused(
            "SRC005", f"The variable {name} is no Connection.", "Write it as JSON or as aws://key:secret@/?…."
        ) from None
    if kind not in ("aws", "s3"):
        raise SourceRefused("SRC005", f"The Connection {connection_id!r} is of type {kind!r}.", "Use one of type aws.")
    foreign = sorted(key for key, value in extra.items() if key not in _EXTRA and value not in (None, ""))
    if foreign:
        raise SourceRefused(
            "SRC005",
            f"The Connection {connection_id!r} has {', '.join(map(shown, foreign))}, which only Airflow can use.",
            "Use keys, or an AWS profile.",
        )
    service = extra.pop("service_config", None) or {}
    settings = service.get("s3") if isinstance(service, Mapping) else None
    if isinstance(settings, Mapping) and settings.get("endpoint_url"):
        extra["endpoint_url"] = settings["endpoint_url"]
    if login and password:
        extra = {**extra, "aws_access_key_id": login, "aws_secret_access_key": password}
    return {key: value for key, value in extra.items() if value not in (None, "")}


def _as_json(text: str) -> tuple[str, str, str, dict[str, Any]]:
    value = json.loads(text)
    extra = value.get("extra") or {}
    if isinstance(extra, str):
        extra = json.loads(extra)
    if not isinstance(extra, dict):
        raise ValueError("no object")
    return str(value.get("conn_type", "")), value.get("login") or "", value.get("password") or "", extra


def _as_address(text: str) -> tuple[str, str, str, dict[str, Any]]:
    address = urlsplit(text)
    extra: dict[str, Any] = dict(parse_qsl(address.query, keep_blank_values=True))
    if "__extra__" in extra:
        extra = json.loads(extra["__extra__"])
    for key in ("config_kwargs", "service_config", "verify"):
        if isinstance(extra.get(key), str) and extra[key][:1] in "{tf":
            extra[key] = json.loads(extra[key])
    return address.scheme, unquote(address.username or ""), unquote(address.password or ""), extra
