"""Reads what a server sends over WebSocket, hostile until parsed: sections 2 and 6, from the client's side.

The documented form is decoded straight into types. What does not fit is tried again with tolerance:
numbers as strings and strings as numbers, nulls, several lines in a frame. All is bounded: lengths,
levels, decimals, times; so whatever comes costs time and memory in proportion to its bytes.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from msgspec import Meta

from ..model import Book, Direction, Kind, Kline, KlineState, KlineType, KlineUpdate, Level, Trade
from .messages import PUSH_COMMAND
from .number import UNREADABLE, YEAR_1990, YEAR_2100, known, learn, millis, number, seconds, whole

MOST_LINES = 10_000
"""Lines of one frame that are looked at."""
EXCERPT = 120
"""Characters that are kept of what could not be read, and of a server's texts."""

Text = Annotated[str, Meta(min_length=1, max_length=40)]
Code = Annotated[str, Meta(min_length=1, max_length=64)]
Seq = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Millis = Annotated[int, Meta(ge=YEAR_1990 * 1000, lt=YEAR_2100 * 1000)]
Digits = Annotated[str, Meta(min_length=1, max_length=20)]


class Pushed(msgspec.Struct, frozen=True, gc=False):
    """An event that the server pushed, or answered over HTTP.

    `seq` is the server's number of it, which grows per code and kind; 0 if it has none. A trade carries it
    as its `source_seq` too.
    """

    event: Trade | Book | KlineUpdate
    seq: int


class Answer(msgspec.Struct, frozen=True, gc=False):
    """The answer to a request; `cmd_id` and `seq_id` are 0 where they were missing."""

    cmd_id: int
    ret: int
    msg: str
    seq_id: int


class Bad(msgspec.Struct, frozen=True, gc=False):
    """What could not be read in a frame: why, how the first of it begins, and how many lines there were."""

    reason: str
    text: str
    lines: int = 1


Incoming: TypeAlias = Pushed | Answer | Bad


class TradeFields(msgspec.Struct, gc=False):
    """What is read of a trade."""

    code: Code
    tick_time: Millis | Digits
    price: Text
    volume: Text
    turnover: Text | None = None
    trade_direction: int = Direction.NEUTRAL
    seq: Seq | Digits = 0


class LevelFields(msgspec.Struct, gc=False):
    """What is read of a level."""

    price: Text
    volume: Text


Side = Annotated[list[LevelFields], Meta(max_length=1000)]


class BookFields(msgspec.Struct, gc=False):
    """What is read of a book."""

    code: Code
    tick_time: Millis | Digits
    bids: Side | None
    asks: Side | None
    seq: Seq | Digits = 0


class BarFields(msgspec.Struct, gc=False):
    """What is read of a bar; `timestamp` is its open time in seconds."""

    timestamp: Digits
    open_price: Text
    high_price: Text
    low_price: Text
    close_price: Text
    volume: Text
    turnover: Text


class KlineFields(BarFields, kw_only=True, gc=False):
    """What is read of a bar that is pushed."""

    code: Code
    kline_type: KlineType
    state: KlineState
    incomplete: int = 0
    seq: Seq | Digits = 0


class TradePush(msgspec.Struct, tag_field="cmd_id", tag=PUSH_COMMAND[Kind.TRADE], gc=False):
    """22998."""

    data: TradeFields


class BookPush(msgspec.Struct, tag_field="cmd_id", tag=PUSH_COMMAND[Kind.DEPTH], gc=False):
    """22999."""

    data: BookFields


class KlinePush(msgspec.Struct, tag_field="cmd_id", tag=PUSH_COMMAND[Kind.KLINE], gc=False):
    """28998, an extension."""

    data: KlineFields


Fields: TypeAlias = TradeFields | BookFields | KlineFields
Shape = TypeVar("Shape", bound=msgspec.Struct)
_FIELDS: dict[int, type[Fields]] = {
    PUSH_COMMAND[Kind.TRADE]: TradeFields,
    PUSH_COMMAND[Kind.DEPTH]: BookFields,
    PUSH_COMMAND[Kind.KLINE]: KlineFields,
}
_push = msgspec.json.Decoder(TradePush | BookPush | KlinePush).decode
_anything = msgspec.json.Decoder(float_hook=str).decode  # a float's own text, which is exact


