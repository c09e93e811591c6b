"""No text of a token stands in the log, on standard output, in an answer or in a file; refused tokens are one
line of the log, however many they are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from structlog.testing import capture_logs
from websockets.asyncio.client import connect

from tickwire.access import digest_of, new_secret
from tickwire.config import DATABASE
from tickwire.gateway import gateway
from tickwire.store import open_tokens

from ..serving import (
    DEPTH,
    HEARTBEAT,
    OTHER_HTTP,
    OTHER_WS,
    PLAIN,
    STOCK_WS,
    TRADE,
    Script,
    masked,
    program,
    serving,
    upgrade,
)
from .bench import Clock, issue

SCENARIO = """
name = "all-that-happens-to-clients"
description = "Everything that a scenario can do to clients, one of which it names."
[[step]]
do = "delay"
by = 0.001
tokens = ["{token}"]
[[step]]
do = "answer"
ret = 777
tokens = ["{token}", "free"]
chance = 0.2
[[step]]
do = "refuse"
status = 503
tokens = ["{token}", "free"]
chance = 0.2
[[step]]
do = "disconnect"
after = 0.01
tokens = ["{token}", "free"]
chance = 0.2
[[step]]
do = "expire-token"
tokens = ["{ended}"]
at = 2
"""


TOO_SLOW = 'event="client closed: too slow"'


class Visitor:
    """A client that tries everything with whatever tokens it is given, and keeps all that it is told."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.heard: list[str] = []
        self.tokens: list[str] = []

    def use(self, token: str) -> str:
        self.tokens.append(token)
        return token

    async def is_answered(self, token: str, status: int) -> None:
        """Waits until the server knows of a change of the tokens."""
        async with (
            asyncio.timeout(120),
            httpx.AsyncClient(base_url=self.url, verify=PLAIN, timeout=120) as client,
        ):
            while (await client.get("/v1/markets", params={"token": token})).status_code != status:
                pass

    async def tries(self, token: str) -> None:
        """HTTP and WebSocket, good requests and bad ones, the token in every place where one may stand."""
        self.use(token)
        codes = {"symbol_list": [{"code": "BTCUSDT"}]}
        query = msgspec.json.encode({"trace": "t", "data": codes}).decode()
        async with httpx.AsyncClient(base_url=self.url, verify=PLAIN, timeout=120) as client:

            async def ask(method: str, path: str, **options: Any) -> None:
                answer = await client.request(method, path, **options)
                self.heard += [str(answer.status_code), answer.text, *map(str, answer.headers.items())]

            for place in ({"params": {"token": token}}, {"headers": {"token": token}}):
                for path in (
                    f"{OTHER_HTTP}/trade-tick",
                    f"{OTHER_HTTP}/no",
                    "/api/suspension/sse",
                    "/v1/markets",
                ):
                    await ask("GET", path, **place)
                await ask("POST", f"{OTHER_HTTP}/batch-kline", **place, content=b"{")
                await ask("PUT", f"{OTHER_HTTP}/kline", **place)
                await ask("GET", OTHER_WS, **place)
            for text in (query, "{", "x" * 5000, token):
                await ask("GET", f"{OTHER_HTTP}/trade-tick", params={"token": token, "query": text})
            bearer = {"Authorization": f"Bearer {token}"}
            await ask("GET", f"{OTHER_HTTP}/depth-tick", params={"query": query}, headers=bearer)
            await ask("GET", "/admin/scenario", headers=bearer)
            await ask("POST", "/admin/scenario", headers=bearer, json={"name": "no"})
            await ask("GET", "/", params={"token": token})
            await ask("GET", "/nowhere", params={"token": token})
        for path in (OTHER_WS, STOCK_WS):
            await self._talks(path, token)

    async def _talks(self, path: str, token: str) -> None:
        url = f"{self.url.replace('http', 'ws', 1)}{path}?token={token}"
        try:
            async with connect(url, ping_interval=None) as socket:
                for message in (
                    {"cmd_id": TRADE, "data": {"symbol_list": [{"code": "BTCUSDT"}, {"code": "AAPL.US"}]}},
                    {"cmd_id": DEPTH, "data": {"symbol_list": [{"code": token}]}},
                    {"cmd_id": HEARTBEAT, "data": 5},
                    {"cmd_id": 1},
                ):
                    await socket.send(msgspec.json.encode(message).decode())
                    self.heard.append(str(await socket.recv()))
                await socket.close(3000, "done")
        except Exception as error:
            self.heard += [str(error), repr(error)]

    def parts(self) -> set[str]:
        """All that would give a token away, or half of it."""
        return {part for token in self.tokens for part in (token, token[3:23], token[23:])}


