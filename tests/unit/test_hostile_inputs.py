"""Each kind of hostile input that must be refused or survived, and what shows that it is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from airlock.adapters.local_package import LocalPackage

ROOT = Path(__file__).resolve().parents[2]
REJECT = ROOT / "tests/packages/reject"

#: Input → packages below tests/packages/reject, or `file::test`.
SHOWN_BY: dict[str, tuple[str, ...]] = {
    "a name with `..`": ("a-name-that-leads-out",),
    "an absolute name": ("an-absolute-name", "unit/test_step_fetch.py::test_unsafe_names_are_refused"),
    "a name with a backslash": ("a-name-with-a-backslash",),
    "a name with `//`": ("a-name-with-an-empty-part",),
    "`a` beside `a/b`": ("a-file-that-is-a-folder",),
    "names that differ by case or Unicode form": ("names-that-differ-by-case", "names-that-differ-by-unicode-form"),
    "control and bidirectional characters": (
        "a-name-with-a-control-character", "a-name-that-is-shown-backwards", "a-name-with-a-line-break",
    ),
    "links and devices": ("unit/test_hostile_inputs.py::test_links_and_devices_of_a_folder_are_refused",),
    "more objects than the limit": (
        "more-objects-than-the-limit", "unit/test_step_fetch.py::test_more_objects_than_the_limit_are_refused",
    ),
    "larger than the limit": ("larger-than-the-limit",),
    "sparse files and wrong lengths": (
        "adapters/test_package_store.py::test_a_source_that_gives_too_few_or_too_many_bytes_is_not_believed",
    ),
    "bombs of compression": (
        "a-torch-archive-that-hides-its-size", "a-torch-archive-with-a-compressed-pickle",
        "unit/test_hostile_pickles.py::test_a_small_file_that_grows_without_end_is_given_up",
    ),
    "objects replaced, deleted or truncated during the copy": (
        "unit/test_step_fetch.py::test_an_object_that_changes_while_it_is_copied",
        "adapters/test_s3.py::test_an_object_replaced_after_the_listing",
        "adapters/test_s3.py::test_an_object_deleted_after_the_listing",
        "adapters/test_package_store.py::test_a_truncated_file_is_noticed",
    ),
    "JSON of great depth": ("nested-too-deep",),
    "JSON with numbers of many digits": ("a-number-of-many-digits",),
    "JSON of great size": ("unit/test_json_text.py::test_a_megabyte_is_read_and_a_byte_more_is_not",),
    "NaN": ("nan-in-config",),
    "keys that stand twice": ("a-key-with-two-values",),
    "a byte-order mark": ("unit/test_json_text.py::test_a_byte_order_mark_of_utf_8_is_read_over",),
    "UTF-16": ("utf-16-config",),
    "`$ref` and `pattern` in schemas": ("unit/test_rules_table.py::test_a_rule_is_told_where_it_is_broken",),
    "dependencies with options": ("dependency-with-an-option",),
    "dependencies with addresses and paths": ("dependency-from-an-address", "dependency-that-is-a-path"),
    "dependencies with line breaks": ("dependency-with-a-line-break", "dependency-with-shell-text"),
    "text of a Dockerfile, a shell or a template in names and values": (
        "template-text-in-the-model-name", "shell-text-in-the-version", "build-instructions-in-the-version",
        "build-instructions-in-the-runtime", "template-text-in-the-algorithm", "markup-in-the-description",
        "control-characters-in-a-label", "image-location-with-an-option", "image-api-with-a-line-break",
    ),
    "addresses that are not http(s) or point inside": (
        "a-document-that-is-a-script", "a-document-on-the-machine-itself", "a-source-of-another-kind",
    ),
    "code in a model file": (
        "code-in-a-pickle", "code-in-a-compressed-pickle", "code-in-a-torch-archive",
        "code-behind-an-array-that-a-function-made", "code-in-a-pickle-that-looks-like-an-old-booster",
        "unit/test_pickle_exactness.py::test_no_loader_imports_what_the_reader_has_not_seen",
    ),
    "memory indices of four bytes": ("a-memory-slot-of-four-bytes",),
    "code that forks": ("backends/test_container_sandbox.py::test_a_fork_bomb_ends_at_the_limit",),
    "code that fills the disk": ("backends/test_container_sandbox.py::test_a_service_that_fills_its_sockets_folder",),
    "code that fills the memory": (
        "backends/test_backend_contract.py::test_a_start_that_needs_too_much_memory",
        "backends/test_backend_contract.py::test_a_prediction_that_needs_too_much_memory",
    ),
    "code that never returns": ("backends/test_backend_contract.py::test_an_answer_that_never_comes",),
    "code that floods the log": ("backends/test_backend_contract.py::test_a_flood_of_output_is_cut_to_its_end",),
    "code that prints secrets": (
        "backends/test_backend_contract.py::test_the_service_gets_nothing_of_the_workers_environment",
        "backends/test_container_sandbox.py::test_no_password_of_an_index_stays_in_an_image_or_a_log",
    ),
    "code that talks to the network": ("backends/test_container_sandbox.py::test_the_sandbox_holds",),
    "answers that are huge": (
        "backends/test_backend_contract.py::test_an_answer_that_is_too_large_is_not_taken",
        "backends/test_service_exchange.py::test_one_byte_too_many_is_too_large",
    ),
    "answers that are slow": ("backends/test_service_exchange.py::test_a_trickle_of_bytes_does_not_stretch_the_time",),
    "answers that are NaN or not JSON": ("unit/test_judging_answers.py::test_what_is_not_json_is_wrong",),
    "two imports of one name and version at once": (
        "adapters/test_registry.py::test_two_hundred_concurrent_reservations_of_one_version_have_one_winner",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", SHOWN_BY)
def test_what_shows_that_an_input_is_refused_or_survived_is_there(kind: str) -> None:
    for shown in SHOWN_BY[kind]:
        file, _, name = shown.partition("::")
        if name:
            assert re.search(rf"(?m)^def {name}", (ROOT / "tests" / file).read_text(encoding="utf-8")), shown
        else:
            assert (REJECT / shown / "expected.json").exists(), shown


def test_there_are_many_cases() -> None:
    assert len(list(REJECT.iterdir())) >= 120


def test_links_and_devices_of_a_folder_are_refused_and_never_read(tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "link").symlink_to("/etc/passwd")
    (model / "folder").symlink_to("/etc", target_is_directory=True)
    (model / "1").symlink_to(".", target_is_directory=True)
    os.mkfifo(model / "pipe")
    package = LocalPackage(tmp_path)
    assert package.manifest("").files == ()
    assert {(item.code, item.place.file) for item in package.noticed} == {
        ("PKG013", "model/link"),
        ("PKG013", "model/folder"),
        ("PKG013", "model/1"),
        ("PKG013", "model/pipe"),
    }
