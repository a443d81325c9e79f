"""The import request: the form that a user fills in, checked whole.

Every broken rule is found, each with its field; nothing of the raw form passes this door.

Source: Importing a meta model from OBS, tables 2 and 3 and step 3c.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airlock.domain.dependencies import MAX_GROUPS, Dependency, parse_dependencies
from airlock.domain.device import Device
from airlock.domain.findings import MAX_TOLD, Findings, Place, Severity, by_weight, has_errors
from airlock.domain.request import Changes, Document, ImportRequest, MinimumSpecs
from airlock.domain.smoke import RECORD_ONLY, TOLERANCE
from airlock.domain.source import DEFAULT_CONNECTION, SourceLocation
from airlock.domain.version import VersionNumber
from airlock.domain.web_address import is_web_address
from airlock.errors import RequestRejected

MAX_NAME_CHARACTERS = 64
MAX_LABELS = 5
MAX_LABEL_CHARACTERS = 32
MAX_DESCRIPTION_CHARACTERS = 100
MAX_DOCUMENTS = 3
#: Items of one list of the form that are looked at; no field has room for as many.
MAX_LISTED = 200
DEPLOYMENT_TYPES = ("real-time", "batch", "edge")

# Chinese characters are what the specification names; Han is their script's block range.
NAME_PATTERN = r"[0-9A-Za-z_\-\u3400-\u4dbf\u4e00-\u9fff]{1,64}"
_NAME = re.compile(NAME_PATTERN)
_CONNECTION = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_DOCUMENT_NAME = re.compile(r"[A-Za-z\u3400-\u4dbf\u4e00-\u9fff][^\x00-\x1f<>&'\"!=]{0,47}")
_DESCRIPTION_BANNED = frozenset("!<>=&'\"")
_FORM = "request"

#: Least and greatest value of each minimum specification; CPU in cores, memory in megabytes, the others in devices.
SPEC_LIMITS: dict[str, tuple[float, float]] = {
    "min_cpu": (0.1, 256),
    "min_memory_mb": (64, 2_000_000),
    "min_gpu": (0, 16),
    "min_ascend": (0, 16),
}
STARTUP_TIMEOUT_LIMITS_S = (1, 3600)
DEVICE_TOLERANCE_LIMITS = (0, RECORD_ONLY)

FIELDS = (
    "model_name",
    "model_version",
    "labels",
    "description",
    "source_location",
    "source_connection",
    "config_override",
    "install_type",
    "min_cpu",
    "min_memory_mb",
    "min_gpu",
    "min_ascend",
    "model_docs",
    "dependencies",
    "required_devices",
    "startup_timeout_s",
    "device_tolerance",
    "trust_model_code",
    "bake_model",
    "rebuild",
    "approval",
)

CHANGEABLE = ("description", "labels")


def parse_changes(conf: Mapping[str, Any]) -> Changes:
    """Check changes by the rules of the form. Null leaves a field as it is; an empty text or list empties it.

    Raises:
        RequestRejected: One or more rules are broken; all are listed.
    """
    form = _Form(conf, CHANGEABLE)
    form.unknown_fields()
    changes = Changes(
        description=None if conf.get("description") is None else form.description(),
        labels=None if conf.get("labels") is None else form.labels(),
    )
    form.refuse("the change")
    return changes


def parse_new_dependencies(raw: Any) -> tuple[Dependency, ...]:
    """Check a list of dependencies that replaces a version's own, in the form that config.json has.

    Raises:
        RequestRejected: One or more rules are broken; all are listed.
    """
    form = _Form({"dependencies": raw}, ("dependencies",))
    dependencies = form.dependencies()
    if dependencies is None:
        form.broken("REQ002", "dependencies", "The list of dependencies is missing; an empty one removes them all.")
    form.refuse("the change")
    return dependencies or ()


def parse_source(conf: Mapping[str, Any]) -> tuple[SourceLocation, str]:
    """Check where a package lies.

    Args:
        conf: `source_location`, and `source_connection` or nothing for the default one.

    Returns:
        The location and the Connection's id.

    Raises:
        RequestRejected: One or both break their rules.
    """
    form = _Form(conf, ("source_location", "source_connection"))
    source, connection = form.source(), form.connection()
    form.refuse("the request")
    return source or SourceLocation(bucket="", prefix=""), connection


def parse_request(conf: Mapping[str, Any]) -> ImportRequest:
    """Check the form.

    Args:
        conf: The DAG run's conf merged over the form's defaults. An empty string and null mean "not given".

    Raises:
        RequestRejected: One or more rules are broken; all are listed.
    """
    return _Form(conf).read()


def given_fields(conf: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that say something, as Airflow's own check of the form takes them.

    It knows no null and no empty text as "not given", and no blanks around a text.
    """
    plain = {name: value.strip() if isinstance(value, str) else value for name, value in conf.items()}
    return {name: value for name, value in plain.items() if value is not None and value != ""}


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")


