"""Upgrades and requests that are refused: what is told, what is tried again, and when."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tickwire.client import LinkStatus, Unauthorized
from tickwire.wire import Pushed, Refusal, Terms

from .bench import (
    QUICK,
    SLOW,
    Hand,
    Seat,
    bare,
    closed_port,
    good,
    linked,
    push,
    seqs,
    stub,
    until,
)


# The upgrade.
def refusal(status: int, body: bytes = b"{}", **headers: str) -> Any:
    """A gate that refuses."""

    def gate(connection: ServerConnection, request: Request) -> Response:
        response = connection.respond(HTTPStatus(status), body.decode())
        for name, value in headers.items():
            if name == "Date":
                del response.headers[name]
            response.headers[name.replace("_", "-")] = value
        return response

    return gate


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


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry_After": "15"}, 15.0),
        (503, {"Retry_After": "2"}, 2.0),
        (503, {"Retry_After": "Fri, 04 Sep 2026 10:00:07 GMT", "Date": "Fri, 04 Sep 2026 10:00:00 GMT"}, 7.0),
        (429, {"Retry_After": "999999999999"}, 3600.0),
        (503, {"Retry_After": "soon"}, 0.0),
        (503, {"Retry_After": "9", "retry-after": "9"}, 0.0),
        (503, {}, 0.0),
        (404, {}, 0.0),
    ],
)
async def test_a_refused_upgrade_is_tried_again_when_the_server_says(
    status: int, headers: dict[str, str], wait: float
) -> None:
    hand = Hand()
    gate = refusal(status, b'{"msg":"too many connections"}', **headers)
    async with stub(good, gate=gate) as server, linked(server.url, SLOW, clock=hand) as (_, owner):
        down = await owner.state(LinkStatus.DOWN)
        assert down.reason == f"refused with HTTP {status}: too many connections"
        assert down.again is not None
        assert down.again == wait if wait else 0 <= down.again <= 0.5
        await hand.ordered()
        hand.move(down.again - 0.001)
        await hand.ordered()
        assert len(server.paths) == 1
        hand.move(0.002)
        await owner.state(LinkStatus.DOWN)
        assert len(server.paths) == 2


async def test_an_upgrade_that_is_never_answered_times_out() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with bare(silent) as url, linked(url, QUICK._replace(connect_timeout=0.05)) as (_, owner):
        assert (await owner.state(LinkStatus.DOWN)).reason == "no answer to the upgrade in 0.05 s"


async def test_nobody_there_is_said() -> None:
    async with linked(closed_port()) as (_, owner):
        assert "onnect" in (await owner.state(LinkStatus.DOWN)).reason


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
