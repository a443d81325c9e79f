"""Train a small real model and write the package that a data scientist would upload.

Usage:
    python examples/make_package.py --list
    python examples/make_package.py --engine Scikit_Learn --out DIR [--runtime NAME] [--trained FOLDER] [--package NAME]

Writes DIR/<name>/model/ and prints DIR/<name> as its last line. A package that is there and complete is left as it is,
so a second run gives the same bytes. The model is trained by the runtime's own engine, in an environment of its own
under the state folder; ``--trained`` takes a folder that the engine's train.py has filled elsewhere, in a container
for example. ``--package`` takes a further package of the same model: a folder inside the example's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parent
# Started as a file, this script has only its own folder on the path.
sys.path.append(str(EXAMPLES.parent))

import environments  # noqa: E402
from environments import ExampleError, Runtime  # noqa: E402

# What training.py writes beside the model; that module is not imported here because it needs NumPy.
REPORT = "training.json"
TRAINING_TIMEOUT_S = 600
# Scripts of the example's own folder that stay at home.
NOT_IN_PACKAGE = {"train.py"}

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One example: a folder with train.py, config.json, inference code and samples.

    Attributes:
        engine: The engine.
        name: The package's name.
        default: Whether the default demonstration imports it.
        folder: Where train.py lies.
        further: A folder inside with a configuration of its own, for another package of the same model; else empty.
    """

    engine: str
    name: str
    default: bool
    folder: Path
    further: str = ""

    @property
    def source(self) -> Path:
        """Where the package's configuration, code and samples lie."""
        return self.folder / self.further


def load_examples() -> list[Example]:
    """Read every example.json below this folder: those of the default demonstration first, then by engine."""
    examples = []
    for path in EXAMPLES.glob("*/example.json"):
        facts = json.loads(path.read_text(encoding="utf-8"))
        examples.append(
            Example(engine=facts["engine"], name=facts["name"], default=facts["default"], folder=path.parent)
        )
    return sorted(examples, key=lambda example: (not example.default, example.engine))


def find_example(engine: str, further: str = "") -> Example:
    """Take the example of an engine, or a further package of it.

    Raises:
        ExampleError: there is none.
    """
    examples = {example.engine: example for example in load_examples()}
    if engine not in examples:
        raise ExampleError(f"there is no example for {engine}; there is one for {', '.join(examples)}")
    example = examples[engine]
    if not further:
        return example
    names = further_packages(example)
    if further not in names:
        raise ExampleError(f"{example.name} has no further package {further}; it has {', '.join(names) or 'none'}")
    return replace(example, name=f"{example.name}-{further.replace('_', '-')}", further=further)


def further_packages(example: Example) -> list[str]:
    """Name the folders of an example that make other packages of the same model: those with a configuration."""
    return sorted(path.parent.name for path in example.folder.glob("*/config.json"))


