"""Dependencies beside the runtime's own pins: what can never be installed is told before any build."""

from __future__ import annotations

import pytest

from airlock.domain.catalogue import Catalogue
from airlock.domain.dependencies import Dependency, Restraint
from airlock.domain.findings import Place
from airlock.domain.pins import check_pins
from tests.unit.given import runtime
from tests.unit.rule_cases import whole_catalogue

PLACE = Place(file="model/config.json", pointer="/dependencies/0/packages/1", line=3, column=5)
NEW = runtime(name="sklearn1.9-python3.11", constraints="numpy==2.4.6\nscikit-learn==1.9.1\ntorch==2.13.0+cpu\n")
OLD = runtime(name="python3.6", constraints="# pins\nnumpy==1.16.6\nscikit-learn==0.18.1 ; python_version < '4'\n")
CATALOGUE = Catalogue.of([NEW, OLD])


def needing(name: str, version: str = "", restraint: Restraint | None = None) -> Dependency:
    return Dependency(name=name, version=version, restraint=restraint)


def told(*dependencies: Dependency) -> list[tuple[str, str]]:
    return [(item.message, item.fix) for item in check_pins(dependencies, NEW, CATALOGUE)]


@pytest.mark.parametrize(
    "dependency",
    [
        needing("numpy"),
        needing("numpy", "2.4.6", Restraint.EXACT),
        needing("numpy", "2.4.*", Restraint.EXACT),
        needing("NumPy", "1.0", Restraint.ATLEAST),
        needing("scikit.learn", "2.0", Restraint.ATMOST),
        needing("torch", "2.13.0", Restraint.EXACT),
        needing("pillow", "1.0", Restraint.EXACT),
        needing("numpy", "not-a-version", Restraint.EXACT),
        Dependency(name="numpy-2.4.6-cp311-cp311-linux_x86_64.whl", bundled=True),
        Dependency(name="wheels/own-1.0-py3-none-any.whl", bundled=True),
        Dependency(name="odd.whl", bundled=True),
    ],
    ids=lambda dependency: dependency.requirement(),
)
def test_what_the_pins_meet_or_do_not_name_is_no_finding(dependency: Dependency) -> None:
    assert told(dependency) == []


def test_what_no_pin_meets_is_told_with_a_runtime_that_has_it() -> None:
    assert told(needing("NumPy", "1.16.6", Restraint.EXACT)) == [
        (
            "numpy ==1.16.6 is asked for, and Scikit_Learn sklearn1.9-python3.11 has numpy 2.4.6.",
            "Use the runtime 'python3.6', or ask for numpy 2.4.6, or leave it out of `dependencies`: "
            "the runtime has it.",
        )
    ]


def test_a_conflict_is_told_where_the_dependency_stands() -> None:
    numpy = Dependency(name="numpy", version="1.16.6", restraint=Restraint.EXACT, place=PLACE)
    assert [item.place for item in check_pins([needing("scipy"), numpy], NEW, CATALOGUE)] == [PLACE]


def test_a_runtime_is_named_only_where_it_has_all_that_is_asked_for() -> None:
    both = told(needing("numpy", "1.16.6", Restraint.EXACT), needing("scikit-learn", "1.9.1", Restraint.EXACT))
    assert [fix for _, fix in both] == ["Ask for numpy 2.4.6, or leave it out of `dependencies`: the runtime has it."]
    assert len(told(needing("numpy", "3", Restraint.ATLEAST), needing("scikit-learn", "1.0", Restraint.ATMOST))) == 2


def test_a_wheel_of_the_package_is_compared_by_its_name() -> None:
    wheel = Dependency(name="wheels/numpy-1.0-cp311-cp311-linux_x86_64.whl", bundled=True)
    assert [message for message, _ in told(wheel)] == [
        "numpy ==1.0 is asked for, and Scikit_Learn sklearn1.9-python3.11 has numpy 2.4.6."
    ]


def test_a_pin_of_the_engine_itself_fits_its_own_runtime_everywhere() -> None:
    for row in whole_catalogue().runtimes:
        pins = [line.partition("==") for line in row.constraints.splitlines() if "==" in line and line[0] != "#"]
        asked = [needing(name, version.split(";")[0].strip(), Restraint.EXACT) for name, _, version in pins]
        assert check_pins(asked, row, whole_catalogue()) == [], row.name
