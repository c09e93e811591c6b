"""What is pushed, to whom, and in which form: section 2."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tickwire.model import Book, Level, Trade

from ..serving import (
    CANCEL,
    DEPTH,
    DEPTH_PUSH,
    OTHER_HTTP,
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

AT = 1788529064027


def codes(pushes: list[dict[str, Any]]) -> list[tuple[int, str]]:
    return [(push["cmd_id"], push["data"]["code"]) for push in pushes]


async def pushes(link: Link, count: int) -> list[dict[str, Any]]:
    return [await link.push() for _ in range(count)]


def levels(code: str, level: object = None) -> dict[str, object]:
    return {"symbol_list": [{"code": code, "depth_level": level}]}


# Form.
async def test_the_bytes_of_a_trade(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "GOLD")
        script.emit(Trade("GOLD", 1788530573000, Decimal("4415.32"), Decimal(8), direction=1))
        text = await link.socket.recv()
    assert re.fullmatch(
        r'\{"cmd_id":22998,"data":\{"code":"GOLD","seq":\d{16},"tick_time":1788530573000,'
        r'"price":"4415.32","volume":"8.00","turnover":"35322.56","trade_direction":1\}\}',
        str(text),
    )


async def test_the_bytes_of_a_book(served: Served, script: Script) -> None:
    async with served.link(STOCK_WS) as link:
        await link.subscribe(DEPTH, "TSLA.US")
        bid, ask = Level(Decimal("357.35"), Decimal(114)), Level(Decimal("357.4"), Decimal(94))
        script.emit(Book("TSLA.US", 1788530608346, (bid,), (ask,)))
        text = await link.socket.recv()
    assert re.fullmatch(
        r'\{"cmd_id":22999,"data":\{"code":"TSLA.US","seq":\d{16},"tick_time":1788530608346,'
        r'"bids":\[\{"price":"357.350000","volume":"114"\}\],"asks":\[\{"price":"357.400000","volume":"94"\}\]\}\}',
        str(text),
    )


@pytest.mark.parametrize(
    ("event", "price", "volume", "turnover"),
    [
        (trade("BTCUSDT", "79317.7", "0.5"), "79317.70", "0.50000", "39658.85"),
        (trade("USOIL", "61.5", "2"), "61.500", "2.000", "123.000"),
        (trade("AAPL.US", "292.46", "10"), "292.460000", "10", "2924.600000"),
        (trade("700.HK", "600.5", "100"), "600.500000", "100", "60050.000000"),
        (trade("000001.SZ", "11.37", "3"), "11.370000", "3", "3411.000000"),  # lots of 100 shares
        (Trade("GOLD", AT, Decimal(4415), Decimal(0)), "4415.00", "0.00", "0.00"),
        (
            Trade("GOLD", AT, Decimal(4415), Decimal(1), turnover=Decimal("7.005")),
            "4415.00",
            "1.00",
            "7.01",
        ),
    ],
    ids=str,
)
async def test_numbers_have_the_decimals_of_their_product(
    served: Served, script: Script, event: Trade, price: str, volume: str, turnover: str
) -> None:
    path = STOCK_WS if "." in event.code else "/quote-b-ws-api"
    async with served.link(path) as link:
        await link.subscribe(TRADE, event.code)
        script.emit(event)
        data = (await link.push())["data"]
    assert (data["price"], data["volume"], data["turnover"]) == (price, volume, turnover)
    assert list(data) == ["code", "seq", "tick_time", "price", "volume", "turnover", "trade_direction"]


async def test_ids_are_integers_and_grow_by_one_per_code_and_kind(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT", "ETHUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        for _ in range(3):
            script.emit(trade(), book(), trade("ETHUSDT"))
        seen: dict[tuple[int, str], list[int]] = {}
        for push in await pushes(link, 9):
            assert set(push) == {"cmd_id", "data"}
            assert type(push["data"]["tick_time"]) is int
            seen.setdefault((push["cmd_id"], push["data"]["code"]), []).append(push["data"]["seq"])
    assert len(seen) == 3
    for seqs in seen.values():
        assert seqs == [seqs[0], seqs[0] + 1, seqs[0] + 2]


async def test_legacy_string_ids_are_strings_in_pushes_and_snapshots(tmp_path: Path) -> None:
    script = Script()
    async with serving(tmp_path, script, legacy_string_ids=True) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        script.emit(trade(), book())
        first = await pushes(link, 2)
        async with served.link() as late:
            await late.subscribe(TRADE, "BTCUSDT")
            assert await late.push() == first[0]
            await late.subscribe(DEPTH, "BTCUSDT")
            assert await late.push() == first[1]
        for push in first:
            assert push["data"]["seq"].isdigit()
            assert push["data"]["tick_time"] == str(AT)


class TextTrade(msgspec.Struct):
    """A trade as a strictly typed client has it that was written from the vendor's older documents."""

    code: str
    seq: str
    tick_time: str


