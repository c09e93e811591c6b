"""Lines that are published: what is read, exactly, and why the others are not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.model import Book, Instrument, Level, Market, Trade
from tickwire.wire import (
    BookLine,
    DeltaLine,
    InstrumentLine,
    QuoteLine,
    Tally,
    TradeLine,
    Unfit,
    book_after,
    published_book,
    published_instrument,
    published_trade,
    quote_book,
    read_published,
)
from tickwire.wire.publish import MAX_LEVELS, MAX_LINE, MOST_BAD, Lines, publish_answer

AT = 1_788_529_064_027
BTC = Instrument(
    code="BTCUSDT",
    market=Market.CRYPTO,
    price_decimals=2,
    volume_decimals=5,
    turnover_decimals=2,
    levels=5,
)
TRADE = {"type": "trade", "code": "BTCUSDT", "time": AT, "price": "79317.70", "volume": "0.5"}
BOOK = {
    "type": "book",
    "code": "BTCUSDT",
    "time": AT,
    "bids": [["100", "1"], ["99.5", "2"]],
    "asks": [["101", "3"], ["101.25", "4"]],
}
QUOTE = {"type": "quote", "code": "GOLD", "time": AT, "bid": "1", "ask": "2"}
NEW = {
    "type": "instrument",
    "code": "MYIDX",
    "market": "crypto",
    "price_decimals": 3,
    "volume_decimals": 0,
    "turnover_decimals": 3,
    "levels": 2,
}


def data(line: dict[str, Any], **changes: Any) -> bytes:
    """A line; a change to `...` leaves the field out."""
    return json.dumps({name: value for name, value in (line | changes).items() if value is not ...}).encode()


def trade(**changes: Any) -> Trade:
    line = read_published(data(TRADE, **changes))
    assert isinstance(line, TradeLine)
    return published_trade(line, BTC)


def book(**changes: Any) -> Book:
    line = read_published(data(BOOK, **changes))
    assert isinstance(line, BookLine)
    return published_book(line, BTC)


def after(before: Book, **changes: Any) -> Book:
    line = read_published(data(BOOK, type="delta", **changes))
    assert isinstance(line, DeltaLine)
    return book_after(before, line, BTC)


def quote(**changes: Any) -> Book:
    line = read_published(data(QUOTE, **changes))
    assert isinstance(line, QuoteLine)
    return quote_book(line, BTC)


def instrument(**changes: Any) -> Instrument:
    line = read_published(data(NEW, **changes))
    assert isinstance(line, InstrumentLine)
    return published_instrument(line)


def levels(*pairs: tuple[str, str]) -> tuple[Level, ...]:
    return tuple(Level(Decimal(price), Decimal(volume)) for price, volume in pairs)


# Trades.
def test_a_trade() -> None:
    assert trade() == Trade("BTCUSDT", AT, Decimal("79317.70"), Decimal("0.5"))
    whole = trade(turnover="39658.85", direction=2, seq=7)
    assert whole == Trade("BTCUSDT", AT, Decimal("79317.7"), Decimal("0.5"), Decimal("39658.85"), 2, 7)


def test_numbers_or_their_texts_are_the_same() -> None:
    line = b'{"type":"trade","code":"BTCUSDT","time":"%d","price":79317.70,"volume":5e-1,"seq":"3"}' % AT
    read = read_published(line)
    assert isinstance(read, TradeLine)
    assert published_trade(read, BTC) == trade(seq=3)
    assert trade(price=5, volume=0) == trade(price="5.00", volume="0.00000")


@given(st.integers(1, 10**15 - 1), st.integers(0, 12))
def test_what_fits_arrives_exactly(digits: int, decimals: int) -> None:
    one = Decimal(digits).scaleb(-decimals)
    fine = Instrument(
        code="X", market=Market.CRYPTO, price_decimals=12, volume_decimals=12, turnover_decimals=12, levels=1
    )
    for text in (f'"{one:f}"', f"{one:f}", str(one)):
        line = '{"type":"trade","code":"X","time":%d,"price":%s,"volume":"1"}' % (AT, text)  # noqa: UP031
        read = read_published(line.encode())
        assert isinstance(read, TradeLine)
        assert published_trade(read, fine).price == one


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"price": "1.234"}, "price 1.234 has more than 2 decimals"),
        ({"price": 1.234}, "price 1.234 has more than 2 decimals"),
        ({"volume": "0.000001"}, "volume 0.000001 has more than 5 decimals"),
        ({"turnover": "0.001"}, "turnover 0.001 has more than 2 decimals"),
        ({"price": "0"}, "price is not above 0"),
        ({"price": "0.00"}, "price is not above 0"),
        ({"price": "1e15"}, "price is not below 10^15"),
        ({"time": 4_102_444_800_000}, "not between 1990 and 2100"),
        ({"price": "-1"}, "price is not above 0"),
        ({"price": -1}, "price is not above 0"),
        ({"price": "NaN"}, "price 'NaN' is no number"),
        ({"price": "sNaN"}, "price 'sNaN' is no number"),
        ({"price": "Infinity"}, "price 'Infinity' is no number"),
        ({"price": "1e999999"}, "price '1e999999' is no number"),
        ({"price": "1e-999999"}, "price '1e-999999' is no number"),
        ({"price": "1e21"}, "price '1e21' is no number"),
        ({"price": 10**25}, "is no number"),
        ({"price": "1_000"}, "price '1_000' is no number"),
        ({"price": ""}, "price '' is no number"),
        ({"price": " "}, "price ' ' is no number"),
        ({"price": "0" * 100 + "1"}, "is no number"),
        ({"price": None}, "price is no number"),
        ({"price": True}, "price is no number"),
        ({"price": [1]}, "price is no number"),
        ({"price": {"a": 1}}, "price is no number"),
        ({"volume": "-0.1"}, "volume is not from 0 to below 10^15"),
        ({"price": ...}, "missing required field `price`"),
        ({"code": ...}, "missing required field `code`"),
        ({"code": 5}, "Expected `str`, got `int` - at `$.code`"),
        ({"time": "now"}, "Expected `int`"),
        ({"time": 1.5}, "Expected `int`"),
        ({"time": True}, "Expected `int`"),
        ({"time": 631_151_999_999}, "Expected `int` >= 631152000000"),
        ({"time": 1_788_529_080}, "- at `$.time`: milliseconds since the epoch"),
        ({"direction": 3}, "Expected `int` <= 2"),
        ({"seq": 0}, "Expected `int` >= 1"),
        ({"seq": -1}, "Expected `int` >= 1"),
        ({"seq": 2**63}, "$.seq"),
        ({"side": "buy"}, "unknown field `side`"),
        ({"type": "tick"}, "Invalid value 'tick'"),
        ({"type": ...}, "missing required field `type`"),
        ({"type": 5}, "Expected `str` - at `$.type`"),
    ],
)
def test_a_trade_that_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit) as refused:
        trade(**changes)
    assert reason in str(refused.value)
    assert len(str(refused.value)) < 300


def test_one_is_not_true_even_if_one_came_before() -> None:
    assert trade(price=1).price == 1
    with pytest.raises(Unfit, match="price is no number"):
        trade(price=True)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"price=5", "not JSON"),
        (b"[]", "Expected `object`"),
        (b"null", "Expected `object`"),
        (data(TRADE) + b" x", "not JSON"),
        (data(TRADE, price=...)[:-1] + b',"price":NaN}', "not JSON"),
        (data(TRADE)[:-1] + b',"code":"\xff"}', "not UTF-8"),
        (data(TRADE)[:-1] + b',"code":"\\ud800"}', "not JSON"),
        (data(TRADE, price=...)[:-1] + b',"price":' + b"[" * 50_000, "nested too deep"),
        (data(TRADE, price=...)[:-1] + b',"price":' + b"9" * 60_000 + b"}", "$.price"),
        (data(TRADE, code="x" * MAX_LINE), f"longer than {MAX_LINE} bytes"),
    ],
)
def test_bytes_that_are_no_line(line: bytes, reason: str) -> None:
    with pytest.raises(Unfit) as refused:
        read_published(line)
    assert reason in str(refused.value)


@given(st.binary(max_size=200) | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps))
def test_whatever_comes_is_read_or_refused(line: bytes | str) -> None:
    with pytest.raises(Unfit):
        read_published(line if isinstance(line, bytes) else line.encode())


# Books.
def test_a_book() -> None:
    assert book() == Book(
        "BTCUSDT", AT, levels(("100", "1"), ("99.5", "2")), levels(("101", "3"), ("101.25", "4"))
    )
    assert book(bids=[], asks=[]) == Book("BTCUSDT", AT, (), ())
    locked = book(bids=[["101", "1"]])
    assert locked.bids[0].price == locked.asks[0].price


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bids": [["99", "1"], ["100", "1"]]}, "bids are not sorted best first"),
        ({"bids": [["99", "1"], ["99.00", "1"]]}, "bids are not sorted best first"),
        ({"asks": [["102", "1"], ["101", "1"]]}, "asks are not sorted best first"),
        ({"bids": [["0", "1"]]}, "a price of bids is not above 0"),
        ({"bids": [["1e15", "1"]], "asks": []}, "a price of bids is not below 10^15"),
        ({"bids": [["1", "1e15"]], "asks": []}, "a volume of bids is not from 0 to below 10^15"),
        ({"bids": [["101.01", "1"]]}, "crossed: the bid 101.01 is above the ask 101"),
        ({"bids": [["100.001", "1"]]}, "bids 100.001 has more than 2 decimals"),
        ({"bids": [["100", "0.000001"]]}, "a volume of bids 0.000001 has more than 5 decimals"),
        ({"bids": [["100"]]}, "Expected `array` of length 2"),
        ({"bids": [["100", "1", "2"]]}, "Expected `array` of length 2"),
        ({"bids": [{"price": "100", "volume": "1"}]}, "Expected `array`"),
        ({"bids": None}, "Expected `array`"),
        ({"asks": ...}, "missing required field `asks`"),
        ({"asks": [[n + 101, 1] for n in range(MAX_LEVELS + 1)]}, "length <= 1000"),
    ],
)
def test_a_book_that_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit) as refused:
        book(**changes)
    assert reason in str(refused.value)


@pytest.mark.parametrize("empty", [[], [["0", "0"]], [["0.00", 0], [0, 0]]])
def test_zeros_are_an_empty_side(empty: list[Any]) -> None:
    assert book(asks=empty) == Book("BTCUSDT", AT, levels(("100", "1"), ("99.5", "2")), ())


def test_a_level_of_unknown_volume() -> None:
    assert book(asks=[["101", 0], ["102", "1"]]).asks == levels(("101", "0"), ("102", "1"))


def test_a_book_of_a_thousand_levels() -> None:
    full = book(asks=[[n + 101, 1] for n in range(MAX_LEVELS)])
    assert len(full.asks) == MAX_LEVELS
    with pytest.raises(Unfit, match="more than 1000 levels"):
        after(full, bids=[], asks=[["5000", "1"]])
    assert len(after(full, bids=[], asks=[["5000", "1"], ["101", 0]]).asks) == MAX_LEVELS


def test_a_delta_puts_changes_and_removes() -> None:
    changed = after(
        book(), time=AT + 1, bids=[["99.75", "5"], ["100", "0"]], asks=[["101", "9"], ["1000", "0"]]
    )
    assert changed == Book(
        "BTCUSDT", AT + 1, levels(("99.75", "5"), ("99.5", "2")), levels(("101", "9"), ("101.25", "4"))
    )


def test_a_delta_that_crosses_the_book_is_refused() -> None:
    with pytest.raises(Unfit, match="crossed"):
        after(book(), bids=[["102", "1"]], asks=[])
    moved = after(book(), bids=[["102", "1"]], asks=[["101", "0"], ["101.25", "0"], ["103", "1"]])
    assert moved.bids[0] == Level(Decimal(102), Decimal(1))
    assert moved.asks == levels(("103", "1"))


changes_of_a_side = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 3)), max_size=30)


@given(st.lists(st.tuples(changes_of_a_side, changes_of_a_side), max_size=10))
def test_deltas_come_to_what_a_dictionary_does(deltas: list[tuple[list[Any], list[Any]]]) -> None:
    held = Book("BTCUSDT", AT, (), ())
    bids: dict[int, int] = {}
    asks: dict[int, int] = {}
    for lower, upper in deltas:
        upper = [(price + 100, volume) for price, volume in upper]
        held = after(held, bids=lower, asks=upper)
        bids, asks = bids | dict(lower), asks | dict(upper)
        assert [*held.bids] == [
            Level(Decimal(p), Decimal(v)) for p, v in sorted(bids.items(), reverse=True) if v
        ]
        assert [*held.asks] == [Level(Decimal(p), Decimal(v)) for p, v in sorted(asks.items()) if v]


def test_a_side_of_many_digits_is_not_rounded() -> None:
    fine = Instrument(
        code="X", market=Market.CRYPTO, price_decimals=12, volume_decimals=0, turnover_decimals=0, levels=5
    )
    prices = [f"123456789012345.{n:012d}" for n in range(3)]
    held = Book("X", AT, (), ())
    for price in prices:
        line = read_published(data(BOOK, type="delta", code="X", bids=[[price, 1]], asks=[]))
        assert isinstance(line, DeltaLine)
        held = book_after(held, line, fine)
    assert [level.price for level in held.bids] == [Decimal(price) for price in reversed(prices)]


# Quotes.
def test_a_quote_is_a_book_of_one_level() -> None:
    assert quote() == Book("GOLD", AT, levels(("1", "0")), levels(("2", "0")))
    assert quote(bid_volume="3", ask_volume=4) == Book("GOLD", AT, levels(("1", "3")), levels(("2", "4")))
    assert quote(ask=None) == quote(ask=...) == Book("GOLD", AT, levels(("1", "0")), ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"bid": None, "ask": None}, "a quote needs a bid or an ask"),
        ({"bid": "3"}, "crossed"),
        ({"bid": "0", "bid_volume": "1"}, "a price of bids is not above 0"),
        ({"ask_volume": "-1"}, "a volume of asks is not from 0 to below 10^15"),
    ],
)
def test_a_quote_that_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit) as refused:
        quote(**changes)
    assert reason in str(refused.value)


# Instruments.
def test_an_instrument() -> None:
    assert instrument() == Instrument(
        code="MYIDX",
        market=Market.CRYPTO,
        price_decimals=3,
        volume_decimals=0,
        turnover_decimals=3,
        levels=2,
    )
    assert instrument(reference_price=0.1).reference_price == Decimal("0.1")
    assert type(instrument()) is Instrument


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "MY IDX"}, "$.code"),
        ({"code": "A,B"}, "$.code"),
        ({"code": ""}, "$.code"),
        ({"market": "moon"}, "$.market"),
        ({"levels": ...}, "missing required field `levels`"),
        ({"levels": 1001}, "$.levels"),
        ({"price_decimals": 13}, "$.price_decimals"),
        ({"volume_unit": 0}, "$.volume_unit"),
        ({"reference_price": "NaN"}, "reference_price 'NaN' is no number"),
        ({"reference_price": "1e999999"}, "is no number"),
        ({"reference_price": 0}, "reference_price is not above 0"),
        ({"name_en": "x" * 201}, "name_en is longer than 200 characters"),
        ({"colour": "red"}, "unknown field `colour`"),
    ],
)
def test_an_instrument_that_is_refused(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unfit) as refused:
        instrument(**changes)
    assert reason in str(refused.value)


# Answers.
def test_an_answer_names_the_first_bad_lines_and_counts_all() -> None:
    tally = Tally(seq=5, limit=9)
    for _ in range(MOST_BAD + 5):
        tally.lines += 1
        tally.refuse("no")
    answer = json.loads(publish_answer(tally))
    assert (answer["ret"], answer["msg"], answer["trace"]) == (200, "ok", "")
    assert answer["data"]["bad_lines"] == MOST_BAD + 5
    assert [one["line"] for one in answer["data"]["bad"]] == [*range(1, MOST_BAD + 1)]
    assert answer["data"] | {"bad": None} == {
        "lines": 105,
        "accepted": 0,
        "duplicates": 0,
        "bad_lines": 105,
        "bad": None,
        "seq": 5,
        "durable": 0,
        "queued": 0,
        "limit": 9,
    }
    assert Tally().bad == []


# Pieces.
@given(st.lists(st.binary(max_size=20)))
def test_lines_are_cut_the_same_however_they_come(pieces: list[bytes]) -> None:
    lines = Lines()
    found = [line for piece in pieces for line in lines.feed(piece)] + lines.end()
    whole = b"".join(pieces).split(b"\n")
    assert found == (whole if whole[-1] else whole[:-1])


def test_a_line_without_end_takes_little_memory_and_is_refused_once() -> None:
    lines = Lines()
    for _ in range(100):
        assert lines.feed(b"x" * MAX_LINE) == []
        assert len(lines._rest) <= MAX_LINE + 1
    long, short = lines.feed(b"x\n{}\n")
    with pytest.raises(Unfit, match="longer than"):
        read_published(long)
    assert short == b"{}"
    assert lines.end() == []
