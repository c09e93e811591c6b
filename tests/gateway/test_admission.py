"""Stored tokens over real sockets: who is let in, what they may read, and how soon one counts no more."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from tickwire.access import Token, digest_of, new_secret
from tickwire.config import DATABASE
from tickwire.gateway import admission
from tickwire.model import Market
from tickwire.server.usage import token_uses
from tickwire.store import open_tokens
from tickwire.store.tokens import KEY_FILE

from ..server.bench import TODAY, Clock, closed, is_open, issue
from ..serving import (
    DEPTH,
    HEARTBEAT,
    OTHER_HTTP,
    OTHER_WS,
    STOCK_HTTP,
    STOCK_WS,
    TRADE,
    Script,
    Served,
    book,
    serving,
    trade,
    upgrade,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

REQUIRED = b'{"msg":"token is required","trace":"","ret":401}'
INVALID = b'{"msg":"token invalid","trace":"","ret":401}'
UNAUTHORIZED = {"msg": "code unauthorized", "trace": "t", "ret": 604}
UNKNOWN = {"msg": "code invalid", "trace": "t", "ret": 600}
HTTP_PATHS = (f"{OTHER_HTTP}/kline", f"{STOCK_HTTP}/static_info", f"{OTHER_HTTP}/no", "/api/suspension/sse")
FORMS: dict[str, Callable[[str], tuple[str, str]]] = {
    "url": lambda token: (f"?token={token}", ""),
    "bearer": lambda token: ("", f"Authorization: Bearer {token}\r\n"),
    "lower case": lambda token: ("", f"authorization: bearer  {token} \r\n"),
    "header": lambda token: ("", f"Token: {token}\r\n"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def guarded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A server with these tokens: `all`, and `some` for crypto, for GOLD and for AAPL.US."""
    folder = tmp_path_factory.mktemp("guarded")
    script = Script()
    add(folder, "all")
    add(
        folder,
        "some",
        markets=frozenset({Market.CRYPTO}),
        codes=frozenset({"GOLD", "AAPL.US"}),
    )
    add(folder, "expired", expires=int(time.time() * 1000))
    add(folder, "revoked", revoked=1)
    async with serving(folder, script) as served:
        for code in ("BTCUSDT", "GOLD", "Silver", "AAPL.US", "700.HK"):
            script.emit(trade(code), book(code))
        async with served.link(token="all") as link:
            while served.engine.market.events < 10:
                await link.ask(HEARTBEAT)
        yield served


def add(data_dir: Path, text: str, **fields: Any) -> None:
    """A token of that very text and name."""
    with open_tokens(data_dir / DATABASE) as store:
        digest = digest_of(text, store.key())
        store.add(Token(id=f"id {text}", digest=digest, name=text, plan="unlimited", **fields))


def get(path: str, query: str = "", more: str = "") -> bytes:
    return f"GET {path}{query} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n".encode()


async def answered(served: Served, request: bytes) -> tuple[list[bytes], bytes]:
    """The answer's status line and headers, but for the date, and the body."""
    async with served.raw(request) as raw:
        head = (await raw.head()).split(b"\r\n")
        return [line for line in head if not line.startswith(b"date:")], await raw.rest()


# Who is let in.
@pytest.mark.parametrize("form", FORMS)
async def test_a_token_is_taken_from_the_url_or_a_header(guarded: Served, form: str) -> None:
    for text, allowed in (("all", True), ("some", True), ("unknown", False)):
        query, more = FORMS[form](text)
        for path in HTTP_PATHS:
            (status, *_), body = await answered(guarded, get(path, query, more))
            assert (b" 401 " not in status) is allowed
            assert (body != INVALID) is allowed
        for path in (OTHER_WS, STOCK_WS):
            async with guarded.raw(upgrade(path, query, more)) as raw:
                assert (await raw.head()).startswith(b"http/1.1 101 " if allowed else b"http/1.1 401 ")
                if not allowed:
                    assert await raw.rest() == INVALID


