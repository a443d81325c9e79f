"""Write docs/rules.md from the table of rules: `python -m scripts.rules_doc`."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "rules.md"

FAMILIES = {
    "PKG": "The package's files",
    "CFG": "config.json",
    "API": "The declared interface",
    "DEP": "Dependencies",
    "SVC": "Inference code",
    "MDL": "Model files",
    "DET": "Engine and runtime",
    "REQ": "The import request",
}

HEAD = """\
# Rules

Written by `python -m scripts.rules_doc` from `plugins/airlock/domain/rules.py`; change it there.

Every broken rule of a package is reported at once, with its place and what to do. An error refuses the package, a
warning is told and kept on record, an info explains what was assumed. `python -m airlock check PATH` applies the rules
to a folder of this machine or of object storage before it is imported ([checking.md](checking.md));
`python -m airlock check --explain CODE` shows one of them.
"""


def render() -> str:
    """The page's text."""
    sys.path.insert(0, str(ROOT / "plugins"))
    try:
        from airlock.domain.rules import RULES
    finally:
        sys.path.remove(str(ROOT / "plugins"))
    parts = [HEAD]
    for family, title in FAMILIES.items():
        parts.append(f"\n## {title}\n")
        for code, rule in RULES.items():
            if code.startswith(family):
                parts.append(
                    f"\n### {code}: {rule.title}\n\n"
                    f"{rule.severity.capitalize()}. {rule.reason}\n\n"
                    f"What to do: {rule.remedy}\n\n"
                    f"Source: {rule.source}.\n"
                )
    return "".join(parts)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