class _Form:
    def __init__(self, conf: Mapping[str, Any], fields: Sequence[str] = FIELDS) -> None:
        self.conf = conf
        self.fields = fields
        self.findings = Findings()

    def unknown_fields(self) -> None:
        message = "The form has no such field."
        unknown = [str(key) for key in self.conf if key not in self.fields]
        # What was meant is looked for where it is told.
        for key in unknown[:MAX_TOLD]:
            meant = difflib.get_close_matches(key, self.fields, n=1)
            fix = f"Did you mean {meant[0]!r}?" if meant else f"Known fields: {', '.join(self.fields)}."
            self.broken("REQ001", key, message, fix=fix)
        if more := unknown[MAX_TOLD:]:
            place = Place(file=_FORM, pointer=more[0])
            self.findings.note("REQ001", message, place=place, count=len(more))

    def refuse(self, subject: str) -> None:
        if has_errors(self.findings):
            raise RequestRejected(subject, by_weight(self.findings))

    def read(self) -> ImportRequest:
        self.unknown_fields()
        name = self._name()
        source = self.source()
        request = ImportRequest(
            model_name=name,
            model_version=self._version(),
            labels=self.labels(),
            description=self.description(),
            source=source or SourceLocation(bucket="", prefix=""),
            source_connection=self.connection(),
            config_override=self._config_override(),
            install_type=self._choices("install_type", DEPLOYMENT_TYPES, "REQ009") or ("real-time",),
            minimum_specs=self._specs(),
            documents=self._documents(),
            dependencies=self.dependencies(),
            required_devices=tuple(
                Device(d) for d in self._choices("required_devices", [d.value for d in Device], "REQ012")
            ),
            startup_timeout_s=self._number("startup_timeout_s", *STARTUP_TIMEOUT_LIMITS_S),
            device_tolerance=self._tolerance(),
            trust_model_code=self._flag("trust_model_code"),
            bake_model=self._flag("bake_model"),
            rebuild=self._flag("rebuild"),
            approval=self._flag("approval"),
        )
        if request.rebuild and request.model_version is None:
            self.broken("REQ002", "model_version", "A rebuild needs the version that it is of.")
        if request.rebuild and request.dependencies is None:
            self.broken("REQ002", "dependencies", "A rebuild needs the dependencies that it is made with.")
        self.refuse("the import request")
        return request

    def broken(self, code: str, name: str, message: str, value: object = None, fix: str = "") -> None:
        self.findings.note(code, message, place=Place(file=_FORM, pointer=name), value=value, fix=fix)

    def _given(self, name: str) -> Any:
        value = self.conf.get(name)
        return None if value == "" else value

    def _text(self, name: str) -> str | None:
        value = self._given(name)
        if value is None or isinstance(value, str):
            return value.strip() if isinstance(value, str) else None
        self.broken("REQ003", name, "Text is expected.", value)
        return None

    def _list(self, name: str, code: str, most: int = MAX_LISTED) -> Sequence[Any]:
        """The items of a list; none, and a finding of this code, where nobody needs as many."""
        value = self._given(name)
        if value is None:
            return ()
        if not isinstance(value, (list, tuple)):
            self.broken("REQ003", name, "A list is expected.", value)
            return ()
        if len(value) > most:
            message = f"The list has {len(value):,} items, at most {most} are looked at."
            self.broken(code, name, message, fix="Write a shorter list.")
            return ()
        return value

    def _name(self) -> str:
        name = self._text("model_name")
        if name is None:
            if self._given("model_name") is None:
                self.broken("REQ002", "model_name", "The model needs a name.")
            return ""
        if not _NAME.fullmatch(name):
            self.broken("REQ004", "model_name", "The name breaks its form.", name)
        return name

    def _version(self) -> str | None:
        version = self._text("model_version")
        if version is not None and VersionNumber.parse(version) is None:
            self.broken("REQ005", "model_version", "The version breaks its form.", version)
        return version

    def labels(self) -> tuple[str, ...]:
        labels = self._list("labels", "REQ006")
        if len(labels) > MAX_LABELS:
            self.broken("REQ006", "labels", f"{len(labels)} labels are given, at most {MAX_LABELS} are kept.")
        for index, label in enumerate(labels):
            if (
                not isinstance(label, str)
                or not 0 < len(label.strip()) <= MAX_LABEL_CHARACTERS
                or not label.isprintable()
            ):
                self.broken("REQ006", f"labels/{index}", _unfit_label(label), label)
        return tuple(dict.fromkeys(label.strip() for label in labels if isinstance(label, str)))

    def description(self) -> str:
        text = self._text("description") or ""
        if len(text) > MAX_DESCRIPTION_CHARACTERS:
            self.broken("REQ007", "description", f"The description has {len(text)} characters.", text)
        elif _DESCRIPTION_BANNED & set(text) or not text.replace("\n", " ").isprintable():
            self.broken("REQ007", "description", "The description holds a character that is not allowed.", text)
        return text

    def source(self) -> SourceLocation | None:
        text = self._text("source_location")
        if text is None:
            if self._given("source_location") is None:
                self.broken("REQ002", "source_location", "The import needs the folder that contains `model/`.")
            return None
        source = SourceLocation.parse(text)
        if source is None:
            self.broken("REQ008", "source_location", "The location cannot be read.", text)
        return source

    def connection(self) -> str:
        text = self._text("source_connection") or DEFAULT_CONNECTION
        if not _CONNECTION.fullmatch(text):
            self.broken("REQ003", "source_connection", "The id of an Airflow Connection is expected.", text)
        return text

    def _config_override(self) -> str | None:
        value = self._given("config_override")
        if value is None or value == {}:
            return None
        if not isinstance(value, Mapping):
            self.broken("REQ003", "config_override", "A JSON object is expected.", value)
            return None
        return json.dumps(value, ensure_ascii=False, indent=2)

    def _choices(self, name: str, allowed: Sequence[str], code: str) -> tuple[str, ...]:
        values = self._list(name, code)
        for index, value in enumerate(values):
            if value not in allowed:
                self.broken(code, f"{name}/{index}", f"Allowed: {', '.join(allowed)}.", value)
        return tuple(dict.fromkeys(value for value in values if value in allowed))

    def _number(self, name: str, least: float, greatest: float) -> float | None:
        value = self._given(name)
        if value is None:
            return None
        if not _is_number(value):
            self.broken("REQ003", name, "A number is expected.", value)
        elif not least <= value <= greatest:
            self.broken("REQ010", name, f"The value must lie from {least} to {greatest}.", value)
        else:
            return float(value)
        return None

    def _tolerance(self) -> float:
        value = self._number("device_tolerance", *DEVICE_TOLERANCE_LIMITS)
        return TOLERANCE if value is None else value

    def _specs(self) -> MinimumSpecs:
        values = {name: self._number(name, *limits) for name, limits in SPEC_LIMITS.items()}
        for name in ("min_memory_mb", "min_gpu", "min_ascend"):
            value = values[name]
            if value is not None and not value.is_integer():
                self.broken("REQ010", name, "A whole number is expected.", value)
        return MinimumSpecs(
            cpu=values["min_cpu"],
            memory_mb=None if values["min_memory_mb"] is None else int(values["min_memory_mb"]),
            gpu=int(values["min_gpu"] or 0),
            ascend=int(values["min_ascend"] or 0),
        )

    def _documents(self) -> tuple[Document, ...]:
        documents: list[Document] = []
        raw = self._list("model_docs", "REQ011")
        if len(raw) > MAX_DOCUMENTS:
            self.broken("REQ011", "model_docs", f"{len(raw)} documents are given, at most {MAX_DOCUMENTS} are kept.")
        for index, item in enumerate(raw):
            place = f"model_docs/{index}"
            if not isinstance(item, Mapping) or set(item) != {"doc_name", "doc_url"}:
                self.broken("REQ011", place, 'An object {"doc_name": …, "doc_url": …} is expected.', item)
                continue
            name, url = item["doc_name"], item["doc_url"]
            if not isinstance(name, str) or not _DOCUMENT_NAME.fullmatch(name) or not name.isprintable():
                self.broken("REQ011", f"{place}/doc_name", "The name breaks its form.", name)
            elif not isinstance(url, str) or not is_web_address(url):
                self.broken(
                    "REQ011", f"{place}/doc_url", "The address is no http(s) URL, or one inside the network.", url
                )
            else:
                documents.append(Document(name=name, url=url))
        return tuple(documents)

    def dependencies(self) -> tuple[Dependency, ...] | None:
        if self._given("dependencies") is None:
            return None
        raw = self._list("dependencies", "DEP001", MAX_GROUPS)
        dependencies, findings = parse_dependencies(
            raw, lambda pointer: Place(file=_FORM, pointer="dependencies" + pointer)
        )
        for each in findings:
            if each.code == "CFG011":
                # Nobody is told the warnings of a form: as in the form itself, what would be lost is refused.
                each = replace(each, code="REQ001", severity=Severity.ERROR)
            self.findings.append(each)
        return dependencies

    def _flag(self, name: str) -> bool:
        value = self._given(name)
        if value is None or isinstance(value, bool):
            return bool(value)
        self.broken("REQ003", name, "true or false is expected.", value)
        return False


def _unfit_label(label: Any) -> str:
    if not isinstance(label, str):
        return "Text is expected."
    if not label.isprintable():
        return "The label holds a character that cannot be seen."
    length = len(label.strip())
    return f"The label has {length} characters, from 1 to {MAX_LABEL_CHARACTERS} are allowed."
