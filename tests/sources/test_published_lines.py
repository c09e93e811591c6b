"""What becomes of published lines: events, books, new instruments, and reasons where nothing does."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tickwire.model import Book, Instrument, Market, Reach, Trade
from tickwire.sources import QuoteTrades

from .publishing import NEW, NOW, SHIPPED, a_book, a_quote, a_source, a_trade, counts, reasons, served, take


async def test_a_bad_line_is_told_with_its_number_and_the_others_pass() -> None:
    source = a_source()
    async with served(source) as taken:
        tally = await take(
            source,
            a_trade(),
            b"{",
            b"",
            b"  \r",
            a_trade(code="NOSUCH"),
            a_trade(price="1.234"),
            a_trade(time=NOW + 60_001),
            a_trade(time=NOW + 60_000),
        )
        assert len(await taken.until(2)) == 2
    assert counts(tally) == (2, 0, 4, 0)
    assert tally.lines == 8
    assert [line for line, _ in reasons(tally)] == [2, 5, 6, 7]
    assert reasons(tally)[1:] == [
        (5, "code 'NOSUCH' is unknown"),
        (6, "price 1.234 has more than 2 decimals"),
        (7, "time is too far ahead of the server's clock"),
    ]


async def test_a_delta_goes_on_from_the_book_before_it() -> None:
    source = a_source()
    async with served(source) as taken:
        tally = await take(source, a_book((9, 1), kind="delta"), a_book((9, 1)), a_book((8, 1), kind="delta"))
        assert reasons(tally) == [(1, "a delta of BTCUSDT needs a whole book before it")]
        last = (await taken.until(2))[-1]
        assert isinstance(last, Book)
        assert [int(level.price) for level in last.bids] == [9, 8]
        # After a delta that is refused nobody knows what the book is.
        tally = await take(source, a_book((0, 1), kind="delta"), a_book((7, 1), kind="delta"))
        assert [line for line, _ in reasons(tally)] == [1, 2]
        assert counts(await take(source, a_book((6, 1)), a_book((5, 1), kind="delta"))) == (2, 0, 0, 0)


async def test_an_index_has_no_book() -> None:
    source = a_source()
    tally = await take(source, a_book((1, 1), code=".DJI.US"), a_quote(".DJI.US"), a_trade(code=".DJI.US"))
    assert reasons(tally) == [(1, ".DJI.US has no book"), (2, ".DJI.US has no book")]


@pytest.mark.parametrize(
    ("way", "prices"),
    [
        (QuoteTrades.BID, ["4000.00", None, "4000.01"]),
        (QuoteTrades.MID, ["4000.13", None, None]),  # 4000.125, half up
        (QuoteTrades.NONE, [None, None, None]),
    ],
)
async def test_a_quote_is_a_trade_where_trade_is_by_quotes(
    way: QuoteTrades, prices: list[str | None]
) -> None:
    for line, price in zip(
        [a_quote(seq=5), a_quote(bid=None), a_quote(bid="4000.01", ask=None)], prices, strict=True
    ):
        source = a_source(quote_trades=way)
        await take(source, line)
        async with served(source) as taken:
            events = await taken.until(1 if price is None else 2)
        assert isinstance(events[0], Book)
        assert events[1:] == (
            []
            if price is None
            else [Trade("GOLD", NOW, Decimal(price), Decimal(0), source_seq=line.get("seq", 0))]
        )


async def test_a_quote_of_what_trades_by_trades_is_a_book_only() -> None:
    source = a_source()
    await take(source, a_quote("BTCUSDT"), a_quote("AAPL.US"))
    async with served(source) as taken:
        assert [type(event) for event in await taken.until(2)] == [Book, Book]


async def test_a_token_may_publish_what_it_may_read() -> None:
    source = a_source()
    reach = Reach(markets=frozenset({Market.CRYPTO}))
    lines = [a_trade(), a_trade(code="GOLD"), NEW, NEW | {"code": "A", "market": "forex"}]
    tally = await take(source, *lines, reach=reach)
    assert reasons(tally) == [(2, "the token may not publish GOLD"), (4, "the token may not publish A")]
    assert tally.accepted == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"code": "BTCUSDT"}, "BTCUSDT is defined otherwise, and stays so while the server runs"),
        ({"code": "XAUUSD"}, "XAUUSD is another name of an instrument"),
        ({"calendar": "moon"}, "calendar is none of"),
    ],
)
async def test_an_instrument_that_is_refused(changes: dict[str, Any], reason: str) -> None:
    kept: list[Instrument] = []
    tally = await take(a_source(keep=kept.append), NEW | changes)
    assert reason in reasons(tally)[0][1]
    assert kept == []


async def test_there_is_an_end_to_new_instruments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.published_lines.MOST_INSTRUMENTS", len(SHIPPED) + 1)
    tally = await take(a_source(), NEW, NEW | {"code": "B"}, NEW)
    assert reasons(tally) == [(2, f"there are {len(SHIPPED) + 1} instruments already")]
    assert tally.accepted == 2
