"""A feed and its user: what he gives in, when he leaves, and what he does wrong."""

from __future__ import annotations

import asyncio
import gc
import logging
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tickwire import (
    Book,
    Closed,
    Feed,
    Gap,
    Kline,
    MarketState,
    Refusal,
    SourceStatus,
    Spared,
    Status,
    Subscribed,
    Trade,
    connect,
)
from tickwire.client import Plan
from tickwire.model import Family
from tickwire.sources import Status as SourceHealth

from ..serving import PATIENCE, Script, Served, book, serving, trade, until
from .alltick_stub import TOKEN, alltick
from .test_suite import OPTIONS, the

FAST = Plan(subscribe_spacing=0.0)
T0 = 1788529064027


def feed_of(served: Served, **options: object) -> Feed:
    return connect(served.url, **{"plan": FAST, "options": OPTIONS, **options})  # type: ignore[arg-type]


async def test_no_connection_is_opened_before_something_is_subscribed_to(served: Served) -> None:
    async with feed_of(served) as feed:
        await feed.subscribe()
        assert dict(feed.links) == {}
        await feed.subscribe(trades="BTCUSDT", books="BTCUSDT")  # one code is no list of letters
        await the(feed, Subscribed)
        assert [*feed.links] == [Family.OTHER]
        with pytest.raises(TypeError):
            feed.links[Family.STOCK] = feed.links[Family.OTHER]  # type: ignore[index]


async def test_how_sources_are_comes_once_over_one_connection_and_again_after_a_reconnect(
    served: Served, script: Script
) -> None:
    async with feed_of(served) as feed:
        await feed.subscribe(trades=["BTCUSDT", "AAPL.US"], sources=True)
        await feed.subscribe(sources=True)
        assert [*feed.links] == [Family.STOCK, Family.OTHER]
        up = await the(feed, SourceStatus)
        assert (up.source, up.status, up.reason, up.simulated) == ("script", "up", "", True)
        script.health.tell(SourceHealth.DOWN, "no answer")
        down = await the(feed, SourceStatus)
        assert (down.status, down.reason, down.time_ms) == ("down", "no answer", script.health.since)
        feed.links[Family.STOCK].reconnect("a test")
        assert await the(feed, SourceStatus) == down
        await feed.unsubscribe(sources=True)
        script.health.tell(SourceHealth.UP)
        script.emit(trade())
        async for event in feed:
            assert not isinstance(event, SourceStatus)
            if isinstance(event, Trade):
                break


async def test_what_instruments_do_comes_with_each_change_and_after_a_cut_if_it_is_another(
    served: Served,
) -> None:
    async with feed_of(served) as feed:
        await feed.subscribe(states=["GOLD", "AAPL.US"])
        assert [*feed.links] == [Family.STOCK, Family.OTHER]
        found = {await the(feed, MarketState), await the(feed, MarketState)}
        assert {(one.code, one.state) for one in found} == {("GOLD", "open"), ("AAPL.US", "open")}
        halt = {"step": [{"do": "halt", "codes": ["GOLD", "BTCUSDT"]}]}
        number = (await served.request("POST", "/admin/scenario", json=halt)).json()["number"]
        halted = await the(feed, MarketState)
        assert (halted.code, halted.state) == ("GOLD", "halted")
        assert halted.time_ms > 0
        feed.links[Family.OTHER].reconnect("a test")
        await feed.subscribe(states=["BTCUSDT"])
        assert (await the(feed, MarketState)).code == "BTCUSDT", "that GOLD is halted is known"
        await feed.unsubscribe(states=["GOLD"])
        await served.request("DELETE", f"/admin/scenario/{number}")
        last = await the(feed, MarketState)
        assert (last.code, last.state) == ("BTCUSDT", "open")


async def test_what_instruments_do_is_unknown_of_another_server(served: Served) -> None:
    async with alltick() as vendor, connect(vendor.url, token=TOKEN, plan=FAST, options=OPTIONS) as feed:
        await feed.subscribe(trades=["GOLD"], states=["GOLD"])
        assert await the(feed, MarketState) == MarketState("GOLD", "unknown", 0)
        await the(feed, Subscribed)
        assert {request["cmd_id"] for _, request in vendor.requests} <= {22004, 22000}


async def test_the_user_may_know_the_family_better(served: Served) -> None:
    async with feed_of(served) as feed:
        await feed.subscribe(trades=["GOLD"], family="stock")
        assert [*feed.links] == [Family.STOCK]
        await feed.unsubscribe(trades=["GOLD"])
        with pytest.raises(ValueError, match="metals"):
            await feed.subscribe(trades=["GOLD"], family="metals")


async def test_what_is_wrong_is_told_at_once_and_changes_nothing(served: Served) -> None:
    async with feed_of(served) as feed:
        with pytest.raises(ValueError, match="no interval"):
            await feed.subscribe(trades=["GOLD"], klines=[("GOLD", "3m")])
        assert dict(feed.links) == {}
    with pytest.raises(ValueError, match="newest"):
        feed_of(served, overflow="newest")


async def test_a_reader_may_leave_and_come_back(served: Served, script: Script) -> None:
    async with feed_of(served) as feed:
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
        script.emit(*(trade("GOLD", at=T0 + number) for number in range(10)))
        found = [(await the(feed, Trade)).time_ms for _ in range(3)]
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(the_of(feed, 11), 0.2)
        assert found == [T0, T0 + 1, T0 + 2]
        script.emit(trade("GOLD", at=T0 + 11))
        assert (await the(feed, Trade)).time_ms == T0 + 11


async def the_of(feed: Feed, number: int) -> None:
    while (await the(feed, Trade)).time_ms < T0 + number:
        pass


