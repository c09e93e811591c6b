"""What is pushed, byte for byte as the live service sends it (section 2, "Push")."""

from __future__ import annotations

import json
import struct
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.streams import StreamReader

from tickwire.model import Book, Kind, Level, Market, Trade
from tickwire.store import load_catalogue
from tickwire.wire import Want, to_json
from tickwire.wire.form import text_frame
from tickwire.wire.http import book_entries, trade_entries
from tickwire.wire.messages import Push
from tickwire.wire.push import encoder, trade_data

CATALOGUE = load_catalogue()
CAPTURES = Path(__file__).parents[3] / "shared" / "data" / "captures.json"

# Payloads of the live service.
GOLD_TRADE = (
    '{"cmd_id":22998,"data":{"code":"GOLD","seq":1788530574453,"tick_time":1788530573000,"price":"4415.32",'
    '"volume":"8.00","turnover":"35322.56","trade_direction":1}}'
)
BTC_BOOK = (
    '{"cmd_id":22999,"data":{"code":"BTCUSDT","seq":1788530575440,"tick_time":1788530575440,"bids":['
    '{"price":"79476.00","volume":"0.42000"},{"price":"79475.99","volume":"0.00063"},'
    '{"price":"79475.76","volume":"0.00007"},{"price":"79475.19","volume":"0.00007"},'
    '{"price":"79475.16","volume":"0.00007"}],"asks":['
    '{"price":"79476.01","volume":"4.42363"},{"price":"79476.02","volume":"0.00027"},'
    '{"price":"79476.03","volume":"0.00013"},{"price":"79477.03","volume":"0.00007"},'
    '{"price":"79477.40","volume":"0.00014"}]}}'
)
TSLA_TRADE = (
    '{"cmd_id":22998,"data":{"code":"TSLA.US","seq":1788530607543,"tick_time":1788530607000,'
    '"price":"357.340000","volume":"100","turnover":"35734.000000","trade_direction":0}}'
)
TSLA_BOOK = (
    '{"cmd_id":22999,"data":{"code":"TSLA.US","seq":1788530608346,"tick_time":1788530608346,"bids":['
    '{"price":"357.350000","volume":"114"}],"asks":[{"price":"357.400000","volume":"94"}]}}'
)
INDEX_TICK = (
    '{"code":"000001.SH","seq":"9562886","tick_time":"1788505206089","price":"3930.120000",'
    '"volume":"2333383","turnover":"3951562707.500000","trade_direction":0}'
)
TRADE_TICKS = [
    '{"code":"GOLD","seq":"86986922","tick_time":"1788529024862","price":"4409.64","volume":"10.00",'
    '"turnover":"44096.40","trade_direction":1}',
    '{"code":"USOIL","seq":"86987565","tick_time":"1788529036175","price":"89.504","volume":"10.000",'
    '"turnover":"895.040","trade_direction":1}',
    '{"code":"BTCUSDT","seq":"1287917181","tick_time":"1788529064027","price":"79317.70",'
    '"volume":"0.00357","turnover":"283.16","trade_direction":1}',
    '{"code":"700.HK","seq":"1718325","tick_time":"1788509282465","price":"442.800000","volume":"3877600",'
    '"turnover":"1717001280.000000","trade_direction":0}',
]
HK_BIDS = [
    ("442.800000", "31200"), ("442.600000", "91000"), ("442.400000", "19900"), ("442.200000", "27600"),
    ("442.000000", "48600"), ("441.800000", "10400"), ("441.600000", "158300"), ("441.400000", "58700"),
    ("441.200000", "49800"), ("441.000000", "83500"),
]  # fmt: skip
HK_ASKS = [
    ("443.000000", "58500"), ("443.200000", "50800"), ("443.400000", "53500"), ("443.600000", "273000"),
    ("443.800000", "71800"), ("444.000000", "68900"), ("444.200000", "77100"), ("444.400000", "91200"),
    ("444.600000", "87600"), ("444.800000", "155100"),
]  # fmt: skip
HK_BOOK = json.dumps(
    {
        "code": "700.HK",
        "seq": "1788509289424",
        "tick_time": "1788509289424",
        "bids": [{"price": price, "volume": volume} for price, volume in HK_BIDS],
        "asks": [{"price": price, "volume": volume} for price, volume in HK_ASKS],
    },
    separators=(",", ":"),
)


def plain(text: str) -> Decimal:
    """The number as a source has it: without the zeros that only the wire adds."""
    return Decimal(text).normalize()


def event_of(data: dict[str, Any], *, with_turnover: bool = False) -> Trade | Book:
    """The event that a payload tells of."""
    time = int(data["tick_time"])
    if "price" in data:
        given = plain(data["turnover"]) if with_turnover else None
        direction = data["trade_direction"]
        return Trade(data["code"], time, plain(data["price"]), plain(data["volume"]), given, direction)
    sides = (
        tuple(Level(plain(one["price"]), plain(one["volume"])) for one in data[side])
        for side in ("bids", "asks")
    )
    return Book(data["code"], time, *sides)