def assert_silent(visitor: Visitor, where: str, text: str) -> None:
    told = [part for part in visitor.parts() if part in text]
    assert told == [], f"{where}: {text[max(0, text.find(told[0]) - 300) :][:600]}"


async def test_nothing_that_the_program_writes_holds_a_token(tmp_path: Path) -> None:
    data_dir, scenario, any_token = tmp_path / "data", tmp_path / "all.toml", new_secret()
    ended_soon = new_secret()  # another one: how long the rest takes is up to the machine
    scenario.write_text(SCENARIO.format(token=any_token, ended=ended_soon))
    flags = ("--log-level", "debug", "--rate", "1000", "--client-buffer", "65536", "--plan", "free")
    async with program(tmp_path, *flags, "--scenario", str(scenario)) as running:
        visitor = Visitor(running.url)
        async with asyncio.timeout(120):
            while not {"200", "429"} <= {*visitor.heard}:  # who asks slowly is within the plan
                await visitor.tries(any_token)
            await visitor.tries(ended_soon)
        plans = ("unlimited", "free", "premium")
        tokens = {plan: issue(data_dir, plan, plan, admin=plan == "premium") for plan in plans}
        ended = issue(data_dir, "expired", expires=1), issue(data_dir, "revoked", revoked=1)
        await visitor.is_answered("no", 401)
        for token in (*tokens.values(), *ended, new_secret()):
            await visitor.tries(token)
        assert '{"msg":"token invalid","trace":"","ret":401}' in visitor.heard
        await misbehave(running.url, tokens["unlimited"])
        async with subscribed(running.url, tokens["unlimited"]):  # which reads nothing
            async with asyncio.timeout(120):
                while TOO_SLOW not in running.log:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
        with open_tokens(data_dir / DATABASE) as store:
            new = new_secret()
            store.rotate(store.find("unlimited"), digest_of(new, store.key()))
            store.revoke(store.find("premium"), 1)
        await visitor.is_answered(visitor.use(new), 200)
        for token in (new, tokens["unlimited"], tokens["premium"]):
            await visitor.tries(token)
        for file in (file for file in data_dir.rglob("*") if file.is_file()):
            assert_silent(visitor, str(file), file.read_bytes().decode("latin-1"))
        assert (await running.end())[0] == 0
        assert running.process.stdout is not None
        assert_silent(visitor, "stdout", running.welcome + (await running.process.stdout.read()).decode())
        assert_silent(visitor, "answers", "\n".join(visitor.heard))
        assert "expire-token" in running.log, "what could have told"
        assert "Traceback" not in running.log
        assert_silent(visitor, "log", running.log)
    for file in (file for file in data_dir.rglob("*") if file.is_file()):
        assert_silent(visitor, str(file), file.read_bytes().decode("latin-1"))


async def misbehave(url: str, token: str) -> None:
    """What no library would send: too much, no HTTP, half a request."""
    for request in (
        f"GET /quote-b-api/kline?token={token} HTTP/1.1\r\nHost: x\r\nX: {'x' * 300_000}\r\n\r\n",
        f"{token} {token}\r\n\r\n",
        f"GET /quote-b-api/kline?token={token} HTTP/9.9\r\n\r\n",
        f"GET /quote-b-ws-api?token={token} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
        "Connection: upgrade\r\nSec-WebSocket-Key: no\r\n\r\n",
        f"POST /quote-b-api/batch-kline?token={token} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{{",
    ):
        async with bare(url) as (reader, writer):
            writer.write(request.encode())
            if not request.startswith("POST"):
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(100), 120)


@contextlib.asynccontextmanager
async def subscribed(url: str, token: str) -> AsyncIterator[None]:
    """A client that asks for much and reads nothing."""
    codes = {"symbol_list": "BTCUSDT ETHUSDT GOLD Silver EURUSD USOIL".split()}
    requests = [msgspec.json.encode({"cmd_id": kind, "data": codes}) for kind in (TRADE, DEPTH)]
    async with bare(url, receive_buffer=4096) as (reader, writer):
        writer.write(upgrade(OTHER_WS, f"?token={token}"))
        assert b" 101 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
        writer.write(b"".join(masked(1, one) for one in requests))
        yield


