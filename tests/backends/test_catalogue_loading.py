from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.device import Device
from airlock.errors import SettingInvalid

INCLUDE = Path(__file__).resolve().parents[2] / "include"


@pytest.fixture
def include(tmp_path: Path) -> Path:
    """A copy of the catalogue with one engine."""
    for part in ("runtimes/catalogue/Scikit_Learn", "runtimes/images/constraints/Scikit_Learn"):
        shutil.copytree(INCLUDE / part, tmp_path / part)
    shutil.copytree(INCLUDE / "specs", tmp_path / "specs")
    return tmp_path


def test_the_projects_own_catalogue_loads() -> None:
    catalogue = load_catalogue(INCLUDE)
    files = (INCLUDE / "runtimes" / "catalogue").glob("*/*.yaml")
    assert [(runtime.engine, runtime.name) for runtime in catalogue.runtimes] == sorted(
        (path.parent.name, path.stem) for path in files
    )
    for runtime in catalogue.runtimes:
        assert bool(runtime.constraints) == runtime.available
        assert "#" not in runtime.constraints


def test_a_row_becomes_a_value() -> None:
    runtime = load_catalogue(INCLUDE).find("Scikit_Learn", "python3.6")
    assert runtime is not None
    assert runtime.python == "3.6"
    assert runtime.devices == (Device.CPU,)
    assert runtime.service.base_class == "model_service.python_model_service:XgSklServingBaseService"
    assert "scikit-learn==0.18.1\n" in runtime.constraints
    assert runtime.base_image_digest == ""


def _entry(include: Path) -> Path:
    return include / "runtimes" / "catalogue" / "Scikit_Learn" / "python3.6.yaml"


def _pins(include: Path) -> Path:
    return include / "runtimes" / "images" / "constraints" / "Scikit_Learn" / "python3.6.txt"


def _change(path: Callable[[Path], Path], old: str, new: str) -> Callable[[Path], None]:
    def change(include: Path) -> None:
        text = path(include).read_text()
        assert old in text
        path(include).write_text(text.replace(old, new, 1))

    return change


def _replace_by(text: str) -> Callable[[Path], None]:
    def change(include: Path) -> None:
        _entry(include).write_text(text)

    return change


WRONG: dict[str, tuple[Callable[[Path], None], str]] = {
    "key given twice": (_change(_entry, "default: true", "default: true\ndefault: true"), "given twice"),
    "unknown key": (_change(_entry, "default: true", "default: true\nsurprise: 1"), "surprise"),
    "another name": (_change(_entry, "runtime: python3.6", "runtime: python3.9"), "place must be its key"),
    "no default": (_change(_entry, "default: true", "default: false"), "0 default runtimes"),
    "no mapping": (_replace_by("- a\n- b\n"), "a mapping is expected"),
    "no YAML": (_change(_entry, "default: true", "default: [true"), "while parsing"),
    "object tag": (_change(_entry, "notes: >-", "other: !!python/object/apply:os.system [id]\nnotes: >-"), "could not"),
    "pins missing": (lambda include: _pins(include).unlink(), "No such file"),
    "a pin that is none": (_change(_pins, "scikit-learn==0.18.1", "scikit-learn>=0.18.1"), "no exact pin"),
    "an option among pins": (_change(_pins, "scikit-learn==0.18.1", "--index-url http://x"), "no exact pin"),
    "too large": (_change(_entry, "notes: >-", "notes: >-\n  " + "x" * 300_000), "more than"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_refused_by_name(include: Path, case: str) -> None:
    load_catalogue(include)
    change, reason = WRONG[case]
    change(include)
    with pytest.raises(SettingInvalid) as caught:
        load_catalogue(include)
    assert caught.value.code == "SET011"
    assert "python3.6" in caught.value.message or "sklearn" in caught.value.message
    assert reason in caught.value.message


def test_a_comment_among_the_pins_changes_nothing(include: Path) -> None:
    before = load_catalogue(include).find("Scikit_Learn", "python3.6")
    _pins(include).write_text("# another comment\n\n" + _pins(include).read_text())
    assert load_catalogue(include).find("Scikit_Learn", "python3.6") == before


def test_an_empty_folder_is_no_catalogue(tmp_path: Path) -> None:
    shutil.copytree(INCLUDE / "specs", tmp_path / "specs")
    with pytest.raises(SettingInvalid, match="holds no entry"):
        load_catalogue(tmp_path)
