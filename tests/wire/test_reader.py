"""The reader: envelopes and data, as documented and as real programs send them (section 2)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tickwire.wire import Report
from tickwire.wire.messages import CancelData, DepthSymbol, DepthSymbolList, Nothing, Symbol, SymbolList
from tickwire.wire.reader import Reader, Request
from tickwire.wire.ret import DATA_INVALID, HEADER_INVALID

LENIENT, STRICT = Reader(), Reader(strict=True)
BOTH = pytest.mark.parametrize("reader", [LENIENT, STRICT], ids=["lenient", "strict"])
DOCUMENTED: dict[str, Any] = {"cmd_id": 22004, "seq_id": 7, "trace": "abc", "data": {}}


def read(reader: Reader, envelope: object) -> Request:
    return reader.request(envelope if isinstance(envelope, bytes) else json.dumps(envelope).encode())


def queried(reader: Reader, document: object) -> Request:
    return reader.query(json.dumps(document).encode(), Report())


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in DOCUMENTED.items() if key != name}


# Envelopes.
@BOTH
def test_a_documented_envelope_is_read(reader: Reader) -> None:
    assert read(reader, DOCUMENTED) == Request(22004, 7, "abc", {}, None)


@BOTH
@pytest.mark.parametrize(
    "text",
    [
        *(b"", b" ", b"hello", b"{", b"{'cmd_id':22000", b"[1]", b"5", b'"x"', b"null", b"NaN", b"\xff\xfe"),
        *(b"\xef\xbb\xbf{}", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b'{"cmd_id":1e999}'),
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_json_object_is_refused_and_echoes_nothing(reader: Reader, text: bytes) -> None:
    assert reader.request(text) == Request(refusal=HEADER_INVALID)


@BOTH
@pytest.mark.parametrize("value", [-1, 2**32, 2**63, 1.5, True, [], {}, "x", "", "-1", "1.5"])
def test_a_command_of_an_impossible_type_counts_as_none(reader: Reader, value: object) -> None:
    assert read(reader, DOCUMENTED | {"cmd_id": value}) == Request(-1, 7, "abc", {}, HEADER_INVALID)


@BOTH
def test_a_missing_command_is_refused(reader: Reader) -> None:
    assert read(reader, without("cmd_id")) == Request(-1, 7, "abc", {}, HEADER_INVALID)


@BOTH
@pytest.mark.parametrize("value", [-1, 2**63, 1.5, True, [], {}, "x", "", "-1"])
def test_an_impossible_seq_id_is_refused_and_the_rest_echoed(reader: Reader, value: object) -> None:
    assert read(reader, DOCUMENTED | {"seq_id": value}) == Request(22004, 0, "abc", {}, HEADER_INVALID)


@BOTH
@pytest.mark.parametrize("value", [5, True, [], {}, "x" * 65, "跟" * 65])
def test_an_impossible_trace_is_refused_and_the_rest_echoed(reader: Reader, value: object) -> None:
    assert read(reader, DOCUMENTED | {"trace": value}) == Request(22004, 7, "", {}, HEADER_INVALID)


@BOTH
@pytest.mark.parametrize("trace", ["x" * 64, "跟" * 64, "😀" * 64, "", '"\\\n\u2028'])
def test_a_trace_is_measured_in_characters(reader: Reader, trace: str) -> None:
    assert read(reader, DOCUMENTED | {"trace": trace}) == Request(22004, 7, trace, {}, None)


@BOTH
def test_the_first_of_two_mistakes_does_not_hide_the_second(reader: Reader) -> None:
    found = read(reader, {"cmd_id": 22000, "seq_id": -1, "trace": 5, "data": {}})
    assert found == Request(22000, 0, "", {}, HEADER_INVALID)


TOLERATED_ENVELOPES: dict[str, tuple[dict[str, Any], Request]] = {
    "seq_id of Date.now()": (DOCUMENTED | {"seq_id": 2**53}, Request(22004, 2**53, "abc", {})),
    "seq_id missing": (without("seq_id"), Request(22004, 0, "abc", {})),
    "seq_id null": (DOCUMENTED | {"seq_id": None}, Request(22004, 0, "abc", {})),
    "seq_id as text": (DOCUMENTED | {"seq_id": "7"}, Request(22004, 7, "abc", {})),
    "trace missing": (without("trace"), Request(22004, 7, "", {})),
    "trace null": (DOCUMENTED | {"trace": None}, Request(22004, 7, "", {})),
    "data missing": (without("data"), Request(22004, 7, "abc", None)),
    "cmd_id as text": (DOCUMENTED | {"cmd_id": "22004"}, Request(22004, 7, "abc", {})),
    "a field more": (DOCUMENTED | {"token": "t"}, Request(22004, 7, "abc", {})),
}


@pytest.mark.parametrize(("envelope", "found"), TOLERATED_ENVELOPES.values(), ids=TOLERATED_ENVELOPES.keys())
def test_what_real_programs_send_is_read_and_refused_only_if_strict(
    envelope: dict[str, Any], found: Request
) -> None:
    assert read(LENIENT, envelope) == found
    assert read(STRICT, envelope).refusal == HEADER_INVALID


# The envelope of a query over HTTP.
@BOTH
def test_a_documented_query_is_read(reader: Reader) -> None:
    assert queried(reader, {"trace": "abc", "data": {"a": 1}}) == Request(trace="abc", data={"a": 1})


@BOTH
@pytest.mark.parametrize("document", [None, 5, "x", [], [{}], True])
def test_a_query_that_is_no_object_is_refused(reader: Reader, document: object) -> None:
    assert queried(reader, document) == Request(refusal=HEADER_INVALID)


@BOTH
@pytest.mark.parametrize("trace", [5, True, [], "x" * 65])
def test_a_query_with_an_impossible_trace_is_refused(reader: Reader, trace: object) -> None:
    assert queried(reader, {"trace": trace, "data": {}}).refusal == HEADER_INVALID


@pytest.mark.parametrize(
    "document", [{"data": {}}, {"trace": None, "data": {}}, {"trace": "", "data": {}, "x": 1}]
)
def test_a_query_may_leave_out_or_add_fields_unless_strict(document: dict[str, Any]) -> None:
    assert queried(LENIENT, document) == Request(data={})
    assert queried(STRICT, document).refusal == HEADER_INVALID


# Data.
@BOTH
def test_documented_data_is_read(reader: Reader) -> None:
    trades = reader.data({"symbol_list": [{"code": "A"}, {"code": "B"}]}, SymbolList)
    assert trades == SymbolList([Symbol("A"), Symbol("B")])
    asked: list[dict[str, Any]] = [
        {"code": "A", "depth_level": 5},
        {"code": "B"},
        {"code": "C", "depth_level": 0},
    ]
    books = reader.data({"symbol_list": asked}, DepthSymbolList)
    assert books == DepthSymbolList([DepthSymbol("A", 5), DepthSymbol("B"), DepthSymbol("C", 0)])
    assert reader.data({"cancel_type": 3}, CancelData) == CancelData(3)
    assert reader.data({}, Nothing) == Nothing()


TOLERATED_DATA: dict[str, tuple[Any, msgspec.Struct]] = {
    "heartbeat with null": (None, Nothing()),
    "heartbeat with a list": ([], Nothing()),
    "heartbeat with a null symbol_list": ({"symbol_list": None}, Nothing()),
    "plain strings": ({"symbol_list": ["A", "B"]}, SymbolList([Symbol("A"), Symbol("B")])),
    "symbol for code": ({"symbol_list": [{"symbol": "A"}]}, SymbolList([Symbol("A")])),
    "code and symbol": ({"symbol_list": [{"code": "A", "symbol": "B"}]}, SymbolList([Symbol("A")])),
    "mixed": ({"symbol_list": ["A", {"symbol": "B"}]}, SymbolList([Symbol("A"), Symbol("B")])),
    "a field more": ({"symbol_list": [{"code": "A"}], "x": 1}, SymbolList([Symbol("A")])),
    "depth of a trade": ({"symbol_list": [{"code": "A", "depth_level": 5}]}, SymbolList([Symbol("A")])),
    "depth as text": (
        {"symbol_list": [{"code": "A", "depth_level": "5"}]},
        DepthSymbolList([DepthSymbol("A", 5)]),
    ),
    "book of plain strings": ({"symbol_list": ["A"]}, DepthSymbolList([DepthSymbol("A")])),
    "cancel_type as text": ({"cancel_type": "2"}, CancelData(2)),
    "cancel with a list": ({"cancel_type": 2, "symbol_list": []}, CancelData(2)),
}


@pytest.mark.parametrize(("data", "found"), TOLERATED_DATA.values(), ids=TOLERATED_DATA.keys())
def test_data_of_real_programs_is_read_and_refused_only_if_strict(data: Any, found: msgspec.Struct) -> None:
    assert LENIENT.data(data, type(found)) == found
    with pytest.raises(msgspec.ValidationError):
        STRICT.data(data, type(found))


NO_DATA: list[Any] = [None, [], {}, 5, "x"]
NO_ENTRIES: list[Any] = [[], None, "A", {"code": "A"}]
IMPOSSIBLE_LISTS = [*NO_DATA, *({"symbol_list": entries} for entries in NO_ENTRIES)]
IMPOSSIBLE_ENTRIES: list[Any] = [None, 5, [], ["A"], {}, {"code": 5}, {"code": None}]
IMPOSSIBLE_LEVELS: list[Any] = [-1, "-1", 2**32, 1.5, True, "five", [], {}]
IMPOSSIBLE_CANCELS: list[Any] = [-1, 4, 1.5, True, None, "all", [], {}]
IMPOSSIBLE_BEATS: list[Any] = [5, "x", [1], True]
IMPOSSIBLE_DATA: list[tuple[type[msgspec.Struct], Any]] = [
    *((shape, data) for shape in (SymbolList, DepthSymbolList) for data in IMPOSSIBLE_LISTS),
    *((SymbolList, {"symbol_list": [{"code": "A"}, entry]}) for entry in IMPOSSIBLE_ENTRIES),
    *((DepthSymbolList, {"symbol_list": [entry]}) for entry in IMPOSSIBLE_ENTRIES),
    *((DepthSymbolList, {"symbol_list": [{"code": "A", "depth_level": n}]}) for n in IMPOSSIBLE_LEVELS),
    *((CancelData, data) for data in NO_DATA),
    *((CancelData, {"cancel_type": value}) for value in IMPOSSIBLE_CANCELS),
    *((Nothing, data) for data in IMPOSSIBLE_BEATS),
]


@BOTH
@pytest.mark.parametrize(("shape", "data"), IMPOSSIBLE_DATA, ids=repr)
def test_data_of_an_impossible_type_is_refused(
    reader: Reader, shape: type[msgspec.Struct], data: Any
) -> None:
    with pytest.raises(msgspec.ValidationError):
        reader.data(data, shape)


def test_the_two_kinds_of_bad_requests_differ_in_their_text() -> None:
    assert (HEADER_INVALID.code, HEADER_INVALID.msg) == (400, "request header param invalid")
    assert (DATA_INVALID.code, DATA_INVALID.msg) == (400, "request data param invalid")
