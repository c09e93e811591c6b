"""Writes trades and books as the protocol shows them, and frames them for the WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeAlias

import msgspec

from ..model import Book, Instrument, Kind, Kline, KlineUpdate, Level, Trade, fixed, turnover
from .messages import PUSH_COMMAND, BookData, KlineBar, KlineData, LevelData, Push, TradeData, to_json

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
    name: str, instrument: Instrument, update: KlineUpdate, seq: int, *, text_ids: bool
) -> KlineData:
    """The bar under that name, as it is pushed."""
    bar = kline_bar(instrument, update.kline)
    return KlineData(
        name,
        int(update.kline.kline_type),
        str(seq) if text_ids else seq,
        update.state,
        int(update.kline.incomplete),
        *msgspec.structs.astuple(bar),
    )


Encoder: TypeAlias = Callable[[Any, int], bytes]
"""Makes the frame of an event of its kind, with that `seq`."""


def encoder(kind: Kind, name: str, instrument: Instrument, levels: int, *, text_ids: bool) -> Encoder:
    """The encoder of one stream under one name, with one number of levels."""
    cmd_id = PUSH_COMMAND[kind]

    def encode_trade(trade: Trade, seq: int) -> bytes:
        return text_frame(to_json(Push(cmd_id, trade_data(name, instrument, trade, seq, text_ids=text_ids))))

    def encode_book(book: Book, seq: int) -> bytes:
        data = book_data(name, instrument, levels, book, seq, text_ids=text_ids)
        return text_frame(to_json(Push(cmd_id, data)))

    def encode_kline(update: KlineUpdate, seq: int) -> bytes:
        return text_frame(to_json(Push(cmd_id, kline_data(name, instrument, update, seq, text_ids=text_ids))))

    encoders: dict[Kind, Encoder] = {
        Kind.TRADE: encode_trade,
        Kind.DEPTH: encode_book,
        Kind.KLINE: encode_kline,
    }
    return encoders[kind]


def text_frame(payload: bytes) -> bytes:
    """A whole text frame of a server: not masked, so the same bytes serve every client (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
