"""Subscriptions to bars over real sockets: docs/protocol.md, "K-line push"."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tickwire.model import Trade

from ..kline_pushes import FIELDS, KLINE, KLINE_CANCEL, T0, Market, ask, at, bar, brief, subscribed, taken
from ..serving import (
    CANCEL,
    DEPTH,
    HEARTBEAT,
    OTHER_HTTP,
    STOCK_HTTP,
    STOCK_WS,
    TRADE,
    TRADE_PUSH,
    Link,
    Script,
    Served,
    book,
    serving,
)

DATA = "request data param invalid"


async def closed(link: Link) -> dict[str, Any]:
    """The next bar that is not forming any more."""
    while (data := await bar(link))["state"] == "forming":
        pass
    return data


# Lists.
async def test_a_new_list_replaces_the_earlier_one(calm: Served, market: Market) -> None:
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("ETHUSDT", 1))
        await subscribed(link, ("ETHUSDT", 1), ("BTCUSDT", 2))
        await taken(
            calm, market, *(at(second, code=code) for second in (1, 300) for code in ("BTCUSDT", "ETHUSDT"))
        )
        found = {brief(await bar(link))[:3], brief(await bar(link))[:3]}
        assert found == {("ETHUSDT", 1, "closed"), ("BTCUSDT", 2, "closed")}
        await link.nothing()


async def test_what_was_in_the_earlier_list_just_goes_on(calm: Served, market: Market) -> None:
    await taken(calm, market, at(1), at(1, code="ETHUSDT"))
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1))
        await bar(link)
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 1), ("ETHUSDT", 1))
        assert brief(await bar(link))[0] == "ETHUSDT"
        await link.nothing()


async def test_unknown_codes_are_dropped_and_a_refusal_leaves_the_list(calm: Served, market: Market) -> None:
    async with calm.link() as link:
        await subscribed(link, ("NOPE", 1), ("BTCUSDT", 1), ("700.HK", 1))
        for pairs, ret, msg in (
            ([("NOPE", 1), ("700.HK", 2)], 600, "code invalid"),
            ([("ETHUSDT", 11)], 400, DATA),
        ):
            answer = await ask(link, *pairs)
            assert (answer["ret"], answer["msg"], answer["cmd_id"], answer["data"]) == (ret, msg, 28005, {})
        market.emit(at(1), at(1, code="ETHUSDT"), at(61), at(61, code="ETHUSDT"))
        assert brief(await bar(link))[:3] == ("BTCUSDT", 1, "closed")
        await link.nothing()


@pytest.mark.parametrize("kline_type", [0, 11, -1, None, "", "x", 1.5, [1], True, 2**64], ids=str)
async def test_a_kline_type_that_there_is_not(served: Served, kline_type: object) -> None:
    async with served.link() as link:
        answer = await ask(link, ("BTCUSDT", 1), ("ETHUSDT", kline_type))
        assert (answer["ret"], answer["msg"], answer["cmd_id"], answer["data"]) == (400, DATA, 28005, {})


@pytest.mark.parametrize("data", [{}, [], {"symbol_list": []}, {"symbol_list": ["BTCUSDT"]}], ids=str)
async def test_impossible_data(served: Served, data: object) -> None:
    async with served.link() as link:
        answer = await link.ask(KLINE, data)
        assert (answer["ret"], answer["msg"], answer["cmd_id"]) == (400, DATA, 28005)


async def test_what_programs_send_and_strict_protocol(served: Served, tmp_path: Path) -> None:
    loose = {"symbol_list": [{"symbol": "BTCUSDT", "kline_type": "1", "x": 1}]}
    async with served.link() as link:
        assert (await link.ask(KLINE, loose))["ret"] == 200
    async with serving(tmp_path / "strict", Script(), strict_protocol=True) as exact, exact.link() as link:
        assert (await link.ask(KLINE, loose))["ret"] == 400
        assert (await ask(link, ("BTCUSDT", "1")))["ret"] == 400
        assert (await ask(link, ("XAUUSD", 1)))["ret"] == 600
        assert (await ask(link, ("BTCUSDT", 1), ("BTCUSDT", 1)))["ret"] == 400
        assert (await ask(link, ("BTCUSDT", 1), ("BTCUSDT", 2)))["ret"] == 200
        assert (await link.ask(KLINE_CANCEL))["ret"] == 200


# Cancel.
@pytest.mark.parametrize(
    ("cmd_id", "data", "ends"),
    [
        (KLINE_CANCEL, {}, True),
        (CANCEL, {"cancel_type": 0}, True),
        (CANCEL, {"cancel_type": 1}, False),
        (CANCEL, {"cancel_type": 2}, False),
        (CANCEL, {"cancel_type": 3}, False),
    ],
)
async def test_cancel(calm: Served, market: Market, cmd_id: int, data: object, ends: bool) -> None:
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 2))
        answer = await link.ask(cmd_id, data)
        assert answer == {
            "ret": 200,
            "msg": "ok",
            "cmd_id": cmd_id + 1,
            "seq_id": 1,
            "trace": "t",
            "data": {},
        }
        await taken(calm, market, at(1), at(61))
        if not ends:
            assert brief(await bar(link))[:3] == ("BTCUSDT", 1, "closed")
        await link.nothing()


async def test_to_cancel_bars_ends_nothing_else(calm: Served, market: Market) -> None:
    async with calm.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await subscribed(link, ("BTCUSDT", 1))
        assert (await link.ask(KLINE_CANCEL))["cmd_id"] == 28007
        await taken(calm, market, at(1), at(61))
        assert [(await link.push())["cmd_id"] for _ in range(2)] == [TRADE_PUSH, TRADE_PUSH]
        await link.nothing()


# Who gets what.
async def test_nothing_is_sent_to_a_client_that_did_not_ask(lively: Served, market: Market) -> None:
    everything = lively.link(max_queue=None)
    async with lively.link() as plain, everything as bars, lively.link() as idle, lively.link() as other:
        await plain.subscribe(TRADE, "BTCUSDT")
        await plain.subscribe(DEPTH, "BTCUSDT")
        await subscribed(bars, *(("BTCUSDT", n) for n in range(1, 11)))
        await subscribed(other, ("ETHUSDT", 1))
        for second in (1, 30, 61, 400, 370):
            market.emit(at(second))
            await market.some_rounds(2)
        market.emit(book())
        await lively.get(f"{OTHER_HTTP}/kline", {"data": {"code": "BTCUSDT", "kline_type": 1}})
        found = [await plain.push() for _ in range(6)]
        assert [push["cmd_id"] for push in found] == [TRADE_PUSH] * 5 + [22999]
        for link in (plain, idle, other):
            await link.nothing()
        for _ in range(20):
            await bar(bars)


async def test_each_family_on_its_own_path(calm: Served, market: Market) -> None:
    async with calm.link() as other, calm.link(STOCK_WS) as stock:
        for link in (other, stock):
            await subscribed(link, ("BTCUSDT", 1), ("700.HK", 1))
        market.emit(*(at(second, code=code) for second in (1, 61) for code in ("BTCUSDT", "700.HK")))
        assert brief(await bar(other))[0] == "BTCUSDT"
        data = await bar(stock)
        assert (data["code"], data["close_price"], data["volume"]) == ("700.HK", "100.000000", "1")
        await other.nothing()
        await stock.nothing()


async def test_stocks_are_silent_in_types_6_and_7(lively: Served, market: Market) -> None:
    async with lively.link(STOCK_WS) as link:
        await subscribed(link, ("AAPL.US", 6), ("AAPL.US", 7))
        market.emit(at(5 * 3600, code="AAPL.US"), at(15 * 3600, code="AAPL.US"))
        await market.some_rounds(3)
        await link.nothing()
        await subscribed(link, ("AAPL.US", 6), ("AAPL.US", 8))
        assert (await bar(link))["kline_type"] == 8
        await link.nothing()
    query = {"data": {"code": "AAPL.US", "kline_type": 8}}
    assert '"volume":"2"' in (await lively.get(f"{STOCK_HTTP}/kline", query)).text


async def test_an_alias_and_its_name_are_two_streams_of_one_bar(calm: Served, market: Market) -> None:
    await taken(calm, market, at(1, "4415.3", code="GOLD"))
    async with calm.link() as link:
        await subscribed(link, ("XAUUSD", 1), ("GOLD", 1))
        found = [await bar(link), await bar(link)]
        market.emit(at(61, "4416", code="GOLD"))
        found += [await bar(link), await bar(link)]
        await link.nothing()
    for state in ("forming", "closed"):
        first, second = (data for data in found if data["state"] == state)
        assert {first["code"], second["code"]} == {"XAUUSD", "GOLD"}
        assert {**first, "code": ""} == {**second, "code": ""}


async def test_legacy_string_ids(tmp_path: Path, market: Market) -> None:
    async with serving(tmp_path, market, legacy_string_ids=True) as served, served.link() as link:
        await taken(served, market, at(1))
        await subscribed(link, ("BTCUSDT", 1))
        first = await bar(link)
        market.emit(at(61))
        second = await closed(link)
        assert first["seq"].isdigit()
        assert int(second["seq"]) > int(first["seq"])
        assert (type(first["kline_type"]), type(first["incomplete"])) == (int, int)


async def test_two_clients_on_the_same_bars_get_the_same_bytes(lively: Served, market: Market) -> None:
    async with lively.link() as one, lively.link() as two:
        for link, order in ((one, (1, 2)), (two, (2, 1))):
            await subscribed(link, *(("BTCUSDT", n) for n in order))
        for second in (1, 20, 61, 62, 400, 380):
            market.emit(at(second, str(second)))
            await market.some_rounds(2)
        texts: list[list[str]] = []
        for link in (one, two):
            await link.send({"cmd_id": HEARTBEAT, "seq_id": 3})
            texts.append([])
            while '"seq_id":3' not in (text := str(await link.socket.recv())):
                texts[-1].append(text)
        assert texts[0] == texts[1]
        assert len(texts[0]) >= 12


async def test_numbers_are_decimals_of_the_product(calm: Served, market: Market) -> None:
    async with calm.link() as link:
        await subscribed(link, ("USOIL", 1))
        market.emit(Trade("USOIL", T0 * 1000, Decimal("61.5"), Decimal(2)), at(60, code="USOIL"))
        data = await bar(link)
    assert [data[name] for name in FIELDS[6:]] == ["61.500"] * 4 + ["2.000", "123.000"]
