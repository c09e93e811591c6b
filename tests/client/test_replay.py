"""Replays of the client, on a server that has recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tickwire import Book, Feed, Gap, ReplayStatus, RequestRefused, Trade, Unavailable, connect
from tickwire.model import Kind, moment

from ..server.test_replaying import AT, play, ticks
from ..serving import Script, Served, book, serving, trade


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script, record=tmp_path / "ticks") as served:
        yield served


@pytest_asyncio.fixture
async def feed(served: Served) -> AsyncIterator[Feed]:
    async with connect(served.url, token="t") as feed:
        yield feed


async def all_of(replay: Any) -> list[Any]:
    async with asyncio.timeout(120):
        return [event async for event in replay]


def statuses(events: list[Any]) -> list[str]:
    return [one.status for one in events if isinstance(one, ReplayStatus)]


def prices(events: list[Any]) -> list[int]:
    return [int(one.price) for one in events if isinstance(one, Trade)]


async def test_events_come_typed_and_in_the_recorded_order(
    served: Served, script: Script, feed: Feed
) -> None:
    events = [event for n in range(1, 3_001) for event in (trade("GOLD", f"{n}", at=AT + n), book("GOLD"))]
    await play(served, script, *events)
    replay = feed.replay(trades=["GOLD"], books=["GOLD"])
    found = await all_of(replay)
    assert statuses(found) == ["began", "complete"]
    found = found[1:-1]
    assert [type(one) for one in found] == [Trade, Book] * 3_000
    assert prices(found) == [*range(1, 3_001)]
    epoch = served.engine.market.epoch
    assert [one.seq for one in found if isinstance(one, Book)] == [*range(epoch, epoch + 3_000)]
    assert replay.begin is not None
    assert replay.end is not None
    assert (replay.unavailable, replay.begin < replay.end) == ([], True)
    assert await replay.batch() == []


async def test_events_say_when_they_were_received_then(served: Served, script: Script) -> None:
    await play(served, script, *ticks(20))
    async with connect(served.url, times=True) as feed:
        found = [one for one in await all_of(feed.replay(trades=["GOLD"])) if isinstance(one, Trade)]
    times = [one.times for one in found if one.times is not None]
    assert len(times) == 20
    assert times == sorted(times)
    assert all(0 < one.received < one.sent and not one.published for one in times)


async def test_a_stretch_at_a_time_in_words(served: Served, script: Script, feed: Feed) -> None:
    await play(served, script, *ticks(100, step=60_000))
    start, end = (moment(AT + n * 60_000).isoformat()[:16] for n in (12, 22))
    found = await all_of(feed.replay(trades="GOLD", start=start, end=end))
    assert prices(found) == [*range(13, 23)]


async def test_it_goes_on_into_live(served: Served, script: Script, feed: Feed) -> None:
    await play(served, script, *ticks(50))
    async with feed.replay(trades=["GOLD"], live=True) as replay, asyncio.timeout(120):
        found: list[Any] = []
        while "live" not in statuses(found):
            found += await replay.batch()
        script.emit(*ticks(50, begin=50))
        while len(prices(found)) < 100:
            found += await replay.batch()
        assert prices(found) == [*range(1, 101)]
        assert not any(isinstance(one, Gap) for one in found)


async def test_what_is_not_of_this_run_joins_live_with_a_gap(tmp_path: Path, script: Script) -> None:
    earlier = Script()
    async with serving(tmp_path / "a", earlier, record=tmp_path / "ticks") as served:
        await play(served, earlier, *ticks(3))
    async with (
        serving(tmp_path / "b", script, history=[tmp_path / "ticks"]) as served,
        connect(served.url, token="t") as feed,
        feed.replay(trades=["GOLD"], live=True) as replay,
        asyncio.timeout(120),
    ):
        found: list[Any] = []
        while "live" not in statuses(found):
            found += await replay.batch()
        script.emit(trade("GOLD", "99", at=AT + 10**6))
        while 99 not in prices(found):
            found += await replay.batch()
        assert prices(found) == [1, 2, 3, 99]
        assert isinstance(found[-2], Gap)


async def test_it_is_paused_stepped_sought_and_sped_up(served: Served, script: Script, feed: Feed) -> None:
    await play(served, script, *ticks(100, step=3_600_000))
    async with feed.replay(trades=["GOLD"], speed=1, paused=True) as replay, asyncio.timeout(120):
        assert statuses([await anext(replay)]) == ["paused"]
        for number in (1, 2):
            await replay.step()
            assert prices([await anext(replay)]) == [number]
        await replay.seek("2026-09-06")
        assert statuses([await anext(replay)]) == ["paused"]
        await replay.resume()
        assert statuses([await anext(replay)]) == ["began"]
        (sought,) = [await anext(replay)]
        assert isinstance(sought, Trade)
        assert sought.time.isoformat()[:10] == "2026-09-06"
        await replay.pause()
        assert statuses([await anext(replay)]) == ["paused"]
        await replay.set_speed(0)
        await replay.resume()
        rest = await all_of(replay)
        assert statuses(rest) == ["began", "complete"]
        assert prices(rest) == [*range(int(sought.price) + 1, 101)]


async def test_controls_answer_while_nobody_reads(served: Served, script: Script, feed: Feed) -> None:
    await play(served, script, *ticks(60_000, step=1))
    async with feed.replay(trades=["GOLD"]) as replay, asyncio.timeout(120):
        first = await anext(replay)
        assert statuses([first]) == ["began"]
        await replay.pause()
        await replay.resume()
        found = await all_of(replay)
        assert prices(found) == [*range(1, 60_001)]


async def test_what_cannot_be_had_is_said(served: Served, script: Script, feed: Feed) -> None:
    await play(served, script, *ticks(3))
    replay = feed.replay(trades=["GOLD", "NOPE", "EURUSD"])
    assert prices(await all_of(replay)) == [1, 2, 3]
    assert replay.unavailable == [(Kind.TRADE, "NOPE", "unknown"), (Kind.TRADE, "EURUSD", "unavailable")]
    with pytest.raises(RequestRefused, match="unknown"):
        await all_of(feed.replay(trades=["NOPE"]))
    for wrong in (
        {},
        {"trades": ["GOLD", "AAPL.US"]},
        {"trades": ["GOLD"], "live": True, "end": "2026-09-05"},
    ):
        with pytest.raises(ValueError, match="one family"):
            feed.replay(**wrong)


async def test_a_server_that_goes_away_ends_it_with_an_error(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script, record=tmp_path / "ticks") as served:
        await play(served, script, *ticks(3))
        async with connect(served.url, token="t") as feed:
            replay = feed.replay(trades=["GOLD"], paused=True)
            await anext(replay)
            served.server.stop()
            with pytest.raises(Unavailable, match="server shutdown"):
                await all_of(replay)
            with pytest.raises(Unavailable):
                await replay.pause()


async def test_what_is_missing_from_the_recording_is_a_gap(tmp_path: Path) -> None:
    for run in range(2):
        script = Script()
        async with serving(tmp_path, script, record=tmp_path / "ticks") as served:
            await play(served, script, *ticks(3, begin=3 * run))
            if run:
                async with connect(served.url, token="t") as feed:
                    found = await all_of(feed.replay(trades=["GOLD"]))
    assert statuses(found) == ["began", "complete"]
    assert [type(one) for one in found[1:-1]] == [*[Trade] * 3, Gap, *[Trade] * 3]
    gap = found[4]
    assert (gap.code, gap.kind, gap.begin, gap.end) == ("GOLD", Kind.TRADE, found[3].time, found[5].time)
