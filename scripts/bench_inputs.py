"""Packages that validation is measured on: what models of that size really hold, written without any engine.

python -m scripts.bench_inputs NAME FOLDER
"""

from __future__ import annotations

import io
import json
import pickle
import random
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

MB: Final = 1_000_000
#: Random numbers are the same on every run.
SEED: Final = 20
_ENGINES = {
    "Scikit_Learn": "sklearn1.9-python3.11",
    "PyTorch": "pytorch2.13-python3.11-cpu",
}
_SERVICE = """\
from model_service.{module} import {base}


class Service({base}):
    pass
"""


def nothing_much(folder: Path) -> None:
    """The smallest package that is taken: what checking it takes is the program's own start."""
    model = _package(folder, "Scikit_Learn")
    (model / "customize_service.py").unlink()
    _written(model / "model.m", pickle.dumps([1.0], protocol=4))


def many_files(folder: Path) -> None:
    """A configuration of 100 KB, 2,000 files, and 20 MB of pickles full of small objects."""
    model = _package(folder, "Scikit_Learn", columns=900)
    sizes = 0
    writers = (records, vocabulary, numbers, texts)
    for index in range(12):
        data = pickle.dumps(writers[index % 4](random.Random(index), 2 * MB), protocol=4)
        name = "model.m" if index == 0 else f"parts/part-{index:02}.pkl"
        sizes += _written(model / name, data)
    for index in range(12, 1_996):
        _written(model / "data" / f"{index % 20:02}" / f"table-{index:04}.csv", b"a,b,c\n1,2,3\n" * 20)
    if not 20 * MB < sizes < 26 * MB:
        raise ValueError(f"the pickles have {sizes:,} bytes")


def forest(folder: Path) -> None:
    """1 GB of trees as `pickle.dump` writes them: arrays of some MB, and small objects around each."""
    model = _package(folder, "Scikit_Learn")
    with (model / "forest.m").open("wb") as file:
        pickle.dump(list(trees(1_000 * MB)), file, protocol=4)


def joblib_forest(folder: Path) -> None:
    """1 GB of trees as `joblib.dump` writes them: stand-ins, and the bytes of arrays between them."""
    model = _package(folder, "Scikit_Learn")
    with (model / "forest.m").open("wb") as file:
        _JoblibWriter(file).dump(list(trees(1_000 * MB)))


def compressed_forest(folder: Path) -> None:
    """500 MB of trees compressed with zlib, as `joblib.dump(compress=3)` writes them."""
    model = _package(folder, "Scikit_Learn")
    engine = zlib.compressobj(3)
    with (model / "forest.m").open("wb") as file:
        for part in _pickled(list(trees(500 * MB))):
            file.write(engine.compress(part))
        file.write(engine.flush())


