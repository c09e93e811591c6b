"""Reads requests: strictly as documented, or with every tolerance of section 2.

What is as documented is read at once. Whatever is not, both readers bring into the documented form, to note
what was wrong with it; the strict one then refuses it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Any, Generic, TypeVar

import msgspec

from .deviation import Deviation, Report, shown
from .lenient import MOST_LENIENT, as_json
from .messages import (
    MOST_U32,
    U32,
    U63,
    BatchKlineQuery,
    Data,
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
NUMBERS = {"cancel_type", "depth_level", *KlineQuery.__struct_fields__} - {"code"}
MOST_NAMED = 5
"""Unknown fields of one object that a report names."""
QUERY_FIELDS = {"trace", "data"}
ENTRIES: dict[type, type] = {
    SymbolList: Symbol,
    DepthSymbolList: DepthSymbol,
    KlineSymbolList: KlineSymbol,
    BatchKlineQuery: KlineQuery,
}
"""What stands in the list of a request that has one."""


# The envelopes of requests, in the documented form; more than that is read.
class Envelope(msgspec.Struct, Generic[Data], forbid_unknown_fields=True):
    """A request over WebSocket. The answer's `cmd_id` is one more; `seq_id` and `trace` come back."""

    cmd_id: U32
    seq_id: U32
    trace: TraceText
    data: Data


class QueryEnvelope(msgspec.Struct, Generic[Data], forbid_unknown_fields=True):
    """A request over HTTP: the `query` of a GET, the body of a POST. `trace` comes back."""

    trace: TraceText
    data: Data


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


_documented_envelope = msgspec.json.Decoder(Envelope[Any]).decode
_documented_query = msgspec.json.Decoder(QueryEnvelope[Any]).decode


class Reader:
    """Reads envelopes and their data; `strict` refuses all that the documents do not allow.

    Either way `noted` is told what that is.
    """

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict

    def request(self, text: bytes, noted: Report | None = None) -> Request:
        """A request over WebSocket. Never raises."""
        try:
            found = _documented_envelope(text)
        except NOT_JSON:
            noted = Report() if noted is None else noted
            try:
                return self._request(self.json(text, noted), HEADER_FIELDS, noted)
            except NOT_JSON:
                return Request(refusal=HEADER_INVALID)
        return Request(found.cmd_id, found.seq_id, found.trace, found.data)

    def query(self, text: bytes, noted: Report) -> Request:
        """A request over HTTP. Raises one of NOT_JSON."""
        try:
            found = _documented_query(text)
        except NOT_JSON:
            return self._request(self.json(text, noted), QUERY_FIELDS, noted)
        return Request(trace=found.trace, data=found.data)

    def _request(self, envelope: Any, fields: set[str], noted: Report) -> Request:
        if not isinstance(envelope, dict):
            noted.note(Deviation.NOT_JSON)
            return Request(refusal=HEADER_INVALID)
        _note_names(envelope, fields, noted)
        bad: list[str] = []
        cmd_id, seq_id = -1, 0
        if "cmd_id" in fields:
            cmd_id = self._field(envelope, "cmd_id", U32, -1, bad, noted)
            seq_id = self._field(envelope, "seq_id", U32 if self.strict else U63, 0, bad, noted)
        trace = self._field(envelope, "trace", TraceText, "", bad, noted)
        refused = bad or ("cmd_id" in fields and cmd_id < 0) or (self.strict and envelope.keys() != fields)
        return Request(cmd_id, seq_id, trace, envelope.get("data"), HEADER_INVALID if refused else None)

    def json(self, text: bytes, noted: Report) -> Any:
        """The value of JSON, or of an object as the vendor's examples have it. Raises one of NOT_JSON."""
        try:
            return msgspec.json.decode(text)
        except NOT_JSON:
            value = _lenient(text)
            noted.note(Deviation.NOT_JSON if value is None else Deviation.LENIENT_JSON)
            if value is None or self.strict:
                raise
            return value

    def data(self, data: Any, shape: type[T], noted: Report | None = None) -> T:
        """The data of a request in the documented shape. Raises msgspec.ValidationError."""
        try:
            return msgspec.convert(data, shape)
        except msgspec.ValidationError:
            noted = Report() if noted is None else noted
            documented = _documented(data, shape, noted)
            try:
                found = msgspec.convert(documented, shape, strict=False)
            except msgspec.ValidationError as error:
                noted.note(Deviation.IMPOSSIBLE_VALUE, str(error))
                raise
            if self.strict:
                raise
            return found

    def _field(
        self, envelope: dict[str, Any], name: str, kind: Any, default: T, bad: list[str], noted: Report
    ) -> T:
        """A header field; the default, and its name in `bad`, if its type is impossible."""
        value = envelope.get(name)
        if value is None and not self.strict:  # null counts as missing
            return default
        try:
            found: T = msgspec.convert(value, kind, strict=self.strict)
        except msgspec.ValidationError as error:
            bad.append(name)
            if value is not None:
                noted.note(Deviation.IMPOSSIBLE_VALUE, f"{name}: {error}")
            return default
        if isinstance(found, int) and isinstance(value, str):
            noted.note(Deviation.NUMBER_AS_TEXT, name)
        if isinstance(found, int) and found > MOST_U32:
            noted.note(Deviation.LARGE_SEQ_ID)
        return found


