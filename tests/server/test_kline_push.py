"""The push of K-lines: docs/protocol.md, "K-line push"."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickwire.model import Trade

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
    trade,
)

KLINE, KLINE_PUSH, KLINE_CANCEL = 28004, 28998, 28006
T0 = 1788480000  # 2026-09-04, a Friday, midnight UTC
DATA = "request data param invalid"
FIELDS = (
    "code kline_type seq state incomplete timestamp "
    "open_price close_price high_price low_price volume turnover"
).split()
NEVER = 60
"""A push interval that no test lives to see: what comes then does not come by it."""


class Market(Script):
    """A script that tells how often bars were looked over."""

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        self._round = asyncio.Event()

    def market_time(self) -> int:
        self.rounds += 1
        self._round.set()
        return self.now

    async def some_rounds(self, count: int) -> None:
        """Waits until bars were looked over so many times more."""
        until = self.rounds + count
        async with asyncio.timeout(20):
            while self.rounds < until:
                self._round.clear()
                await self._round.wait()


def at(second: float, price: str = "100", volume: str = "1", code: str = "BTCUSDT") -> Trade:
    return trade(code, price, volume, int((T0 + second) * 1000))


@pytest.fixture
def market() -> Market:
    return Market()


@pytest.fixture
async def lively(tmp_path: Path, market: Market) -> AsyncIterator[Served]:
    """A server that pushes what forms as soon as it may."""
    async with serving(tmp_path, market, kline_push_interval=0.02) as served:
        yield served


@pytest.fixture
async def calm(tmp_path: Path, market: Market) -> AsyncIterator[Served]:
    """A server that pushes on subscription and at a close only."""
    async with serving(tmp_path, market, kline_push_interval=NEVER) as served:
        yield served


def wants(*pairs: tuple[str, object]) -> dict[str, object]:
    return {"symbol_list": [{"code": code, "kline_type": kline_type} for code, kline_type in pairs]}


async def ask(link: Link, *pairs: tuple[str, object]) -> dict[str, Any]:
    return await link.ask(KLINE, wants(*pairs))


async def subscribed(link: Link, *pairs: tuple[str, object]) -> None:
    """Subscribes, and waits until the bars that form have been sent."""
    answer = await ask(link, *pairs)
    assert answer == {"ret": 200, "msg": "ok", "cmd_id": 28005, "seq_id": 1, "trace": "t", "data": {}}
    assert link.served is not None
    async with asyncio.timeout(20):
        while link.served.engine.gateway.first_bars.showing:  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def bar(link: Link) -> dict[str, Any]:
    """The data of the next push, which is a bar."""
    push = await link.push()
    assert list(push) == ["cmd_id", "data"]
    assert push["cmd_id"] == KLINE_PUSH
    assert list(push["data"]) == FIELDS
    data: dict[str, Any] = push["data"]
    return data


async def closed(link: Link) -> dict[str, Any]:
    """The next bar that is not forming any more."""
    while (data := await bar(link))["state"] == "forming":
        pass
    return data


async def taken(served: Served, script: Script, *events: Trade) -> None:
    """Emits these, and waits until the server has taken them."""
    until = served.engine.market.events + len(events)
    script.emit(*events)
    async with asyncio.timeout(20), served.link() as link:
        while served.engine.market.events < until:
            await link.ask(HEARTBEAT)


def brief(data: dict[str, Any]) -> tuple[str, int, str, int, str]:
    return (data["code"], data["kline_type"], data["state"], int(data["timestamp"]) - T0, data["close_price"])


# The first one.
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


# Changes.
async def test_a_bar_is_pushed_when_it_has_changed_and_only_then(lively: Served, market: Market) -> None:
    async with lively.link() as link:
        await subscribed(link, ("BTCUSDT", 1))
        for number in range(1, 6):
            market.emit(at(number, str(number)))
            assert brief(await bar(link)) == ("BTCUSDT", 1, "forming", 0, f"{number}.00")
            await market.some_rounds(3)
            await link.nothing()
        seqs = [push["data"]["seq"] for push in link.pushes]
        assert seqs == list(range(seqs[0], seqs[0] + 5))


async def test_at_most_one_push_of_a_bar_in_an_interval(tmp_path: Path, market: Market) -> None:
    interval = 0.15
    async with serving(tmp_path, market, kline_push_interval=interval) as served, served.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 5))
        await market.some_rounds(1)
        began, first = time.monotonic(), market.rounds
        number = 0
        while market.rounds < first + 4:
            number += 1
            await taken(served, market, at(number / 1000, str(number)))
        rounds, took = market.rounds - first, time.monotonic() - began
        assert rounds <= took / interval + 1
        last: set[int] = set()
        while last != {1, 5}:
            data = await bar(link)
            if data["close_price"] == f"{number}.00":
                last.add(data["kline_type"])
        for kline_type in (1, 5):
            count = sum(push["data"]["kline_type"] == kline_type for push in link.pushes)
            assert 2 <= count <= rounds + 2 < number


# Closes.
async def test_a_trade_of_the_next_minute_closes_at_once_whatever_the_interval(
    calm: Served, market: Market
) -> None:
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1))
        market.emit(at(1, "5"), at(59, "6"), at(60, "7"), at(200, "8"))
        assert brief(await bar(link)) == ("BTCUSDT", 1, "closed", 0, "6.00")
        assert brief(await bar(link)) == ("BTCUSDT", 1, "closed", 60, "7.00")
        await link.nothing()
        first, second = (push["data"]["seq"] for push in link.pushes)
        assert second == first + 1


async def test_every_type_that_ends_is_closed(calm: Served, market: Market) -> None:
    async with calm.link() as link:
        await subscribed(link, *(("BTCUSDT", n) for n in range(1, 11)))
        market.emit(at(1, "5"), at(4 * 3600, "6"))
        found = sorted([brief(await bar(link)) for _ in range(7)])
        assert found == [("BTCUSDT", n, "closed", 0, "5.00") for n in range(1, 8)]
        await link.nothing()


async def test_the_market_clock_closes_without_a_trade(lively: Served, market: Market) -> None:
    async with lively.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 2))
        market.emit(at(1, "5"))
        forming = [await bar(link), await bar(link)]
        assert {data["state"] for data in forming} == {"forming"}
        market.now = (T0 + 62) * 1000 - 1  # the close delay is 2 s
        await market.some_rounds(3)
        await link.nothing()
        market.now += 1
        assert brief(await bar(link)) == ("BTCUSDT", 1, "closed", 0, "5.00")
        await market.some_rounds(3)
        await link.nothing()
        market.now = (T0 + 302) * 1000
        assert brief(await bar(link)) == ("BTCUSDT", 2, "closed", 0, "5.00")


async def test_seq_is_contiguous_through_forming_closed_and_revised(lively: Served, market: Market) -> None:
    async with lively.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 2), ("ETHUSDT", 1))
        for second in range(0, 900, 20):
            market.emit(at(second, str(second + 1)), at(second, "9", code="ETHUSDT"))
            if second % 60 == 20:
                market.emit(at(second - 30, "1000"))
            await market.some_rounds(1)
        market.emit(at(2000), at(2000, code="ETHUSDT"))
        ends = 0
        while ends < 3:
            data = await bar(link)
            last = {1: 840, 2: 600}[data["kline_type"]]
            ends += data["state"] == "closed" and int(data["timestamp"]) - T0 == last
        seqs: dict[tuple[str, int], list[int]] = {}
        for push in link.pushes:
            data = push["data"]
            seqs.setdefault((data["code"], data["kline_type"]), []).append(data["seq"])
        assert {push["data"]["state"] for push in link.pushes} == {"forming", "closed", "revised"}
        assert len(seqs) == 3
        for found in seqs.values():
            assert found == list(range(found[0], found[0] + len(found)))


async def test_what_was_pushed_as_closed_or_revised_is_what_kline_answers(
    calm: Served, market: Market
) -> None:
    events = [at(n * 13, f"{100 + n * 7919 % 97}.{n % 10}", f"0.{n + 1}") for n in range(120)]
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 2), ("BTCUSDT", 3))
        await taken(calm, market, *events, at(119 * 13 - 40, "1", "3"))
        await link.send({"cmd_id": HEARTBEAT, "seq_id": 3})
        pushed: dict[tuple[int, str], str] = {}
        while '"seq_id":3' not in (text := str(await link.socket.recv())):
            data = msgspec.json.decode(text)["data"]
            assert data["state"] in ("closed", "revised")
            pushed[data["kline_type"], data["timestamp"]] = text[text.index('"timestamp"') : -2]
    assert {kline_type for kline_type, _ in pushed} == {1, 2, 3}
    for kline_type in (1, 2, 3):
        query = {"data": {"code": "BTCUSDT", "kline_type": kline_type, "query_kline_num": 500}}
        text = (await calm.get(f"{OTHER_HTTP}/kline", query)).text
        answered = re.findall(r'\{("timestamp"[^}]*)\}', text)
        assert [bytes_ for (one, _), bytes_ in pushed.items() if one == kline_type] != []
        assert sorted(bytes_ for (one, _), bytes_ in pushed.items() if one == kline_type) == answered[:-1]


async def test_a_late_trade_revises(calm: Served, market: Market) -> None:
    async with calm.link() as link:
        await subscribed(link, ("BTCUSDT", 1), ("BTCUSDT", 2))
        market.emit(at(290, "5"), at(301, "6"))
        assert sorted([brief(await bar(link)), brief(await bar(link))]) == [
            ("BTCUSDT", 1, "closed", 240, "5.00"),
            ("BTCUSDT", 2, "closed", 0, "5.00"),
        ]
        market.emit(at(299, "7", "2"))
        found = [await bar(link), await bar(link)]
        assert sorted(map(brief, found)) == [
            ("BTCUSDT", 1, "revised", 240, "7.00"),
            ("BTCUSDT", 2, "revised", 0, "7.00"),
        ]
        assert {data["volume"] for data in found} == {"3.00000"}
        await taken(calm, market, at(230, "9"))  # beyond the late window
        await link.nothing()


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
