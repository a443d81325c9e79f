"""Which form a model file has, by its name and its first bytes, and what it says of itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from airlock.domain.model_files import (
    booster_files,
    caffe_files,
    hdf5_file,
    keras_file,
    mindspore_files,
    mxnet_file,
    numpy_file,
    onnx_file,
    pickle_facts,
    safetensors_file,
    spark_files,
    tensorflow_file,
    transformers_files,
)
from airlock.domain.model_files.facts import Facts, Problem
from airlock.domain.model_files.placeholders import EMPTY, POINTER, placeholder_of
from airlock.domain.model_files.ranges import Ranges
from airlock.domain.model_files.streams import Binary, Unreadable, compression
from airlock.domain.model_files.torch_file import LEGACY_MAGIC
from airlock.domain.model_files.zip_archive import Members

HEAD_BYTES = 512
#: Endings of files that are pickles, or hold one.
PICKLE_ENDINGS = (".m", ".pth", ".pt", ".pkl", ".pickle", ".joblib", ".bin", ".ckpt")
TORCH_ENDINGS = (".pth", ".pt", ".bin")
ZIP = b"PK\x03\x04"
LZ4 = pickle_facts.LZ4

Reader = Callable[[Ranges], "Facts | None"]
#: Endings whose files have one form; whoever loads them takes no other.
_BY_ENDING: tuple[tuple[str, Reader], ...] = (
    ("saved_model.pb", tensorflow_file.read_saved_model),
    ("saved_model.pbtxt", tensorflow_file.refuse),
    ("saved_model.cpb", tensorflow_file.refuse),
    ("keras_metadata.pb", tensorflow_file.read_keras_metadata),
    (".onnx", onnx_file.read_onnx),
    (".safetensors", safetensors_file.read_safetensors),
    ("-symbol.json", mxnet_file.read_symbol),
    (".prototxt", caffe_files.read_prototxt),
    (".caffemodel", caffe_files.read_caffemodel),
    (".mindir", mindspore_files.read_mindir),
    (".tflite", tensorflow_file.read_lite),
    (".npy", numpy_file.read_array),
    (".h5", hdf5_file.read_hdf5),
    (".hdf5", hdf5_file.read_hdf5),
    (".cbm", booster_files.read_catboost),
    (".lgb", booster_files.read_lightgbm),
    (".ubj", booster_files.read_xgboost),
)
#: Openings whose files have one form, under any name that is looked at.
_BY_OPENING: tuple[tuple[bytes, Reader], ...] = (
    (hdf5_file.SIGNATURE, hdf5_file.read_hdf5),
    (numpy_file.OPENING, numpy_file.read_array),
    (booster_files.CATBOOST_OPENING, booster_files.read_catboost),
    (booster_files.LIGHTGBM_OPENING, booster_files.read_lightgbm),
    *((opening, booster_files.read_xgboost) for opening in booster_files.XGBOOST_OPENINGS),
    (mxnet_file.PARAMETERS_MAGIC, mxnet_file.read_parameters),
)
#: Endings that several kinds of files have, most of them no models: a form that is not known is no finding.
_MAYBE_ENDINGS = (".pb", ".params", ".model", ".bst", ".xgb", ".keras", ".npz")
_MAYBE_AT_THE_TOP = (".json", ".txt")
#: How models that are text begin; other openings mean nothing in a file of labels.
_TEXT_OPENINGS = (booster_files.LIGHTGBM_OPENING, b'{"learner"', b'{"version":[')


def is_model_file(path: str) -> bool:
    """Whether a file of this path (under `model/`) is looked at."""
    lower = path.lower()
    endings = (*PICKLE_ENDINGS, *(ending for ending, _ in _BY_ENDING), *_MAYBE_ENDINGS)
    if "/" not in lower and lower != "config.json":
        endings = (*endings, *_MAYBE_AT_THE_TOP)
    return lower.endswith(endings) or is_spark_metadata(lower) or transformers_files.is_configuration(lower)


def has_one_form(path: str) -> bool:
    """Whether whoever loads files of this name takes one form alone."""
    return path.lower().endswith((*(ending for ending, _ in _BY_ENDING), ".keras"))


def may_be_empty(path: str) -> bool:
    """Whether a file of this name may have no bytes: a message of defaults, or one of several parts."""
    lower = path.lower()
    return lower.endswith("keras_metadata.pb") or (".data-" in lower and not lower.endswith("-of-00001"))


def may_be_text(path: str) -> bool:
    """Whether a file of this name may be any text."""
    return path.lower().endswith(_MAYBE_AT_THE_TOP)


def is_spark_metadata(path: str) -> bool:
    """Whether a file says which class loads a part of a Spark model."""
    folders = path.split("/")
    if len(folders) < 3 or folders[-2] != "metadata":
        return False
    # Spark takes the first line of any file of that folder but of hidden ones.
    return folders[-1].startswith("part-") or (folders[0] == "spark_model" and not folders[-1].startswith((".", "_")))


def is_pickled(path: str, head: bytes) -> bool:
    """Whether a file is a pickle, or an archive that holds one."""
    lower = path.lower()
    if not lower.endswith(PICKLE_ENDINGS) or booster_files.is_old_xgboost(head):
        return False
    # CatBoost's mark is an instruction of a pickle and its length: what comes behind it would run all the same.
    if _by_opening(head) and not head.startswith(booster_files.CATBOOST_OPENING):
        return False
    if lower.endswith((".bin", ".ckpt")):
        return head.startswith((ZIP, LZ4, b"\x80")) or bool(compression(head)) or LEGACY_MAGIC in head[:32]
    return True


def facts_of(path: str, size: int, file: Binary) -> Facts | None:
    """What a file says of itself, from its headers.

    Args:
        path: Its path under `model/`.
        size: Its length in bytes.
        file: Its bytes.

    Returns:
        None where its form is not known.

    Raises:
        Unreadable: It is damaged, or not of the form that its name promises.
        OverLimit: Its headers are larger than is looked at.
    """
    head = Ranges(file, size).up_to(0, HEAD_BYTES)
    lower = path.lower()
    if head.startswith(ZIP):
        return _archive(lower, size, file)
    instead = placeholder_of(head, size)
    if instead is EMPTY and not may_be_empty(lower):
        return None
    if instead not in (None, EMPTY) and (instead is POINTER or not may_be_text(lower)):
        return Facts(says=instead.says, claims=())
    if is_pickled(lower, head) and not head.startswith(booster_files.CATBOOST_OPENING):
        facts = _perhaps(_read_safetensors, file, size) if _is_safetensors(head) else None
        facts = facts or pickle_facts.read_pickle(
            file,
            size,
            torch_name=lower.endswith(TORCH_ENDINGS),
            looked_at_bytes=pickle_facts.LOOKED_AT_BYTES_OF_PARTS if "/" in path else pickle_facts.LOOKED_AT_BYTES,
        )
        return facts or other_form(head, size, file)
    reader = next((reader for ending, reader in _BY_ENDING if lower.endswith(ending)), None)
    if reader is None and (not lower.endswith(_MAYBE_AT_THE_TOP) or head.startswith(_TEXT_OPENINGS)):
        reader = _by_opening(head)
    if reader is None and is_spark_metadata(lower):
        if not lower.startswith("spark_model/"):
            return _perhaps(spark_files.read_spark_metadata, file, size)
        reader = spark_files.read_spark_metadata
    if reader is not None:
        return reader(Ranges(file, size))
    if lower.endswith(".json") and booster_files.is_catboost_json(head):
        return _perhaps(booster_files.read_catboost_json, file, size)
    if transformers_files.is_configuration(lower):
        return _perhaps(transformers_files.read_configuration, file, size)
    if lower.endswith(".keras"):
        # Zip archives are found from their end, whatever stands before.
        raise Unreadable("it begins neither as an archive nor as HDF5")
    if lower.endswith(".ckpt"):
        return _perhaps(mindspore_files.read_checkpoint, file, size) or other_form(head, size, file)
    if lower.endswith(".pb"):
        return _perhaps(tensorflow_file.read_frozen_graph, file, size)
    if booster_files.is_old_xgboost(head):
        return booster_files.read_xgboost(Ranges(file, size))
    return other_form(head, size, file) if lower.endswith(PICKLE_ENDINGS) else None


def other_form(head: bytes, size: int, file: Binary) -> Facts | None:
    """What a file of a pickle's name says of itself where it is none; None where its form is not known."""
    if _is_safetensors(head):
        return _perhaps(_read_safetensors, file, size)
    return _perhaps(onnx_file.read_onnx, file, size)


