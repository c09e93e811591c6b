"""Writes trades and books as the protocol shows them, and frames them for the WebSocket."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from ..model import EXACT, Book, Instrument, Kind, Level, Trade, fixed
from .messages import PUSH_COMMAND, BookData, LevelData, Push, TradeData, to_json

ZERO = Decimal(0)


def turnover(instrument: Instrument, trade: Trade) -> Decimal:
    """Money that changed hands: the source's figure, or price × volume × shares in a unit of volume."""
    if trade.turnover is not None:
        return trade.turnover
    return EXACT.multiply(EXACT.multiply(trade.price, trade.volume), Decimal(instrument.volume_unit))


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


Encoder = Callable[[Trade | Book, int], bytes]
"""Makes the frame of an event with that `seq`."""


def encoder(kind: Kind, name: str, instrument: Instrument, levels: int, *, text_ids: bool) -> Encoder:
    """The encoder of one stream under one name, with one number of levels."""
    cmd_id = PUSH_COMMAND[kind]

    def encode_trade(event: Trade | Book, seq: int) -> bytes:
        assert isinstance(event, Trade)  # noqa: S101  (a topic holds events of one kind)
        return text_frame(to_json(Push(cmd_id, trade_data(name, instrument, event, seq, text_ids=text_ids))))

    def encode_book(event: Trade | Book, seq: int) -> bytes:
        assert isinstance(event, Book)  # noqa: S101
        data = book_data(name, instrument, levels, event, seq, text_ids=text_ids)
        return text_frame(to_json(Push(cmd_id, data)))

    return encode_trade if kind is Kind.TRADE else encode_book


def text_frame(payload: bytes) -> bytes:
    """A whole text frame of a server: not masked, so the same bytes serve every client (RFC 6455, 5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x81, size)) + payload
    if size < 65536:
        return b"\x81\x7e" + size.to_bytes(2, "big") + payload
    return b"\x81\x7f" + size.to_bytes(8, "big") + payload
