"""What the forms of batches and sweeps share: every broken rule is noted with its field, and texts are texts."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airlock.domain.findings import Findings, Place


class FormReader:
    """Reads a form and notes what is wrong with it.

    Args:
        form: Its name, for places.
        conf: The DAG run's conf merged over the form's defaults.
        fields: The fields that it has.

    Attributes:
        findings: What is wrong so far.
    """

    def __init__(self, form: str, conf: Mapping[str, Any], fields: Sequence[str]) -> None:
        self._form = form
        self._conf = conf
        self.findings = Findings()
        for key in conf:
            if key not in fields:
                self.broken(
                    "REQ001", str(key), "The form has no such field.", fix=f"Known fields: {', '.join(fields)}."
                )

    def broken(self, code: str, name: str, message: str, value: object = None, fix: str = "") -> None:
        """Note that a field breaks a rule."""
        place = Place(file=self._form, pointer=name)
        self.findings.note(code, message, place=place, value=value, fix=fix)

    def texts(self, names: Collection[str]) -> dict[str, str]:
        """The fields as texts without spaces around them; empty where nothing usable is given."""
        texts: dict[str, str] = {}
        for name in names:
            value = self._conf.get(name) or ""
            if not isinstance(value, str):
                self.broken("REQ003", name, "Text is expected.", value)
                value = ""
            texts[name] = value.strip()
        return texts
