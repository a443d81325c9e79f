"""The configuration of a Keras model: its layers, the code that it carries, and the modules that it would import.

Source: Keras, guide "Serialization and saving"; keras/src/saving/serialization_lib.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airlock.domain.model_files.facts import Problem, WrittenBy, listed
from airlock.domain.model_files.streams import OverLimit

KERAS_VERSIONS = "keras_version"
MAX_VALUES = 2_000_000
MAX_LAYERS = 20_000
#: Modules that Keras itself writes.
_OWN = ("keras", "keras_core", "tf_keras", "tensorflow", "builtins")
#: What TFOpLambda may not call by name: files, Python code, and operators past every check.
_NOT_CALLED = ("io.", "raw_ops.", "py_function", "numpy_function", "compat.v1.py_func", "debugging.", "summary.")
#: Parts of Keras whose functions (not classes) do more than make a layer.
_REACHING = ("keras.config", "keras.utils", "keras.saving", "keras.src.utils", "keras.src.saving", "keras.src.backend")


@dataclass(slots=True)
class Layers:
    """What was seen in one or more configurations.

    Attributes:
        names: Class of each layer, in order.
        lambdas: Names of layers that bring Python code.
        bytecodes: How many functions are kept as bytecode.
        foreign: Modules outside of Keras that loading would import.
        custom: Classes that only inference code can know.
        paths: Files that layers load by a path of their own.
        version: Keras's version.
    """

    names: list[str] = field(default_factory=list)
    lambdas: list[str] = field(default_factory=list)
    bytecodes: int = 0
    foreign: list[str] = field(default_factory=list)
    custom: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    version: str = ""

    def read(self, value: Any) -> None:
        """Look through a configuration, however deep.

        Raises:
            OverLimit: It has more values than are looked at.
        """
        waiting, seen = [value], 0
        while waiting:
            value = waiting.pop()
            seen += 1
            if seen > MAX_VALUES:
                raise OverLimit(f"its configuration has more than {MAX_VALUES:,} values")
            if isinstance(value, dict):
                self._object(value)
                waiting += [item for item in value.values() if isinstance(item, (dict, list))]
            elif isinstance(value, list):
                # The first one is looked at first: layers are told in their order.
                waiting += [item for item in reversed(value) if isinstance(item, (dict, list))]

    def _object(self, value: dict[str, Any]) -> None:
        name, config = value.get("class_name"), value.get("config")
        if not isinstance(name, str):
            return
        inner = config if isinstance(config, dict) else {}
        module, registered = value.get("module"), value.get("registered_name")
        # Keras looks a class up as its module and its name with a dot in between, wherever the name has dots itself.
        prefix, _, name = name.rpartition(".")
        if isinstance(module, str) and prefix:
            module = f"{module}.{prefix}"
        label = inner.get("name") if isinstance(inner.get("name"), str) else name
        if name == "Lambda":
            self.lambdas.append(str(label))
        elif name == "__lambda__":
            self.bytecodes += 1
        elif name == "TFOpLambda" and str(inner.get("function")).startswith(_NOT_CALLED):
            self.foreign.append(f"tensorflow.{inner['function']}")
        path = inner.get("filepath") if name == "TFSMLayer" else inner.get("vocabulary")
        if isinstance(path, str):
            self.paths.append(path)
        if isinstance(module, str):
            if module.partition(".")[0] not in _OWN or _reaches(module, name):
                self.foreign.append(f"{module}.{name}")
        elif "module" in value and isinstance(registered, str):
            self.custom.append(registered)
        if len(self.names) < MAX_LAYERS and isinstance(inner.get("name"), str) and name != "DTypePolicy":
            self.names.append(name)

    def versions(self) -> tuple[WrittenBy, ...]:
        """Keras's version, where it is said."""
        return (WrittenBy(library="Keras", version=self.version),) if self.version else ()

    def details(self) -> tuple[tuple[str, str], ...]:
        """The layers in a line."""
        return (("layers", listed(self.names)),) if self.names else ()

    def problems(self) -> list[Problem]:
        """Code in it, and code that it asks for."""
        found = [
            Problem(code="MDL001", message="Loading it runs code: a Lambda layer brings Python code.", value=name)
            for name in sorted(set(self.lambdas))[:20]
        ]
        if self.bytecodes and not self.lambdas:
            message = f"Loading it runs code: {self.bytecodes:,} functions are kept as Python bytecode."
            found.append(Problem(code="MDL001", message=message))
        found += [
            Problem(code="MDL001", message="Loading it imports or calls what is no part of a model.", value=name)
            for name in sorted(set(self.foreign))[:20]
        ]
        found += [
            Problem(code="MDL008", message="A layer of it loads a file by a path of its own.", value=path)
            for path in sorted(set(self.paths))[:20]
        ]
        if self.custom:
            message = f"It uses classes that only inference code can register: {listed(sorted(self.custom))}."
            found.append(Problem(code="MDL007", message=message))
        return found


def _reaches(module: str, name: str) -> bool:
    # A function is written as class "function" with its name as the configuration, so a class has no small letter.
    return (
        name[:1].islower() and name != "function" and f"{module}.".startswith(tuple(f"{each}." for each in _REACHING))
    )
