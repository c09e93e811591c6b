"""Scenarios that befall clients, on a real server: what a program sees on its socket."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ..serving import (
    CANCEL,
    DEPTH,
    HEARTBEAT,
    OTHER_HTTP,
    OTHER_WS,
    STOCK_HTTP,
    STOCK_WS,
    TRADE,
    Link,
    masked,
    upgrade,
)
from ..staging import Feed, Stage, at, staged

BTC = {"symbol_list": [{"code": "BTCUSDT"}]}
KLINE = {"code": "BTCUSDT", "kline_type": 1}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A server whose scenarios go by a clock that the test moves."""
    async with staged(tmp_path, Feed()) as stage:
        yield stage


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[Stage]:
    """A server in real time."""
    async with staged(tmp_path, Feed(), real_time=True) as stage:
        yield stage


async def closing(link: Link) -> tuple[int, str]:
    """Code and reason of the close that must come; 1006 if it comes without a frame."""
    try:
        while True:
            await link.recv()
    except ConnectionClosed as closed:
        return (closed.rcvd.code, closed.rcvd.reason) if closed.rcvd else (1006, "")


async def refusal(stage: Stage, token: str) -> tuple[int, dict[str, Any]]:
    """Status and body of the upgrade's refusal that must come."""
    with pytest.raises(InvalidStatus) as refused:
        async with stage.served.link(OTHER_WS, token):
            pass
    response = refused.value.response
    return response.status_code, msgspec.json.decode(response.body or b"")


# Disconnects.
async def test_a_connection_is_closed_with_a_code_after_its_seconds(stage: Stage) -> None:
    step = {"do": "disconnect", "after": 5, "code": 4001, "reason": "over and out", "family": "other"}
    number = await stage.begin(step)
    async with stage.served.link(STOCK_WS) as spared, stage.served.link() as link:
        await stage.at(4.9)
        await link.nothing()
        async with stage.served.link() as young:
            await stage.at(5)
            assert await closing(link) == (4001, "over and out")
            await stage.at(9.8)
            await young.nothing()
            await stage.at(9.9)
            assert await closing(young) == (4001, "over and out")
        await spared.nothing()
        await stage.stop(number)
        async with stage.served.link() as link:
            await stage.at(20)
            await link.nothing()


async def test_a_connection_by_its_number(stage: Stage) -> None:
    async with stage.served.link() as first, stage.served.link() as second:
        listed = (await stage.client.get("/admin/connections")).json()["connections"]
        await stage.begin({"do": "disconnect", "connections": [listed[1]["number"]]})
        assert await closing(second) == (1011, "")
        await first.nothing()


async def test_a_reset_is_one_of_tcp(stage: Stage) -> None:
    async with stage.served.raw(upgrade()) as raw, stage.served.link() as link:
        assert b"101 switching" in await raw.head()
        await stage.begin({"do": "disconnect", "reset": True})
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(raw.reader.read(), 120)
        assert await closing(link) == (1006, "")
    assert stage.served.engine.gateway.callers == {}


async def test_chance_falls_on_the_same_connections_of_each_token(stage: Stage) -> None:
    await stage.begin({"do": "disconnect", "chance": 0.5, "code": 4000})
    seen: dict[str, list[bool]] = {"a": [], "b": []}
    for _ in range(8):
        for token, cuts in seen.items():
            async with stage.served.link(token=token) as link:
                await stage.at(0)
                try:
                    await link.nothing()
                    cuts.append(False)
                except ConnectionClosed:
                    cuts.append(True)
    assert seen["a"] == seen["b"]
    assert {*seen["a"]} == {True, False}


async def test_the_nth_connection_counts_even_if_it_was_short(stage: Stage) -> None:
    """What befalls a client depends on what it did, not on when: it may be gone before anyone looked."""

    async def cuts(token: str, *, quick: bool) -> list[bool]:
        found = []
        for number in range(12):
            async with stage.served.link(token=token) as link:
                if quick and number % 2:
                    continue
                await stage.at(0)
                try:
                    await link.nothing()
                    found.append(False)
                except ConnectionClosed:
                    found.append(True)
        return found

    await stage.begin({"do": "disconnect", "chance": 0.5, "code": 4000})
    slow = await cuts("slow", quick=False)
    assert await cuts("quick", quick=True) == slow[::2]