@contextlib.asynccontextmanager
async def bare(url: str, receive_buffer: int = 2**16) -> AsyncIterator[tuple[StreamReader, StreamWriter]]:
    """A bare socket, which ends with a reset."""
    plain, address = socket.socket(), httpx.URL(url)
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    plain.setblocking(False)
    await asyncio.get_running_loop().sock_connect(plain, (address.host, address.port))
    reader, writer = await asyncio.open_connection(sock=plain, limit=receive_buffer)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


# In the log of a running server.
async def test_refused_tokens_are_one_line_every_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "TOKEN_WATCH", 0.01)
    clock = Clock(1000.0)
    issue(tmp_path, "good")
    async with serving(tmp_path, Script(), clock=clock) as served:
        reports, looks, report = 0, asyncio.Event(), served.engine.gateway.admission.report

        def watched() -> None:
            nonlocal reports
            reports += 1
            report()
            looks.set()

        async def reported() -> None:
            looks.clear()
            async with asyncio.timeout(120):
                await looks.wait()

        monkeypatch.setattr(served.engine.gateway.admission, "report", watched)
        with capture_logs() as logged:
            for n in range(20):
                for hello in (f"GET /quote-b-api/kline?token=no{n}", f"POST /v1/markets?token=no{n}"):
                    async with served.raw(f"{hello} HTTP/1.1\r\nHost: x\r\n\r\n".encode()) as raw:
                        assert (await raw.head()).startswith(b"http/1.1 401 ")
            for n in range(10):
                for more in (upgrade(query=f"?token=no{n}"), upgrade(query="", more=f"Token: no{n}\r\n")):
                    async with served.raw(more) as raw:
                        assert (await raw.head()).startswith(b"http/1.1 401 ")
            clock.now += 10 - 1 / 1024
            await asyncio.sleep(0.05)  # several looks, none of which may report
            assert (logged, reports) == ([], 0)
            clock.now += 1 / 1024
            await reported()
            assert logged == [{"event": "tokens refused", "log_level": "warning", "requests": 60}]
            clock.now += 10  # in which nobody came
            await reported()
            await served.get(f"{OTHER_HTTP}/kline", token="bad")
            clock.now += 10
            await reported()
            assert [line["requests"] for line in logged] == [60, 1]
        assert not served.engine.gateway.admission._accounts, "nothing is remembered of them"


async def test_no_traceback_and_no_text_of_an_object_holds_a_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object) -> None:
        raise RuntimeError("a mistake of ours")

    for guarded in (False, True):
        data_dir, secret = tmp_path / str(guarded), new_secret()
        if guarded:
            secret = issue(data_dir, "good", "free")
        async with serving(data_dir, Script()) as served:
            caller = served.engine.gateway.caller(secret, None)
            objects = [caller, caller.client, caller.token, caller.account, served.engine.gateway.admission]
            assert secret[3:] not in "".join(f"{one} {one!r}" for one in objects)
            monkeypatch.setattr(served.engine.gateway.reads, "begin", broken)
            monkeypatch.setattr(served.engine.gateway, "carry_out", lambda *_: broken().send(None))
            caplog.clear()
            query = {"data": {"symbol_list": [{"code": "BTCUSDT"}]}}
            with capture_logs(processors=(structlog.processors.format_exc_info,)) as logs:
                answer = await served.get(f"{OTHER_HTTP}/trade-tick", query, token=secret)
            assert (answer.status_code, secret in answer.text) == (500, False)
            (failed,) = (one for one in logs if one["event"] == "a request over HTTP failed")
            assert "a mistake of ours" in failed["exception"]
            assert secret[3:] not in str(failed)
            async with served.link(token=secret) as link:
                await link.send({"cmd_id": TRADE} | query)
                async with asyncio.timeout(120):
                    await link.socket.wait_closed()
            errors = [one for one in caplog.records if one.levelno >= logging.ERROR and one.exc_info]
            assert len(errors) == 1
            assert "a mistake of ours" in caplog.text
            assert secret[3:] not in caplog.text
