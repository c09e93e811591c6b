"""What was published last: noted as it is yielded, shown by the next run, and gone on from by deltas."""

from __future__ import annotations

import json
from contextlib import aclosing
from decimal import Decimal
from typing import Any

import msgspec

from tickwire.model import Book, Catalogue, Trade
from tickwire.sources import Published

from .publishing import NEW, NOW, SHIPPED, a_book, a_quote, a_source, a_trade, reasons, take


def noted(source: Published) -> dict[str, str]:
    """All notes of it, as a store keeps them."""
    texts = {name: msgspec.json.encode(last).decode() for name, last in source.last.notes().items()}
    return source.publishers.notes() | texts


async def yielded(source: Published, count: int) -> None:
    async with aclosing(source.events()) as events:  # type: ignore[type-var]
        for _ in range(count):
            await anext(events)


def after(notes: dict[str, str], catalogue: Catalogue | None = None) -> Published:
    """The source of the next run."""
    source = a_source(catalogue)
    source.publishers.restore({name: note for name, note in notes.items() if name.startswith("publisher:")})
    source.restore_last({name: note for name, note in notes.items() if name.startswith("last:")})
    return source


def streams(source: Published, name: str = "p") -> list[tuple[str, str, int, int]]:
    standing = source.standing(source.publishers.named(name))
    return [(one.kind, one.code, one.seq, one.durable) for one in standing.streams]


async def test_the_last_of_each_code_is_noted_as_far_as_it_was_yielded() -> None:
    source = a_source()
    await take(
        source, a_trade(1), a_trade(2, price=6), a_trade(3, "GOLD"), a_quote(seq=4), a_trade(5, price=7)
    )
    await yielded(source, 3)
    notes = source.last.notes()
    assert {name: (one[0], one[1]) for name, one in notes.items()} == {
        "last:1:BTCUSDT": ("p", 2),
        "last:1:GOLD": ("p", 3),
    }
    assert source.last.notes() == {}
    await yielded(source, 3)
    assert {name: (one[0], one[1]) for name, one in source.last.notes().items()} == {
        "last:1:BTCUSDT": ("p", 5),
        "last:1:GOLD": ("p", 4),
        "last:2:GOLD": ("p", 4),
    }
    source.last.change_all()
    assert len(source.last.notes()) == 3


async def test_the_next_run_has_them_and_says_where_each_stream_stands() -> None:
    source = a_source()
    await take(source, a_trade(1, "BTCUSDT", volume="0.25"), a_quote(seq=2), a_book((5, 1)) | {"seq": 3})
    await yielded(source, 4)
    again = after(noted(source))
    assert sorted(again.last.codes) == ["BTCUSDT", "GOLD"]
    trade = next(one for one in again.last.events() if isinstance(one, Trade) and one.code == "BTCUSDT")
    assert (trade.price, trade.volume, trade.time) == (Decimal("5.00"), Decimal("0.25000"), NOW)
    assert str(trade.volume) == "0.25000"
    books = {one.code: one for one in again.last.events() if isinstance(one, Book)}
    assert [str(level.price) for level in books["GOLD"].bids] == ["4000.00"]
    assert streams(again) == [
        ("depth", "BTCUSDT", 3, 3),
        ("trade", "GOLD", 2, 2),
        ("depth", "GOLD", 2, 2),
        ("trade", "BTCUSDT", 1, 1),
    ]
    assert again.last.notes() == {}  # they stand there


async def test_a_stream_counts_as_taken_before_it_is_durable() -> None:
    source = a_source()
    await take(source, a_trade(1), a_trade(2, "GOLD"))
    assert streams(source) == [("trade", "GOLD", 2, 0), ("trade", "BTCUSDT", 1, 0)]
    await yielded(source, 2)
    source.publishers.kept(source.publishers.notes())
    assert streams(source) == [("trade", "GOLD", 2, 2), ("trade", "BTCUSDT", 1, 1)]


async def test_the_deltas_of_a_book_go_on_in_the_next_run() -> None:
    source = a_source()
    await take(
        source, a_book((5, 1), (4, 2)) | {"seq": 1}, a_book((5, 0), kind="delta") | {"seq": 2}, a_book((9, 1))
    )
    await yielded(source, 2)  # the third has no number, and is not yielded
    again = after(noted(source))
    await take(again, a_book((3, 7), kind="delta") | {"seq": 3})
    (batch,) = again._queue
    book = batch.events[0][0]
    assert isinstance(book, Book)
    assert [(str(one.price), int(one.volume)) for one in book.bids] == [("4.00", 2), ("3.00", 7)]


async def test_no_delta_goes_on_from_a_book_that_is_not_that_of_before_it() -> None:
    delta: dict[str, Any] = a_book((3, 7), kind="delta") | {"seq": 2}
    without_number = [a_book((5, 1)), a_trade(1)]  # who knows what came after it
    ahead = [a_book((5, 1)) | {"seq": 1}, a_book((4, 1)) | {"seq": 3}]
    for lines in (without_number, ahead):
        source = a_source()
        await take(source, *lines)
        await yielded(source, len(lines))
        again = after(noted(source) | {"publisher:p": "1"})
        assert reasons(await take(again, delta)) == [(1, "a delta of BTCUSDT needs a whole book before it")]


async def test_what_comes_again_and_is_in_the_bars_does_not_take_the_place_of_a_later_one() -> None:
    source = a_source()
    await take(source, a_trade(1), a_trade(2, price=6), a_trade(3, price=7))
    await yielded(source, 3)
    notes = noted(source)

    class Recording:
        id = "r"

        def reach(self, publisher: str, seq: int) -> None: ...
        def reached(self, publisher: str) -> int:
            return 1

    again = a_source()
    again.publishers.restore({"publisher:p": "3 r"}, Recording(), "r")
    again.restore_last({name: note for name, note in notes.items() if name.startswith("last:")})
    assert streams(again) == [("trade", "BTCUSDT", 1, 1)]
    await take(again, a_trade(2, price=6))
    async with aclosing(again.events()) as events:  # type: ignore[type-var]
        await anext(events)
    assert again.last.notes() == {}
    (last,) = again.last.events()
    assert isinstance(last, Trade)
    assert last.source_seq == 3


async def test_codes_that_are_unknown_or_others_now_are_left_out() -> None:
    source = a_source()
    await take(source, NEW | {"seq": 1}, a_trade(2, "MYIDX", price="1.125"), a_trade(3))
    await yielded(source, 2)
    notes = noted(source)
    assert after(notes).last.codes == {"BTCUSDT"}
    coarse = Catalogue(SHIPPED)
    coarse.add(msgspec.structs.replace(SHIPPED["BTCUSDT"], code="MYIDX", price_decimals=1))
    assert after(notes, coarse).last.codes == {"BTCUSDT"}
    broken = notes | {"last:1:GOLD": "{", "last:7:GOLD": "[]", "last:1": json.dumps(["p", 1, {}])}
    assert after(broken).last.codes == {"BTCUSDT"}
