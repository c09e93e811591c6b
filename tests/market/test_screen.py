"""What passes the screen is fit, and most of what is fit passes it."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.market.screen import doubtful
from tickwire.model import LARGEST, Book, Entrance, Event, Instrument, Kind, Level, Market, Trade, event_fault

AMOUNT = pa.decimal128(38, 12)
LEVEL = pa.struct([("price", AMOUNT), ("volume", AMOUNT)])
TIME = pa.timestamp("ms", "UTC")
AT = 1_788_529_064_027
GOLD = Instrument(
    code="GOLD", market=Market.METALS, price_decimals=2, volume_decimals=2, turnover_decimals=2, levels=5
)

prices = st.sampled_from(["0", "-1", "0.000000000001", "1", "2", "3.5", "999999999999999", str(LARGEST)]).map(
    Decimal
)
times = st.sampled_from([0, AT, AT // 1000, 4_102_444_800_000, 631_152_000_000])
trades = st.builds(
    Trade, st.just("GOLD"), times, prices, prices, st.none() | prices, st.sampled_from([-1, 0, 2, 3])
)
sides = st.lists(st.builds(Level, prices, prices), max_size=4).map(tuple)
books = st.builds(Book, st.just("GOLD"), times, sides, sides)


def table(kind: Kind, some: list[Event]) -> pa.Table:
    columns = {"time": pa.array([one.time for one in some], pa.int64()).cast(TIME)}
    if kind is Kind.TRADE:
        for name, of in (
            *dict.fromkeys(("price", "volume", "turnover"), AMOUNT).items(),
            ("direction", pa.int8()),
        ):
            columns[name] = pa.array([getattr(one, name) for one in some], of)
    else:
        for name in ("bids", "asks"):
            rows = [
                [{"price": level.price, "volume": level.volume} for level in getattr(one, name)]
                for one in some
            ]
            columns[name] = pa.array(rows, pa.list_(LEVEL))
    return pa.concat_tables([pa.table(columns).slice(0, 2), pa.table(columns).slice(2)])  # in chunks


@settings(max_examples=300)
@given(some=st.lists(trades, min_size=1, max_size=6) | st.lists(books, min_size=1, max_size=6))
def test_what_is_not_doubtful_is_fit(some: list[Event]) -> None:
    kind = Kind.TRADE if type(some[0]) is Trade else Kind.DEPTH
    found = doubtful(kind, table(kind, some))
    unfit = {row for row, one in enumerate(some) if event_fault(one, GOLD, Entrance.REPLAY) is not None}
    assert unfit <= {*found}


def test_what_is_as_most_is_not_doubtful() -> None:
    one, two = Level(Decimal(1), Decimal(0)), Level(Decimal(2), Decimal(7))
    some: list[Event] = [
        Book("GOLD", AT, (two, one), (one, two)),
        Book("GOLD", AT, (), (one,)),
        Book("GOLD", AT, (one,), ()),
        Book("GOLD", AT, (two, one), ()),
        Book("GOLD", AT, (one, two), ()),
    ]
    assert doubtful(Kind.DEPTH, table(Kind.DEPTH, some)) == [4]
    trades: list[Event] = [Trade("GOLD", AT, Decimal(1), Decimal(0), money) for money in (None, Decimal(0))]
    assert doubtful(Kind.TRADE, table(Kind.TRADE, trades)) == []
