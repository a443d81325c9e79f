"""The lines of the inference contract, over HTTP, on each representative Python."""

from __future__ import annotations

import json
import math

from served import Server
from serving_interpreters import Interpreter


def test_health_answers_ok(everything: Server) -> None:
    answer = everything.request("GET", "/health")
    assert (answer.status, answer.json) == (200, {"status": "OK"})
    assert answer.headers["Content-Type"] == "application/json"


def test_the_service_sees_what_the_contract_promises(everything: Server) -> None:
    facts = everything.post({"do": "facts"}).json
    model = str(everything.home / "model")
    assert facts["given"] == ["model", f"{model}/net.pth"]
    assert facts["name"] == "model", "the name is there though the base constructor never ran"
    assert facts["path"] == f"{model}/net.pth"
    assert facts["cwd"] == str(everything.home)
    assert facts["file"] == f"{model}/customize_service.py"
    assert facts["argv"] == [[""], [""]]
    assert facts["sys_path"][:2] == [model, str(everything.home)]
    assert str(everything.folder / "start") not in facts["sys_path"]
    assert "" not in facts["sys_path"]
    assert facts["same_thread"] is True
    assert facts["metrics"] == [False, False, False]


def test_plain_relative_and_absolute_imports_of_siblings_work_without_init(
    everything: Server, representative: Interpreter
) -> None:
    facts = everything.post({"do": "facts"}).json
    # In Python 2 a module that imports relatively finds its plain imports in its own package first.
    plain = "model.plain" if representative.version == "2.7" else "plain"
    assert facts["imports"] == [plain, "model.common model.plain", "model.plain", "你好", "customize_service"]
    assert facts["init"] is False


def test_every_base_class_can_be_imported_without_its_engine(everything: Server) -> None:
    assert everything.post({"do": "facts"}).json["bases"] == 12


def test_loggers_of_every_spelling_write_to_the_log(everything: Server) -> None:
    for text in ("constructed", "from mms", "from the submodule", "from the package"):
        assert text in everything.log


def test_the_home_holds_a_copy_that_may_be_changed(everything: Server) -> None:
    is_link = everything.post({"do": "write"}).json
    assert is_link is False, "small files are copied"
    listing = everything.post({"do": "facts"}).json["listing"]
    assert {"uploaded", "notes", "core", "net.pth"} <= set(listing)
    assert (everything.home / "uploaded").is_file()


def test_a_json_document_arrives_parsed(everything: Server) -> None:
    assert sorted(everything.post({"a": [1, None], "键": "值"}).json) == [["a", [1, None]], ["键", "值"]]
    assert everything.post([1, 2]).json == [1, 2]


def test_json_arrives_parsed_whatever_its_content_type(everything: Server) -> None:
    for content_type in ("applicaton/json", "application/x-www-form-urlencoded", "application/json; charset=utf-8", ""):
        answer = everything.request("POST", "/", b'{"a": 1}', {"Content-Type": content_type})
        assert answer.json == [["a", 1]]


def test_a_byte_order_mark_is_no_part_of_the_document(everything: Server) -> None:
    assert everything.post(b'\xef\xbb\xbf{"a": 1}').json == [["a", 1]]


def test_uploads_arrive_as_bytesio_in_order_with_fields_and_query_as_text(everything: Server) -> None:
    answer = everything.post_form(
        ("images", "z.jpg", b"one"),
        ("images", "a.jpg", b"two"),
        ("images", "z.jpg", b"three"),
        ("mask", "图.png", "四".encode()),
        ("note", None, "字".encode()),
        path="/?size=3&note=ignored&empty=",
    )
    assert answer.json == [
        ["images", [["z.jpg", True, "one", 0], ["a.jpg", True, "two", 0], ["z-1.jpg", True, "three", 0]]],
        ["mask", [["图.png", True, "四", 0]]],
        ["note", "字"],
        ["size", "3"],
        ["empty", ""],
    ]


def test_a_large_upload_arrives_whole_over_the_unix_socket(everything: Server) -> None:
    content = b"0123456789" * 300_000
    answer = everything.post_form(("images", "big", content), ("text", None, content), unix=True)
    assert answer.json == [["images", [["big", True, content.decode(), 0]]], ["text", content.decode()]]


