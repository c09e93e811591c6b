"""The relay on a real server: what it subscribes to, what it yields, what it survives."""

from __future__ import annotations

import asyncio
import itertools
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.client import Rates
from tickwire.errors import SourceError
from tickwire.model import Book, Kind, KlineType, Trade
from tickwire.sources import Began, Broke, Snapshot, Status
from tickwire.sources.relay import UpstreamPlan

from ...client.bench import Hand, closed_port
from ...client.heard import Log, begin, taken
from ...serving import Script, Served, book, serving, until
from .bench import CATALOGUE, SLOW, TOKEN, fresh, now_ms, relaying

BASIC = UpstreamPlan(1, 100, 0.0, 1.0, None, Rates((1, 1), (1, 3), (1, 60), (60, 60)))


async def test_what_is_kept_comes_first_as_it_stands_and_then_as_it_happens(
    served: Served, script: Script
) -> None:
    script.emit(fresh("BTCUSDT", "99", ago=500), book(levels=5, at=now_ms() - 500))
    await taken(served, 2)
    async with relaying(served.url, keep=["BTCUSDT", "HSI.HK"]) as consumer:
        await consumer.began("BTCUSDT", "HSI.HK")
        first = await consumer.take(Snapshot, 2)
        assert {(one.kind, one.code) for one in first} == {(Kind.TRADE, "BTCUSDT"), (Kind.DEPTH, "BTCUSDT")}
        script.emit(fresh(price="100.5"), book(levels=3, at=now_ms()))
        (sold,) = await consumer.take(Trade)
        (levels,) = await consumer.take(Book)
        assert (sold.price, sold.volume, sold.turnover) == (Decimal("100.50"), Decimal(1), Decimal("100.50"))
        assert sold.source_seq > 0
        assert len(levels.bids) == 3
        assert consumer.relay.codes == {"BTCUSDT", "HSI.HK"}
        assert consumer.relay.health.status is Status.UP
        assert 0 <= (consumer.relay.health.lag or 0) < 5000
        assert abs(consumer.relay.market_time() - now_ms()) < 5000
        assert len(consumer.of(Snapshot)) == 2


async def test_it_subscribes_to_what_is_wanted_and_to_nothing_else(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served:
        log = Log(served)
        async with relaying(served.url) as consumer:
            await until(lambda: consumer.relay.health.status is Status.UP)
            assert not served.engine.gateway.callers
            consumer.relay.want(Kind.TRADE, ["BTCUSDT", "AAPL.US"], subscribed=True)
            consumer.relay.want(Kind.DEPTH, ["XAUUSD", "HSI.HK", "NOSUCH"], subscribed=True)
            consumer.relay.want(Kind.KLINE, ["XAGUSD"], subscribed=True)
            await consumer.began("BTCUSDT", "AAPL.US", "Silver")
            await until(lambda: log.of(22002))
            assert sorted(code for _, codes in log.of(22004) for code in codes) == [
                "AAPL.US",
                "BTCUSDT",
                "Silver",
            ]
            assert [codes for _, codes in log.of(22002)] == [["GOLD"]]
            script.emit(fresh("EURUSD"), fresh("GOLD"), book("GOLD", at=now_ms()), fresh("AAPL.US"))
            await until(lambda: len(consumer.yielded) - len(consumer.of(Began)) == 2)
            assert {getattr(one, "code", "") for one in consumer.yielded} == {"", "GOLD", "AAPL.US"}


async def test_a_subscription_that_is_not_renewed_lapses_and_its_connection_with_it(
    served: Served, script: Script
) -> None:
    hand = Hand()
    script.emit(fresh("BTCUSDT"), fresh("GOLD"))
    await taken(served, 2)
    async with relaying(served.url, clock=hand, options=SLOW, silence=0.0) as consumer:
        consumer.relay.want(Kind.TRADE, ["BTCUSDT", "GOLD"], subscribed=True)
        await consumer.began("BTCUSDT", "GOLD")
        hand.move(60)
        consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=True)
        hand.move(31)
        (broke,) = await consumer.take(Broke)
        assert (broke.codes, broke.reason) == (("BTCUSDT",), "")
        hand.move(60)
        assert (await consumer.take(Broke, 2))[1].codes == ("GOLD",)
        assert len(served.engine.gateway.callers) == 1
        hand.move(31)
        await until(lambda: not served.engine.gateway.callers)
        assert consumer.relay.health.status is Status.UP
        consumer.relay.want(Kind.TRADE, ["BTCUSDT"], subscribed=True)
        await consumer.began("BTCUSDT")