# Refusals.
@pytest.mark.parametrize("status", [400, 403, 429, 499, 500, 503, 520, 599])
async def test_upgrades_are_refused(stage: Stage, status: int) -> None:
    async with stage.served.link() as before:
        number = await stage.begin({"do": "refuse", "status": status, "family": "other"})
        code, body = await refusal(stage, "t")
        assert (code, body["ret"], sorted(body)) == (status, status, ["msg", "ret", "trace"])
        await before.nothing()
        async with stage.served.link(STOCK_WS) as stock:
            await stock.nothing()
        assert (await stage.get(f"{OTHER_HTTP}/trade-tick", BTC))["ret"] == 200
        await stage.stop(number)
        async with stage.served.link() as after:
            await after.nothing()


# Answers.
@pytest.mark.parametrize(
    ("ret", "msg", "status"),
    [
        (400, "request data param invalid", 400),
        (401, "token invalid", 401),
        (402, "query invalid", 402),
        (429, "too many requests", 429),
        (600, "code invalid", 200),
        (601, "body empty", 400),
        (603, "token level not enough", 200),
        (604, "code unauthorized", 200),
        (605, "too many requests", 429),
    ],
)
async def test_any_answer_of_the_protocol(stage: Stage, ret: int, msg: str, status: int) -> None:
    number = await stage.begin({"do": "answer", "ret": ret})
    async with stage.served.link() as link:
        for cmd_id in (TRADE, DEPTH, CANCEL, HEARTBEAT):
            answer = await link.ask(cmd_id, BTC, seq_id=7, trace="é")
            head = {"cmd_id": cmd_id + 1, "seq_id": 7, "trace": "é", "data": {}}
            assert answer == {"ret": ret, "msg": msg, **head}
        stage.feed.emit(at(1))
        await link.nothing()  # none of the subscriptions holds
        for path in ("trade-tick", "depth-tick", "kline", "batch-kline"):
            method = "POST" if path == "batch-kline" else "GET"
            reply = await stage.served.request(method, f"{OTHER_HTTP}/{path}", params={"token": "t"})
            more = {"error_msg": "Too many requests"} if ret == 429 else {}
            assert (reply.status_code, reply.json()) == (
                status,
                {"ret": ret, "msg": msg, "trace": "", **more},
            )
            assert reply.headers["access-control-allow-origin"] == "*"
        await stage.stop(number)
        assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 200
        assert (await stage.get(f"{OTHER_HTTP}/kline", KLINE))["ret"] == 200


async def test_606_closes_as_in_the_protocol(stage: Stage) -> None:
    await stage.begin({"do": "answer", "ret": 606, "requests": [TRADE]})
    async with stage.served.link() as link:
        await link.nothing()
        assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 606
        assert (await closing(link))[0] == 1008


async def test_an_answer_of_ones_own_to_some_requests(stage: Stage) -> None:
    own = {"do": "answer", "ret": 12345, "msg": "out of tea", "status": 418}
    await stage.begin({**own, "requests": [TRADE, "/kline", "/api/suspension/nasdaq", "/v1/markets"]})
    async with stage.served.link() as link:
        answer = await link.subscribe(TRADE, "BTCUSDT")
        assert (answer["ret"], answer["msg"]) == (12345, "out of tea")
        assert (await link.subscribe(DEPTH, "BTCUSDT"))["ret"] == 200
    paths = {
        f"{OTHER_HTTP}/kline": 418,
        f"{STOCK_HTTP}/kline": 418,
        "/v1/markets": 418,
        "/api/suspension/nasdaq": 418,
        "/api/suspension/nyse": 200,
        f"{OTHER_HTTP}/trade-tick": 402,
    }
    found = {path: (await stage.served.get(path)).status_code for path in paths}
    assert found == paths


@pytest.mark.parametrize("status", [204, 205, 304, 404, 503, 599])
async def test_a_status_of_ones_own_leaves_the_connection_usable(stage: Stage, status: int) -> None:
    """Some carry no body (RFC 9110, section 6.4.1): what stood there would be read as the next answer."""
    step = {"do": "answer", "ret": 605, "status": status, "requests": ["/kline"]}
    answer = await stage.client.post("/admin/scenario", json={"step": [step]})
    if answer.status_code == 400:  # refused as a scenario: well and good
        return
    for _ in range(2):
        reply = await stage.client.get(f"{OTHER_HTTP}/kline", params={"token": "t"})
        assert reply.status_code == status
        assert (await stage.client.get("/healthz")).json() == {"status": "ok"}