def pushed(event: Trade | Book, seq: int, *, levels: int | None = None, text_ids: bool = False) -> str:
    """The payload that is pushed for an event."""
    one = CATALOGUE[event.code]
    kind = Kind.TRADE if isinstance(event, Trade) else Kind.DEPTH
    asked = one.levels if levels is None else levels
    frame = encoder(kind, event.code, one, asked, text_ids=text_ids)(event, seq)
    payload = opened(frame)
    assert frame == text_frame(payload)
    return payload.decode()


def answered(event: Trade | Book, seq: int) -> str:
    """The entry of a tick_list for an event."""
    one = CATALOGUE[event.code]
    want = Want(event.code, one, one.levels)
    entries = (
        trade_entries([(want, event, seq)])
        if isinstance(event, Trade)
        else book_entries([(want, event, seq)])
    )
    return to_json(entries[0]).decode()


def opened(frame: bytes) -> bytes:
    """The payload of a frame, as `websockets` reads it."""
    reader = StreamReader()
    reader.feed_data(frame)
    parser = Frame.parse(reader.read_exact, mask=False)
    with pytest.raises(StopIteration) as done:
        next(parser)
    read: Frame = done.value.value
    assert (read.opcode, read.fin, read.rsv1, read.rsv2, read.rsv3) == (
        Opcode.TEXT,
        True,
        False,
        False,
        False,
    )
    assert not reader.buffer
    return bytes(read.data)


@pytest.mark.parametrize("captured", [GOLD_TRADE, BTC_BOOK, TSLA_TRADE, TSLA_BOOK])
def test_a_push_is_the_same_bytes_as_that_of_the_live_service(captured: str) -> None:
    data = json.loads(captured)["data"]
    assert pushed(event_of(data), data["seq"]) == captured


@pytest.mark.parametrize("captured", [*TRADE_TICKS, HK_BOOK])
def test_a_tick_over_http_is_the_same_bytes_as_that_of_the_live_service(captured: str) -> None:
    data = json.loads(captured)
    assert answered(event_of(data), int(data["seq"])) == captured


def test_the_turnover_of_an_index_is_the_source_s_own() -> None:
    data = json.loads(INDEX_TICK)
    assert answered(event_of(data, with_turnover=True), 9562886) == INDEX_TICK


def test_all_captures_beside_the_repository_are_written_as_they_were_received() -> None:
    if not CAPTURES.exists():
        pytest.skip(f"{CAPTURES} is not there: this check needs the captures beside the repository")
    captures = json.loads(CAPTURES.read_text(encoding="utf-8"))
    checked = 0
    for message in captures["ws_push"]:
        data = message.get("data") or {key: value for key, value in message.items() if key != "_note"}
        envelope = {"cmd_id": 22998 if "price" in data else 22999, "data": data}
        expected = json.dumps(envelope, separators=(",", ":"))
        assert pushed(event_of(data), data["seq"]) == expected
        checked += 1
    books = [
        *captures["http_depth_tick"]["envelope"]["data"]["tick_list"],
        captures["http_depth_tick"]["700.HK"],
    ]
    for data in [*captures["http_trade_tick"], *books]:
        index = CATALOGUE[data["code"]].market is Market.INDEX
        expected = json.dumps(data, separators=(",", ":"))
        assert answered(event_of(data, with_turnover=index), int(data["seq"])) == expected
        checked += 1
    assert checked >= 12


# Identifiers and names.
@pytest.mark.parametrize("captured", [GOLD_TRADE, TSLA_BOOK])
def test_legacy_identifiers_are_strings_and_nothing_else_changes(captured: str) -> None:
    data = json.loads(captured)["data"]
    legacy = json.loads(pushed(event_of(data), data["seq"], text_ids=True))["data"]
    assert legacy == data | {"seq": str(data["seq"]), "tick_time": str(data["tick_time"])}


def test_a_push_goes_under_the_name_that_was_asked_for() -> None:
    data = json.loads(GOLD_TRADE)["data"]
    encode = encoder(Kind.TRADE, "XAUUSD", CATALOGUE["GOLD"], 0, text_ids=False)
    assert opened(encode(event_of(data), data["seq"])).decode() == GOLD_TRADE.replace("GOLD", "XAUUSD")


# Turnover.
def turnover(code: str, price: str, volume: str, given: str | None = None) -> str:
    """The turnover that is written for a trade."""
    trade = Trade(code, 0, Decimal(price), Decimal(volume), None if given is None else Decimal(given))
    written: str = json.loads(pushed(trade, 1))["data"]["turnover"]
    return written


@pytest.mark.parametrize(
    ("code", "price", "volume", "written"),
    [
        ("BTCUSDT", "79317.70", "0.00357", "283.16"),
        ("BTCUSDT", "0.01", "0.5", "0.01"),
        ("BTCUSDT", "0.01", "0.49999", "0.00"),
        ("700.HK", "442.8", "3877600", "1717001280.000000"),
        ("AAPL.US", "0.0000005", "1", "0.000001"),
        ("600519.SH", "1284.06", "3", "385218.000000"),
        ("000300.SH", "4618.27", "1", "461827.000000"),
        ("GOLD", "4415.32", "0", "0.00"),
        ("GOLD", "999999999999999.99", "999999999999999.99", "999999999999999980000000000000.00"),
    ],
)
def test_turnover_is_price_times_volume_in_money_half_up(
    code: str, price: str, volume: str, written: str
) -> None:
    assert turnover(code, price, volume) == written


