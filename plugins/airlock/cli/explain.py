"""What a rule is for, on the command line."""

from __future__ import annotations

from airlock.domain.rules import RULES


def explained(code: str) -> str:
    """A rule in a few lines, or an empty text where there is none."""
    rule = RULES.get(code.upper())
    if rule is None:
        return ""
    return (
        f"{rule.code} ({rule.severity}): {rule.title}\n\n  Why: {rule.reason}\n  What to do: {rule.remedy}\n"
        f"  Source: {rule.source}"
    )
