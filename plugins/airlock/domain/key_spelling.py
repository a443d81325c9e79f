"""Keys as they are meant: a misspelt one is read as the one known name that it is close to.

Source: the dialect of packages in the wild: one clear meaning is accepted, normalised and told.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_LEAST_RATIO = 0.8
# A shorter word is as close to other words as to itself misspelt: `note` to `not`, `form` to `format`.
_LEAST_LETTERS = 5
_MOST_CHARACTERS = 64
# An object of more keys than that is no list of fields; a file may have tens of thousands, each to be compared.
_MOST_KEYS = 256
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys of one object.

    Attributes:
        named: Known name → the key under which the object has it.
        unknown: Every other key → what to write instead; empty where it is close to nothing.
    """

    named: dict[str, str]
    unknown: dict[str, str]

    @property
    def misspelt(self) -> dict[str, str]:
        """Known name → the key, for those that are spelt otherwise."""
        return {name: key for name, key in self.named.items() if name != key}


def meant_keys(
    raw: Mapping[str, Any],
    known: tuple[str, ...],
    fits: Callable[[str, Any], bool],
    spellings: Mapping[str, str] | None = None,
) -> Keys:
    """Find out which known names the keys of an object mean.

    Args:
        raw: The object.
        known: The names that it may have.
        fits: Whether a value is of the kind that a name takes. A key that is merely close to a name means it only then.
        spellings: Keys that mean a name whatever their value.
    """
    spellings = spellings or {}
    named = {key: key for key in raw if key in known}
    unknown: dict[str, str] = {}
    for key, value in raw.items():
        if key in known:
            continue
        if key in spellings:
            names: tuple[str, ...] = (spellings[key],)
        else:
            names = close_names(key, known) if len(raw) <= _MOST_KEYS else ()
        # The right spelling beside it holds, and so does the first of two wrong ones.
        if len(names) == 1 and names[0] not in named and (key in spellings or fits(names[0], value)):
            named[names[0]] = key
        else:
            unknown[key] = f"Did you mean {' or '.join(map(repr, names))}?" if names else ""
    return Keys(named=named, unknown=unknown)


def meant_fields(
    raw: Mapping[str, Any], kinds: Mapping[str, type], spellings: Mapping[str, str] | None = None
) -> tuple[dict[str, Any], Keys]:
    """What an object gives by the names that it may have, and the keys under which it does.

    Args:
        raw: The object.
        kinds: Name → what its value is made of.
        spellings: Keys that mean a name whatever their value.
    """
    raw = given(raw)
    keys = meant_keys(raw, tuple(kinds), lambda name, value: isinstance(value, kinds[name]), spellings)
    return {name: raw[key] for name, key in keys.named.items()}, keys


def given(raw: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what is empty: null and empty text mean "not given" in many real files."""
    return {key: value for key, value in raw.items() if not is_empty(value)}


def is_empty(value: Any) -> bool:
    """Whether a value is null or text without a visible character."""
    return value is None or (isinstance(value, str) and not value.strip())


def close_names(key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The names that a key is closest to: none where it is close to none, several where it is as close to each."""
    # The pointer of a key is kept with what it names, and no database keeps every character.
    return _closest(key, known) if len(key) <= _MOST_CHARACTERS and key.isprintable() else ()


# A file that misspells a key does it in all its places.
@functools.lru_cache(maxsize=1024)
def _closest(key: str, known: tuple[str, ...]) -> tuple[str, ...]:
    word = _word(key)
    same = tuple(name for name in known if _word(name) == word)
    if same or len(word) < _LEAST_LETTERS:
        return same
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(word)
    ratios = {}
    for name in _of_length(known, len(word)):
        matcher.set_seq1(_word(name))
        if matcher.quick_ratio() >= _LEAST_RATIO:
            ratios[name] = matcher.ratio()
    best = max(ratios.values(), default=0.0)
    return tuple(name for name, ratio in ratios.items() if ratio == best) if best >= _LEAST_RATIO else ()


@functools.lru_cache(maxsize=1024)
def _of_length(known: tuple[str, ...], letters: int) -> tuple[str, ...]:
    """The names that can be close to a word of so many letters; a file may have thousands of keys to compare."""
    lengths = ((name, len(_word(name))) for name in known)
    return tuple(name for name, length in lengths if 2 * min(length, letters) >= _LEAST_RATIO * (length + letters))


def _word(key: str) -> str:
    # Upper case and what stands between words say nothing.
    return _BETWEEN_WORDS.sub("", key).lower()
