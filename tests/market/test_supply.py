"""What sources are asked for, and the requests that wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from pathlib import Path

from tickwire.model import Kind
from tickwire.sources import Snapshot

from ..serving import OTHER_HTTP, TRADE, serving, trade, until
from .rivals import Live, Named


class Slow(Named):
    """One whose first event of a code comes soon."""

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        super().want(kind, codes, subscribed=subscribed)
        return codes


async def test_what_does_not_pass_releases_no_request(tmp_path: Path) -> None:
    """A request that waits for the first event of a code waits for one that it can be answered with."""
    one, two = Slow("one", "BTCUSDT"), Slow("two", "BTCUSDT")
    query = {"data": {"symbol_list": [{"code": "BTCUSDT"}]}}
    async with serving(tmp_path, [(one, ()), (two, ())], fallback_after=1000) as served:
        asking = asyncio.create_task(served.get(f"{OTHER_HTTP}/trade-tick", query))
        await until(lambda: served.engine.market.supply.awaited)
        two.emit(trade(price="2"), Snapshot(Kind.TRADE, "BTCUSDT", None))
        await until(lambda: served.engine.market.events == 1)
        assert served.engine.market.supply.awaited
        one.emit(trade(price="1"))
        (tick,) = (await asking).json()["data"]["tick_list"]
        assert tick["price"] == "1.00"
        assert not served.engine.market.supply.awaited


async def test_what_only_a_stand_in_gives_is_not_waited_for(tmp_path: Path) -> None:
    one, two = Named("one", "BTCUSDT"), Slow("two", "BTCUSDT")
    async with serving(tmp_path, [(one, ()), (two, ())], fallback_after=1000) as served:
        bitcoin = served.engine.catalogue["BTCUSDT"]
        assert not served.engine.market.supply.want(Kind.TRADE, [bitcoin], subscribed=False)
        assert two.wanted == ["BTCUSDT"], "it is to be ready"


async def test_where_upstream_has_no_room_the_answer_is_clear(tmp_path: Path) -> None:
    source = Live()
    async with serving(tmp_path, source) as served, served.link() as link:
        source.taken = 1
        assert (await link.subscribe(TRADE, "BTCUSDT", "GOLD"))["ret"] == 200
        assert source.wanted == ["BTCUSDT"]
        source.taken = 2
        served.engine.gateway.sharing.renew()
        await until(lambda: "GOLD" in source.wanted)
        source.taken = 0
        answer = await link.subscribe(TRADE, "GOLD")
        assert (answer["ret"], answer["msg"]) == (603, "token level not enough")


async def test_a_request_waits_for_what_is_coming(tmp_path: Path) -> None:
    source = Live()
    source.soon = ("BTCUSDT",)
    async with serving(tmp_path, source) as served:
        asked = asyncio.create_task(
            served.get(f"{OTHER_HTTP}/trade-tick", {"data": {"symbol_list": [{"code": "BTCUSDT"}]}})
        )
        await until(lambda: "BTCUSDT" in source.wanted)
        source.emit(Snapshot(Kind.TRADE, "BTCUSDT", trade(price="3")))
        assert (await asked).json()["data"]["tick_list"][0]["price"] == "3.00"
        asked = asyncio.create_task(
            served.get(f"{OTHER_HTTP}/depth-tick", {"data": {"symbol_list": [{"code": "BTCUSDT"}]}})
        )
        await until(lambda: source.wanted.count("BTCUSDT") == 2)
        source.emit(Snapshot(Kind.DEPTH, "BTCUSDT", None))
        assert (await asked).json()["data"]["tick_list"] == []
