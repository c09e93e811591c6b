"""What `durable` promises: across folders that go and come back, are others, or begin beside other bars."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tickwire.store.recordings import GapReason, Recorder, Recordings

from .publishing import NEW, Desk, Talk, a_trade, desk_in, packed


async def publish(desk: Desk, first: int, last: int) -> None:
    data = await desk.data(packed(*(a_trade(seq) for seq in range(first, last + 1))))
    assert (data["accepted"], data["seq"]) == (last - first + 1, last)


async def durable(desk: Desk, seq: int) -> None:
    """Returns once all up to there is."""
    async with asyncio.timeout(120):
        while (standing := await desk.standing())["durable"] != seq:
            assert standing["durable"] < seq


def recorder_of(desk: Desk) -> Recorder:
    recorder = desk.served.engine.market.feeds.first.recorder
    assert recorder is not None
    return recorder


async def until_recording(desk: Desk, wanted: bool) -> None:
    async with asyncio.timeout(120):
        while recorder_of(desk).status().recording is not wanted:  # noqa: ASYNC110 (its threads know no loop)
            await asyncio.sleep(0.01)


def seqs(folder: Path) -> list[int]:
    return [one.event.source_seq for one in Recordings(folder).read()]  # type: ignore[union-attr]


async def test_without_a_recording_the_bars_alone_count(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        await publish(desk, 1, 10)
        await durable(desk, 10)
    async with desk_in(tmp_path) as desk:
        assert (await desk.standing()).items() >= {"seq": 10, "durable": 10}.items()


async def test_an_empty_message_tells_it(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, desk.socket() as talk:
        await talk.send(a_trade(5))
        await durable_by(talk, 5)


async def durable_by(talk: Talk, seq: int) -> None:
    async with asyncio.timeout(120):
        while (await talk.send(""))["durable"] != seq:
            pass


async def test_lines_that_make_no_events_become_durable_too(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    async with desk_in(tmp_path / "data", record=ticks) as desk:
        await desk.data(packed(NEW | {"seq": 1}, NEW | {"seq": 2}))
        await durable(desk, 2)


async def test_while_the_recording_has_stopped_the_bars_alone_count(tmp_path: Path) -> None:
    ticks, away = tmp_path / "ticks", tmp_path / "away"
    async with desk_in(tmp_path / "data", record=ticks) as desk:
        await publish(desk, 1, 10)
        await durable(desk, 10)
        ticks.rename(away)
        await until_recording(desk, wanted=False)  # a write may be under way into what went
        await publish(desk, 11, 20)
        await durable(desk, 20)
        away.rename(ticks)
        await until_recording(desk, wanted=True)
        await publish(desk, 21, 30)
        await durable(desk, 30)
    async with desk_in(tmp_path / "data", record=ticks) as desk:
        assert (await desk.standing()).items() >= {"seq": 30, "durable": 30}.items()
    assert seqs(ticks) == [*range(1, 11), *range(21, 31)]
    gap = next(gap for gap in Recordings(ticks).contents().gaps if gap.reason is GapReason.INTERRUPTED)
    assert gap.events == 10


async def test_another_folder_begins_where_the_bars_are(tmp_path: Path) -> None:
    ticks, others = tmp_path / "ticks", tmp_path / "others"
    async with desk_in(tmp_path / "data", record=ticks) as desk:
        await publish(desk, 1, 10)
    async with desk_in(tmp_path / "data", record=others) as desk:
        assert (await desk.standing())["seq"] == 10
        await publish(desk, 11, 20)
        await durable(desk, 20)
    async with desk_in(tmp_path / "data") as desk:
        await publish(desk, 21, 30)
    async with desk_in(tmp_path / "data", record=others) as desk:
        assert (await desk.standing())["seq"] == 30
        await publish(desk, 31, 40)
        await durable(desk, 40)
    assert seqs(ticks) == [*range(1, 11)]
    assert seqs(others) == [*range(11, 21), *range(31, 41)]


async def test_beside_other_bars_a_recording_counts_anew(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    for data in ("one", "two"):
        async with desk_in(tmp_path / data, record=ticks) as desk:
            assert (await desk.standing())["seq"] == 0
            await publish(desk, 1, 10)
            await durable(desk, 10)
    assert seqs(ticks) == [*range(1, 11), *range(1, 11)]
