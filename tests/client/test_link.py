"""A link on a real server, from its beginning to its end."""

from __future__ import annotations

import asyncio
import itertools
import time
from decimal import Decimal
from pathlib import Path

import pytest

from tickwire.client import Buffer, Link, LinkStatus, Missed, Overflow, State, Unauthorized
from tickwire.model import Book, Family, Kind, KlineUpdate, Level, Trade
from tickwire.wire import Pace, Pushed, Refusal, Subscribed, Terms

from ..serving import Script, Served, book, serving, trade, until
from .bench import QUICK, Hand, linked, seqs
from .heard import Log, begin, url

T0 = 1788529064027


# Events.
async def test_trades_books_and_bars_come_as_the_source_said(served: Served, script: Script) -> None:
    async with linked(url(served)) as (link, owner):
        link.add(trades=["BTCUSDT"], books={"BTCUSDT": 2}, klines=[("BTCUSDT", 1)])
        await owner.take(Subscribed, 3)
        script.emit(trade(price="79317.70", volume="0.5"), book(levels=5))
        found = {type(one.event): one for one in await owner.take(Pushed, 3)}
        sold, levels, bar = found[Trade], found[Book].event, found[KlineUpdate].event
        assert sold.event == Trade(
            "BTCUSDT", T0, Decimal("79317.70"), Decimal("0.50000"), Decimal("39658.85"), 0, sold.seq
        )
        assert isinstance(levels, Book)
        assert levels.bids == (Level(Decimal(100), Decimal(1)), Level(Decimal(99), Decimal(2)))
        assert isinstance(bar, KlineUpdate)
        assert (bar.kline.close, bar.kline.volume) == (Decimal("79317.70"), Decimal("0.5"))


async def test_removing_ends_events_at_once_and_adding_begins_them(served: Served, script: Script) -> None:
    async with linked(url(served)) as (link, owner):
        link.add(trades=["BTCUSDT", "GOLD"])
        await owner.take(Subscribed)
        link.remove(trades=["GOLD"])
        script.emit(trade("GOLD"), trade("BTCUSDT"))
        (only,) = await owner.take(Pushed)
        assert only.event.code == "BTCUSDT"
        if len(owner.of(Subscribed)) < 2:
            await owner.take(Subscribed)
        assert owner.of(Subscribed)[-1] == Subscribed(Kind.TRADE, ("BTCUSDT",))
        link.add(trades=["GOLD"])
        (first,) = await owner.take(Pushed)
        assert first.event.code == "GOLD"


async def test_two_families_share_a_buffer(served: Served, script: Script) -> None:
    buffer = Buffer()
    async with (
        linked(url(served), buffer=buffer, name="other") as (other, _),
        linked(url(served, Family.STOCK), buffer=buffer, name="stock") as (stock, owner),
    ):
        other.add(trades=["BTCUSDT"])
        stock.add(trades=["AAPL.US"])
        await owner.take(Subscribed, 2)
        script.emit(trade("BTCUSDT"), trade("AAPL.US"))
        assert {one.event.code for one in await owner.take(Pushed, 2)} == {"BTCUSDT", "AAPL.US"}
        assert {one.link for one in owner.of(State)} == {"other", "stock"}


async def test_it_says_when_it_last_heard_anything(served: Served, script: Script) -> None:
    hand = Hand()
    options = QUICK._replace(terms=Terms(heartbeat=1e6, mute=1e6))
    async with linked(url(served), options, clock=hand) as (link, owner):
        hand.move(5)
        link.add(trades=["BTCUSDT"])
        await owner.take(Subscribed)
        assert link.heard == hand.now
        hand.move(7)
        script.emit(trade())
        await owner.take(Pushed)
        assert link.heard == hand.now


# Reconnection.
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_after_a_cut_everything_is_asked_for_again(served: Served, script: Script, how: str) -> None:
    wanted = {"trades": ["BTCUSDT", "GOLD"], "books": {"BTCUSDT": 3}, "klines": [("GOLD", 1), ("GOLD", 8)]}
    async with linked(url(served)) as (link, owner):
        link.add(**wanted)  # type: ignore[arg-type]
        first = await owner.take(Subscribed, 3)
        script.emit(trade(), trade("GOLD"))
        before = {one.seq for one in await owner.take(Pushed, 2)}
        (peer,) = served.engine.gateway.callers
        peer.close(1011, "cut") if how == "close" else peer.reset()
        down = await owner.state(LinkStatus.DOWN)
        assert down.reason == "closed by the server: 1011 cut" if how == "close" else "lost" in down.reason
        assert await owner.take(Subscribed, 3) == first
        script.emit(trade(at=T0 + 1))
        after = [one for one in await owner.take(Pushed) if isinstance(one.event, Trade)]
        assert not before & {one.seq for one in after}
        statuses = [one.status for one in owner.of(State)]
        assert statuses == [
            LinkStatus.CONNECTING,
            LinkStatus.UP,
            LinkStatus.DOWN,
            LinkStatus.CONNECTING,
            LinkStatus.UP,
        ]


