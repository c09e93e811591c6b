"""The pytest plugin: the fixture `alltick_server`, and the marker `alltick` that says what it is like."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .server import AllTickServer

MARKER = "alltick(**settings): settings of the server of this test, as AllTickServer takes them"


def pytest_configure(config: pytest.Config) -> None:
    """Makes the marker known."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def alltick_settings() -> dict[str, Any]:
    """Settings of all servers of a module or a project: override it there. Markers go before it."""
    return {}


@pytest.fixture
def alltick_server(
    request: pytest.FixtureRequest, alltick_settings: dict[str, Any]
) -> Iterator[AllTickServer]:
    """A server in the AllTick protocol for this test alone, on a free port: an `AllTickServer`.

    Settings come from `@pytest.mark.alltick(plan="free", quiet=True)` on the test, its class or module,
    the nearest first, and from `alltick_settings`.
    """
    settings = dict(alltick_settings)
    for marker in reversed([*request.node.iter_markers("alltick")]):
        if marker.args:
            raise pytest.UsageError(f"The marker alltick takes keywords only, not {marker.args!r}.")
        settings |= marker.kwargs
    with AllTickServer(**settings) as server:
        yield server
