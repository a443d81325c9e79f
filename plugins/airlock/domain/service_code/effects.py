"""What inference code does to its surroundings while it is merely imported.

Source: Airlock: what comes from outside is hostile.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from airlock.domain.findings import Finding, Place, finding
from airlock.domain.service_code.definitions import Call, Import, Outline

_MODE = re.compile(r""",\s*(?:mode\s*=\s*)?["']([rwaxbtU+]+)["']""")
#: Dotted name, or its beginning with a final dot → what it does.
_EFFECTS = {
    "os.system": "starts a process", "os.popen": "starts a process", "os.exec": "starts a process",
    "os.spawn": "starts a process", "os.fork": "starts a process", "os.startfile": "starts a process",
    "subprocess.": "starts a process", "commands.": "starts a process", "pip.": "installs packages",
    "pty.spawn": "starts a process", "multiprocessing.Process": "starts a process",
    "multiprocessing.Pool": "starts a process",
    "urllib.urlopen": "reaches for the network", "urllib.urlretrieve": "reaches for the network",
    "urllib.request.": "reaches for the network", "urllib2.": "reaches for the network",
    "requests.": "reaches for the network", "socket.": "reaches for the network", "httplib.": "reaches for the network",
    "http.client.": "reaches for the network", "ftplib.": "reaches for the network", "wget.": "reaches for the network",
    "boto3.": "reaches for the network", "smtplib.": "reaches for the network",
    "nltk.download": "reaches for the network",
    "os.remove": "changes files", "os.unlink": "changes files", "os.rename": "changes files",
    "os.replace": "changes files", "os.rmdir": "changes files", "os.removedirs": "changes files",
    "os.mkdir": "changes files", "os.makedirs": "changes files", "os.chmod": "changes files",
    "os.symlink": "changes files", "shutil.": "changes files",
    "sys.exit": "ends the process", "os._exit": "ends the process", "os.kill": "ends a process",
    "exit": "ends the process", "quit": "ends the process", "os.abort": "ends the process",
    "input": "waits for a user", "raw_input": "waits for a user",
}  # fmt: skip


def check_effects(path: str, outline: Outline) -> Iterator[Finding]:
    """Judge what one file calls at its top level.

    Args:
        path: The file, under `model/`.
        outline: Its outline.

    Yields:
        SVC009.
    """
    meant = _meant(outline.imports)
    for call in outline.calls:
        name = _full_name(call.name, meant)
        what = "writes a file" if name in ("open", "io.open", "codecs.open") and _writes(call) else _effect(name)
        if what:
            place = Place(file=f"model/{path}", line=call.line, column=call.column)
            yield finding("SVC009", f"Importing the module {what}: `{name}` is called.", place=place, value=call.text)


def _meant(imports: list[Import]) -> dict[str, str]:
    """Name in the module → what it stands for."""
    meant = {}
    for item in imports:
        if item.level:
            continue
        if item.names is None:
            if item.alias:
                meant[item.alias] = item.module
        else:
            meant.update({here: f"{item.module}.{name}" for name, here in item.names})
    return meant


def _full_name(name: str, meant: dict[str, str]) -> str:
    first, dot, rest = name.partition(".")
    return meant.get(first, first) + dot + rest


def _effect(name: str) -> str:
    for beginning, what in _EFFECTS.items():
        if name == beginning or (beginning.endswith(".") and name.startswith(beginning)):
            return what
        if beginning in ("os.exec", "os.spawn") and name.startswith(beginning):
            return what
    return ""


def _writes(call: Call) -> bool:
    mode = _MODE.search(call.text)
    return mode is not None and any(letter in "wax+" for letter in mode[1])
