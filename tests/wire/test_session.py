"""A session: what is answered to whom, and what keeps it alive (section 2)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tickwire.model import Family, Kind
from tickwire.store import load_catalogue
from tickwire.wire import Decision
from tickwire.wire.session import Cancel, Dialect, Session, Subscribe

from .peer import PLAIN, session_of

CATALOGUE = load_catalogue()
STRICT = Dialect(strict_protocol=True)
BOTH = pytest.mark.parametrize("dialect", [PLAIN, STRICT], ids=["lenient", "strict"])
HEARTBEAT, DEPTH, TRADE, CANCEL = 22000, 22002, 22004, 22006
HEADER, DATA = "request header param invalid", "request data param invalid"


def session(dialect: Dialect = PLAIN, family: Family = Family.OTHER, now: float = 0.0) -> Session:
    return session_of(None, dialect, family, now)


def message(cmd_id: object, data: object, **header: object) -> dict[str, object]:
    return {"cmd_id": cmd_id, "seq_id": 7, "trace": "abc", "data": data} | header


def symbols(*codes: str) -> dict[str, object]:
    return {"symbol_list": [{"code": code} for code in codes]}


def ask(to: Session, request: object, now: float = 1.0) -> tuple[dict[str, Any], Decision | None]:
    """The answer as JSON, and the decision."""
    text = request if isinstance(request, bytes) else json.dumps(request).encode()
    answer = to.receive(text, now)
    return json.loads(answer.reply), answer.decision


def wanted(decision: Decision | None) -> list[tuple[str, str, int]]:
    """Name, code and levels of what is to be subscribed to."""
    assert isinstance(decision, Subscribe)
    return [(want.name, want.instrument.code, want.levels) for want in decision.wants]


# What is answered.
@BOTH
@pytest.mark.parametrize(
    ("cmd_id", "data"),
    [(HEARTBEAT, {}), (DEPTH, symbols("GOLD")), (TRADE, symbols("GOLD")), (CANCEL, {"cancel_type": 0})],
)
def test_a_request_is_answered_with_its_echo(dialect: Dialect, cmd_id: int, data: object) -> None:
    answer = session(dialect).receive(json.dumps(message(cmd_id, data)).encode(), 1.0)
    expected = f'{{"ret":200,"msg":"ok","cmd_id":{cmd_id + 1},"seq_id":7,"trace":"abc","data":{{}}}}'
    assert answer.reply == expected.encode()


@BOTH
@pytest.mark.parametrize(("cmd_id", "kind"), [(DEPTH, Kind.DEPTH), (TRADE, Kind.TRADE)])
def test_a_subscription_names_what_is_wanted_in_order(dialect: Dialect, cmd_id: int, kind: Kind) -> None:
    _, decision = ask(session(dialect), message(cmd_id, symbols("GOLD", "NOSUCH", "BTCUSDT", "700.HK")))
    assert isinstance(decision, Subscribe)
    assert decision.kind is kind
    assert wanted(decision) == [("GOLD", "GOLD", 1), ("BTCUSDT", "BTCUSDT", 5)]


@BOTH
@pytest.mark.parametrize(
    ("cancel_type", "kinds"),
    [(0, set(Kind)), (1, {Kind.DEPTH}), (2, {Kind.TRADE}), (3, set())],
)
def test_a_cancel_ends_the_lists_that_it_names(dialect: Dialect, cancel_type: int, kinds: set[Kind]) -> None:
    answer, decision = ask(session(dialect), message(CANCEL, {"cancel_type": cancel_type}))
    assert answer["ret"] == 200
    assert isinstance(decision, Cancel)
    assert set(decision.kinds) == kinds


@BOTH
@pytest.mark.parametrize(
    ("level", "levels"), [(None, 10), (0, 10), (1, 1), (5, 5), (10, 10), (11, 10), (2**32 - 1, 10)]
)
def test_a_book_has_the_levels_asked_for_or_what_there_is(
    dialect: Dialect, level: int | None, levels: int
) -> None:
    asked = {"symbol_list": [{"code": "700.HK", "depth_level": level}]}
    _, decision = ask(session(dialect, Family.STOCK), message(DEPTH, asked))
    assert wanted(decision) == [("700.HK", "700.HK", levels)]


@BOTH
def test_the_book_of_an_index_is_acknowledged(dialect: Dialect) -> None:
    answer, decision = ask(session(dialect, Family.STOCK), message(DEPTH, symbols("000001.SH")))
    assert answer["ret"] == 200
    assert wanted(decision) == [("000001.SH", "000001.SH", 0)]


def test_an_alias_is_wanted_under_the_name_that_was_used_beside_its_code() -> None:
    _, decision = ask(session(), message(TRADE, symbols("XAUUSD", "GOLD", "XAGUSD")))
    assert wanted(decision) == [("XAUUSD", "GOLD", 1), ("GOLD", "GOLD", 1), ("XAGUSD", "Silver", 1)]


def test_a_code_named_twice_counts_once() -> None:
    asked = {"symbol_list": [{"code": "BTCUSDT", "depth_level": 2}, {"code": "GOLD"}, {"code": "BTCUSDT"}]}
    _, decision = ask(session(), message(DEPTH, asked))
    assert wanted(decision) == [("BTCUSDT", "BTCUSDT", 2), ("GOLD", "GOLD", 1)]


def test_one_request_after_another_in_the_same_moment_with_the_same_seq_id_is_answered() -> None:
    one = session()
    trades, first = ask(one, message(TRADE, symbols("GOLD")))
    books, second = ask(one, message(DEPTH, symbols("GOLD")))
    assert (trades["cmd_id"], books["cmd_id"]) == (22005, 22003)
    assert wanted(first) == wanted(second)


# The error table.
ERRORS: dict[str, tuple[object, int, str, int]] = {
    "not JSON": (b"hello", 400, HEADER, 0),
    "not UTF-8": (b"\xff", 400, HEADER, 0),
    "not an object": ([1], 400, HEADER, 0),
    "no cmd_id": ({"seq_id": 7, "trace": "abc", "data": {}}, 400, HEADER, 0),
    "impossible cmd_id": (message([], {}), 400, HEADER, 0),
    "negative cmd_id": (message(-5, {}), 400, HEADER, 0),
    "unknown cmd_id": (message(22001, {}), 400, HEADER, 22002),
    "one below a push": (message(22998, {}), 400, HEADER, 0),
    "one below another": (message(22997, {}), 400, HEADER, 0),
    "one below one of ours": (message(28996, {}), 400, HEADER, 0),
    "cmd_id of a push": (message(22999, {}), 400, HEADER, 23000),
    "largest cmd_id": (message(2**32 - 1, {}), 400, HEADER, 2**32),
    "impossible seq_id": (message(HEARTBEAT, {}, seq_id={}), 400, HEADER, 22001),
    "impossible trace": (message(HEARTBEAT, {}, trace=5), 400, HEADER, 22001),
    "trace too long": (message(HEARTBEAT, {}, trace="x" * 65), 400, HEADER, 22001),
    "header before data": (message(TRADE, None, trace=5), 400, HEADER, 22005),
    "data missing": (message(TRADE, {}), 400, DATA, 22005),
    "data impossible": (message(TRADE, "GOLD"), 400, DATA, 22005),
    "list empty": (message(TRADE, {"symbol_list": []}), 400, DATA, 22005),
    "list null": (message(DEPTH, {"symbol_list": None}), 400, DATA, 22003),
    "level negative": (
        message(DEPTH, {"symbol_list": [{"code": "GOLD", "depth_level": -1}]}),
        400,
        DATA,
        22003,
    ),
    "one entry of many impossible": (
        message(TRADE, {"symbol_list": [{"code": "GOLD"}, {}]}),
        400,
        DATA,
        22005,
    ),
    "cancel_type missing": (message(CANCEL, {}), 400, DATA, 22007),
    "cancel_type unknown": (message(CANCEL, {"cancel_type": 4}), 400, DATA, 22007),
    "heartbeat with impossible data": (message(HEARTBEAT, 5), 400, DATA, 22001),
    "all codes unknown": (message(TRADE, symbols("NOSUCH", "gold")), 600, "code invalid", 22005),
    "code of the other family": (message(DEPTH, symbols("700.HK")), 600, "code invalid", 22003),
    "empty code": (message(TRADE, symbols("")), 600, "code invalid", 22005),
}


@BOTH
@pytest.mark.parametrize(("request_", "ret", "msg", "cmd_id"), ERRORS.values(), ids=ERRORS.keys())
def test_an_error_has_its_code_and_text_and_no_effect(
    dialect: Dialect, request_: object, ret: int, msg: str, cmd_id: int
) -> None:
    answer, decision = ask(session(dialect), request_)
    assert (answer["ret"], answer["msg"], answer["cmd_id"]) == (ret, msg, cmd_id)
    assert answer["data"] == {}
    assert decision is None


@BOTH
def test_an_error_echoes_what_could_be_read(dialect: Dialect) -> None:
    answer, _ = ask(session(dialect), message(TRADE, {}, seq_id=9, trace="跟"))
    assert (answer["seq_id"], answer["trace"]) == (9, "跟")
    answer, _ = ask(session(dialect), message(1, {}, seq_id="x", trace="t"))
    assert (answer["seq_id"], answer["trace"]) == (0, "t")


@BOTH
def test_a_session_goes_on_after_an_error(dialect: Dialect) -> None:
    one = session(dialect)
    assert ask(one, b"nonsense")[0]["ret"] == 400
    assert ask(one, message(TRADE, symbols("GOLD")))[0]["ret"] == 200


# What only a lenient session takes.
TOLERATED: dict[str, tuple[object, int, str]] = {
    "seq_id of Date.now()": (message(HEARTBEAT, {}, seq_id=2**53), 2**53, "abc"),
    "seq_id as text": (message(HEARTBEAT, {}, seq_id="12"), 12, "abc"),
    "trace null": (message(HEARTBEAT, {}, trace=None), 7, ""),
    "only a cmd_id": ({"cmd_id": HEARTBEAT}, 0, ""),
    "cmd_id as text": (message("22004", symbols("GOLD")), 7, "abc"),
    "heartbeat with null": (message(HEARTBEAT, None), 7, "abc"),
    "heartbeat with a list": (message(HEARTBEAT, []), 7, "abc"),
    "heartbeat with a null symbol_list": (message(HEARTBEAT, {"symbol_list": None}), 7, "abc"),
    "numbers as text": (
        message(DEPTH, {"symbol_list": [{"code": "GOLD", "depth_level": "5"}]}),
        7,
        "abc",
    ),
    "plain strings": (message(TRADE, {"symbol_list": ["GOLD"]}), 7, "abc"),
    "symbol for code": (message(TRADE, {"symbol_list": [{"symbol": "GOLD"}]}), 7, "abc"),
    "duplicates": (message(TRADE, symbols("GOLD", "GOLD")), 7, "abc"),
    "a field more": (message(TRADE, symbols("GOLD"), token="t"), 7, "abc"),
}


@pytest.mark.parametrize(("request_", "seq_id", "trace"), TOLERATED.values(), ids=TOLERATED.keys())
def test_a_habit_of_real_clients_works_unless_strict(request_: object, seq_id: int, trace: str) -> None:
    answer, _ = ask(session(), request_)
    assert (answer["ret"], answer["seq_id"], answer["trace"]) == (200, seq_id, trace)
    refused, decision = ask(session(STRICT), request_)
    assert refused["ret"] == 400
    assert decision is None


def test_a_strict_session_knows_no_aliases() -> None:
    assert ask(session(STRICT), message(TRADE, symbols("XAUUSD")))[0]["ret"] == 600


# Heartbeats.
@BOTH
@pytest.mark.parametrize(
    "request_",
    [
        message(HEARTBEAT, {}),
        message(TRADE, symbols("GOLD")),
        message(CANCEL, {"cancel_type": 3}),
        message(TRADE, symbols("NOSUCH")),
    ],
)
def test_a_valid_request_counts_as_a_heartbeat(dialect: Dialect, request_: object) -> None:
    one = session(dialect, now=100.0)
    ask(one, request_, now=125.0)
    assert not one.overdue(154.999)
    assert one.overdue(155.0)


@BOTH
@pytest.mark.parametrize(
    "request_", [b"", b"ping", [], {}, message(1, {}), message(TRADE, {}), message(HEARTBEAT, {}, trace=5)]
)
def test_what_is_answered_with_400_counts_for_nothing(dialect: Dialect, request_: object) -> None:
    one = session(dialect, now=100.0)
    ask(one, request_, now=125.0)
    assert not one.overdue(129.999)
    assert one.overdue(130.0)


def test_a_ping_counts_as_a_heartbeat_unless_strict() -> None:
    lenient, strict = session(now=100.0), session(STRICT, now=100.0)
    for one in (lenient, strict):
        one.ping(125.0)
    assert strict.overdue(130.0)
    assert not lenient.overdue(154.999)
    assert lenient.overdue(155.0)


# Whatever comes.
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=70)
    | st.sampled_from(["GOLD", "22000", "5", "0"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ENTRY = JSON | st.fixed_dictionaries(
    {}, optional={"code": st.just("GOLD") | JSON, "symbol": JSON, "depth_level": st.integers(-1, 9) | JSON}
)
DATA_OBJECTS = st.fixed_dictionaries(
    {}, optional={"symbol_list": st.lists(ENTRY, max_size=3) | JSON, "cancel_type": st.integers(-1, 4) | JSON}
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "cmd_id": st.sampled_from([HEARTBEAT, DEPTH, TRADE, CANCEL, "22004"]) | JSON,
        "seq_id": st.integers(0, 2**64) | JSON,
        "trace": st.text(max_size=66) | JSON,
        "data": DATA_OBJECTS | JSON,
        "extra": JSON,
    },
)
DIALECTS = st.sampled_from([PLAIN, STRICT])


def check_answer(text: bytes, dialect: Dialect) -> None:
    answer = session(dialect).receive(text, 1.0)
    reply = json.loads(answer.reply.decode())
    assert [*reply] == ["ret", "msg", "cmd_id", "seq_id", "trace", "data"]
    assert [type(value) for value in reply.values()] == [int, str, int, int, str, dict]
    assert reply["data"] == {}
    assert reply["ret"] in (200, 400, 600)
    assert len(reply["trace"]) <= 64
    assert reply["cmd_id"] >= 0
    assert answer.decision is None or reply["ret"] == 200
    assert eval(answer.reply) == reply  # noqa: S307  (as one vendor example does)


@settings(max_examples=200)
@given(st.binary(max_size=64) | st.text(max_size=64).map(str.encode), DIALECTS)
def test_any_bytes_are_answered_in_form(text: bytes, dialect: Dialect) -> None:
    check_answer(text, dialect)


@settings(max_examples=200)
@given(ENVELOPES | JSON, DIALECTS, st.booleans())
def test_any_json_is_answered_in_form(envelope: object, dialect: Dialect, escaped: bool) -> None:
    check_answer(json.dumps(envelope, ensure_ascii=escaped).encode(errors="surrogatepass"), dialect)
