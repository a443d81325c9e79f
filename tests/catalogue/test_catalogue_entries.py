"""The runtime catalogue: form, keys, defaults, the facts of the specification's table, and the pins."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from airlock.adapters.catalogue_files import load_catalogue
from airlock.domain.device import Device
from scripts import pin_entries

ROOT = Path(__file__).resolve().parents[2]
CATALOGUE = ROOT / "include" / "runtimes" / "catalogue"
CONSTRAINTS = ROOT / "include" / "runtimes" / "images" / "constraints"
SCHEMA = json.loads((ROOT / "include" / "specs" / "runtime.schema.json").read_text(encoding="utf-8"))
ENTRIES = {
    f"{path.parent.name}/{path.name.removesuffix('.yaml')}": yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(CATALOGUE.glob("*/*"))
}

# Table 1 of "Importing a Meta Model from OBS": engine, runtime, engine version, Python, devices, default of its engine.
# The table states no Python for tf1.15-aarch64-c76-d910; the entry says where its 3.7 comes from.
CPU, GPU, BOTH, ASCEND = ["cpu"], ["gpu"], ["cpu", "gpu"], ["ascend"]
SEED_ROWS = [
    ("TensorFlow", "python2.7", "1.8.0", "2.7", BOTH, True),
    ("TensorFlow", "python3.6", "1.8.0", "3.6", BOTH, False),
    ("TensorFlow", "tf1.13-python2.7-gpu", "1.13", "2.7", GPU, False),
    ("TensorFlow", "tf1.13-python2.7-cpu", "1.13", "2.7", CPU, False),
    ("TensorFlow", "tf1.13-python3.6-gpu", "1.13", "3.6", GPU, False),
    ("TensorFlow", "tf1.13-python3.6-cpu", "1.13", "3.6", CPU, False),
    ("TensorFlow", "tf1.13-python3.7-cpu", "1.13", "3.7", CPU, False),
    ("TensorFlow", "tf1.13-python3.7-gpu", "1.13", "3.7", GPU, False),
    ("TensorFlow", "tf2.1-python3.7", "2.1", "3.7", BOTH, False),
    ("TensorFlow", "tf1.15-aarch64-c76-d910", "1.15", "3.7", ASCEND, False),
    ("MXNet", "python3.7", "1.2.1", "3.7", BOTH, False),
    ("MXNet", "python3.6", "1.2.1", "3.6", BOTH, True),
    ("Caffe", "python3.6", "1.0.0", "3.6", CPU, True),
    ("Caffe", "python3.7", "1.0.0", "3.7", CPU, False),
    ("Caffe", "python3.6-gpu", "1.0.0", "3.6", GPU, False),
    ("Caffe", "python3.7-gpu", "1.0.0", "3.7", GPU, False),
    ("Caffe", "python3.6-cpu", "1.0.0", "3.6", CPU, False),
    ("Caffe", "python3.7-cpu", "1.0.0", "3.7", CPU, False),
    ("Spark_MLlib", "python3.6", "2.3.2", "3.6", CPU, True),
    ("Scikit_Learn", "python3.6", "0.18.1", "3.6", CPU, True),
    ("XGBoost", "python3.6", "0.80", "3.6", CPU, True),
    ("PyTorch", "python3.6", "1.0", "3.6", BOTH, True),
    ("PyTorch", "python3.7", "1.0", "3.7", BOTH, False),
    ("PyTorch", "pytorch1.4-python3.7", "1.4", "3.7", BOTH, False),
    ("MindSpore", "ms1.1-python3.7-c76", "1.1.1", "3.7", ASCEND, True),
]
SEED_ENGINES = {engine for engine, *_ in SEED_ROWS}
# Distributions whose code is for GPUs, and which a row for CPUs alone must not bring.
GPU_BUILDS = {"tensorflow-gpu", "mxnet-cu90", "onnxruntime-gpu", "xgboost", "triton"}
# What no registry publishes under its tag.
MADE_BASES = ("airlock-base/", "python:3.6-java8")
every_entry = pytest.mark.parametrize("key", ENTRIES)
every_built_entry = pytest.mark.parametrize("key", [key for key, row in ENTRIES.items() if row["available"]])


every_build = pytest.mark.parametrize("entry", pin_entries.load_entries(), ids=lambda entry: entry.key)


def builds_of(row):
    """The row and each of its variants, with what a variant leaves to the row."""
    return [
        row,
        *({**row, "base_recipe": "", "base_provides": [], **variant} for variant in row.get("variants", {}).values()),
    ]


def versions_of(pins):
    return [pin.partition("==")[2].partition("+")[0] for pin in pins]


def pins_of(key):
    return pin_entries.parse_pins((CONSTRAINTS / f"{key}.txt").read_text(encoding="utf-8"))


def test_the_schema_itself_is_valid():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)


def test_every_property_of_the_schema_has_a_title_and_a_description():
    properties = {**SCHEMA["properties"], **SCHEMA["properties"]["service"]["properties"]}
    assert [name for name, rule in properties.items() if not (rule.get("title") and rule.get("description"))] == []


@every_entry
def test_an_entry_follows_the_schema(key):
    errors = [error.message for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(ENTRIES[key])]
    assert errors == []


@every_entry
def test_the_place_of_an_entry_is_its_key(key):
    assert key == f"{ENTRIES[key]['engine']}/{ENTRIES[key]['runtime']}"


@every_entry
def test_a_suffix_in_the_name_of_a_runtime_says_its_only_device(key):
    suffix = key.rpartition("-")[2]
    if suffix in {"cpu", "gpu", "ascend"}:
        assert ENTRIES[key]["devices"] == [suffix]


@every_entry
def test_the_python_in_the_name_of_a_runtime_is_its_python(key):
    _, mark, after = key.partition("/")[2].partition("python")
    if mark:
        assert after.split("-")[0] == ENTRIES[key]["python"]


def test_every_engine_has_exactly_one_default_and_the_specification_s_engines_one_of_its_rows():
    defaults = sorted((row["engine"], row["status"]) for row in ENTRIES.values() if row["default"])
    engines = sorted({row["engine"] for row in ENTRIES.values()})
    assert defaults == [(engine, "seed" if engine in SEED_ENGINES else "current") for engine in engines]


def test_the_specification_has_25_rows():
    assert len({row[:2] for row in SEED_ROWS}) == len(SEED_ROWS) == 25


def test_every_engine_has_a_row_for_the_cpu_on_a_current_python():
    there = {row["engine"] for row in ENTRIES.values() if row["python"] == "3.11" and "cpu" in row["devices"]}
    assert there == {row["engine"] for row in ENTRIES.values()}


@pytest.mark.parametrize("engine, runtime, version, python, devices, default", SEED_ROWS)
def test_a_row_of_the_specification_keeps_its_facts(engine, runtime, version, python, devices, default):
    row = ENTRIES[f"{engine}/{runtime}"]
    facts = (row["engine_version"], row["python"], row["devices"], row["default"], row["status"])
    assert facts == (version, python, devices, default, "seed")


def test_no_row_calls_itself_the_specification_s_that_is_not():
    assert {key for key, row in ENTRIES.items() if row["status"] == "seed"} == {
        f"{engine}/{runtime}" for engine, runtime, *_ in SEED_ROWS
    }


@every_entry
def test_an_entry_pins_the_engine_version_that_it_claims(key):
    row = ENTRIES[key]
    claimed = row["engine_version"]
    for build in builds_of(row):
        versions = versions_of([*build["requirements"], *build.get("base_provides", [])])
        found = any(version == claimed or version.startswith(f"{claimed}.") for version in versions)
        assert found or (build is row and row.get("stand_in") and "genuine" in row["variants"])


@every_entry
def test_a_stand_in_says_what_it_is_not(key):
    row = ENTRIES[key]
    assert bool(row.get("stand_in")) == (row["engine"] == "Caffe")
    if row.get("stand_in"):
        assert "is not Caffe" in " ".join(row["stand_in"].split())


@every_entry
def test_a_row_of_the_specification_for_one_kind_of_device_pins_the_build_for_it(key):
    row = ENTRIES[key]
    names = {pin.partition("==")[0] for pin in row["requirements"]}
    if row["engine"] == "TensorFlow" and row["status"] == "seed" and row["devices"] != ASCEND:
        assert ("tensorflow-gpu" in names) == (row["devices"] == GPU)


@every_entry
def test_tensorflow_s_builds_and_no_others_have_the_model_below_a_folder_named_1_too(key):
    for build in builds_of(ENTRIES[key]):
        assert (build["environment"].get("AIRLOCK_MODEL_ONE") == "1") == (key.startswith("TensorFlow/"))


@every_entry
def test_a_row_for_both_devices_has_a_build_for_gpus_or_one_that_serves_both(key):
    row = ENTRIES[key]
    if row["devices"] == BOTH:
        assert row["engine"] == "PyTorch" or row["variants"]["gpu"]["devices"] == GPU


@every_entry
def test_a_row_for_ascend_alone_is_one_of_aarch64_on_an_image_with_cann(key):
    row = ENTRIES[key]
    assert (row["devices"] == ASCEND) == (row["architectures"] == ["aarch64"])
    if row["devices"] == ASCEND:
        assert "ascend" in row["base_image"]


@pytest.mark.parametrize(
    "engine, runtime, nearest",
    [
        ("MindSpore", "ms1.1-python3.7-c76", "mindspore2.10-python3.11-cpu"),
        ("MindSpore", "mindspore2.10-python3.11-ascend", "mindspore2.10-python3.11-cpu"),
        ("TensorFlow", "tf1.15-aarch64-c76-d910", "tf1.13-python3.7-cpu"),
    ],
)
def test_a_row_for_aarch64_has_a_nearest_one_for_other_machines(engine, runtime, nearest):
    catalogue = load_catalogue(ROOT / "include")
    assert catalogue.nearest_on("x86_64", catalogue.find(engine, runtime)).name == nearest


@every_entry
def test_a_base_image_that_nobody_publishes_comes_with_its_recipe_and_no_other_does(key):
    for build in builds_of(ENTRIES[key]):
        assert bool(build.get("base_recipe")) == build["base_image"].startswith(MADE_BASES)


@every_entry
def test_a_recipe_builds_on_the_row_s_python_and_uses_only_stages_that_it_names(key):
    for build in builds_of(ENTRIES[key]):
        lines = build.get("base_recipe", "").splitlines()
        bases = [line.split() for line in lines if line.startswith("FROM ")]
        stages = {words[3] for words in bases if len(words) == 4}
        assert {line.split("--from=")[1].split()[0] for line in lines if "--from=" in line} == stages
        if lines and "caffe" not in build["base_image"]:
            assert bases[-1] == ["FROM", f"python:{build['python']}-slim"]


def test_the_same_base_image_has_one_recipe():
    recipes = {}
    for row in ENTRIES.values():
        for build in builds_of(row):
            recipes.setdefault(build["base_image"], set()).add(build.get("base_recipe", ""))
    assert {image: texts for image, texts in recipes.items() if len(texts) > 1} == {}


@every_entry
def test_a_runtime_that_is_not_available_names_one_that_is(key):
    row = ENTRIES[key]
    if not row["available"]:
        assert ENTRIES[f"{row['engine']}/{row['nearest']}"]["available"]


@every_build
def test_the_constraints_pin_everything_and_hold_the_direct_requirements(entry):
    pins = pins_of(entry.key)
    assert pin_entries.parse_pins("\n".join(entry.direct)).items() <= pins.items()
    assert {"gunicorn", "werkzeug"} <= set(pins)


@every_built_entry
def test_the_constraints_of_a_cpu_runtime_bring_no_gpu_library(key):
    if ENTRIES[key]["devices"] == CPU and key != "XGBoost/python3.6":
        assert [name for name in pins_of(key) if "nvidia" in name or "cuda" in name or name in GPU_BUILDS] == []


def test_the_constraints_are_up_to_date_and_none_is_left_over():
    entries = pin_entries.load_entries()
    stale = {
        entry.key: pin_entries.find_problems(entry, entry.constraints.read_text(encoding="utf-8")) for entry in entries
    }
    assert {key: problems for key, problems in stale.items() if problems} == {}
    assert pin_entries.find_orphans(entries) == []


def test_the_catalogue_loads_with_its_variants():
    catalogue = load_catalogue(ROOT / "include")
    row = catalogue.find("MXNet", "python3.6")
    assert "mxnet==1.2.1\n" in row.constraints
    gpu = row.as_variant("gpu")
    assert (gpu.devices, "mxnet-cu90==1.2.1\n" in gpu.constraints) == ((Device.GPU,), True)
    assert gpu.base_recipe.startswith("ARG CUDA_IMAGE=nvidia/cuda:9.0")
    assert gpu.system_packages == row.system_packages
    caffe = catalogue.find("Caffe", "python3.6")
    assert "is not Caffe" in caffe.stand_in
    assert caffe.as_variant("genuine").stand_in == ""


@pytest.mark.parametrize(
    "engine, name, row",
    [
        ("TensorFlow", "tensorflow_1.13.1-cpu-py_3.7-ubuntu_18.04-x86_64", "tf1.13-python3.7-cpu"),
        ("TensorFlow", "tensorflow_2.1.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64", "tf2.1-python3.7"),
        ("PyTorch", "pytorch_1.4.0-cuda_10.1-py_3.7-ubuntu_18.04-x86_64", "pytorch1.4-python3.7"),
        ("PyTorch", "pytorch_2.13.0-cuda_13.0-py_3.12-ubuntu_22.04-x86_64", "pytorch2.13-python3.12-gpu"),
        ("MindSpore", "mindspore_1.1.1-cann_20.1-py_3.7-euler_2.8-aarch64", "ms1.1-python3.7-c76"),
        ("MindSpore", "mindspore_2.10.0-cpu-py_3.11-ubuntu_22.04-x86_64", "mindspore2.10-python3.11-cpu"),
    ],
)
def test_a_runtime_name_of_the_unified_form_finds_its_row(engine, name, row):
    assert load_catalogue(ROOT / "include").find(engine, name).name == row


@pytest.mark.parametrize(
    "engine, name, row",
    [
        ("PyTorch", "pytorch_1.8.0-cuda_10.2-py_3.7-ubuntu_18.04-x86_64", "pytorch1.4-python3.7"),
        ("MindSpore", "mindspore_1.7.0-cpu-py_3.7-ubuntu_18.04-x86_64", "mindspore2.10-python3.11-cpu"),
        ("MindSpore", "mindspore_1.7.0-cann_5.1.0-py_3.7-euler_2.8.3-aarch64", "ms1.1-python3.7-c76"),
        ("TensorFlow", "tensorflow_2.6.0-cuda_11.2-py_3.7-ubuntu_18.04-x86_64", "tf2.1-python3.7"),
    ],
)
def test_a_runtime_name_of_the_unified_form_that_no_row_fits_gets_the_nearest(engine, name, row):
    catalogue = load_catalogue(ROOT / "include")
    assert catalogue.find(engine, name) is None
    assert catalogue.suggestion(engine, name).startswith(f"The nearest is {row!r}: ")
