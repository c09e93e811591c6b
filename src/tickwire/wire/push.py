"""Writes trades and books as the protocol shows them, and frames them for the WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple, TypeAlias

import msgspec

from ..model import Book, Correction, Instrument, Kind, Kline, KlineUpdate, Level, Trade, fixed, turnover
from .form import BARE, PLAIN, Form
from .messages import (
    PUSH_COMMAND,
    BookData,
    CorrectionData,
    KlineBar,
    KlineData,
    LevelData,
    Push,
    SeveralTradesData,
    TradeData,
    to_json,
)

ZERO = Decimal(0)


def trade_data(name: str, instrument: Instrument, trade: Trade, seq: int, *, text_ids: bool) -> TradeData:
    """The trade under that name; `text_ids` writes `seq` and `tick_time` as strings."""
    return TradeData(
        name,
        str(seq) if text_ids else seq,
        str(trade.time) if text_ids else trade.time,
        fixed(trade.price, instrument.price_decimals),
        fixed(trade.volume, instrument.volume_decimals),
        fixed(turnover(instrument, trade), instrument.turnover_decimals),
        trade.direction,
    )


class SeveralTrades(NamedTuple):
    """Trades of one instrument that are shown as one: the last of them, how many there are, the least `seq`
    and the price under it, the highest and the lowest price, exact sums, and their direction, 0 if they
    differ."""

    last: Trade
    number: int
    first_seq: int
    open: Decimal
    high: Decimal
    low: Decimal
    volume: Decimal
    turnover: Decimal
    direction: int


def several_trades(
    name: str, instrument: Instrument, trades: SeveralTrades, seq: int, *, text_ids: bool, form: Form
) -> bytes:
    """Trades that are shown as one, as `encoder` makes a trade; `seq` is that of the last."""
    price = instrument.price_decimals
    data = SeveralTradesData(
        name,
        str(seq) if text_ids else seq,
        str(trades.last.time) if text_ids else trades.last.time,
        fixed(trades.last.price, price),
        fixed(trades.volume, instrument.volume_decimals),
        fixed(trades.turnover, instrument.turnover_decimals),
        trades.direction,
        trades.number,
        fixed(trades.open, price),
        fixed(trades.high, price),
        fixed(trades.low, price),
        str(trades.first_seq) if text_ids else trades.first_seq,
    )
    return form.framer()(form.written(Push(PUSH_COMMAND[Kind.TRADE], data)))


def book_data(
    name: str, instrument: Instrument, levels: int, book: Book, seq: int, *, text_ids: bool
) -> BookData:
    """The best `levels` levels of the book under that name."""
    return BookData(
        name,
        str(seq) if text_ids else seq,
        str(book.time) if text_ids else book.time,
        _side(book.bids, instrument, levels),
        _side(book.asks, instrument, levels),
    )


def _side(side: tuple[Level, ...], instrument: Instrument, levels: int) -> list[LevelData]:
    price, volume = instrument.price_decimals, instrument.volume_decimals
    if not side:  # limit-up, limit-down, delisted
        return [LevelData(fixed(ZERO, price), fixed(ZERO, volume))] * levels
    return [LevelData(fixed(one.price, price), fixed(one.volume, volume)) for one in side[:levels]]


def kline_bar(instrument: Instrument, kline: Kline) -> KlineBar:
    """A bar with the instrument's decimals."""
    price = instrument.price_decimals
    return KlineBar(
        str(kline.time),
        fixed(kline.open, price),
        fixed(kline.close, price),
        fixed(kline.high, price),
        fixed(kline.low, price),
        fixed(kline.volume, instrument.volume_decimals),
        fixed(kline.turnover, instrument.turnover_decimals),
    )


def kline_data(
    name: str, instrument: Instrument, update: KlineUpdate, seq: int, *, text_ids: bool, marked: bool = False
) -> KlineData:
    """The bar under that name, as it is pushed; `marked` with the last trade that it counts."""
    bar = kline_bar(instrument, update.kline)
    made = KlineData(
        name,
        int(update.kline.kline_type),
        str(seq) if text_ids else seq,
        update.state,
        int(update.kline.incomplete),
        *msgspec.structs.astuple(bar),
    )
    if update.kline.removed:
        made.removed = 1
    if marked:
        made.trade_seq = str(update.trade_seq) if text_ids else update.trade_seq
    return made


