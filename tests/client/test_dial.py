"""Sockets that do not open: what is said, and when it is tried again."""

from __future__ import annotations

import asyncio

import pytest

from tickwire.client import LinkStatus

from .bench import QUICK, SLOW, Hand, bare, closed_port, good, linked, stub
from .refusing import refusal


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
