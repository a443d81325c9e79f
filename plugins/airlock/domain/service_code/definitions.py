"""What the text of a Python module holds, as values: classes, imports, calls, names, and the outline of them all."""

from __future__ import annotations

from dataclasses import dataclass, field

from airlock.domain.service_code.touches import Touch


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of a class.

    Attributes:
        name: Its name.
        line: 1-based.
        column: 1-based.
        required: Positional parameters without a default, `self` included.
        maximum: Most positional arguments; None where it takes any number.
        keywords: Keyword-only parameters without a default.
        decorators: Names of its decorators; the empty text for one that is more than a name.
    """

    name: str
    line: int
    column: int
    required: int
    maximum: int | None
    keywords: tuple[str, ...]
    decorators: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """A class at the top level of a module.

    Attributes:
        name: Its name.
        line: 1-based.
        column: 1-based.
        bases: Dotted names of its bases; the empty text for one that is more than a name.
        methods: Its functions by name; the last one of a name counts.
        assigned: Names that its body gives a value.
        certain: Whether it is defined unconditionally, as it stands.
        fallback: Whether it stands where an exception is caught.
        whole: Whether all of its body could be read.
    """

    name: str
    line: int
    column: int
    bases: tuple[str, ...]
    methods: dict[str, Function]
    assigned: frozenset[str]
    certain: bool
    fallback: bool
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """One module that is imported at the top level.

    Attributes:
        module: Dotted name, without leading dots; may be empty where it is relative.
        level: Number of leading dots.
        names: (name, name it gets here) of `from … import`; None for `import …`.
        alias: Name that the module gets here; empty for the first part of its own.
        line: 1-based.
        column: 1-based.
        certain: Whether it happens whenever the module is imported, and its failure is not caught.
        fallback: Whether it stands where an exception is caught.
        tried: Whether it happens whenever the module is imported, and its failure is caught.
    """

    module: str
    level: int
    names: tuple[tuple[str, str], ...] | None
    alias: str
    line: int
    column: int
    certain: bool
    fallback: bool = False
    tried: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Other:
    """What gives a name a value and is neither a class nor an import.

    Attributes:
        line: 1-based.
        column: 1-based.
        certain: Whether it happens whenever the module is imported.
        fallback: Whether it stands where an exception is caught.
    """

    line: int
    column: int
    certain: bool
    fallback: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a statement at the top level takes a value from.

    Attributes:
        targets: Names that get it; none where it goes elsewhere.
        sources: Names that the value is made of, `lambda` for one of these.
        alias: Whether the value is one of these names and nothing is done with it.
    """

    targets: frozenset[str]
    sources: frozenset[str]
    alias: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call that happens while the module is imported.

    Attributes:
        name: Dotted name of what is called.
        text: The call as it stands.
        line: 1-based.
        column: 1-based.
    """

    name: str
    text: str
    line: int
    column: int


@dataclass(slots=True, kw_only=True)
class Outline:
    """What a module defines, imports and calls at its top level.

    Attributes:
        classes: In the order of the text.
        imports: In the order of the text.
        later: Imports elsewhere, as in functions, and modules that are imported by a function of that purpose.
        calls: In the order of the text.
        names: Other names that the module defines, with each place where it does.
        functions: Those of them that are functions.
        made: In the order of the text.
        used: Names that statements at the top level use.
        mentioned: Every name after a dot or alone, anywhere in the module, as often as it stands there.
        touches: What of its surroundings the module speaks of, with the line and column where it does so first.
    """

    classes: list[Class] = field(default_factory=list)
    imports: list[Import] = field(default_factory=list)
    later: list[Import] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    names: dict[str, list[Other]] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    made: list[Made] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    mentioned: dict[str, int] = field(default_factory=dict)
    touches: dict[Touch, tuple[int, int]] = field(default_factory=dict)
