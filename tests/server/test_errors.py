"""Every row of section 2's error table that is served so far, over a real socket."""

from __future__ import annotations

from typing import Any

import pytest

from ..serving import (
    CANCEL,
    DEPTH,
    DEPTH_PUSH,
    HEARTBEAT,
    OTHER_WS,
    STOCK_WS,
    TRADE,
    Script,
    Served,
    book,
    trade,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
alone = pytest.mark.asyncio(loop_scope="function")  # with a server of its own

HEADER = "request header param invalid"
DATA = "request data param invalid"
BTC = {"symbol_list": [{"code": "BTCUSDT"}]}


def refusal(ret: int, msg: str, cmd_id: int, seq_id: int = 0, trace: str = "") -> dict[str, Any]:
    return {"ret": ret, "msg": msg, "cmd_id": cmd_id, "seq_id": seq_id, "trace": trace, "data": {}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        "[]",
        "[1,2]",
        '"22000"',
        "22000",
        "null",
        "{'cmd_id':22000",
        '{"cmd_id":22000}x',
        '{"cmd_id":22000,"trace":"\\ud800"}',
        "[" * 5000,
        "1" * 5000,
    ],
)
async def test_what_is_no_json_object_is_400(plain: Served, text: str) -> None:
    async with plain.link() as link:
        await link.send(text)
        assert await link.answer() == refusal(400, HEADER, 0)
        await link.nothing()


async def test_the_bytes_of_an_error(plain: Served) -> None:
    async with plain.link() as link:
        await link.send({"cmd_id": 22004, "seq_id": 7, "trace": "é", "data": {"symbol_list": []}})
        text = await link.socket.recv()
    expected = f'{{"ret":400,"msg":"{DATA}","cmd_id":22005,"seq_id":7,"trace":"é","data":{{}}}}'
    assert text == expected


@pytest.mark.parametrize("cmd_id", [0, 1, 21999, 22001, 22003, 22008, 22999, 28002, 2**32 - 1])
async def test_an_unknown_command_is_400_and_echoed_plus_one(plain: Served, cmd_id: int) -> None:
    async with plain.link() as link:
        assert await link.ask(cmd_id) == refusal(400, HEADER, cmd_id + 1, 1, "t")


@pytest.mark.parametrize("cmd_id", [None, -1, 2**32, 10**30, 1.5, "", "abc", "-1", [], [22000], {}])
async def test_an_impossible_command_is_400_and_answered_with_0(plain: Served, cmd_id: object) -> None:
    async with plain.link() as link:
        await link.send({"cmd_id": cmd_id, "seq_id": 3, "trace": "x", "data": {}})
        answer = await link.answer()
    assert answer == refusal(400, HEADER, 0, 3, "x")


async def test_a_missing_command_is_400_and_answered_with_0(plain: Served) -> None:
    async with plain.link() as link:
        await link.send({"seq_id": 3, "trace": "x", "data": {}})
        assert await link.answer() == refusal(400, HEADER, 0, 3, "x")


@pytest.mark.parametrize("seq_id", [-1, 1.5, "abc", "", [], {}, 2**63])
async def test_an_impossible_seq_id_is_400(plain: Served, seq_id: object) -> None:
    async with plain.link() as link:
        answer = await link.ask(HEARTBEAT, seq_id=seq_id)
    assert answer == refusal(400, HEADER, 22001, 0, "t")


@pytest.mark.parametrize("trace", [5, 1.5, True, [], {}, "x" * 65, "é" * 65])
async def test_an_impossible_trace_is_400(plain: Served, trace: object) -> None:
    async with plain.link() as link:
        answer = await link.ask(HEARTBEAT, trace=trace)
    assert answer == refusal(400, HEADER, 22001, 1, "")


async def test_a_trace_is_64_characters_not_bytes(plain: Served) -> None:
    async with plain.link() as link:
        answer = await link.ask(HEARTBEAT, trace="黄" * 64)
    assert answer == {"ret": 200, "msg": "ok", "cmd_id": 22001, "seq_id": 1, "trace": "黄" * 64, "data": {}}


LISTS: list[object] = [
    None,
    {},
    [],
    "BTCUSDT",
    5,
    True,
    {"symbol_list": None},
    {"symbol_list": []},
    {"symbol_list": {}},
    {"symbol_list": "BTCUSDT"},
    {"symbol_list": 5},
    {"symbol_list": [None]},
    {"symbol_list": [5]},
    {"symbol_list": [[]]},
    {"symbol_list": [{}]},
    {"symbol_list": [{"code": None}]},
    {"symbol_list": [{"code": 5}]},
    {"symbol_list": [{"code": ["BTCUSDT"]}]},
    {"symbol_list": [{"code": "BTCUSDT"}, {}]},
    {"symbols": [{"code": "BTCUSDT"}]},
]


@pytest.mark.parametrize("command", [DEPTH, TRADE])
@pytest.mark.parametrize("data", LISTS, ids=str)
async def test_an_impossible_list_is_400(plain: Served, command: int, data: object) -> None:
    async with plain.link() as link:
        await link.send({"cmd_id": command, "seq_id": 1, "trace": "t", "data": data})
        assert await link.answer() == refusal(400, DATA, command + 1, 1, "t")


@pytest.mark.parametrize("command", [DEPTH, TRADE, CANCEL])
async def test_missing_data_is_400(plain: Served, command: int) -> None:
    async with plain.link() as link:
        await link.send({"cmd_id": command, "seq_id": 1, "trace": "t"})
        assert await link.answer() == refusal(400, DATA, command + 1, 1, "t")


