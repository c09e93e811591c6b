"""Subscriptions over a real socket: section 2."""

from __future__ import annotations

from ..serving import CANCEL, DEPTH, TRADE, Script, Served, book, trade


async def test_a_trade_reaches_its_subscriber(served: Served, script: Script) -> None:
    async with served.link() as link:
        answer = await link.subscribe(TRADE, "BTCUSDT")
        assert answer == {"ret": 200, "msg": "ok", "cmd_id": 22005, "seq_id": 1, "trace": "t", "data": {}}
        script.emit(trade())
        push = await link.push()
        assert push["cmd_id"] == 22998
        assert push["data"]["price"] == "79317.70"


async def test_after_a_cancel_nothing_comes(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT")
        assert (await link.ask(CANCEL, {"cancel_type": 2}))["cmd_id"] == 22007
        script.emit(trade(), book())
        assert (await link.push())["cmd_id"] == 22999
        await link.nothing()
