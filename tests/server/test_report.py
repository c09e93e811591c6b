"""What a client did that the documents do not allow: /admin/connections, the log, the handles of a test."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import ConnectionClosed

from tickwire.wire.deviation import MOST_DETAILS

from ..serving import (
    CANCEL,
    DEPTH,
    HEARTBEAT,
    OTHER_HTTP,
    TRADE,
    Link,
    Script,
    Served,
    masked,
    serving,
    upgrade,
)
from .reports import alone, codes, counts, listed
from .test_heartbeat import ticking

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOGGED = "a client did what the documents do not allow"


async def report(served: Served) -> dict[str, int]:
    """That of the only connection."""
    (one,) = (await listed(served))["connections"]
    return counts(one["deviations"])


def request(cmd_id: object, data: object, **more: object) -> str:
    return json.dumps({"cmd_id": cmd_id, "seq_id": 1, "trace": "t", "data": data} | more)


# What is sent on the path of crypto, and the report; that of a strict server if it is another.
MESSAGES: dict[str, tuple[str, dict[str, int], dict[str, int] | None]] = {
    "as documented": (request(TRADE, codes("BTCUSDT", "GOLD")), {}, None),
    "no JSON": ("ping", {"not_json": 1}, None),
    "no object": ("[1]", {"not_json": 1}, None),
    "single quotes": (
        "{'cmd_id':22000,'seq_id':1,'trace':'','data':{}}",
        {"lenient_json": 1},
        None,
    ),
    "a heartbeat of another number": (request(22998, {}), {"heartbeat_number: 22998": 1}, None),
    "a heartbeat of number 0": (request(0, {"symbol_list": None}), {"heartbeat_number: 0": 1}, None),
    "an unknown command": (request(22010, codes("GOLD")), {"unknown_command: 22010": 1}, None),
    "no cmd_id": ('{"seq_id":1,"trace":"","data":{}}', {"missing_field: cmd_id": 1}, None),
    "a bare heartbeat": (
        '{"cmd_id":22000,"data":{}}',
        {"missing_field: seq_id": 1, "missing_field: trace": 1},
        None,
    ),
    "null": (request(HEARTBEAT, {}, trace=None), {"null_field: trace": 1}, None),
    "a field more": (request(HEARTBEAT, {}, extra=1), {"unknown_field: extra": 1}, None),
    "texts for numbers": (
        request(DEPTH, {"symbol_list": [{"code": "BTCUSDT", "depth_level": "5"}]}, seq_id="1"),
        {"number_as_text: seq_id": 1, "number_as_text: depth_level": 1},
        {"impossible_value: seq_id: Expected `int`, got `str`": 1},
    ),
    "a large seq_id": (
        request(HEARTBEAT, {}, seq_id=2**53),
        {"large_seq_id": 1},
        {"impossible_value: seq_id: Expected `int` <= 4294967295": 1},
    ),
    "a heartbeat's list": (request(HEARTBEAT, []), {"empty_data": 1}, None),
    "a long trace": (
        request(HEARTBEAT, {}, trace="x" * 65),
        {"impossible_value: trace: Expected `str` of length <= 64": 1},
        None,
    ),
    "an empty list": (
        request(TRADE, codes()),
        {"impossible_value: Expected `array` of length >= 1 - at `$.symbol_list`": 1},
        None,
    ),
    "an unknown cancel": (
        request(CANCEL, {"cancel_type": 9}),
        {"impossible_value: Expected `int` <= 3 - at `$.cancel_type`": 1},
        None,
    ),
    "plain codes": (request(TRADE, {"symbol_list": ["BTCUSDT", "GOLD"]}), {"plain_code": 2}, None),
    "symbols": (request(TRADE, {"symbol_list": [{"symbol": "GOLD"}]}), {"symbol_for_code": 1}, None),
    "twice the same": (request(TRADE, codes("GOLD", "GOLD")), {"duplicate_code: GOLD": 1}, None),
    "an alias": (request(TRADE, codes("XAUUSD")), {"alias: XAUUSD": 1}, None),
    "the other family": (request(TRADE, codes("700.HK", "GOLD")), {"other_family: 700.HK": 1}, None),
    "unknown codes": (
        request(TRADE, codes("gold", "\u9ec4\n", "GOLD")),
        {"unknown_code: gold": 1, "unknown_code: ?": 1},
        None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("server", ["plain", "strict"])
@pytest.mark.parametrize("name", MESSAGES)
async def test_what_a_message_does(plain: Served, strict: Served, name: str, server: str) -> None:
    served = plain if server == "plain" else strict
    sent, lenient, exact = MESSAGES[name]
    async with served.link() as link:
        for times in (1, 2):
            await link.send(sent)
            await link.answer()
            expected = lenient if server == "plain" or exact is None else exact
            assert await report(served) == {name: count * times for name, count in expected.items()}


async def test_a_connection_without_a_deviation_is_no_line_of_the_log(plain: Served) -> None:
    with capture_logs() as logged:
        async with plain.link() as link:
            await link.subscribe(TRADE, "BTCUSDT")
            await link.ask(HEARTBEAT)
        await ended(plain)
    assert logged == []


async def ended(served: Served) -> None:
    """Returns when no connection is open."""
    async with asyncio.timeout(120):
        while served.engine.gateway.callers:  # noqa: ASYNC110  # who leaves tells nobody
            await asyncio.sleep(0.001)


@alone
async def test_one_line_of_the_log_at_the_end_of_a_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, Script()) as served:
        with capture_logs() as logged:
            async with served.link(token="secret-text") as link:
                for _ in range(3):
                    await link.ask(22998)
                await link.ask(TRADE, codes(*(f"NO{number}" for number in range(20))))
                assert logged == []
            await ended(served)
    (line,) = logged
    names = {"unknown_code": 10, "heartbeat_number: 22998": 3}
    names |= {f"unknown_code: NO{number}": 1 for number in range(8)}
    assert line == {
        "event": LOGGED,
        "log_level": "info",
        "connection": 1,
        "token": None,
        "deviations": names,
        "others": 2,
    }
    assert "secret-text" not in str(line)


@alone
async def test_a_token_in_a_header_alone_is_no_line_of_the_log(tmp_path: Path) -> None:
    """The terminal sends it so, and in a subprotocol, which no program of AllTick's does by mistake."""
    async with serving(tmp_path, Script()) as served:
        bearer = {"Authorization": "Bearer t"}
        with capture_logs() as logged:
            async with served.link(token=None, subprotocols=["tickwire", "tickwire.token.dA"]):
                assert await report(served) == {}
            asked = {"trace": "", "data": codes("GOLD")}
            await served.get(f"{OTHER_HTTP}/trade-tick", asked, token=None, headers=bearer)
            async with served.link(token=None, additional_headers=bearer):
                found = await listed(served)
                for one in (*found["connections"], *found["http"]):
                    assert counts(one["deviations"]) == {"token_in_header": 1}
            await ended(served)
            assert logged == []
            await served.get(f"{OTHER_HTTP}/trade-tick", "[]", token=None, headers=bearer)
        assert [line["deviations"] for line in logged] == [{"token_in_header": 1, "not_json": 1}]


