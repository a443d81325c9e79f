"""Dependencies: names and restraints, and nothing that changes where packages come from."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from airlock.codec import decode, encode
from airlock.domain.dependencies import MAX_DEPENDENCIES, Dependency, Restraint, parse_dependencies
from airlock.domain.findings import Finding, Place


def parse(*packages: Any, installer: Any = "pip") -> tuple[tuple[Dependency, ...], tuple[Finding, ...]]:
    group = {"installer": installer, "packages": list(packages)}
    return parse_dependencies([group], lambda pointer: Place(pointer=pointer))


def package(name: Any, version: Any = None, restraint: Any = None) -> dict[str, Any]:
    item = {"package_name": name, "package_version": version, "restraint": restraint}
    return {key: value for key, value in item.items() if value is not None}


def found(*packages: Any, **options: Any) -> list[str]:
    return [item.code for item in parse(*packages, **options)[1]]


@pytest.mark.parametrize(
    "restraint,line",
    [("EXACT", "numpy==1.26.4"), ("ATLEAST", "numpy>=1.26.4"), ("ATMOST", "numpy<=1.26.4"), ("exact", "numpy==1.26.4")],
)
def test_each_restraint_becomes_its_operator(restraint: str, line: str) -> None:
    dependencies, findings = parse(package("numpy", "1.26.4", restraint))
    assert findings == ()
    assert [item.requirement() for item in dependencies] == [line]


@pytest.mark.parametrize(
    "item",
    [
        package("numpy"),
        package("numpy", "", ""),
        package(" numpy ", "", ""),
        package("numpy", "", "EXACT"),
        package("numpy\n"),
    ],
)
def test_empty_strings_and_space_around_a_name_mean_nothing(item: Any) -> None:
    dependencies, findings = parse(item)
    assert findings == ()
    assert dependencies == (Dependency(name="numpy"),)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-r requirements.txt",
        "--index-url=http://evil",
        "-e",
        "numpy --index-url http://evil",
        "numpy\n--extra-index-url http://evil",
        "numpy\r-e .",
        "numpy # comment",
        "numpy; python_version > '3'",
        "numpy[extra]",
        "numpy==1.0",
        "numpy>=1",
        "numpy,scipy",
        "numpy scipy",
        "numpy @ https://evil/numpy.whl",
        "https://evil/numpy.whl",
        "git+https://evil/repo",
        "./numpy",
        "../numpy",
        "/tmp/numpy-1.0.tar.gz",
        "C:\\numpy",
        "numpy!",
        "数字",
        "nump\u0443",
        "${HOME}",
        "$(id)",
        "{{ conn }}",
        ".numpy",
        "numpy-",
        "n" * 200,
        "/home/mind/model/x.tar.gz",
        "/home/mind/model/../x.whl",
        "/home/mind/model/a/../../x.whl",
        "/home/mind/model/x.whl --pre",
        "/home/other/x.whl",
    ],
)
def test_a_name_is_a_name_and_nothing_else(name: str) -> None:
    dependencies, findings = parse(package(name))
    assert [item.code for item in findings] == ["DEP001"]
    assert dependencies == ()
    assert findings[0].line().isprintable()


@pytest.mark.parametrize(
    "version",
    [
        "1.0 --pre",
        "1.0\n-e .",
        ">=1.0",
        "==1.0",
        "1.0,<2",
        "1.0;x",
        "1.0)",
        "'1.0'",
        "一",
        "1.0 @ https://evil",
        "$(id)",
        "-1",
        "1" * 70,
    ],
)
def test_a_version_is_a_version_and_nothing_else(version: str) -> None:
    assert found(package("numpy", version, "EXACT")) == ["DEP001"]


@pytest.mark.parametrize(
    "version,restraint",
    [
        ("latest", "EXACT"),
        ("1.x", "EXACT"),
        ("1.x", "ATMOST"),
        ("1.0.*", "ATLEAST"),
        ("1.0.*", "ATMOST"),
        ("1.0+cpu", "ATLEAST"),
        ("1.0.dev1.*", "EXACT"),
        ("1..0", "EXACT"),
        ("1.0-SNAPSHOT", "EXACT"),
        ("stable", "ATLEAST"),
    ],
)
def test_a_version_that_no_index_can_have_is_refused_with_what_is_allowed(version: str, restraint: str) -> None:
    _, (told,) = parse(package("foo", version, restraint))
    assert (told.code, told.value) == ("DEP001", version)
    assert "go with EXACT only" in told.fix


@pytest.mark.parametrize(
    "version,restraint",
    [
        ("1", "ATLEAST"),
        ("1.0.*", "EXACT"),
        ("1.0+cpu", "EXACT"),
        ("1.0-dev1", "EXACT"),
        ("2.0.post1", "ATLEAST"),
        ("1.0b2", "ATMOST"),
        ("1.0-1", "EXACT"),
        ("v1.0", "EXACT"),
        ("1!2.0", "EXACT"),
        ("2021.05.30", "ATLEAST"),
        ("1.0.0-beta.2", "EXACT"),
    ],
)
def test_versions_in_older_spellings_are_taken(version: str, restraint: str) -> None:
    assert found(package("foo", version, restraint)) == []


WHEEL = package("/home/mind/model/wheels/foo_bar-1.0-py3-none-any.whl")


@pytest.mark.parametrize(
    "beside",
    [
        package("foo-bar", "2.0", "EXACT"),
        package("Foo.Bar", "1.1", "ATLEAST"),
        package("foo_bar", "0.9", "ATMOST"),
        package("/home/mind/model/foo_bar-2.0-py3-none-any.whl"),
    ],
)
def test_a_wheel_of_the_package_contradicts_another_version_of_it(beside: Any) -> None:
    assert found(WHEEL, beside) == ["DEP004"]
    assert found(beside, WHEEL) == ["DEP004"]


@pytest.mark.parametrize(
    "version,restraint,codes",
    [
        ("1.0", "EXACT", []),
        ("0.9", "ATLEAST", []),
        ("latest", "EXACT", []),
        ("1.0", "", []),
        ("2.0", "EXACT", ["DEP004"]),
    ],
)
def test_the_version_beside_a_wheel_is_that_of_its_file(version: str, restraint: str, codes: list[str]) -> None:
    assert found({**WHEEL, "package_version": version, "restraint": restraint}) == codes


def test_two_wheels_contradict_each_other_where_the_name_alone_comes_first() -> None:
    other = package("/home/mind/model/foo_bar-2.0-py3-none-any.whl")
    _, (told,) = parse(package("foo-bar"), WHEEL, other)
    assert told.place.pointer == "/0/packages/2"
    assert told.message == (
        "foo-bar is asked for as wheels/foo_bar-1.0-py3-none-any.whl and as foo_bar-2.0-py3-none-any.whl."
    )


@pytest.mark.parametrize(
    "beside",
    [
        package("foo-bar"),
        package("foo-bar", "1.0", "EXACT"),
        package("foo-bar", "1.0.*", "EXACT"),
        package("foo-bar", "0.9", "ATLEAST"),
        package("foo", "2.0", "EXACT"),
        package("/home/mind/model/foo_bar-1.0-cp311-cp311-linux_x86_64.whl"),
        package("/home/mind/model/odd.whl"),
    ],
)
def test_a_wheel_of_the_package_goes_with_what_asks_for_its_version(beside: Any) -> None:
    assert found(WHEEL, beside) == []
    assert found(beside, WHEEL) == []


@pytest.mark.parametrize("restraint", [None, "", "NEWEST", "==", "EXACTLY"])
def test_a_version_needs_a_restraint_that_is_known(restraint: str | None) -> None:
    assert found(package("numpy", "1.0", restraint)) == ["DEP002"]


@pytest.mark.parametrize(
    "item", [None, "numpy", 1, [], {}, {"package_name": 1}, package("numpy", 1.2, "EXACT"), package("numpy", "1", 3)]
)
def test_what_is_no_package_is_refused(item: Any) -> None:
    assert found(item) == ["DEP001"]


@pytest.mark.parametrize("raw", [["numpy"], [None], [{"packages": "numpy"}], [{"packages": {"numpy": 1}}]])
def test_what_is_no_group_is_refused(raw: list[Any]) -> None:
    _, findings = parse_dependencies(raw, lambda pointer: Place(pointer=pointer))
    assert [item.code for item in findings] == ["DEP001"]


def read(*groups: Any) -> tuple[list[str], list[tuple[str, str]]]:
    dependencies, findings = parse_dependencies(groups, lambda pointer: Place(pointer=pointer))
    return [each.requirement() for each in dependencies], [(each.code, each.place.pointer) for each in findings]


@pytest.mark.parametrize("key", ["package", "Packages", "packges", "PACKAGES", "pack_ages"])
def test_a_misspelt_list_of_packages_is_read_and_told_at_its_place(key: str) -> None:
    assert read({"installer": "pip", key: [package("foo")]}) == (["foo"], [("CFG012", f"/0/{key}")])


@pytest.mark.parametrize(
    "name,version,restraint",
    [
        ("package_name", "version", "restraint"),
        ("name", "package_version", "restraint"),
        ("package", "package_version", "restraint"),
        ("packageName", "package_version", "restraint"),
        ("package_name", "package-version", "restraint"),
        ("package_name", "package_verison", "restraint"),
        ("package_name", "package_version", "restrain"),
        ("package_name", "package_version", "Restraint"),
    ],
)
def test_misspelt_keys_of_a_package_are_read_and_told_at_their_place(name: str, version: str, restraint: str) -> None:
    requirements, told = read({"packages": [{name: "foo", version: "3.0", restraint: "EXACT"}]})
    assert requirements == ["foo==3.0"]
    assert [code for code, _ in told] == ["CFG012"]
    assert told[0][1].removeprefix("/0/packages/0/") in (name, version, restraint)


def test_the_right_spelling_is_named() -> None:
    _, (told,) = parse_dependencies([{"package": [package("foo")]}], lambda pointer: Place(pointer=pointer))
    assert (told.message, told.value) == ("`packages` is meant.", "package")


def test_an_unknown_key_of_a_group_or_a_package_is_told() -> None:
    group = {"installer": "pip", "index": "https://pypi.example.com", "packages": [{**package("foo"), "hash": "x"}]}
    assert read(group) == (["foo"], [("CFG011", "/0/index"), ("CFG011", "/0/packages/0/hash")])


def test_the_right_key_holds_where_a_misspelt_one_stands_beside_it() -> None:
    group = {"packages": [package("foo")], "package": [package("bar")]}
    assert read(group) == (["foo"], [("CFG011", "/0/package")])


@pytest.mark.parametrize("group", [{"installer": "pip"}, {"modules": [package("foo")]}, {"package": "foo"}])
def test_a_group_without_packages_is_refused(group: Any) -> None:
    requirements, told = read(group)
    assert requirements == []
    assert ("DEP001", "/0") in told


@pytest.mark.parametrize("group", [{}, {"packages": []}, {"installer": "pip", "packages": ""}])
def test_a_group_that_lists_nothing_loses_nothing(group: Any) -> None:
    assert read(group) == ([], [])


@pytest.mark.parametrize("installer", ["pip", "PIP", " pip ", "", None])
def test_pip_is_the_installer_where_none_is_named(installer: Any) -> None:
    assert found(package("numpy"), installer=installer) == []


@pytest.mark.parametrize("installer", ["conda", "pip3; rm -rf /", 3])
def test_another_installer_is_refused(installer: Any) -> None:
    assert found(package("numpy"), installer=installer) == ["DEP003"]


def test_a_package_pinned_twice_is_refused_under_any_spelling_of_its_name() -> None:
    _, findings = parse(package("scikit-learn", "1.0", "EXACT"), package("Scikit_Learn", "1.1", "EXACT"))
    assert [item.code for item in findings] == ["DEP004"]
    assert "scikit-learn==1.0" in findings[0].message or "Scikit_Learn==1.1" in findings[0].message


def test_the_same_version_under_two_spellings_of_the_name_is_one_dependency() -> None:
    dependencies, findings = parse(
        package("scikit-learn", "1.9.1", "EXACT"), package("Scikit_Learn", "1.9.1", "exact"), package("scikit.learn")
    )
    assert [item.name for item in dependencies] == ["scikit-learn"]
    assert [item.code for item in findings] == ["DEP004"]
    assert found(package("scikit-learn", "1.9.1", "EXACT"), package("Scikit_Learn", "1.9.1", "EXACT")) == []


def test_the_same_line_twice_is_one_dependency() -> None:
    dependencies, findings = parse(package("numpy", "1.0", "EXACT"), package("numpy", "1.0", "EXACT"))
    assert findings == ()
    assert len(dependencies) == 1


def test_a_wheel_that_the_package_brings_is_a_path_under_model() -> None:
    dependencies, findings = parse(package("/home/mind/model/wheels/x-1.0-py3-none-any.whl"))
    assert findings == ()
    assert dependencies == (Dependency(name="wheels/x-1.0-py3-none-any.whl", bundled=True),)


def test_the_number_of_dependencies_is_bounded() -> None:
    assert found(*(package(f"p{number}") for number in range(MAX_DEPENDENCIES))) == []
    assert found(*(package(f"p{number}") for number in range(MAX_DEPENDENCIES + 1))) == ["DEP001"]


def test_every_broken_dependency_is_named_with_its_place() -> None:
    raw = [{"packages": [package("-e"), package("ok")]}, {"installer": "conda", "packages": [package("x", "1")]}]
    _, findings = parse_dependencies(raw, lambda pointer: Place(pointer=pointer))
    assert [(item.code, item.place.pointer) for item in findings] == [
        ("DEP001", "/0/packages/0"),
        ("DEP003", "/1/installer"),
        ("DEP002", "/1/packages/0"),
    ]


def test_the_place_of_a_dependency_is_kept_and_is_no_part_of_it() -> None:
    (dependency,), _ = parse(package("numpy"))
    assert dependency.place == Place(pointer="/0/packages/0")
    assert decode(Dependency, encode(dependency)).place == dependency.place
    assert dependency == Dependency(name="numpy")
    assert hash(dependency) == hash(Dependency(name="numpy"))


def test_a_dependency_of_an_older_record_stands_somewhere_in_the_configuration() -> None:
    old = {"name": "numpy", "version": "1.0", "restraint": "EXACT", "bundled": False}
    assert str(decode(Dependency, old).place) == "model/config.json /dependencies"


@given(st.text(max_size=30), st.text("0123456789.ab*+!-", max_size=10), st.sampled_from([*Restraint.__members__, ""]))
def test_whatever_passes_is_one_requirement_without_url_extras_or_marker(
    name: str, version: str, restraint: str
) -> None:
    dependencies, findings = parse(package(name, version, restraint))
    assert len(dependencies) + len(findings) == 1
    for dependency in dependencies:
        line = dependency.requirement()
        assert line.isprintable()
        assert " " not in line
        assert not line.startswith(("-", ".", "/"))
        read = Requirement(dependency.name)
        assert (read.url, read.extras, read.marker, str(read.specifier)) == (None, set(), None, "")
        SpecifierSet(dependency.specifier)
