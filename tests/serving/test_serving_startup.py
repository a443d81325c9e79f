"""A start that fails: one line that says why, status 3, and no second try."""

from __future__ import annotations

from pathlib import Path

import pytest
from served import fails_to_start, launch, serve
from serving_interpreters import Interpreter

HEADER = "from model_service.pytorch_model_service import PTServingBaseService\n"
SERVICE = HEADER + "class S(PTServingBaseService):\n    def __init__(self, name, path):\n        "


def package(folder: Path, code: str | None, *files: str) -> Path:
    """Write a PyTorch package."""
    model = folder / "package" / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text('{"model_type": "PyTorch"}')
    for name in files or ("net.pth",):
        (model / name).write_text("x")
    if code is not None:
        (model / "customize_service.py").write_text(code, encoding="utf-8")
    return folder / "package"


CODE = "customize_service.py"
CASES = {
    "import": ("import helper\n", "import", {"ImportError", "ModuleNotFoundError"}, "helper", CODE, 1),
    "sibling": ("import broken\n", "import", {"ZeroDivisionError"}, "zero", "broken.py", 2),
    "syntax": ("x = 1\nx = = 2\n", "import", {"SyntaxError"}, "invalid syntax", CODE, 2),
    "no class": (HEADER, "select", {"StartupFailure"}, "defines no class", None, None),
    "several": (
        HEADER + "class A(PTServingBaseService): pass\nclass B(PTServingBaseService): pass\n",
        "select",
        {"StartupFailure"},
        "2 service classes, one is needed: A, B",
        None,
        None,
    ),
    "constructor": (
        "# coding: utf-8\n" + SERVICE + "raise OSError(u'没有 weights')\n",
        "construct",
        {"OSError"},
        "没有 weights",
        CODE,
        5,
    ),
    "exit": (SERVICE + "import sys; sys.exit(4)\n", "construct", {"SystemExit"}, "4", CODE, 4),
    "no code": (None, "select", {"StartupFailure"}, "customize_service.py is missing", None, None),
}


@pytest.mark.parametrize("case", CASES)
def test_a_package_that_cannot_be_loaded_ends_the_server_with_its_place(
    interpreter: Interpreter, tmp_path: Path, case: str
) -> None:
    code, stage, kinds, words, file, line = CASES[case]
    folder = package(tmp_path, code)
    (folder / "model" / "broken.py").write_text("def f():\n    1 / 0\nf()\n")
    found, log = fails_to_start(interpreter, folder)
    assert found["stage"] == stage
    assert found["type"] in kinds
    assert words in found["message"]
    assert (found["file"], found["line"]) == (file, line)
    assert ("Traceback" in log) == (kinds != {"StartupFailure"})


def test_a_signature_that_fails_ends_the_server_with_its_place(newest: Interpreter, tmp_path: Path) -> None:
    code = (
        "from mms.model_service.mxnet_model_service import MXNetBaseService\n"
        "class S(MXNetBaseService):\n    @property\n    def signature(self):\n        return {}['inputs']\n"
    )
    code += "    airlock_prepare = None\n    def _inference(self, data):\n        return data\n"
    found, _ = fails_to_start(newest, package(tmp_path, code, "net-symbol.json"), AIRLOCK_ENGINE="MXNet")
    assert (found["stage"], found["type"], found["message"]) == ("construct", "KeyError", "'inputs'")
    assert (found["file"], found["line"]) == (CODE, 5)


@pytest.mark.parametrize(
    "files,words",
    [
        (("a.pth", "b.pt"), "has a.pth, b.pt"),
        (("readme.txt",), "one model file *.pth or *.pt, and has none"),
    ],
)
def test_a_model_file_that_is_not_the_only_one_is_a_layout_error(
    newest: Interpreter, tmp_path: Path, files: tuple[str, ...], words: str
) -> None:
    found, _ = fails_to_start(newest, package(tmp_path, SERVICE + "pass\n", *files))
    assert found["stage"] == "layout"
    assert words in found["message"]


