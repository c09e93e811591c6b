"""Flat bars: open minutes without a trade, where they are asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.calendars import Calendar, load
from tickwire.klines import SECONDS, Grid, filled
from tickwire.model import Instrument, Kline, KlineType
from tickwire.store import load_catalogue

from ..serving import OTHER_HTTP, TRADE, Script, serving, trade

CATALOGUE = load_catalogue()
BTC, GOLD, TENCENT = CATALOGUE["BTCUSDT"], CATALOGUE["GOLD"], CATALOGUE["700.HK"]


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def bar(time: int, code: str = "BTCUSDT", kline_type: KlineType = KlineType.MINUTE) -> Kline:
    price = Decimal(time % 1000)
    return Kline(
        code, kline_type, time, price, price, price, price, Decimal(1), price, time * 1000, time * 1000
    )


def times(bars: list[Kline]) -> list[int]:
    return [one.time for one in bars]


def test_a_gap_is_filled_at_the_price_before_it() -> None:
    made = filled(BTC, KlineType.MINUTE, [bar(600), bar(780)], None, count=99)
    assert times(made) == [600, 660, 720, 780]
    assert made[0] == bar(600)
    assert (made[1].open, made[1].high, made[1].low, made[1].close) == (Decimal(600),) * 4
    assert made[1].volume.is_zero()
    assert made[1].turnover.is_zero()


def test_it_goes_on_to_the_end_that_was_asked_for() -> None:
    assert times(filled(BTC, KlineType.MINUTE, [bar(600)], 720, count=99)) == [600, 660, 720]
    assert times(filled(BTC, KlineType.MINUTE, [bar(600)], 719, count=99)) == [600, 660]
    assert times(
        filled(BTC, KlineType.MINUTES_5, [bar(600, kline_type=KlineType.MINUTES_5)], 1200, count=99)
    ) == [
        600,
        900,
        1200,
    ]


def test_nothing_is_invented_behind_an_incomplete_bar() -> None:
    silent = msgspec.structs.replace(bar(600), incomplete=True)
    assert times(filled(BTC, KlineType.MINUTE, [silent, bar(780)], None, count=99)) == [600, 780]


def test_a_closed_market_has_no_flat_bars() -> None:
    friday, sunday = at("2026-11-20 21:58"), at("2026-11-22 23:01")
    made = filled(GOLD, KlineType.MINUTE, [bar(friday, "GOLD"), bar(sunday, "GOLD")], None, count=99)
    assert times(made) == [friday, friday + 60, sunday - 60, sunday]


def test_the_closing_auction_of_hong_kong_is_one_minute() -> None:
    auction, morning = at("2026-11-19 08:00"), at("2026-11-20 01:30")
    made = filled(TENCENT, KlineType.MINUTE, [bar(auction, "700.HK"), bar(morning, "700.HK")], None, count=99)
    assert times(made) == [auction, morning]


def test_no_bars_stay_none() -> None:
    assert filled(BTC, KlineType.MINUTE, [], 720, count=99) == []


def simply(
    instrument: Instrument, kline_type: KlineType, bars: list[Kline], until: int | None
) -> list[tuple[int, Decimal]]:
    """All bars and flat bars as open time and close: each open time is looked at."""
    grid = Grid(instrument)
    calendar = load(instrument.calendar) if instrument.calendar else None
    found = []
    for n, one in enumerate(bars):
        found.append((one.time, one.close))
        last = n == len(bars) - 1
        before = bars[n + 1].time if not last else one.time if until is None else until + 1
        at = grid.end(kline_type, one.time)
        while at < before and not one.incomplete:
            if calendar is None or calendar.is_open(at * 1000):
                found.append((at, one.close))
            at = grid.end(kline_type, at)
    return found


@settings(max_examples=60)
@given(
    st.sampled_from(["BTCUSDT", "GOLD", "700.HK", "AAPL.US", "600519.SH", "US500"]),
    st.sampled_from(sorted(SECONDS)),
    st.lists(st.tuples(st.integers(0, 4 * 86400), st.booleans()), min_size=1, max_size=6),
    st.none() | st.integers(0, 86400),
    st.integers(1, 40) | st.just(10_000),
    st.integers(at("2026-01-01 00:00"), at("2026-12-20 00:00")),
)
def test_it_gives_what_the_simple_definition_gives(
    code: str,
    kline_type: KlineType,
    holes: list[tuple[int, bool]],
    more: int | None,
    count: int,
    begin: int,
) -> None:
    instrument = CATALOGUE[code]
    grid, time, bars = Grid(instrument), begin, {}
    for hole, incomplete in holes:
        opened = grid.open_time(kline_type, time)
        bars[opened] = msgspec.structs.replace(bar(opened, code, kline_type), incomplete=incomplete)
        time += hole
    ascending = [bars[opened] for opened in sorted(bars)]
    until = None if more is None else ascending[-1].time + more
    made = filled(instrument, kline_type, ascending, until, count=count)
    assert [(one.time, one.close) for one in made] == simply(instrument, kline_type, ascending, until)[
        -count:
    ]


def test_a_hole_of_years_costs_what_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    is_open = Calendar.is_open

    def counted(calendar: Calendar, ms: int) -> bool:
        nonlocal looks
        looks += 1
        return is_open(calendar, ms)

    monkeypatch.setattr(Calendar, "is_open", counted)
    then, now = at("2021-11-19 08:00"), at("2026-11-23 01:31")  # a Monday, a minute after the opening
    made = filled(TENCENT, KlineType.MINUTE, [bar(then, "700.HK"), bar(now, "700.HK")], None, count=4)
    assert [one.time for one in made] == [at("2026-11-20 07:59"), at("2026-11-20 08:00"), now - 60, now]
    assert looks < 10


async def test_a_server_answers_them_where_it_is_told_to(tmp_path: Path) -> None:
    minute = 1_788_529_020  # where a minute begins
    for flat, expected in ((True, 4), (False, 2)):
        script = Script()
        async with serving(tmp_path / str(flat), script, flat_bars=flat) as served, served.link() as link:
            await link.subscribe(TRADE, "BTCUSDT")
            script.emit(trade(at=minute * 1000), trade(at=(minute + 180) * 1000))
            for _ in range(2):
                await link.push()
            query = {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 10}
            bars = (await served.get(f"{OTHER_HTTP}/kline", {"data": query})).json()["data"]["kline_list"]
            assert len(bars) == expected
            if flat:
                page = query | {"kline_timestamp_end": minute + 120, "query_kline_num": 2}
                earlier = (await served.get(f"{OTHER_HTTP}/kline", {"data": page})).json()["data"][
                    "kline_list"
                ]
                assert earlier == bars[1:3]
                assert earlier[0]["volume"] == "0.00000"