def digest_files(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, as hex, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def digest_inputs(example: Example, runtime: Runtime) -> str:
    """Digest of everything that decides a package's bytes: scripts, data, samples, runtime and its pins."""
    inputs = {
        "runtime": runtime.name,
        "package": example.further,
        "constraints": hashlib.sha256(runtime.constraints.read_bytes()).hexdigest(),
        "example": digest_files(example.folder),
        "data": digest_files(EXAMPLES / "data"),
        "scripts": {
            name: hashlib.sha256((EXAMPLES / name).read_bytes()).hexdigest()
            for name in ("training.py", "make_package.py")
        },
    }
    return hashlib.sha256(json.dumps(inputs, sort_keys=True).encode()).hexdigest()


def train(example: Example, interpreter: Path, folder: Path) -> None:
    """Run the example's train.py with a quiet, repeatable environment.

    Raises:
        ExampleError: it fails or takes longer than TRAINING_TIMEOUT_S seconds.
    """
    variables = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    variables |= {"LC_ALL": "C.UTF-8", "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"}
    # One thread: sums come in the same order on every machine, whatever its cores.
    variables |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    command = [str(interpreter), str(example.folder / "train.py"), "--out", str(folder)]
    try:
        result = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=TRAINING_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ExampleError(f"{example.name}: training did not end within {TRAINING_TIMEOUT_S} s") from error
    if result.returncode:
        raise ExampleError(f"{example.name}: training failed:\n{result.stderr.strip()}")


def assemble(example: Example, runtime_name: str, trained: Path, model: Path) -> None:
    """Put a package's model folder together.

    Args:
        example: The example.
        runtime_name: The runtime that config.json names.
        trained: The folder that train.py filled: the model file and its report.
        model: The folder to fill.

    Raises:
        ExampleError: ``trained`` lacks the report or a model file.
    """
    try:
        report = json.loads((trained / REPORT).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ExampleError(f"{trained} has no {REPORT}; run {example.folder / 'train.py'} first") from error
    model_files = [path for path in sorted(trained.iterdir()) if path.name != REPORT]
    if not model_files:
        raise ExampleError(f"{trained} has no model file")
    model.mkdir(parents=True)
    for path in model_files:
        # Some engines save a folder.
        if path.is_dir():
            shutil.copytree(path, model / path.name, copy_function=shutil.copyfile)
        else:
            shutil.copyfile(path, model / path.name)
    for path in sorted(example.source.glob("*.py")):
        if path.name not in NOT_IN_PACKAGE:
            shutil.copyfile(path, model / path.name)
    config = json.loads((example.source / "config.json").read_text(encoding="utf-8"))
    config["runtime"] = runtime_name
    config["metrics"] = report["metrics"]
    write_json(model / "config.json", config)
    shutil.copytree(example.source / "samples", model / "samples")
    for key, response in report["responses"].items():
        further, _, name = key.rpartition("/")
        if further == example.further:
            write_json(model / "samples" / f"{name}.response.json", response)


def write_json(path: Path, document: Any) -> None:
    """Write a document as people write JSON, keys in their order."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def is_complete(package: Path, record: Path, inputs: str) -> bool:
    """Say whether the package is there, made of these inputs, and none of its files changed since."""
    if not record.exists() or not package.is_dir():
        return False
    return bool(json.loads(record.read_text(encoding="utf-8")) == {"inputs": inputs, "files": digest_files(package)})


def make_package(
    engine: str, out: Path, runtime_name: str | None = None, trained: Path | None = None, further: str = ""
) -> Path:
    """Make an engine's package, or leave the complete one that is there.

    Args:
        engine: The engine.
        out: The folder that gets the package's folder.
        runtime_name: The runtime to train with and to name; a current one by default.
        trained: The folder that train.py has filled elsewhere.
        further: A further package of the same model.

    Returns:
        The package's folder, which holds ``model/``.

    Raises:
        ExampleError: no such example or runtime, or an environment or training failed.
    """
    example = find_example(engine, further)
    runtime = environments.choose_runtime(engine, runtime_name)
    package = out.resolve() / example.name
    # Beside the package, not in it: the package's folder is uploaded as it is.
    record = package.with_name(f".{example.name}.json")
    inputs = digest_inputs(example, runtime)
    if trained is None and is_complete(package, record, inputs):
        log.info("%s is there, unchanged", example.name)
        return package
    package.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=package.parent, prefix=f".{example.name}-") as scratch:
        source = trained
        if source is None:
            interpreter = environments.prepare(runtime)
            source = Path(scratch) / "trained"
            log.info("training %s with %s", example.name, runtime.name)
            train(example, interpreter, source)
        fresh = Path(scratch) / "package"
        assemble(example, runtime.name, source, fresh / "model")
        record.unlink(missing_ok=True)
        if package.exists():
            package.rename(Path(scratch) / "old")
        fresh.rename(package)
    if trained is None:
        write_json(record, {"inputs": inputs, "files": digest_files(package)})
    return package


def describe(example: Example) -> dict[str, Any]:
    """Give an example's line of ``--list``; its runtime is null where the machine has no Python for one."""
    try:
        runtime = environments.choose_runtime(example.engine, None).name
    except ExampleError:
        runtime = None
    return {"engine": example.engine, "name": example.name, "runtime": runtime, "default": example.default}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit status."""
    parser = argparse.ArgumentParser(description="Train a small real model and write its package.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--list", action="store_true", help="print the examples as JSON lines")
    what.add_argument("--engine", help="the engine whose example to make")
    parser.add_argument("--out", type=Path, help="folder that gets the package's folder")
    parser.add_argument("--runtime", help="the runtime to train with and to name (default: a current one)")
    parser.add_argument("--trained", type=Path, help="folder that train.py has filled elsewhere")
    parser.add_argument("--package", default="", help="a further package of the same model: a folder of the example")
    options = parser.parse_args(arguments)
    # Ended by an exception, the run stops its child and removes its scratch folder.
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(message)s")
    if options.list:
        for example in load_examples():
            print(json.dumps(describe(example)))
        return 0
    if options.out is None:
        parser.error("--engine needs --out")
    try:
        print(make_package(options.engine, options.out, options.runtime, options.trained, options.package))
    except ExampleError as error:
        print(f"make_package: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