async def test_answers_by_token_and_not_to_those_who_have_none(stage: Stage) -> None:
    await stage.begin({"do": "answer", "ret": 603, "tokens": ["a"]})
    rets = {}
    for token in ("a", "b", None):
        reply = await stage.served.get(f"{OTHER_HTTP}/trade-tick", {"data": BTC}, token=token)
        rets[token] = reply.json()["ret"]
    assert rets == {"a": 603, "b": 200, None: 401}


# Delays.
async def test_answers_come_late_in_order_and_others_do_not_wait(real: Stage) -> None:
    by = {"slow": 0.5, "stuck": 25}  # one that ends while the test looks, and one that does not
    await real.begin(*({"do": "delay", "by": seconds, "tokens": [token]} for token, seconds in by.items()))
    async with (
        real.served.link(token="slow") as slow,
        real.served.raw(upgrade(query="?token=stuck")) as stuck,
        real.served.link(token="quick") as quick,
    ):
        assert b"101" in await stuck.head()
        await stuck.send(masked(1, b'{"cmd_id":22000}'))
        began = time.monotonic()
        for number in range(30):
            await slow.send({"cmd_id": HEARTBEAT, "seq_id": number})
            await asyncio.sleep(0)
        await slow.send({"cmd_id": TRADE, "seq_id": 30, "data": BTC})
        for _ in range(5):
            assert (await quick.ask(HEARTBEAT))["ret"] == 200
        assert (await real.get(f"{OTHER_HTTP}/trade-tick", BTC))["ret"] == 200
        answers = [await slow.answer() for _ in range(31)]
        assert time.monotonic() - began >= 0.5
        assert [(one["seq_id"], one["ret"]) for one in answers] == [(number, 200) for number in range(31)]
        await real.emit(at(1))
        await slow.push()  # subscribed after all


async def test_no_answer_overtakes_another_when_the_delay_ends(real: Stage) -> None:
    number = await real.begin({"do": "delay", "by": 0.3})
    async with real.served.link() as link:
        await link.send({"cmd_id": HEARTBEAT, "seq_id": 1})
        await asyncio.sleep(0.05)  # so that the two come apart
        await real.stop(number)
        await link.send({"cmd_id": HEARTBEAT, "seq_id": 2})
        assert [(await link.answer())["seq_id"] for _ in range(2)] == [1, 2]
        async with asyncio.timeout(120):
            took = 0.3
            while took >= 0.3:  # for once: the machine may be busy otherwise
                began = time.monotonic()
                await link.ask(HEARTBEAT)
                took = time.monotonic() - began


async def test_delays_over_http_run_side_by_side(real: Stage) -> None:
    await real.begin({"do": "delay", "by": 0.4})
    began = time.monotonic()
    asked = (real.get(f"{OTHER_HTTP}/trade-tick", BTC) for _ in range(60))
    assert {answer["ret"] for answer in await asyncio.gather(*asked)} == {200}
    assert 0.4 <= time.monotonic() - began < 60 * 0.4  # one after another


async def test_a_client_may_leave_while_its_answers_wait(real: Stage) -> None:
    await real.begin({"do": "delay", "by": 0.2})
    for _ in range(3):
        async with real.served.raw(upgrade()) as raw:
            assert b"101" in await raw.head()
            await raw.send(b"\x81\x80\x00\x00\x00\x00" * 50)
    async with real.served.link() as link:
        assert (await link.ask(HEARTBEAT))["ret"] == 200
    assert len(real.served.engine.gateway.callers) <= 1


# Tokens.
async def test_tokens_expire_and_are_good_again(stage: Stage) -> None:
    path, invalid = f"{OTHER_HTTP}/trade-tick", {"ret": 401, "msg": "token invalid", "trace": ""}
    async with stage.served.link(token="a") as link, stage.served.link(token="b") as other:
        await stage.begin({"do": "expire-token", "at": 1, "for": 10, "tokens": ["a"]})
        await link.nothing()
        await stage.at(1)
        assert await closing(link) == (1008, "token expired")
        await other.nothing()
        reply = await stage.served.get(path, {"data": BTC}, token="a")
        assert (reply.status_code, reply.json()) == (401, invalid)
        assert await refusal(stage, "a") == (401, invalid)
        assert (await stage.served.get(path, {"data": BTC}, token="b")).status_code == 200
        await stage.at(11)
        assert (await stage.served.get(path, {"data": BTC}, token="a")).status_code == 200
        async with stage.served.link(token="a") as again:
            await again.nothing()
