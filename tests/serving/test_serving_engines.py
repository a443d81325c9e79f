"""What differs by engine: constructors, the form of data, envelopes, default services, class selection."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from served import PACKAGES, Server, serve
from serving_interpreters import OTHERS, Interpreter, prepare

Served = Callable[[str], Server]
ROWS = {"data": {"req_data": [{"z": 1, "a": 2, "m": 3}, {"z": 4, "a": 5, "m": 6}]}}


def test_scikit_learn_without_code_predicts_on_the_rows_in_column_order(serve_package: Served) -> None:
    answer = serve_package("rows").post(ROWS)
    assert answer.json == {"data": {"resp_data": [{"predictresult": 321}, {"predictresult": 654}]}}


def test_meta_of_the_request_is_echoed(serve_package: Served) -> None:
    meta = {"uuid": "10eb0091-887f", "x": [1]}
    assert serve_package("rows").post({"meta": meta, **ROWS}).json["meta"] == meta
    assert "meta" not in serve_package("rows").post({"data": {"req_data": [], "meta": 1}}).json


def test_machine_learning_engines_have_their_own_error_codes(serve_package: Served) -> None:
    server = serve_package("rows")
    for body, status, code in [
        (b"", 400, "PY.0101"),
        (b"no json", 400, "PY.0101"),
        (b"\xff", 400, "PY.0101"),
        (b"{}", 400, "PY.0105"),
        (b'{"data": {"req_data": [{"a": "b"}, {"a": {}}]}}', 400, "PY.0105"),
        (b'{"data": {"req_data": [1]}}', 500, "PY.0105"),
    ]:
        answer = server.post(body)
        assert (answer.status, answer.json["error_code"]) == (status, code), body


def test_machine_learning_engines_take_no_forms(serve_package: Served) -> None:
    answer = serve_package("rows").post_form(("a", None, b"1"))
    assert (answer.status, answer.json["error_code"]) == (415, "PY.0101")


def test_xgboost_code_reads_the_raw_text_and_gets_the_path_alone(serve_package: Served) -> None:
    answer = serve_package("rows_own").post({"data": {"req_data": [{"列": 1, "a": 2}]}}).json["data"]["resp_data"]
    assert answer["columns"] == [["列", "a"]]
    assert answer["kind"] in {"str", "unicode"}
    assert answer["same"] is True


def test_xgboost_without_code_falls_back_to_a_booster(serve_package: Served) -> None:
    answer = serve_package("booster").post({"data": {"req_data": [{"a": 1, "b": 2}]}})
    assert answer.json == {"data": {"resp_data": [{"predictresult": 1.5}]}}


def test_a_sibling_named_model_keeps_its_name_and_another_engines_base_works(serve_package: Served) -> None:
    server = serve_package("own_model_module")
    assert server.post({}).json == ["my model.py", 3, "model", str(server.home / "model")]


def test_mxnet_code_gets_a_manifest_and_a_list_of_inputs(serve_package: Served) -> None:
    server = serve_package("tensors")
    expected = ["net", 7, None, [[0, 3, 8, 8], [0, 2]]]
    form = [("right", "r", b"R"), ("left", "l", b"L")]
    assert server.post_form(*form).json == [*expected, ["L", "R"], [True, True]]
    assert server.post({"right": [1], "left": 2}).json[4] == [2, [1]]
    assert server.post([[5], 6]).json[4] == [[5], 6]
    answer = server.post({"left": 1})
    assert (answer.status, answer.json["error_code"]) == (400, "MR.0101")


SIGNATURES = {
    "method": "def signature(self):\n        return self.manifest['Model']['Signature']",
    "attribute": "signature = {'inputs': [{'data_name': 'right'}, {'data_name': 'left'}]}",
    "of another form": "def signature(self):\n        return ['left', 'right']",
}


@pytest.mark.parametrize("form", SIGNATURES)
def test_mxnet_code_may_override_the_signature_in_any_form(interpreter: Interpreter, tmp_path: Path, form: str) -> None:
    code = (
        "from mms.model_service.mxnet_model_service import MXNetBaseService\n"
        f"class S(MXNetBaseService):\n    {SIGNATURES[form]}\n"
        "    def _preprocess(self, data):\n        return data\n"
        "    def _inference(self, data):\n        return data\n"
        "    def _postprocess(self, data):\n        return data\n"
    )
    folder = _with_code(tmp_path, code, PACKAGES / "tensors")
    with serve(interpreter, folder) as server:
        expected = ["R", "L"] if form == "attribute" else ["L", "R"]
        assert server.post({"right": "R", "left": "L"}).json == expected


def test_code_may_have_the_arguments_of_its_engine_on_another_ones_base(
    interpreter: Interpreter, tmp_path: Path
) -> None:
    code = (
        "from model_service.model_service import SingleNodeService\n"
        "class S(SingleNodeService):\n"
        "    def __init__(self, model_name, model_dir, manifest, gpu=None):\n        self.given = manifest, model_dir\n"
        "    def _inference(self, data):\n"
        "        return [self.given[0]['Model']['Model-Name'], self.given[1] == self.model_dir, data]\n"
    )
    with serve(interpreter, _with_code(tmp_path / "mxnet", code, PACKAGES / "tensors")) as server:
        assert server.post({"right": 1, "left": 2}).json == ["net", True, [2, 1]]
    code = (
        "import os\nfrom model_service.model_service import SingleNodeService\n"
        "class S(SingleNodeService):\n"
        "    def __init__(self, model_path):\n        self.given = model_path\n"
        "    def _inference(self, data):\n        return [os.path.basename(self.given), data]\n"
    )
    with serve(interpreter, _with_code(tmp_path / "rows", code, PACKAGES / "rows_own")) as server:
        assert server.post(b"[1]").json["data"]["resp_data"][1] == "[1]"


def _with_code(folder: Path, code: str, like: Path) -> Path:
    """A copy of a package with other code."""
    shutil.copytree(like, folder / "package")
    (folder / "package" / "model" / "customize_service.py").write_text(code)
    return folder / "package"


def test_mxnet_inputs_without_a_signature_file_are_read_off_the_symbol(serve_package: Served) -> None:
    left = {"data_name": "left", "data_shape": [0, 1, 8, 8]}
    right = {"data_name": "right", "data_shape": [0, 3, 224, 224]}
    assert serve_package("symbol_alone").post({"right": 1, "left": 2}).json == [[left, right], [2, 1]]


def test_health_of_the_package_counts_and_background_loading_is_waited_for(interpreter: Interpreter) -> None:
    with serve(interpreter, "loads_in_background") as server:
        answer = server.request("GET", "/health")
        assert (answer.status, answer.body) == (404, b"loading")
        (server.home / "model" / "go").touch()
        assert server.post({"a": 1}).json == {"a": [1]}
        assert server.request("GET", "/health").json == {"health": "true"}
        assert server.stop() == 0, "a thread that the package left running does not hold the server"


def test_a_prediction_that_fails_while_the_package_loads_says_so_and_afterwards_fails_as_ever(
    interpreter: Interpreter,
) -> None:
    with serve(interpreter, "fails_until_loaded") as server:
        answer = server.post({"b": 1})
        assert (answer.status, answer.json["error_code"]) == (503, "MR.0105")
        assert answer.json["error_msg"].startswith("the model is still loading: TypeError")
        (server.home / "model" / "go").touch()
        deadline = time.monotonic() + 20
        while server.post({"b": 1}).status == 503:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert server.post({"b": 1}).json == {"a": 1, "b": 1}
        assert server.post({"b": 0}).status == 500


def test_a_thread_that_stays_is_no_loading_once_a_prediction_succeeded(newest: Interpreter, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "net.pth").write_bytes(b"")
    (model / "customize_service.py").write_text(
        "import threading\n"
        "from model_service.pytorch_model_service import PTServingBaseService\n\n\n"
        "class Service(PTServingBaseService):\n"
        "    def __init__(self, model_name, model_path):\n"
        "        thread = threading.Thread(target=threading.Event().wait)\n"
        "        thread.daemon = True\n"
        "        thread.start()\n\n"
        "    def _inference(self, data):\n"
        "        return data['a']\n",
        encoding="utf-8",
    )
    (model / "config.json").write_text('{"model_type": "PyTorch"}', encoding="utf-8")
    with serve(newest, tmp_path) as server:
        assert [server.post(document).status for document in ({}, {"a": 1}, {})] == [503, 200, 400]


def test_python_2_code_and_gbk_source_are_served_by_python_2() -> None:
    with serve(prepare("2.7"), "python2_only") as server:
        assert server.post({}).json == {"你": [0, 1, 2], "s": "你"}
        assert "called\n你\n" in server.log


@pytest.mark.parametrize("version", OTHERS)
def test_every_version_serves(version: str) -> None:
    with serve(prepare(version), "everything") as server:
        assert server.post({"do": "facts"}).json["imports"][3] == "你好"
        assert server.post_form(("i", "n", b"c")).json == [["i", [["n", True, "c", 0]]]]
        assert server.post({"fail": "preprocess"}).status == 400
        assert server.stop() == 0
    with serve(prepare(version), "rows") as server:
        assert server.post(ROWS, unix=True).json["data"]["resp_data"][0] == {"predictresult": 321}
