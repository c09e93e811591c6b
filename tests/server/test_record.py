"""Recording a server's ticks and replaying them, from one server's clients to the next one's."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tickwire.assembly import build
from tickwire.config import Settings
from tickwire.errors import InputError, SettingsError
from tickwire.model import Correction, Event
from tickwire.store.recordings import Recordings

from ..serving import DEPTH, TRADE, Script, book, serving, trade

CODES = ["BTCUSDT", "GOLD", "AAPL.US", "000001.SH"]


def events(folder: Path, **how: Any) -> list[Event]:
    """What stands in a recording, in the order in which it came."""
    found = (one.event for one in Recordings(folder).read(**how))
    return [one for one in found if not isinstance(one, Correction)]


async def recorded(tmp_path: Path, folder: Path, count: int) -> None:
    """A recording of so many events of a simulator, at least."""
    settings: dict[str, Any] = {"codes": CODES, "rate": 200, "record": folder}
    async with serving(tmp_path / "recorded", **settings) as served, asyncio.timeout(120):
        while served.engine.market.events < count:
            await served.request("GET", "/healthz")
        assert (await served.request("GET", "/readyz")).json()["recording"] is True


async def replayed(tmp_path: Path, folder: Path, again: Path | None, **settings: Any) -> None:
    """Replays a recording flat out until it ends, recording it again."""
    made: dict[str, Any] = {"source": "replay", "file": [folder], "speed": 0, "record": again, **settings}
    wanted = len(events(folder))
    async with serving(tmp_path / "replayed", **made) as served, asyncio.timeout(120):
        assert served.engine.market.source.simulated
        while served.engine.market.events < wanted:
            await served.request("GET", "/healthz")


async def test_a_replay_of_a_recording_is_recorded_as_the_same_events(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    await recorded(tmp_path, first, 3000)
    await replayed(tmp_path, first, second)
    before = events(first)
    assert len(before) >= 3000
    assert {event.code for event in before} == {*CODES}
    assert events(second) == before


async def test_a_client_of_the_replay_sees_what_a_client_of_the_source_saw(tmp_path: Path) -> None:
    folder = tmp_path / "ticks"
    feed = Script()
    sent = [trade(at=1788529064027 + n, price=f"{79317 + n}.70") for n in range(50)]
    async with serving(tmp_path / "a", feed, record=folder) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        feed.emit(*sent, book(at=1788529064100))
        seen = [await link.push() for _ in range(51)]
    settings: dict[str, Any] = {"source": "replay", "file": [folder], "speed": 0, "hold": True}
    async with serving(tmp_path / "b", **settings) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        again = [await link.push() for _ in range(51)]
        assert not served.engine.market.source.simulated
    for push in (*seen, *again):
        del push["data"]["seq"]
    assert again == seen


async def test_a_part_is_replayed_by_time_and_code(tmp_path: Path) -> None:
    folder, feed = tmp_path / "ticks", Script()
    start = 1788529064000
    async with serving(tmp_path / "a", feed, record=folder) as served, served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        feed.emit(*(trade("BTCUSDT", at=start + n * 1000) for n in range(10)))
        feed.emit(*(trade("GOLD", at=start + n * 1000, volume="1") for n in range(10)))
        for _ in range(10):
            await link.push()
    settings: dict[str, Any] = {
        "source": "replay",
        "file": [folder],
        "speed": 0,
        "hold": True,
        "codes": ["GOLD"],
        "from_time": "2026-09-04T13:37:47Z",
        "to_time": "2026-09-04T15:37:49+02:00",
    }
    async with serving(tmp_path / "b", **settings) as served, served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        times = [(await link.push())["data"]["tick_time"] for _ in range(2)]
        assert times == [start + 3000, start + 4000]
        await link.nothing()
        assert served.engine.market.events == 2


def test_a_folder_without_the_wanted_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    settings: dict[str, Any] = {"data_dir": tmp_path / "data", "source": "replay"}
    with pytest.raises(InputError, match="no recording in"):
        build(Settings(**settings, file=[tmp_path / "empty"]))
    with pytest.raises(SettingsError, match="not replayed together"):
        build(Settings(**settings, file=[tmp_path / "empty", tmp_path / "x.csv"]))
