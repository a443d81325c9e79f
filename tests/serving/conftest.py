"""Servers for the tests of the serving code: one per Python and package, kept for the session."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from served import Server, serve
from serving_interpreters import REPRESENTATIVE, SELECTED, Interpreter, prepare


@pytest.fixture(scope="session", params=SELECTED)
def interpreter(request: pytest.FixtureRequest) -> Interpreter:
    """Each of the few Pythons in turn."""
    return prepare(request.param)


@pytest.fixture(scope="session", params=REPRESENTATIVE)
def representative(request: pytest.FixtureRequest) -> Interpreter:
    """Each representative Python in turn."""
    return prepare(request.param)


@pytest.fixture(scope="session")
def newest() -> Interpreter:
    """One current Python, for what no version can change."""
    return prepare("3.11")


@pytest.fixture(scope="session")
def serve_package(interpreter: Interpreter) -> Iterator[Callable[[str], Server]]:
    """Return the running server of a package by its name; each is started once per Python."""
    servers: dict[str, Server] = {}
    with ExitStack() as stack:

        def get(name: str) -> Server:
            if name not in servers:
                servers[name] = stack.enter_context(serve(interpreter, name))
            return servers[name]

        yield get


@pytest.fixture(scope="session")
def everything(representative: Interpreter) -> Iterator[Server]:
    """The server of the package that answers what it is asked."""
    with serve(representative, "everything") as server:
        yield server