class NumberTrade(msgspec.Struct):
    """The same, from what the live service sends."""

    code: str
    seq: int
    tick_time: int


@pytest.mark.parametrize("legacy", [False, True])
async def test_a_strictly_typed_client_finds_the_type_that_it_declares(tmp_path: Path, legacy: bool) -> None:
    script = Script()
    fits, fails = (TextTrade, NumberTrade) if legacy else (NumberTrade, TextTrade)
    async with serving(tmp_path, script, legacy_string_ids=legacy) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        script.emit(trade())
        text = await link.socket.recv()
        data = msgspec.json.decode(text)["data"]
        assert msgspec.to_builtins(msgspec.convert(data, fits))["code"] == "BTCUSDT"
        with pytest.raises(msgspec.ValidationError, match=r"\$\.seq"):
            msgspec.convert(data, fails)
        query = {"trace": "", "data": {"symbol_list": [{"code": "BTCUSDT"}]}}
        (over_http,) = (await served.get(f"{OTHER_HTTP}/trade-tick", query)).json()["data"]["tick_list"]
        assert msgspec.convert(over_http, TextTrade).tick_time == str(AT)


# Snapshots.
async def test_a_new_subscriber_gets_the_last_state_at_once(served: Served, script: Script) -> None:
    async with served.link() as early, served.link() as late:
        await early.subscribe(TRADE, "BTCUSDT")
        await early.subscribe(DEPTH, "BTCUSDT")
        script.emit(trade(price="1"), trade(price="2"), book())
        seen = await pushes(early, 3)
        assert (await late.subscribe(TRADE, "BTCUSDT", "ETHUSDT"))["ret"] == 200  # the answer is first
        assert await late.push() == seen[1]
        await late.nothing()
        await late.subscribe(DEPTH, "BTCUSDT")
        assert await late.push() == seen[2]
        await late.nothing()


async def test_without_snapshots_the_first_push_is_the_next_event(tmp_path: Path) -> None:
    script = Script()
    async with serving(tmp_path, script, snapshot_on_subscribe=False) as served, served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        script.emit(trade(price="1"))
        await link.push()
        async with served.link() as late:
            await late.subscribe(TRADE, "BTCUSDT")
            await late.subscribe(DEPTH, "BTCUSDT")
            await late.nothing()
            script.emit(trade(price="2"))
            assert (await late.push())["data"]["price"] == "2.00"


