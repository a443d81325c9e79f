"""What an installer's output says of its failure.

pip and uv end with 1 whatever went wrong; their output is the only place that tells a package that nobody has from an
index that does not answer. The patterns stand in one table, and the test suite holds real outputs of the supported
versions (pip 20 to 26, uv 0.9 and later) against them. A text that fits none is an ordinary build error, never a guess.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Iterable
from dataclasses import dataclass

from airlock.adapters.install_settings import without_credentials
from airlock.domain.catalogue import Runtime
from airlock.domain.findings import shown
from airlock.errors import AirlockError, BackendUnavailable, BuildFailed, RuntimeUnavailable

MAX_REASON_CHARACTERS = 600
_SHOWN_VERSIONS = 6
_LAST_LINES = 15


class Kind(enum.Enum):
    """What went wrong."""

    DISK_FULL = "disk full"
    UNREACHABLE = "unreachable"
    MISSING = "missing"
    CONFLICT = "conflict"
    COMPILE = "compile"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read from an output.

    Attributes:
        kind: What went wrong.
        what: The requirement that it is about, empty where none is named.
        reason: The installer's own reason, in one line.
    """

    kind: Kind
    what: str
    reason: str


#: Kind → patterns over the output with its line breaks. `what` names the requirement, `reason` the installer's reason.
PATTERNS: dict[Kind, tuple[re.Pattern[str], ...]] = {
    kind: tuple(re.compile(pattern, re.MULTILINE) for pattern in patterns)
    for kind, patterns in {
        Kind.DISK_FULL: (r"(?P<reason>.*(?:No space left on device|Disk quota exceeded).*)",),
        # These end an installation; pip's warnings that it tries again do not, see _TRIED_IN_VAIN.
        Kind.UNREACHABLE: (
            r"^ *(?P<reason>ERROR: Could not install packages due to an (?:OSError|EnvironmentError): HTTP.*)",
            r"^ *(?P<reason>ERROR: HTTP error (?:401|403|407|429|5\d\d) .*)",
            r"^ *(?P<reason>pip\._vendor\.(?:urllib3|requests)\.(?:packages\.urllib3\.)?exceptions\.\w+: .*)",
            r"^error: Request failed after .*\n *cause: (?P<reason>.*(?:\n *cause: .*)*)",
            r"^(?:error:| *×) *(?P<reason>Failed to (?:fetch|download).*(?:\n *(?:cause:|[├╰]─▶|│).*)*)",
            r"^ *(?:cause:|[├╰]─▶) (?P<reason>Failed to fetch: .*(?:\n *(?:cause:|[├╰]─▶|│).*)*)",
            r"^ *(?P<reason>error: Failed to extract archive.*)",
            r"(?P<reason>hint: An index URL .* could not be queried due to .*)",
        ),
        Kind.MISSING: (
            r"^ *ERROR: (?P<reason>Package '(?P<what>[^']+)' requires a different Python: .*)",
            r"^ *ERROR: (?P<reason>(?P<what>\S+\.whl) is not a (?:supported|valid) wheel.*)",
            r"^ *ERROR: (?P<reason>Could not find a version that satisfies the requirement (?P<what>.+?) \(from .*)",
            r"^ *ERROR: (?P<reason>No matching distribution found for (?P<what>.+))",
            r"(?P<reason>[Bb]ecause there (?:is|are) no versions? of (?P<what>\S+).*)",
            r"(?P<reason>[Bb]ecause (?P<what>\S+) was not found in the .*)",
            r"(?P<reason>[Bb]ecause (?P<what>\S+) has no (?:usable wheels|wheels with a matching).*)",
            r"(?P<reason>[Bb]ecause only .* (?:is|are) available.*you require (?P<what>\S+?),? .*)",
            r"(?P<reason>[Bb]ecause the current Python version .* does not satisfy .*)",
        ),
        Kind.CONFLICT: (
            r"^ *ERROR: Cannot install (?P<what>.+?) because these package versions have conflicting dependencies"
            r"(?:.*\n)*?The conflict is caused by:\n(?P<reason>(?: +.*\n)+)",
            r"^The conflict is caused by:\n(?P<reason>(?: +.*\n)+)(?:.*\n)*"
            r"ERROR: Cannot install (?P<what>.+?) because these package versions",
            r"^ *ERROR: (?P<reason>ResolutionImpossible.*)",
            r"No solution found when resolving dependencies.*\n *(?:cause:|[├╰]─▶) "
            r"(?P<reason>Because (?P<what>.*)(?:\n .*)*)",
        ),
        Kind.COMPILE: (
            r"^ *ERROR: Failed building wheel for (?P<what>\S+)",
            r"^ *ERROR: Failed to build '(?P<what>[^']+)' when ",
            r"^ *Running setup\.py install for (?P<what>\S+): finished with status 'error'",
            r"^.*Failed to build `(?P<what>[^`]+)`",
            r"Command errored out with exit status \d+",
            r"subprocess-exited-with-error",
            r"metadata-generation-failed",
            r"The build backend returned an error",
        ),
    }.items()
}

