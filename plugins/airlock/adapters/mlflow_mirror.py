"""A model registry of MLflow as a mirror, by its REST API: nine requests need no client library of ours.

Source: MLflow, REST API, Registered Models and Model Versions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection
from typing import Any

import requests

from airlock.adapters.http_connection import HttpConnection, http_connection
from airlock.domain.findings import shown
from airlock.domain.mirror import VERSION_TAG, MirroredVersion
from airlock.domain.notification import is_receiver
from airlock.errors import MirrorRefused, MirrorUnavailable

#: Seconds until a connection stands, and until the answer begins: a user may wait for it.
TIMEOUT_S = (3.0, 10.0)
MAX_REASON_CHARACTERS = 500
_THERE, _MISSING = "RESOURCE_ALREADY_EXISTS", "RESOURCE_DOES_NOT_EXIST"


class _Told(Exception):
    """MLflow's own refusal, by its code."""

    def __init__(self, status: int, code: str, text: str) -> None:
        super().__init__(status, code, text)
        self.status, self.code, self.text = status, code, text


def _translated(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def wrapper(self: MlflowMirror, *args: Any, **kwargs: Any) -> Any:
        try:
            return method(self, *args, **kwargs)
        except _Told as told:
            kind = MirrorUnavailable if told.status >= 500 or told.status in (408, 429) else MirrorRefused
            raise kind(
                "MIR003",
                f"MLflow answers with HTTP {told.status} {told.code}: {shown(told.text, MAX_REASON_CHARACTERS)}",
                "Look at its log, and at the login of the Connection.",
            ) from None

    return wrapper


class MlflowMirror:
    """An MLflow server that shows what is registered.

    Args:
        connection_id: Id of the Connection: host, port, schema; login and password, or a token as password alone.
        look_up: Gives what the Connection says, each time that it is needed.
    """

    def __init__(self, connection_id: str, look_up: Callable[[str], HttpConnection | None] = http_connection) -> None:
        self._connection_id = connection_id
        self._look_up = look_up

    @_translated
    def keep(self, version: MirroredVersion, number: str, dropped: Collection[str]) -> str:
        """Make MLflow show the version as it is, and tell MLflow's own number of it."""
        name = version.model_name
        kept = self._known(name, number) if number else None
        kept = kept or self._found(name, version.model_version) or self._made(version)
        number = str(kept["version"])
        which = {"name": name, "version": number}
        if (kept.get("description") or "") != version.description:
            self._ask("PATCH", "model-versions/update", {**which, "description": version.description})
        tags = {tag["key"]: tag.get("value", "") for tag in kept.get("tags", ())}
        for key, value in version.tags.items():
            if tags.get(key) != value:
                self._ask("POST", "model-versions/set-tag", {**which, "key": key, "value": value})
        for alias in version.aliases:
            self._ask("POST", "registered-models/alias", {**which, "alias": alias})
        for alias in dropped:
            # It may have been pointed elsewhere since.
            pointed = self._or_none("GET", "registered-models/alias", {"name": name, "alias": alias})
            if pointed and str(pointed["model_version"]["version"]) == number:
                self._ask("DELETE", "registered-models/alias", {"name": name, "alias": alias})
        return number

    @_translated
    def drop(self, model_name: str, number: str) -> None:
        """Delete a version, where it is not gone already. Its model stays: others may have versions there."""
        self._or_none("DELETE", "model-versions/delete", {"name": model_name, "version": number})

    def _known(self, name: str, number: str) -> dict[str, Any] | None:
        found = self._or_none("GET", "model-versions/get", {"name": name, "version": number})
        version: dict[str, Any] | None = found["model_version"] if found else None
        return version

    def _found(self, name: str, model_version: str) -> dict[str, Any] | None:
        # A try that broke off after MLflow had made the version leaves one that only its tag tells.
        found = self._ask(
            "GET",
            "model-versions/search",
            {"filter": f"name = '{name}' AND tags.`{VERSION_TAG}` = '{model_version}'", "max_results": 1},
        )
        versions: list[dict[str, Any]] = found.get("model_versions", [])
        return versions[0] if versions else None

    def _made(self, version: MirroredVersion) -> dict[str, Any]:
        try:
            self._ask("POST", "registered-models/create", {"name": version.model_name})
        except _Told as told:
            if told.code != _THERE:
                raise
        made: dict[str, Any] = self._ask(
            "POST",
            "model-versions/create",
            {
                "name": version.model_name,
                "source": version.source,
                "description": version.description,
                "tags": [{"key": key, "value": value} for key, value in version.tags.items()],
            },
        )["model_version"]
        return made

    def _or_none(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
        try:
            return self._ask(method, path, body)
        except _Told as told:
            # An alias that is not there is a bad request to some releases.
            if told.code == _MISSING or (path == "registered-models/alias" and told.code == "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        server = self._look_up(self._connection_id)
        if server is None or not is_receiver(server.url):
            raise MirrorRefused(
                "MIR001",
                f"The Connection {self._connection_id} of `[airlock] mlflow_connection` names no http(s) address.",
                "Create it with host, port and schema.",
            )
        headers, auth = {}, None
        if server.login:
            auth = (server.login, server.password)
        elif server.password:
            headers["Authorization"] = f"Bearer {server.password}"
        given: dict[str, Any] = {"params": body} if method == "GET" else {"json": body}
        try:
            answer = requests.request(
                method,
                f"{server.url.rstrip('/')}/api/2.0/mlflow/{path}",
                headers=headers,
                auth=auth,
                timeout=TIMEOUT_S,
                # It would carry the login to anywhere.
                allow_redirects=False,
                **given,
            )
            told: Any = answer.json() if answer.content else {}
        except requests.JSONDecodeError:
            told = {"message": answer.text}
        except requests.RequestException as error:
            raise MirrorUnavailable(
                "MIR002",
                f"MLflow behind the Connection {self._connection_id} does not answer ({type(error).__name__}).",
                "Check that it runs.",
            ) from None
        if answer.status_code != requests.codes.ok or not isinstance(told, dict):
            told = told if isinstance(told, dict) else {}
            raise _Told(answer.status_code, str(told.get("error_code", "")), str(told.get("message", "")))
        return told
