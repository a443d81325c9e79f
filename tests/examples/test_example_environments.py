"""Finding an interpreter and installing a runtime's pins."""

import stat
import sys

import pytest

from examples import environments
from scripts.uv_tool import UvError

THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"


def executable(path, text):
    path.write_text(text, encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare_machine(tmp_path, monkeypatch):
    """A machine whose PATH has one empty folder, with a uv that finds nothing and keeps what it is asked."""
    folder = tmp_path / "bin"
    folder.mkdir()
    uv = executable(
        folder / "uv", f'#!/bin/sh\n[ "$1" = --version ] && exit 0\necho "$@" >> {tmp_path}/calls\nexit 1\n'
    )
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("UV", str(uv))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    return folder


def test_a_shim_that_leads_nowhere_is_passed_over(bare_machine):
    executable(bare_machine / f"python{THIS_PYTHON}", "#!/bin/sh\nexit 127\n")
    assert environments.find_interpreter(THIS_PYTHON) is None


def test_the_interpreter_behind_a_shim_is_found(bare_machine):
    executable(bare_machine / f"python{THIS_PYTHON}", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    found = environments.find_interpreter(THIS_PYTHON)
    assert found is not None
    assert str(found) == sys.executable


def test_an_interpreter_of_another_version_under_the_right_name_is_passed_over(bare_machine):
    executable(bare_machine / "python3.6", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    assert environments.find_interpreter("3.6") is None


def test_an_interpreter_under_pyenv_is_found(bare_machine, tmp_path):
    folder = tmp_path / "pyenv" / "versions" / f"{THIS_PYTHON}.99" / "bin"
    folder.mkdir(parents=True)
    executable(folder / "python", f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    assert environments.find_interpreter(THIS_PYTHON) is not None


@pytest.mark.parametrize("engine", ["Scikit_Learn", "XGBoost"])
def test_without_a_wish_the_runtime_is_the_current_one_whose_python_is_there(engine, monkeypatch):
    monkeypatch.setattr(environments, "find_interpreter", lambda python: sys.executable if python == "3.12" else None)
    runtime = environments.choose_runtime(engine, None)
    assert (runtime.python, runtime.status) == ("3.12", "current")


def test_python_3_11_comes_before_3_12(monkeypatch):
    monkeypatch.setattr(environments, "find_interpreter", lambda python: sys.executable)
    assert environments.choose_runtime("Scikit_Learn", None).name == "sklearn1.9-python3.11"


def test_a_machine_without_a_python_for_any_current_runtime_is_told_which_it_needs(monkeypatch):
    monkeypatch.setattr(environments, "find_interpreter", lambda python: None)
    with pytest.raises(environments.ExampleError, match=r"need Python 3\.11 or 3\.12"):
        environments.choose_runtime("Scikit_Learn", None)


@pytest.fixture
def installs(monkeypatch):
    """What uv is asked to install; the first request fails, as it does where only the extra index has the wheel."""
    asked = []

    def run_uv(uv, arguments):
        asked.append(" ".join(arguments))
        if len(asked) == 1:
            raise UvError("no such version")

    monkeypatch.setattr(environments, "run_uv", run_uv)
    return asked


def test_the_extra_index_is_asked_only_after_everything_else_failed(installs):
    runtime = environments.choose_runtime("PyTorch", "pytorch2.13-python3.11-cpu")
    environments._install(runtime, "uv", sys.executable)
    assert "https://download.pytorch.org/whl/cpu" not in installs[0]
    assert "--index https://download.pytorch.org/whl/cpu" in installs[1]
    assert all("torch==2.13.0+cpu" in request and "--only-binary :all:" in request for request in installs)


def test_a_failed_installation_is_not_tried_again_where_there_is_no_extra_index(installs):
    runtime = environments.choose_runtime("XGBoost", "python3.6")
    with pytest.raises(UvError):
        environments._install(runtime, "uv", sys.executable)
    assert len(installs) == 1
