"""Bars, page by page, and times as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise

import pytest

from tickwire import Api
from tickwire.client import Progress
from tickwire.client.history import ALL, history, milliseconds
from tickwire.model import Kline, KlineType

from .alltick_stub import NOW, TOKEN, AllTick
from .heard import FAST

MINUTE = 60


async def test_more_than_a_page_is_read_page_by_page(vendor: AllTick) -> None:
    told: list[Progress] = []
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines("GOLD", "1m", 1200, progress=told.append)
    assert [one.time_ms // 1000 for one in bars] == [*range(NOW - 1199 * MINUTE, NOW + 1, MINUTE)]
    assert [data["query_kline_num"] for _, data in vendor.asked] == [500, 500, 200]
    assert [one.bars for one in told] == [500, 1000, 1200, 1200]
    assert [one.part for one in told][-1] == 1.0
    assert all(before.part <= after.part for before, after in pairwise(told))
    assert (bars[0].interval, bars[0].close, bars[0].state) == ("1m", Decimal("4415.32"), None)


async def test_all_history_ends_where_there_is_no_more(vendor: AllTick) -> None:
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines("GOLD", start="2000-01-01")
    assert len(bars) == vendor.bars


async def test_a_server_that_ignores_the_end_does_not_make_it_go_round_for_ever(vendor: AllTick) -> None:
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines("AAPL.US", "1m", 1200)
        assert len(bars) == 500
        assert len(vendor.asked) == 2
        end = datetime.fromtimestamp(NOW - 10 * MINUTE, UTC)
        assert (await api.klines("AAPL.US", "1m", 10, end=end))[-1:] == []


async def test_start_and_end_bound_what_opens(vendor: AllTick) -> None:
    first, last = NOW - 700 * MINUTE, NOW - 100 * MINUTE
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines(
            "GOLD",
            start=datetime.fromtimestamp(first, UTC),
            end=datetime.fromtimestamp(last, UTC).isoformat(),
        )
    assert [one.time_ms // 1000 for one in bars] == [*range(first, last, MINUTE)]


async def test_pages_that_overlap_are_no_trouble() -> None:
    one = Decimal(1)
    bars = [Kline("X", KlineType.MINUTE, n * MINUTE, one, one, one, one, one, one) for n in range(1, 30)]

    async def page(size: int, until: int) -> Sequence[Kline]:
        wanted = [one for one in bars if not until or one.time <= until + 2 * MINUTE]
        return wanted[-min(size, 7) :]

    assert await history(page, "X", ALL, None, None) == bars
    assert await history(page, "X", 7, None, None) == bars[-7:]


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (None, None),
        ("2026-09-04", 1788480000000),
        ("2026-09-04 12:30", 1788525000000),
        ("2026-09-04T20:30+08:00", 1788525000000),
        (date(2026, 9, 4), 1788480000000),
        (datetime(2026, 9, 4), 1788480000000),  # noqa: DTZ001
        (datetime(2026, 9, 4, tzinfo=UTC), 1788480000000),
    ],
)
def test_times_without_a_zone_are_utc(when: str | date | None, expected: int | None) -> None:
    assert milliseconds(when) == expected


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        milliseconds("yesterday")
