"""A market side in another process: what is missed, asked for, or lost, and who is refused."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickwire.bus import layout
from tickwire.bus import link as link_module
from tickwire.bus import remote as remote_module
from tickwire.bus.host import Host
from tickwire.bus.messages import VERSION, Hello, Welcome, payload, read_down
from tickwire.bus.remote import RemoteMarket
from tickwire.errors import BusError, InputError, StoreError
from tickwire.model import Kind, KlineType
from tickwire.sandbox import Sandbox

from ..serving import book, trade, until
from .sides import CATALOGUE, Client, InProcess, Sides, Wanted, sides

LEASE = 60.0
BTC = CATALOGUE["BTCUSDT"]
LATER = 4_000_000_000_000
"""Later than any status of the market side, in milliseconds since the epoch."""


class Way:
    """Both ends of a connection; what goes down waits while it is `held`."""

    def __init__(self, host: Host, remote: RemoteMarket) -> None:
        self.host, self.remote = host, remote
        self.held = False
        self.closed = False
        self.waits: list[bytes] = []
        self._splitter = layout.Splitter()
        self.up = Up(self)

    def connect(self) -> None:
        self.remote.attach(self.up)

    # What the market side's end calls.
    def send(self, data: bytes) -> None:
        if self.held:
            self.waits.append(data)
        else:
            self._deliver(data)

    @property
    def waiting(self) -> int:
        return sum(map(len, self.waits))

    def close(self) -> None:
        self.closed = True

    def hear(self, data: bytes) -> None:
        self.host.receive(self, self._splitter, data)

    def release(self) -> None:
        self.held = False
        waits, self.waits = self.waits, []
        for data in waits:
            self._deliver(data)

    def cut(self) -> None:
        self.host.lost(self)
        self.remote.lost()

    def _deliver(self, data: bytes) -> None:
        asyncio.get_running_loop().call_soon(self.remote.received, data)


class Up:
    def __init__(self, way: Way) -> None:
        self._way = way

    def send(self, data: bytes) -> None:
        asyncio.get_running_loop().call_soon(self._way.hear, data)

    def close(self) -> None:
        self._way.closed = True


class Pair:
    def __init__(self, at: Sides, host: Host) -> None:
        self.at, self.host = at, host
        self.client = Client()
        self.clock = 1000.0
        self.remote = RemoteMarket(
            CATALOGUE.copy(),
            Sandbox(7),
            name="a gateway",
            clock=lambda: self.clock,
            wall=lambda: LATER + int(self.clock * 1000),
        )
        self.remote.join(self.client)
        self.way = Way(host, self.remote)

    async def join(self) -> None:
        self.way.connect()
        await self.remote.joined.wait()

    async def send(self, *prices: int) -> None:
        before = self.at.engine.market.events
        self.at.source.emit(*(trade(price=str(price)) for price in prices))
        await until(lambda: self.at.engine.market.events == before + len(prices))

    @property
    def prices(self) -> list[int]:
        return [int(event.price) for event, _ in self.client.taken(Kind.TRADE, "BTCUSDT")]  # type: ignore[union-attr]


@contextlib.asynccontextmanager
async def paired(folder: Path, source: Wanted | None = None, **settings: Any) -> AsyncIterator[Pair]:
    async with sides(InProcess, folder, source, **settings) as at:
        market = at.engine.market
        host = Host(
            market,
            market.catalogue,
            lambda: market.scenarios.running,
            clock=time.monotonic,
            micros=lambda: int(time.time() * 1e6),
        )
        market.join(host)
        beat = asyncio.create_task(host.run())
        pair = Pair(at, host)
        try:
            yield pair
        finally:
            beat.cancel()
            await pair.remote.end()
            host.end()


async def test_what_one_cannot_take_in_time_it_asks_for_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(link_module, "CREDIT", 2_000)
    monkeypatch.setattr(remote_module, "ACK", 100)
    async with paired(tmp_path) as pair:
        await pair.join()
        await pair.send(1)
        await until(lambda: pair.prices == [1])
        pair.way.held = True
        link = pair.host.links[pair.way]
        for price in range(2, 60):
            await pair.send(price)
        await until(lambda: link.skipped)
        assert pair.way.waiting < 20_000, "no more is under way than may be"
        pair.way.release()
        await pair.send(60)
        await until(lambda: pair.prices and pair.prices[-1] == 60)
        assert pair.prices == [*range(1, 61)]
        assert (pair.remote.incoming.filled, pair.remote.incoming.gaps, pair.client.went_on) == (1, 0, [])
        await pair.send(61)
        await until(lambda: pair.prices[-1] == 61)


async def test_what_cannot_be_had_any_more_is_a_gap(tmp_path: Path) -> None:
    async with paired(tmp_path, ring_seconds=0) as pair:
        await pair.join()
        await pair.send(1, 2)
        await until(lambda: pair.prices == [1, 2])
        pair.way.cut()
        await pair.send(3, 4)
        pair.way = Way(pair.host, pair.remote)
        await pair.join()
        epoch = pair.remote.epoch
        await until(lambda: pair.prices == [1, 2, 4])
        assert [(code, place.seq - epoch, gap) for code, place, gap in pair.client.went_on] == [
            ("BTCUSDT", 3, True)
        ]
        assert pair.client.renewed == 1, "it is to say again what it wishes"


async def test_a_cut_loses_nothing_that_the_ring_has_and_repeats_nothing(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        await pair.join()
        await pair.remote.supplier.wish_bars(pair.client, [("BTCUSDT", KlineType.MINUTE)], lease=LEASE)
        await pair.send(1, 2)
        await until(lambda: pair.prices == [1, 2])
        for beyond in (3, 5):
            pair.way.cut()
            assert {one.status for one in pair.remote.statuses()} == {"down"}
            await pair.send(beyond, beyond + 1)
            pair.way = Way(pair.host, pair.remote)
            await pair.join()
        await until(lambda: len(pair.prices) >= 6)
        pair.way.cut()
        pair.way = Way(pair.host, pair.remote)
        await pair.join()  # nothing came meanwhile
        await pair.send(7)
        await until(lambda: pair.prices[-1] == 7)
        assert pair.prices == [1, 2, 3, 4, 5, 6, 7]
        seqs = [seq for _, seq in pair.client.taken(Kind.KLINE, "BTCUSDT", KlineType.MINUTE)]
        assert seqs == sorted(set(seqs))
        assert pair.client.went_on == []


async def test_calls_fail_while_it_is_away_and_what_is_known_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "RETURN", 0.01)
    async with paired(tmp_path) as pair:
        await pair.join()
        await pair.send(1)
        market = pair.remote.supplier
        assert (await market.figures()).sources[0].status == "up"
        pair.way.cut()
        with pytest.raises(StoreError, match="cannot be reached"):
            await market.klines(BTC, KlineType.MINUTE, count=1, end=None)
        assert (await market.figures()).sources[0].status == "down"
        assert await market.begin(Kind.TRADE, [BTC]) == {}
        assert (await market.publish("desk", [b"{}"])).stop == "away"
        assert market.serve(BTC)


async def test_a_call_that_is_under_way_when_it_goes_fails(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        await pair.join()
        pair.way.held = True
        asking = asyncio.ensure_future(pair.remote.supplier.open_gaps())
        await until(lambda: pair.way.waiting)
        pair.way.cut()
        with pytest.raises(StoreError):
            await asking


async def test_one_that_says_nothing_is_told_as_stale_and_as_up_again(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        await pair.join()
        pair.way.held = True
        pair.clock += remote_module.SILENCE + 1
        pair.remote.look()
        pair.remote.look()
        assert [(one.status, one.reason) for one in pair.client.statuses] == [("stale", remote_module.SILENT)]
        pair.way.release()
        await pair.send(1)
        await until(lambda: [one.status for one in pair.client.statuses] == ["stale", "up"])


async def test_a_source_is_stale_since_the_market_side_was_silent_and_down_since_it_was_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_module, "RETURN", 0.01)
    async with paired(tmp_path) as pair:
        await pair.join()
        market = pair.remote.supplier
        began = (await market.figures()).sources[0].since
        assert [one.since for one in pair.remote.statuses()] == [began]
        assert began < LATER
        pair.way.held = True
        for status in ("stale", "down"):
            pair.clock += remote_module.SILENCE + 1
            since = LATER + int(pair.clock * 1000)
            pair.remote.look() if status == "stale" else pair.way.cut()
            pair.clock += 60
            pair.remote.look()
            assert [(one.status, one.since) for one in pair.remote.statuses()] == [(status, since)]
            source = (await market.figures()).sources[0]
            assert (source.status, source.since) == (status, since)
        assert [one.since for one in pair.client.statuses] == sorted(
            {one.since for one in pair.client.statuses}
        )
        pair.way = Way(pair.host, pair.remote)
        await pair.join()
        assert [(one.status, one.since) for one in pair.remote.statuses()] == [("up", began)]


async def test_another_version_is_refused_and_an_earlier_epoch_is_not_listened_to(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        with pytest.raises(BusError, match="version"):
            pair.way.hear(layout.message(payload(Hello(VERSION + 1, "other"))))
        await pair.join()
        state = pair.remote._state
        earlier = msgspec.structs.replace(state, epoch=state.epoch - 1)
        with pytest.raises(BusError, match="earlier epoch"):
            pair.remote.received(layout.message(payload(Welcome(VERSION, earlier, ()))))
        await pair.send(1)
        await until(lambda: pair.prices == [1])


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x93\xa3ask\x01\xa4none\xc0"])
async def test_what_no_client_side_says_ends_it_and_harms_nobody(tmp_path: Path, data: bytes) -> None:
    async with paired(tmp_path) as pair:
        await pair.join()
        with pytest.raises(BusError):
            pair.way.hear(layout.message(data))
        with pytest.raises((BusError, ValueError)):
            read_down(b"\xc1")
        await pair.send(1)
        await until(lambda: pair.prices == [1])


async def test_a_code_that_the_market_side_does_not_know_is_an_error_and_no_end(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        await pair.join()
        unknown = msgspec.structs.replace(BTC, code="NOWHERE")
        with pytest.raises(InputError, match="NOWHERE"):
            await pair.remote.supplier.klines(unknown, KlineType.MINUTE, count=1, end=None)
        await pair.send(1)
        await until(lambda: pair.prices == [1])


async def test_books_and_instruments_that_are_learned_pass(tmp_path: Path) -> None:
    async with paired(tmp_path) as pair:
        await pair.join()
        pair.at.source.emit(book(levels=3))
        await until(lambda: pair.client.taken(Kind.DEPTH, "BTCUSDT"))
        ((event, _),) = pair.client.taken(Kind.DEPTH, "BTCUSDT")
        assert len(event.bids) == 3  # type: ignore[union-attr]
        new = msgspec.structs.replace(BTC, code="NEWCOIN", learned="elsewhere")
        pair.at.engine.catalogue.add(new)
        await until(lambda: "NEWCOIN" in pair.remote._catalogue)
        late = Pair(pair.at, pair.host)
        await late.join()
        assert late.remote._catalogue["NEWCOIN"] == new
        await late.remote.end()


async def test_a_source_that_can_wait_waits_for_a_client_side_that_falls_behind(tmp_path: Path) -> None:
    async with paired(tmp_path, Wanted(patient=True), ring_seconds=0) as pair:
        await pair.join()
        pair.way.held = True
        number = 4 * link_module.CREDIT // 200
        pair.at.source.emit(*(trade(price=str(price)) for price in range(1, number + 1)))
        (link,) = pair.host.links.values()
        await until(lambda: link.behind)
        pair.way.release()
        await until(lambda: len(pair.prices) == number)
        assert pair.prices == [*range(1, number + 1)]
        assert link.skipped == 0


async def test_what_was_missed_is_asked_for_again_where_the_market_side_could_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.bus.incoming.PAUSE", 0.01)
    async with paired(tmp_path) as pair:
        await pair.join()
        await pair.send(1)
        await until(lambda: pair.prices == [1])
        market, tries = pair.at.engine.market, []
        missed = market.missed

        async def fails_twice(*positional: Any, **named: Any) -> Any:
            tries.append(1)
            if len(tries) < 3:
                raise StoreError("It cannot be read now.")
            return await missed(*positional, **named)

        monkeypatch.setattr(market, "missed", fails_twice)
        pair.way.cut()
        await pair.send(2, 3)
        pair.way = Way(pair.host, pair.remote)
        await pair.join()
        await pair.send(4)
        await until(lambda: pair.prices == [1, 2, 3, 4])
        assert len(tries) == 3
        assert pair.remote.incoming.gaps == 0
