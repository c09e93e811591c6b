"""Pages of bars that are kept ready: never older than the bars themselves."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec

from tickwire.model import KlineType
from tickwire.server.pages import LIFETIME, MOST_PAGES, Pages
from tickwire.store import SqliteKlineStore

from ..serving import OTHER_HTTP, TRADE, Link, Script, Served, serving, trade
from ..stores import opened

MINUTE = 1_788_529_020  # where a minute begins


async def bars(served: Served, **more: int) -> list[dict[str, Any]]:
    query = {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 500} | more
    found: list[dict[str, Any]] = (await served.get(f"{OTHER_HTTP}/kline", {"data": query})).json()["data"][
        "kline_list"
    ]
    return found


async def trades(link: Link, script: Script, *seconds: float, price: str = "10") -> None:
    """Makes trades at these seconds, and waits until the server has taken them."""
    for at in seconds:
        script.emit(trade(price=price, volume="1", at=int((MINUTE + at) * 1000)))
        await link.push()


async def test_a_page_follows_every_change(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await trades(link, script, 1)
        assert [(bar["timestamp"], bar["volume"]) for bar in await bars(served)] == [(str(MINUTE), "1.00000")]
        await trades(link, script, 2)  # the bar that forms
        assert (await bars(served))[-1]["volume"] == "2.00000"
        await trades(link, script, 61)  # it closes
        assert [bar["volume"] for bar in await bars(served)] == ["2.00000", "1.00000"]
        await trades(link, script, 3, price="11")  # it is revised
        revised = (await bars(served))[0]
        assert (revised["volume"], revised["high_price"]) == ("3.00000", "11.00")


async def test_an_end_before_the_forming_bar_leaves_it_out(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await trades(link, script, 1, 61, 121)
        for _ in range(2):
            assert [bar["timestamp"] for bar in await bars(served, kline_timestamp_end=MINUTE + 60)] == [
                str(MINUTE),
                str(MINUTE + 60),
            ]
            assert await bars(served, kline_timestamp_end=MINUTE - 1) == []
            assert len(await bars(served, kline_timestamp_end=MINUTE + 121)) == 3


async def test_a_page_is_encoded_once_for_all_who_wait_for_it(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await trades(link, script, 1, 61)
        pages, instrument = Pages(served.engine.gateway.reads), served.engine.catalogue["BTCUSDT"]
        asked = [pages.answer(instrument, KlineType.MINUTE, count=500, end=None) for _ in range(20)]
        first, *others = [one.bars for one in await asyncio.gather(*asked)]
        assert bytes(first).count(b"timestamp") == 2
        assert all(one is first for one in others)


async def test_pages_are_bounded(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await trades(link, script, 1, 61)
        pages = Pages(served.engine.gateway.reads)
        instrument = served.engine.catalogue["BTCUSDT"]
        for end in range(MINUTE, MINUTE + 3 * MOST_PAGES):
            await pages.answer(instrument, KlineType.MINUTE, count=500, end=end)
        assert 0 < len(pages._pages) <= MOST_PAGES


async def test_what_another_process_writes_is_seen_when_pages_have_expired(
    tmp_path: Path, script: Script
) -> None:
    async with serving(tmp_path, script) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await trades(link, script, 1)
        pages, instrument = Pages(served.engine.gateway.reads), served.engine.catalogue["BTCUSDT"]
        asked = (instrument, KlineType.MINUTE)
        assert bytes((await pages.answer(*asked, count=500, end=None)).bars).count(b"timestamp") == 1
        forming = served.engine.market.feeds.first.bars.forming(*asked)
        assert forming is not None
        with opened(SqliteKlineStore, tmp_path / "tickwire.db") as other:
            other.write(script.name, [msgspec.structs.replace(forming, time=MINUTE - 60)])
        pages._made -= LIFETIME
        assert bytes((await pages.answer(*asked, count=500, end=None)).bars).count(b"timestamp") == 2
