"""A publisher corrects and cancels trades: bars of all types, pushes, the recording, kills."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tickwire
from tickwire.model import Kind, KlineType

from ..serving import OTHER_HTTP, TRADE, Served, serving, until
from .publishing import Desk, desk_in, now, packed

KLINE, KLINE_PUSH, CORRECTION, CORRECTION_PUSH = 28004, 28998, 28028, 28992
MINUTE, FIVE, HOUR, DAY, WEEK, MONTH = 1, 2, 5, 8, 9, 10


def trade(seq: int, at: int, price: str, volume: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "type": "trade",
        "code": "BTCUSDT",
        "time": at,
        "price": price,
        "volume": volume,
        "seq": seq,
    } | more


def cancel(seq: int, of: int, **more: Any) -> dict[str, Any]:
    return {"type": "cancel", "code": "BTCUSDT", "time": now(), "trade": of, "seq": seq} | more


def correct(seq: int, of: int, price: str, volume: str = "1", **more: Any) -> dict[str, Any]:
    line = {
        "type": "correct",
        "code": "BTCUSDT",
        "time": now(),
        "trade": of,
        "price": price,
        "volume": volume,
    }
    return line | {"seq": seq} | more


async def bars(served: Served, kline_type: int, code: str = "BTCUSDT") -> list[tuple[str, ...]]:
    """Open, high, low, close, volume and turnover of each."""
    query = {"data": {"code": code, "kline_type": kline_type, "query_kline_num": 99}}
    found = (await served.get(f"{OTHER_HTTP}/kline", query)).json()["data"]["kline_list"]
    names = [f"{name}_price" for name in ("open", "high", "low", "close")] + ["volume", "turnover"]
    return [tuple(bar[name] for name in names) for bar in found]


def minute_ago(minutes: int) -> int:
    """The first millisecond of a minute, so many before this one."""
    return (now() // 60_000 - minutes) * 60_000


async def all_made(desk: Desk) -> None:
    """Waits until what was published is in the bars."""
    await desk.served_all()
    (feed,) = desk.served.engine.market.feeds
    await until(lambda: feed.bars.whole)


async def test_a_trade_of_the_forming_minute_is_corrected_and_cancelled(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        at = now()
        lines = [trade(1, at, "100", "2"), trade(2, at, "140", "1"), trade(3, at, "90"), trade(4, at, "101")]
        answer = await desk.data(packed(*lines, cancel(5, 2), correct(6, 3, "99.5", "3")))
        assert (answer["accepted"], answer["bad"], answer["seq"]) == (6, [], 6)
        await all_made(desk)
        # 100 × 2 + 99.5 × 3 + 101 = 599.5
        bar = ("100.00", "101.00", "99.50", "101.00", "6.00000", "599.50")
        for kline_type in (MINUTE, FIVE, HOUR, DAY, WEEK, MONTH):
            assert await bars(desk.served, kline_type) == [bar]


async def test_closed_minutes_and_all_larger_bars_are_made_anew(tmp_path: Path) -> None:
    """Of twenty minutes a high is cancelled, a low corrected, and the only trade of a minute cancelled."""
    async with desk_in(tmp_path, late_window=3600) as desk:
        lines, seq = [], 0
        start = minute_ago(25)
        for minute in range(20):
            for number in range(3):
                seq += 1
                price = f"{100 + minute}.{number}"
                lines.append(trade(seq, start + 60_000 * minute + 1000 * number, price))
        lines.append(trade(61, start + 60_000 * 21, "50"))
        lines.append(trade(62, start + 60_000 * 22, "100"))
        assert (await desk.data(packed(*lines)))["bad"] == []
        await all_made(desk)
        before = {one: await bars(desk.served, one) for one in (MINUTE, FIVE, DAY, MONTH)}
        assert before[DAY] == [("100.00", "119.20", "50.00", "100.00", "62.00000", before[DAY][0][5])]
        changes = [cancel(63, 61), correct(64, 60, "118.5"), cancel(65, 1), correct(66, 31, "200", "2")]
        assert (await desk.data(packed(*changes)))["bad"] == []
        await all_made(desk)
        minutes = await bars(desk.served, MINUTE)
        assert len(minutes) == len(before[MINUTE]) - 1
        assert minutes[0] == ("100.10", "100.20", "100.10", "100.20", "2.00000", "200.30")
        assert minutes[10] == ("200.00", "200.00", "110.10", "110.20", "4.00000", "620.30")
        assert minutes[19] == ("119.00", "119.10", "118.50", "118.50", "3.00000", "356.60")
        changed = {0, 10, 19}
        assert [bar for place, bar in enumerate(minutes) if place not in changed] == [
            bar for place, bar in enumerate(before[MINUTE]) if place not in {*changed, 20}
        ]
        # 60 trades from 100.0 to 119.2 are 6576: without 100.0 and with 200 twice for 110.0, 118.5 for 119.2,
        # and 100 of the last minute.
        total = 6576 - 100 - 110 + 400 - 119.2 + 118.5 + 100
        day = ("100.10", "200.00", "100.00", "100.00", "61.00000", f"{total:.2f}")
        for kline_type in (DAY, WEEK, MONTH):
            assert await bars(desk.served, kline_type) == [day]
        fives = await bars(desk.served, FIVE)
        assert max(bar[1] for bar in fives) == "200.00"
        assert sum(float(bar[4]) for bar in fives) == 61


async def test_bars_that_closed_are_pushed_as_revised_and_corrections_to_who_asks(tmp_path: Path) -> None:
    async with (
        desk_in(tmp_path, late_window=3600) as desk,
        desk.served.link() as link,
        desk.served.link() as plain,
    ):
        start = minute_ago(3)
        await link.subscribe(TRADE, "BTCUSDT")
        await plain.subscribe(TRADE, "BTCUSDT")
        await link.send({"cmd_id": CORRECTION, "data": {"symbol_list": [{"code": "BTCUSDT"}]}})
        assert (await link.answer())["cmd_id"] == CORRECTION + 1
        lines = [trade(1, start, "100"), trade(2, start + 1, "101"), trade(3, start + 60_000, "102")]
        await desk.data(packed(*lines))
        first, *_ = [(await link.push())["data"] for _ in lines]
        items = [{"code": "BTCUSDT", "kline_type": MINUTE}]
        await link.send({"cmd_id": KLINE, "data": {"symbol_list": items}})
        await link.answer()
        market = desk.served.engine.market
        await until(lambda: ("BTCUSDT", MINUTE) in market.bars._wanted)
        (feed,) = market.feeds
        instrument = market.catalogue["BTCUSDT"]
        await until(lambda: feed.bars.forming(instrument, KlineType.MINUTE) is None)
        line = correct(4, 1, "90", "2", direction=2)
        await desk.data(packed(line, cancel(5, 3, time=line["time"])))
        pushes: dict[str, Any] = {}
        while len(pushes) < 4:
            push = await link.push()
            if push["cmd_id"] == CORRECTION_PUSH:
                pushes[push["data"]["action"]] = push["data"]
            elif push["cmd_id"] == KLINE_PUSH and push["data"]["state"] == "revised":
                pushes[push["data"]["timestamp"]] = push["data"]
        assert pushes["correct"] == {
            "code": "BTCUSDT",
            "seq": pushes["correct"]["seq"],
            "tick_time": line["time"],
            "action": "correct",
            "trade_seq": first["seq"],
            "trade_time": start,
            "was_price": "100.00",
            "was_volume": "1.00000",
            "was_turnover": "100.00",
            "was_direction": 0,
            "price": "90.00",
            "volume": "2.00000",
            "turnover": "180.00",
            "trade_direction": 2,
        }
        cancelled = pushes["cancel"]
        assert cancelled["seq"] == pushes["correct"]["seq"] + 1
        assert (cancelled["trade_seq"], cancelled["volume"]) == (first["seq"] + 2, "0.00000")
        bar, gone = pushes[str(start // 1000)], pushes[str(start // 1000 + 60)]
        assert (bar["open_price"], bar["volume"], "removed" in bar) == ("90.00", "3.00000", False)
        assert gone["removed"] == 1
        # Who asked for trades alone gets what he always got.
        await desk.data(packed(trade(6, now(), "103")))
        found = [await plain.push() for _ in range(4)]
        assert [one["data"]["price"] for one in found] == ["100.00", "101.00", "102.00", "103.00"]
        assert {tuple(one["data"]) for one in found} == {tuple(first)}
        await link.send({"cmd_id": 28030, "data": {}})
        assert (await link.answer())["ret"] == 200


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (cancel(9, 99), "no trade 99 was published"),
        (cancel(9, 2), "trade 2 is cancelled already"),
        (cancel(9, 3), "line 3 is no trade"),
        (cancel(9, 4), "line 4 is a correction, no trade"),
        (cancel(9, 1, code="ETHUSDT"), "trade 1 is one of BTCUSDT"),
        (cancel(9, 1, code="NOSUCH"), "code 'NOSUCH' is unknown"),
        (correct(9, 1, "0"), "price is not above 0"),
        (correct(9, 1, "1.234"), "price 1.234 has more than 2 decimals"),
        (correct(9, 2, "1"), "trade 2 is cancelled already"),
        (cancel(9, 1, time=now() + 3_600_000), "time is too far ahead of the server's clock"),
        (cancel(9, 0), "Expected `int` >= 1 - at `$.trade`"),
    ],
)
async def test_a_correction_that_is_refused(tmp_path: Path, line: dict[str, Any], reason: str) -> None:
    async with desk_in(tmp_path) as desk:
        book = {"type": "book", "code": "BTCUSDT", "time": now(), "bids": [["1", "1"]], "asks": [], "seq": 3}
        lines = [trade(1, now(), "100"), trade(2, now(), "101"), book, cancel(4, 2)]
        assert (await desk.data(packed(*lines)))["bad"] == []
        answer = await desk.data(packed(line))
        assert [one["reason"] for one in answer["bad"]] == [reason]
        assert (await desk.standing())["seq"] == 4
        (source,) = (await desk.served.request("GET", "/readyz")).json()["sources"]
        assert source["bad"] == 1


async def test_publishers_correct_their_own_trades_alone(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        at = now()
        await desk.data(packed(trade(1, at, "100")), publisher="one")
        await desk.data(packed(trade(1, at, "200")), publisher="two")
        assert (await desk.data(packed(cancel(2, 1)), publisher="two"))["bad"] == []
        await all_made(desk)
        assert await bars(desk.served, MINUTE) == [
            ("100.00", "100.00", "100.00", "100.00", "1.00000", "100.00")
        ]


async def test_a_trade_is_corrected_again_and_again_and_counts_as_it_was_last(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk:
        at = now()
        lines = [trade(1, at, "100"), correct(2, 1, "110"), correct(3, 1, "120"), correct(4, 1, "105", "2")]
        assert (await desk.data(packed(*lines)))["bad"] == []
        await all_made(desk)
        assert await bars(desk.served, MINUTE) == [
            ("105.00", "105.00", "105.00", "105.00", "2.00000", "210.00")
        ]
        assert (await desk.data(packed(cancel(5, 1))))["bad"] == []
        await all_made(desk)
        assert await bars(desk.served, MINUTE) == []
        assert await bars(desk.served, DAY) == []
        await desk.data(packed(trade(6, at, "99")))
        await all_made(desk)
        assert await bars(desk.served, MINUTE) == [("99.00", "99.00", "99.00", "99.00", "1.00000", "99.00")]


async def test_what_was_published_before_a_restart_is_corrected_after_it(tmp_path: Path) -> None:
    start = minute_ago(4)
    async with desk_in(tmp_path, late_window=3600) as desk:
        lines = [trade(1, start, "100"), trade(2, start + 1, "200"), trade(3, start + 60_000, "101")]
        assert (await desk.data(packed(*lines, correct(4, 1, "99"))))["bad"] == []
        await all_made(desk)
    async with desk_in(tmp_path, late_window=3600) as desk:
        answer = await desk.data(packed(cancel(4, 2), cancel(5, 2), cancel(6, 4), correct(7, 1, "98")))
        assert answer["duplicates"] == 1
        assert [one["reason"] for one in answer["bad"]] == ["line 4 is a correction, no trade"]
        await all_made(desk)
        assert await bars(desk.served, MINUTE) == [
            ("98.00", "98.00", "98.00", "98.00", "1.00000", "98.00"),
            ("101.00", "101.00", "101.00", "101.00", "1.00000", "101.00"),
        ]
        assert (await bars(desk.served, DAY))[0][1:] == ("101.00", "98.00", "101.00", "2.00000", "199.00")


def recorded(folder: Path) -> list[Any]:
    from tickwire.store.recordings import Recordings

    return [one.event for one in Recordings(folder).read()]


async def test_a_recording_holds_both_and_a_replay_of_it_makes_the_same_bars(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    start, folder = minute_ago(4), tmp_path / "recorded"
    async with desk_in(tmp_path / "first", record=folder, late_window=3600) as desk:
        lines = [trade(1, start, "100"), trade(2, start + 1, "200"), trade(3, start + 60_000, "101", "3")]
        lines += [correct(4, 2, "99", "2", direction=2), cancel(5, 1)]
        assert (await desk.data(packed(*lines)))["bad"] == []
        await all_made(desk)
        expected = {one: await bars(desk.served, one) for one in (MINUTE, FIVE, DAY)}
        assert expected[MINUTE] == [
            (*["99.00"] * 4, "2.00000", "198.00"),
            (*["101.00"] * 4, "3.00000", "303.00"),
        ]
        seqs = [(await desk.last_trade())["seq"]]
    events = recorded(folder)
    assert [type(one).__name__ for one in events] == ["Trade"] * 3 + ["Correction"] * 2
    first, second, third, corrected, cancelled = events
    assert (corrected.was, str(corrected.became.price), corrected.became.direction) == (second, "99", 2)
    assert (cancelled.was, cancelled.became, cancelled.source_seq) == (first, None, 5)
    assert [corrected.trade_seq, cancelled.trade_seq] == [int(seqs[0]) - 1, int(seqs[0]) - 2]
    assert third.price == 101
    from pyarrow import parquet

    (file,) = folder.glob("kind=correction/market=crypto/date=*/*.parquet")
    rows = parquet.read_table(file).to_pylist()
    assert [(one["was_price"], one["price"]) for one in rows] == [(200, 99), (100, None)]
    async with serving(tmp_path / "second", source="replay", file=[folder], speed=0) as served:
        await until(lambda: served.engine.market.events >= 5)
        (feed,) = served.engine.market.feeds
        await until(lambda: feed.bars.whole)
        assert {one: await bars(served, one) for one in (MINUTE, FIVE, DAY)} == expected
    begin = datetime.fromtimestamp(start / 1000, UTC)
    found = await asyncio.to_thread(
        tickwire.download, "BTCUSDT", start=begin, interval="1m", recording=folder
    )
    assert [*found["Close"]] == [99, 101]


async def test_a_replay_has_ended_when_all_bars_are_made_anew(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    start, folder, count = minute_ago(45), tmp_path / "recorded", 40
    async with desk_in(tmp_path / "first", record=folder, late_window=3600) as desk:
        lines = [trade(one, start + one * 60_000, "100") for one in range(1, count + 1)]
        lines += [correct(count + one, one, "100", str(1 + one)) for one in range(1, count + 1)]
        assert (await desk.data(packed(*lines)))["bad"] == []
        await all_made(desk)
    async with serving(tmp_path / "second", source="replay", file=[folder], speed=0) as served:
        await asyncio.wait_for(served.engine.market.ended(), 120)
        assert [bar[4] for bar in await bars(served, MINUTE)] == [
            f"{1 + one}.00000" for one in range(1, count + 1)
        ]
        assert served.engine.market.feeds.first.bars.whole


async def test_a_relay_passes_them_on(tmp_path: Path) -> None:
    async with desk_in(tmp_path / "desk") as desk:
        await desk.data(packed(trade(1, now(), "99")))  # which stands there when the relay comes
        relay: dict[str, Any] = {"source": "alltick", "upstream_token": "t", "upstream_plan": "unlimited"}
        relay |= {"upstream_url": desk.served.url, "codes": ["BTCUSDT"]}
        async with (
            serving(tmp_path / "relay", **relay) as second,
            tickwire.connect(second.url, token="t", plan="unlimited") as feed,
        ):
            hub = desk.served.engine.gateway.hub
            await feed.subscribe(trades=["BTCUSDT"], corrections=["BTCUSDT"])
            await until(lambda: any(one.kind is Kind.CORRECTION for one in hub._wanted[Kind.CORRECTION]))
            (own,) = second.engine.market.feeds
            assert own.bars.tape is not None
            own.bars.tape._floors["BTCUSDT"] = 0  # as if a minute had begun since
            lines = [trade(2, now(), "100"), trade(3, now(), "200")]
            await desk.data(packed(*lines, correct(4, 2, "101", "2"), cancel(5, 3)))
            seen: list[Any] = []
            kinds = (tickwire.Trade, tickwire.Correction)
            while len(seen) < 5:
                seen += [one for one in [await anext(feed)] if isinstance(one, kinds)]
            trades = [one for one in seen if isinstance(one, tickwire.Trade)]
            corrected, cancelled = (one for one in seen if isinstance(one, tickwire.Correction))
            assert corrected.became is not None
            assert (corrected.was, str(corrected.became.price)) == (trades[1], "101.00")
            assert (cancelled.was, cancelled.became) == (trades[2], None)
            await until(lambda: own.bars.whole)
            bar = own.bars.forming(second.engine.market.catalogue["BTCUSDT"], KlineType.MINUTE)
            assert bar is not None
            assert (str(bar.high), str(bar.volume)) == ("101.00", "2.00000")
