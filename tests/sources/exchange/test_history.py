"""Bars of an exchange: through ccxt from a stand-in for Binance spot."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from tickwire.errors import SourceError
from tickwire.machine import REAL
from tickwire.model import Kline, KlineType
from tickwire.sources import Status
from tickwire.sources.exchange.history import TIMEFRAMES, back

from .binance import Binance, binance
from .reading import CATALOGUE, Reading, exchange, reading

pytestmark = pytest.mark.filterwarnings("ignore:enable_cleanup_closed:DeprecationWarning")
BTC = CATALOGUE["BTCUSDT"]
NOW = int(datetime(2026, 11, 22, 12, 0, 30, tzinfo=UTC).timestamp())
MINUTE = NOW - 30


def row(
    opened: int, close: str = "79317.70", *, volume: str = "2.00000000", quote: str = "158635.41000000"
) -> list[Any]:
    """A bar as Binance gives it (rest-api.md, "Kline/Candlestick data")."""
    ends = [opened * 1000 + 59_999, quote, 3, "1.00000000", "79317.00000000", "0"]
    return [opened * 1000, "79317.00", "79319.1234567890123456789", "79316.50", close, volume, *ends]


@pytest.fixture
async def venue() -> AsyncIterator[Binance]:
    async with binance(lambda: NOW * 1000) as made:
        yield made


@pytest.fixture
async def reader(venue: Binance) -> AsyncIterator[Reading]:
    source = exchange(venue.options, keep=[], machine=REAL._replace(time_ns=lambda: NOW * 10**9))
    async with reading(source) as made:
        await made.until(lambda: source.health.status is Status.UP)
        yield made


async def klines(
    reader: Reading, kline_type: KlineType, count: int, end: int | None = None, code: str = "BTCUSDT"
) -> list[Kline]:
    history = reader.source.history
    assert history is not None
    return await history.klines(CATALOGUE[code], kline_type, count=count, end=end)


async def test_bars_are_exact_ascending_and_the_last_one_may_be_forming(
    venue: Binance, reader: Reading
) -> None:
    venue.pairs["BTCUSDT"].bars["1m"] = [row(MINUTE - 60 * n, f"7931{n}.70") for n in (8, 7)]
    bars = await klines(reader, KlineType.MINUTE, 2, MINUTE - 7 * 60 + 59)
    assert bars[0] == Kline(
        code="BTCUSDT",
        kline_type=KlineType.MINUTE,
        time=MINUTE - 480,
        open=Decimal("79317.00"),
        high=Decimal("79319.1234567890123456789"),
        low=Decimal("79316.50"),
        close=Decimal("79318.70"),
        volume=Decimal(2),
        turnover=Decimal("158635.41"),
    )
    assert str(bars[0].high) == "79319.1234567890123456789"
    assert bars[1].time == MINUTE - 420
    venue.pairs["BTCUSDT"].bars["1m"] = [row(MINUTE - 60 * n) for n in (2, 1, 0)]
    assert [one.time for one in await klines(reader, KlineType.MINUTE, 2)] == [MINUTE - 60, MINUTE]


async def test_a_bar_without_trades_has_no_turnover(venue: Binance, reader: Reading) -> None:
    venue.pairs["BTCUSDT"].bars["1m"] = [row(MINUTE, volume="0.00000000", quote="0.00000000")]
    (bar,) = await klines(reader, KlineType.MINUTE, 1)
    assert (bar.volume, bar.turnover) == (Decimal(0), Decimal(0))


@pytest.mark.parametrize("kline_type", KlineType)
async def test_every_type_is_asked_for_by_its_open_times(
    venue: Binance, reader: Reading, kline_type: KlineType
) -> None:
    opened = {
        KlineType.WEEK: datetime(2026, 11, 16, tzinfo=UTC),
        KlineType.MONTH: datetime(2026, 11, 1, tzinfo=UTC),
        KlineType.DAY: datetime(2026, 11, 22, tzinfo=UTC),
    }.get(kline_type, datetime(2026, 11, 22, 12, tzinfo=UTC))
    last = int(opened.timestamp())
    times = [back(kline_type, last, n) for n in range(14, -1, -1)]
    venue.pairs["BTCUSDT"].bars[TIMEFRAMES[kline_type]] = [row(at) for at in times]
    assert [one.time for one in await klines(reader, kline_type, 13)] == times[2:]
    assert [one.time for one in await klines(reader, kline_type, 3, times[4] + 1)] == times[2:5]


async def test_bars_that_a_venue_leaves_out_are_not_the_end_of_its_history(
    venue: Binance, reader: Reading
) -> None:
    times = [MINUTE - 60 * n for n in (25, 15, 14, 4, 1)]
    venue.pairs["BTCUSDT"].bars["1m"] = [row(at) for at in times]
    assert [one.time for one in await klines(reader, KlineType.MINUTE, 2)] == times[3:]
    assert [one.time for one in await klines(reader, KlineType.MINUTE, 10)] == times
    assert [one.time for one in await klines(reader, KlineType.MINUTE, 1, MINUTE - 300)] == times[2:3]


async def test_before_its_first_bar_there_are_none(venue: Binance, reader: Reading) -> None:
    venue.pairs["BTCUSDT"].bars["1d"] = [row(MINUTE - MINUTE % 86_400)]
    assert len(await klines(reader, KlineType.DAY, 500)) == 1
    assert await klines(reader, KlineType.DAY, 500, 86_400) == []


async def test_no_request_asks_for_more_than_the_venue_gives(venue: Binance, reader: Reading) -> None:
    venue.pairs["BTCUSDT"].bars["1m"] = [row(MINUTE - 60 * n) for n in range(1200, -1, -1)]
    history = reader.source.history
    assert history is not None
    assert history.most == 1000
    assert len(await klines(reader, KlineType.MINUTE, 5000)) == 1000
    assert sum("klines" in one for one in venue.requests) == 1


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (row(MINUTE - 60 + 7), "open at 2026-11-22T11:59:07"),
        (row(MINUTE - 60, "NaN"), "unreadable"),
        ([(MINUTE - 60) * 1000], "unreadable"),
    ],
)
async def test_a_bar_that_cannot_be_is_an_error(venue: Binance, reader: Reading, bad: Any, said: str) -> None:
    venue.pairs["BTCUSDT"].bars["1m"] = [row(MINUTE)]
    venue.bad_bars = [bad]
    with pytest.raises(SourceError, match=said):
        await klines(reader, KlineType.MINUTE, 2)


@pytest.mark.parametrize("low", ["79318", "0", "0.001", "-1"])
async def test_a_bar_that_is_unfit_is_left_out_and_counted(venue: Binance, reader: Reading, low: str) -> None:
    venue.pairs["BTCUSDT"].bars["1m"] = [row(MINUTE)]
    venue.bad_bars = [bad := row(MINUTE - 60), row(MINUTE)]
    bad[3] = low
    before = reader.source.health.bad
    assert [bar.time for bar in await klines(reader, KlineType.MINUTE, 2)] == [MINUTE]
    assert reader.source.health.bad > before


async def test_a_venue_that_does_not_answer_is_an_error(venue: Binance, reader: Reading) -> None:
    venue.refuse = True
    with pytest.raises(SourceError, match="503") as caught:
        await klines(reader, KlineType.MINUTE, 2)
    assert "\n" not in str(caught.value)
    venue.refuse = False
    with pytest.raises(SourceError, match="lacks ADAUSDT"):
        await klines(reader, KlineType.MINUTE, 2, code="ADAUSDT")


async def test_before_it_is_connected_there_is_no_history(venue: Binance) -> None:
    source = exchange(venue.options)
    assert source.history is not None
    with pytest.raises(SourceError, match="not connected"):
        await source.history.klines(BTC, KlineType.MINUTE, count=1, end=None)
