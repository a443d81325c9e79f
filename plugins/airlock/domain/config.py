"""config.json: read strictly for form, leniently for spellings that mean one thing.

Three passes: the text with positions (`jsontext`), the spellings that real files have (`config_spelling`), and the
rules: those that a JSON Schema can say stand in include/specs/config.schema.json, the others here.

Source: Specifications for compiling the model configuration file.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import jsonschema
from referencing import Registry

from airlock.domain.apis import JSON_TYPE, MAX_APIS, MULTIPART_TYPE, Api, Body, SchemaReader, file_fields
from airlock.domain.catalogue import Catalogue
from airlock.domain.config_spelling import Notes, spell_out, top_fields
from airlock.domain.dependencies import MAX_GROUPS, Dependency, parse_dependencies
from airlock.domain.engines import CONFIG_FILE, ENGINES, IMAGE, MODEL_TYPES
from airlock.domain.findings import MAX_TOLD, Finding, Place, by_weight, finding, has_errors, shown
from airlock.domain.health import UNSENDABLE, Health, is_sendable, read_health
from airlock.domain.image_reference import NoReference, parse_reference
from airlock.domain.jsontext import JsonText, JsonTextError, parse_json, pointer_token

METRICS = ("f1", "recall", "precision", "accuracy")
_Item = TypeVar("_Item")
_PORT = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """A configuration that keeps every rule.

    Attributes:
        model_type: The engine, or `Image`.
        model_algorithm: What the model does.
        runtime: The runtime named; None for the engine's default.
        swr_location: Image reference, for `Image` only.
        metrics: Usable metrics by name.
        apis: The declared interface.
        dependencies: What inference code needs beside the runtime.
        health: For `Image` only.
    """

    model_type: str
    model_algorithm: str
    runtime: str | None = None
    swr_location: str | None = None
    metrics: dict[str, float]
    apis: tuple[Api, ...]
    dependencies: tuple[Dependency, ...]
    health: Health | None = None


def parse_config(
    data: bytes, schema: Mapping[str, Any], catalogue: Catalogue, file: str = f"model/{CONFIG_FILE}"
) -> tuple[ModelConfig | None, tuple[Finding, ...]]:
    """Read a configuration.

    Args:
        data: The file's bytes.
        schema: include/specs/config.schema.json.
        catalogue: The known runtimes.
        file: The name that findings point to.

    Returns:
        The configuration, None where a finding is an error; and all findings, errors first.
    """
    try:
        text = parse_json(data)
    except JsonTextError as error:
        code = "CFG004" if error.too_large else "CFG001"
        place = Place(file=file, line=error.line, column=error.column)
        return None, (finding(code, error.message, place=place),)
    reader = _ConfigReader(text, schema, catalogue, file)
    config = reader.read()
    findings = by_weight(reader.findings)
    return (None if has_errors(findings) else config), findings


class _ConfigReader:
    def __init__(self, text: JsonText, schema: Mapping[str, Any], catalogue: Catalogue, file: str) -> None:
        self.text = text
        self.schema = schema
        self.catalogue = catalogue
        self.file = file
        self.notes = Notes(text, file)
        self.findings = self.notes.findings
        #: Top-level fields that are there and unusable: they are not missing.
        self.unusable: set[str] = set()

    def read(self) -> ModelConfig | None:
        for loose, count in _counted(self.text.loosenesses, self.text.loose_count):
            place = Place(file=self.file, line=loose.line, column=loose.column)
            self.findings.note("CFG002", f"A {loose.what} is read over.", place=place, count=count)
        for twice, count in _counted(self.text.duplicates, self.text.duplicate_count):
            place = Place(file=self.file, pointer=twice.pointer, line=twice.line, column=twice.column)
            self.findings.note("CFG003", "The key stands twice with different values.", place=place, count=count)
        if not isinstance(self.text.value, dict):
            self._add("CFG006", "", "The file holds one JSON object.", self.text.value)
            return None
        value = top_fields(self.text.value, self.notes)
        self._leave_out_long_lists(value)
        spell_out(value, self.notes)
        # What breaks the form is told and taken out, so that the rules of the rest are told at the same time.
        self._form(value)
        return self._meaning(value) if "model_type" in value else None

    def _add(self, code: str, pointer: str, message: str, value: object = None, fix: str = "") -> None:
        self.notes.add(code, pointer, message, value, fix)

    def _leave_out_long_lists(self, value: dict[str, Any]) -> None:
        # Before anybody looks at their items, which a schema cannot say.
        for name, most in (("apis", MAX_APIS), ("dependencies", MAX_GROUPS)):
            if isinstance(value.get(name), list) and len(value[name]) > most:
                message = f"`{name}` has {len(value.pop(name)):,} items, at most {most} are taken."
                self._add("CFG004", f"/{name}", message)
                self.unusable.add(name)

    # ── form ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _form(self, value: dict[str, Any]) -> None:
        validator = jsonschema.Draft202012Validator(self.schema, registry=Registry())
        # An error of jsonschema has kilobytes: of each only its path is kept until all of them were found.
        broken = [self._broken(error) for error in validator.iter_errors(value)]
        for path in broken:
            if path:
                self.unusable.add(str(path[0]))
                _take_out(value, path)

    def _broken(self, error: jsonschema.ValidationError) -> tuple[str | int, ...]:
        """Tell an error, and give the path of what breaks the form."""
        path = tuple(error.absolute_path)
        pointer = "".join(f"/{pointer_token(str(part))}" for part in path)
        rule = error.schema.get("x-rule") if isinstance(error.schema, Mapping) else None
        if error.validator == "required":
            required: Any = error.validator_value
            instance: Any = error.instance
            missing = [name for name in required if name not in instance]
            # One error for each name missing; jsonschema reports each by itself and its message names it.
            name = next(name for name in missing if repr(name) in error.message)
            self._add(rule or "CFG005", f"{pointer}/{name}", f"The field `{name}` is missing.")
        else:
            self._add(rule or "CFG006", pointer, _explained(error), error.instance)
        return path

    # ── meaning ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _meaning(self, value: dict[str, Any]) -> ModelConfig | None:
        model_type = value["model_type"]
        if model_type not in MODEL_TYPES:
            meant = difflib.get_close_matches(model_type, MODEL_TYPES, n=1)
            fix = (f"Did you mean {meant[0]!r}? " if meant else "") + f"Engines: {', '.join(MODEL_TYPES)}."
            self._add("CFG007", "/model_type", "No engine has this name.", model_type, fix)
            return None
        self._fits_engine(value, model_type)
        dependencies, findings = parse_dependencies(
            value.get("dependencies", ()), lambda pointer: self.notes.place("/dependencies" + pointer)
        )
        self.findings.extend(findings)
        return ModelConfig(
            model_type=model_type,
            model_algorithm=value.get("model_algorithm", ""),
            runtime=value.get("runtime"),
            swr_location=self._location(value.get("swr_location")),
            metrics=self._metrics(value.get("metrics", {})),
            apis=self._apis(value.get("apis"), model_type),
            dependencies=dependencies,
            health=self._health(value.get("health")),
        )

    def _fits_engine(self, value: dict[str, Any], model_type: str) -> None:
        if model_type == IMAGE:
            for name in ("runtime", "dependencies"):
                if value.get(name):
                    self._add("CFG010", f"/{name}", f"`{name}` does not go with Image.", value[name])
            for name in ("swr_location", "health"):
                if name not in value and name not in self.unusable:
                    self._add("CFG005", f"/{name}", f"Image needs the field `{name}`.")
            return
        for name in ("swr_location", "health"):
            if name in value:
                self._add("CFG010", f"/{name}", f"`{name}` goes with Image only, not with {model_type}.", value[name])
        runtime = value.get("runtime")
        if "runtime" in self.unusable:
            return
        if runtime is None:
            default = self.catalogue.default(model_type)
            if default is not None:
                self._add("CFG014", "", f"The default runtime of {model_type}, {default.name}, is used.")
        elif self.catalogue.find(model_type, runtime) is None:
            fix = self.catalogue.suggestion(model_type, runtime)
            self._add("CFG008", "/runtime", f"{model_type} has no such runtime.", runtime, fix)

    def _metrics(self, raw: Mapping[str, Any]) -> dict[str, float]:
        metrics: dict[str, float] = {}
        for name, value in raw.items():
            at = f"/metrics/{pointer_token(name)}"
            if name not in METRICS:
                self._add("CFG013", at, "The metric is not compared.", name, f"Known metrics: {', '.join(METRICS)}.")
                continue
            try:
                number = math.nan if isinstance(value, bool) else float(value)
            except (TypeError, ValueError, OverflowError):
                number = math.nan
            if math.isfinite(number):
                metrics[name] = number
                if isinstance(value, str):
                    self._add("CFG012", at, "A number is meant, not text.", value)
            else:
                self._add("CFG013", at, "The metric is not a finite number.", value)
        return metrics

    def _apis(self, raw: list[dict[str, Any]] | None, model_type: str) -> tuple[Api, ...]:
        if not raw:
            if "apis" not in self.unusable:
                self._add("API004", "/apis", "No interface is declared.")
            return ()
        if model_type != IMAGE and len(raw) > 1:
            message = f"{len(raw)} APIs are declared; {model_type} serves one."
            self._add("API001", "/apis", message, fix="Keep the one with the URL `/`.")
        apis = tuple(self._api(item, f"/apis/{index}", model_type) for index, item in enumerate(raw))
        first: dict[tuple[str, str, int | None], int] = {}
        for index, api in enumerate(apis):
            same = first.setdefault((api.method, api.url, api.port), index)
            if model_type == IMAGE and same != index:
                self._add("API007", f"/apis/{index}", f"It has the method and the path of /apis/{same}.", api.url)
        return apis

    def _api(self, raw: dict[str, Any], at: str, model_type: str) -> Api:
        url = raw.get("url", "/")
        if model_type != IMAGE and url != "/":
            self._add("API001", f"{at}/url", f"{model_type} answers at `/` only.", url, "Write the URL `/`.")
        elif not is_sendable(url):
            self._add("API001", f"{at}/url", UNSENDABLE, url)
        request = self._body(raw.get("request", {}), f"{at}/request")
        response = self._body(raw.get("response", {}), f"{at}/response")
        engine = ENGINES.get(model_type)
        files = file_fields(request.schema)
        if request.content_type == MULTIPART_TYPE and engine is not None and engine.json_only:
            message = f"{model_type} takes application/json only."
            self._add("API002", f"{at}/request/Content-type", message, MULTIPART_TYPE)
        elif files and request.content_type == JSON_TYPE:
            if engine is not None and engine.json_only:
                self._add("API002", f"{at}/request/data", f"{model_type} takes no uploaded files.", ", ".join(files))
            else:
                message = f"`{MULTIPART_TYPE}` is meant: {shown(files[0])} is a file."
                self._add("CFG012", f"{at}/request/Content-type", message)
                request = Body(content_type=MULTIPART_TYPE, schema=request.schema)
        if response.content_type == MULTIPART_TYPE:
            self._add("CFG012", f"{at}/response/Content-type", f"`{JSON_TYPE}` is meant: the answer is JSON.")
            response = Body(content_type=JSON_TYPE, schema=response.schema)
        return Api(
            protocol=raw.get("protocol", "http"),
            url=url,
            method=raw.get("method", "POST"),
            request=request,
            response=response,
            port=self._port(raw.get("port"), f"{at}/port", model_type),
        )

    def _port(self, raw: Any, at: str, model_type: str) -> int | None:
        if raw is None:
            return None
        if model_type != IMAGE:
            self._add("CFG011", at, f"The port is read over: {model_type} is served on one of its own.", raw)
            return None
        port = int(raw) if isinstance(raw, (int, str)) and _PORT.fullmatch(str(raw)) else 0
        if not 0 < port < 65536:
            self._add("API006", at, "A port is a number from 1 to 65535.", raw)
            return None
        return port

    def _body(self, raw: dict[str, Any], at: str) -> Body:
        schema = None
        if "data" in raw:
            reader = SchemaReader(lambda pointer: self.notes.place(f"{at}/data{pointer}"), self.findings)
            schema = reader.read(raw["data"])
        # The mark for uploaded files is ours; nothing an author writes can set it.
        return Body(content_type=raw.get("Content-type", JSON_TYPE), schema=schema)

    def _location(self, raw: str | None) -> str | None:
        if raw is None:
            return None
        try:
            reference = parse_reference(raw)
        except NoReference as error:
            self._add("CFG015", "/swr_location", f"{error}.", raw)
            return None
        if reference.moves:
            self._add("CFG016", "/swr_location", "The reference names whatever is the latest image.", raw)
        return str(reference)

    def _health(self, raw: Mapping[str, Any] | None) -> Health | None:
        return None if raw is None else read_health(raw, self.notes.add_health)


_TYPE_WORDS = {
    "object": "an object", "array": "a list", "string": "text", "number": "a number", "integer": "a whole number",
    "boolean": "true or false",
}  # fmt: skip


def _counted(kept: Sequence[_Item], count: int) -> Iterator[tuple[_Item, int]]:
    """What the reader of the text has kept, each with how many it stands for: the one beyond the limit for the rest."""
    for number, item in enumerate(kept, 1):
        yield item, count - MAX_TOLD if number > MAX_TOLD else 1


def _take_out(value: Any, path: Sequence[str | int]) -> None:
    """Remove what stands at a path; in a list it becomes an empty object, so that the others keep their places."""
    for part in path[:-1]:
        # An earlier error may have taken out what this one stands in.
        if isinstance(value, dict) and part not in value:
            return
        value = value[part]
    if isinstance(value, list):
        value[int(path[-1])] = {}
    else:
        value.pop(path[-1], None)


def _explained(error: jsonschema.ValidationError) -> str:
    """What a schema error asks for, as a sentence without the value."""
    limit: Any = error.validator_value
    if error.validator == "type":
        names = [limit] if isinstance(limit, str) else limit
        return f"Expected: {' or '.join(_TYPE_WORDS.get(name, name) for name in names)}."
    if error.validator == "enum":
        return f"Allowed: {', '.join(map(str, limit))}."
    if error.validator == "maxLength":
        return f"At most {limit} characters are allowed."
    if error.validator == "pattern" and limit == "^/":
        return "The path begins with `/`."
    return "The value breaks its form."
