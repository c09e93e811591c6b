"""Going on (28016) with what memory has let go of, from a server's own recording."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tickwire.market import history

from ..serving import Script, Served, serving
from .test_replaying import GAP, play, ticks
from .test_resuming import forget, heard, item, resume


@pytest_asyncio.fixture
async def script() -> Script:
    return Script()


@pytest_asyncio.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script, record=tmp_path / "ticks") as served:
        yield served


async def test_what_was_missed_for_long_comes_from_the_recording(served: Served, script: Script) -> None:
    epoch = served.engine.market.epoch
    await play(served, script, *ticks(1_700, step=1), *ticks(3, "BTCUSDT"))
    await forget(served)
    await play(served, script, *ticks(300, begin=1_700, step=1))
    async with served.link() as link:
        told = await resume(link, item("trade", "GOLD", epoch, epoch + 41))
        assert [(one["state"], one["from"]) for one in told] == [("resumed", epoch + 42)]
        seqs = [(await link.push())["data"]["seq"] for _ in range(2_000 - 42)]
        assert seqs == [*range(epoch + 42, epoch + 2_000)]
        await link.nothing()
        script.emit(*ticks(1, begin=2_000))
        assert (await link.push())["data"]["seq"] == epoch + 2_000


async def test_a_hole_in_the_recording_is_a_gap_that_is_told(served: Served, script: Script) -> None:
    epoch = served.engine.market.epoch
    await play(served, script, *ticks(10))
    recorder = next(iter(served.engine.market.feeds)).recorder
    assert recorder is not None
    limit, recorder._limit = recorder._limit, 0  # it takes nothing
    script.emit(*ticks(5, begin=10))
    await heard(served, 15)
    recorder._limit = limit
    await play(served, script, *ticks(10, begin=15))
    await forget(served)
    await play(served, script, *ticks(2, begin=25))
    async with served.link() as link:
        told = await resume(link, item("trade", "GOLD", epoch, epoch + 3))
        assert [(one["state"], one["from"]) for one in told] == [("resumed", epoch + 4)]
        pushes = [await link.push() for _ in range(6 + 1 + 2)]
        gap = pushes.pop(6)
        assert (gap["cmd_id"], gap["data"]["gap"], gap["data"]["from"]) == (GAP, 1, epoch + 25)
        assert [one["data"]["seq"] - epoch for one in pushes] == [*range(4, 10), 25, 26]


async def test_who_resumes_much_holds_no_more_of_the_files_than_may_be(
    served: Served, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "held_bytes", lambda: history.MOST_BYTES + 1)
    monkeypatch.setattr(history, "PAGE", 50)
    epoch, codes = served.engine.market.epoch, ("GOLD", "BTCUSDT", "Silver")
    await play(served, script, *(one for code in codes for one in ticks(700, code, step=1)))
    await forget(served)
    async with served.link() as link:
        told = await resume(link, *(item("trade", code, epoch, epoch - 1) for code in codes))
        assert {one["state"] for one in told} == {"resumed"}
        found: dict[str, list[int]] = {code: [] for code in codes}
        most = 0
        for _ in range(3 * 700):
            data = (await link.push())["data"]
            found[data["code"]].append(data["seq"])
            most = max(most, len(served.engine.market.history._missing))
        assert found == {code: [*range(epoch, epoch + 700)] for code in codes}
        assert most <= 1
