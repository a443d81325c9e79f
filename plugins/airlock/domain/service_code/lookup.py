"""What an import of inference code finds, and how far that can be told without running the code.

Source: Specifications for compiling model inference code; the catalogue's pins, which are complete.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from dataclasses import dataclass
from functools import cached_property

from airlock.domain.engines import SERVICE_FILE
from airlock.domain.service_code.definitions import Import
from airlock.domain.service_code.module_names import SERVING_MODULES, is_standard
from airlock.domain.service_code.sources import Sources
from airlock.domain.service_code.touches import Touch

#: Loaded by the server before it imports the package's code, so that no file of the package replaces it.
SERVER = "model_service"
#: What else the serving code brings.
_OF_SERVING = frozenset({SERVER, *(module.partition(".")[0] for module in SERVING_MODULES)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What is there beside the package.

    Attributes:
        runtime: The runtime, as users know it.
        modules: Top-level modules of its distributions, in lower case.
        wanted: Top-level modules of the package's dependencies, in lower case, as far as their names tell.
        open: Whether the package has dependencies, which may bring modules of any name.
    """

    runtime: str
    modules: Set[str]
    wanted: Set[str]
    open: bool


class Lookup:
    """Finds modules as imports of the package's code do.

    Args:
        sources: The package's modules.
        around: What is there beside them.
    """

    def __init__(self, sources: Sources, around: Surroundings) -> None:
        self.sources = sources
        self.around = around

    def find(self, module: str, level: int, importer: str) -> str | None:
        """What an import finds in the package.

        Args:
            module: Dotted name, without leading dots.
            level: Number of leading dots.
            importer: The importing file.

        Returns:
            A path of a file under `model/`; the empty text for what nobody can look into, or of which only running the
            code tells which it is; None for nothing.
        """
        found = self._beside(module, level, importer)
        top = module.partition(".")[0]
        if found is not None or level or self.is_known(top) or self.sources.has(top, importer) or not self.touches:
            return found
        places = self.sources.anywhere(module)
        files = [path for path in places.values() if path]
        # A dependency may bring a module of that name, which may come first.
        if len(files) == 1 and not self.around.open:
            return files[0]
        return "" if places else None

    def _beside(self, module: str, level: int, importer: str) -> str | None:
        if level:
            return self.sources.relative(module, level, importer)
        return None if module.partition(".")[0] == SERVER else self.sources.locate(module, importer)

    def is_known(self, module: str) -> bool:
        """Whether a plain import is answered by the serving code, the Python, the runtime or a named dependency."""
        top = module.partition(".")[0]
        known = top in _OF_SERVING or is_standard(top, self.sources.python)
        return known or top.lower() in self.around.modules or top.lower() in self.around.wanted

    def may_be_derived(self, module: str, level: int, importer: str) -> bool:
        """Whether classes of a module that `find` does not find may be derived from classes of the serving code.

        Those of the standard library and of the runtime's distributions are not.
        """
        top = module.partition(".")[0]
        if level:
            return True
        if top == SERVER or is_standard(top, self.sources.python) or top.lower() in self.around.modules:
            return False
        return self.around.open or bool(self.touches) or self.sources.has(top, importer)

    def imported_files(self, path: str, imports: list[Import]) -> Iterator[str]:
        """The package's own files that these imports of a file run, as far as they certainly happen."""
        for item in imports:
            if item.certain:
                for module in _modules(item):
                    found = self.find(module, item.level, path)
                    if found:
                        yield found

    @cached_property
    def touches(self) -> frozenset[Touch]:
        """What the code that may run at the start does to imports."""
        return frozenset().union(*self._touching.values())

    def touched_later(self, path: str, item: Import) -> int:
        """The line where code first changes what imports find, where that is below an import of the same file.

        Args:
            path: The file.
            item: Its import.

        Returns:
            The line; 0 where it may be changed before, or nobody changes it.
        """
        outline = self.sources.outline(path)
        # Nobody follows in which order files run: of several that change it, any may be the first one.
        if outline is None or list(self._touching) != [path]:
            return 0
        first = min(at for touch, at in outline.touches.items() if touch is not Touch.NAMES)
        return first[0] if first > (item.line, item.column) else 0

    @cached_property
    def _touching(self) -> dict[str, frozenset[Touch]]:
        """The files that do something to imports when they run, or in a function, and what they do.

        Any file counts that an import may lead to, be it in a function; what cannot be read may do anything.
        """
        found: dict[str, frozenset[Touch]] = {}
        met = {SERVICE_FILE}
        unanswered: set[str] = set()
        pending = [SERVICE_FILE]
        while pending:
            path = pending.pop()
            outline = self.sources.outline(path)
            if outline is None:
                if path not in self.sources.refusals:
                    found[path] = frozenset({Touch.PATH, Touch.MODULES})
                continue
            touched = frozenset(outline.touches) - {Touch.NAMES}
            if touched:
                found[path] = touched
            for item in (*outline.imports, *outline.later):
                for module in _modules(item):
                    answer = self._beside(module, item.level, path)
                    if answer is None and not item.level and not self.is_known(module):
                        unanswered.add(module)
                    if answer and answer not in met:
                        met.add(answer)
                        pending.append(answer)
            if found and not pending:
                places = [place for module in sorted(unanswered) for place in self.sources.anywhere(module).values()]
                new = [place for place in dict.fromkeys(places) if place and place not in met]
                met.update(new)
                pending += new
        return found


def _modules(item: Import) -> Iterator[str]:
    """Every module that an import may run: `a.b` runs `a` first, and `from a import b` may run `a.b`."""
    parts = item.module.split(".") if item.module else []
    for count in range(1, len(parts) + 1):
        yield ".".join(parts[:count])
    for name, _ in item.names or ():
        if name != "*":
            yield ".".join([*parts, name])
