"""Shared by the tests of the relay."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from ...client.alltick_stub import AllTick, alltick


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """What upstream does not say is guessed soon, and looks are frequent."""
    monkeypatch.setattr("tickwire.sources.relay.market_time.SETTLE", 0.05)
    monkeypatch.setattr("tickwire.sources.relay.market_time.GRACE", 0.1)
    monkeypatch.setattr("tickwire.sources.relay.relay.BEAT", 0.05)
    monkeypatch.setattr("tickwire.sources.relay.origin.BEAT", 0.05)
    monkeypatch.setattr("tickwire.sources.relay.standing.FIRST_GREETING", 0.05)


@pytest.fixture
async def stub() -> AsyncIterator[AllTick]:
    """A vendor's server that has more codes than the catalogue."""
    async with alltick() as server:
        server.codes["stock"] |= {"510050.SH", "2442.HK"}
        server.codes["other"] |= {"GBPMXN"}
        yield server
