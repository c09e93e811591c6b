"""A link on servers that break every rule: it lives, says what it sees, and loses no good message."""

from __future__ import annotations

import asyncio
import json

import pytest

from tickwire.client import Backoff, LinkStatus, Options, State
from tickwire.model import Kind
from tickwire.wire import Bad, Pushed, Subscribed, Terms

from ..serving import until
from .bench import (
    SLOW,
    Hand,
    Seat,
    answer_of,
    bare,
    good,
    linked,
    push,
    reset,
    seqs,
    stub,
    upgraded,
)


# What is sent.
@pytest.mark.parametrize(
    "frame",
    [
        "garbage",
        json.dumps(push(2))[:60],
        "null",
        '{"cmd_id":99999,"data":{}}',
        '{"cmd_id":22998,"data":{"code":"GOLD","seq":2,"tick_time":null,"price":null,"volume":null}}',
        "\x00\x01",
        "",
        "[" * 200_000,
    ],
    ids=["text", "half JSON", "null", "unknown command", "nulls", "control characters", "empty", "nested"],
)
async def test_garbage_between_good_messages_costs_nothing(frame: str) -> None:
    async def act(seat: Seat) -> None:
        await seat.answer()
        await seat.send(push(1), frame, push(2))
        await seat.send(frame)
        await seat.send(push(3))
        await seat.obey()

    async with stub(act) as server, linked(server.url) as (link, owner):
        link.add(trades=["GOLD"])
        assert seqs(await owner.take(Pushed, 3)) == [1, 2, 3]
        assert sum(one.lines for one in owner.told if isinstance(one, Bad)) == link.conversation.bad_lines
        assert link.conversation.bad_lines == (1 if not frame else 2)
        assert link.connected == 1


async def test_two_lines_in_a_frame_are_two_messages_and_ids_may_be_strings() -> None:
    async def act(seat: Seat) -> None:
        request = await seat.request()
        legacy = push(7)
        legacy["data"] |= {"seq": "7", "tick_time": "1788530573000"}
        await seat.send(answer_of(request) | {"seq_id": str(request["seq_id"])}, push(6), legacy, push(8))
        await seat.obey()

    async with stub(act) as server, linked(server.url) as (link, owner):
        link.add(trades=["GOLD"])
        assert seqs(await owner.take(Pushed, 3)) == [6, 7, 8]
        assert owner.of(Subscribed) == [Subscribed(Kind.TRADE, ("GOLD",))]


async def test_binary_frames_and_broken_utf8_are_read_as_far_as_they_can() -> None:
    async def act(seat: Seat) -> None:
        await seat.answer()
        await seat.socket.send(json.dumps(push(1)).encode())
        await seat.socket.send(b"\xff\xfe", text=True)
        await seat.send(push(2))
        await seat.obey()

    async with stub(act) as server, linked(server.url) as (link, owner):
        link.add(trades=["GOLD"])
        assert seqs(await owner.take(Pushed, 2)) == [1, 2]
        assert link.connected == 1


async def test_a_message_that_is_too_long_ends_the_connection_and_says_so() -> None:
    async def act(seat: Seat) -> None:
        await seat.answer()
        await seat.socket.send("x" * 10_000_000)

    async with stub(act, good) as server, linked(server.url) as (link, owner):
        link.add(trades=["GOLD"])
        down = await owner.state(LinkStatus.DOWN)
        assert down.reason == "a message of more than 1048576 bytes came"
        assert seqs(await owner.take(Pushed)) == [1000]


async def test_a_flood_of_garbage_is_one_event() -> None:
    async def act(seat: Seat) -> None:
        await seat.answer()
        for _ in range(2000):
            await seat.send("garbage")
        await seat.send(push(1))
        await seat.obey()

    async with stub(act) as server, linked(server.url) as (link, owner):
        link.add(trades=["GOLD"])
        await until(lambda: link.conversation.bad_lines == 2000)
        await owner.take(Pushed)
        bad = [one for one in owner.told if isinstance(one, Bad)]
        assert sum(one.lines for one in bad) == 2000
        assert len(bad) < 20