async def test_heartbeats_keep_a_quiet_connection_and_are_answered(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served:
        log = Log(served)
        async with linked(url(served), QUICK._replace(terms=Terms(heartbeat=0.05))) as (link, _):
            await until(lambda: len(log.of(22000)) >= 5)
            assert link.conversation.round_trip is not None
            assert link.connected == 1


async def test_reconnecting_on_request_takes_the_new_token(tmp_path: Path, script: Script) -> None:
    tokens = ["old"]
    async with (
        serving(tmp_path, script) as served,
        linked(url(served), token=lambda: tokens[-1]) as (link, owner),
    ):
        await owner.state(LinkStatus.UP)
        tokens.append("new")
        link.reconnect("another token")
        down = await owner.state(LinkStatus.DOWN)
        assert (down.reason, down.again) == ("another token", 0.0)
        await owner.state(LinkStatus.UP)
        await until(
            lambda: [caller.client.connection for caller in served.engine.gateway.callers.values()] == [2]
        )


async def test_new_connections_keep_their_spacing() -> None:
    hand, spacing = Hand(), Pace(3.0)
    async with linked("ws://127.0.0.1:1/x", clock=hand, connections=spacing) as (link, owner):
        times: list[float] = []
        for _ in range(4):
            await owner.state(LinkStatus.CONNECTING)
            times.append(hand.now)
            await owner.state(LinkStatus.DOWN)
            link.reconnect("now")
            await until(lambda: hand.next == times[-1] + 3)
            hand.move(3)
        assert [later - at for at, later in itertools.pairwise(times)] == [3.0] * 3


# Refusals of a real server.
async def test_a_token_that_expires_is_the_end(served: Served) -> None:
    async with linked(url(served)) as (_, owner):
        await owner.state(LinkStatus.UP)
        begin(served, {"do": "expire-token"})
        with pytest.raises(Unauthorized, match="token invalid"):
            await owner.state(LinkStatus.UP)


async def test_a_taken_place_is_waited_for_as_the_server_says(tmp_path: Path, script: Script) -> None:
    async with (
        serving(tmp_path, script, plan="basic", takeover_after=15) as served,
        served.link(),
        linked(url(served)) as (_, owner),
    ):
        down = await owner.state(LinkStatus.DOWN)
        assert down.reason == "refused with HTTP 429: too many connections"
        assert down.again == pytest.approx(15, abs=1)


@pytest.mark.parametrize("extended", [False, True])
async def test_605_of_a_scenario_is_told_and_healed(tmp_path: Path, script: Script, extended: bool) -> None:
    plans = {"desk": {"subscriptions": "1000/1s"}}
    async with serving(tmp_path, script, plans=plans, plan="desk") as served:
        begin(served, {"do": "answer", "ret": 605, "requests": [22004, 28012], "for": 0.3})
        options = QUICK._replace(terms=Terms(spacing=0.4), extended=extended)
        async with linked(url(served), options) as (link, owner):
            link.add(trades=["BTCUSDT"])
            (refused,) = await owner.take(Refusal)
            assert (refused.ret, refused.again) == (605, 0.4)
            await owner.take(Subscribed)
            assert link.connected == 1


async def test_more_codes_than_the_plan_are_told(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script, plan="free") as served:
        options = QUICK._replace(terms=Terms(spacing=0.0, codes=5))
        async with linked(url(served), options) as (link, owner):
            codes = ["BTCUSDT", "GOLD", "EURUSD", "ETHUSDT", "USOIL", "Silver"]
            link.add(trades=codes)
            (refused,) = await owner.take(Refusal)
            assert (refused.keys, refused.ret) == (("Silver",), 603)
            (told,) = await owner.take(Subscribed)
            assert told.keys == tuple(codes[:5])


# Slow owners.
async def test_a_slow_owner_is_told_how_much_he_missed(served: Served, script: Script) -> None:
    buffer = Buffer(limit=100)
    async with linked(url(served), buffer=buffer) as (link, owner):
        link.add(trades=["BTCUSDT"])
        await owner.take(Subscribed)
        script.emit(*(trade(at=T0 + number) for number in range(1000)))
        await until(lambda: buffer.missed == 900)
        found = await owner.take(Pushed, 100)
        assert owner.of(Missed) == [Missed(900)]
        assert seqs(found) == [*range(found[0].seq, found[0].seq + 100)]


async def test_an_owner_who_makes_the_server_wait_misses_nothing(served: Served, script: Script) -> None:
    buffer = Buffer(limit=50, overflow=Overflow.WAIT)
    options = QUICK._replace(terms=Terms(spacing=0.0, heartbeat=0.05, mute=0.1))
    async with linked(url(served), options, buffer=buffer) as (link, owner):
        link.add(trades=["BTCUSDT"])
        await owner.take(Subscribed)
        script.emit(*(trade(at=T0 + number) for number in range(3000)))
        await until(lambda: len(buffer) >= 50)
        late = time.monotonic() + 0.3  # longer than a mute connection would live
        await until(lambda: time.monotonic() > late)
        assert len(buffer) < 60
        found = await owner.take(Pushed, 3000)
        assert seqs(found) == [*range(found[0].seq, found[0].seq + 3000)]
        assert link.connected == 1


# Beginning and end.
async def test_a_link_that_is_not_started_or_closed_twice_is_no_trouble(served: Served) -> None:
    buffer = Buffer()
    link = Link(url(served), "t", buffer)
    await link.close()
    link.start()
    link.start()
    await link.close()
    await link.close()
    buffer.close()
    assert link.state.status is LinkStatus.DOWN


@pytest.mark.parametrize("moment", range(12))
async def test_a_link_can_be_closed_at_any_moment(served: Served, moment: int) -> None:
    async with linked(url(served)) as (link, owner):
        link.add(trades=["BTCUSDT"])
        for _ in range(moment):
            await asyncio.sleep(0)
    assert link.state.status is LinkStatus.DOWN
    await until(lambda: not served.engine.gateway.callers)
    assert all(isinstance(one, (State, Subscribed)) for one in owner.rest())


async def test_a_mistake_of_the_owner_s_token_is_raised() -> None:
    def broken() -> str:
        raise RuntimeError("no vault")

    async with linked("ws://127.0.0.1:1/x", token=broken) as (link, owner):
        with pytest.raises(RuntimeError, match="no vault"):
            await owner.take(Pushed)
        assert link.state.reason == "no vault"