@pytest.mark.parametrize(("given", "written"), [("0", "0.00"), ("12.345", "12.35"), ("7", "7.00")])
def test_the_source_s_own_turnover_is_kept(given: str, written: str) -> None:
    assert turnover("GOLD", "4415.32", "8", given) == written


@given(
    st.sampled_from(["GOLD", "BTCUSDT", "700.HK", "600519.SH", "EURUSD"]),
    st.sampled_from(["GOLD", 'a"b\\c', "上证"]),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=9),
    st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**9),
    st.none() | st.decimals(allow_nan=False, allow_infinity=False, min_value=0, max_value=10**12, places=3),
)
def test_a_trade_is_written_as_its_message(
    code: str, name: str, price: Decimal, volume: Decimal, turnover: Decimal | None
) -> None:
    instrument = CATALOGUE[code]
    trade = Trade(code, 1788530573000, price, volume, turnover, 2, 7)
    frame = encoder(Kind.TRADE, name, instrument, 0, text_ids=False)(trade, 5)
    message = Push(22998, trade_data(name, instrument, trade, 5, text_ids=False))
    assert frame == text_frame(to_json(message))


def test_small_numbers_are_never_in_exponent_form() -> None:
    tiny = msgspec.structs.replace(
        CATALOGUE["BTCUSDT"], price_decimals=8, volume_decimals=8, turnover_decimals=8
    )
    encode = encoder(Kind.TRADE, "BTCUSDT", tiny, 0, text_ids=False)
    data = json.loads(opened(encode(Trade("BTCUSDT", 0, Decimal("1E-8"), Decimal("2E+3")), 1)))["data"]
    assert (data["price"], data["volume"], data["turnover"]) == ("0.00000001", "2000.00000000", "0.00002000")


# Sides of a book.
def sides(code: str, bids: int, asks: int, levels: int) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """What is sent of a book with so many levels, to one who asked for `levels`."""
    one = Book(
        code,
        0,
        tuple(Level(Decimal(50 - n), Decimal(n + 1)) for n in range(bids)),
        tuple(Level(Decimal(51 + n), Decimal(n + 1)) for n in range(asks)),
    )
    data = json.loads(pushed(one, 1, levels=levels))["data"]
    return data["bids"], data["asks"]


ZERO = {"price": "0.000000", "volume": "0"}


@pytest.mark.parametrize(
    ("code", "levels"), [("700.HK", 10), ("700.HK", 3), ("600519.SH", 5), ("AAPL.US", 1)]
)
def test_an_empty_side_has_as_many_zero_levels_as_were_asked_for(code: str, levels: int) -> None:
    bids, asks = sides(code, bids=2, asks=0, levels=levels)
    assert asks == [ZERO] * levels
    assert ZERO not in bids
    assert sides(code, bids=0, asks=2, levels=levels)[0] == [ZERO] * levels
    assert sides(code, bids=0, asks=0, levels=levels) == ([ZERO] * levels, [ZERO] * levels)


def test_zero_levels_have_the_decimals_of_the_instrument() -> None:
    assert sides("BTCUSDT", bids=0, asks=1, levels=2)[0] == [{"price": "0.00", "volume": "0.00000"}] * 2


@pytest.mark.parametrize(
    ("there", "asked", "sent"), [(1, 10, 1), (9, 10, 9), (10, 10, 10), (10, 4, 4), (3, 1, 1)]
)
def test_a_side_with_some_levels_is_cut_and_never_padded(there: int, asked: int, sent: int) -> None:
    bids, asks = sides("700.HK", bids=there, asks=there, levels=asked)
    assert [level["price"] for level in bids] == [f"{50 - n}.000000" for n in range(sent)]
    assert [level["price"] for level in asks] == [f"{51 + n}.000000" for n in range(sent)]
    assert [level["volume"] for level in asks] == [str(n + 1) for n in range(sent)]


# Frames: RFC 6455, 5.2.
@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x81\x00"),
        (1, b"\x81\x01"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65535, b"\x81\x7e\xff\xff"),
        (65536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_header_of_a_frame_tells_its_length_in_the_shortest_form(size: int, header: bytes) -> None:
    payload = b"x" * size
    assert text_frame(payload) == header + payload
    assert opened(text_frame(payload)) == payload


@settings(max_examples=50)
@given(st.integers(0, 70_000))
def test_a_frame_is_read_back_by_another_implementation(size: int) -> None:
    frame = text_frame(bytes(size))
    assert opened(frame) == bytes(size)
    if size > 65535:
        assert struct.unpack("!Q", frame[2:10]) == (size,)
    assert len(frame) - size == (2 if size < 126 else 4 if size < 65536 else 10)
