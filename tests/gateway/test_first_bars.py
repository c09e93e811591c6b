"""What comes first of a subscription to bars: the one that forms."""

from __future__ import annotations

import re

from ..kline_pushes import KLINE_CANCEL, T0, Market, at, bar, brief, subscribed, taken, wants
from ..serving import Served


async def test_the_answer_and_the_forming_bar_at_once(calm: Served, market: Market) -> None:
    await taken(calm, market, at(1, "100.5", "2"), at(2, "99.25", "0.5"))
    async with calm.link() as link:
        await link.send({"cmd_id": 28004, "seq_id": 7, "trace": "k", "data": wants(("BTCUSDT", 1))})
        assert await link.socket.recv() == (
            '{"ret":200,"msg":"ok","cmd_id":28005,"seq_id":7,"trace":"k","data":{}}'
        )
        assert re.fullmatch(
            r'\{"cmd_id":28998,"data":\{"code":"BTCUSDT","kline_type":1,"seq":\d{16},"state":"forming",'
            r'"incomplete":0,"timestamp":"1788480000","open_price":"100.50","close_price":"99.25",'
            r'"high_price":"100.50","low_price":"99.25","volume":"2.50000","turnover":"250.63"\}\}',
            str(await link.socket.recv()),
        )
        await link.nothing()


async def test_without_a_trade_there_is_no_bar(calm: Served) -> None:
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 10))
        await link.nothing()


async def test_every_type_at_once(calm: Served, market: Market) -> None:
    await taken(calm, market, at(1))
    async with calm.link() as link:
        await subscribed(link, *(("BTCUSDT", n) for n in range(1, 11)))
        found = [await bar(link) for _ in range(10)]
        opened = [0] * 8 + [-4 * 86400, -3 * 86400]  # Monday, the 1st
        assert sorted((data["kline_type"], int(data["timestamp"]) - T0) for data in found) == list(
            enumerate(opened, 1)
        )
        await link.nothing()


async def test_a_second_subscriber_has_the_bar_as_it_is_now(calm: Served, market: Market) -> None:
    await taken(calm, market, at(1, "100"))
    async with calm.link() as first, calm.link() as second:
        await subscribed(first, ("BTCUSDT", 1))
        assert (await bar(first))["close_price"] == "100.00"
        await taken(calm, market, at(2, "101"))
        await subscribed(second, ("BTCUSDT", 1))
        while (data := await bar(second))["close_price"] != "101.00":
            assert data["close_price"] == "100.00"
        await second.nothing()


async def test_a_second_subscriber_to_a_bar_that_has_not_changed_has_it_too(
    calm: Served, market: Market
) -> None:
    await taken(calm, market, at(1, "100"))
    async with calm.link() as first, calm.link() as second:
        await subscribed(first, ("BTCUSDT", 1))
        seen = await bar(first)
        await subscribed(second, ("BTCUSDT", 1))
        assert await bar(second) == seen
        await first.nothing()


async def test_what_comes_first_is_the_bar_that_forms_not_one_of_an_earlier_subscriber(
    calm: Served, market: Market
) -> None:
    await taken(calm, market, at(1, "100"))
    async with calm.link() as early:
        await subscribed(early, ("BTCUSDT", 1))
        await bar(early)
        await early.ask(KLINE_CANCEL)
    await taken(calm, market, at(2, "101"), at(61, "102"), at(121, "103"))
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1))
        assert brief(await bar(link)) == ("BTCUSDT", 1, "forming", 120, "103.00")
        await link.nothing()
