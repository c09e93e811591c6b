"""The pace of requests over HTTP, as far as windows do not say it."""

from __future__ import annotations

import pytest

from tickwire.client import Pacer, Rates, TooManyRequests

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


async def test_without_a_limit_nothing_is_refused() -> None:
    pacer = Pacer()
    for _ in range(1000):
        await pacer.turn("kline")
