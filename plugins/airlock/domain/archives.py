"""Archives as sources: which objects are one, what they hold, and where in them the package lies.

An archive is taken only where no two readers could see different files in it. What breaks that is no finding of its own
but makes the whole archive unreadable; names, links and devices are findings, so that all of them are told at once.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from airlock.domain.findings import Finding, Findings, Place, Severity, finding, shown
from airlock.domain.model_files import tar_archive, zip_archive
from airlock.domain.model_files.streams import Binary, Unreadable
from airlock.domain.package import MODEL_FOLDER, FetchLimits, check_names

#: What an archive may have beside its files' bytes: headers, directory and padding of each, in bytes.
MEMBER_OVERHEAD_BYTES = 4096


class ArchiveForm(enum.StrEnum):
    """How an archive is written."""

    TAR = "tar"
    TAR_GZ = "tar.gz"
    ZIP = "zip"


_ENDINGS = {".tar": ArchiveForm.TAR, ".tar.gz": ArchiveForm.TAR_GZ, ".tgz": ArchiveForm.TAR_GZ, ".zip": ArchiveForm.ZIP}


def archive_form(name: str) -> ArchiveForm | None:
    """The form that a name's ending stands for, or None."""
    lowered = name.lower()
    return next((form for ending, form in _ENDINGS.items() if lowered.endswith(ending)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveMember:
    """What an archive says of one of its entries.

    Attributes:
        name: Its path as written; a folder's ends with `/`.
        size_bytes: Its length.
        not_a_file: What it is where it is neither a file nor a folder: `a symbolic link`; else empty.
    """

    name: str
    size_bytes: int
    not_a_file: str = ""

    @property
    def path(self) -> str:
        """Its path without the `./` that archives of the present folder have."""
        return self.name[2:] if self.name.startswith("./") else self.name

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.path == "" or self.name.endswith("/")


def walk(form: ArchiveForm, file: Binary, size_bytes: int) -> Iterator[tuple[ArchiveMember, Iterator[bytes]]]:
    """Every entry with its bytes, in the archive's own order, in bounded memory.

    The bytes of an entry must be taken before the next one is asked for; those that are not taken are passed over.

    Args:
        form: How the archive is written.
        file: The archive.
        size_bytes: Its length.

    Raises:
        Unreadable: While it is walked: it is damaged, or two readers could see different files in it.
    """
    if form is ArchiveForm.ZIP:
        for member in zip_archive.Members.of(file, size_bytes).entries:
            told = ArchiveMember(name=member.name, size_bytes=member.size_bytes, not_a_file=member.not_a_file)
            if told.is_folder and member.size_bytes:
                raise Unreadable(f"the folder {shown(member.name)} has bytes of its own")
            yield told, zip_archive.contents(file, member)
        return
    for entry, pieces in tar_archive.walk(file, size_bytes, compressed=form is ArchiveForm.TAR_GZ):
        yield ArchiveMember(name=entry.name, size_bytes=entry.size_bytes, not_a_file=entry.not_a_file), pieces


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """What of an archive is unpacked.

    Attributes:
        paths: Name in the archive → path in the package.
        findings: What was noticed; nothing is unpacked where one is an error.
    """

    paths: Mapping[str, str] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def choose(members: Iterable[ArchiveMember], limits: FetchLimits) -> Chosen:
    """Check everything that an archive says it holds, and find the package in it.

    Args:
        members: Its entries; not more of them are taken than the limits allow.
        limits: How much it may hold.

    Raises:
        Unreadable: While `members` is walked, or a name stands twice.
    """
    findings = Findings(by_file=False)
    files: dict[str, ArchiveMember] = {}
    folders: dict[str, None] = {}
    total = 0
    for count, member in enumerate(members, 1):
        total += member.size_bytes
        if count > limits.max_objects:
            findings.append(finding("PKG009", f"The archive holds more than {limits.max_objects:,} entries."))
            break
        if total > limits.max_package_bytes:
            message = (
                f"The files of the archive have more than {limits.max_package_bytes:,} bytes; "
                f"that is passed with {shown(member.path)}, {member.size_bytes:,} bytes."
            )
            findings.append(finding("PKG008", message))
            break
        if member.not_a_file:
            findings.append(finding("PKG013", f"It is {member.not_a_file}.", place=Place(file=shown(member.path, 300))))
        elif member.is_folder:
            folders[member.path.rstrip("/") if member.path.strip("/") else member.path] = None
        elif member.path in files:
            raise Unreadable(f"{shown(member.path)} stands twice in the archive")
        else:
            files[member.path] = member
    # Those outside of the package too: whoever writes `../x` into an archive means no good with the rest of it.
    findings.extend(check_names(files))
    known = set(findings)
    findings.extend(item for item in check_names(name for name in folders if name) if item not in known)
    top = _top(files)
    chosen = {
        member.name: path[len(top) :] for path, member in files.items() if path.startswith(f"{top}{MODEL_FOLDER}/")
    }
    if not chosen and not len(findings):
        names = ", ".join(shown(path) for path in list(files)[:5])
        holds = f"it holds {names}{'…' if len(files) > 5 else ''}" if names else "it is empty"
        findings.append(finding("PKG001", f"The archive has no folder `model` with files in it: {holds}."))
    if top:
        message = f"The archive's folder {shown(top)} is taken: it alone holds `model/`."
        findings.append(finding("PKG014", message, severity=Severity.INFO))
    if chosen and len(chosen) < len(files):
        message = f"{len(files) - len(chosen)} files outside `model/` are not part of the package."
        findings.append(finding("PKG010", message))
    return Chosen(paths=chosen, findings=tuple(findings))


def _top(files: Iterable[str]) -> str:
    """The one folder at the archive's top that holds `model/`, with its `/`; empty where `model/` is at the top."""
    parts = [path.split("/", 2) for path in files]
    if any(part[0] == MODEL_FOLDER and len(part) > 1 for part in parts):
        return ""
    tops = {part[0] for part in parts if len(part) == 3 and part[1] == MODEL_FOLDER}
    return f"{tops.pop()}/" if len(tops) == 1 else ""
