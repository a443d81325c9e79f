"""What installers say of their failures: real outputs of pip 21, 24 and 26 and of uv, each read as what it was."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from backend_bench import TINY

from airlock.adapters.install_failures import Kind, Reading, install_error, read_failure
from airlock.errors import AirlockError, BackendUnavailable, BuildFailed, RuntimeUnavailable

OUTPUTS = Path(__file__).parent / "outputs"

# file → kind, the requirement named, a part of the reason
CASES: dict[str, tuple[Kind, str, str]] = {
    "pip21-compile": (Kind.COMPILE, "pycrypto", "autoconf error"),
    "pip21-conflict": (Kind.CONFLICT, "six==1.15.0", "The user requested (constraint) six==1.16.0"),
    "pip21-missing-package": (Kind.MISSING, "airlock-no-such-package-zz==1.0", "(from versions: none)"),
    "pip21-missing-version": (Kind.MISSING, "six==99.0", "(from versions: …, 1.12.0, "),
    "pip21-needs-newer-python": (Kind.MISSING, "pandas==2.0.0", "1.1.5)"),
    "pip21-no-compiler": (Kind.COMPILE, "ujson", "command 'gcc' failed"),
    "pip21-no-network": (Kind.UNREACHABLE, "six", "Temporary failure in name resolution"),
    "pip24-conflict-transitive": (Kind.CONFLICT, "pandas==1.3.5", "pandas 1.3.5 depends on numpy>=1.17.3"),
    "pip26-bad-cert": (Kind.UNREACHABLE, "six==1.17.0", "CERTIFICATE_VERIFY_FAILED"),
    "pip26-bad-wheel": (Kind.MISSING, "a-1.0-cp36-cp36m-manylinux1_x86_64.whl", "not a supported wheel"),
    "pip26-compile": (Kind.COMPILE, "markupsafe", "cannot import name 'Feature'"),
    "pip26-conflict": (Kind.CONFLICT, "six==1.17.0", "The user requested (constraint) six==1.16.0"),
    "pip26-conflict-transitive": (Kind.CONFLICT, "pandas==2.2.3", "pandas 2.2.3 depends on numpy>=1.23.2"),
    "pip26-missing-package": (Kind.MISSING, "airlock-no-such-package-zz==1.0", "(from versions: none)"),
    "pip26-missing-version": (Kind.MISSING, "six==99.0", "1.17.0)"),
    "pip26-needs-newer-python": (Kind.MISSING, "numpy==2.0.0", "1.21.6)"),
    "pip26-no-compiler": (Kind.COMPILE, "ujson", "No such file or directory: 'gcc'"),
    "pip26-no-index": (Kind.MISSING, "six==1.17.0", "(from versions: none)"),
    "pip26-no-network": (Kind.UNREACHABLE, "six", "Temporary failure in name resolution"),
    "uv-bad-cert": (Kind.UNREACHABLE, "", "invalid peer certificate"),
    "uv-compile": (Kind.COMPILE, "pycrypto==2.6.1", "longintrepr.h: No such file or directory"),
    "uv-conflict": (Kind.CONFLICT, "six==1.17.0", "six==1.17.0 and six==1.16.0"),
    "uv-conflict-transitive": (Kind.CONFLICT, "pandas==2.2.3", "numpy{python_full_version < '3.12'}==1.22.4"),
    "uv-http-401": (Kind.UNREACHABLE, "", "401 Unauthorized"),
    "uv-http-502": (Kind.UNREACHABLE, "", "502 Bad Gateway"),
    "uv-missing-package": (Kind.MISSING, "airlock-no-such-package-zz", "was not found in the package registry"),
    "uv-missing-version": (Kind.MISSING, "six==99.0", "there is no version of six==99.0"),
    "uv-needs-newer-python": (Kind.MISSING, "numpy==1.19.5", "has no usable wheels"),
    "uv-no-compiler": (Kind.COMPILE, "ujson==1.35", "No such file or directory: 'gcc'"),
    "uv-no-dns": (Kind.UNREACHABLE, "", "Name or service not known"),
    "uv-no-index": (Kind.MISSING, "six", "was not found in the provided package locations"),
    "uv-refused": (Kind.UNREACHABLE, "", "Connection refused"),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_a_real_output_is_read_as_what_it_was(name: str) -> None:
    kind, what, reason = CASES[name]
    reading = read_failure((OUTPUTS / f"{name}.txt").read_text().splitlines())
    assert (reading.kind, reading.what) == (kind, what)
    assert reason in reading.reason
    assert "\n" not in reading.reason
    assert len(reading.reason) <= 601


def test_every_output_has_its_expectation() -> None:
    assert {path.stem for path in OUTPUTS.iterdir()} == set(CASES)


def test_an_older_uv_that_draws_its_reasons_is_read_too() -> None:
    lines = [
        "  × No solution found when resolving dependencies:",
        "  ╰─▶ Because there is no version of six==99.0 and you require six==99.0,",
        "      we can conclude that your requirements are unsatisfiable.",
    ]
    assert read_failure(lines).kind is Kind.MISSING
    lines = [
        "  × No solution found when resolving dependencies:",
        "  ╰─▶ Because you require six==1.17.0 and six==1.16.0, we can conclude that",
        "      your requirements are unsatisfiable.",
    ]
    assert read_failure(lines) == Reading(
        kind=Kind.CONFLICT,
        what="six==1.17.0",
        reason="Because you require six==1.17.0 and six==1.16.0, we can conclude that your requirements are "
        "unsatisfiable.",
    )


def test_a_retry_that_was_not_in_vain_does_not_hide_what_came_later() -> None:
    retry = "WARNING: Retrying (Retry(total=4)) after connection broken by 'ReadTimeoutError(x)': /simple/six/"
    end = "ERROR: Could not find a version that satisfies the requirement six==99.0 (from versions: 1.16.0, 1.17.0)"
    assert read_failure([retry, end]).kind is Kind.MISSING


def test_a_full_disk_is_nobodys_dependency() -> None:
    line = "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device"
    error = install_error(read_failure([line]), TINY, "dependencies")
    assert isinstance(error, BackendUnavailable)
    assert error.code == "BLD013"


def test_an_output_that_says_nothing_known_is_shown_at_its_end() -> None:
    reading = read_failure([f"line {number}" for number in range(100)])
    assert reading.kind is Kind.OTHER
    assert reading.reason.splitlines()[-1] == "line 99"
    assert len(reading.reason.splitlines()) == 15


def test_passwords_and_control_characters_do_not_reach_the_message() -> None:
    line = "ERROR: No matching distribution found for \x1b[31mfoo (https://user:secret@index.example/simple)"
    reading = read_failure([line])
    assert "secret" not in reading.reason
    assert "\x1b" not in reading.reason


@pytest.mark.parametrize(
    "kind, layer, error, code",
    [
        (Kind.MISSING, "dependencies", BuildFailed, "BLD002"),
        (Kind.CONFLICT, "dependencies", BuildFailed, "BLD002"),
        (Kind.MISSING, "base", RuntimeUnavailable, "BLD002"),
        (Kind.COMPILE, "dependencies", BuildFailed, "BLD003"),
        (Kind.OTHER, "dependencies", BuildFailed, "BLD004"),
        (Kind.UNREACHABLE, "dependencies", BackendUnavailable, "BLD009"),
        (Kind.UNREACHABLE, "base", BackendUnavailable, "BLD009"),
    ],
)
def test_each_kind_has_its_consequence(kind: Kind, layer: str, error: type[AirlockError], code: str) -> None:
    made = install_error(Reading(kind=kind, what="foo==1", reason="because"), TINY, layer)
    assert type(made) is error
    assert made.code == code
    assert "because" in made.message
    unnamed = install_error(dataclasses.replace(Reading(kind=kind, what="", reason="because")), TINY, layer)
    assert unnamed.code == code
