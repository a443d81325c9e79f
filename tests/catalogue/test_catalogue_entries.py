"""The runtime catalogue: form, keys, defaults, the facts of the specification's table, and the pins."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

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
SEED_ROWS = [
    ("Scikit_Learn", "python3.6", "0.18.1", "3.6", ["cpu"], True),
    ("XGBoost", "python3.6", "0.80", "3.6", ["cpu"], True),
    ("PyTorch", "python3.6", "1.0", "3.6", ["cpu", "gpu"], True),
    ("PyTorch", "python3.7", "1.0", "3.7", ["cpu", "gpu"], False),
    ("PyTorch", "pytorch1.4-python3.7", "1.4", "3.7", ["cpu", "gpu"], False),
]
every_entry = pytest.mark.parametrize("key", ENTRIES)
every_built_entry = pytest.mark.parametrize("key", [key for key, row in ENTRIES.items() if row["available"]])


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
    if suffix in {"cpu", "gpu"}:
        assert ENTRIES[key]["devices"] == [suffix]


@every_entry
def test_the_python_in_the_name_of_a_runtime_is_its_python(key):
    _, mark, after = key.partition("/")[2].partition("python")
    if mark:
        assert after.split("-")[0] == ENTRIES[key]["python"]


def test_every_engine_has_exactly_one_default_and_it_is_a_row_of_the_specification():
    defaults = sorted((row["engine"], row["status"]) for row in ENTRIES.values() if row["default"])
    assert defaults == sorted((engine, "seed") for engine in {row["engine"] for row in ENTRIES.values()})


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
    versions = [pin.partition("==")[2].partition("+")[0] for pin in ENTRIES[key]["requirements"]]
    claimed = ENTRIES[key]["engine_version"]
    assert any(version == claimed or version.startswith(f"{claimed}.") for version in versions)


@every_entry
def test_a_runtime_that_is_not_available_names_one_that_is(key):
    row = ENTRIES[key]
    if not row["available"]:
        assert ENTRIES[f"{row['engine']}/{row['nearest']}"]["available"]


@every_built_entry
def test_the_constraints_pin_everything_and_hold_the_direct_requirements(key):
    pins = pins_of(key)
    direct = pin_entries.parse_pins("\n".join(ENTRIES[key]["requirements"]))
    assert direct.items() <= pins.items()
    assert {"gunicorn", "werkzeug"} <= set(pins)


@every_built_entry
def test_the_constraints_of_a_cpu_runtime_bring_no_gpu_library(key):
    if ENTRIES[key]["status"] == "current" and ENTRIES[key]["devices"] == ["cpu"]:
        assert [name for name in pins_of(key) if "nvidia" in name or "cuda" in name or name == "xgboost"] == []


def test_the_constraints_are_up_to_date_and_none_is_left_over():
    entries = pin_entries.load_entries()
    stale = {
        entry.key: pin_entries.find_problems(entry, entry.constraints.read_text(encoding="utf-8")) for entry in entries
    }
    assert {key: problems for key, problems in stale.items() if problems} == {}
    assert pin_entries.find_orphans(entries) == []
