"""What a client side asks of a market side in another process, written as msgpack.

The contract is the form: what a call takes and gives is read from its signatures. Instruments
go by their code; who asks is whoever is at the other end.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import msgspec

from ..errors import BusError, InputError, SourceError, StoreError
from ..model import Catalogue, Correction, Kind, KlineUpdate, Trade
from . import answers, contract
from .answers import Missed
from .contract import Supplier, TokenHome

ASKER = "who"
INSTRUMENT, INSTRUMENTS = "instrument", "instruments"
MISSED, RECORDED = "missed", "recorded"
"""Calls whose answers depend on what was asked: events of one kind, and a playback that is read on."""
ERRORS: dict[str, type[Exception]] = {"store": StoreError, "input": InputError, "source": SourceError}
"""What a call may raise, by the word that says so."""


class MissedTrades(NamedTuple):
    """`Missed`, of trades."""

    seqs: list[int]
    events: list[Trade]
    whole: bool


class MissedBars(NamedTuple):
    """`Missed`, of bars."""

    seqs: list[int]
    events: list[KlineUpdate]
    whole: bool


class MissedCorrections(NamedTuple):
    """`Missed`, of corrections."""

    seqs: list[int]
    events: list[Correction]
    whole: bool


_MISSED: dict[Kind, Any] = {
    kind: msgspec.msgpack.Decoder(type_)
    for kind, type_ in (
        (Kind.TRADE, MissedTrades | None),
        (Kind.KLINE, MissedBars | None),
        (Kind.CORRECTION, MissedCorrections | None),
        (Kind.DEPTH, None),
    )
}


class Call(NamedTuple):
    """How one call of the contract is written."""

    name: str
    parameters: tuple[str, ...]
    arguments: Any
    """Reads what it is given."""
    answer: Any
    """Reads what it gives."""
    defaults: Mapping[str, Any]

    def write(self, positional: tuple[Any, ...], named: Mapping[str, Any]) -> dict[str, Any]:
        """What it is given, by parameter."""
        found = {**self.defaults, **dict(zip(self.parameters, positional, strict=False)), **named}
        found.pop(ASKER, None)
        if INSTRUMENT in found:
            found[INSTRUMENT] = found[INSTRUMENT].code
        if INSTRUMENTS in found:
            found[INSTRUMENTS] = [one.code for one in found[INSTRUMENTS]]
        return found

    def read(self, data: bytes, catalogue: Catalogue) -> dict[str, Any]:
        """The same at the other end. Raises BusError if it is not what it should be, InputError for a code
        that is not known there."""
        try:
            found: dict[str, Any] = msgspec.structs.asdict(self.arguments.decode(data))
        except (msgspec.DecodeError, ValueError) as error:
            raise BusError(f"A call of {self.name} cannot be read: {error}") from None
        try:
            if INSTRUMENT in found:
                found[INSTRUMENT] = catalogue[found[INSTRUMENT]]
            if INSTRUMENTS in found:
                found[INSTRUMENTS] = [catalogue[code] for code in found[INSTRUMENTS]]
        except KeyError as error:
            raise InputError(f"The market side does not know the code {error}.") from None
        return found

    def answered(self, data: bytes, arguments: Mapping[str, Any]) -> Any:
        """What it gave. Raises BusError."""
        try:
            if self.name != MISSED:
                return self.answer.decode(data)
            found = _MISSED[Kind(arguments["kind"])].decode(data)
        except (msgspec.DecodeError, ValueError, KeyError) as error:
            raise BusError(f"An answer to {self.name} cannot be read: {error}") from None
        return None if found is None else Missed(*found)


def _calls() -> dict[str, Call]:
    names = {**vars(answers), **vars(contract)}
    found = {}
    for name, function in chain.from_iterable(map(_coroutines, (Supplier, TokenHome))):
        told = typing.get_type_hints(function, names)
        answer = told.pop("return")
        hints = {key: _passed(key, hint) for key, hint in told.items()}
        parameters = [one for one in inspect.signature(function).parameters.values() if one.name != "self"]
        defaults = {one.name: one.default for one in parameters if one.default is not one.empty}
        fields = [
            (one.name, hints[one.name], *([one.default] if one.name in defaults else []))
            for one in parameters
            if one.name != ASKER
        ]
        ordered = sorted(fields, key=len)  # those without a default first
        arguments = msgspec.defstruct(name, ordered, forbid_unknown_fields=True)
        unread = name in (MISSED, RECORDED)  # which are read in other ways
        found[name] = Call(
            name,
            tuple(one.name for one in parameters),
            msgspec.msgpack.Decoder(arguments),
            None if unread else msgspec.msgpack.Decoder(answer),
            defaults,
        )
    return found


def _coroutines(contract: type) -> list[tuple[str, Any]]:
    return inspect.getmembers(contract, inspect.iscoroutinefunction)


def _passed(parameter: str, hint: Any) -> Any:
    """The type of what is written for a parameter."""
    if parameter == INSTRUMENT:
        return str
    if parameter == INSTRUMENTS:
        return list[str]
    if parameter == "clients":
        return dict[int, bool]
    return hint


def _listed(value: Any) -> Any:
    """Whatever the contract only calls a sequence or a collection."""
    if isinstance(value, Iterable):
        return [*value]
    raise BusError(f"What passes between processes holds something that cannot be written: {type(value)}")


_encoder = msgspec.msgpack.Encoder(enc_hook=_listed)
CALLS = _calls()
"""All calls of the contract, by name."""


def written(value: Any) -> bytes:
    """A value as it passes."""
    return _encoder.encode(value)


def word_of(error: Exception) -> str:
    """What says that a call raised that; empty where it should not have."""
    return next((word for word, kind in ERRORS.items() if isinstance(error, kind)), "")
