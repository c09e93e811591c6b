"""What a server sends, as its client reads it: every form that says it, and nothing that does not."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.model import Book, Kind, Kline, KlineState, KlineType, KlineUpdate, Level, Trade
from tickwire.store import load_catalogue
from tickwire.wire import Bad, Pushed, Several, Times
from tickwire.wire.form import BARE, PLAIN, Form
from tickwire.wire.push import SeveralTrades, encoder, several_trades
from tickwire.wire.upstream import Answer, read

CAPTURES = json.loads(
    '[{"cmd_id":22998,"data":{"code":"GOLD","seq":1788530574453,"tick_time":1788530573000,"price":"4415.32",'
    '"volume":"8.00","turnover":"35322.56","trade_direction":1}},{"cmd_id":22999,"data":{"code":"TSLA.US",'
    '"seq":1788530608346,"tick_time":1788530608346,"bids":[{"price":"357.350000","volume":"114"}],'
    '"asks":[{"price":"357.400000","volume":"94"}]}},{"cmd_id":28998,"data":{"code":"BTCUSDT","kline_type":1,'
    '"seq":1795364866865661,"state":"closed","incomplete":0,"timestamp":"1795364820","open_price":"79317.70",'
    '"close_price":"79359.80","high_price":"79415.02","low_price":"79298.47","volume":"4.42981",'
    '"turnover":"351495.45"}}]'
)
"""Section 2 of the protocol and the project's K-line push, word for word."""
TRADE, BOOK, KLINE = CAPTURES
GOLD = Pushed(
    Trade("GOLD", 1788530573000, Decimal("4415.32"), Decimal("8.00"), Decimal("35322.56"), 1, 1788530574453),
    1788530574453,
)
TESLA = Pushed(
    Book(
        "TSLA.US",
        1788530608346,
        (Level(Decimal("357.350000"), Decimal(114)),),
        (Level(Decimal("357.400000"), Decimal(94)),),
    ),
    1788530608346,
)
BITCOIN = Pushed(
    KlineUpdate(
        Kline(
            "BTCUSDT",
            KlineType.MINUTE,
            1795364820,
            Decimal("79317.70"),
            Decimal("79415.02"),
            Decimal("79298.47"),
            Decimal("79359.80"),
            Decimal("4.42981"),
            Decimal("351495.45"),
        ),
        KlineState.CLOSED,
    ),
    1795364866865661,
)
OK = {"ret": 200, "msg": "ok", "cmd_id": 22005, "seq_id": 7, "trace": "t", "data": {}}


def text(*messages: object) -> bytes:
    """A frame of these messages, one a line."""
    return b"\n".join(one if isinstance(one, bytes) else json.dumps(one).encode() for one in messages)