async def test_the_plan_is_kept_to_without_one_refusal(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script, plan="basic") as served:
        log = Log(served)
        async with relaying(served.url, plan=BASIC, keep=["BTCUSDT"]) as consumer:
            await consumer.began("BTCUSDT")
            for codes in (["GOLD"], ["GOLD", "EURUSD"], ["ETHUSDT"]):
                consumer.relay.want(Kind.TRADE, codes, subscribed=True)
                await asyncio.sleep(0.01)
            await consumer.began("BTCUSDT", "GOLD", "EURUSD", "ETHUSDT")
            times = [at for at, _ in log.of(22004)]
            assert all(later - at >= 1 for at, later in itertools.pairwise(times))
            assert len(times) == 2
            assert len(served.engine.gateway.callers) == 1
            assert not consumer.of(Broke)


async def test_more_codes_than_a_connection_carries_take_another_one(tmp_path: Path, script: Script) -> None:
    plans = {"three": {"base": "unlimited", "connections": 3, "codes": 2}}
    async with serving(tmp_path, script, plans=plans, plan="three") as served:
        plan = UpstreamPlan(3, 2)
        codes = ["BTCUSDT", "GOLD", "EURUSD", "ETHUSDT", "USOIL", "Silver", "SOLUSDT"]
        async with relaying(served.url, plan=plan) as consumer:
            with capture_logs() as logs:
                for _ in range(3):
                    assert consumer.relay.room(Kind.TRADE, codes) == codes[:6]
            assert [(one["event"], one["first"]) for one in logs] == [
                ("the upstream plan has no room", ["SOLUSDT"])
            ]
            assert sorted(consumer.relay.want(Kind.TRADE, codes[:3], subscribed=True)) == sorted(codes[:3])
            await consumer.began(*codes[:3])
            assert len(served.engine.gateway.callers) == 2
            consumer.relay.want(Kind.TRADE, codes[3:6], subscribed=True)
            await consumer.began(*codes[:6])
            assert len(served.engine.gateway.callers) == 3
            script.emit(*(fresh(code) for code in codes))
            await until(lambda: len(consumer.of(Snapshot)) + len(consumer.of(Trade)) == 6)


async def test_room_is_made_by_those_whose_subscriber_has_left(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script, plan="free") as served:
        plan = UpstreamPlan(1, 5, subscribe_spacing=1.0)
        codes = ["GOLD", "EURUSD", "ETHUSDT", "USOIL"]
        async with relaying(served.url, plan=plan, keep=["BTCUSDT"]) as consumer:
            relay = consumer.relay
            assert relay.room(Kind.TRADE, codes) == codes
            relay.want(Kind.TRADE, codes, subscribed=True)
            await consumer.began("BTCUSDT", *codes)
            relay.want(Kind.TRADE, codes[:2], subscribed=True)
            found = relay.room(Kind.TRADE, [*codes[:2], "XAGUSD", "SOLUSDT", "XRPUSDT"])
            assert found == [*codes[:2], "XAGUSD", "SOLUSDT"]
            relay.want(Kind.TRADE, found, subscribed=True)
            await consumer.began("BTCUSDT", *codes[:2], "Silver", "SOLUSDT")
            assert {one.codes for one in consumer.of(Broke)} == {("ETHUSDT",), ("USOIL",)}
            assert {one.reason for one in consumer.of(Broke)} == {""}
            assert relay.room(Kind.DEPTH, ["HSI.HK"]) == ["HSI.HK"]
            assert relay.room(Kind.TRADE, ["NOSUCH"]) == []


# First answers.
async def test_a_first_question_is_answered_over_http_in_one_request(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served:
        log = Log(served)
        script.emit(fresh("BTCUSDT", "7"), fresh("GOLD", "8"), book(levels=2, at=now_ms()))
        await taken(served, 3)
        async with relaying(served.url, plan=UpstreamPlan(1, 1)) as consumer:
            relay = consumer.relay
            relay.want(Kind.TRADE, ["Silver"], subscribed=True)
            await consumer.began("Silver")
            asked = ["BTCUSDT", "GOLD", "EURUSD", "NOSUCH"]
            soon = [*relay.want(Kind.TRADE, asked[:1], subscribed=False)]
            soon += relay.want(Kind.TRADE, asked[1:], subscribed=False)
            soon += relay.want(Kind.TRADE, asked, subscribed=False)
            assert sorted(soon) == ["BTCUSDT", "BTCUSDT", "EURUSD", "EURUSD", "GOLD", "GOLD"]
            assert relay.want(Kind.KLINE, ["BTCUSDT"], subscribed=False) == ()
            found = {one.code: one.event for one in await consumer.take(Snapshot, 3)}
            assert found.keys() == {"BTCUSDT", "GOLD", "EURUSD"}
            assert found["EURUSD"] is None
            assert isinstance(found["GOLD"], Trade)
            assert found["GOLD"].price == 8
            assert [
                [one["code"] for one in message["data"]["symbol_list"]]
                for _, message in log.heard
                if "cmd_id" not in message
            ] == [["BTCUSDT", "GOLD", "EURUSD"]]
            assert relay.want(Kind.TRADE, asked, subscribed=False) == []
            assert relay.want(Kind.DEPTH, ["BTCUSDT", "HSI.HK"], subscribed=False) == ["BTCUSDT"]
            await until(lambda: any(one.kind is Kind.DEPTH for one in consumer.of(Snapshot)))
            shown = consumer.of(Snapshot)[-1].event
            assert isinstance(shown, Book)
            assert len(shown.bids) == 2


async def test_what_is_live_is_not_asked_for_again(served: Served, script: Script) -> None:
    script.emit(fresh())
    await taken(served, 1)
    async with relaying(served.url, keep=["BTCUSDT"]) as consumer:
        await consumer.take(Snapshot)
        await consumer.began("BTCUSDT")
        assert consumer.relay.want(Kind.TRADE, ["BTCUSDT"], subscribed=False) == []
        assert consumer.relay.want(Kind.TRADE, ["BTCUSDT"], subscribed=True) == []


async def test_interest_over_http_becomes_a_subscription_where_there_is_room(served: Served) -> None:
    async with relaying(served.url) as consumer:
        consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False)
        await consumer.began("GOLD")


