"""Bars that say the last trade that they count (28998 with `trade_seq`), over real sockets."""

from __future__ import annotations

import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from tickwire.model import Kind, KlineUpdate

from ..serving import TRADE, Link, Script, Served, serving, trade, until

CHANGE, RESUME, KLINE, TRADE_PUSH, KLINE_PUSH = 28012, 28016, 28004, 22998, 28998
AT = 1_788_529_064_027 // 60_000 * 60_000
ITEMS = [{"kind": "trade", "code": "GOLD"}, {"kind": "kline", "code": "GOLD", "kline_type": 1}]


async def bars(link: Link, closed: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What is pushed up to so many closed bars: the trades and the bars."""
    trades: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []
    while sum(one["state"] == "closed" for one in found) < closed:
        push = await link.push()
        if push["cmd_id"] == TRADE_PUSH:
            trades.append(push["data"])
        elif push["cmd_id"] == KLINE_PUSH:
            found.append(push["data"])
    return trades, found


def pushed(served: Served) -> int:
    """The mark of the last bar that was pushed."""
    stream = served.engine.market.streams.known(Kind.KLINE, "GOLD", 1)
    last = None if stream is None else stream.last
    return last.trade_seq if isinstance(last, KlineUpdate) else 0


async def test_a_bar_holds_the_trades_up_to_its_mark_and_no_others(tmp_path: Path) -> None:
    script, dice = Script(), random.Random(3)
    settings: dict[str, Any] = {"kline_push_interval": 0.05, "late_window": 3600}
    async with (
        serving(tmp_path, script, **settings) as served,
        served.link(close_timeout=0.2) as link,  # what is pushed after the last one is not read, nor a close
    ):
        await link.ask(CHANGE, {"add": ITEMS})
        epoch, count = served.engine.market.epoch, 0
        for minute in range(6):
            for n in range(100):
                at = AT + minute * 60_000 + n * 500
                if dice.random() < 0.1 and minute:  # of the bar before, which is revised
                    at -= 60_000
                script.emit(trade("GOLD", f"{1 + dice.randrange(9)}", at=at, volume="1"))
                count += 1
                if not count % 20:
                    await until(lambda count=count: pushed(served) >= epoch + count - 1)  # type: ignore[misc]
        trades, found = await bars(link, 5)
        assert {one["state"] for one in found} == {"forming", "closed", "revised"}
        held = {one["seq"]: one["tick_time"] // 60_000 * 60 for one in trades}
        assert sorted(held) == [*range(epoch, epoch + len(held))]
        for bar in found:
            mark = bar["trade_seq"]
            assert mark in held, "a trade comes before the bar that counts it"
            expected = sum(
                1 for seq, minute in held.items() if seq <= mark and minute == int(bar["timestamp"])
            )
            assert Decimal(bar["volume"]) == expected, bar


async def test_who_knows_no_positions_sees_no_marks(tmp_path: Path) -> None:
    script = Script()
    async with serving(tmp_path, script, kline_push_interval=0.05) as served, served.link() as link:
        bar = {"symbol_list": [{"code": "GOLD", "kline_type": 1}]}
        await link.ask(KLINE, bar)
        await link.subscribe(TRADE, "GOLD")
        script.emit(trade("GOLD", at=AT), trade("GOLD", at=AT + 60_000))
        _, found = await bars(link, 1)
        assert not any("trade_seq" in one for one in found)
        async with served.link() as other:  # the same bars, at the same time, in two forms
            await other.ask(CHANGE, {"add": ITEMS})
            await link.ask(CHANGE, {"add": [{"kind": "depth", "code": "GOLD"}]})
            script.emit(trade("GOLD", at=AT + 120_000), trade("GOLD", at=AT + 180_000))
            for one in (link, other):
                _, found = await bars(one, 2)
                assert all("trade_seq" in bar for bar in found[-3:])
            epoch = served.engine.market.epoch
            assert found[-1]["state"] == "closed"
            assert found[-1]["trade_seq"] == epoch + 2
