"""What is said to the market without waiting: in order, and whatever becomes of one call."""

from __future__ import annotations

import asyncio

from structlog.testing import capture_logs

from tickwire.gateway.uplink import Uplink


async def test_calls_are_made_in_order_and_one_that_fails_is_said_once() -> None:
    uplink, made, over = Uplink(), list[int](), asyncio.Event()

    async def call(number: int, *, fails: bool = False) -> None:
        await asyncio.sleep(0)
        made.append(number)
        if fails:
            raise RuntimeError("the market is gone")

    async def end() -> None:
        over.set()

    for number in range(9):
        uplink.say(call, number, fails=3 <= number < 6)
    uplink.say(end)
    with capture_logs() as logs:
        running = asyncio.create_task(uplink.run())
        async with asyncio.timeout(120):
            await over.wait()
            over.clear()
            uplink.say(call, 9)
            uplink.say(end)
            await over.wait()
    running.cancel()
    assert made == [*range(10)]
    assert [one["log_level"] for one in logs] == ["error"]
