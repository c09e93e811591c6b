"""How codes stand, asked for over HTTP: nobody waits in vain."""

from __future__ import annotations

from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.errors import SourceError
from tickwire.model import Kind, KlineType
from tickwire.sources import Snapshot
from tickwire.sources.relay import UpstreamPlan

from .bench import BTC, CATALOGUE, TOKEN, refusal, relaying, tick, ticks, upstream


@pytest.mark.parametrize(
    "answer",
    [
        (200, "garbage"),
        (200, {"ret": 200, "msg": "ok", "trace": "", "data": None}),
        (500, "<html>"),
        (401, {"ret": 401, "msg": f"bad {TOKEN}"}),
        (429, {"error_msg": "Too many requests"}),
        (200, {"ret": 600, "msg": "code invalid", "trace": ""}),
        ticks(),
        ticks({"code": "GOLD"}, None, tick(1, "Silver")),
        ticks(tick(1, "GOLD", ago=-86_400_000)),
    ],
)
async def test_whatever_is_answered_over_http_nobody_waits_in_vain(answer: tuple[int, Any]) -> None:
    async with upstream() as server, relaying(server.url, plan=UpstreamPlan(1, 1), keep=BTC) as consumer:
        server.answer = lambda _path, _codes: answer
        with capture_logs() as logs:
            assert consumer.relay.want(Kind.TRADE, ["GOLD", "Silver"], subscribed=False) == ["GOLD", "Silver"]
            shown = {one.code: one.event for one in await consumer.take(Snapshot, 2)}
        assert shown["GOLD"] is None
        assert server.asked[0] == ("trade-tick", ["GOLD", "Silver"])
        assert server.asked[1:] in ([], [("trade-tick", ["GOLD"]), ("trade-tick", ["Silver"])])
        assert TOKEN not in str(logs)
        assert TOKEN not in consumer.relay.health.reason


async def test_codes_that_http_does_not_know_are_not_asked_for_again() -> None:
    async with upstream() as server, relaying(server.url, plan=UpstreamPlan(1, 1), keep=BTC) as consumer:
        assert consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False) == ["GOLD"]
        await consumer.take(Snapshot)
        assert consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False) == []
        assert len(server.asked) == 1


async def test_an_answer_that_never_comes_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.relay.relay.HTTP_TIMEOUT", 0.1)
    monkeypatch.setattr("tickwire.sources.relay.relay.KLINE_TIMEOUT", 0.1)
    async with upstream() as server, relaying(server.url, probe=True) as consumer:
        server.answer = lambda _path, _codes: None
        server.gate = refusal(503, lambda _: False)
        assert consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False)
        (shown,) = await consumer.take(Snapshot)
        assert shown == Snapshot(Kind.TRADE, "GOLD", None)
        history = consumer.relay.history
        assert history is not None
        with pytest.raises(SourceError, match=r"upstream no answer in 0\.1 s"):
            await history.klines(CATALOGUE["GOLD"], KlineType.MINUTE, count=1, end=None)


async def test_requests_of_many_codes_are_cut_as_the_plan_says() -> None:
    codes = ["GOLD", "Silver", "EURUSD", "ETHUSDT", "USOIL"]
    async with upstream() as server:
        server.answer = lambda _path, asked: ticks(*(tick(1, code) for code in asked))
        async with relaying(server.url, plan=UpstreamPlan(1, 1, http_codes=2), keep=BTC) as consumer:
            consumer.relay.want(Kind.TRADE, codes, subscribed=False)
            shown = await consumer.take(Snapshot, 5)
            assert all(one.event is not None for one in shown)
            assert [asked for _, asked in server.asked] == [codes[:2], codes[2:4], codes[4:]]