async def test_codes_that_were_subscribed_before_just_go_on(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT", "ETHUSDT")
        script.emit(trade(), trade("ETHUSDT"), trade("GOLD"))
        await pushes(link, 2)
        await link.subscribe(TRADE, "ETHUSDT", "GOLD")
        assert (await link.push())["data"]["code"] == "GOLD"  # the only new one
        await link.nothing()
        await link.subscribe(TRADE, "ETHUSDT", "GOLD")
        await link.nothing()


async def test_subscribed_again_after_a_cancel_the_last_state_comes_again(
    served: Served, script: Script
) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        script.emit(trade())
        seen = await link.push()
        await link.ask(CANCEL, {"cancel_type": 0})
        await link.subscribe(TRADE, "BTCUSDT")
        assert await link.push() == seen


# Lists.
async def test_a_new_list_replaces_the_earlier_one(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT", "ETHUSDT")
        await link.subscribe(TRADE, "GOLD")
        script.emit(trade("BTCUSDT"), trade("ETHUSDT"), trade("GOLD"))
        assert (await link.push())["data"]["code"] == "GOLD"
        await link.nothing()


async def test_the_two_lists_are_independent(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "ETHUSDT")
        script.emit(trade("BTCUSDT"), book("BTCUSDT"), trade("ETHUSDT"), book("ETHUSDT"))
        assert codes(await pushes(link, 2)) == [(TRADE_PUSH, "BTCUSDT"), (DEPTH_PUSH, "ETHUSDT")]
        await link.subscribe(DEPTH, "GOLD")
        script.emit(trade("BTCUSDT"), book("ETHUSDT"), book("GOLD", 1))
        assert codes(await pushes(link, 2)) == [(TRADE_PUSH, "BTCUSDT"), (DEPTH_PUSH, "GOLD")]
        await link.nothing()


@pytest.mark.parametrize(
    ("kind", "left"), [(0, set()), (1, {TRADE_PUSH}), (2, {DEPTH_PUSH}), (3, {TRADE_PUSH, DEPTH_PUSH})]
)
async def test_what_each_cancel_type_ends(served: Served, script: Script, kind: int, left: set[int]) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT", "GOLD")
        await link.subscribe(DEPTH, "BTCUSDT", "GOLD")
        answer = await link.ask(CANCEL, {"cancel_type": kind}, seq_id=77)
        assert answer == {"ret": 200, "msg": "ok", "cmd_id": 22007, "seq_id": 77, "trace": "t", "data": {}}
        script.emit(trade(), book(), trade("GOLD"), book("GOLD", 1))
        assert {push["cmd_id"] for push in await pushes(link, 2 * len(left))} == left
        await link.nothing()


async def test_to_cancel_nothing_is_no_error(served: Served) -> None:
    async with served.link() as link:
        for kind in (0, 1, 2, 3, 0):
            assert (await link.ask(CANCEL, {"cancel_type": kind}))["ret"] == 200


async def test_an_alias_and_its_code_are_two_streams(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "XAUUSD", "GOLD", "XAGUSD")
        await link.subscribe(DEPTH, "XAUUSD")
        script.emit(trade("GOLD", "4415.32"), trade("Silver", "80"), book("GOLD", 1))
        found = await pushes(link, 4)
        await link.nothing()
        assert sorted(codes(found)) == [
            (TRADE_PUSH, "GOLD"),
            (TRADE_PUSH, "XAGUSD"),
            (TRADE_PUSH, "XAUUSD"),
            (DEPTH_PUSH, "XAUUSD"),
        ]
        gold, alias = (
            next(push["data"] for push in found if push["data"]["code"] == name)
            for name in ("GOLD", "XAUUSD")
        )
        assert {**alias, "code": "GOLD"} == gold
    async with served.link() as late:
        await late.subscribe(TRADE, "GOLD", "XAUUSD")
        assert [push["data"]["code"] for push in await pushes(late, 2)] == ["GOLD", "XAUUSD"]


async def test_duplicates_in_a_depth_list_give_one_stream(served: Served, script: Script) -> None:
    async with served.link() as link:
        twice = {
            "symbol_list": [{"code": "BTCUSDT", "depth_level": 1}, {"code": "BTCUSDT", "depth_level": 5}]
        }
        assert (await link.ask(DEPTH, twice))["ret"] == 200
        script.emit(book())
        await link.push()
        await link.nothing()


async def test_each_family_is_served_on_its_own_path(served: Served, script: Script) -> None:
    async with served.link() as other, served.link(STOCK_WS) as stock:
        await other.subscribe(TRADE, "BTCUSDT", "700.HK")
        await stock.subscribe(TRADE, "BTCUSDT", "700.HK")
        script.emit(trade("BTCUSDT"), trade("700.HK"))
        assert (await other.push())["data"]["code"] == "BTCUSDT"
        assert (await stock.push())["data"]["code"] == "700.HK"
        await other.nothing()
        await stock.nothing()


# Books.
@pytest.mark.parametrize(
    ("level", "expected"), [(None, 5), (0, 5), (1, 1), (3, 3), (5, 5), (6, 5), (100, 5), (2**32 - 1, 5)]
)
async def test_depth_level(served: Served, script: Script, level: int | None, expected: int) -> None:
    async with served.link() as link:
        await link.ask(DEPTH, levels("BTCUSDT", level))
        script.emit(book())
        data = (await link.push())["data"]
    assert [one["price"] for one in data["bids"]] == [f"{100 - n}.00" for n in range(expected)]
    assert [one["price"] for one in data["asks"]] == [f"{101 + n}.00" for n in range(expected)]


async def test_depth_level_omitted_is_all_levels(served: Served, script: Script) -> None:
    async with served.link(STOCK_WS) as link:
        await link.subscribe(DEPTH, "700.HK")
        script.emit(book("700.HK", 10))
        assert len((await link.push())["data"]["bids"]) == 10


async def test_each_client_gets_its_own_depth(served: Served, script: Script) -> None:
    async with served.link() as one, served.link() as three, served.link() as everything:
        await one.ask(DEPTH, levels("BTCUSDT", 1))
        await three.ask(DEPTH, levels("BTCUSDT", 3))
        await everything.ask(DEPTH, levels("BTCUSDT", 0))
        script.emit(book())
        found = [(await link.push())["data"] for link in (one, three, everything)]
    assert [len(data["bids"]) for data in found] == [1, 3, 5]
    assert len({data["seq"] for data in found}) == 1
    assert found[0]["bids"] == found[2]["bids"][:1]
    assert found[1]["asks"] == found[2]["asks"][:3]


async def test_another_depth_holds_from_the_next_book_on(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.ask(DEPTH, levels("BTCUSDT", 1))
        script.emit(book())
        assert len((await link.push())["data"]["bids"]) == 1
        await link.ask(DEPTH, levels("BTCUSDT", 2))
        await link.nothing()  # a code of the earlier list just goes on
        script.emit(book())
        assert len((await link.push())["data"]["bids"]) == 2
        await link.nothing()


async def test_a_book_smaller_than_asked_is_sent_as_it_is(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.ask(DEPTH, levels("BTCUSDT", 5))
        bids, asks = book(levels=2).bids, book(levels=3).asks
        script.emit(Book("BTCUSDT", AT, bids, asks))
        data = (await link.push())["data"]
    assert (len(data["bids"]), len(data["asks"])) == (2, 3)  # a side with some levels is never padded


@pytest.mark.parametrize(("level", "expected"), [(None, 10), (0, 10), (1, 1), (3, 3), (100, 10)])
@pytest.mark.parametrize("empty", ["bids", "asks", "both"])
async def test_an_empty_side_is_padded_with_zeros(
    served: Served, script: Script, level: int | None, expected: int, empty: str
) -> None:
    full = book("700.HK", 10)
    script.emit(
        Book("700.HK", AT, () if empty != "asks" else full.bids, () if empty != "bids" else full.asks)
    )
    async with served.link(STOCK_WS) as link:
        await link.ask(DEPTH, levels("700.HK", level))
        data = (await link.push())["data"]
    for side in ("bids", "asks") if empty == "both" else (empty,):
        assert data[side] == [{"price": "0.000000", "volume": "0"}] * expected
    for side in {"bids", "asks"} - ({"bids", "asks"} if empty == "both" else {empty}):
        assert len(data[side]) == expected
        assert data[side][0]["price"] != "0.000000"


async def test_an_index_has_no_book_and_stays_silent(served: Served, script: Script) -> None:
    async with served.link(STOCK_WS) as link:
        answer = await link.ask(
            DEPTH, {"symbol_list": [{"code": ".DJI.US"}, {"code": "000001.SH", "depth_level": 5}]}
        )
        assert (answer["ret"], answer["msg"]) == (200, "ok")
        await link.subscribe(TRADE, ".DJI.US")
        script.emit(trade(".DJI.US", "50486.35", "0"))
        assert (await link.push())["cmd_id"] == TRADE_PUSH
        await link.nothing()


# Clients.
async def test_two_clients_get_identical_bytes(served: Served, script: Script) -> None:
    async with served.link() as one, served.link() as two, served.link() as three:
        for link, order in (
            (one, ["BTCUSDT", "ETHUSDT"]),
            (two, ["BTCUSDT", "ETHUSDT"]),
            (three, ["ETHUSDT", "BTCUSDT"]),
        ):
            await link.subscribe(TRADE, *order)
            await link.subscribe(DEPTH, *order)
        for number in range(20):
            script.emit(trade(price=str(number + 1)), book(), trade("ETHUSDT"), book("ETHUSDT"))
        texts = [[await link.socket.recv() for _ in range(80)] for link in (one, two, three)]
        assert texts[0] == texts[1] == texts[2]
        first = [msgspec.json.decode(text) for text in texts[0]]
        assert len({(push["cmd_id"], push["data"]["code"], push["data"]["seq"]) for push in first}) == 80


async def test_clients_come_and_go_without_a_gap_for_the_others(served: Served, script: Script) -> None:
    async with served.link() as steady:
        await steady.subscribe(TRADE, "BTCUSDT")
        for number in range(10):
            async with served.link() as guest:
                await guest.subscribe(TRADE, "BTCUSDT", *(["GOLD"] if number % 2 else []))
                script.emit(trade(price=str(number + 1)))
                found = await steady.push()
                assert found["data"]["price"] == f"{number + 1}.00"
        seqs = [push["data"]["seq"] for push in steady.pushes]
        assert seqs == list(range(seqs[0], seqs[0] + 10))


async def test_an_event_nobody_wants_costs_nobody_anything_and_counts(served: Served, script: Script) -> None:
    script.emit(trade(), trade())
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        seq = (await link.push())["data"]["seq"]
        script.emit(trade())
        assert (await link.push())["data"]["seq"] == seq + 1