def _is_safetensors(head: bytes) -> bool:
    # Behind the length of eight bytes stands an object of JSON.
    return head[8:9] == b"{"


def _read_safetensors(ranges: Ranges) -> Facts:
    facts = safetensors_file.read_safetensors(ranges)
    message = "It is in safetensors, under a name that pickles have: neither joblib nor `torch.load` reads it."
    return replace(facts, problems=(Problem(code="MDL010", message=message),))


def _by_opening(head: bytes) -> Reader | None:
    return next((reader for opening, reader in _BY_OPENING if head.startswith(opening)), None)


def _archive(path: str, size: int, file: Binary) -> Facts | None:
    if path.endswith((".keras", ".h5")):
        return keras_file.read_keras_archive(file, size)
    if path.endswith(numpy_file.ENDINGS):
        return numpy_file.read_arrays(file, size)
    if not path.endswith(PICKLE_ENDINGS):
        return None
    names = {member.name for member in Members.of(file, size).entries}
    if keras_file.is_keras_archive(names):
        return keras_file.read_keras_archive(file, size)
    return pickle_facts.read_torch_archive(file, size)


def _perhaps(reader: Reader, file: Binary, size: int) -> Facts | None:
    """What the reader says; None where the file has another form."""
    try:
        return reader(Ranges(file, size))
    except Unreadable:
        return None
