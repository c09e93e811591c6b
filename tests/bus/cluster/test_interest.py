"""A client side takes of a cluster what somebody there wants, as long as somebody does."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tickwire.bus import interest
from tickwire.bus.buckets import Spread
from tickwire.bus.layout import Frame
from tickwire.bus.remote import RemoteMarket
from tickwire.market.side import MarketSide
from tickwire.model import Instrument, Kind

from ...serving import book, trade, until
from ..sides import CATALOGUE, Client, OverNats, Sides, sides

BTC, ETH, GOLD = CATALOGUE["BTCUSDT"], CATALOGUE["ETHUSDT"], CATALOGUE["GOLD"]


class Choosing(OverNats):
    """Client sides that follow what they say."""

    follows_all = False


class Joined:
    """A client side that follows what it says, and a way to see what comes."""

    def __init__(self, at: Sides, client: Client, remote: RemoteMarket) -> None:
        self.at = at
        self.client = client
        self.remote = remote

    @property
    def interest(self) -> interest.Interest:
        return self.remote.interest

    def prices(self, code: str) -> list[str]:
        taken = self.client.taken(Kind.TRADE, code)
        return [f"{event.price:f}".rstrip("0").rstrip(".") for event, _ in taken]  # type: ignore[union-attr]

    async def send(self, code: str, *prices: str) -> None:
        """Has the market give trades, and waits until all that it sent before has come."""
        before = self.at.engine.market.events
        self.at.source.emit(*(trade(code, price=price) for price in prices))
        await until(lambda: self.at.engine.market.events == before + len(prices))
        await self.remote.supplier.figures()  # answered behind what was sent

    async def lapse(self) -> None:
        """Waits until nothing comes any more."""
        assert self.remote.followed is not None
        await until(lambda: not self.remote.followed.buckets)  # type: ignore[union-attr]


@contextlib.asynccontextmanager
async def joined(tmp_path: Path) -> AsyncIterator[Joined]:
    def make(market: MarketSide) -> Choosing:
        return Choosing(market)

    async with sides(make, tmp_path) as at:
        client = Client()
        await at.bus.join(client)
        assert isinstance(at.bus, Choosing)
        yield Joined(at, client, at.bus.remotes[client])


async def test_what_nobody_wants_does_not_come_and_then_begins_with_the_last(tmp_path: Path) -> None:
    async with joined(tmp_path) as here:
        await here.send("BTCUSDT", "1", "2")
        await here.send("GOLD", "7")
        assert not here.prices("BTCUSDT")
        assert here.interest.lacks([BTC])
        await here.interest.follow([BTC])
        assert here.prices("BTCUSDT") == ["2"]
        assert not here.interest.lacks([BTC])
        assert here.interest.lacks([BTC, GOLD])
        await here.send("GOLD", "8")
        await here.send("BTCUSDT", "3")
        assert here.prices("BTCUSDT") == ["2", "3"]
        assert not here.prices("GOLD")


async def test_it_comes_until_the_last_who_wants_it_is_gone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interest, "LINGER", 0.0)
    async with joined(tmp_path) as here:
        await here.send("BTCUSDT", "1")
        for _ in range(2):
            here.interest.count(BTC, True)
        await until(lambda: here.prices("BTCUSDT") == ["1"])
        here.interest.count(BTC, False)
        assert here.remote.followed is not None
        here.remote.followed.look()
        await here.send("BTCUSDT", "2")
        assert here.prices("BTCUSDT") == ["1", "2"]
        here.interest.count(BTC, False)
        await here.lapse()
        await until(lambda: here.client.inlets[Kind.TRADE, "BTCUSDT", 0].forgotten)
        await here.send("BTCUSDT", "3", "4")
        assert here.prices("BTCUSDT") == ["1", "2"]
        await here.interest.follow([BTC])
        assert here.prices("BTCUSDT") == ["1", "2", "4"]  # nobody has missed the third
        await here.send("BTCUSDT", "5")
        assert here.prices("BTCUSDT") == ["1", "2", "4", "5"]
        assert not here.client.went_on
        assert (here.remote.incoming.gaps, here.remote.incoming.filled) == (0, 0)


async def test_a_new_session_brings_what_is_wanted_and_nothing_else(tmp_path: Path) -> None:
    async with joined(tmp_path) as here:
        await here.send("BTCUSDT", "1")
        await here.send("GOLD", "7")
        here.interest.count(BTC, True)
        await until(lambda: here.prices("BTCUSDT") == ["1"])
        assert isinstance(here.at.bus, Choosing)
        assert here.at.bus.owner is not None
        here.remote.joined.clear()
        here.at.bus.owner.end()
        here.at.source.emit(trade(price="2"), trade(price="3"))
        await until(lambda: here.prices("BTCUSDT") == ["1", "2", "3"])
        await here.send("BTCUSDT", "4")
        assert here.prices("BTCUSDT") == ["1", "2", "3", "4"]
        assert not here.prices("GOLD")
        await here.interest.follow([GOLD])
        assert here.prices("GOLD") == ["7"]


async def test_who_wants_all_gets_what_begins_later_too(tmp_path: Path) -> None:
    async with joined(tmp_path) as here:
        await here.send("BTCUSDT", "1")
        assert here.interest.lacks(None)
        here.interest.count_all(True)
        await here.interest.follow(None)
        assert here.prices("BTCUSDT") == ["1"]
        await here.send("GOLD", "7")
        await until(lambda: here.prices("GOLD") == ["7"])
        here.at.source.emit(book("GOLD"))
        await until(lambda: len(here.client.taken(Kind.DEPTH, "GOLD")) == 1)


async def test_a_request_begins_what_it_asks_for(tmp_path: Path) -> None:
    async with joined(tmp_path) as here:
        await here.send("GOLD", "7")
        instruments: list[Instrument] = [GOLD]
        await here.remote.begin(Kind.TRADE, instruments)
        assert here.prices("GOLD") == ["7"]


async def test_what_comes_once_more_on_another_way_is_not_given_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with joined(tmp_path) as here:
        came: list[Frame] = []
        take = here.remote.received_batch

        def keep(batch: Frame) -> None:
            came.append(batch)
            take(batch)

        monkeypatch.setattr(here.remote, "received_batch", keep)
        await here.interest.follow([BTC])
        for price in ("1", "2", "3"):
            await here.send("BTCUSDT", price)
        for batch in [*came]:  # as what waited while a server was away
            here.remote.received_batch(batch)
        await here.send("BTCUSDT", "4")
        assert here.prices("BTCUSDT") == ["1", "2", "3", "4"]


async def test_without_a_way_to_the_market_nobody_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interest, "PATIENCE", 0.01)
    followed = interest.Followed(Spread(), lambda: 0.0)
    assert followed.lacks([ETH])
    await followed.follow([ETH])
    assert followed.buckets == {Spread()(ETH)}
    followed.began(followed.buckets)
    assert not followed.lacks([ETH])
    followed.lost()
    assert followed.lacks([ETH])
