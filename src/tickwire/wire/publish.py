"""Prices that somebody publishes: lines of JSON in, events out, and what is answered. Pure.

A line is hostile until it is read. Numbers are JSON numbers or their texts, and exact either way.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left
from collections.abc import Iterable
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..model import (
    MAX_DECIMALS,
    QUANTA,
    Book,
    Correction,
    Entrance,
    Fault,
    Instrument,
    Level,
    Trade,
    book_fault,
    side,
    time_fault,
    trade_fault,
)
from .items import DataResponse
from .messages import Command, HttpSuccess, to_json
from .number import MOST_KNOWN, UNREADABLE, YEAR_1990, signed
from .reader import Reader, Request
from .ret import OK, Ret

MAX_LINE = 64 * 1024
"""Bytes of the longest line."""
MAX_LEVELS = 1000
"""Levels of a side of a book."""
MOST_BAD = 100
"""Bad lines that an answer names; all are counted."""
MOST_STREAMS = 3000
"""Streams that are named of how a publisher stands."""
MOST_HELLO = 1024
"""Bytes of the longest 28000."""
MAX_NUMBER, MAX_TEXT = 64, 200
"""Characters of the longest number, and of the longest text of an instrument."""

Millis = Annotated[int, Meta(ge=YEAR_1990 * 1000)]
Seq = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Number = Annotated[Any, Meta(extra_json_schema={"type": ["string", "number"]})]
"""A number or its text, checked when the instrument is known; the schemas say no more than that."""
MaybeNumber = Annotated[Any, Meta(extra_json_schema={"type": ["string", "number", "null"]})]
Side = Annotated[list[tuple[Number, Number]], Meta(max_length=MAX_LEVELS)]


class Unfit(Exception):
    """A line that is not taken; the text says why."""


# The lines. `time` is in milliseconds since the epoch; `seq` is the publisher's own number, 0 if it has none.
class TradeLine(msgspec.Struct, tag_field="type", tag="trade", forbid_unknown_fields=True, gc=False):
    """A trade."""

    code: str
    time: Millis
    price: Number
    volume: Number
    turnover: MaybeNumber = None
    direction: Annotated[int, Meta(ge=0, le=2)] = 0
    seq: Seq = 0


class BookLine(msgspec.Struct, tag_field="type", tag="book", forbid_unknown_fields=True):
    """A whole book: pairs of price and volume, best first."""

    code: str
    time: Millis
    bids: Side
    asks: Side
    seq: Seq = 0


class DeltaLine(BookLine, tag_field="type", tag="delta"):
    """The levels of a book that have changed, in any order; volume 0 removes one."""


class QuoteLine(msgspec.Struct, tag_field="type", tag="quote", forbid_unknown_fields=True, gc=False):
    """A book of one level. A side that is left out is empty, a volume that is left out 0."""

    code: str
    time: Millis
    bid: MaybeNumber = None
    bid_volume: MaybeNumber = None
    ask: MaybeNumber = None
    ask_volume: MaybeNumber = None
    seq: Seq = 0


class CorrectLine(msgspec.Struct, tag_field="type", tag="correct", forbid_unknown_fields=True, gc=False):
    """The trade that was published under the `seq` of `trade` was another one: its price, volume and so on
    are these, its time stays. Without a turnover that is price × volume, without a direction it stays."""

    code: str
    time: Millis
    trade: Seq
    price: Number
    volume: Number
    turnover: MaybeNumber = None
    direction: Annotated[int, Meta(ge=0, le=2)] | None = None
    seq: Seq = 0


class CancelLine(msgspec.Struct, tag_field="type", tag="cancel", forbid_unknown_fields=True, gc=False):
    """The trade that was published under the `seq` of `trade` has not taken place."""

    code: str
    time: Millis
    trade: Seq
    seq: Seq = 0


class InstrumentLine(Instrument, frozen=True, tag_field="type", tag="instrument"):
    """A new instrument, or one that is known already."""

    seq: Seq = 0


Correcting: TypeAlias = CorrectLine | CancelLine
Priced: TypeAlias = TradeLine | BookLine | DeltaLine | QuoteLine
Line: TypeAlias = Priced | Correcting | InstrumentLine

_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line, strict=False, float_hook=str)


def read_published(data: bytes) -> Line:
    """The line that these bytes are. Raises Unfit."""
    if len(data) > MAX_LINE:
        raise Unfit(f"longer than {MAX_LINE} bytes")
    try:
        return _decoder.decode(data)
    except UnicodeDecodeError:
        raise Unfit("not UTF-8") from None
    except RecursionError:
        raise Unfit("nested too deep") from None
    except msgspec.ValidationError as error:
        text = _short(str(error))
        raise Unfit(f"{text}: milliseconds since the epoch" if text.endswith("`$.time`") else text) from None
    except ValueError as error:
        raise Unfit(_short(f"not JSON: {error}")) from None


# `now` is the wall clock in milliseconds; None leaves times ahead of it to the caller.
def published_trade(line: TradeLine, instrument: Instrument, now: int | None = None) -> Trade:
    """The trade of a line. Raises Unfit."""
    money = line.turnover
    trade = Trade(
        line.code,
        line.time,
        _number("price", line.price, instrument.price_decimals),
        _number("volume", line.volume, instrument.volume_decimals),
        None if money is None else _number("turnover", money, instrument.turnover_decimals),
        line.direction,
        line.seq,
    )
    if (fault := trade_fault(trade, instrument, Entrance.PUBLISH, now)) is not None:
        raise Unfit(fault.text)
    return trade


def published_correction(
    line: Correcting, was: Trade, instrument: Instrument, now: int | None = None
) -> Correction:
    """The correction of a line, of the trade as it counts until then. Raises Unfit."""
    _check(time_fault(line.time, Entrance.PUBLISH, now))
    if isinstance(line, CancelLine):
        return Correction(line.code, line.time, was, None, source_seq=line.seq)
    money = line.turnover
    trade = Trade(
        was.code,
        was.time,
        _number("price", line.price, instrument.price_decimals),
        _number("volume", line.volume, instrument.volume_decimals),
        None if money is None else _number("turnover", money, instrument.turnover_decimals),
        was.direction if line.direction is None else line.direction,
        was.source_seq,
    )
    _check(trade_fault(trade, instrument, Entrance.PUBLISH))
    return Correction(line.code, line.time, was, trade, source_seq=line.seq)


def published_book(line: BookLine, instrument: Instrument, now: int | None = None) -> Book:
    """The whole book of a line. Raises Unfit."""
    bids, asks = _levels("bids", line.bids, instrument), _levels("asks", line.asks, instrument)
    book = Book(line.code, line.time, side(tuple(bids)), side(tuple(asks)))
    _check(book_fault(book, instrument, Entrance.PUBLISH, now))
    return book


def book_after(book: Book, line: DeltaLine, instrument: Instrument, now: int | None = None) -> Book:
    """The whole book after a line. Raises Unfit."""
    bids, asks = [*book.bids], [*book.asks]
    new_bids, new_asks = _levels("bids", line.bids, instrument), _levels("asks", line.asks, instrument)
    for level in new_bids:
        place = bisect_left(bids, level.price.copy_negate(), key=_falling)
        _put(bids, place, level)
    for level in new_asks:
        _put(asks, bisect_left(asks, level.price, key=_rising), level)
    if max(len(bids), len(asks)) > MAX_LEVELS:
        raise Unfit(f"the book has more than {MAX_LEVELS} levels")
    after = Book(line.code, line.time, tuple(bids), tuple(asks))
    _check(book_fault(after, instrument, Entrance.PUBLISH, now, changed=(new_bids, new_asks)))
    return after


def quote_book(line: QuoteLine, instrument: Instrument, now: int | None = None) -> Book:
    """The book of one level that a line is. Raises Unfit."""
    if line.bid is None and line.ask is None:
        raise Unfit("a quote needs a bid or an ask")
    bids = _quoted("bid", line.bid, line.bid_volume, instrument)
    asks = _quoted("ask", line.ask, line.ask_volume, instrument)
    book = Book(line.code, line.time, bids, asks)
    _check(book_fault(book, instrument, Entrance.PUBLISH, now))
    return book


def published_instrument(line: InstrumentLine) -> Instrument:
    """The instrument that a line defines. Raises Unfit."""
    fields = {name: getattr(line, name) for name in Instrument.__struct_fields__}
    for name, value in fields.items():
        if isinstance(value, str) and len(value) > MAX_TEXT:
            raise Unfit(f"{name} is longer than {MAX_TEXT} characters")
    if _number("reference_price", str(line.reference_price), MAX_DECIMALS) <= 0:
        raise Unfit("reference_price is not above 0")
    return Instrument(**fields)


def _falling(level: Level) -> Decimal:
    return level.price.copy_negate()  # the operator would round


def _rising(level: Level) -> Decimal:
    return level.price


def _put(side: list[Level], place: int, level: Level) -> None:
    """The level in place of the one of its price, or before `place`; gone if it has no volume."""
    there = place < len(side) and side[place].price == level.price
    side[place : place + there] = [level] if level.volume else []


def _check(fault: Fault | None) -> None:
    if fault is not None:
        raise Unfit(fault.text)


def _levels(name: str, pairs: Iterable[tuple[Any, Any]], instrument: Instrument) -> list[Level]:
    price_name, volume_name = f"a price of {name}", f"a volume of {name}"
    price_decimals, volume_decimals = instrument.price_decimals, instrument.volume_decimals
    return [
        Level(_number(price_name, price, price_decimals), _number(volume_name, volume, volume_decimals))
        for price, volume in pairs
    ]


def _quoted(name: str, price: Any, volume: Any, instrument: Instrument) -> tuple[Level, ...]:
    if price is None:
        return ()
    decimals = instrument.volume_decimals
    waits = Decimal(0) if volume is None else _number(f"{name}_volume", volume, decimals)
    return side((Level(_number(name, price, instrument.price_decimals), waits),))


# Numbers come again and again: by decimals and text, those that came before.
_known: tuple[dict[str, Decimal], ...] = tuple({} for _ in range(MAX_DECIMALS + 1))
_FITTING = Context(prec=36, traps=[InvalidOperation, Inexact])


def _number(name: str, value: Any, decimals: int) -> Decimal:
    """The decimal that a JSON value says, with exactly that many decimals. Raises Unfit."""
    if type(value) is not str:
        if type(value) is not int:
            raise Unfit(f"{name} is no number")
        value = str(value)
    found = _known[decimals].get(value)
    return _learn(name, value, decimals) if found is None else found


def _learn(name: str, text: str, decimals: int) -> Decimal:
    known = _known[decimals]
    try:
        if len(text) > MAX_NUMBER:
            raise ValueError
        value = signed(text)
    except UNREADABLE:
        raise Unfit(f"{name} {_short(ascii(text))} is no number between -10^21 and 10^21") from None
    try:
        value = _FITTING.quantize(value, QUANTA[decimals])
    except Inexact:
        raise Unfit(f"{name} {text} has more than {decimals} decimals") from None
    if len(known) >= MOST_KNOWN:
        known.clear()
    known[text] = value
    return value


def _short(text: str) -> str:
    return text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"


# The answers.
class BadLine(msgspec.Struct):
    """A line that was not taken: its number in the request or message, from 1 on."""

    line: int
    reason: str


class Tally(msgspec.Struct):
    """What has become of the lines of a request or message: the data of the answer.

    `lines` were read, `accepted` and `duplicates` (of a `seq` that came before) taken, `bad_lines` refused.
    `seq` is the publisher's last one that was taken; what is at or below `durable` survives a kill of the
    server's process. `queued` of `limit` trades and levels of books wait to be served.
    `message` is the number of the message on its WebSocket.
    """

    message: int | UnsetType = UNSET
    lines: int = 0
    accepted: int = 0
    duplicates: int = 0
    bad_lines: int = 0
    bad: list[BadLine] = []
    seq: int = 0
    durable: int = 0
    queued: int = 0
    limit: int = 0

    def refuse(self, reason: str) -> None:
        """The line that was read last is bad."""
        self.bad_lines += 1
        if len(self.bad) < MOST_BAD:
            self.bad.append(BadLine(self.lines, reason))

    def add(self, later: Tally) -> None:
        """These lines came behind those."""
        bad = (BadLine(self.lines + one.line, one.reason) for one in later.bad)
        self.bad += itertools.islice(bad, MOST_BAD - len(self.bad))
        for name in ("lines", "accepted", "duplicates", "bad_lines"):
            setattr(self, name, getattr(self, name) + getattr(later, name))
        self.seq, self.durable, self.queued, self.limit = later.seq, later.durable, later.queued, later.limit


class PublishedStream(msgspec.Struct):
    """How a publisher stands with the trades or the books of one code: up to `seq` all of its lines of them
    are taken, and at or below `durable` none is lost. `seq` is that of the last one; or the publisher's own,
    where a kill took some of them."""

    kind: Literal["trade", "depth"]
    code: str
    seq: int
    durable: int


class Standing(msgspec.Struct):
    """How a publisher stands: the data that GET answers.

    `seq` is its last one that was taken; what is at or below `durable` survives a kill of the server's
    process. The `streams` that it has published follow, the latest first, 3 000 at the most.
    """

    publisher: str
    seq: int
    durable: int
    queued: int
    limit: int
    streams: list[PublishedStream]


class PublisherHello(Standing):
    """How a publisher stands, and who the server is: the data of 28001 on /v1/publish. `time` is the server's
    clock in milliseconds since the epoch."""

    server: str
    version: str
    time: int


def hello_in(message: bytes, reader: Reader) -> Request | None:
    """The 28000 that a publisher's message is, if it is one and no lines."""
    if len(message) > MOST_HELLO or b'"cmd_id"' not in message:
        return None
    request = reader.request(message)
    return request if request.cmd_id == Command.HELLO and request.refusal is None else None


def hello_answer(request: Request, data: PublisherHello) -> bytes:
    """What answers it."""
    header = OK.code, OK.msg, request.cmd_id + 1, request.seq_id, request.trace
    return to_json(DataResponse(*header, data))


def publish_answer(data: Tally | Standing, ret: Ret = OK) -> bytes:
    """The answer to a request or message: what was taken is told where it was not all, too."""
    return to_json(HttpSuccess(ret.code, ret.msg, "", data))


class Lines:
    """Cuts what comes in pieces into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that end in these bytes."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[: MAX_LINE + 1]  # the line is refused, whatever follows
        return lines

    def end(self) -> list[bytes]:
        """What came after the last line's end, if anything did."""
        rest, self._rest = self._rest, b""
        return [rest] if rest else []
