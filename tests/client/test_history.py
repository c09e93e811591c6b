"""Bars, page by page, and times as people write them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from tickwire import Api, HistoryWarning
from tickwire.client import Progress
from tickwire.client.history import ALL, between, history, milliseconds, opening
from tickwire.model import Kline, KlineType

from .alltick_stub import NOW, TOKEN, AllTick
from .heard import FAST

MINUTE = 60
LAST = f"{datetime.fromtimestamp(NOW, UTC):%Y-%m-%dT%H:%MZ}"


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


async def test_all_history_ends_where_there_is_no_more_which_is_told(vendor: AllTick) -> None:
    begun = datetime.fromtimestamp(NOW - (vendor.bars - 1) * MINUTE, UTC)
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        text = (
            f"GOLD: the 1m bars begin with {begun:%Y-%m-%dT%H:%MZ}, later than asked: there are none before"
        )
        with pytest.warns(HistoryWarning, match=text) as told:
            bars = await api.klines("GOLD", start="2000-01-01")
        assert Path(told[0].filename) == Path(__file__)
        assert await api.klines("GOLD", start=begun) == bars  # without a warning
        assert await api.klines("GOLD", start=begun - timedelta(seconds=59)) == bars
    assert len(bars) == vendor.bars
    assert (bars.source, bars.gaps) == ("", None)  # AllTick does not tell


async def test_of_an_empty_answer_it_is_told_how_far_bars_go_back(vendor: AllTick) -> None:
    begun = datetime.fromtimestamp(NOW - (vendor.bars - 1) * MINUTE, UTC)
    told: list[str] = []
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        assert await api.klines("GOLD", end="2020-01-01", on_short=told.append) == []
        assert await api.klines("GOLD", start="2000-01-01", end=begun, on_short=told.append) == []
        assert await api.klines("GOLD", start="2030-01-01", on_short=told.append) == []
        vendor.bars = 0
        assert await api.klines("GOLD", start="2000-01-01", on_short=told.append) == []
        assert await api.klines("GOLD", start="2000-01-01", end="2001-01-01", on_short=told.append) == []
    assert told == [
        *[f"GOLD: there are no 1m bars in that time: they begin with {begun:%Y-%m-%dT%H:%MZ}"] * 2,
        f"GOLD: there are no 1m bars in that time, though there are older ones, the last of {LAST}",
        *["GOLD: there are no 1m bars"] * 2,
    ]


async def test_a_server_that_ignores_the_end_does_not_make_it_go_round_for_ever(vendor: AllTick) -> None:
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        bars = await api.klines("AAPL.US", "1m", 1200)
        assert len(bars) == 500
        assert len(vendor.asked) == 2
        end = datetime.fromtimestamp(NOW - 10 * MINUTE, UTC)
        with pytest.warns(
            HistoryWarning, match="AAPL.US: there are no 1m bars in that time: they begin with "
        ):
            assert await api.klines("AAPL.US", "1m", 10, end=end) == []
        assert len(vendor.asked) <= 5


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

    assert await history(page, "X", ALL, None, None) == (bars, True, None)
    assert (await history(page, "X", 7, None, None)).bars == bars[-7:]


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


DAY_OF_HONG_KONG, DAY_OF_NEW_YORK, DAY_OF_UTC = (
    [int(datetime(2026, 11, day, tzinfo=zone).timestamp() * 1000) for day in range(14, 24)]
    for zone in (timezone(timedelta(hours=8)), timezone(timedelta(hours=-5)), UTC)
)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2026-11-16", "2026-11-20"),
        (date(2026, 11, 16), date(2026, 11, 20)),
        (datetime(2026, 11, 16), "20261120"),  # noqa: DTZ001
        ("2026-11-15 09:30", "2026-11-19T00:00:01"),  # after the day has begun
    ],
)
@pytest.mark.parametrize("days", [DAY_OF_HONG_KONG, DAY_OF_NEW_YORK, DAY_OF_UTC])
def test_of_days_what_has_no_zone_is_a_trading_date(
    days: list[int], start: str | date, end: str | date
) -> None:
    first, before = opening(start, KlineType.DAY), opening(end, KlineType.DAY)
    assert first is not None
    assert before is not None
    assert [one for one in days if first <= one < before] == days[2:6]


def test_what_has_a_zone_is_a_moment() -> None:
    for when in ("2026-11-16T00:00Z", datetime(2026, 11, 16, tzinfo=UTC)):
        for kline_type in (KlineType.MINUTE, KlineType.DAY, KlineType.MONTH):
            assert opening(when, kline_type) == DAY_OF_UTC[2]
    assert opening("2026-11-16T00:00+08:00", KlineType.WEEK) == DAY_OF_HONG_KONG[2]
    assert opening("2026-11-16", KlineType.HOURS_4) == DAY_OF_UTC[2]
    assert opening(None, KlineType.DAY) is None


@pytest.mark.parametrize(
    "when", [1788525000, 1788525000000, 1788525000.5, "1788525000", "1712011512345", True]
)
def test_numbers_are_no_times_and_what_to_say_instead_is_told(when: object) -> None:
    with pytest.raises(ValueError, match="is no time such as 2026-09-04"):
        opening(when, KlineType.DAY)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("when", "said"), [(1788525000, "1788525000"), ("1788525000000", "1788525000000 / 1000")]
)
def test_for_a_unix_time_a_moment_is_proposed(when: object, said: str) -> None:
    with pytest.raises(ValueError, match=rf"datetime\.fromtimestamp\({said}, UTC\)"):
        milliseconds(when)  # type: ignore[arg-type]


@pytest.mark.parametrize("kline_type", [KlineType.HOUR, KlineType.DAY])
def test_times_beyond_all_bars_are_before_or_after_them(kline_type: KlineType) -> None:
    """A time in seconds that is too large would be taken for one in milliseconds (section 3)."""
    for early in ("0001-01-01", date.min, datetime.min.replace(tzinfo=UTC), "1800-06-01T12:00"):
        assert opening(early, kline_type) == 0
    for late in ("9999-12-31", date.max, "2500-01-01T12:00"):
        assert opening(late, kline_type) == milliseconds("2101-01-01")


async def test_what_cannot_be_asked_for_is_said(vendor: AllTick) -> None:
    with pytest.raises(ValueError, match="the end, 2026-11-16, lies before the start, 2026-11-20"):
        between("2026-11-20", "2026-11-16", KlineType.DAY)
    async with Api(vendor.url, token=TOKEN, plan=FAST) as api:
        with pytest.raises(ValueError, match="lies before the start"):
            await api.klines("GOLD", "1d", start="2026-11-20", end="2026-11-16")
        for count in (0, -1, 1.5, "5", True):
            with pytest.raises(ValueError, match="expected a whole number from 1 on"):
                await api.klines("GOLD", "1d", count)  # type: ignore[arg-type]
    assert vendor.asked == []


def test_no_time_of_pandas_is_no_time() -> None:
    pandas = pytest.importorskip("pandas")
    with pytest.raises(ValueError, match="NaT is no time such as"):
        opening(pandas.NaT, KlineType.DAY)
