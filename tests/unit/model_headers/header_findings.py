"""What is read and found in a model file of these bytes."""

from __future__ import annotations

import io

from airlock.domain.model_files.facts import Facts
from airlock.domain.model_files.forms import facts_of
from airlock.domain.model_files.reading import check_model_file


def facts(name: str, data: bytes) -> Facts:
    found = facts_of(name, len(data), io.BytesIO(data))
    assert found is not None
    return found


def codes(name: str, data: bytes, engine: str = "TensorFlow") -> list[str]:
    return sorted({item.code for item in check_model_file(f"model/{name}", len(data), io.BytesIO(data), engine)})


def values(name: str, data: bytes, engine: str = "TensorFlow") -> list[str]:
    return [item.value for item in check_model_file(f"model/{name}", len(data), io.BytesIO(data), engine)]
