"""scripts/pin_runtimes.py: reading, rendering, staleness, and how it asks the resolver."""

import dataclasses
import stat
from pathlib import Path

import pytest

from scripts import pin_runtimes
from scripts.pin_runtimes import Entry, PinError

ENTRY = Entry(
    engine="PyTorch",
    runtime="torch9-python3.11-cpu",
    python="3.11",
    requirements=("torch==9.0+cpu", "numpy==2.0"),
    serving=("gunicorn==27.0.1", "Werkzeug==3.1.9"),
    extra_index_urls=("https://example.org/whl/cpu",),
    exclude_newer="2026-11-22",
)
PINS = {"torch": "9.0+cpu", "numpy": "2.0", "gunicorn": "27.0.1", "werkzeug": "3.1.9", "sympy": "1.14.0"}


def fake_uv(folder: Path, script: str) -> str:
    """Make a program that stands in for uv and keeps its arguments, one call per line."""
    path = folder / "uv"
    path.write_text(f'#!/bin/sh\necho "$@" >> {folder}/calls\n{script}\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("line", ["numpy", "numpy>=2", "numpy==2.*", "-r other.txt", "numpy==2.0 ; python_version<'3'"])
def test_a_line_that_is_no_exact_pin_is_refused(line):
    with pytest.raises(PinError, match="no exact pin"):
        pin_runtimes.parse_pins(f"six==1.0\n{line}\n")


def test_a_name_that_is_pinned_twice_under_two_spellings_is_refused():
    with pytest.raises(PinError, match="typing-extensions is pinned twice"):
        pin_runtimes.parse_pins("typing_extensions==4.0\nTyping.Extensions==4.1\n")


def test_the_same_entry_and_pins_give_the_same_text_in_whatever_order_they_come():
    assert pin_runtimes.render(ENTRY, PINS) == pin_runtimes.render(ENTRY, dict(reversed(PINS.items())))


def test_a_rendered_file_is_up_to_date():
    assert pin_runtimes.find_problems(ENTRY, pin_runtimes.render(ENTRY, PINS)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"python": "3.12"},
        {"exclude_newer": "2026-12-01"},
        {"serving": ("gunicorn==27.0.1", "Werkzeug==3.1.9", "six==1.0")},
        {"extra_index_urls": ()},
    ],
)
def test_an_entry_that_changed_makes_its_file_stale(change):
    problems = pin_runtimes.find_problems(dataclasses.replace(ENTRY, **change), pin_runtimes.render(ENTRY, PINS))
    assert "the entry has changed since the file was written" in problems


def test_a_pin_that_differs_from_the_entry_is_named():
    changed = dataclasses.replace(ENTRY, requirements=("torch==9.1+cpu", "numpy==2.0"))
    problems = pin_runtimes.find_problems(changed, pin_runtimes.render(ENTRY, PINS))
    assert "torch is 9.0+cpu, and the entry asks for 9.1+cpu" in problems


def test_a_file_that_was_edited_by_hand_is_stale():
    text = pin_runtimes.render(ENTRY, PINS).replace("sympy==1.14.0", "sympy==1.13.0")
    assert pin_runtimes.find_problems(ENTRY, text) == ["the pins were edited by hand"]


def test_a_missing_file_is_stale():
    assert pin_runtimes.find_problems(ENTRY, None) == ["there is no constraints file"]


def test_a_file_without_an_entry_is_left_over(tmp_path):
    (tmp_path / "PyTorch").mkdir()
    (tmp_path / "PyTorch" / "gone.txt").touch()
    assert pin_runtimes.find_orphans([ENTRY], tmp_path) == [tmp_path / "PyTorch" / "gone.txt"]


def test_the_extra_index_is_not_asked_when_the_first_resolution_succeeds(tmp_path):
    uv = fake_uv(tmp_path, "echo torch==9.0+cpu")
    assert pin_runtimes.resolve(ENTRY, uv) == {"torch": "9.0+cpu"}
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert len(calls) == 1
    assert "example.org" not in calls[0]
    assert "--python-version 3.11 --python-platform x86_64-manylinux_2_28 --only-binary :all:" in calls[0]
    assert "--exclude-newer 2026-11-22T00:00:00Z" in calls[0]


def test_the_extra_index_is_asked_when_nothing_else_satisfies_the_pins(tmp_path):
    uv = fake_uv(tmp_path, 'case "$*" in *example.org*) echo torch==9.0+cpu;; *) exit 1;; esac')
    assert pin_runtimes.resolve(ENTRY, uv) == {"torch": "9.0+cpu"}
    second = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()[1]
    assert "--index https://example.org/whl/cpu" in second
    assert "--exclude-newer-package torch=false" in second
    assert "numpy=false" not in second


def test_a_resolution_that_fails_names_the_entry_and_the_resolver_s_reason(tmp_path):
    uv = fake_uv(tmp_path, "echo no such version >&2; exit 1")
    with pytest.raises(PinError, match=r"(?s)PyTorch/torch9-python3.11-cpu cannot be resolved.*no such version"):
        pin_runtimes.resolve(ENTRY, uv)


def test_an_unknown_entry_is_refused_with_the_known_ones():
    with pytest.raises(PinError, match=r"no such entry: PyTorch/nope; the catalogue has PyTorch/torch9"):
        pin_runtimes.select([ENTRY], ["PyTorch/nope"])


def test_a_python_that_the_serving_code_does_not_know_is_refused(tmp_path):
    (tmp_path / "XGBoost").mkdir()
    (tmp_path / "XGBoost" / "a.yaml").write_text('{available: true, python: "3.5"}', encoding="utf-8")
    with pytest.raises(PinError, match=r"no web libraries for Python 3\.5"):
        pin_runtimes.load_entries(tmp_path, {"3.6": ["gunicorn==20.1.0"]})
