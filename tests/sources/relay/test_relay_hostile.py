"""The relay on upstreams that break every rule: the stream goes on, and says what is wrong."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tickwire.client import Overflow
from tickwire.errors import SourceError
from tickwire.machine import REAL
from tickwire.model import Book, Kind, KlineType, Trade
from tickwire.sources import Began, Broke, Snapshot, Status
from tickwire.sources.relay import TokenFile, UpstreamPlan

from ...client.bench import Hand, bare, closed_port, reset, until, upgraded
from .bench import (
    CATALOGUE,
    QUICK,
    SLOW,
    TOKEN,
    Caller,
    agree,
    agreed,
    now_ms,
    push,
    relaying,
    tick,
    ticks,
    upstream,
)

BTC = ["BTCUSDT"]


def book(seq: int, bids: object, asks: object) -> dict[str, Any]:
    data = {"code": "BTCUSDT", "seq": seq, "tick_time": now_ms(), "bids": bids, "asks": asks}
    return {"cmd_id": 22999, "data": data}


LEVEL = {"price": "1.0", "volume": "2"}
EMPTY = {"price": "0.000000", "volume": "0"}


# What is sent.
@pytest.mark.parametrize(
    "frame",
    [
        "garbage",
        json.dumps(push(2))[:60],
        "null",
        "",
        '{"cmd_id":22998,"data":{"code":"BTCUSDT","seq":2,"tick_time":null,"price":null,"volume":null}}',
        '{"cmd_id":22998,"data":{"code":"BTCUSDT","seq":2,"tick_time":9,"price":"-1","volume":"1"}}',
        '{"cmd_id":22998,"data":{"code":"BTCUSDT","seq":2,"tick_time":1795386452000,"price":"1e999"}}',
        "[" * 200_000,
    ],
    ids=["text", "half JSON", "null", "empty", "nulls", "impossible", "infinite", "nested"],
)
async def test_garbage_is_counted_and_the_good_messages_around_it_come(frame: str) -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1))
        await caller.send(frame)
        await caller.send(push(2), frame, push(3))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        assert [one.source_seq for one in await consumer.take(Trade, 2)] == [2, 3]
        assert len(server.callers) == 1
        assert consumer.relay.health.bad == (1 if not frame else 2)
        assert consumer.relay.health.status is Status.UP


async def test_numbers_may_be_texts_and_sides_of_a_book_empty() -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request))
        if request["cmd_id"] == 22002:
            await caller.send(book(1, [LEVEL], [EMPTY, EMPTY]), book(2, [], None), book(3, None, [LEVEL]))
            legacy = push(7)
            legacy["data"] |= {"seq": "7", "tick_time": str(now_ms()), "price": 5, "volume": 1}
            await caller.send(legacy)

    async with upstream() as server, relaying(server.url, keep=BTC) as consumer:
        server.act = act
        books = [one for one in await consumer.take(Book, 2) if isinstance(one, Book)]
        assert [(len(one.bids), len(one.asks)) for one in books] == [(0, 0), (0, 1)]
        await until(lambda: len(consumer.of(Snapshot)) == 2)
        first = next(one.event for one in consumer.of(Snapshot) if one.kind is Kind.DEPTH)
        assert isinstance(first, Book)
        assert (len(first.bids), len(first.asks)) == (1, 0)


async def test_what_was_not_asked_for_is_not_yielded() -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1), push(1, "GOLD"), push(2, "NOSUCH"))
        await caller.send(book(1, [LEVEL], [LEVEL]), push(2))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.take(Trade)
        assert {getattr(one, "code", "BTCUSDT") for one in consumer.yielded} == {"BTCUSDT"}
        assert not consumer.of(Book)


async def test_the_far_future_is_dropped_until_many_agree() -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1, ago=-86_400_000))
        await caller.send(*(push(seq, ago=-3_600_000) for seq in range(2, 10)), push(10), push(11))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        assert [one.source_seq for one in await consumer.take(Trade)] == [11]
        assert consumer.relay.health.bad == 9
        assert abs(consumer.relay.market_time() - now_ms()) < 5000


async def test_an_upstream_that_plays_a_recording_has_its_time() -> None:
    year = 365 * 86_400_000

    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1, ago=year), push(2, ago=year - 1000))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.take(Trade)
        (began,) = await consumer.take(Began)
        assert abs(began.at - (now_ms() - year)) < 6000
        assert abs(consumer.relay.market_time() - (now_ms() - year)) < 6000
        assert consumer.relay.health.lag is None


async def test_a_message_of_ten_megabytes_is_a_hole() -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(len(server.callers)))
        if len(server.callers) == 1:
            await caller.send("x" * 10_000_000)

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        (broke,) = await consumer.take(Broke)
        assert broke.reason == "other 1: a message of more than 1048576 bytes came"
        await consumer.take(Began, 2)


@pytest.mark.parametrize("how", ["closes", "resets", "half a frame", "no WebSocket", "hangs up", "bad frame"])
async def test_a_server_that_ends_badly_is_tried_again(how: str) -> None:
    ends = 0

    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal ends
        ends += 1
        if how == "hangs up":
            return
        if how == "no WebSocket":
            writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
            await writer.drain()
            return
        await upgraded(reader, writer)
        frames = {"half a frame": b"\x81\x7e\x01\x00half", "closes": b"\x88\x02\x03\xe8"}
        writer.write(frames.get(how, b"\xff\xff\xff\xff" if how == "bad frame" else b""))
        await writer.drain()
        if how == "resets":
            reset(writer)

    async with bare(act) as url, relaying(_http(url), keep=BTC) as consumer:
        await until(lambda: ends >= 3)
        await until(lambda: "down" in [status for status, _ in consumer.statuses])
        assert consumer.yielded == []


def _http(url: str) -> str:
    return url.replace("ws:", "http:").removesuffix("/quote-b-ws-api")


async def test_a_slow_drip_and_an_answer_that_never_comes_are_mute() -> None:
    options = QUICK._replace(terms=QUICK.terms._replace(mute=0.2))

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded(reader, writer)
        writer.write(b"\x81\x7e\xff\xff")  # a frame of 65 535 bytes begins
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with bare(drip) as url, relaying(_http(url), keep=BTC, options=options) as consumer:
        await until(lambda: ("down", "other 1: mute: no answer in 0.2 s") in consumer.statuses)


async def test_a_mute_connection_is_a_hole_since_the_last_word() -> None:
    options = QUICK._replace(terms=QUICK.terms._replace(heartbeat=0.1, mute=0.3))

    async def act(caller: Caller, request: dict[str, Any]) -> None:
        if request["cmd_id"] != 22000 or len(server.callers) > 1:
            await caller.send(agreed(request), push(len(server.callers)))

    async with upstream() as server, relaying(server.url, options=options) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        (began,) = await consumer.take(Began)
        (broke,) = await consumer.take(Broke)
        again = (await consumer.take(Began, 2))[1]
        assert began.at <= broke.at <= began.at + 100
        assert again.at >= broke.at + 300


# Refusals.
async def test_a_code_that_upstream_refuses_is_left_alone_and_said_once() -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        symbols = [one["code"] for one in request["data"].get("symbol_list", [])]
        await caller.send(agreed(request, 600, "code invalid") if "GOLD" in symbols else agreed(request))

    async with upstream() as server, relaying(server.url, plan=UpstreamPlan(1, 2)) as consumer:
        server.act = act
        relay = consumer.relay
        relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.began("BTCUSDT")
        with capture_logs() as logs:
            relay.want(Kind.TRADE, ["GOLD"], subscribed=True)
            await until(lambda: relay.room(Kind.TRADE, ["GOLD"]) == [])
            for _ in range(3):
                relay.want(Kind.TRADE, [*BTC, "GOLD"], subscribed=True)
                await asyncio.sleep(0.1)
        refused = [one for one in logs if one["event"] == "upstream refuses a subscription"]
        assert [(one["ret"], one["first"]) for one in refused] == [(600, ("GOLD",))]
        assert [one for caller in server.callers for one in caller.requests if "GOLD" in str(one)] == [
            server.callers[0].requests[1]
        ]
        assert not consumer.of(Broke)
        assert relay.room(Kind.TRADE, ["Silver"]) == ["Silver"]


@pytest.mark.parametrize("ret", [603, 604])
async def test_every_final_refusal_is_survived(ret: int) -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        symbols = request["data"].get("symbol_list", [])
        await caller.send(agreed(request, ret, "no") if len(symbols) > 1 else agreed(request), push(1))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        relay = consumer.relay
        relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.began("BTCUSDT")
        relay.want(Kind.TRADE, ["GOLD", "Silver"], subscribed=True)
        await until(lambda: relay.room(Kind.TRADE, ["GOLD", "Silver"]) == [])
        assert consumer.complete() == {"BTCUSDT"}
        assert relay.health.status is Status.UP


def refusal(status: int, good: Callable[[str], bool]) -> Any:
    """A gate that lets only some tokens in."""

    def gate(connection: ServerConnection, request: Request) -> Response | None:
        if good(request.path.partition("token=")[2]):
            return None
        body = {"msg": f"no: {request.path}", "trace": "", "ret": status}
        return connection.respond(HTTPStatus(status), json.dumps(body))

    return gate


async def test_a_refused_token_is_down_until_the_file_has_a_good_one(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("wr0ng-token")
    async with (
        upstream() as server,
        relaying(server.url, keep=BTC, token=TokenFile(path, REAL.disk)) as consumer,
    ):
        server.gate = refusal(401, lambda token: token == "r1ght-token")
        await until(lambda: consumer.relay.health.status is Status.DOWN)
        assert consumer.relay.health.reason == "other 1: refused with HTTP 401: no: /quote-b-ws-api?token=…"
        path.write_text("r1ght-token\n")
        await consumer.began("BTCUSDT")
        await until(lambda: consumer.relay.health.status is Status.UP)


async def test_another_token_in_the_file_begins_all_connections_anew(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first-token")
    async with upstream() as server, relaying(server.url, token=TokenFile(path, REAL.disk)) as consumer:
        consumer.relay.want(Kind.TRADE, ["BTCUSDT", "AAPL.US"], subscribed=True)
        await consumer.began("BTCUSDT", "AAPL.US")
        path.write_text("second-token")
        await until(lambda: len(server.callers) == 4)
        await consumer.began("BTCUSDT", "AAPL.US")
        paths = sorted(caller.path for caller in server.callers)
        assert [one.partition("token=")[2] for one in paths] == ["first-token", "second-token"] * 2
        assert {one.reason.partition(": ")[2] for one in consumer.of(Broke)} == {"the token was changed"}
        assert "down" not in [status for status, _ in consumer.statuses]


async def test_too_many_connections_are_waited_for() -> None:
    async with upstream() as server, relaying(server.url, keep=BTC) as consumer:
        server.gate = refusal(429, lambda _: False)
        await until(lambda: consumer.relay.health.status is Status.DOWN)
        server.gate = None
        await consumer.began("BTCUSDT")


# Silence.
async def test_silence_of_an_open_market_is_stale_and_the_connection_begun_anew() -> None:
    hand, begin = Hand(), now_ms() - 1_000_000

    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1, ago=60_000))

    async with (
        upstream() as server,
        relaying(
            server.url, clock=hand, wall=lambda: begin + int(1000 * hand.now), options=SLOW, silence=60.0
        ) as consumer,
    ):
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.take(Snapshot)
        await consumer.began("BTCUSDT")
        times = [hand.now]
        while len(times) < 4:
            consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
            await hand.ordered()
            hand.move(1)
            await asyncio.sleep(0.002)
            if len(consumer.of(Broke)) == len(times):
                times.append(hand.now)
                await consumer.take(Began, len(times))
        gaps = [later - before for before, later in itertools.pairwise(times)]
        assert [round(gap, -1) for gap in gaps] == [60, 120, 240]
        assert consumer.relay.health.status is Status.STALE
        assert "nothing comes although its markets are open" in consumer.relay.health.reason
        await consumer.began("BTCUSDT")
        await server.callers[-1].send(push(5, ago=int(1000 * (times[0] - hand.now))))
        await consumer.take(Trade)
        hand.move(1)
        await until(lambda: consumer.relay.health.status is Status.UP)


# Too fast.
async def test_what_comes_faster_than_it_is_taken_is_a_hole(monkeypatch: pytest.MonkeyPatch) -> None:
    async def act(caller: Caller, request: dict[str, Any]) -> None:
        await caller.send(agreed(request), push(1))

    async with upstream() as server, relaying(server.url) as consumer:
        server.act = act
        consumer.relay.want(Kind.TRADE, BTC, subscribed=True)
        await consumer.began("BTCUSDT")
        (line,) = consumer.relay._lines.values()
        line._buffer.limit = 10
        assert line._buffer.overflow is Overflow.DROP_OLDEST
        await server.callers[0].send(*(push(seq) for seq in range(2, 52)))
        broke, again = (await consumer.take(Broke))[0], (await consumer.take(Began, 2))[1]
        assert broke.reason == "events came faster than they were taken"
        assert broke.at <= again.at
        assert consumer.relay.health.dropped == 40
        await until(lambda: consumer.of(Trade)[-1:] and consumer.of(Trade)[-1].source_seq == 51)


async def test_a_connection_that_fails_of_itself_is_begun_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.relay.line.REPAIR", 0.1)
    async with upstream() as server, relaying(server.url, keep=BTC) as consumer:
        await consumer.began("BTCUSDT")
        (line,) = consumer.relay._lines.values()
        with capture_logs() as logs:
            line._buffer.fail(RuntimeError(f"a mistake with {TOKEN}"))
            await until(lambda: consumer.relay.health.status is Status.DOWN)
        assert [one["reason"] for one in logs] == ["RuntimeError('a mistake with …')"]
        await consumer.take(Began, 2)
        await until(lambda: consumer.relay.health.status is Status.UP)
        assert len(server.callers) == 2


# HTTP.
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
        assert server.asked == [("trade-tick", ["GOLD", "Silver"])]
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


async def test_without_any_connection_http_says_how_it_is() -> None:
    url = _http(closed_port())
    async with relaying(url) as consumer:
        assert consumer.relay.health.status is Status.CONNECTING
        await until(lambda: consumer.relay.health.status is Status.DOWN)
        assert consumer.relay.health.reason.startswith("HTTP: no answer")


async def test_a_wrong_token_is_told_before_anybody_wants_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.relay.standing.GREETING", 0.05)
    async with upstream() as server, relaying(server.url) as consumer:
        server.answer = lambda _path, _codes: (401, {"ret": 401, "msg": "token invalid"})
        await until(lambda: consumer.relay.health.status is Status.DOWN)
        assert "token invalid (401)" in consumer.relay.health.reason
        server.answer = lambda _path, _codes: (200, {"ret": 604, "msg": "code unauthorized"})
        await until(lambda: consumer.relay.health.status is Status.UP)
        asked = len(server.asked)
        consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=True)
        await consumer.began("GOLD")
        assert [status for status, _ in consumer.statuses] == ["down", "up"]
        assert len(server.asked) == asked


async def test_a_vendor_that_ignores_the_end_of_stocks_has_no_earlier_bars() -> None:
    bar = dict.fromkeys(("open_price", "close_price", "high_price", "low_price", "volume", "turnover"), "1")
    rows = [bar | {"timestamp": str(at)} for at in (1788529140, 1788529080, 1788529080)]
    async with upstream() as server, relaying(server.url) as consumer:
        server.answer = lambda _path, _codes: (
            200,
            {"ret": 200, "msg": "ok", "trace": "", "data": {"kline_list": rows}},
        )
        history, stock = consumer.relay.history, CATALOGUE["AAPL.US"]
        assert history is not None
        found = await history.klines(stock, KlineType.MINUTE, count=5, end=None)
        assert [one.time for one in found] == [1788529080, 1788529140]
        assert consumer.relay.market_time() > 0
        assert await history.klines(stock, KlineType.MINUTE, count=5, end=1788529079) == []


@pytest.mark.parametrize(
    "raw",
    [b"garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\nhalf", b"", b"\x00" * 100_000],
    ids=["garbage", "half", "nothing", "zeros"],
)
async def test_what_is_not_even_http_is_no_answer(raw: bytes) -> None:
    async def act(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(raw)
        await writer.drain()

    async with bare(act) as url, relaying(_http(url), probe=True) as consumer:
        assert consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False)
        assert await consumer.take(Snapshot) == [Snapshot(Kind.TRADE, "GOLD", None)]
        history = consumer.relay.history
        assert history is not None
        with pytest.raises(SourceError, match="No bars of GOLD"):
            await history.klines(CATALOGUE["GOLD"], KlineType.MINUTE, count=1, end=None)


async def test_bars_of_a_recording_that_has_not_begun_wait_for_its_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tickwire.sources.relay.market_time.PATIENCE", 0.3)
    async with upstream() as server:
        server.answer = lambda path, _codes: (
            (200, {"simulated": False, "source": "replay:2020"})
            if path == "/readyz"
            else (200, {"ret": 200, "msg": "ok", "trace": "", "data": {"kline_list": []}})
        )
        async with relaying(server.url, probe=True) as consumer:
            await until(lambda: consumer.relay._time.market.replayed)
            history = consumer.relay.history
            assert history is not None
            with pytest.raises(SourceError, match="has not said what its time is"):
                await history.klines(CATALOGUE["GOLD"], KlineType.MINUTE, count=1, end=None)
            assert consumer.relay.market_time() == 0


async def test_the_stream_ends_cleanly_in_the_middle_of_everything() -> None:
    async with upstream() as server:
        server.answer = lambda _path, _codes: None
        server.act = agree
        async with relaying(server.url, keep=["BTCUSDT", "AAPL.US"], probe=True) as consumer:
            consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False)
            await consumer.began("BTCUSDT", "AAPL.US")
        await until(lambda: all(caller.socket.state.name == "CLOSED" for caller in server.callers))
