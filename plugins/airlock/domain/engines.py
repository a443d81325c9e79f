"""The engines: what each needs in a package, independent of any runtime.

Source: Model package specifications; Specifications for compiling the model configuration file. ONNX, LightGBM,
CatBoost and Transformers are this project's own.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Collection
from dataclasses import dataclass

CONFIG_FILE = "config.json"
SERVICE_FILE = "customize_service.py"
IMAGE = "Image"


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """One kind of file that an engine needs.

    Attributes:
        patterns: Shell patterns of the path under `model/`; a pattern without `/` matches in `model/` itself only.
        what: The kind in words, for a message.
        single: Whether exactly one file must match; else at least one.
        prefer: What the name of the file to take holds where several match; empty where that decides nothing.
        prefix_of: Ending of the one file whose name, without it, this kind's names begin with; empty for any name.
        as_shell: Whether the service finds it as a shell does, which sees no name that begins with a dot.
    """

    patterns: tuple[str, ...]
    what: str
    single: bool = False
    prefer: str = ""
    prefix_of: str = ""
    as_shell: bool = False

    def matches(self, paths: Collection[str]) -> list[str]:
        """The paths that are of this kind, sorted."""
        # By depth first: most files of a package of thousands lie deeper than any pattern looks.
        found: set[str] = set()
        for pattern in self.patterns:
            depth = pattern.count("/")
            found.update(path for path in paths if path.count("/") == depth and fnmatch.fnmatchcase(path, pattern))
        return sorted(path for path in found if not (self.as_shell and path.rpartition("/")[2].startswith(".")))

    def candidates(self, paths: Collection[str]) -> list[str]:
        """The paths that the engine's own service chooses from, sorted: none means that the file is missing."""
        found = self.matches(paths)
        if self.prefer and len(found) > 1:
            return [path for path in found if self.prefer in path] or found
        return found

    def has_prefix(self, path: str, prefix: str) -> bool:
        """Whether a path is this prefix, and behind it nothing but what the patterns ask for."""
        rest = path.removeprefix(prefix) if path.startswith(prefix) else ""
        return any(fnmatch.fnmatchcase(rest, pattern.removeprefix("*")) for pattern in self.patterns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """One value of `model_type`.

    Attributes:
        name: As `model_type` spells it.
        model_files: What must lie in `model/`.
        json_only: A machine-learning engine: takes application/json only, hands raw JSON text to the code, and wraps
            the answer as `{"data": {"resp_data": …}}`.
        code_required: Whether the base class loads nothing by itself, so that customize_service.py is mandatory.
        code_replaces_files: Whether inference code may load other files than the engine's own.
        code_chooses_files: Whether inference code may choose among several of them: it gets their folder.
    """

    name: str
    model_files: tuple[ModelFile, ...]
    json_only: bool = False
    code_required: bool = False
    code_replaces_files: bool = False
    code_chooses_files: bool = False

    def loads(self, path: str) -> bool:
        """Whether a file of this path under `model/` is one of its model files."""
        # Checksums and marks that Hadoop leaves beside what it writes begin so.
        hidden = path.rpartition("/")[2].startswith((".", "_"))
        return not hidden and any(kind.matches([path]) for kind in self.model_files)


_M_FILE = (ModelFile(patterns=("*.m",), what="one `*.m` file", single=True),)

ENGINES: dict[str, Engine] = {
    engine.name: engine
    for engine in (
        Engine(
            name="TensorFlow",
            model_files=(
                ModelFile(patterns=("saved_model.pb",), what="`saved_model.pb`", single=True),
                ModelFile(patterns=("variables/variables.index",), what="`variables/variables.index`", single=True),
                ModelFile(patterns=("variables/variables.data-*-of-*",), what="`variables/variables.data-*-of-*`"),
            ),
            code_replaces_files=True,
        ),
        Engine(
            name="MXNet",
            model_files=(
                ModelFile(patterns=("*-symbol.json",), what="one `*-symbol.json`", single=True, as_shell=True),
                # Of several epochs the last one is loaded.
                ModelFile(
                    patterns=("*-[0-9][0-9][0-9][0-9].params",), what="`*-NNNN.params`", prefix_of="-symbol.json"
                ),
            ),
            code_chooses_files=True,
        ),
        Engine(
            name="Caffe",
            model_files=(
                # Training leaves `train_val.prototxt` and `solver.prototxt` beside the one that is deployed.
                ModelFile(
                    patterns=("*.prototxt",), what="one `*.prototxt`", single=True, prefer="deploy", as_shell=True
                ),
                ModelFile(patterns=("*.caffemodel",), what="one `*.caffemodel`", single=True, as_shell=True),
            ),
            code_chooses_files=True,
        ),
        Engine(
            name="Spark_MLlib",
            model_files=(ModelFile(patterns=("spark_model/metadata/*",), what="the folder `spark_model/`"),),
            json_only=True,
        ),
        Engine(name="Scikit_Learn", model_files=_M_FILE, json_only=True),
        Engine(name="XGBoost", model_files=_M_FILE, json_only=True),
        Engine(
            name="PyTorch",
            model_files=(ModelFile(patterns=("*.pth", "*.pt"), what="one `*.pth` file", single=True),),
            code_required=True,
        ),
        Engine(
            name="MindSpore",
            model_files=(ModelFile(patterns=("*.ckpt",), what="a `*.ckpt`"),),
            code_required=True,
        ),
        Engine(name="ONNX", model_files=(ModelFile(patterns=("*.onnx",), what="one `*.onnx` file", single=True),)),
        Engine(
            name="LightGBM",
            model_files=(ModelFile(patterns=("*.lgb", "*.m"), what="one `*.lgb` or `*.m` file", single=True),),
            json_only=True,
        ),
        Engine(
            name="CatBoost",
            model_files=(ModelFile(patterns=("*.cbm", "*.m"), what="one `*.cbm` or `*.m` file", single=True),),
            json_only=True,
        ),
        Engine(
            name="Transformers",
            model_files=(
                # The model's own configuration has the name of the package's, and so it lies one folder below.
                ModelFile(
                    patterns=("*/config.json",), what="one folder with the model's own `config.json`", single=True
                ),
                ModelFile(patterns=("*/*.safetensors",), what="`*.safetensors` in that folder"),
            ),
            code_replaces_files=True,
        ),
    )
}

#: Every value that `model_type` may have.
MODEL_TYPES = (*ENGINES, IMAGE)