def test_a_chunked_body_arrives_whole(everything: Server) -> None:
    connection = everything.connection()
    try:
        chunks = iter([b'{"a": "', b"x" * 200_000, b'"}'])
        connection.request("POST", "/", chunks, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
        assert json.loads(connection.getresponse().read()) == [["a", "x" * 200_000]]
    finally:
        connection.close()


def test_query_arguments_stand_alone_where_there_is_no_body(everything: Server) -> None:
    assert everything.request("PUT", "/?a=%E4%B8%AD&b=2").json == [["a", "中"], ["b", "2"]]


def test_an_urlencoded_form_arrives_as_text(everything: Server) -> None:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    assert everything.request("POST", "/", b"a=1&b=%E4%B8%AD&a=2", headers).json == [["a", "1"], ["b", "中"]]


def test_answers_are_not_ascii_escaped(everything: Server) -> None:
    answer = everything.post({"do": "mixed"})
    assert answer.body == '["中文","中文"]'.encode() or "中文".encode() in answer.body
    assert answer.json == ["中文", "中文"]


def test_arrays_scalars_and_bytes_that_code_forgot_are_converted(everything: Server) -> None:
    answer = everything.post({"do": "numbers"}).json
    assert answer == {
        "array": [[1, 2.5], [3, 4]],
        "scalar": 7,
        "3": "text",
        "键": {str(2**70): 1},
        "tuple": [1, None, True],
    }


def test_nan_is_given_on_as_the_package_returned_it(everything: Server) -> None:
    answer = everything.post({"do": "nan"})
    assert answer.body == b"[NaN,Infinity]"
    assert math.isnan(answer.json[0])


def test_an_answer_without_a_json_form_is_the_models_failure(everything: Server) -> None:
    for name in ("object", "bytes"):
        answer = everything.post({"do": name})
        assert answer.status == 500
        assert answer.json["error_code"] == "MR.0105"
        assert everything.lines("AIRLOCK-PREDICT-ERROR")[-1]["stage"] == "postprocess"


def test_half_a_character_still_gives_valid_utf8(everything: Server, representative: Interpreter) -> None:
    if representative.version != "2.7":  # Python 2 encodes it
        assert everything.post({"do": "half_character"}).body == b'"\\ud800"'


def test_a_missing_key_in_the_packages_code_is_a_client_error_with_its_place(everything: Server) -> None:
    answer = everything.post({"fail": "preprocess"})
    assert (answer.status, answer.json["error_code"]) == (400, "MR.0105")
    assert answer.json["error_msg"] == "KeyError: 'images'"
    line = everything.lines("AIRLOCK-PREDICT-ERROR")[-1]
    source = (everything.home / "model" / "customize_service.py").read_text(encoding="utf-8").splitlines()
    assert source[line.pop("line") - 1].strip() == 'return data["images"]'
    assert line == {"stage": "preprocess", "type": "KeyError", "message": "'images'", "file": "customize_service.py"}
    assert "Traceback (most recent call last)" in everything.log


def test_a_type_error_in_postprocess_is_a_client_error(everything: Server) -> None:
    answer = everything.post_form(("fail", None, b"postprocess"))
    assert answer.status == 200, "the document was described before"
    answer = everything.post({"do": "sleep", "seconds": "x"})
    assert answer.status == 400
    assert everything.lines("AIRLOCK-PREDICT-ERROR")[-1]["stage"] == "inference"


def test_any_other_failure_of_the_package_is_a_server_error_without_traceback(everything: Server) -> None:
    answer = everything.post({"fail": "inference"})
    assert (answer.status, answer.json) == (500, {"error_code": "MR.0105", "error_msg": "ValueError: 不能"})
    assert everything.lines("AIRLOCK-PREDICT-ERROR")[-1]["message"] == "不能"


def test_sys_exit_in_a_prediction_does_not_end_the_server(everything: Server) -> None:
    assert everything.post({"do": "exit"}).json == {"error_code": "MR.0105", "error_msg": "SystemExit: 5"}
    assert everything.post({"a": 1}).status == 200


def test_an_empty_or_unreadable_body_is_refused(everything: Server) -> None:
    unreadable = [b"", b"  ", b"{", b'{"a": }', b"\xff\xfe{}", b"[" * 100_000]
    for body in unreadable:
        answer = everything.post(body)
        assert (answer.status, answer.json["error_code"]) == (400, "MR.0101"), body[:10]
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x--\r\n", b"no form"):
        answer = everything.request("POST", "/", body, headers)
        assert (answer.status, answer.json["error_code"]) == (400, "MR.0101"), body
    answer = everything.request("POST", "/", b"--x--", {"Content-Type": "multipart/form-data"})
    assert (answer.status, answer.json["error_code"]) == (400, "MR.0101")


def test_unknown_paths_and_methods_are_refused_as_json(everything: Server) -> None:
    assert everything.request("GET", "/other").status == 404
    answer = everything.request("GET", "/")
    assert (answer.status, answer.headers["Allow"]) == (405, "POST, PUT")
    assert answer.json == {"error_code": "MR.0101", "error_msg": "/ answers POST, PUT"}
    assert everything.request("POST", "/health", b"").status == 405


def test_prints_of_any_text_reach_the_log(everything: Server) -> None:
    assert everything.post({"do": "print"}).json is None
    everything.wait_for_log("印")


def test_a_connection_serves_several_requests(everything: Server) -> None:
    connection = everything.connection(unix=True)
    try:
        for number in range(3):
            connection.request("POST", "/", json.dumps([number]).encode())
            assert json.loads(connection.getresponse().read()) == [number]
    finally:
        connection.close()
