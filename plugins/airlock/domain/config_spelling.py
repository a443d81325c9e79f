"""The spellings of real configurations: what means one thing is read as that, and told.

Source: Specifications for compiling the model configuration file; the dialect is that of packages in the wild.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from airlock.domain.apis import JSON_TYPE, MULTIPART_TYPE
from airlock.domain.findings import Findings, Place
from airlock.domain.health import spelled_health
from airlock.domain.jsontext import JsonText, pointer_token
from airlock.domain.key_spelling import given, meant_fields

#: Name → what its value is made of.
_TOP_KEYS: dict[str, type] = {
    "model_type": str, "model_algorithm": str, "runtime": str, "swr_location": str, "metrics": dict, "apis": list,
    "dependencies": list, "health": dict,
}  # fmt: skip
_API_KEYS: dict[str, type] = {
    "protocol": str, "url": str, "method": str, "port": int, "request": dict, "response": dict,
}  # fmt: skip
_BODY_KEYS: dict[str, type] = {"Content-type": str, "data": dict}
_API_SPELLINGS = {"procotol": "protocol", "protocal": "protocol", "URL": "url"}
_CONTENT_TYPE_KEY = re.compile(r"content[-_]?type", re.IGNORECASE)
_CONTENT_TYPES = {
    "applicaton/json": JSON_TYPE, "aplication/json": JSON_TYPE, "json": JSON_TYPE, "text/json": JSON_TYPE,
    "multipart/json": MULTIPART_TYPE, "multipart/form_data": MULTIPART_TYPE, "form-data": MULTIPART_TYPE,
    "multipart": MULTIPART_TYPE,
}  # fmt: skip


class Notes:
    """What is noticed in a configuration, each at its place in the text.

    Args:
        text: The parsed text.
        file: What findings call it.

    Attributes:
        findings: In the order in which they were noticed.
        moved: Normalised pointer → pointer in the text, for what was renamed or moved.
    """

    def __init__(self, text: JsonText, file: str) -> None:
        self.findings = Findings(file=file)
        self.moved: dict[str, str] = {}
        self._text = text
        self._file = file

    def place(self, pointer: str) -> Place:
        """The place of a normalised pointer; of its nearest known parent where the pointer has none."""
        original = self.in_text(pointer)
        known = original
        while known and known not in self._text.positions:
            known = known.rpartition("/")[0]
        line, column = self._text.positions.get(known, (0, 0))
        return Place(file=self._file, pointer=original, line=line, column=column)

    def in_text(self, pointer: str) -> str:
        """The pointer in the text of a normalised pointer."""
        prefix = pointer
        while prefix and prefix not in self.moved:
            prefix = prefix.rpartition("/")[0]
        return self.moved[prefix] + pointer[len(prefix) :] if prefix else pointer

    def add(self, code: str, pointer: str, message: str, value: object = None, fix: str = "") -> None:
        """Note a finding at a normalised pointer."""
        self.findings.note(code, message, place=lambda: self.place(pointer), value=value, fix=fix)

    def add_health(self, code: str, pointer: str, message: str, value: object) -> None:
        """Note a finding at a pointer below `health`."""
        self.add(code, f"/health{pointer}", message, value)

    def renamed(self, new: str, old: str, written: str, meant: str) -> None:
        """Note that what stands at `old` in the text is read as what belongs at `new`."""
        self.moved[new] = old
        self.add("CFG012", new, f"`{meant}` is meant.", written)

    def meant(
        self, raw: Mapping[str, Any], at: str, kinds: Mapping[str, type], spellings: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What an object gives under the names that are known, with a word about every key that is none of them.

        Args:
            raw: The object.
            at: Its normalised pointer.
            kinds: Name → what its value is made of.
            spellings: Keys that mean a name whatever their value.
        """
        fields, keys = meant_fields(raw, kinds, spellings)
        for name, key in keys.misspelt.items():
            self.renamed(f"{at}/{name}", f"{self.in_text(at)}/{pointer_token(key)}", key, name)
        for key, fix in keys.unknown.items():
            self.add("CFG011", f"{at}/{pointer_token(key)}", "The field is not known and is read over.", key, fix)
        return fields


def top_fields(raw: dict[str, Any], notes: Notes) -> dict[str, Any]:
    """The configuration's known fields under their right names, without what is empty.

    Args:
        raw: The object of the text.
        notes: Takes what was read over or read as something else.
    """
    value = notes.meant(raw, "", _TOP_KEYS)
    for name in ("model_type", "model_algorithm"):
        # What is mandatory and empty is unusable, not missing.
        if name in raw:
            value.setdefault(name, raw[name])
    return value


def spell_out(value: dict[str, Any], notes: Notes) -> None:
    """Put right how the values of these fields are spelled, down to the bodies of APIs.

    Args:
        value: What `top_fields` gave.
        notes: Takes what was read over or read as something else.
    """
    for name in ("model_type", "model_algorithm", "runtime", "swr_location"):
        if isinstance(value.get(name), str):
            value[name] = value[name].strip()
    if isinstance(value.get("apis"), list):
        value["apis"] = [
            _api_spelled(api, f"/apis/{index}", notes) if isinstance(api, dict) else api
            for index, api in enumerate(value["apis"])
        ]
    if isinstance(value.get("health"), dict):
        value["health"] = spelled_health(value["health"], notes.add_health)


def _api_spelled(raw: dict[str, Any], at: str, notes: Notes) -> dict[str, Any]:
    api = notes.meant(raw, at, _API_KEYS, _API_SPELLINGS)
    for name in ("protocol", "method"):
        if isinstance(api.get(name), str):
            api[name] = api[name].strip().lower() if name == "protocol" else api[name].strip().upper()
    request = api.get("request")
    if isinstance(request, dict) and "response" in request and "response" not in api:
        notes.renamed(f"{at}/response", f"{at}/request/response", "request/response", "response beside request")
        api["response"] = request["response"]
        api["request"] = {key: item for key, item in request.items() if key != "response"}
    for name in ("request", "response"):
        if isinstance(api.get(name), dict):
            api[name] = _body_spelled(api[name], f"{at}/{name}", notes)
    return api


def _body_spelled(raw: dict[str, Any], at: str, notes: Notes) -> dict[str, Any]:
    raw = given(raw)
    # Real files write it in every way.
    written = next((key for key in raw if _CONTENT_TYPE_KEY.fullmatch(key)), "")
    if written and "Content-type" not in raw:
        notes.moved[f"{at}/Content-type"] = f"{notes.in_text(at)}/{pointer_token(written)}"
        raw["Content-type"] = raw.pop(written)
    body = notes.meant(raw, at, _BODY_KEYS)
    if "Content-type" in body:
        body["Content-type"] = _content_type(body["Content-type"], f"{at}/Content-type", notes)
    return body


def _content_type(item: Any, at: str, notes: Notes) -> Any:
    if not isinstance(item, str):
        return item
    written = item.strip().lower().partition(";")[0].strip()
    meant = _CONTENT_TYPES.get(written, written)
    if meant != written:
        notes.add("CFG012", at, f"`{meant}` is meant.", item)
    return meant
