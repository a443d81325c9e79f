from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

GOLDEN = Path(__file__).parent / "golden"

# The same examples every time: a failure that appears must come from a change, and the suite's time stays the same.
settings.register_profile(
    "airlock", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("airlock")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--rewrite-golden",
        action="store_true",
        default=False,
        help="write tests/unit/golden/ anew instead of comparing",
    )


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compares a text with the golden file of that name."""

    def check(name: str, text: str) -> None:
        path = GOLDEN / name
        # The option is unknown when pytest starts from a folder above: its command line was read before this file.
        if request.config.getoption("--rewrite-golden", default=False):
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
            return
        hint = "run `pytest tests/unit --rewrite-golden` and look at the difference"
        assert path.is_file(), f"{path.name} does not exist; {hint}"
        assert text == path.read_text(encoding="utf-8"), f"{path.name} differs; {hint}"

    return check
