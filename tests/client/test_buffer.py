"""The queue between links and their owner."""

from __future__ import annotations

import asyncio

import pytest

from tickwire.client import Buffer, LinkStatus, Missed, Overflow, State, Told, Unauthorized
from tickwire.model import Trade
from tickwire.wire import Bad, Pushed

from ..serving import trade


def events(first: int, count: int) -> list[Told]:
    return [Pushed(trade(), seq) for seq in range(first, first + count)]


def state(number: int) -> State:
    return State("link", LinkStatus.UP, float(number))


async def all_of(buffer: Buffer) -> list[Told]:
    """What comes until the buffer ends."""
    return [one async for one in buffer]


async def test_events_come_in_order_and_end_when_it_is_closed() -> None:
    buffer = Buffer()
    taking = asyncio.create_task(all_of(buffer))
    await asyncio.sleep(0)
    buffer.put(events(1, 2))
    await asyncio.sleep(0)
    buffer.put([state(1)])
    buffer.put(events(3, 1))
    buffer.close()
    assert await taking == [*events(1, 2), state(1), *events(3, 1)]


async def test_what_is_dropped_is_told_where_it_is_missing() -> None:
    buffer = Buffer(limit=3)
    buffer.put(events(1, 5))
    assert await anext(buffer) == Missed(2)
    buffer.put(events(6, 2))
    buffer.close()
    assert await all_of(buffer) == [Missed(2), *events(5, 3)]
    assert buffer.missed == 4


async def test_what_tells_of_the_link_is_kept_as_long_as_events_can_go() -> None:
    buffer = Buffer(limit=3)
    buffer.put([state(1), *events(1, 1), state(2), *events(2, 3)])
    buffer.put([state(number) for number in range(3, 6)])
    buffer.close()
    assert await all_of(buffer) == [Missed(4), state(3), state(4), state(5)]


async def test_a_batch_is_all_that_is_there() -> None:
    buffer = Buffer(limit=3)
    taking = asyncio.create_task(buffer.batch())
    await asyncio.sleep(0)
    buffer.put(events(1, 2))
    assert await taking == events(1, 2)
    buffer.put(events(3, 4))
    assert await buffer.batch() == [Missed(1), *events(4, 3)]
    buffer.close()
    assert await buffer.batch() == []


async def test_a_failure_comes_after_what_was_before_it() -> None:
    buffer = Buffer()
    buffer.put(events(1, 1))
    buffer.fail(Unauthorized("no"))
    buffer.fail(RuntimeError("later"))
    assert await anext(buffer) == events(1, 1)[0]
    with pytest.raises(Unauthorized):
        await anext(buffer)
    with pytest.raises(Unauthorized):
        await buffer.batch()


@pytest.mark.parametrize("end", ["close", "fail"])
async def test_who_waits_hears_of_the_end(end: str) -> None:
    buffer = Buffer()
    waiting = asyncio.create_task(buffer.batch())
    await asyncio.sleep(0)
    if end == "close":
        buffer.close()
        assert await waiting == []
    else:
        buffer.fail(RuntimeError("over"))
        with pytest.raises(RuntimeError):
            await waiting


async def test_a_link_waits_until_half_is_taken() -> None:
    buffer = Buffer(limit=4, overflow=Overflow.WAIT)
    buffer.put(events(1, 6))
    assert (buffer.full, buffer.missed) == (True, 0)
    waiting = asyncio.create_task(buffer.room())
    taken = []
    while not waiting.done():
        taken.append(await anext(buffer))
        await asyncio.sleep(0)
    assert len(taken) == 5
    buffer.put(events(7, 9))
    waiting = asyncio.create_task(buffer.room())
    await asyncio.sleep(0)
    assert len(await buffer.batch()) == 10
    await waiting


async def test_bad_frames_in_a_row_are_one_event() -> None:
    buffer = Buffer()
    for bad in (Bad("a", "x"), Bad("b", "y", 3)):
        buffer.put_bad(bad)
    buffer.put(events(1, 1))
    buffer.put_bad(Bad("c", "z"))
    buffer.close()
    assert await all_of(buffer) == [Bad("a", "x", 4), *events(1, 1), Bad("c", "z")]


async def test_who_stops_waiting_loses_nothing() -> None:
    buffer = Buffer()
    waiting = asyncio.create_task(anext(buffer))
    await asyncio.sleep(0)
    buffer.put(events(1, 1))
    waiting.cancel()
    await asyncio.wait([waiting])
    found = await anext(buffer) if waiting.cancelled() else waiting.result()
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Trade)


async def test_an_owner_of_several_is_called_and_takes_without_waiting() -> None:
    arrivals = 0

    def arrived() -> None:
        nonlocal arrivals
        arrivals += 1

    buffer = Buffer(limit=3, arrived=arrived)
    assert buffer.take() == []
    buffer.put(events(1, 2))
    buffer.put([state(1)])
    assert arrivals == 2
    assert buffer.take() == [*events(1, 2), state(1)]
    assert buffer.take() == []
    buffer.put(events(3, 5))
    assert buffer.take() == [Missed(2), *events(5, 3)]


async def test_a_link_that_failed_is_told_once_to_who_takes() -> None:
    arrivals: list[int] = []
    buffer = Buffer(arrived=lambda: arrivals.append(1))
    buffer.put(events(1, 1))
    buffer.fail(Unauthorized("no"))
    assert len(arrivals) == 2
    assert buffer.take() == events(1, 1)
    with pytest.raises(Unauthorized):
        buffer.take()
    assert buffer.take() == []
    buffer.put(events(2, 1))
    assert buffer.take() == events(2, 1)


async def test_who_takes_lets_a_waiting_link_go_on() -> None:
    buffer = Buffer(limit=2, overflow=Overflow.WAIT)
    buffer.put(events(1, 2))
    waiting = asyncio.create_task(buffer.room())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert len(buffer.take()) == 2
    await waiting
