"""Writes src/tickwire/calendars/exchanges.toml from the package exchange_calendars, or compares the two.

Beyond what that knows, the statutory and lunar holidays of the package holidays are expected. Both live in an
environment of their own:

    python -m venv build/calendars && build/calendars/bin/pip install exchange_calendars holidays
    build/calendars/bin/python scripts/make_calendars.py
    build/calendars/bin/python scripts/make_calendars.py --compare
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

import exchange_calendars
import holidays
import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
TABLES = ROOT / "src/tickwire/calendars/exchanges.toml"
FIRST = date(2010, 1, 1)
LAST = date(2035, 12, 31)
"""As far as the package's rules are followed where it knows no end of its own, and holidays are expected."""
COUNTRIES = {"XSHG": "CN"}
"""Whose holidays are expected where the package ends before that."""
KEYS = ("XHKG", "XSHG", "XNYS")

# What the package does not say.
HK_LUNCHES = ((date(2010, 1, 1), "12:30-14:30"), (date(2011, 3, 7), "12:00-13:30"))
"""Lunches of Hong Kong before 2012-03-05, where the package has today's (HKEX news, 24 January 2011)."""
HK_LUNCHES_END = date(2012, 3, 5)
HK_AUCTION, HK_AUCTION_FROM = 10, date(2016, 7, 25)
"""Minutes of the closing auction; the one of 2008 had ended in 2009."""
CLOSED = {"XHKG": (date(2023, 9, 1), date(2023, 9, 8))}
"""Days without trading that 4.13.2 lacks: a typhoon and a rainstorm (HKEX market communications 2309012news
and 2309083news). The package has them since its pull request 603."""
PRE_OPEN = {"XHKG": 30, "XSHG": 15}
"""Minutes of auction and preparation before the first session."""
US_PRE_MARKET, US_POST_MARKET = "04:00", 4 * 60
"""Pre-market begins at, and post-market ends so many minutes after the close: 17:00 on half days."""


class Hours(NamedTuple):
    """The hours of a day as the tables write them."""

    pre_open: str
    sessions: tuple[str, ...]


class Day(NamedTuple):
    """A session of the package, in the exchange's local time. A day without a break has an empty `lunch`."""

    date: date
    opened: str
    lunch: str
    closed: str
    special: bool


FACTORIES = exchange_calendars.calendar_utils._default_calendar_factories


def calendar_of(key: str) -> exchange_calendars.ExchangeCalendar:
    return FACTORIES[key](start=FIRST.isoformat(), end=last_of(key).isoformat())


def days_of(key: str) -> Iterator[Day]:
    """The package's sessions as they are."""
    calendar = calendar_of(key)
    special = set(calendar.early_closes) | set(calendar.late_opens)

    def local(moment: pd.Timestamp) -> str:
        return "" if pd.isna(moment) else moment.tz_convert(calendar.tz).strftime("%H:%M")

    for session, row in calendar.schedule.iterrows():
        lunch = f"{local(row['break_start'])}-{local(row['break_end'])}".strip("-")
        yield Day(session.date(), local(row["open"]), lunch, local(row["close"]), session in special)


def last_of(key: str) -> date:
    bound = FACTORIES[key].bound_max()
    return LAST if bound is None else min(LAST, bound.date())


def moved(clock: str, minutes: int) -> str:
    total = int(clock[:2]) * 60 + int(clock[3:]) + minutes
    return f"{total // 60:02}:{total % 60:02}"


def hours_of(key: str, day: Day) -> Hours:
    """The hours of a day, with what the package does not say."""
    lunch, closed = day.lunch, day.closed
    if key == "XHKG":
        if lunch and day.date < HK_LUNCHES_END:
            lunch = [text for since, text in HK_LUNCHES if since <= day.date][-1]
        if day.date >= HK_AUCTION_FROM:
            closed = moved(closed, HK_AUCTION)
    sessions = "-".join([day.opened, lunch, closed] if lunch else [day.opened, closed])
    clocks = sessions.split("-")
    found = [f"{start}-{end}" for start, end in zip(clocks[::2], clocks[1::2], strict=True)]
    if key == "XNYS":
        found.insert(0, f"{US_PRE_MARKET}-{day.opened} pre-market")
        found.append(f"{closed}-{moved(closed, US_POST_MARKET)} post-market")
    return Hours(moved(day.opened, -PRE_OPEN[key]) if key in PRE_OPEN else "", tuple(found))


