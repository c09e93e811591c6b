"""An event as it passes between processes, written once for all of them. Pure.

A trade and a book are the frame that a client gets who asks for the code by its own name and all levels: most
clients are sent those bytes as they are. Bars and corrections, of which there are few, are msgpack.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from ..errors import BusError
from ..model import Book, Correction, Instrument, Kind, KlineUpdate, Trade
from .form import payload_of
from .push import encoder
from .upstream import Pushed, read

StreamEvent: TypeAlias = Trade | Book | KlineUpdate | Correction
Writer: TypeAlias = Callable[[Any, int], bytes]
"""Writes an event of one stream, which has that `seq`."""

_packed = msgspec.msgpack.Encoder().encode
_bar = msgspec.msgpack.Decoder(KlineUpdate).decode
_correction = msgspec.msgpack.Decoder(Correction).decode


def writer(kind: Kind, instrument: Instrument) -> Writer:
    """What writes the events of a stream, in the instrument's decimals."""
    if kind in (Kind.KLINE, Kind.CORRECTION):
        return lambda event, _: _packed(event)
    return encoder(kind, instrument.code, instrument, instrument.levels, text_ids=False)


def event_of(kind: Kind, body: bytes) -> StreamEvent:
    """The event that `writer` wrote, but for the source's own number of it. Raises BusError."""
    try:
        if kind is Kind.KLINE:
            return _bar(body)
        if kind is Kind.CORRECTION:
            return _correction(body)
    except msgspec.ValidationError as error:
        raise BusError(f"An event of the bus is not what it should be: {error}") from None
    (found,) = read(payload_of(body))
    if not isinstance(found, Pushed):
        raise BusError(f"An event of the bus cannot be read: {found}")
    event = found.event
    return msgspec.structs.replace(event, source_seq=0) if type(event) is Trade else event
