"""Publishers that go away, as clients and people see it; and the time in which no server ran."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from .publishing import Desk, a_trade, desk_in, packed

WATCH = 28008


async def gaps(desk: Desk) -> list[dict[str, Any]]:
    await desk.served.engine.market.gap_entries.drain()
    answer = await desk.client.get("/v1/gaps", params={"token": "t"})
    found: list[dict[str, Any]] = answer.json()["data"]["gap_list"]
    return found


async def status(link: Any) -> dict[str, Any]:
    """The next push of a source's status."""
    while (message := await link.push())["cmd_id"] != 28997:
        pass
    data: dict[str, Any] = message["data"]
    return data


async def test_a_publisher_that_goes_away_is_told_and_entered(tmp_path: Path) -> None:
    async with desk_in(tmp_path, upstream_silence=1) as desk, desk.served.link() as link:
        await link.ask(WATCH)
        assert (await status(link))["status"] == "up"
        before = time.time_ns() // 1_000_000
        await desk.data(packed(a_trade(code="BTCUSDT"), a_trade(code="GOLD")), publisher="one")
        told = await status(link)
        assert (told["status"], told["reason"]) == ("stale", "local/one has been silent for 1 s")
        ready = (await desk.client.get("/readyz")).json()
        assert (ready["ready"], ready["sources"][0]["status"]) == (True, "stale")
        crypto = next(one for one in await gaps(desk) if one["market"] == "crypto")
        assert (crypto["codes"], crypto["end"], crypto["reason"]) == (["BTCUSDT"], None, told["reason"])
        assert before - 2000 < crypto["begin"] < told["since"]
        await desk.data(packed(a_trade(code="BTCUSDT")), publisher="one")
        assert (await status(link))["status"] == "up"
        crypto = next(one for one in await gaps(desk) if one["market"] == "crypto")
        assert crypto["end"] >= told["since"]


async def test_one_that_is_connected_is_there_however_little_it_publishes(tmp_path: Path) -> None:
    async with desk_in(tmp_path, upstream_silence=2) as desk, desk.served.link() as link:
        await link.ask(WATCH)
        await status(link)
        async with desk.socket("?publisher=there") as talk:
            await talk.send(a_trade(code="BTCUSDT"))
            await desk.data(packed(a_trade(code="ETHUSDT")), publisher="gone")
            told = await status(link)
            assert (told["status"], told["reason"]) == ("stale", "local/gone has been silent for 2 s")
            assert [one["codes"] for one in await gaps(desk)] == [["ETHUSDT"]]
            await desk.data(packed(a_trade(code="ETHUSDT")), publisher="gone")
            assert (await status(link))["status"] == "up"
        told = await status(link)  # it has hung up, and the other one is silent again
        assert told["status"] == "stale"


async def test_the_time_without_a_server_is_entered_for_every_code_that_has_bars(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        lines = [a_trade(code=code) for code in ("BTCUSDT", "ETHUSDT", "GOLD")]
        await desk.data(packed(*lines))
        await desk.served_all()
        assert await gaps(desk) == []
    later = time.time() + 3600.0
    async with desk_in(tmp_path, wall=lambda: later) as desk:
        found = {one["market"]: one for one in await gaps(desk)}
        assert found["crypto"]["codes"] == ["BTCUSDT", "ETHUSDT"]
        assert found["crypto"]["reason"] == "the server did not run"
        assert 3_590_000 < found["crypto"]["end"] - found["crypto"]["begin"] < 3_610_000
