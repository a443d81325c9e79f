"""Which names a pickle may import, by engine: exact, enumerated, without a dot in the name."""

from __future__ import annotations

import functools

from airlock.domain.model_files import names_boosting, names_common, names_learning, names_torch, names_transformers
from airlock.domain.model_files.pickle_values import Global


@functools.cache
def allowed_names(engine: str) -> frozenset[Global]:
    """The names that files beside a model of an engine may import.

    Args:
        engine: An engine's name; of an engine without a list of its own, what all lists allow together.
    """
    texts = [names_common.NAMES, names_common.FREE, names_common.REFERRED]
    if engine != "PyTorch":
        # Estimators of one library stand in pipelines of another, where the package lists it as a dependency.
        texts += [names_learning.NAMES, names_learning.FREE, names_learning.REFERRED, names_boosting.NAMES]
    if engine not in ("Scikit_Learn", "XGBoost", "LightGBM", "CatBoost"):
        texts += [names_torch.NAMES, names_torch.FREE, names_torch.REFERRED, names_transformers.NAMES]
    return frozenset(name for text in texts for name in parse_names(text))


def parse_names(text: str) -> frozenset[Global]:
    """The names of a list.

    Args:
        text: Lines of `module: Name Name`; a line that begins with a space goes on with the one before.
    """
    found: set[Global] = set()
    module = ""
    for line in text.splitlines():
        names = line
        if not line.startswith(" "):
            module, _, names = line.partition(":")
        found.update(Global(module, name) for name in names.split())
    return frozenset(found)
