"""The pace of requests over HTTP, as far as windows do not say it."""

from __future__ import annotations

import asyncio

import pytest

from tickwire.client import Http, Pacer, Rates, TooManyRequests
from tickwire.client.pacer import MARGIN
from tickwire.model import Family

from .alltick_stub import TOKEN, alltick
from .bench import Hand

DAY = 86_400


async def test_the_requests_of_a_day_are_counted_over_all_endpoints_until_midnight() -> None:
    wall = [10 * DAY + 3600.0]
    pacer = Pacer(Rates(per_day=3), wall=lambda: wall[0])
    for endpoint in ("kline", "trade-tick", "suspension/sse"):
        await pacer.turn(endpoint)
    for _ in range(2):
        with pytest.raises(TooManyRequests, match="in a day are used up") as refused:
            await pacer.turn("kline")
        assert refused.value.retry_after == DAY - 3600
        assert refused.value.retryable
    wall[0] = 11.0 * DAY
    await pacer.turn("kline")


async def test_a_clock_that_is_set_back_gives_no_second_day() -> None:
    wall = [10.0 * DAY]
    pacer = Pacer(Rates(per_day=1), wall=lambda: wall[0])
    await pacer.turn("kline")
    wall[0] = 9.0 * DAY
    with pytest.raises(TooManyRequests) as refused:
        await pacer.turn("kline")
    assert refused.value.retry_after == 2 * DAY


async def test_a_request_counts_from_when_it_leaves() -> None:
    hand, began = Hand(), 1000.0

    def token() -> str:  # which is asked for between the turn and the request
        hand.move(0.3)
        return TOKEN

    async with alltick() as stub:
        pacer = Pacer(Rates((1, 1.0), http=(60, 60.0)), hand)
        async with Http(stub.url, token, pacer=pacer) as http:
            await http.trades(Family.OTHER, ["GOLD"])
            again = asyncio.create_task(http.trades(Family.OTHER, ["GOLD"]))
            await hand.ordered()
            assert hand.next == pytest.approx(began + 0.3 + 1.0 + MARGIN)
            hand.move(1.0 + MARGIN)
            await again
    assert [endpoint for endpoint, _ in stub.asked] == ["trade-tick"] * 2


async def test_who_comes_next_waits_until_a_request_has_left_or_never_will() -> None:
    hand = Hand()
    pacer = Pacer(Rates((1, 1.0)), hand)
    first = pacer.request("kline")
    left = await first.__aenter__()
    second = asyncio.create_task(pacer.turn("kline"))
    async with pacer.request("trade-tick"):
        pass
    hand.move(10.0)
    await asyncio.sleep(0)
    assert not second.done()
    left()
    await hand.ordered()
    assert hand.next == pytest.approx(1010.0 + 1.0 + MARGIN)
    second.cancel()
    await asyncio.wait([second])
    hand.move(2.0)
    await pacer.turn("kline")


async def test_without_a_limit_nothing_is_refused() -> None:
    pacer = Pacer()
    for _ in range(1000):
        await pacer.turn("kline")
