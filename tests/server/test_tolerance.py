"""What real clients send, and must be answered (section 2), by name; `strict_protocol` refuses it."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

from ..serving import CANCEL, DEPTH, HEARTBEAT, TRADE, Script, Served, book, masked, trade, upgrade

pytestmark = pytest.mark.asyncio(loop_scope="module")
alone = pytest.mark.asyncio(loop_scope="function")  # with a server of its own

HEADER, DATA = "request header param invalid", "request data param invalid"
BTC = {"symbol_list": [{"code": "BTCUSDT"}]}
NOW = 1788529064027


def request(cmd_id: object = HEARTBEAT, data: object = None, **more: object) -> dict[str, object]:
    """A request as documented, but for what is given."""
    return {"cmd_id": cmd_id, "seq_id": 1, "trace": "t", "data": {} if data is None else data} | more


def without(*names: str, cmd_id: int = HEARTBEAT) -> dict[str, object]:
    return {name: value for name, value in request(cmd_id).items() if name not in names}


def answer(cmd_id: int, seq_id: int = 1, trace: str = "t", ret: int = 200, msg: str = "ok") -> dict[str, Any]:
    return {"ret": ret, "msg": msg, "cmd_id": cmd_id, "seq_id": seq_id, "trace": trace, "data": {}}


TOLERATED = {
    # name: request, answer, the answer's (cmd_id, msg) under strict_protocol
    "seq_id Date.now()": (request(seq_id=NOW), answer(22001, NOW), (22001, HEADER)),
    "seq_id 2^53": (request(seq_id=2**53), answer(22001, 2**53), (22001, HEADER)),
    "seq_id missing": (without("seq_id"), answer(22001, 0), (22001, HEADER)),
    "trace missing": (without("trace"), answer(22001, 1, ""), (22001, HEADER)),
    "data missing": (without("data"), answer(22001), (22001, HEADER)),
    "all missing": (without("seq_id", "trace", "data"), answer(22001, 0, ""), (22001, HEADER)),
    "seq_id null": (request(seq_id=None), answer(22001, 0), (22001, HEADER)),
    "trace null": (request(trace=None), answer(22001, 1, ""), (22001, HEADER)),
    "heartbeat with data null": ({**request(), "data": None}, answer(22001), (22001, DATA)),
    "heartbeat with data []": (request(data=[]), answer(22001), (22001, DATA)),
    "heartbeat with symbol_list null": (request(data={"symbol_list": None}), answer(22001), (22001, DATA)),
    "heartbeat with a list": (request(data=BTC), answer(22001), (22001, DATA)),
    "cmd_id a string": (request("22000"), answer(22001), (0, HEADER)),
    "seq_id a string": (request(seq_id="123"), answer(22001, 123), (22001, HEADER)),
    "subscription with cmd_id a string": (request("22004", BTC), answer(22005), (0, HEADER)),
    "depth_level a string": (
        request(DEPTH, {"symbol_list": [{"code": "BTCUSDT", "depth_level": "5"}]}),
        answer(22003),
        (22003, DATA),
    ),
    "depth_level null": (
        request(DEPTH, {"symbol_list": [{"code": "BTCUSDT", "depth_level": None}]}),
        answer(22003),
        None,
    ),
    "cancel_type a string": (request(CANCEL, {"cancel_type": "0"}), answer(22007), (22007, DATA)),
    "plain strings": (request(TRADE, {"symbol_list": ["BTCUSDT", "GOLD"]}), answer(22005), (22005, DATA)),
    "plain strings for depth": (request(DEPTH, {"symbol_list": ["BTCUSDT"]}), answer(22003), (22003, DATA)),
    "symbol for code": (
        request(TRADE, {"symbol_list": [{"symbol": "BTCUSDT"}]}),
        answer(22005),
        (22005, DATA),
    ),
    "symbol for code, with a level": (
        request(DEPTH, {"symbol_list": [{"symbol": "BTCUSDT", "depth_level": 5}]}),
        answer(22003),
        (22003, DATA),
    ),
    "duplicates": (
        request(TRADE, {"symbol_list": [{"code": "BTCUSDT"}, {"code": "BTCUSDT"}]}),
        answer(22005),
        (22005, DATA),
    ),
    "single quotes": (
        "{'cmd_id': 22000, 'seq_id': 1, 'trace': 'it\\'s', 'data': {}}",
        answer(22001, trace="it's"),
        (0, HEADER),
    ),
    "trailing commas": (
        '{"cmd_id":22004,"seq_id":1,"trace":",}","data":{"symbol_list":[{"code":"BTCUSDT",}, ]},\n}',
        answer(22005, trace=",}"),
        (0, HEADER),
    ),
    "the vendor's example in PHP has both": (
        "{'cmd_id':22002,'seq_id':1,'trace':'t','data':{'symbol_list':[{'code':'BTCUSDT','depth_level':5,},],}}",
        answer(22003),
        (0, HEADER),
    ),
    "a byte-order mark": (
        "\ufeff" + msgspec.json.encode(request(TRADE, BTC)).decode(),
        answer(22005),
        (0, HEADER),
    ),
    "a field more in the envelope": (request(extra=1), answer(22001), (22001, HEADER)),
    "a field more in the data": (request(TRADE, {**BTC, "extra": None}), answer(22005), (22005, DATA)),
    "a field more in an entry": (
        request(TRADE, {"symbol_list": [{"code": "BTCUSDT", "depth_level": 5}]}),
        answer(22005),
        (22005, DATA),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", TOLERATED)
async def test_it_is_answered(plain: Served, name: str) -> None:
    sent, expected, _ = TOLERATED[name]
    async with plain.link() as link:
        await link.send(sent)
        assert await link.answer() == expected


@pytest.mark.parametrize("name", [name for name, case in TOLERATED.items() if case[2]])
async def test_strict_protocol_refuses_it(strict: Served, name: str) -> None:
    sent, _, refused = TOLERATED[name]
    assert refused is not None
    async with strict.link() as link:
        await link.send(sent)
        found = await link.answer()
        assert (found["ret"], found["cmd_id"], found["msg"], found["data"]) == (400, *refused, {})
        assert (await link.ask(HEARTBEAT))["ret"] == 200  # it stays open


async def test_strict_protocol_takes_what_is_documented(strict: Served) -> None:
    async with strict.link() as link:
        assert await link.ask(HEARTBEAT) == answer(22001)
        assert await link.ask(TRADE, BTC) == answer(22005)
        assert await link.ask(DEPTH, BTC) == answer(22003)
        level = {"symbol_list": [{"code": "BTCUSDT", "depth_level": 5}, {"code": "GOLD", "depth_level": 0}]}
        assert await link.ask(DEPTH, level, seq_id=2**32 - 1) == answer(22003, 2**32 - 1)
        assert await link.ask(CANCEL, {"cancel_type": 0}, trace="") == answer(22007, trace="")


async def test_strict_protocol_knows_no_alias(strict: Served, plain: Served) -> None:
    alias = {"symbol_list": [{"code": "XAUUSD"}]}
    async with plain.link() as link:
        assert await link.ask(TRADE, alias) == answer(22005)
    async with strict.link() as link:
        assert await link.ask(TRADE, alias) == answer(22005, ret=600, msg="code invalid")


async def test_strict_protocol_refuses_a_value_of_the_subscription_and_leaves_the_list(
    strict: Served,
) -> None:
    async with strict.link() as link:
        await link.ask(TRADE, BTC)
        assert (await link.ask(TRADE, {"symbol_list": ["GOLD"]}))["ret"] == 400
        script = strict.engine.market.source
        assert isinstance(script, Script)
        script.emit(trade("GOLD"), trade())
        assert (await link.push())["data"]["code"] == "BTCUSDT"


@pytest.mark.parametrize("data", ["null", "[]", "{}", '{"symbol_list":null}'])
async def test_a_heartbeat_before_any_subscription(plain: Served, data: str) -> None:
    async with plain.link() as link:
        await link.send(f'{{"cmd_id":22000,"seq_id":9,"trace":"h","data":{data}}}')
        assert await link.recv() == answer(22001, 9, "h")


@pytest.mark.parametrize("server", ["plain", "strict"])
async def test_no_error_looks_like_a_push(plain: Served, strict: Served, server: str) -> None:
    async with (plain if server == "plain" else strict).link() as link:
        for number in (22997, 22998, 28996, 28997):
            assert await link.ask(number) == answer(0, ret=400, msg=HEADER)
        for number in (22999, 0, 28998):
            assert await link.ask(number) == answer(number + 1, ret=400, msg=HEADER)


@alone
async def test_trades_and_depth_back_to_back_with_one_seq_id(served: Served, script: Script) -> None:
    async with served.raw(upgrade()) as raw:
        assert (await raw.head()).startswith(b"http/1.1 101")
        both = b"".join(
            masked(
                1, b'{"cmd_id":%d,"seq_id":5,"trace":"x","data":{"symbol_list":[{"code":"BTCUSDT"}]}}' % cmd
            )
            for cmd in (TRADE, DEPTH)
        )
        await raw.send(both)  # one write: the same millisecond
        for cmd in (b"22005", b"22003"):
            assert (await raw.frame())[1] == (
                b'{"ret":200,"msg":"ok","cmd_id":%b,"seq_id":5,"trace":"x","data":{}}' % cmd
            )
        script.emit(trade(), book())
        assert (await raw.frame())[1].startswith(b'{"cmd_id":22998,')
        assert (await raw.frame())[1].startswith(b'{"cmd_id":22999,')


@alone
async def test_a_code_named_twice_is_pushed_once(served: Served, script: Script) -> None:
    async with served.link() as link:
        twice = {"symbol_list": ["BTCUSDT", {"code": "BTCUSDT"}, {"symbol": "BTCUSDT"}]}
        assert (await link.ask(TRADE, twice))["ret"] == 200
        script.emit(trade())
        assert (await link.push())["data"]["code"] == "BTCUSDT"
        await link.nothing()


@alone
async def test_a_level_in_a_string_counts(served: Served, script: Script) -> None:
    async with served.link() as link:
        await link.ask(DEPTH, {"symbol_list": [{"symbol": "BTCUSDT", "depth_level": "2"}]})
        script.emit(book())
        assert len((await link.push())["data"]["bids"]) == 2


async def test_text_that_is_no_json_leaves_the_connection_open(plain: Served) -> None:
    async with plain.link() as link:
        for text in ("ping", "", "PING\n", "<xml/>"):
            await link.send(text)
            assert await link.answer() == answer(0, 0, "", 400, HEADER)
        assert await link.ask(HEARTBEAT) == answer(22001)


async def test_a_binary_frame_is_read_as_text_is(plain: Served, strict: Served) -> None:
    async with plain.link() as link:
        await link.send(b'{"cmd_id":22000,"seq_id":4}')
        assert await link.answer() == answer(22001, 4, "")
        await link.send(b"\xff\xfe")
        assert await link.answer() == answer(0, 0, "", 400, HEADER)
    async with strict.link() as link:
        await link.send(b'{"cmd_id":22000,"seq_id":4,"trace":"","data":{}}')
        with pytest.raises(ConnectionClosed):
            await link.recv()
        assert link.socket.close_code == CloseCode.UNSUPPORTED_DATA


async def test_protocol_pings_are_answered_with_their_payload(plain: Served) -> None:
    async with plain.raw(upgrade()) as raw:
        await raw.head()
        for payload in (b"", b"keepalive", b"\0" * 125):
            await raw.send(masked(9, payload))
            assert await raw.frame() == (10, payload)


@pytest.mark.parametrize("server", ["plain", "strict"])
async def test_a_message_over_1_mib_closes_with_1009(plain: Served, strict: Served, server: str) -> None:
    async with (plain if server == "plain" else strict).link() as link:
        await link.send("x" * (2**20 + 1))
        with pytest.raises(ConnectionClosed):
            await link.recv()
        assert link.socket.close_code == CloseCode.MESSAGE_TOO_BIG


async def test_whoever_sends_5_mb_can_send_it_all_and_read_why_it_is_refused(plain: Served) -> None:
    """A client whose transport still holds bytes when our side ends cannot say goodbye (asyncio of 3.11)."""
    for _ in range(20):
        async with plain.link() as link:
            with contextlib.suppress(ConnectionClosed):
                await link.send("x" * 5_000_000)
            with pytest.raises(ConnectionClosed) as closed:
                await link.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CloseCode.MESSAGE_TOO_BIG


async def test_a_message_of_1_mib_is_read(plain: Served) -> None:
    text = '{"cmd_id":22000,"seq_id":8,"data":{"x":"%s"}}'
    async with plain.link() as link:
        await link.send(text % ("x" * (2**20 - len(text) + 2)))
        assert await link.answer() == answer(22001, 8, "")


async def test_fragments_over_1_mib_close_with_1009(plain: Served) -> None:
    async with plain.raw(upgrade()) as raw:
        await raw.head()
        await raw.send(masked(1, b"x" * 2**19, fin=False))
        await raw.send(masked(0, b"x" * 2**19, fin=False))
        await raw.send(masked(0, b"x"))
        assert (await raw.closing())[0] == CloseCode.MESSAGE_TOO_BIG


async def test_fragments_are_joined_with_a_ping_between_them(plain: Served) -> None:
    async with plain.raw(upgrade()) as raw:
        await raw.head()
        text = '{"cmd_id":22000,"seq_id":6,"trace":"黄"}'.encode()
        cut = text.index("黄".encode()) + 1  # inside of a character
        await raw.send(masked(1, text[:3], fin=False) + masked(9, b"p") + masked(0, text[3:cut], fin=False))
        await raw.send(masked(0, b"", fin=False) + masked(0, text[cut:]))
        assert await raw.frame() == (10, b"p")
        assert (await raw.frame())[1].decode() == (
            '{"ret":200,"msg":"ok","cmd_id":22001,"seq_id":6,"trace":"黄","data":{}}'
        )


@pytest.mark.parametrize("bad", [b"\xff", b"\xc3", b"\xed\xa0\x80", b'{"cmd_id":22000,"trace":"\xe9"}'])
@pytest.mark.parametrize("parts", [1, 2])
async def test_text_that_is_not_utf_8_closes_with_1007(plain: Served, bad: bytes, parts: int) -> None:
    async with plain.raw(upgrade()) as raw:
        await raw.head()
        await raw.send(masked(1, bad) if parts == 1 else masked(1, bad[:1], fin=False) + masked(0, bad[1:]))
        assert (await raw.closing())[0] == CloseCode.INVALID_DATA


@pytest.mark.parametrize(
    "bad",
    [
        b"\x81\x05hello",  # not masked
        masked(3, b"x"),
        masked(11, b"x"),
        masked(1, b"{}", rsv=4),
        masked(0, b"{}"),
        masked(1, b"{}", fin=False) + masked(1, b"{}"),
        masked(9, b"x" * 126),
        masked(9, b"x", fin=False),
        masked(8, b"\x03"),
        masked(8, b"\x03\xe8\xff"),
        masked(8, b"\x03\xed"),
    ],
)
async def test_a_broken_frame_closes_the_connection(plain: Served, bad: bytes) -> None:
    async with plain.raw(upgrade()) as raw:
        await raw.head()
        await raw.send(bad)
        assert (await raw.closing())[0] in (CloseCode.PROTOCOL_ERROR, CloseCode.INVALID_DATA)
        assert await raw.rest() == b""  # and the socket ends


async def test_a_client_that_closes_is_answered_in_kind(plain: Served) -> None:
    async with plain.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.socket.close(4001, "done")
        assert (link.socket.close_code, link.socket.close_reason) == (4001, "done")


async def test_compression_is_declined(plain: Served) -> None:
    async with plain.raw(upgrade(more="Sec-WebSocket-Extensions: permessage-deflate\r\n")) as raw:
        head = await raw.head()
        assert head.startswith(b"http/1.1 101")
        assert b"extensions" not in head