def changed(message: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The message with other data; None leaves a field out."""
    data = {name: value for name, value in (message["data"] | fields).items() if value is not LEFT_OUT}
    return message | {"data": data}


LEFT_OUT = object()


def bad(frame: bytes) -> Bad:
    """What is told of a frame in which nothing can be read."""
    (found,) = read(frame)
    assert isinstance(found, Bad)
    return found


# The documented form.
@pytest.mark.parametrize(("message", "event"), [(TRADE, GOLD), (BOOK, TESLA), (KLINE, BITCOIN)])
def test_a_push_becomes_its_event(message: object, event: Pushed) -> None:
    assert read(text(message)) == [event]


def test_decimals_keep_the_text() -> None:
    (found,) = read(text(changed(TRADE, price="0.10", volume="8", turnover="0.000000")))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Trade)
    assert [*map(str, (found.event.price, found.event.volume, found.event.turnover))] == [
        "0.10",
        "8",
        "0.000000",
    ]


@pytest.mark.parametrize("text_ids", [False, True])
def test_a_trade_in_place_of_several_is_read(text_ids: bool) -> None:
    open_, high, low, sum_ = map(Decimal, ("4415.30", "4416.00", "4415.00", "8.00"))
    assert isinstance(GOLD.event, Trade)
    trade = msgspec.structs.replace(GOLD.event, source_seq=9)
    several = SeveralTrades(trade, 4, 6, open_, high, low, sum_, Decimal("35322.56"), 1)
    frame = several_trades("GOLD", load_catalogue()["GOLD"], several, 9, text_ids=text_ids, form=PLAIN)
    push = json.loads(frame[frame.index(b"{") :])
    expected = Pushed(trade, 9, Several(4, open_, high, low, 6))
    assert read(text(push)) == [expected]
    assert read(text(changed(push, high_price=4416.0))) == [expected]
    for name in ("trades", "open_price", "high_price", "low_price", "first_seq"):  # all of it, or nothing
        assert read(text(changed(push, **{name: None}))) == [Pushed(trade, 9)]


def test_times_are_read_of_all_that_has_them() -> None:
    """As they are written, and as texts."""
    form = Form(times=True)
    for kind, one in ((Kind.TRADE, GOLD), (Kind.DEPTH, TESLA), (Kind.KLINE, BITCOIN)):
        instrument = load_catalogue()[one.event.code]
        bare = encoder(kind, instrument.code, instrument, 5, text_ids=False, form=BARE)
        for received in (0, 20):
            frame = form.timed(bare(one.event, 9), received, 0, 30)
            push = json.loads(frame[frame.index(b"{") :])
            assert [*push["data"]][-1 - (received > 0) :] == ["receive_time", "send_time"][received == 0 :]
            (found,) = read(text(push))
            assert isinstance(found, Pushed)
            assert found.times == Times(received, 0, 30)
            (found,) = read(text(changed(push, send_time="30")))
            assert isinstance(found, Pushed)
            assert found.times == Times(received, 0, 30)


def test_an_answer_is_read() -> None:
    assert read(text(OK)) == [Answer(22005, 200, "ok", 7)]


@pytest.mark.parametrize(
    ("given", "code"), [("BTCUSDT", "BTCUSDT"), ("GOLD", "XAUUSD"), ("700.HK", "700.HK")]
)
@pytest.mark.parametrize("text_ids", [False, True])
def test_what_our_server_writes_is_read_back(given: str, code: str, text_ids: bool) -> None:
    instrument = load_catalogue()[given]
    price = Decimal(1234).scaleb(-instrument.price_decimals)
    volume = Decimal(77).scaleb(-instrument.volume_decimals)
    events: dict[Kind, Trade | Book | KlineUpdate] = {
        Kind.TRADE: Trade(code, 1788530573000, price, volume, price, 2, 9),
        Kind.DEPTH: Book(code, 1788530573000, (Level(price, volume),), ()),
        Kind.KLINE: KlineUpdate(
            Kline(
                code, KlineType.HOUR, 1788530400, price, price, price, price, volume, price, incomplete=True
            ),
            KlineState.REVISED,
        ),
    }
    for kind, event in events.items():
        frame = encoder(kind, code, instrument, 5, text_ids=text_ids)(event, 9)
        assert read(frame[frame.index(b"{") :]) == [Pushed(event, 9)]


def test_the_payloads_of_the_live_service_are_read() -> None:
    shared = Path(__file__).parents[3] / "shared/data/captures.json"
    if not shared.exists():
        pytest.skip("the captures are not here")
    pushes = [one for one in json.loads(shared.read_text())["ws_push"] if "cmd_id" in one]
    assert [type(found) for push in pushes for found in read(text(push))] == [Pushed] * len(pushes)


# Other forms of the same.
@pytest.mark.parametrize(
    ("message", "event"),
    [
        (changed(TRADE, seq="1788530574453", tick_time="1788530573000"), GOLD),
        (changed(TRADE, trade_direction="1"), GOLD),
        (TRADE | {"cmd_id": "22998"}, GOLD),
        (TRADE | {"ret": None, "trace": None, "more": [1]}, GOLD),
        (changed(BOOK, more={"x": 1}, seq="1788530608346"), TESLA),
        (changed(BOOK, asks=[{"price": "357.400000", "volume": 94, "orders": 3}]), TESLA),
        (changed(KLINE, kline_type="1", incomplete="0", timestamp=1795364820), BITCOIN),
        (changed(KLINE, incomplete=None), BITCOIN),
    ],
)
def test_a_tolerable_form_says_the_same(message: object, event: Pushed) -> None:
    assert read(text(message)) == [event]


def test_numbers_that_are_no_strings_are_read_by_their_text() -> None:
    frame = (
        b'{"cmd_id":22998,"data":{"code":"GOLD","seq":1,"tick_time":1788530573000,"price":0.1,"volume":3}}'
    )
    (found,) = read(frame)
    assert isinstance(found, Pushed)
    assert found.event == Trade("GOLD", 1788530573000, Decimal("0.1"), Decimal(3), None, 0, 1)


@pytest.mark.parametrize("name", ["turnover", "trade_direction", "seq"])
@pytest.mark.parametrize("value", [None, LEFT_OUT])
def test_what_is_null_or_missing_and_can_be_done_without_is_unknown(name: str, value: object) -> None:
    (found,) = read(text(changed(TRADE, **{name: value})))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Trade)
    unknown = {"turnover": found.event.turnover is None, "trade_direction": found.event.direction == 0}
    assert unknown.get(name, found.seq == 0)


def test_a_direction_that_nobody_knows_is_neutral() -> None:
    (found,) = read(text(changed(TRADE, trade_direction=7)))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Trade)
    assert found.event.direction == 0


@pytest.mark.parametrize(
    "side", [[], None, [{"price": "0.000000", "volume": "0"}] * 5, [{"price": "0", "volume": "0"}]]
)
def test_a_side_without_orders_is_empty(side: object) -> None:
    (found,) = read(text(changed(BOOK, asks=side)))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Book)
    assert (len(found.event.bids), found.event.asks) == (1, ())


def test_levels_without_a_price_are_left_out_wherever_they_stand() -> None:
    none = {"price": "0.00", "volume": "0"}
    some = [{"price": price, "volume": "1"} for price in ("3", "2", "1")]
    (found,) = read(text(changed(BOOK, bids=[some[0], none, some[1], none, some[2]])))
    assert isinstance(found, Pushed)
    assert isinstance(found.event, Book)
    assert [str(level.price) for level in found.event.bids] == ["3", "2", "1"]


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (OK | {"ret": "200", "seq_id": "7", "cmd_id": "22005"}, Answer(22005, 200, "ok", 7)),
        ({"ret": 605, "msg": None}, Answer(0, 605, "", 0)),
        ({"ret": 401, "msg": {"no": "text"}, "seq_id": None}, Answer(0, 401, "", 0)),
        ({"ret": 1, "msg": "x" * 10_000}, Answer(0, 1, "x" * 120, 0)),
    ],
)
def test_an_answer_may_lack_what_it_lacks(message: object, answer: Answer) -> None:
    assert read(text(message)) == [answer]


# Several in a frame, good and bad.
def test_lines_of_a_frame_are_messages() -> None:
    assert read(text(TRADE, b"", OK, b"  \r", BOOK) + b"\n") == [GOLD, Answer(22005, 200, "ok", 7), TESLA]


def test_one_message_may_be_printed_over_several_lines() -> None:
    assert read(json.dumps(OK, indent=2).encode()) == [Answer(22005, 200, "ok", 7)]
    assert read(json.dumps(TRADE, indent=2).encode()) == [GOLD]


GARBAGE = [
    b"garbage",
    b'{"cmd_id":22998,"data":{"code":"GOLD","seq":178',
    b"null",
    b"[]",
    b"17",
    b'"text"',
    b"{}",
    b"\xff\xfe\x00",
    b'{"cmd_id":22998}',
    b'{"cmd_id":22998,"data":[]}',
    b'{"cmd_id":12345,"data":{}}',
    b'{"cmd_id":[22998],"data":{}}',
    b'{"ret":true}',
    b'{"ret":"many"}',
    b"[" * 100_000,
    b'{"a":' * 100_000,
    b"1" * 100_000,
]


@pytest.mark.parametrize("line", GARBAGE, ids=[line[:24].decode(errors="replace") for line in GARBAGE])
def test_a_bad_line_costs_no_good_one(line: bytes) -> None:
    assert bad(line).lines == 1
    *good, last = read(text(TRADE, line, BOOK))
    assert good == [GOLD, TESLA]
    assert isinstance(last, Bad)
    assert last.lines == 1
    assert last.reason
    assert len(last.text) <= 120


def test_bad_lines_are_told_once_with_their_number() -> None:
    good, told = read(text(b"first", TRADE, b"second", b"third"))
    assert good == GOLD
    assert isinstance(told, Bad)
    assert (told.text, told.lines) == ("first", 3)


@pytest.mark.parametrize("frame", [b"", b"\n", b" \n \n"])
def test_an_empty_frame_is_bad(frame: bytes) -> None:
    assert bad(frame).lines == 1


@given(st.lists(st.one_of(st.binary(max_size=60), st.sampled_from([text(TRADE), text(BOOK)])), max_size=8))
def test_whatever_comes_is_read_without_an_error(lines: list[bytes]) -> None:
    found = read(b"\n".join(lines))
    assert [one for one in found if one in (GOLD, TESLA)] == [
        {text(TRADE): GOLD, text(BOOK): TESLA}[line] for line in lines if line in (text(TRADE), text(BOOK))
    ]


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(CAPTURES), st.data())
def test_whatever_a_field_holds_is_read_without_an_error(
    message: dict[str, Any], data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from([*message["data"]]))
    (found,) = read(json.dumps(changed(message, **{name: data.draw(values)})).encode())
    assert isinstance(found, (Pushed, Bad))
