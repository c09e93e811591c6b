"""Shared by all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from .serving import Script, Served, serving


@pytest.fixture(scope="session", autouse=True)
def _home_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What names no data directory has one of these tests, which no server of the user's holds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture
def script() -> Script:
    """A source that yields what the test tells it to."""
    return Script()


@pytest.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    """A server on that source."""
    async with serving(tmp_path, script) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plain(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with the default settings for all tests of a module."""
    async with serving(tmp_path_factory.mktemp("plain"), Script()) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strict(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with `strict_protocol` for all tests of a module."""
    async with serving(tmp_path_factory.mktemp("strict"), Script(), strict_protocol=True) as server:
        yield server