@alone
async def test_the_upgrade_binary_frames_and_what_ends_a_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, Script()) as served:
        with capture_logs() as logged:
            async with served.link(token=None, additional_headers={"token": "t"}) as link:
                await link.send(b'{"cmd_id":22000,"seq_id":1,"trace":"","data":{}}')
                await link.answer()
                assert await report(served) == {"token_in_header": 1, "binary_frame": 1}
                await link.send("x" * (2**20 + 1))
                with pytest.raises(ConnectionClosed):
                    await link.recv()
            for bad, code in ((masked(1, b"\xff"), 1007), (masked(3, b"x"), 1002)):
                async with served.raw(upgrade()) as raw:
                    await raw.head()
                    await raw.send(bad)
                    assert (await raw.closing())[0] == code
            await ended(served)
    assert [line["deviations"] for line in logged if line["event"] == LOGGED] == [
        {"token_in_header": 1, "binary_frame": 1, "broken_frame: 1009": 1},
        {"broken_frame: 1007": 1},
        {"broken_frame: 1002": 1},
    ]


async def pinged(link: Link) -> None:
    await (await link.socket.ping())


@alone
async def test_pings_for_heartbeats_and_heartbeats_that_come_late(tmp_path: Path) -> None:
    async with ticking(tmp_path) as (served, clock, link):
        for second in (10, 15):
            await clock.pass_to(second)
            await pinged(link)
        assert await report(served) == {}
        for second in (20, 30):
            await clock.pass_to(second)
            await pinged(link)
        assert await report(served) == {"ping_for_heartbeat": 2}
        await link.ask(HEARTBEAT)
        await clock.pass_to(45)
        await link.ask(HEARTBEAT)
        assert await report(served) == {"ping_for_heartbeat": 2}
        await clock.pass_to(61)
        await link.ask(HEARTBEAT)
        assert await report(served) == {"ping_for_heartbeat": 2, "late_heartbeat": 1}


@alone
async def test_a_client_that_is_cut_for_its_heartbeats_has_them_in_its_report(tmp_path: Path) -> None:
    with capture_logs() as logged:
        async with ticking(tmp_path) as (_, clock, link):
            for second in (10, 20, 29):
                await clock.pass_to(second)
                assert (await link.ask(22998))["cmd_id"] == 0
            clock.now = 1030.0
            async with asyncio.timeout(120):
                await link.socket.wait_closed()
    (line,) = [line for line in logged if line["event"] == LOGGED]
    assert line["deviations"] == {"heartbeat_number: 22998": 3, "heartbeat_timeout": 1}


PLAN = {"codes": 1, "http_codes": 1, "subscriptions": "1/60s", "endpoint": "1/60s"}


@alone
async def test_what_a_plan_leaves_out_and_refuses(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"plans": {"small": PLAN}, "plan": "small"}
    async with serving(tmp_path, Script(), **settings) as served, served.link() as link:
        assert (await link.subscribe(TRADE, "GOLD", "BTCUSDT", "EURUSD"))["ret"] == 200
        assert (await link.subscribe(TRADE, "GOLD"))["ret"] == 605
        assert await report(served) == {"codes_left_out": 2, "too_fast: 22004": 1}
        for _ in range(2):
            await served.get(f"{OTHER_HTTP}/trade-tick", {"trace": "", "data": codes("GOLD", "EURUSD")})
        (http,) = (await listed(served))["http"]
        assert counts(http["deviations"]) == {"codes_left_out": 1, "too_fast: trade-tick": 1}


async def test_a_report_is_bounded(plain: Served) -> None:
    async with plain.link() as link:
        for first in range(0, 3000, 1000):
            await link.ask(TRADE, codes(*(f"NO{number}" for number in range(first, first + 1000))))
        await link.send(json.dumps({f"field{number}" * 50: 1 for number in range(1000)}))
        await link.answer()
        found = await report(plain)
    assert len(found) <= 3 * (MOST_DETAILS + 1)
    assert sum(count for name, count in found.items() if name.startswith("unknown_code")) == 3000
    assert max(map(len, found)) < 100
