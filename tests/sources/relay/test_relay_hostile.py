"""The relay on upstreams that break every rule: the stream goes on, and says what is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.machine import REAL
from tickwire.model import Book, Kind, Trade
from tickwire.sources import Began, Broke, Snapshot, Status
from tickwire.sources.relay import TokenFile, UpstreamPlan

from ...serving import until
from .bench import BTC, Caller, agree, agreed, now_ms, push, refusal, relaying, upstream


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


async def test_the_stream_ends_cleanly_in_the_middle_of_everything() -> None:
    async with upstream() as server:
        server.answer = lambda _path, _codes: None
        server.act = agree
        async with relaying(server.url, keep=["BTCUSDT", "AAPL.US"], probe=True) as consumer:
            consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=False)
            await consumer.began("BTCUSDT", "AAPL.US")
        await until(lambda: all(caller.socket.state.name == "CLOSED" for caller in server.callers))
