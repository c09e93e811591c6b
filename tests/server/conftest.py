"""Shared by the tests of this room."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from ..kline_pushes import calm, lively, market  # noqa: F401 (fixtures)
from ..serving import Script, Served, book, serving, trade
from .desk import TOKENS, Desk, desk_in


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def full(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server that has seen a trade and a book of each of some codes."""
    script = Script()
    async with serving(tmp_path_factory.mktemp("full"), script) as served:
        script.emit(*(trade(code) for code in ("BTCUSDT", "GOLD", "700.HK", "AAPL.US", ".DJI.US")))
        script.emit(book(), book("GOLD", 1), book("700.HK", 10), book("AAPL.US", 1))
        async with asyncio.timeout(120), served.link() as link:
            await link.subscribe(22002, "BTCUSDT", "GOLD")
            await link.push()
            while served.engine.market.events < 9:
                await link.answer()
        yield served


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server without tokens."""
    async with desk_in(tmp_path_factory.mktemp("open")) as desk:
        yield desk


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desk]:
    """A server with tokens."""
    async with desk_in(tmp_path_factory.mktemp("guarded")) as desk:
        TOKENS.update(
            admin=desk.create("boss", admin=True),
            ordinary=desk.create("desk"),
            expired=desk.create("gone", admin=True, expires=1),
            wrong="tw_wrong",
        )
        await desk.served.engine.gateway.admission.refresh()
        yield desk


@pytest.fixture
async def nothing_runs(desk: Desk, guarded: Desk) -> AsyncIterator[None]:
    """Each test leaves as it came."""
    yield
    for scenarios in (desk.served.engine.market.scenarios, guarded.served.engine.market.scenarios):
        for run in scenarios.running:
            scenarios.stop(run.number)