@pytest.mark.parametrize("level", [-1, -100, 1.5, "five", "-1", "", [], {}, 2**32])
async def test_an_impossible_depth_level_is_400(plain: Served, level: object) -> None:
    async with plain.link() as link:
        answer = await link.ask(DEPTH, {"symbol_list": [{"code": "BTCUSDT", "depth_level": level}]})
    assert answer == refusal(400, DATA, 22003, 1, "t")


CANCELS: list[object] = [
    {},
    {"cancel_type": 4},
    {"cancel_type": -1},
    {"cancel_type": 99},
    {"cancel_type": "x"},
    {"cancel_type": ""},
    {"cancel_type": None},
    {"cancel_type": 1.5},
    {"cancel_type": []},
    {"cancel_type": {}},
]


@pytest.mark.parametrize("data", CANCELS, ids=str)
@alone
async def test_an_unknown_cancel_type_is_400_and_cancels_nothing(
    served: Served, script: Script, data: object
) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        assert await link.ask(CANCEL, data) == refusal(400, DATA, 22007, 1, "t")
        script.emit(trade())
        assert (await link.push())["cmd_id"] == 22998


@pytest.mark.parametrize("data", ["x", 5, 1.5, True, [1], [None]])
async def test_an_impossible_heartbeat_is_400(plain: Served, data: object) -> None:
    async with plain.link() as link:
        await link.send({"cmd_id": HEARTBEAT, "seq_id": 1, "trace": "t", "data": data})
        assert await link.answer() == refusal(400, DATA, 22001, 1, "t")


@pytest.mark.parametrize("command", [DEPTH, TRADE])
@pytest.mark.parametrize(
    ("path", "codes"),
    [
        (OTHER_WS, ["NOPE"]),
        (OTHER_WS, ["NOPE", "NEITHER"]),
        (OTHER_WS, [""]),
        (OTHER_WS, ["btcusdt"]),
        (OTHER_WS, [" BTCUSDT"]),
        (OTHER_WS, ["gold"]),
        (OTHER_WS, ["700.HK"]),
        (OTHER_WS, ["AAPL.US", ".DJI.US"]),
        (STOCK_WS, ["BTCUSDT"]),
        (STOCK_WS, ["GOLD", "XAUUSD", "EURUSD"]),
        (STOCK_WS, ["00700.HK"]),
        (STOCK_WS, ["aapl.us"]),
    ],
)
async def test_nothing_but_unknown_codes_is_600(
    plain: Served, command: int, path: str, codes: list[str]
) -> None:
    async with plain.link(path) as link:
        assert await link.subscribe(command, *codes) == refusal(600, "code invalid", command + 1, 1, "t")


@alone
async def test_unknown_codes_among_known_ones_are_dropped(served: Served, script: Script) -> None:
    async with served.link() as link:
        answer = await link.subscribe(TRADE, "NOPE", "BTCUSDT", "700.HK", "NEITHER", "ETHUSDT")
        assert (answer["ret"], answer["msg"]) == (200, "ok")
        script.emit(trade("700.HK"), trade("BTCUSDT"), trade("ETHUSDT"))
        assert [(await link.push())["data"]["code"] for _ in range(2)] == ["BTCUSDT", "ETHUSDT"]
        await link.nothing()


BAD: list[object] = [
    "no json",
    {"cmd_id": 22009},
    {"cmd_id": TRADE, "seq_id": [], "data": {"symbol_list": [{"code": "GOLD"}]}},
    {"cmd_id": TRADE, "trace": "x" * 65, "data": {"symbol_list": [{"code": "GOLD"}]}},
    {"cmd_id": TRADE, "data": {"symbol_list": []}},
    {"cmd_id": DEPTH, "data": {"symbol_list": []}},
    {"cmd_id": TRADE, "data": {"symbol_list": [{"code": "NOPE"}]}},
    {"cmd_id": DEPTH, "data": {"symbol_list": [{"code": "NOPE"}]}},
    {"cmd_id": TRADE, "data": {"symbol_list": [{"code": "GOLD"}, {"code": 5}]}},
    {"cmd_id": DEPTH, "data": {"symbol_list": [{"code": "GOLD", "depth_level": -1}]}},
    {"cmd_id": CANCEL, "data": {"cancel_type": 4}},
]


@pytest.mark.parametrize("bad", BAD, ids=str)
@alone
async def test_after_an_error_the_connection_and_its_lists_go_on(
    served: Served, script: Script, bad: object
) -> None:
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        await link.subscribe(DEPTH, "BTCUSDT", "ETHUSDT")
        await link.send(bad)
        assert (await link.answer())["ret"] != 200
        script.emit(trade("GOLD"), book("GOLD", 1), trade(), book(), book("ETHUSDT"))
        pushes = [await link.push() for _ in range(3)]
        assert {(push["cmd_id"], push["data"]["code"]) for push in pushes} == {
            (22998, "BTCUSDT"),
            (DEPTH_PUSH, "BTCUSDT"),
            (DEPTH_PUSH, "ETHUSDT"),
        }
        await link.nothing()


async def test_a_hundred_errors_in_a_row_are_all_answered(plain: Served) -> None:
    async with plain.link() as link:
        for number in range(100):
            await link.send({"cmd_id": 5, "seq_id": number})
        assert [(await link.answer())["seq_id"] for _ in range(100)] == list(range(100))
        assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 200
