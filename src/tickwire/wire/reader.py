"""Reads requests: strictly as documented, or with every tolerance of section 2.

The lenient reader brings what real programs send into the documented form; then both are checked
against the same types.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from .messages import (
    U32,
    U63,
    BatchKlineQuery,
    DepthSymbol,
    DepthSymbolList,
    KlineQuery,
    KlineSymbol,
    KlineSymbolList,
    Nothing,
    Symbol,
    SymbolList,
    TraceText,
)
from .ret import HEADER_INVALID, Ret

T = TypeVar("T")

NOT_JSON = (ValueError, RecursionError)
"""What msgspec raises on text that is no JSON, no UTF-8, nested too deep or holds impossible numbers."""

HEADER_FIELDS = {"cmd_id", "seq_id", "trace", "data"}
QUERY_FIELDS = {"trace", "data"}
ENTRIES: dict[type, type] = {
    SymbolList: Symbol,
    DepthSymbolList: DepthSymbol,
    KlineSymbolList: KlineSymbol,
    BatchKlineQuery: KlineQuery,
}
"""What stands in the list of a request that has one."""


class Request(msgspec.Struct, frozen=True):
    """The envelope of a request.

    What could be read of it is there even where `refusal` says that it is refused, to be echoed.
    `cmd_id` is -1 if there was none or an impossible one, so that the answer's is 0.
    """

    cmd_id: int = -1
    seq_id: int = 0
    trace: str = ""
    data: Any = None
    refusal: Ret | None = None


class Reader:
    """Reads envelopes and their data; `strict` refuses all that the documents do not allow."""

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict

    def request(self, text: bytes) -> Request:
        """A request over WebSocket. Never raises."""
        try:
            envelope = msgspec.json.decode(text)
        except NOT_JSON:
            return Request(refusal=HEADER_INVALID)
        if not isinstance(envelope, dict):
            return Request(refusal=HEADER_INVALID)
        bad: list[str] = []
        cmd_id = self._field(envelope, "cmd_id", U32, -1, bad)
        seq_id = self._field(envelope, "seq_id", U32 if self.strict else U63, 0, bad)
        trace = self._field(envelope, "trace", TraceText, "", bad)
        refused = bad or cmd_id < 0 or (self.strict and envelope.keys() != HEADER_FIELDS)
        return Request(cmd_id, seq_id, trace, envelope.get("data"), HEADER_INVALID if refused else None)

    def query(self, document: Any) -> Request:
        """The envelope of a request over HTTP, from its JSON value. Never raises."""
        if not isinstance(document, dict):
            return Request(refusal=HEADER_INVALID)
        bad: list[str] = []
        trace = self._field(document, "trace", TraceText, "", bad)
        refused = bad or (self.strict and document.keys() != QUERY_FIELDS)
        return Request(trace=trace, data=document.get("data"), refusal=HEADER_INVALID if refused else None)

    def data(self, data: Any, shape: type[T]) -> T:
        """The data of a request in the documented shape. Raises msgspec.ValidationError."""
        if not self.strict:
            data = _documented(data, shape)
        return msgspec.convert(data, shape, strict=self.strict)

    def _field(self, envelope: dict[str, Any], name: str, kind: Any, default: T, bad: list[str]) -> T:
        """A header field; the default, and its name in `bad`, if its type is impossible."""
        value = envelope.get(name)
        if value is None and not self.strict:  # null counts as missing
            return default
        try:
            found: T = msgspec.convert(value, kind, strict=self.strict)
        except msgspec.ValidationError:
            bad.append(name)
            return default
        return found


def _documented(data: Any, shape: type) -> Any:
    """What of the data the documents know, in their form; whatever has no such form stays as it is."""
    if shape is Nothing and data in (None, []):
        return {}
    if isinstance(data, str) and shape in ENTRIES.values():
        return {"code": data}
    if not isinstance(data, dict):
        return data
    known = {name: data[name] for name in _fields(shape) if data.get(name) is not None}
    if "symbol" in data and "code" in _fields(shape):
        known.setdefault("code", data["symbol"])
    if shape in ENTRIES:
        (name,) = _fields(shape)
        if isinstance(entries := known.get(name), list):
            known[name] = [_documented(entry, ENTRIES[shape]) for entry in entries]
    return known


def _fields(shape: type) -> tuple[str, ...]:
    fields: tuple[str, ...] = shape.__struct_fields__  # type: ignore[attr-defined]
    return fields