async def test_a_closed_feed_ends_its_reader_and_takes_nothing_more(served: Served) -> None:
    feed = feed_of(served)
    async with feed:
        await feed.subscribe(trades=["GOLD"])
        reading = asyncio.create_task(read(feed))
        await until(lambda: served.engine.gateway.callers)
    assert "down" in await asyncio.wait_for(reading, 120)
    assert await feed.batch() == []
    with pytest.raises(Closed):
        await feed.subscribe(trades=["GOLD"])
    await feed.close()


async def read(feed: Feed) -> list[str]:
    return [event.state async for event in feed if isinstance(event, Status)]


async def test_a_mistake_in_on_state_ends_no_connection(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: Status) -> None:
        raise RuntimeError("a mistake")

    async with feed_of(served, on_state=broken) as feed:
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
    assert "on_state failed" in caplog.text


async def test_states_are_logged_and_the_token_is_not(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with feed_of(served, token="secret-token") as feed:
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
        await feed.api.latest_trades("GOLD")
    assert "other: up" in caplog.text
    ours = [one for one in caplog.records if not one.name.startswith(("websockets.server", "uvicorn"))]
    assert [one for one in ours if "secret-token" in one.getMessage()] == []
    assert {one.name for one in ours} >= {"tickwire.client", "httpx"}


async def test_a_slow_reader_can_make_the_server_wait(served: Served, script: Script) -> None:
    async with feed_of(served, buffer=20, overflow="wait") as feed:
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
        script.emit(*(trade("GOLD", at=T0 + number) for number in range(1000)))
        found = [await the(feed, Trade) for _ in range(1000)]
        assert [one.time_ms - T0 for one in found] == [*range(1000)]


async def test_a_reader_who_is_too_slow_knows_exactly_what_he_missed(served: Served, script: Script) -> None:
    async with feed_of(served, buffer=100) as feed:
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
        script.emit(*(trade("GOLD", at=T0 + number) for number in range(1000)))
        await until(lambda: feed._buffer.missed == 900)
        batch = await feed.batch()
        (gap,) = (one for one in batch if isinstance(one, Gap))
        assert (gap.code, gap.missed) == ("GOLD", 900)
        assert [one.time_ms - T0 for one in batch if isinstance(one, Trade)] == [*range(900, 1000)]


async def test_a_reader_who_is_too_slow_may_be_sent_trades_as_one(tmp_path: Path, script: Script) -> None:
    with pytest.raises(ValueError, match="never"):
        connect(slow="never")
    async with (
        serving(tmp_path, script, send_buffer=4096) as served,
        feed_of(served, buffer=20, overflow="wait", slow="conflate") as feed,
    ):
        await feed.subscribe(trades=["GOLD"])
        await the(feed, Subscribed)
        behind = served.engine.gateway.hub.outboxes
        emitted = spared = 0
        while not behind or emitted % 2000:  # until the system takes no more of what is not read, and on
            script.emit(*(trade("GOLD", str(100 + n % 7), "1", T0 + emitted + n) for n in range(1000)))
            emitted += 1000
            await until(lambda: served.engine.market.events == emitted)  # noqa: B023
        found: list[Trade] = []
        async with asyncio.timeout(60):
            while (told := sum(one.trades for one in found)) < emitted or not spared:
                event = await anext(feed)
                if isinstance(event, Trade):
                    found.append(event)
                elif isinstance(event, Spared):
                    spared += event.dropped
    several = [one for one in found if one.trades > 1]
    assert told == emitted == sum(one.volume for one in found)
    assert several
    assert spared <= sum(one.trades for one in several)  # the rest is told later
    assert all(one.first_seq == one.seq - one.trades + 1 for one in several)
    assert {(one.open is None, one.low, one.high) for one in several if one.trades > 6} == {
        (False, Decimal(100), Decimal(106))
    }


async def test_nothing_is_left_behind(served: Served) -> None:
    async with feed_of(served) as feed:
        await feed.subscribe(trades=["GOLD", "AAPL.US"])
        await the(feed, Subscribed)
    gc.collect()
    assert [task.get_name() for task in asyncio.all_tasks() if "link" in task.get_name()] == []


async def test_a_refusal_of_unknown_codes_names_the_nearest(served: Served) -> None:
    async with connect(served.url) as feed:
        await feed.subscribe(trades=["btcusdt", "BTC-USDT", "nonsense"])
        async with asyncio.timeout(120):
            refusal = await anext(event async for event in feed if isinstance(event, Refusal))
        assert (refusal.ret, refusal.nearest) == (600, ("BTCUSDT",))


async def test_events_say_when_they_came_and_went_if_they_are_asked_for_it(
    served: Served, script: Script
) -> None:
    async with feed_of(served, times=True) as feed, feed_of(served) as plain:
        for one in (feed, plain):
            await one.subscribe(trades=["BTCUSDT"], books=["BTCUSDT"], klines=[("BTCUSDT", "1m")])
            for _ in range(3):
                await the(one, Subscribed)
        script.emit(trade(), book())
        found: dict[type, Trade | Book | Kline] = {}
        async with asyncio.timeout(PATIENCE):
            async for event in feed:
                if isinstance(event, Trade | Book | Kline):
                    found[type(event)] = event
                if len(found) == 3:
                    break
        for kind, event in found.items():
            assert (event.receive_time is None) == (kind is Kline)
            assert event.times is not None
            assert event.publish_time is not None
            assert event.send_time is not None
            assert event.publish_time <= event.send_time
            assert event.send_time - datetime(1970, 1, 1, tzinfo=UTC) == timedelta(
                microseconds=event.times.sent
            )
        shown = await the(plain, Trade)
        assert (shown.times, shown.receive_time, shown.publish_time, shown.send_time) == (None,) * 4
        assert msgspec.structs.replace(found[Trade], times=None) == shown
