"""Frames that are written column by column are those that are written event by event."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.model import Book, Correction, Event, Instrument, Kind, Level, Market, Position, Trade, kind_of
from tickwire.wire.columns import Target, written
from tickwire.wire.form import BARE, Form
from tickwire.wire.push import encoder
from tickwire.wire.replays import Hole

TIME = pa.timestamp("ms", "UTC")
MICROS = pa.timestamp("us", "UTC")
AMOUNT = pa.decimal128(38, 12)
LEVEL = pa.struct([("price", AMOUNT), ("volume", AMOUNT)])
AT = 1_788_529_064_027


def instrument(code: str, price: int, volume: int, unit: int = 1) -> Instrument:
    return Instrument(
        code=code,
        market=Market.CRYPTO,
        price_decimals=price,
        volume_decimals=volume,
        turnover_decimals=price,
        levels=5,
        volume_unit=unit,
    )


INSTRUMENTS = [
    instrument("GOLD", 2, 0),
    instrument("BTCUSDT", 8, 8),
    instrument('"Ü\\', 2, 0),
    instrument("000001.SZ", 2, 0, unit=100),
    instrument("WIDE", 12, 12, unit=10**6),
]
TARGETS = {
    (kind, one.code): [Target(one.code, one, 5)] + [Target(f"{one.code}-2", one, 1)] * (one.code == "BTCUSDT")
    for one in INSTRUMENTS
    for kind in (Kind.TRADE, Kind.DEPTH, Kind.CORRECTION)
}


def amounts(largest: int = 10**14) -> st.SearchStrategy[Decimal]:
    whole = st.integers(-9, largest) | st.integers(0, 50)
    return st.builds(lambda number, places: Decimal(number).scaleb(-places), whole, st.integers(0, 12))


codes = st.sampled_from([one.code for one in INSTRUMENTS])
times = st.integers(AT, AT + 10**6)
trades = st.builds(
    Trade, codes, times, amounts(), amounts(), st.none() | amounts(), st.integers(0, 2), st.just(0)
)
sides = st.lists(st.builds(Level, amounts(), amounts()), max_size=7).map(tuple)
books = st.builds(Book, codes, times, sides, sides)
corrections = trades.flatmap(
    lambda one: st.builds(Correction, st.just(one.code), times, st.just(one), st.none() | st.just(one))
)


def columns(some: list[tuple[int, Event | Correction, int]]) -> tuple[dict[Kind, Any], list[Any]]:
    """Those events in the columns that a recording has."""
    rows: dict[type, list[tuple[int, Any, int]]] = {Trade: [], Book: [], Correction: []}
    for row in some:
        rows[type(row[1])].append(row)
    tables = {}
    for kind, of, fields in (
        (Kind.TRADE, Trade, {"price": AMOUNT, "volume": AMOUNT, "turnover": AMOUNT, "direction": pa.int8()}),
        (Kind.DEPTH, Book, {"bids": pa.list_(LEVEL), "asks": pa.list_(LEVEL)}),
    ):
        if not rows[of]:
            continue
        made = {
            "code": pa.array([one.code for _, one, _ in rows[of]], pa.string()),
            "time": pa.array([one.time for _, one, _ in rows[of]], pa.int64()).cast(TIME),
            "seq": pa.array([seq for *_, seq in rows[of]], pa.int64()),
            "received": pa.array([1000 * one.time + 7 for _, one, _ in rows[of]], pa.int64()).cast(MICROS),
            "arrival": pa.array([place for place, *_ in rows[of]], pa.int64()),
        }
        for name, type_ in fields.items():
            values = [getattr(one, name) for _, one, _ in rows[of]]
            if of is Book:
                values = [[_level(level) for level in side] for side in values]
            made[name] = pa.array(values, type_)
        tables[kind] = pa.table(made)
    return tables, [(*row, 1000 * row[1].time + 7) for row in rows[Correction]]


def _level(level: Level) -> dict[str, Decimal]:
    return {"price": level.price, "volume": level.volume}


@pytest.mark.parametrize("text_ids", [False, True], ids=["numbers", "text ids"])
@pytest.mark.parametrize(
    "form",
    [Form(), Form(deflated=True), Form(batch=True), Form(packed=True), Form(batch=True, packed=True)],
    ids=["text", "deflated", "batch", "packed", "packed batch"],
)
@settings(max_examples=50)
@given(found=st.lists(trades | books | corrections, min_size=1, max_size=12))
def test_frames_are_those_of_the_encoder(form: Form, text_ids: bool, found: list[Event | Correction]) -> None:
    some = [(3 * number, one, 10**15 + number) for number, one in enumerate(found, 1)]
    made = written(*columns(some), (), TARGETS, text_ids=text_ids, form=form, replay=7)
    expected, places, times = [], [], []
    for place, one, seq in some:
        for target in TARGETS[kind_of(one), one.code]:
            how: dict[str, Any] = {"text_ids": text_ids, "form": form.first, "replay": 7}
            expected.append(encoder(kind_of(one), *target, **how)(one, seq))
            places.append(place)
            times.append(one.time)
    ends = [0, *made.ends]
    pushes = [form.joined(bytes(made.data[a:b]), 1) for a, b in pairwise(ends)]
    assert pushes == [form.told(one) for one in expected]
    together = form.joined(bytes(made.data[: made.ends[-1]]), len(expected))
    assert together == form.told(b"".join(expected))
    assert [*made.arrivals] == places
    assert [*made.times] == times


@pytest.mark.parametrize("form", [Form(times=True), Form(batch=True, packed=True, times=True)])
@settings(max_examples=30)
@given(found=st.lists(trades | books | corrections, min_size=1, max_size=6))
def test_pushes_that_say_their_times_say_when_they_were_recorded_and_sent(
    form: Form, found: list[Event | Correction]
) -> None:
    some = [(3 * number, one, 10**15 + number) for number, one in enumerate(found, 1)]
    made = written(*columns(some), (), TARGETS, text_ids=False, form=form, replay=7)
    expected = [
        form.timed(bare(one, seq), 1000 * one.time + 7, 0, 99)
        for _, one, seq in some
        for target in TARGETS[kind_of(one), one.code]
        for bare in [encoder(kind_of(one), *target, text_ids=False, form=BARE, replay=7)]
    ]
    count = len(made.ends)
    assert made.timed(form, 0, count, 99) == form.whole(expected)
    assert made.timed(form, count - 1, count, 99) == form.whole(expected[-1:])


@pytest.mark.parametrize("form", [Form(), Form(batch=True), Form(packed=True), Form(times=True)])
def test_what_is_missing_is_said_before_what_follows_under_each_name(form: Form) -> None:
    trade = Trade("BTCUSDT", AT, Decimal(1), Decimal(2))
    some: list[tuple[int, Event | Correction, int]] = [
        (1, Trade("GOLD", AT, Decimal(1), Decimal(2)), 5),
        (2, trade, 8),
        (3, Correction("BTCUSDT", AT, trade, None), 9),
    ]
    holes = [
        Hole(Kind.TRADE, "BTCUSDT", Position(0, 8), 2, AT),
        Hole(Kind.CORRECTION, "BTCUSDT", Position(7, 9), 3, AT),
        Hole(Kind.TRADE, "NOPE", Position(7, 9), 3, AT),
    ]
    made = written(*columns(some), holes, TARGETS, text_ids=False, form=form, replay=7)
    pushes = [bytes(made.data[begin:end]) for begin, end in pairwise([0, *made.ends])]
    assert [*made.arrivals] == [1, *[2] * 4, *[3] * 4]
    for place, kind, rest in (
        (1, b"trade", b'"epoch":0,"from":8,"gap":1,"replay":7'),
        (5, b"correction", b'"epoch":7,"from":9,"gap":1,"replay":7'),
    ):
        for at, name in ((place, b"BTCUSDT"), (place + 1, b"BTCUSDT-2")):
            told = b'{"cmd_id":28993,"data":{"kind":"%b","code":"%b",%b}}' % (kind, name, rest)
            if form.packed:
                assert msgspec.msgpack.decode(pushes[at][2:]) == msgspec.json.decode(told)
            else:
                assert told in pushes[at]
            if form.times:
                assert made.timed(form, at, at + 1, 99) == form.untimed(told)


def test_a_stream_that_nobody_asked_for_gives_nothing() -> None:
    """It may begin while others are replayed."""
    one, other = (Trade(code, AT, Decimal(1), Decimal(2)) for code in ("GOLD", "BTCUSDT"))
    some: list[tuple[int, Event | Correction, int]] = [
        (1, one, 7),
        (2, other, 8),
        (3, Correction("GOLD", AT, one, None), 9),
    ]
    how: dict[str, Any] = {"text_ids": False, "form": Form(), "replay": 7}
    targets = {(Kind.TRADE, "BTCUSDT"): TARGETS[Kind.TRADE, "BTCUSDT"]}  # two, as many as there are codes
    made = written(*columns(some), (), targets, **how)
    assert [*made.arrivals] == [2, 2]
    for target, (begin, end) in zip(targets[Kind.TRADE, "BTCUSDT"], pairwise([0, *made.ends]), strict=True):
        assert bytes(made.data[begin:end]) == encoder(Kind.TRADE, *target, **how)(other, 8)
    assert [*written(*columns(some), (), {}, **how).times] == []
