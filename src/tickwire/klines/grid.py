"""Which bar a moment belongs to: the grids of section 3, "K-lines"."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from ..calendars import KEYS, load
from ..model import Family, Instrument, KlineType, Market

SECONDS = {
    KlineType.MINUTE: 60,
    KlineType.MINUTES_5: 300,
    KlineType.MINUTES_15: 900,
    KlineType.MINUTES_30: 1800,
    KlineType.HOUR: 3600,
    KlineType.HOURS_2: 7200,
    KlineType.HOURS_4: 14400,
}
"""Bars of less than a day. All exchanges lie whole hours from UTC, so up to an hour the grid of their clock
is that of UTC; stocks have none longer than that."""

STOCKS_LACK = (KlineType.HOURS_2, KlineType.HOURS_4)
"""Types that the vendor has not for stocks."""
DAYS_BEYOND = {
    KlineType.DAY: timedelta(days=1),
    KlineType.WEEK: timedelta(days=7),
    KlineType.MONTH: timedelta(days=31),
}
"""From the open time of a bar this far, and it is another one."""
EXCHANGES = {Market.US_STOCK: "XNYS", Market.HK_STOCK: "XHKG", Market.CN_STOCK: "XSHG"}
"""Calendars of stocks whose instrument names none."""
HONG_KONG, HK_OFFSET = "XHKG", 8 * 3600
HK_CLOSE, HK_HALF_DAY_CLOSE = 16 * 3600, 12 * 3600
"""Seconds of the local day at which the closing auction begins: all of it belongs to that minute."""
HK_AUCTION = 600
"""Seconds in which it prints."""
ONE_DAY = timedelta(days=1)
MONDAY, SUNDAY = 0, 6


class Grid:
    """The grid of one instrument. Bars are known by their open time, in seconds since the epoch."""

    def __init__(self, instrument: Instrument) -> None:
        stock = instrument.family is Family.STOCK
        exchange = instrument.calendar if instrument.calendar in KEYS else EXCHANGES.get(instrument.market)
        self.zone: tzinfo = load(exchange).zone if stock and exchange else UTC
        self._has_auction = stock and exchange == HONG_KONG
        self._sunday_is_monday = not stock and instrument.market is not Market.CRYPTO
        self.types = tuple(one for one in KlineType if not (stock and one in STOCKS_LACK))

    def open_time(self, kline_type: KlineType, seconds: int) -> int:
        """The open time of the bar that a moment belongs to."""
        if span := SECONDS.get(kline_type):
            if self._has_auction and (begun := _hk_auction(seconds)) is not None:
                seconds = begun
            return seconds - seconds % span
        day = datetime.fromtimestamp(seconds, self.zone).date()
        if self._sunday_is_monday and day.weekday() == SUNDAY:
            day += ONE_DAY
        return _midnight(self._first_day(kline_type, day), self.zone)

    def begin(self, kline_type: KlineType, opened: int) -> int:
        """The first moment that belongs to the bar of that open time: with Sundays it lies before it."""
        if kline_type in SECONDS:
            return opened
        return self._first_moment(datetime.fromtimestamp(opened, self.zone).date())

    def end(self, kline_type: KlineType, opened: int) -> int:
        """The first moment after which nothing belongs to the bar of that open time any more."""
        if span := SECONDS.get(kline_type):
            # Every bar in which an auction begins opens with it, for that is at a full hour.
            auction = self._has_auction and _hk_auction(opened) == opened
            return opened + (max(span, HK_AUCTION) if auction else span)
        day = datetime.fromtimestamp(opened, self.zone).date()
        return self._first_moment(self._first_day(kline_type, day + DAYS_BEYOND[kline_type]))

    def _first_moment(self, day: date) -> int:
        if self._sunday_is_monday and day.weekday() == MONDAY:
            day -= ONE_DAY
        return _midnight(day, self.zone)

    def _first_day(self, kline_type: KlineType, day: date) -> date:
        """The first day of the day, week or month that a day lies in."""
        match kline_type:
            case KlineType.WEEK:
                return day - timedelta(days=day.weekday())
            case KlineType.MONTH:
                return day.replace(day=1)
            case _:
                return day


def _hk_auction(seconds: int) -> int | None:
    """When the closing auction began that a moment lies in, if there is one: at noon on half days alone."""
    into = (seconds + HK_OFFSET) % 86400
    if HK_CLOSE <= into < HK_CLOSE + HK_AUCTION:
        return seconds - into + HK_CLOSE
    if HK_HALF_DAY_CLOSE <= into < HK_HALF_DAY_CLOSE + HK_AUCTION:
        begun = seconds - into + HK_HALF_DAY_CLOSE
        sessions = load(HONG_KONG).sessions(datetime.fromtimestamp(begun, UTC).date())  # at noon the same
        if sessions and sessions[-1].close == (begun + HK_AUCTION) * 1000:
            return begun
    return None


@lru_cache(8192)
def _midnight(day: date, zone: tzinfo) -> int:
    return int(datetime.combine(day, time(), zone).timestamp())