#: pip goes on after these, and then says that the package was not found (from versions: none).
_TRIED_IN_VAIN = re.compile(
    r"^.*(?:WARNING: Retrying \(.*(?:after connection broken by|'.*(?:Error|timed out)).*"
    r"|There was a problem confirming the ssl certificate.*"
    r"|The repository located at \S+ is not a trusted or secure host.*)$",
    re.MULTILINE,
)
_NO_VERSION = re.compile(r"\(from versions: none\)|\(from versions: \)")
_VERSIONS = re.compile(r"\(from versions: ([^)]*)\)")
# What a compiler or a build script says, without what the installer says about it.
_COMPILER_SAYS = re.compile(
    r"^\s*(?:(?:fatal )?error: (?!subprocess-exited|failed-wheel|metadata-gen|Failed to build|Command \[?')"
    r"|[A-Za-z_.]*Error: |\S+: fatal error: ).+$",
    re.MULTILINE,
)
_ORDER = (Kind.DISK_FULL, Kind.UNREACHABLE, Kind.MISSING, Kind.CONFLICT, Kind.COMPILE)


def read_failure(lines: Iterable[str]) -> Reading:
    """What an installer's failure was.

    Args:
        lines: Its output, without colours.
    """
    text = without_credentials("\n".join(lines)) + "\n"
    for kind in _ORDER:
        for pattern in PATTERNS[kind]:
            match = pattern.search(text)
            if match is None:
                continue
            groups = match.groupdict()
            if kind is Kind.COMPILE:
                said = _COMPILER_SAYS.findall(text)
                return _reading(kind, groups.get("what"), said[-1] if said else match[0])
            vain = _TRIED_IN_VAIN.search(text)
            if kind is Kind.MISSING and vain is not None and _NO_VERSION.search(text):
                return _reading(Kind.UNREACHABLE, groups.get("what"), vain[0])
            what = groups.get("what")
            if kind is Kind.CONFLICT and what and match[0].startswith("No solution"):
                required = re.search(r"you require ([^\s,]+)", match["reason"])
                what = required[1] if required else None
            return _reading(kind, what, groups.get("reason") or match[0])
    last = [line for line in text.splitlines() if line.strip()][-_LAST_LINES:]
    return Reading(kind=Kind.OTHER, what="", reason="\n".join(shown(line) for line in last))


def _reading(kind: Kind, what: str | None, reason: str) -> Reading:
    plain = re.sub(r"[\s│├╰─▶]+", " ", reason).strip()
    plain = _VERSIONS.sub(_fewer_versions, plain)
    return Reading(kind=kind, what=shown((what or "").strip()), reason=shown_long(plain))


def _fewer_versions(match: re.Match[str]) -> str:
    versions = match[1].split(", ")
    if len(versions) <= _SHOWN_VERSIONS:
        return match[0]
    return f"(from versions: …, {', '.join(versions[-_SHOWN_VERSIONS:])})"


def shown_long(text: str) -> str:
    """Like `shown`, for a reason of several sentences."""
    cut = text if len(text) <= MAX_REASON_CHARACTERS else text[:MAX_REASON_CHARACTERS] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)


def install_error(reading: Reading, runtime: Runtime, layer: str) -> AirlockError:
    """The error of a failed installation.

    Args:
        reading: What was read.
        runtime: The catalogue's row.
        layer: `base` for the runtime's own pins, `dependencies` for the package's.
    """
    own = layer == "base"
    what = reading.what or ("a pin of the runtime" if own else "a dependency")
    if reading.kind is Kind.DISK_FULL:
        return BackendUnavailable("BLD013", f"The disk is full: {reading.reason}", "Make room on the worker.")
    if reading.kind is Kind.UNREACHABLE:
        return BackendUnavailable(
            "BLD009",
            f"The package index did not answer while {what} was looked for: {reading.reason}",
            "Check the network, `[airlock] pip_index_url` and `[airlock] pip_cert`.",
        )
    if reading.kind in (Kind.MISSING, Kind.CONFLICT) and own:
        return RuntimeUnavailable(
            "BLD002",
            f"{runtime} cannot be made here, because {what} cannot be installed: {reading.reason}",
            "Give an index that has it in `[airlock] pip_index_url`, or a folder with its wheel in "
            "`[airlock] pip_find_links`.",
        )
    if reading.kind is Kind.MISSING:
        return BuildFailed(
            "BLD002",
            f"The dependency {what} cannot be installed on Python {runtime.python}: {reading.reason}",
            "Correct its name or version in `dependencies`, or bring it as a wheel in the package.",
        )
    if reading.kind is Kind.CONFLICT:
        return BuildFailed(
            "BLD002",
            f"The dependency {what} does not go with the others or with {runtime}: {reading.reason}",
            "Ask for a version that goes with the runtime's pins, leave it out where the runtime brings it, "
            "or choose another runtime.",
        )
    if reading.kind is Kind.COMPILE:
        return BuildFailed(
            "BLD003",
            f"{what} has no wheel for Python {runtime.python} and cannot be compiled: {reading.reason}",
            "Ask for a version that has a wheel, or bring the wheel in the package; runtimes have no compiler.",
        )
    return BuildFailed(
        "BLD004", f"The {layer} layer of {runtime} cannot be made. The last lines were:\n{reading.reason}", ""
    )
