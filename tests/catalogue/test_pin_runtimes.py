"""The pins' scripts: reading, rendering, staleness, and how it asks the resolver."""

import dataclasses
import stat
from pathlib import Path

import pytest

from scripts import pin_entries, pin_resolvers
from scripts.pin_entries import Entry, PinError

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
        pin_entries.parse_pins(f"six==1.0\n{line}\n")


def test_a_name_that_is_pinned_twice_under_two_spellings_is_refused():
    with pytest.raises(PinError, match="typing-extensions is pinned twice"):
        pin_entries.parse_pins("typing_extensions==4.0\nTyping.Extensions==4.1\n")


def test_the_same_entry_and_pins_give_the_same_text_in_whatever_order_they_come():
    assert pin_entries.render(ENTRY, PINS) == pin_entries.render(ENTRY, dict(reversed(PINS.items())))


def test_a_rendered_file_is_up_to_date():
    assert pin_entries.find_problems(ENTRY, pin_entries.render(ENTRY, PINS)) == []


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
    problems = pin_entries.find_problems(dataclasses.replace(ENTRY, **change), pin_entries.render(ENTRY, PINS))
    assert "the entry has changed since the file was written" in problems


def test_a_pin_that_differs_from_the_entry_is_named():
    changed = dataclasses.replace(ENTRY, requirements=("torch==9.1+cpu", "numpy==2.0"))
    problems = pin_entries.find_problems(changed, pin_entries.render(ENTRY, PINS))
    assert "torch is 9.0+cpu, and the entry asks for 9.1+cpu" in problems


def test_a_file_that_was_edited_by_hand_is_stale():
    text = pin_entries.render(ENTRY, PINS).replace("sympy==1.14.0", "sympy==1.13.0")
    assert pin_entries.find_problems(ENTRY, text) == ["the pins were edited by hand"]


def test_a_missing_file_is_stale():
    assert pin_entries.find_problems(ENTRY, None) == ["there is no constraints file"]


def test_a_file_without_an_entry_is_left_over(tmp_path):
    (tmp_path / "PyTorch").mkdir()
    (tmp_path / "PyTorch" / "gone.txt").touch()
    assert pin_entries.find_orphans([ENTRY], tmp_path) == [tmp_path / "PyTorch" / "gone.txt"]


def test_the_extra_index_is_not_asked_when_the_first_resolution_succeeds(tmp_path):
    uv = fake_uv(tmp_path, "echo torch==9.0+cpu")
    assert pin_resolvers.resolve_with_uv(ENTRY, uv) == {"torch": "9.0+cpu"}
    calls = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()
    assert len(calls) == 1
    assert "example.org" not in calls[0]
    assert "--python-version 3.11 --python-platform x86_64-manylinux_2_28 --only-binary :all:" in calls[0]
    assert "--no-binary" not in calls[0]
    assert "--exclude-newer 2026-11-22T00:00:00Z" in calls[0]


def test_the_extra_index_is_asked_when_nothing_else_satisfies_the_pins(tmp_path):
    uv = fake_uv(tmp_path, 'case "$*" in *example.org*) echo torch==9.0+cpu;; *) exit 1;; esac')
    assert pin_resolvers.resolve_with_uv(ENTRY, uv) == {"torch": "9.0+cpu"}
    second = (tmp_path / "calls").read_text(encoding="utf-8").splitlines()[1]
    assert "--index https://example.org/whl/cpu" in second
    assert "--exclude-newer-package torch=false" in second
    assert "numpy=false" not in second


def test_a_resolution_that_fails_names_the_entry_and_the_resolver_s_reason(tmp_path):
    uv = fake_uv(tmp_path, "echo no such version >&2; exit 1")
    with pytest.raises(PinError, match=r"(?s)PyTorch/torch9-python3.11-cpu cannot be resolved.*no such version"):
        pin_resolvers.resolve_with_uv(ENTRY, uv)


def test_what_has_no_wheel_is_described_to_the_resolver_and_asked_for(tmp_path):
    spark = dataclasses.replace(ENTRY, source_only=(("pyspark==4.0.2", ("py4j==0.10.9.9",)),))
    uv = fake_uv(
        tmp_path, 'cat; while [ "$1" != --config-file ]; do shift; done; cp "$2" ' + str(tmp_path / "settings")
    )
    assert pin_resolvers.resolve_with_uv(spark, uv)["pyspark"] == "4.0.2"
    assert "--no-binary pyspark" in (tmp_path / "calls").read_text(encoding="utf-8")
    assert (tmp_path / "settings").read_text(encoding="utf-8") == (
        '[[dependency-metadata]]\nname = "pyspark"\nversion = "4.0.2"\nrequires-dist = ["py4j==0.10.9.9"]\n'
    )


