"""The modules that a package brings, as its own code imports them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from airlock.domain.service_code.decoding import NotPython
from airlock.domain.service_code.definitions import Outline
from airlock.domain.service_code.outline import outline_of
from airlock.domain.service_code.reading import read_code

#: Compiled modules count as modules whose content nobody looks at.
_BINARY = (".so", ".pyd", ".pyc")
#: Bytes of code whose outlines are taken; the rest is compiled only.
MAX_OUTLINED_BYTES = 1_000_000


class Sources:
    """The package's modules.

    Args:
        paths: Every path under `model/`.
        read: Gives a file's bytes by its path under `model/`.
        python: The runtime's Python, `X.Y`.
        own_python: The Python that reads it here.
    """

    def __init__(
        self, paths: Collection[str], read: Callable[[str], bytes], python: str, own_python: tuple[int, int]
    ) -> None:
        self.python = python
        self._paths = frozenset(paths)
        self._folders = frozenset(
            path[:index] for path in paths for index, character in enumerate(path) if character == "/"
        )
        self._compiled = frozenset(_without_ending(path) for path in paths if path.endswith(_BINARY))
        self._read = read
        self._own_python = own_python
        self._outlines: dict[str, Outline | None] = {}
        self._by_name: dict[str, dict[str, str]] | None = None
        self._anywhere: dict[str, dict[str, str]] = {}
        self._outlined = 0
        self.refusals: dict[str, NotPython] = {}
        self.unjudged: set[str] = set()

    def outline(self, path: str) -> Outline | None:
        """The outline of a file; None where it has none, which `refusals` and `unjudged` explain."""
        if path not in self._outlines:
            self._outlines[path] = self._read_outline(path)
        return self._outlines[path]

    def _read_outline(self, path: str) -> Outline | None:
        code = self.compile(path, closely=self._outlined < MAX_OUTLINED_BYTES)
        if code is None or code.tree is None:
            return None
        try:
            return outline_of(code.tree)
        except RecursionError:
            return None

    def compile(self, path: str, *, closely: bool) -> Any:
        """Read a file; None where the runtime's Python cannot compile it."""
        data = self._read(path)
        self._outlined += len(data) if closely else 0
        try:
            code = read_code(data, self.python, self._own_python, closely=closely)
        except NotPython as refusal:
            self.refusals[path] = refusal
            return None
        if not code.compiled:
            self.unjudged.add(path)
        return code

    def has(self, module: str, importer: str = "") -> bool:
        """Whether a plain import of that dotted name, or of its first part, is answered by the package."""
        return self.locate(module, importer) is not None

    def locate(self, module: str, importer: str = "") -> str | None:
        """What a plain import finds in the package.

        Args:
            module: Dotted name.
            importer: The importing file; Python 2 looks beside it first.

        Returns:
            A path of a file under `model/`, the empty text for a folder or a compiled module, None for nothing.
        """
        if self.python.startswith("2.") and "/" in importer:
            beside = self._at(f"{importer.rpartition('/')[0]}/{module.replace('.', '/')}")
            if beside is not None:
                return beside
        found = self._at(module.replace(".", "/"))
        if found is None and (module == "model" or module.startswith("model.")) and not self._own_model():
            # The server makes the folder itself importable by its name.
            found = self._at(module.removeprefix("model").removeprefix(".").replace(".", "/"))
        return found

    def is_package_path(self, folders: list[str]) -> bool:
        """Whether each of these folders, one inside the other, has the `__init__.py` that Python 2 asks for."""
        return all(f"{'/'.join(folders[:count])}/__init__.py" in self._paths for count in range(1, len(folders) + 1))

    def relative(self, module: str, level: int, importer: str) -> str | None:
        """What a relative import finds, as `locate` gives it; None also where it reaches out of `model/`."""
        parts = importer.split("/")[:-1]
        if level - 1 > len(parts):
            return None
        folder = parts[: len(parts) - (level - 1)]
        return self._at("/".join([*folder, *module.split(".")] if module else folder))

    def anywhere(self, module: str) -> dict[str, str]:
        """Where in the package modules of that dotted name lie, whether or not an import looks there.

        Args:
            module: Dotted name.

        Returns:
            Path under `model/` without its ending → what is there, as `locate` gives it; the shortest path first.
        """
        if module not in self._anywhere:
            if self._by_name is None:
                self._by_name = self._named_modules()
            end = module.replace(".", "/")
            places = self._by_name.get(end.rpartition("/")[2], {})
            found = [place for place in places if f"/{place}".endswith(f"/{end}")]
            ordered = sorted(found, key=lambda place: (place.count("/"), place))
            self._anywhere[module] = {place: places[place] for place in ordered}
        return self._anywhere[module]

    def _named_modules(self) -> dict[str, dict[str, str]]:
        """Last part of a module's name → its places → what is there."""
        found: dict[str, str] = dict.fromkeys(self._folders, "")
        for path in sorted(self._paths):
            folder, _, name = path.rpartition("/")
            if name == "__init__.py":
                found[folder] = path
            elif name.endswith(".py"):
                place = path.removesuffix(".py")
                found[place] = found.get(place) or path
        for place in self._compiled:
            found.setdefault(place, "")
        by_name: dict[str, dict[str, str]] = {}
        for place, path in found.items():
            by_name.setdefault(place.rpartition("/")[2], {})[place] = path
        return by_name

    def _own_model(self) -> bool:
        return "model" in self._folders or "model.py" in self._paths

    def _at(self, path: str) -> str | None:
        if path == "":
            return ""
        for candidate in (f"{path}/__init__.py", f"{path}.py"):
            if candidate in self._paths:
                return candidate
        return "" if path in self._folders or path in self._compiled else None


def _without_ending(path: str) -> str:
    """A compiled module's path up to the first dot of its name: endings such as `.cpython-37m.so` have several."""
    folder, slash, name = path.rpartition("/")
    return f"{folder}{slash}{name.partition('.')[0]}"
