"""A server whose markets trade, for all tests of a module."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tickwire.client import Book, Trade, connect

from ..serving import Program, program
from .commands import CODES


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """A server with simulated markets, as a process."""
    async with program(tmp_path_factory.mktemp("market"), "--codes", ",".join(CODES)) as server:
        async with connect(server.url, plan="unlimited") as feed, asyncio.timeout(120):
            await feed.subscribe(trades=CODES, books=CODES[:2])
            missing = {(Trade, code) for code in CODES} | {(Book, code) for code in CODES[:2]}
            async for event in feed:
                missing.discard((type(event), getattr(event, "code", "")))
                if not missing:
                    break
        yield server