def table_of(key: str) -> Iterator[str]:
    """The lines of an exchange's table."""
    days = [day for day in days_of(key) if day.date not in CLOSED.get(key, ())]
    last = last_of(key)
    if weekend := [day.date for day in days if day.date.weekday() > 4]:
        raise SystemExit(f"{key} trades at the weekend, which the tables cannot say: {weekend[0]}")
    yield f"[{key}]"
    yield f'zone = "{calendar_of(key).tz.key}"'
    yield f"first = {FIRST}"
    yield f"last = {last}"
    regular: list[tuple[date, Hours]] = []
    special: dict[Hours, list[date]] = {}
    for day in days:
        hours = hours_of(key, day)
        if day.special:
            special.setdefault(hours, []).append(day.date)
        elif not regular or regular[-1][1] != hours:
            regular.append((day.date if regular else FIRST, hours))
    for since, hours in regular:
        yield from (f"\n[[{key}.regular]]", f"since = {since}", *texts(hours))
    for hours, dates in special.items():
        yield from (f"\n[[{key}.special]]", *texts(hours), "days = [", *years(dates), "]")
    open_days = {day.date for day in days}
    every = (FIRST + timedelta(days=number) for number in range((last - FIRST).days + 1))
    closed = [day for day in every if day.weekday() < 5 and day not in open_days]
    yield from (f"\n[{key}.holidays]", "days = [", *years(closed), "]", "")
    if last < LAST:
        found = holidays.country_holidays(COUNTRIES[key], years=range(last.year, LAST.year + 1))
        expected = [day for day in sorted(found) if last < day <= LAST and day.weekday() < 5]
        yield from (f"[{key}.expected]", f"last = {LAST}", "days = [", *years(expected), "]", "")


def texts(hours: Hours) -> Iterator[str]:
    if hours.pre_open:
        yield f'pre_open = "{hours.pre_open}"'
    yield "sessions = [" + ", ".join(f'"{one}"' for one in hours.sessions) + "]"


def years(dates: list[date]) -> Iterator[str]:
    """One line a year: the year, then month and day of each date."""
    for year in sorted({day.year for day in dates}):
        found = " ".join(f"{day:%m-%d}" for day in dates if day.year == year)
        yield f'  "{year} {found}",'


def write() -> None:
    body = "\n".join(line for key in KEYS for line in table_of(key))
    digest = hashlib.sha256(body.encode()).hexdigest()
    head = (
        f"# Generated by scripts/make_calendars.py from exchange_calendars {exchange_calendars.__version__}\n"
        f"# and holidays {holidays.__version__}: do not edit.\n"
        "# Sessions in the exchange's local time, from `since` on; weekdays without any are holidays.\n"
        "# What is expected is not official yet: days moved to make long weekends are not known.\n"
        f"# sha256 of all below this line: {digest}\n"
    )
    TABLES.write_text(head + body, encoding="utf-8", newline="\n")
    print(f"{TABLES.relative_to(ROOT)}: {TABLES.stat().st_size} bytes")


def compare() -> int:
    """Holds what tickwire.calendars makes of the tables against the package, day by day."""
    sys.path.insert(0, str(ROOT / "src"))
    from tickwire.calendars import SessionKind, load

    wrong = 0
    for key in KEYS:
        theirs = {day.date: day for day in days_of(key) if day.date not in CLOSED.get(key, ())}
        calendar, last = load(key), last_of(key)
        counted: Counter[str] = Counter()

        def clock(ms: int, zone: str = calendar.zone.key) -> str:
            return pd.Timestamp(ms, unit="ms", tz="UTC").tz_convert(zone).strftime("%H:%M")

        for number in range((last - FIRST).days + 1):
            day = FIRST + timedelta(days=number)
            regular = [one for one in calendar.sessions(day) if one.kind is SessionKind.REGULAR]
            ours = [f"{clock(begin)}-{clock(end)}" for begin, end, *_ in regular]
            one = theirs.get(day)
            expected = [text for text in hours_of(key, one).sessions if " " not in text] if one else []
            what = "sessions" if one else "holidays" if day.weekday() < 5 else "weekend days"
            counted[what] += 1
            counted["half days"] += one is not None and one.special
            is_holiday = bool(calendar.holidays(day, day))
            if ours != expected or is_holiday is not (what == "holidays") or not calendar.known(day):
                wrong += 1
                print(f"{key} {day}: ours {ours}, theirs {one}")
        print(f"{key} {FIRST} to {last}: " + ", ".join(f"{count} {name}" for name, count in counted.items()))
    print(f"exchange_calendars {exchange_calendars.__version__}: {wrong} days differ")
    return int(wrong > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--compare", action="store_true", help="compare only, write nothing")
    if parser.parse_args().compare:
        sys.exit(compare())
    write()