def read(frame: bytes) -> list[Incoming]:
    """All messages of a frame, in order; what could not be read comes last, as one Bad. Never raises."""
    try:
        return [pushed(_push(frame).data)]
    except UNREADABLE:
        return _read_again(frame)


def _read_again(frame: bytes) -> list[Incoming]:
    try:
        return [_tolerant(frame)]
    except UNREADABLE as error:
        reason, first = str(error), frame
    lines = frame.split(b"\n", MOST_LINES)
    found: list[Incoming] = []
    bad = 0
    for line in lines if len(lines) > 1 else ():
        if not (text := line.strip()):
            continue
        try:
            found.append(_line(text))
        except UNREADABLE as error:
            if not bad:
                reason, first = str(error), text
            bad += 1
    if bad or not found:
        found.append(Bad(reason[:EXCERPT], first[:EXCERPT].decode(errors="replace"), bad or 1))
    return found


def _line(text: bytes) -> Pushed | Answer:
    try:
        return pushed(_push(text).data)
    except UNREADABLE:
        return _tolerant(text)


def _tolerant(text: bytes) -> Pushed | Answer:
    """A message in any form that says what the documented one does. Raises one of UNREADABLE."""
    message = _anything(text)
    if not isinstance(message, dict):
        raise ValueError("not an object")
    cmd_id = whole(message.get("cmd_id"))
    if (shape := _FIELDS.get(cmd_id)) is not None:
        return pushed(fields(message.get("data"), shape))
    if "ret" not in message:
        raise ValueError(f"unknown cmd_id {cmd_id}")
    msg = message.get("msg")
    return Answer(
        cmd_id,
        whole(message["ret"]),
        msg[:EXCERPT] if isinstance(msg, str) else "",
        whole(message.get("seq_id")),
    )


def fields(data: Any, shape: type[Shape]) -> Shape:
    """Data in any form, as one of the shapes above. Raises msgspec.ValidationError."""
    return msgspec.convert(documented(data), shape, strict=False)


def documented(data: Any) -> Any:
    """The data without nulls, except for the sides of a book, and with numbers as the documents have them."""
    if not isinstance(data, dict):
        return data
    known: dict[str, Any] = {}
    for name, value in data.items():
        if name in ("bids", "asks"):
            known[name] = [documented(one) for one in value] if isinstance(value, list) else value
        elif type(value) is int and name in _TEXTS:
            known[name] = str(value)
        elif value is not None:
            known[name] = value
    return known


_TEXTS = {"code", *LevelFields.__struct_fields__, *BarFields.__struct_fields__}


def pushed(data: Any) -> Pushed:
    """The event that fields make. Raises one of UNREADABLE."""
    seq = data.seq
    if type(seq) is not int:
        seq = whole(seq)
    kind = type(data)
    if kind is KlineFields:
        bar = kline(data.code, data.kline_type, data, incomplete=bool(data.incomplete))
        return Pushed(KlineUpdate(bar, data.state), seq)
    time = data.tick_time
    if type(time) is not int:
        time = millis(time)
    if kind is BookFields:
        return Pushed(Book(data.code, time, _side(data.bids), _side(data.asks)), seq)
    price, volume, turnover, direction = data.price, data.volume, data.turnover, data.trade_direction
    return Pushed(
        Trade(
            data.code,
            time,
            known(price) or learn(price),
            number(volume),
            None if turnover is None else number(turnover),
            direction if 0 <= direction <= Direction.SELL else Direction.NEUTRAL,
            seq,
        ),
        seq,
    )


def kline(code: str, kline_type: KlineType, bar: BarFields, *, incomplete: bool = False) -> Kline:
    """The bar that these fields make. Raises one of UNREADABLE."""
    return Kline(
        code,
        kline_type,
        seconds(bar.timestamp),
        number(bar.open_price),
        number(bar.high_price),
        number(bar.low_price),
        number(bar.close_price),
        number(bar.volume),
        number(bar.turnover),
        incomplete=incomplete,
    )


def _side(levels: list[LevelFields] | None) -> tuple[Level, ...]:
    """A side of a book. Levels without a price are how the protocol shows an empty side."""
    if not levels:
        return ()
    return tuple(
        [
            Level(price, number(one.volume))
            for one in levels
            if (price := known(one.price) or learn(one.price))
        ]
    )