def _lenient(text: bytes) -> dict[str, Any] | None:
    """The object in a text that is no JSON, but nearly so; None if there is none."""
    if len(text) > MOST_LENIENT:
        return None
    try:
        value = msgspec.json.decode(as_json(text))
    except NOT_JSON:
        return None
    return value if isinstance(value, dict) else None


def _note_names(value: dict[str, Any], known: Iterable[str], noted: Report) -> None:
    """Notes which fields of an object are missing, null or unknown."""
    for name in known:
        if name not in value:
            noted.note(Deviation.MISSING_FIELD, name)
        elif value[name] is None and name != "data":
            noted.note(Deviation.NULL_FIELD, name)
    _note_unknown(value.keys() - known, noted)


def _note_unknown(names: set[str], noted: Report) -> None:
    for name in islice(names, MOST_NAMED):
        noted.note(Deviation.UNKNOWN_FIELD, shown(name))


def _documented(data: Any, shape: type, noted: Report) -> Any:
    """What of the data the documents know, in their form; whatever has no such form stays as it is."""
    if shape is Nothing and (data in (None, []) or isinstance(data, dict)):
        noted.note(Deviation.EMPTY_DATA)
        return {}
    if not isinstance(data, dict):
        return data
    fields = _fields(shape)
    found: dict[str, Any] = {}
    for name in fields:
        if (value := data.get(name)) is not None:
            found[name] = value
            if isinstance(value, str) and name in NUMBERS:
                noted.note(Deviation.NUMBER_AS_TEXT, name)
        elif name in data and name != "depth_level":  # of which the documents say one thing and the other
            noted.note(Deviation.NULL_FIELD, name)
    if len(data) > len(found):
        unknown = data.keys() - fields
        if "symbol" in unknown and "code" in fields:
            found.setdefault("code", data["symbol"])
            noted.note(Deviation.SYMBOL_FOR_CODE)
            unknown.discard("symbol")
        _note_unknown(unknown, noted)
    if shape in ENTRIES:
        (name,) = fields
        if isinstance(entries := found.get(name), list):
            of = ENTRIES[shape]
            found[name] = [
                {"code": entry} if isinstance(entry, str) else _documented(entry, of, noted)
                for entry in entries
            ]
            if plain := sum(isinstance(entry, str) for entry in entries):
                noted.note(Deviation.PLAIN_CODE, count=plain)
    return found


def _fields(shape: type) -> tuple[str, ...]:
    fields: tuple[str, ...] = shape.__struct_encode_fields__  # type: ignore[attr-defined]
    return fields
