"""Which bars are pushed, and when: docs/protocol.md, "K-line push"."""

from __future__ import annotations

import re
import time
from pathlib import Path

import msgspec

from ..kline_pushes import T0, Market, at, bar, brief, subscribed, taken
from ..serving import HEARTBEAT, OTHER_HTTP, Served, serving


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