def correction_data(
    name: str, instrument: Instrument, one: Correction, seq: int, *, text_ids: bool
) -> CorrectionData:
    """A correction of a trade under that name."""
    was, now = one.was, one.became
    kept = trade_data(name, instrument, was, one.trade_seq, text_ids=text_ids)
    counts = trade_data(
        name,
        instrument,
        msgspec.structs.replace(was, volume=ZERO, turnover=ZERO) if now is None else now,
        0,
        text_ids=text_ids,
    )
    return CorrectionData(
        name,
        str(seq) if text_ids else seq,
        str(one.time) if text_ids else one.time,
        "cancel" if now is None else "correct",
        kept.seq,
        kept.tick_time,
        kept.price,
        kept.volume,
        kept.turnover,
        kept.trade_direction,
        counts.price,
        counts.volume,
        counts.turnover,
        counts.trade_direction,
    )


Encoder: TypeAlias = Callable[[Any, int], bytes]
"""Makes the frame of an event of its kind, with that `seq`; in a form of many pushes a frame, the push."""


def encoder(
    kind: Kind,
    name: str,
    instrument: Instrument,
    levels: int,
    *,
    text_ids: bool,
    form: Form = PLAIN,
    replay: int = 0,
    micros: Callable[[], int] = lambda: 0,
) -> Encoder:
    """The encoder of one stream under one name, with one number of levels; `replay` for events of the replay
    of that number, in a form that is JSON. What says its times is sent at once, by `micros`: microseconds
    since the epoch."""
    cmd_id, told = PUSH_COMMAND[kind], form
    if form.times:
        form = BARE._replace(marked=form.marked)
    frame, write = form.framer(), form.written
    if replay:
        whole, tail = frame, f',"replay":{replay}}}}}'.encode()

        def frame(payload: bytes) -> bytes:
            return whole(payload[:-2] + tail)

    price_decimals, volume_decimals = instrument.price_decimals, instrument.volume_decimals
    turnover_decimals = instrument.turnover_decimals
    head = f'{{"cmd_id":{cmd_id},"data":{{"code":{to_json(name).decode()},"seq":'

    def encode_trade(trade: Trade, seq: int) -> bytes:
        if text_ids or form.packed:
            return frame(write(Push(cmd_id, trade_data(name, instrument, trade, seq, text_ids=text_ids))))
        # The same as text, for most of what is sent are trades.
        money = trade.turnover
        if money is None:
            money = turnover(instrument, trade)
        price, volume = fixed(trade.price, price_decimals), fixed(trade.volume, volume_decimals)
        data = (
            f'{head}{seq},"tick_time":{trade.time},"price":"{price}","volume":"{volume}",'
            f'"turnover":"{fixed(money, turnover_decimals)}","trade_direction":{trade.direction}}}}}'
        )
        return frame(data.encode())

    def encode_book(book: Book, seq: int) -> bytes:
        data = book_data(name, instrument, levels, book, seq, text_ids=text_ids)
        return frame(write(Push(cmd_id, data)))

    def encode_kline(update: KlineUpdate, seq: int) -> bytes:
        data = kline_data(name, instrument, update, seq, text_ids=text_ids, marked=form.marked)
        return frame(write(Push(cmd_id, data)))

    def encode_correction(one: Correction, seq: int) -> bytes:
        data = correction_data(name, instrument, one, seq, text_ids=text_ids)
        return frame(write(Push(cmd_id, data)))

    encoders: dict[Kind, Encoder] = {
        Kind.CORRECTION: encode_correction,
        Kind.TRADE: encode_trade,
        Kind.DEPTH: encode_book,
        Kind.KLINE: encode_kline,
    }
    encode = encoders[kind]
    if not told.times:
        return encode
    return lambda event, seq: told.timed(encode(event, seq), 0, 0, micros())