ROWS = "from model_service.python_model_service import XgSklServingBaseService\nclass S(XgSklServingBaseService):\n"


def test_a_model_that_the_engine_loads_for_the_package_s_code_is_loaded_at_start(
    newest: Interpreter, tmp_path: Path
) -> None:
    folder = package(tmp_path, ROWS + "    def _postprocess(self, data):\n        return data\n", "net.m")
    (folder / "model" / "config.json").write_text('{"model_type": "XGBoost"}')
    found, _ = fails_to_start(newest, folder)
    assert (found["stage"], found["type"]) == ("construct", "RuntimeError")
    assert "net.m is neither a joblib dump" in found["message"]


def test_a_model_that_the_package_s_code_does_not_ask_for_is_never_loaded(newest: Interpreter, tmp_path: Path) -> None:
    folder = package(tmp_path, ROWS + "    def _inference(self, data):\n        return [len(data)]\n", "net.m")
    (folder / "model" / "config.json").write_text('{"model_type": "XGBoost"}')
    with serve(newest, folder) as server:
        answer = server.post({"data": {"req_data": [{"a": 1}, {"a": 2}]}})
        assert answer.json == {"data": {"resp_data": [{"predictresult": 2}]}}


def test_a_folder_rule_names_a_missing_folder(newest: Interpreter, tmp_path: Path) -> None:
    folder = package(tmp_path, SERVICE + "pass\n")
    found, _ = fails_to_start(newest, folder, AIRLOCK_MODEL_PATH="dir:spark_model")
    assert (found["stage"], found["message"]) == ("layout", "model/ must have a folder spark_model")


def test_a_worker_killed_while_it_loads_ends_the_server(interpreter: Interpreter, tmp_path: Path) -> None:
    code = SERVICE + "import os, signal; os.kill(os.getpid(), signal.SIGKILL)\n"
    found, _ = fails_to_start(interpreter, package(tmp_path, code))
    assert (found["stage"], found["type"]) == ("construct", "ProcessDied")


def test_a_failing_constructor_ends_a_server_of_several_workers(newest: Interpreter, tmp_path: Path) -> None:
    code = SERVICE + "raise RuntimeError('no')\n"
    with launch(newest, package(tmp_path, code), AIRLOCK_WORKERS="3") as server:
        assert server.process.wait(20) == 3
        assert server.log.count("Booting worker") <= 3


@pytest.mark.parametrize(
    "variables,words",
    [
        ({"AIRLOCK_WORKERS": "none"}, "AIRLOCK_WORKERS must be a number above 0"),
        ({"AIRLOCK_CONCURRENT_INFERENCE": "yes"}, "must be 0 or 1"),
        ({"AIRLOCK_PACKAGE_DIR": "/nowhere"}, "/nowhere has no folder named model"),
        ({"AIRLOCK_BASE_CLASS": "model_service.model_service:Nothing"}, "cannot be loaded"),
        ({"AIRLOCK_BASE_CLASS": "os.path:join"}, "is not a service class"),
    ],
)
def test_a_wrong_setting_is_told(newest: Interpreter, tmp_path: Path, variables: dict[str, str], words: str) -> None:
    found, _ = fails_to_start(newest, package(tmp_path, SERVICE + "pass\n"), **variables)
    assert words in found["message"]


def test_a_home_with_a_model_folder_of_someone_else_is_left_alone(newest: Interpreter, tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "model").mkdir(parents=True)
    (home / "model" / "mine").touch()
    found, _ = fails_to_start(newest, package(tmp_path, SERVICE + "pass\n"), AIRLOCK_HOME=str(home))
    assert "exists already" in found["message"]
    assert (home / "model" / "mine").exists()