@pytest.mark.parametrize("requirement, looked_at", [("torch==9.0+cpu", "/wheels"), ("torch==9.0", "nowhere")])
def test_wheels_on_disk_count_only_for_a_pin_with_a_local_version(tmp_path, monkeypatch, requirement, looked_at):
    monkeypatch.setenv("UV_FIND_LINKS", "/wheels")
    uv = fake_uv(tmp_path, f"echo ${{UV_FIND_LINKS:-nowhere}} > {tmp_path}/links; cat")
    pin_resolvers.resolve_with_uv(dataclasses.replace(ENTRY, requirements=(requirement,)), uv)
    assert (tmp_path / "links").read_text(encoding="utf-8").strip() == looked_at


def test_a_row_of_the_other_architecture_is_resolved_for_it(tmp_path):
    uv = fake_uv(tmp_path, "cat")
    pin_resolvers.resolve_with_uv(dataclasses.replace(ENTRY, architecture="aarch64"), uv)
    assert "--python-platform aarch64-manylinux_2_28" in (tmp_path / "calls").read_text(encoding="utf-8")


def test_a_variant_has_its_own_key_file_and_pins(tmp_path):
    (tmp_path / "MXNet").mkdir()
    row = (
        "{engine: MXNet, runtime: python3.6, python: '3.6', available: true, architectures: [x86_64], "
        "requirements: [mxnet==1.2.1], extra_index_urls: [], exclude_newer: '2026-11-22', "
        "variants: {gpu: {requirements: [mxnet-cu90==1.2.1]}}}"
    )
    (tmp_path / "MXNet" / "python3.6.yaml").write_text(row, encoding="utf-8")
    own, gpu = pin_entries.load_entries(tmp_path, {"3.6": ["gunicorn==20.1.0"]})
    assert (own.key, own.direct) == ("MXNet/python3.6", ("gunicorn==20.1.0", "mxnet==1.2.1"))
    assert (gpu.key, gpu.direct) == ("MXNet/python3.6.gpu", ("gunicorn==20.1.0", "mxnet-cu90==1.2.1"))
    assert gpu.constraints.name == "python3.6.gpu.txt"
    assert own.inputs_digest() != gpu.inputs_digest()


def test_pins_are_read_off_the_names_of_downloaded_files():
    files = ["Keras_Preprocessing-1.1.2-py2.py3-none-any.whl", "termcolor-1.1.0.tar.gz", "html5lib-0.9999999.tar.gz"]
    files += ["backports.weakref-1.0.post1-py2.py3-none-any.whl"]
    assert pin_resolvers.pins_of_files(files) == {
        "keras-preprocessing": "1.1.2",
        "termcolor": "1.1.0",
        "html5lib": "0.9999999",
        "backports-weakref": "1.0.post1",
    }


@pytest.mark.parametrize("files", [["README"], ["six-1.0.tar.gz", "six-1.1.tar.gz"]])
def test_a_download_that_is_no_single_distribution_is_refused(files):
    with pytest.raises(PinError, match="not one archive of one distribution"):
        pin_resolvers.pins_of_files(files)


def test_python_2_resolves_with_its_own_pip_and_builds_only_what_has_no_wheel(tmp_path):
    old = dataclasses.replace(ENTRY, python="2.7", source_only=(("termcolor==1.1.0", ()),))
    command = pin_resolvers.pip_command(old, "python2.7", Path("pip-20.3.4-py2.py3-none-any.whl"), tmp_path)
    assert command[:3] == ["python2.7", "pip-20.3.4-py2.py3-none-any.whl/pip", "download"]
    assert " ".join(command).endswith(
        "--only-binary :all: --no-binary termcolor gunicorn==27.0.1 numpy==2.0 termcolor==1.1.0 torch==9.0+cpu "
        "Werkzeug==3.1.9"
    )


def test_an_unknown_entry_is_refused_with_the_known_ones():
    with pytest.raises(PinError, match=r"no such entry: PyTorch/nope; the catalogue has PyTorch/torch9"):
        pin_entries.select([ENTRY], ["PyTorch/nope"])


def test_a_python_that_the_serving_code_does_not_know_is_refused(tmp_path):
    (tmp_path / "XGBoost").mkdir()
    (tmp_path / "XGBoost" / "a.yaml").write_text('{available: true, python: "3.5"}', encoding="utf-8")
    with pytest.raises(PinError, match=r"no web libraries for Python 3\.5"):
        pin_entries.load_entries(tmp_path, {"3.6": ["gunicorn==20.1.0"]})
