"""Upgrades and requests that are refused: what is told, what is tried again, and when."""

from __future__ import annotations

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tickwire.client import LinkStatus, Unauthorized
from tickwire.wire import Pushed, Refusal, Terms

from ..serving import until
from .bench import QUICK, SLOW, Hand, Seat, good, linked, push, seqs, stub
from .refusing import refusal


async def test_an_unknown_token_is_the_end_and_one_clear_exception() -> None:
    body = b'{"msg":"token invalid","trace":"","ret":401}'
    async with (
        stub(good, gate=refusal(401, body)) as server,
        linked(server.url, token="s3cret") as (link, owner),
    ):
        with pytest.raises(Unauthorized, match="refused with HTTP 401: token invalid") as found:
            await owner.take(Pushed)
        assert (found.value.status, found.value.retryable) == (401, False)
        assert "s3cret" not in str(found.value)
        assert (link.state.status, link.state.again) == (LinkStatus.DOWN, None)
        assert server.paths == ["/quote-b-ws-api?token=s3cret"]


async def test_an_owner_whose_token_changes_goes_on() -> None:
    tokens = iter(["old", "old", "new one/&"])

    def gate(connection: ServerConnection, request: Request) -> Response | None:
        return None if request.path.endswith("?token=new%20one%2F%26") else refusal(401)(connection, request)

    options = QUICK._replace(retry_unauthorized=True)
    async with (
        stub(good, gate=gate) as server,
        linked(server.url, options, token=lambda: next(tokens)) as (link, owner),
    ):
        link.add(trades=["GOLD"])
        assert seqs(await owner.take(Pushed)) == [1000]
        assert len(server.paths) == 3


async def test_a_token_that_changed_under_way_is_no_unknown_one() -> None:
    tokens = iter(["old", "new", "new", "new"])

    def gate(connection: ServerConnection, request: Request) -> Response | None:
        return None if request.path.endswith("=new") else refusal(401)(connection, request)

    async with (
        stub(good, gate=gate) as server,
        linked(server.url, token=lambda: next(tokens)) as (link, owner),
    ):
        link.add(trades=["GOLD"])
        assert seqs(await owner.take(Pushed)) == [1000]


# Refused requests.
async def test_605_is_told_and_tried_again_on_the_same_connection() -> None:
    async def strict(seat: Seat) -> None:
        await seat.answer(605, "too many requests")
        await seat.answer()
        await seat.send(push(1))
        await seat.obey()

    options = QUICK._replace(terms=Terms(spacing=0.05))
    async with stub(strict) as server, linked(server.url, options) as (link, owner):
        link.add(trades=["GOLD"])
        (refused,) = await owner.take(Refusal)
        assert (refused.ret, refused.keys, refused.again) == (605, ("GOLD",), 0.05)
        assert seqs(await owner.take(Pushed)) == [1]
        assert len(server.seats) == 1


async def test_606_and_the_close_behind_it_are_healed_late() -> None:
    hand = Hand()

    async def strict(seat: Seat) -> None:
        await seat.answer(606, "too many requests and connection will be closed")
        await seat.socket.close(1008, "too many requests")

    async with stub(strict, good) as server, linked(server.url, SLOW, clock=hand) as (link, owner):
        link.add(trades=["GOLD"])
        (refused,) = await owner.take(Refusal)
        assert (refused.ret, refused.again) == (606, 10.0)
        down = await owner.state(LinkStatus.DOWN)
        assert down.reason == "closed by the server: 1008 too many requests"
        await hand.ordered()
        hand.move(down.again or 0)
        await owner.state(LinkStatus.UP)
        await until(lambda: hand.next == 1010.0)
        hand.move(10)
        assert seqs(await owner.take(Pushed)) == [1000]
        assert len(server.seats[0].requests) == 1


async def test_a_code_that_nobody_knows_is_told_and_the_others_go_on() -> None:
    async def act(seat: Seat) -> None:
        await seat.answer()
        await seat.send(push(1))
        await seat.answer(600, "code invalid")
        await seat.send(push(2))
        await seat.obey()

    async with stub(act) as server, linked(server.url) as (link, owner):
        link.add(trades=["GOLD"])
        await owner.take(Pushed)
        link.add(trades=["NOSUCH"])
        (refused,) = await owner.take(Refusal)
        assert (refused.keys, refused.ret, refused.again) == (("NOSUCH",), 600, None)
        assert seqs(await owner.take(Pushed)) == [2]