def floats(folder: Path) -> None:
    """1 GB of numbers, each a Python object."""
    model = _package(folder, "Scikit_Learn")
    chance = random.Random(SEED)
    row = pickle.dumps([chance.random() for _ in range(1_000_000)], protocol=4)
    with (model / "rows.m").open("wb") as file:
        for _ in range(1_000 * MB // len(row) + 1):
            file.write(row)


def torch_archive(folder: Path) -> None:
    """1 GB of storages in an archive as `torch.save` writes it."""
    model = _package(folder, "PyTorch")
    names = [f"layer{index}.weight" for index in range(250)]
    storage = random.Random(SEED).randbytes(4 * MB)
    with zipfile.ZipFile(model / "net.pth", "w") as archive:
        archive.writestr("net/data.pkl", _state_dictionary(names, len(storage) // 4))
        archive.writestr("net/byteorder", b"little")
        for index in range(len(names)):
            archive.writestr(f"net/data/{index}", storage)
        archive.writestr("net/version", b"3\n")


def small_objects(folder: Path) -> None:
    """100 MB of nothing but small objects, the slowest that a pickle can be."""
    model = _package(folder, "Scikit_Learn")
    data = pickle.dumps(records(random.Random(SEED), 10 * MB), protocol=4)
    with (model / "records.m").open("wb") as file:
        for _ in range(100 * MB // len(data) + 1):
            file.write(data)


# ── what is pickled ──────────────────────────────────────────────────────────────────────────────────────────────────


def records(chance: random.Random, size: int) -> Any:
    """Small dictionaries with tuples in them."""
    return [
        {"key": index, "pair": (index, str(index)), "weight": chance.random(), "on": None}
        for index in range(size // 36)
    ]


def vocabulary(chance: random.Random, size: int) -> Any:
    """A dictionary of words, as a vectorizer holds it."""
    return {f"word{chance.randrange(10**6)}n{index}": index for index in range(size // 25)}


def numbers(chance: random.Random, size: int) -> Any:
    """Numbers of every width, one by one."""
    return [chance.randrange(10 ** chance.randrange(1, 9)) for _ in range(size // 4)]


def texts(chance: random.Random, size: int) -> Any:
    """Texts, as categories and labels are."""
    return [str(chance.randrange(10**12)) for _ in range(size // 16)]


def trees(size: int) -> Iterator[dict[str, Any]]:
    """Trees with arrays of 2 MB, and what stands around them."""
    import numpy

    values = numpy.random.RandomState(SEED).rand(2 * MB // 8)
    for index in range(size // values.nbytes):
        yield {
            "criterion": "gini",
            "max_depth": None,
            "random_state": index,
            "classes": [str(label) for label in range(50)],
            "importances": [0.25 * part for part in range(100)],
            "values": values + index,
        }


_Pickler: Any = pickle._Pickler  # it is there, and joblib's own derives from it


class _JoblibWriter(_Pickler):  # type: ignore[misc]
    """Writes arrays as joblib does: a stand-in, and the bytes behind it."""

    def __init__(self, file: Any) -> None:
        super().__init__(file, protocol=3)
        self.target = file

    def save(self, value: Any, save_persistent_id: bool = True) -> None:
        import numpy

        if type(value) is not numpy.ndarray:
            super().save(value, save_persistent_id)
            return
        state = {
            "subclass": numpy.ndarray,
            "shape": value.shape,
            "order": "C",
            "dtype": value.dtype,
            "allow_mmap": True,
            "numpy_array_alignment_bytes": 16,
        }
        self.write(b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81")
        super().save(state, save_persistent_id)
        self.write(b"b")
        padding = 16 - (self.target.tell() + 1) % 16
        self.write(bytes([padding]) + b"\xff" * padding + value.tobytes())


def _pickled(trees_: list[Any]) -> Iterator[bytes]:
    for tree in trees_:
        target = io.BytesIO()
        _JoblibWriter(target).dump(tree)
        yield target.getvalue()


def _state_dictionary(names: list[str], count: int) -> bytes:
    """The pickle of an archive: an ordered dictionary of tensors."""
    parts = [b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01("]
    for index, name in enumerate(names):
        parts += [
            b"X" + len(name).to_bytes(4, "little") + name.encode(),
            b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n",
            b"X" + len(str(index)).to_bytes(4, "little") + str(index).encode(),
            b"X\x03\x00\x00\x00cpuJ" + count.to_bytes(4, "little") + b"tQK\x00J" + count.to_bytes(4, "little"),
            b"\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR",
        ]
    return b"".join([*parts, b"u."])


def _package(folder: Path, engine: str, columns: int = 4) -> Path:
    """A package without model files; gives its folder `model`."""
    model = folder / "model"
    row = {f"column_{index}": {"type": "number", "description": f"{index:04}" + "." * 60} for index in range(columns)}
    body = {"type": "object", "properties": {"data": {"type": "object", "properties": row}}}
    api = {
        "protocol": "http",
        "url": "/",
        "method": "post",
        "request": {"Content-type": "application/json", "data": body},
        "response": {"Content-type": "application/json", "data": {"type": "object", "properties": {}}},
    }
    config = {
        "model_type": engine,
        "runtime": _ENGINES[engine],
        "model_algorithm": "predict_analysis",
        "metrics": {"accuracy": 0.9},
        "apis": [api],
    }
    _written(model / "config.json", json.dumps(config).encode())
    module, base = {
        "Scikit_Learn": ("python_model_service", "XgSklServingBaseService"),
        "PyTorch": ("pytorch_model_service", "PTServingBaseService"),
    }[engine]
    _written(model / "customize_service.py", _SERVICE.format(module=module, base=base).encode())
    return model


def _written(path: Path, data: bytes) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return len(data)


MAKERS: Final[dict[str, Callable[[Path], None]]] = {
    each.__name__: each
    for each in (
        nothing_much,
        many_files,
        forest,
        joblib_forest,
        compressed_forest,
        floats,
        torch_archive,
        small_objects,
    )
}

if __name__ == "__main__":
    MAKERS[sys.argv[1]](Path(sys.argv[2]))