@pytest.mark.parametrize("form", FORMS)
async def test_the_answer_does_not_tell_an_expired_token_from_an_unknown_one(
    guarded: Served, form: str
) -> None:
    requests = [(make, path) for make in (get, upgrade) for path in (OTHER_WS, STOCK_WS)]
    for make, path in [*requests, *((get, path) for path in HTTP_PATHS)]:
        found = []
        for text in ("unknown", "expired", "revoked", "al", "all%20", "id%20all"):
            query, more = FORMS[form](text)
            found.append(await answered(guarded, make(path, query, more)))
        assert found[0][1] == INVALID
        assert [one for one in found if one != found[0]] == []


@pytest.mark.parametrize("form", FORMS)
async def test_an_upgrade_of_another_path_tells_it_only_to_those_who_have_a_token(
    guarded: Served, form: str
) -> None:
    for text, body in (("all", b'{"msg":"query invalid","trace":"","ret":402}'), ("unknown", INVALID)):
        query, more = FORMS[form](text)
        for path in HTTP_PATHS:
            assert (await answered(guarded, upgrade(path, query, more)))[1] == body


async def test_without_a_token_there_is_another_answer(guarded: Served) -> None:
    for path in (*HTTP_PATHS, OTHER_WS, STOCK_WS):
        for query, more in (("", ""), ("?token=", ""), ("", "Authorization: Basic YWxs\r\n")):
            for request in (get(path, query, more), upgrade(path, query, more)):
                (status, *_), body = await answered(guarded, request)
                assert (b" 401 " in status, body) == (True, REQUIRED)


async def test_the_token_of_the_url_goes_before_that_of_a_header(guarded: Served) -> None:
    for request in (get(HTTP_PATHS[0], "?token=no", "Token: all\r\n"), upgrade(OTHER_WS, "?token=no")):
        assert (await answered(guarded, request))[1] == INVALID
    for path in HTTP_PATHS:
        (status, *_), _ = await answered(guarded, get(path, "?token=all", "Token: no\r\n"))
        assert b" 401 " not in status


# What a token may read.
def symbols(codes: str) -> dict[str, object]:
    return {"trace": "t", "data": {"symbol_list": [{"code": code} for code in codes.split()]}}


@pytest.mark.parametrize(
    ("path", "codes", "found"),
    [
        (f"{OTHER_HTTP}/trade-tick", "BTCUSDT Silver GOLD NOSUCH", "BTCUSDT GOLD"),
        (f"{OTHER_HTTP}/depth-tick", "Silver GOLD XAUUSD XAGUSD", "GOLD XAUUSD"),
        (f"{STOCK_HTTP}/trade-tick", "700.HK AAPL.US TSLA.US", "AAPL.US"),
        (f"{STOCK_HTTP}/static_info", "700.HK AAPL.US TSLA.US", "AAPL.US"),
    ],
)
async def test_codes_that_a_token_may_not_read_are_dropped(
    guarded: Served, path: str, codes: str, found: str
) -> None:
    body = (await guarded.get(path, symbols(codes), token="some")).json()
    (entries,) = body["data"].values()
    assert [one.get("code") or one["symbol"] for one in entries] == found.split()
    (everything,) = (await guarded.get(path, symbols(codes), token="all")).json()["data"].values()
    assert len(everything) > len(entries)


@pytest.mark.parametrize("path", [f"{OTHER_HTTP}/trade-tick", f"{OTHER_HTTP}/depth-tick"])
@pytest.mark.parametrize(
    ("codes", "body"),
    [("Silver", UNAUTHORIZED), ("Silver EURUSD NOSUCH", UNAUTHORIZED), ("NOSUCH AAPL.US", UNKNOWN)],
)
async def test_if_no_code_is_left_it_says_why(
    guarded: Served, path: str, codes: str, body: dict[str, object]
) -> None:
    answer = await guarded.get(path, symbols(codes), token="some")
    assert (answer.status_code, answer.json()) == (200, body)


