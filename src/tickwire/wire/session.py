"""A WebSocket session of the protocol, without sockets: messages and a time in, answers out.

Section 2. The session knows what a request means and what is answered to it; carrying out what it
asks for (to push or to stop pushing) is its owner's work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from ..model import Catalogue, Family, Instrument, Kind
from .messages import (
    CANCELS,
    CancelData,
    Command,
    DepthSymbol,
    DepthSymbolList,
    KlineQuery,
    KlineSymbol,
    KlineSymbolList,
    Nothing,
    Response,
    Symbol,
    SymbolList,
    to_json,
)
from .reader import Reader
from .ret import CODE_INVALID, DATA_INVALID, HEADER_INVALID, OK, Ret

HEARTBEAT_TIMEOUT = 30.0
"""Seconds after which a connection is closed from which nothing came that counts as a heartbeat."""


class Want(NamedTuple):
    """An instrument that a client asked for, under the name it used.

    `levels` is how many levels of the book it gets at the most, `kline_type` which bars; 0 where there is
    neither.
    """

    name: str
    instrument: Instrument
    levels: int = 0
    kline_type: int = 0


class Subscribe(NamedTuple):
    """The client's list of that kind is replaced by these, each of which stands in it once."""

    kind: Kind
    wants: tuple[Want, ...]


class Cancel(NamedTuple):
    """The client's lists of these kinds end."""

    kinds: tuple[Kind, ...]


Decision: TypeAlias = Subscribe | Cancel
Asked: TypeAlias = Symbol | DepthSymbol | KlineSymbol | KlineQuery


class Answer(NamedTuple):
    """What a request leads to: the JSON that answers it, and a decision to carry out, if any."""

    reply: bytes
    decision: Decision | None = None


class Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, ret: Ret) -> None:
        self.ret = ret


class Dialect(NamedTuple):
    """How the server speaks: settings of the same names."""

    strict_protocol: bool = False
    legacy_string_ids: bool = False


PLAIN = Dialect()


def known(
    catalogue: Catalogue, family: Family, symbols: Sequence[Asked], *, strict: bool
) -> tuple[Want, ...]:
    """The instruments among those asked for, each once, in order. Raises Refused if there is none.

    Sections 2 and 3: unknown codes are dropped; 600 if none is left. `strict` knows no aliases and
    refuses what stands twice.
    """
    wants: dict[tuple[str, int], Want] = {}
    for symbol in symbols:
        name = symbol.code
        kline_type = symbol.kline_type if isinstance(symbol, KlineSymbol | KlineQuery) else 0
        depth = symbol.depth_level if isinstance(symbol, DepthSymbol) else None
        instrument = catalogue.find(family, name, aliases=not strict)
        if strict and (name, kline_type) in wants:
            raise Refused(DATA_INVALID)
        if instrument is not None and (name, kline_type) not in wants:
            levels = min(depth or instrument.levels, instrument.levels)
            wants[name, kline_type] = Want(name, instrument, levels, kline_type)
    if not wants:
        raise Refused(CODE_INVALID)
    return tuple(wants.values())


class Session:
    """One client's conversation. `now` is in seconds of any monotonic clock, always the same one."""

    def __init__(self, family: Family, catalogue: Catalogue, now: float, dialect: Dialect = PLAIN) -> None:
        self.family = family
        self.catalogue = catalogue
        self.dialect = dialect
        self._reader = Reader(dialect.strict_protocol)
        self._last_heartbeat = now

    def overdue(self, now: float) -> bool:
        """Whether the connection must be closed with 1008, `heartbeat timeout`."""
        return now - self._last_heartbeat >= HEARTBEAT_TIMEOUT

    def ping(self, now: float) -> None:
        """A protocol-level ping came. Two of the vendor's examples send nothing else."""
        if not self.dialect.strict_protocol:
            self._last_heartbeat = now

    def receive(self, text: bytes, now: float) -> Answer:
        """A text frame came. Never raises: whatever it holds is answered."""
        request = self._reader.request(text)
        ret, decision = OK, None
        try:
            if request.refusal is not None:
                raise Refused(request.refusal)
            decision = self._decide(request.cmd_id, request.data)
        except Refused as refused:
            ret = refused.ret
        except msgspec.ValidationError:
            ret = DATA_INVALID
        if ret not in (HEADER_INVALID, DATA_INVALID):
            self._last_heartbeat = now
        response = Response(ret.code, ret.msg, request.cmd_id + 1, request.seq_id, request.trace, {})
        return Answer(to_json(response), decision)

    def _decide(self, cmd_id: int, data: object) -> Decision | None:
        match cmd_id:
            case Command.HEARTBEAT:
                self._reader.data(data, Nothing)
                return None
            case Command.TRADE:
                return self._subscribe(Kind.TRADE, self._reader.data(data, SymbolList).symbol_list)
            case Command.DEPTH:
                return self._subscribe(Kind.DEPTH, self._reader.data(data, DepthSymbolList).symbol_list)
            case Command.KLINE:
                return self._subscribe(Kind.KLINE, self._reader.data(data, KlineSymbolList).symbol_list)
            case Command.KLINE_CANCEL:
                self._reader.data(data, Nothing)
                return Cancel((Kind.KLINE,))
            case Command.CANCEL:
                return Cancel(CANCELS[self._reader.data(data, CancelData).cancel_type])
            case _:
                raise Refused(HEADER_INVALID)

    def _subscribe(self, kind: Kind, symbols: Sequence[Asked]) -> Subscribe:
        strict = self.dialect.strict_protocol
        return Subscribe(kind, known(self.catalogue, self.family, symbols, strict=strict))
