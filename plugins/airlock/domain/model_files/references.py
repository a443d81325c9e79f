"""Files that a model file loads beside itself: each lies in the package, in the model file's own folder or below."""

from __future__ import annotations

from collections.abc import Collection

from airlock.domain.findings import Finding, Place, finding

MAX_TOLD = 10


def check_references(path: str, refers_to: Collection[str], paths: Collection[str]) -> list[Finding]:
    """Compare what a model file refers to with what is there.

    Args:
        path: The model file's path under `model/`.
        refers_to: Names relative to its folder.
        paths: All paths under `model/`.

    Returns:
        MDL008 for each name that leads out of the package, or to no file of it.
    """
    findings = []
    folder = path.rpartition("/")[0]
    for name in refers_to:
        name = name.removeprefix("./")
        if _leads_out(name):
            message = "It refers to a file outside of its folder."
        elif (f"{folder}/{name}" if folder else name) not in paths:
            message = "It refers to a file that is not there."
        else:
            continue
        findings.append(finding("MDL008", message, place=Place(file=f"model/{path}"), value=name))
    return findings[:MAX_TOLD]


def _leads_out(name: str) -> bool:
    # A backslash or a drive is a path on some systems; `.` and empty parts are other spellings of a name.
    return (
        not name.isprintable()
        or any(mark in name for mark in ("\\", ":"))
        or any(part in ("", ".", "..") for part in name.split("/"))
    )