async def test_bars_of_a_code_that_a_token_may_not_read(guarded: Served) -> None:
    for code, body in (("Silver", UNAUTHORIZED), ("NOSUCH", UNKNOWN), ("GOLD", None)):
        query = {"trace": "t", "data": {"code": code, "kline_type": 1}}
        answer = await guarded.get(f"{OTHER_HTTP}/kline", query, token="some")
        assert answer.status_code == 200
        assert (answer.json() if body else answer.json()["data"]["code"]) == (body or code)
    for codes, found in ((["Silver", "GOLD", "NOSUCH"], ["GOLD"]), (["Silver", "NOSUCH"], UNAUTHORIZED)):
        groups = [{"code": code, "kline_type": kline_type} for code in codes for kline_type in (1, 8)]
        query = {"trace": "t", "data": {"data_list": groups}}
        answer = await guarded.request("POST", f"{OTHER_HTTP}/batch-kline?token=some", json=query)
        assert answer.status_code == 200
        if isinstance(found, dict):
            assert answer.json() == found
        else:
            assert [one["code"] for one in answer.json()["data"]["kline_list"]] == found * 2


@pytest.mark.parametrize("interface", [TRADE, DEPTH])
async def test_a_subscription_to_codes_that_a_token_may_not_read(guarded: Served, interface: int) -> None:
    script = guarded.engine.market.source
    assert isinstance(script, Script)
    async with guarded.link(token="some") as link:
        assert (await link.subscribe(interface, "Silver", "BTCUSDT", "NOSUCH", "GOLD"))["ret"] == 200
        assert {(await link.push())["data"]["code"] for _ in range(2)} == {"BTCUSDT", "GOLD"}
        for codes, ret, msg in (
            (["Silver"], 604, "code unauthorized"),
            (["EURUSD", "NOSUCH"], 604, "code unauthorized"),
            (["NOSUCH", "AAPL.US"], 600, "code invalid"),
        ):
            refused = {"ret": ret, "msg": msg, "cmd_id": interface + 1, "seq_id": 1, "trace": "t", "data": {}}
            assert await link.subscribe(interface, *codes) == refused
        for code in ("Silver", "BTCUSDT", "GOLD"):  # the earlier list is as it was
            script.emit(trade(code), book(code))
        assert [(await link.push())["data"]["code"] for _ in range(2)] == ["BTCUSDT", "GOLD"]
        await link.nothing()


# How soon one counts no more.
@pytest.mark.parametrize(
    ("what", "reason"),
    [("revoked", "token revoked"), ("rotated", "token revoked"), ("expired", "token expired")],
)
async def test_open_connections_of_a_token_that_ends_are_closed_within_a_second(
    tmp_path: Path, what: str, reason: str
) -> None:
    wall, new = Clock(TODAY), new_secret()
    secret, other = issue(tmp_path, "ends", expires=(TODAY + 60) * 1000), issue(tmp_path, "stays")
    async with serving(tmp_path, Script(), wall=wall) as served, AsyncExitStack() as stack:
        paths = (OTHER_WS, STOCK_WS, OTHER_WS)
        links = [await stack.enter_async_context(served.link(path, secret)) for path in paths]
        stays = await stack.enter_async_context(served.link(OTHER_WS, other))
        wall.now += 60 - 1 / 1024
        await served.engine.gateway.admission.refresh()
        assert [await is_open(link) for link in links] == [True] * 3
        with open_tokens(tmp_path / DATABASE) as store:
            if what == "revoked":
                store.revoke(store.find("ends"), 1)
            elif what == "rotated":
                store.rotate(store.find("ends"), digest_of(new, store.key()))
            else:
                wall.now += 1 / 1024
        assert [await closed(link) for link in links] == [(1008, reason)] * 3
        assert await is_open(stays)
        for request in (get(HTTP_PATHS[0], f"?token={secret}"), upgrade(OTHER_WS, f"?token={secret}")):
            assert (await answered(served, request))[1] == INVALID
        if what == "rotated":
            async with served.link(token=new) as link:
                assert await is_open(link)


