"""Reads what a server answers over HTTP, hostile until parsed: section 3, from the client's side."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import msgspec

from ..model import Kline, KlineType, Suspension, SuspensionList
from .messages import StaticInfo
from .number import UNREADABLE, whole
from .ret import OK, SERVER_ERROR
from .upstream import fields, kline, pushed
from .upstream_fields import EXCERPT, BarFields, BookFields, TradeFields

T = TypeVar("T")

_document = msgspec.json.Decoder(float_hook=str).decode  # a float's own text, which is exact


class Envelope(NamedTuple):
    """An answer: the protocol's number and text, what it holds, and of a list how many entries there are.

    `partial` says that a Tickwire could not ask its own store or upstream for all of it, `source` where it
    has it from, if it says so.
    """

    ret: int
    msg: str
    data: Any
    total: int = 0
    partial: bool = False
    source: str = ""


class Found(NamedTuple):
    """The entries of an answer that could be read, and how many could not."""

    entries: list[Any]
    bad: int


def read_envelope(body: bytes, status: int) -> Envelope:
    """The answer in a body. Raises ValueError if it is none.

    What has no `ret` of its own (a rate limit of the live service, the lists of suspensions) takes the
    status of HTTP for it.
    """
    try:
        document = _document(body)
        if not isinstance(document, dict):
            raise ValueError("not an object")
        msg = document.get("msg") or document.get("error_msg") or document.get("error") or ""
        ret = whole(document["ret"]) if "ret" in document else status
        if document.get("success") is False and ret == OK.code:
            ret = SERVER_ERROR.code
        return Envelope(ret, str(msg)[:EXCERPT], document.get("data"), whole(document.get("totalCount")))
    except UNREADABLE as error:
        raise ValueError(str(error)[:EXCERPT]) from None


def trades(data: Any) -> Found:
    """The trades of /trade-tick, each as Pushed. Raises ValueError."""
    return _each(_list(data, "tick_list"), lambda one: pushed(fields(one, TradeFields)))


def books(data: Any) -> Found:
    """The books of /depth-tick, each as Pushed. Raises ValueError."""
    return _each(_list(data, "tick_list"), lambda one: pushed(fields(one, BookFields)))


def bars(data: Any, code: str, kline_type: KlineType) -> Found:
    """The bars of /kline. Raises ValueError."""
    return _each(_list(data, "kline_list"), lambda one: _bar(one, code, kline_type))


def bar_groups(data: Any) -> Found:
    """The bars of /batch-kline: of each group its code, its type and a list of bars. Raises ValueError."""
    bad = 0

    def group(one: Any) -> tuple[str, KlineType, list[Kline]]:
        nonlocal bad
        code, kline_type = one["code"], KlineType(whole(one["kline_type"]))
        found = _each(_list(one, "kline_data"), lambda bar: _bar(bar, code, kline_type))
        bad += found.bad
        return code, kline_type, found.entries

    groups = _each(_list(data, "kline_list"), group)
    return Found(groups.entries, groups.bad + bad)


def static_infos(data: Any) -> Found:
    """The entries of /static_info; what is null there is an empty text. Raises ValueError."""
    return _each(_list(data, "static_info_list"), _static)


def suspensions(data: Any, exchange: SuspensionList) -> Found:
    """The entries of a list of suspensions. Raises ValueError."""
    return _each(_list({"data": data}, "data"), lambda one: _suspension(one, exchange))


def _list(data: Any, name: str) -> list[Any]:
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, list):
        raise ValueError(f"no {name}")
    return found


def _each(entries: Iterable[Any], read: Callable[[Any], T]) -> Found:
    found: list[T] = []
    bad = 0
    for entry in entries:
        try:
            if not isinstance(entry, dict):
                raise ValueError("not an object")
            found.append(read(entry))
        except (*UNREADABLE, LookupError):
            bad += 1
    return Found(found, bad)


def _bar(entry: Any, code: str, kline_type: KlineType) -> Kline:
    return kline(code, kline_type, fields(entry, BarFields))


def _static(entry: Any) -> StaticInfo:
    known = {name: entry.get(name) for name in StaticInfo.__struct_fields__}
    if not known["symbol"]:
        raise ValueError("no symbol")
    return StaticInfo(**{name: "" if value is None else str(value) for name, value in known.items()})


def _suspension(entry: Any, exchange: SuspensionList) -> Suspension:
    reason = entry.get("haltReason")
    reasons = reason if isinstance(reason, list) else [] if reason is None else [reason]
    return msgspec.convert(
        {**entry, "exchange": exchange, "haltReason": [str(one) for one in reasons]}, Suspension
    )
