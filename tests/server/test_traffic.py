"""What is counted of connections and requests: docs/metrics.md, "Clients"."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from starlette.routing import Mount, Route
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tickwire.config import DATABASE
from tickwire.model import Ending
from tickwire.sandbox import scenario_of
from tickwire.server import http_protocol, tls
from tickwire.server.traffic import GONE, UNKNOWN, UNREAD, Outcome, Routes, Step, Traffic
from tickwire.store import open_tokens

from ..serving import (
    HEARTBEAT,
    OTHER_HTTP,
    OTHER_WS,
    TRADE,
    Link,
    Script,
    Served,
    masked,
    serving,
    trade,
    until,
    upgrade,
)
from .bench import issue

SYMBOLS = {"data": {"symbol_list": [{"code": "BTCUSDT"}]}}


def traffic_of(served: Served) -> Traffic:
    return served.server._websockets.traffic


async def closed_as(served: Served, code: str, why: Ending) -> None:
    """Waits until a WebSocket has ended like that, and asserts that no other did."""
    closes = traffic_of(served).closes
    await until(lambda: closes.total() > 0)
    assert +closes == {(code, why): 1}


# How WebSockets end.
async def _by_client(_: Served, link: Link) -> None:
    await link.socket.close(1000)


async def _by_client_with_a_code_of_its_own(_: Served, link: Link) -> None:
    await link.socket.close(4321)


async def _without_a_word(_: Served, link: Link) -> None:
    link.socket.transport.abort()


async def _with_broken_text(_: Served, link: Link) -> None:
    link.socket.transport.write(masked(1, b"\xff"))


async def _silently(served: Served, _: Link) -> None:
    (one,) = served.server._websockets.alive
    one.check(served.engine.gateway.clock() + 3600)


async def _too_fast(served: Served, link: Link) -> None:
    answer = {"name": "busy", "step": [{"do": "answer", "ret": 606}]}
    await served.engine.market.run_scenario(scenario_of(answer, "busy"))
    await link.ask(HEARTBEAT)


async def _cut(served: Served, **how: object) -> None:
    scenario = scenario_of({"name": "cut", "step": [{"do": "disconnect", **how}]}, "cut")
    await served.engine.market.run_scenario(scenario)


async def _by_a_scenario(served: Served, _: Link) -> None:
    await _cut(served, code=1013, reason="again")


async def _by_a_reset(served: Served, _: Link) -> None:
    await _cut(served, reset=True)


async def _by_shutdown(served: Served, _: Link) -> None:
    (one,) = served.server._websockets.alive
    one.shutdown()


@pytest.mark.parametrize(
    ("end", "code", "why"),
    [
        (_by_client, "1000", Ending.CLIENT),
        (_by_client_with_a_code_of_its_own, "other", Ending.CLIENT),
        (_without_a_word, "1006", Ending.LOST),
        (_with_broken_text, "1007", Ending.PROTOCOL),
        (_silently, "1008", Ending.HEARTBEAT),
        (_too_fast, "1008", Ending.RATE),
        (_by_a_scenario, "1013", Ending.SCENARIO),
        (_by_a_reset, "1006", Ending.SCENARIO),
        (_by_shutdown, "1001", Ending.SHUTDOWN),
    ],
)
async def test_why_a_websocket_ended(
    tmp_path: Path,
    script: Script,
    end: Callable[[Served, Link], Awaitable[None]],
    code: str,
    why: Ending,
) -> None:
    async with serving(tmp_path, script, plan="free") as served:
        try:
            async with served.link() as link:
                await link.nothing()
                await end(served, link)
                await link.socket.wait_closed()
        except (ConnectionClosed, OSError):
            pass
        await closed_as(served, code, why)


async def test_a_connection_that_gives_way_and_one_of_a_revoked_token(tmp_path: Path, script: Script) -> None:
    secret = issue(tmp_path, "desk", plan="small")
    plans = {"small": {"connections": 1}}
    async with serving(tmp_path, script, plans=plans, takeover_after=1) as served:
        gateway, closes = served.engine.gateway, traffic_of(served).closes
        async with served.link(token=secret) as one:
            with pytest.raises(InvalidStatus):
                async with served.link(token=secret):
                    pass
            handshakes = traffic_of(served).handshakes
            await until(lambda: handshakes[Step.WEBSOCKET, Outcome.OVER_LIMIT] == 1)
            (peer,) = gateway.callers
            peer.last_heard -= 60
            async with served.link(token=secret):
                await one.socket.wait_closed()
                await until(lambda: closes["1008", Ending.TAKEOVER] == 1)
                with open_tokens(tmp_path / DATABASE) as store:
                    store.revoke(store.find("desk"), 1)
                await until(lambda: closes["1008", Ending.TOKEN] == 1)
        assert handshakes[Step.WEBSOCKET, Outcome.ACCEPTED] == 2
        assert closes.total() == 2


# How they begin.
async def test_what_became_of_connections(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT", 0.05)
    secret = issue(tmp_path, "desk")
    async with serving(tmp_path, script) as served:
        for hello in (
            upgrade(query=f"?token={secret}"),
            upgrade(query="?token=wrong"),
            upgrade(query=""),
            upgrade("/nowhere", f"?token={secret}"),
            upgrade(query=f"?token={secret}").replace(b"Version: 13", b"Version: 12"),
            b"\x16\x03\x01",  # TLS
            b"",  # says nothing
        ):
            async with served.raw(hello) as raw:
                if b"101" not in await raw.head():
                    await raw.rest()
        assert +traffic_of(served).handshakes == {
            (Step.HTTP, Outcome.ACCEPTED): 4,
            (Step.HTTP, Outcome.UNKNOWN_TOKEN): 1,
            (Step.HTTP, Outcome.BAD_REQUEST): 1,
            (Step.HTTP, Outcome.TIMED_OUT): 1,
            (Step.WEBSOCKET, Outcome.ACCEPTED): 1,
            (Step.WEBSOCKET, Outcome.UNKNOWN_TOKEN): 1,
            (Step.WEBSOCKET, Outcome.BAD_REQUEST): 2,
        }


async def test_what_became_of_tls_handshakes(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.3)
    async with serving(tmp_path, script, tls_self_signed=["127.0.0.1"]) as served:
        host, _, port = served.url.partition("//")[2].partition(":")
        for hello in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05hello", b"\x16", b""):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(hello)
            await reader.read()
            writer.close()
        assert (await served.get("/healthz")).status_code == 200
        handshakes = +traffic_of(served).handshakes
    assert {outcome: count for (step, outcome), count in handshakes.items() if step is Step.TLS} == {
        Outcome.ACCEPTED: 1,
        Outcome.BAD_REQUEST: 1,
        Outcome.FAILED: 1,
        Outcome.TIMED_OUT: 2,
    }


# Requests.
async def test_requests_are_counted_by_route_and_status(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served:
        script.emit(trade())
        for path in (
            "/healthz",
            "/docs/operating",
            "/docs/tls",
            "/docs/nowhere",
            "/nowhere",
            "/admin/scenario",
        ):
            await served.request("GET", path)
        await served.request("POST", "/healthz")
        await served.get(f"{OTHER_HTTP}/trade-tick", SYMBOLS)
        await served.get(f"{OTHER_HTTP}/trade-tick", SYMBOLS, token=None)
        await served.get(f"{OTHER_HTTP}/no")
        await served.get(OTHER_WS)
        async with served.raw(b"GET / HTTP/1.1\r\nno header\r\n\r\n") as raw:
            await raw.rest()
        traffic = traffic_of(served)
    assert traffic.requests == {
        ("/healthz", 200): 1,
        ("/docs/*", 200): 2,
        ("/docs/*", 404): 1,
        (UNKNOWN, 404): 1,
        ("/admin/scenario", 200): 1,
        ("/healthz", 405): 1,
        (f"{OTHER_HTTP}/trade-tick", 200): 1,
        (f"{OTHER_HTTP}/trade-tick", 401): 1,
        (UNKNOWN, 402): 1,
        (OTHER_WS, 426): 1,
        (UNREAD, 400): 1,
    }
    counts = {route: measured.buckets[-1][1] for route, measured in traffic.durations.items()}
    assert counts[f"{OTHER_HTTP}/trade-tick"] == 2
    assert sum(counts.values()) == traffic.requests.total() - 1, "what is not read has no duration"
    assert all(measured.total > 0 for measured in traffic.durations.values())


async def test_a_request_that_fails_and_one_whose_client_is_gone(
    tmp_path: Path, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, script) as served:
        reads, begun, let_go = served.engine.gateway.reads, asyncio.Event(), asyncio.Event()

        async def waits(*_: object) -> dict[str, None]:
            begun.set()
            await let_go.wait()
            return {}

        monkeypatch.setattr(reads, "begin", waits)
        query = msgspec.json.encode(SYMBOLS).decode()
        head = f"GET {OTHER_HTTP}/trade-tick?token=t&query={query} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        async with served.raw(head):
            await begun.wait()
        await until(lambda: not served.server.server_state.connections)
        let_go.set()
        requests = traffic_of(served).requests
        await until(lambda: requests[f"{OTHER_HTTP}/trade-tick", GONE] == 1)

        async def breaks(*_: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(reads, "begin", breaks)
        answer = await served.get(f"{OTHER_HTTP}/trade-tick", SYMBOLS)
        assert answer.status_code == 500
        assert requests == {(f"{OTHER_HTTP}/trade-tick", GONE): 1, (f"{OTHER_HTTP}/trade-tick", 500): 1}


def test_a_stranger_makes_up_no_routes() -> None:
    async def nobody(*_: object) -> None:
        pass

    routes = Routes(
        ["/a/b"],
        [Route("/", nobody), Route("/d", nobody), Route("/d/{x:path}.md", nobody), Mount("/d/i", nobody)],
    )
    assert {
        path: routes.name(path) for path in ("/", "/a/b", "/d", "/d/", "/d/i/x", "/d/x", "/a", "/a/b/c")
    } == {
        "/": "/",
        "/a/b": "/a/b",
        "/d": "/d",
        "/d/": "/d/*",
        "/d/i/x": "/d/i/*",
        "/d/x": "/d/*",
        "/a": UNKNOWN,
        "/a/b/c": UNKNOWN,
    }


# Pushes.
async def test_pushes_their_bytes_and_their_latency(tmp_path: Path, script: Script) -> None:
    async with serving(tmp_path, script) as served, served.link() as one, served.link() as two:
        hub, traffic = served.engine.gateway.hub, traffic_of(served)
        for link in (one, two):
            await link.subscribe(TRADE, "BTCUSDT")
        answered = traffic.answered_bytes
        assert answered > 0
        assert (hub.sent_bytes, hub.latency.buckets[-1][1]) == (0, 0)
        received = 0
        for count in range(1, 4):
            script.emit(trade(at=1788529064027 + count))
            for link in (one, two):
                text = await link.socket.recv()
                received += len(text) + 2 + 2 * (len(text) > 125)
            await until(lambda count=count: hub.latency.buckets[-1][1] == count)  # type: ignore[misc]
        assert hub.sent_bytes == received
        assert traffic.answered_bytes == answered
        assert 0 < hub.latency.total < 20