async def test_from_the_first_token_on_unknown_ones_are_not_let_in(tmp_path: Path) -> None:
    async with serving(tmp_path, Script()) as served, served.link(token="any") as link:
        assert (await served.get(HTTP_PATHS[0], token="other")).status_code == 402
        assert await is_open(link)
        add(tmp_path, "revoked", revoked=1)  # even by one that opens nothing itself
        assert await closed(link) == (1008, "token invalid")
        for text in ("any", "other", "revoked"):
            assert (await answered(served, get(HTTP_PATHS[0], f"?token={text}")))[1] == INVALID
        add(tmp_path, "good")
        await served.engine.gateway.admission.refresh()
        async with served.link(token="good") as good:
            assert await is_open(good)
    async with serving(tmp_path, Script()) as served:  # and after a restart
        assert (await answered(served, get(HTTP_PATHS[0], "?token=any")))[1] == INVALID
        assert (await served.get(HTTP_PATHS[0], token="good")).status_code == 402


async def test_a_key_that_is_damaged_while_it_runs_does_no_harm(tmp_path: Path) -> None:
    add(tmp_path, "ends")
    add(tmp_path, "stays")
    async with serving(tmp_path, Script()) as served:
        async with served.link(token="ends") as ends, served.link(token="stays") as stays:
            with open_tokens(tmp_path / DATABASE) as store:
                (tmp_path / KEY_FILE).write_bytes(b"")
                store.revoke(store.find("ends"), 1)
            assert await closed(ends) == (1008, "token revoked")
            assert await is_open(stays)
        async with served.link(token="stays") as again:
            assert await is_open(again)


async def test_a_plan_that_the_settings_do_not_know_lets_nobody_in(tmp_path: Path) -> None:
    secret = issue(tmp_path, "desk", "mine")
    async with serving(tmp_path, Script()) as served:
        assert (await answered(served, upgrade(OTHER_WS, f"?token={secret}")))[1] == INVALID
    async with serving(tmp_path, Script(), plans={"mine": {"endpoint": "1/s"}}) as served:
        query = msgspec.json.encode(symbols("BTCUSDT")).decode()
        answer = await served.get(f"{OTHER_HTTP}/trade-tick", query, token=secret)
        assert (answer.status_code, answer.headers["ratelimit-policy"]) == (200, '"endpoint";q=1;w=1')


async def test_a_connection_that_came_with_a_good_token_is_not_trusted_for_its_next_request(
    guarded: Served,
) -> None:
    async with guarded.raw() as raw:
        for text, status in (("all", b"402"), ("unknown", b"401"), ("all", b"402")):
            await raw.send(get(f"{OTHER_HTTP}/no", f"?token={text}").replace(b"close", b"keep-alive"))
            head = await raw.head()
            assert head.startswith(b"http/1.1 " + status)
            size = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
            assert (await raw.reader.readexactly(size) == INVALID) is (text == "unknown")


async def test_while_any_is_let_in_each_has_the_plan_for_itself_and_few_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "MOST_ACCOUNTS", 3)
    query = symbols("BTCUSDT")
    async with (
        serving(tmp_path, Script(), clock=Clock(0.0), plan="free") as served,
        served.link(token="here") as link,
    ):

        async def asks(text: str) -> int:
            return (await served.get(f"{OTHER_HTTP}/trade-tick", query, token=text)).status_code

        assert [await asks(text) for text in ("a", "here", "a", "b", "here", "b")] == [
            *(200, 200, 429, 200, 429, 429),
        ]
        for n in range(5):
            assert await asks(f"another {n}") == 200
        assert await asks("a") == 200, "those who asked long ago are forgotten"
        assert await asks("here") == 429, "not one that is connected"
        assert len(served.engine.gateway.admission._accounts) == 3
        assert await is_open(link)
        (use,) = await token_uses(served.engine.gateway)
        assert (use.requests, use.refused) == (9, 4), "what they used is not"