# How it is sent.
async def test_a_slow_drip_is_mute() -> None:
    hand = Hand()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded(reader, writer)
        writer.write(b"\x81\x7e\xff\xff")  # a frame of 65 535 bytes begins
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with bare(drip) as url, linked(url, SLOW, clock=hand) as (link, owner):
        link.add(trades=["GOLD"])
        await owner.state(LinkStatus.UP)
        await hand.ordered()
        hand.move(5)
        assert (await owner.state(LinkStatus.STALE)).reason == "no answer in 5 s"
        await hand.ordered()
        hand.move(5)
        assert (await owner.state(LinkStatus.DOWN)).reason == "mute: no answer in 10 s"


async def test_a_server_that_never_answers_is_left_for_the_next() -> None:
    hand = Hand()

    async def deaf(seat: Seat) -> None:
        while True:
            await seat.request()

    async with stub(deaf, good) as server, linked(server.url, SLOW, clock=hand) as (link, owner):
        link.add(trades=["GOLD"])
        await owner.state(LinkStatus.UP)
        await until(lambda: server.seats[0].requests)
        for _ in range(2):
            await hand.ordered()
            hand.move(5)
        down = await owner.state(LinkStatus.DOWN)
        assert down.reason == "mute: no answer in 10 s"
        await hand.ordered()
        hand.move(down.again or 0)
        assert seqs(await owner.take(Pushed)) == [1000]


async def test_a_stale_connection_that_answers_is_up_again() -> None:
    hand = Hand()
    go = asyncio.Event()

    async def late(seat: Seat) -> None:
        request = await seat.request()
        await go.wait()
        await seat.send(answer_of(request))
        await seat.obey()

    async with stub(late) as server, linked(server.url, SLOW, clock=hand) as (link, owner):
        link.add(trades=["GOLD"])
        await owner.state(LinkStatus.UP)
        await hand.ordered()
        hand.move(5)
        await owner.state(LinkStatus.STALE)
        go.set()
        up = await owner.state(LinkStatus.UP)
        assert up.since == hand.now
        assert link.connected == 1


async def test_quiet_is_not_silence() -> None:
    hand = Hand()
    async with stub(good) as server, linked(server.url, SLOW, clock=hand) as (link, owner):
        link.add(trades=["GOLD"])
        await owner.take(Pushed)
        seat = server.seats[0]
        for count in range(1, 13):
            await hand.ordered()
            hand.move(10)
            await until(lambda: len(seat.requests) == 1 + count)  # noqa: B023
            await until(lambda: not link.conversation.late(hand.now + 9))
        assert [one["cmd_id"] for one in seat.requests] == [22004] + [22000] * 12
        assert {one.status for one in owner.rest() if isinstance(one, State)} <= {LinkStatus.UP}
        assert link.state.status is LinkStatus.UP


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
        if how == "half a frame":
            writer.write(b"\x81\x7e\x01\x00half")
        elif how == "closes":
            writer.write(b"\x88\x02\x03\xe8")
        elif how == "bad frame":
            writer.write(b"\xff\xff\xff\xff")
        await writer.drain()
        if how == "resets":
            reset(writer)

    async with bare(act) as url, linked(url) as (_, owner):
        for _ in range(3):
            down = await owner.state(LinkStatus.DOWN)
            assert down.reason
            assert down.again is not None
        assert ends >= 3


async def test_a_peer_that_takes_nothing_and_says_nothing_is_given_up() -> None:
    async def stuffed(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgraded(reader, writer)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(60)

    options = Options(Terms(spacing=0.0, mute=0.3), Backoff(0.01, 0.02), close_timeout=0.1)
    async with bare(stuffed) as url, linked(url, options) as (link, owner):
        link.add(trades=[f"{number:060}" for number in range(100_000)])
        down = await owner.state(LinkStatus.DOWN)
        assert down.reason == "the server takes nothing"