def test_large_files_are_links_and_the_rest_may_be_written_though_the_original_may_not(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    code = SERVICE + (
        "self.model = lambda value: [os.path.islink(path), os.path.islink(os.path.dirname(path) + '/small'),"
        " os.access(os.path.dirname(path) + '/small', os.W_OK), os.path.samefile('model/1/small', 'model/small'),"
        " os.path.getsize('model/1/empty')]\n"
    )
    folder = package(tmp_path, "import os\n" + code)
    model = folder / "model"
    (model / "net.pth").write_bytes(b"x" * (1024 * 1024 + 1))
    (model / "empty").touch()
    (model / "small").write_text("x")
    (model / "small").chmod(0o444)
    home = tmp_path / "home"
    for _ in range(2):  # the second start finds the first one's home
        with serve(interpreter, folder, AIRLOCK_HOME=str(home), AIRLOCK_MODEL_ONE="1") as server:
            assert server.post({"a": 0}).json == {"a": [True, False, True, True, 0]}


def test_what_walks_the_model_folder_ends_though_it_is_in_itself_as_one(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    code = SERVICE + (
        "self.model = lambda value: [walked(False), walked(True), globbed(),"
        " open('model/1/variables/data').read(), sorted(os.listdir('model/1') + ['1']) == sorted(os.listdir('model')),"
        " [os.path.realpath('model/1/' + name) == os.path.realpath('model/' + name) for name in ('', 'net.pth')]]\n"
        "def walked(follow):\n"
        "    return sum(names.count('data') for _, _, names in os.walk('model', followlinks=follow))\n"
        "def globbed():\n"
        "    if sys.version_info < (3, 5):\n"
        "        return 2\n"
        "    return len(glob.glob('model/**/data', recursive=True))\n"
    )
    folder = package(tmp_path, "import glob, os, sys\n" + code)
    (folder / "model" / "net.pth").write_bytes(b"x" * (1024 * 1024 + 1))
    (folder / "model" / "variables").mkdir()
    (folder / "model" / "variables" / "data").write_text("x")
    home = tmp_path / "home"
    for _ in range(2):
        with serve(interpreter, folder, AIRLOCK_HOME=str(home), AIRLOCK_MODEL_ONE="1") as server:
            assert server.post({"a": 0}).json == {"a": [1, 2, 2, "x", True, [True, True]]}


def test_code_finds_its_neighbours_and_writes_beside_a_large_model(interpreter: Interpreter, tmp_path: Path) -> None:
    code = SERVICE + (
        "self.model = lambda value: [open(os.path.join(place(path), 'labels.txt')).read(),"
        " open(os.path.join(place(path), 'upload'), 'w').close(), place(path) == os.path.dirname(path)]\n"
        "def place(path):\n"
        "    places = [os.path.dirname(os.path.realpath(path))]\n"
        "    other = path.encode() if sys.version_info[0] > 2 else path.decode()\n"
        "    places.append(type(path)(os.path.dirname(os.path.realpath(other)).decode()"
        " if sys.version_info[0] > 2 else os.path.dirname(os.path.realpath(other))))\n"
        "    if sys.version_info[0] > 2:\n"
        "        import pathlib\n"
        "        places.append(str(pathlib.Path(path).resolve().parent))\n"
        "    assert os.path.realpath(os.sep) == os.sep\n"
        "    assert len(set(places)) == 1, places\n"
        "    return places[0]\n"
    )
    folder = package(tmp_path, "import os, sys\n" + code)
    (folder / "model" / "net.pth").write_bytes(b"x" * (1024 * 1024 + 1))
    (folder / "model" / "labels.txt").write_text("rose")
    before = sorted(path.name for path in (folder / "model").iterdir())
    with serve(interpreter, folder) as server:
        assert server.post({"a": 0}).json == {"a": ["rose", None, True]}
        assert (server.home / "model" / "upload").exists()
    assert sorted(path.name for path in (folder / "model").iterdir()) == before


def test_a_developer_needs_a_home_and_nothing_else(newest: Interpreter, tmp_path: Path) -> None:
    folder = package(tmp_path, SERVICE + "self.model = lambda value: -value\n")
    with serve(newest, folder, AIRLOCK_HOME=str(folder), AIRLOCK_PACKAGE_DIR="") as server:
        assert server.post({"a": 3}).json == {"a": -3}
        assert not (folder / ".airlock-layout").exists()