# What breaks.
@pytest.mark.parametrize("how", ["close", "reset"])
async def test_a_cut_is_a_hole_with_a_reason_and_heals(served: Served, script: Script, how: str) -> None:
    script.emit(fresh(ago=100))
    await taken(served, 1)
    async with relaying(served.url, keep=["BTCUSDT"]) as consumer:
        await consumer.began("BTCUSDT")
        script.emit(fresh(price="2"))
        await consumer.take(Trade)
        (peer,) = served.engine.gateway.callers
        peer.close(1011, "cut") if how == "close" else peer.reset()
        (broke,) = await consumer.take(Broke)
        assert broke.codes == ("BTCUSDT",)
        assert broke.reason == "other 1: closed by the server: 1011 cut" or "lost" in broke.reason
        first, again = await consumer.take(Began, 2)
        assert first.at <= broke.at <= again.at
        assert abs(broke.at - now_ms()) < 5000
        await until(lambda: consumer.relay.health.status is Status.UP)
        assert [status for status, _ in consumer.statuses][-2:] == ["down", "up"]
        script.emit(fresh(price="3"))
        # What came before the cut is not told again; what comes next is an event, or a state if it is quick.
        await until(lambda: _prices(consumer.yielded)[-1:] == [3])
        assert _prices(consumer.yielded) == [100, 2, 3]


def _prices(yielded: list[Any]) -> list[int]:
    events = (one.event if isinstance(one, Snapshot) else one for one in yielded)
    return [int(one.price) for one in events if isinstance(one, Trade)]


async def test_nobody_there_is_said_once_and_tried_for_ever() -> None:
    tries = 0

    def token() -> str:
        nonlocal tries
        tries += 1
        return TOKEN

    url = closed_port().replace("ws:", "http:").removesuffix("/quote-b-ws-api")
    async with relaying(url, keep=["BTCUSDT"], token=token) as consumer:
        await until(lambda: tries > 3)
        assert [status for status, _ in consumer.statuses] == ["down"]
        assert consumer.relay.market_time() == 0


async def test_subscriptions_that_came_too_fast_are_sent_again(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served:
        begin(served, {"do": "answer", "ret": 605, "requests": [22004], "for": 0.3})
        plan = UpstreamPlan(subscribe_spacing=0.3)
        async with relaying(served.url, keep=["BTCUSDT"], plan=plan) as consumer:
            with capture_logs() as logs:
                await consumer.began("BTCUSDT")
            assert [one["ret"] for one in logs if one["event"] == "upstream refuses a subscription"] == [605]
            assert not consumer.of(Broke)


# History.
async def test_bars_are_those_of_upstream(served: Served, script: Script) -> None:
    minute = now_ms() // 60_000 * 60
    script.emit(
        *(fresh("GOLD", str(100 + n), ago=now_ms() - (minute - 60 * (9 - n)) * 1000) for n in range(9))
    )
    await taken(served, 9)
    async with relaying(served.url) as consumer:
        history, gold = consumer.relay.history, CATALOGUE["GOLD"]
        assert history is not None
        latest = await history.klines(gold, KlineType.MINUTE, count=10_000, end=None)
        assert [int(bar.close) for bar in latest] == [*range(100, 109)]
        assert abs(consumer.relay.market_time() - now_ms()) < 5000
        page = await history.klines(gold, KlineType.MINUTE, count=3, end=latest[4].time)
        assert page == latest[2:5]
        assert await history.klines(CATALOGUE["AAPL.US"], KlineType.HOURS_2, count=5, end=None) == []
        begin(served, {"do": "answer", "ret": 500, "msg": f"broken {TOKEN}"})
        with pytest.raises(SourceError, match=r"No bars of GOLD: upstream /kline of GOLD: broken … \(500\)"):
            await history.klines(gold, KlineType.MINUTE, count=3, end=None)
        await until(lambda: consumer.relay.health.status is Status.DOWN)
