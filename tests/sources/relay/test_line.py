"""Connections that end, fall mute, are refused or overrun: each is a hole with a reason."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.client import Overflow
from tickwire.model import Kind, Trade
from tickwire.sources import Began, Broke, Status
from tickwire.sources.relay.line import MOST_PATIENCE, Silence
from tickwire.wire import Resumed

from ...client.bench import bare, reset, upgraded
from ...serving import until
from .bench import BTC, QUICK, TOKEN, Caller, agreed, http_url, push, refusal, relaying, upstream


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

    async with bare(act) as url, relaying(http_url(url), keep=BTC) as consumer:
        await until(lambda: ends >= 3)
        await until(lambda: "down" in [status for status, _ in consumer.statuses])
        assert consumer.yielded == []


async def test_a_slow_drip_and_an_answer_that_never_comes_are_mute() -> None:
    options = QUICK._replace(terms=QUICK.terms._replace(mute=0.2))

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded(reader, writer)
        writer.write(b"\x81\x7e\xff\xff")  # a frame of 65 535 bytes begins
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with bare(drip) as url, relaying(http_url(url), keep=BTC, options=options) as consumer:
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


async def test_too_many_connections_are_waited_for() -> None:
    async with upstream() as server, relaying(server.url, keep=BTC) as consumer:
        server.gate = refusal(429, lambda _: False)
        await until(lambda: consumer.relay.health.status is Status.DOWN)
        server.gate = None
        await consumer.began("BTCUSDT")


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


def test_an_open_market_that_says_nothing_is_silent_and_patience_doubles() -> None:
    silence = Silence(60.0, 0.0)
    found = [now for now in range(5000) if silence.look(0.0, float(now), is_open=True)]
    assert found == [60, 180, 420, 900, 1500, 2100, 2700, 3300, 3900, 4500]
    assert silence.stale
    assert silence.patience == MOST_PATIENCE


def test_data_makes_it_patient_as_before() -> None:
    silence = Silence(60.0, 0.0)
    assert silence.look(0.0, 60.0, is_open=True)
    assert not silence.look(70.0, 100.0, is_open=True)
    assert not silence.stale
    assert not silence.look(70.0, 129.0, is_open=True)
    assert silence.look(70.0, 130.0, is_open=True)


def test_a_closed_market_may_be_silent_and_begins_fresh_when_it_opens() -> None:
    silence = Silence(60.0, 0.0)
    assert silence.look(0.0, 60.0, is_open=True)
    assert not silence.look(0.0, 50_000.0, is_open=False)
    assert not silence.stale
    assert not silence.look(0.0, 50_059.0, is_open=True)
    assert silence.look(0.0, 50_060.0, is_open=True)


def test_a_new_connection_has_its_time() -> None:
    silence = Silence(60.0, 0.0)
    silence.connected(1000.0)
    assert not silence.look(0.0, 1059.0, is_open=True)
    assert silence.look(0.0, 1060.0, is_open=True)


def test_zero_waits_for_ever() -> None:
    assert not Silence(0.0, 0.0).look(0.0, 1e9, is_open=True)


async def test_that_corrections_may_be_missing_is_no_warning() -> None:
    """For mostly there was none, and after a kill of upstream nobody knows."""
    async with upstream() as server, relaying(server.url, keep=BTC) as consumer:
        await consumer.began("BTCUSDT")
        (line,) = consumer.relay._lines.values()
        with capture_logs() as logs:
            for _ in range(2):
                line._told(Resumed(Kind.CORRECTION, (), (("BTCUSDT", None),)))
        (said,) = logs
        assert (said["event"], said["log_level"], said["codes"]) == (
            "upstream cannot give all corrections that were missed",
            "info",
            1,
        )
