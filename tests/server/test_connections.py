"""Many connections: what each leaves behind, and what bounds their number."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.exceptions import InvalidStatus

from tickwire.server import acceptance, guests
from tickwire.server.guests import Addresses
from tickwire.wire.messages import Command

from ..serving import TRADE, Raw, Script, Served, masked, running, serving, trade, until, upgrade

OURS = ("tickwire.server", "tickwire.wire", "tickwire.gateway", "uvicorn.protocols", "websockets.")
SUBSCRIPTION = masked(
    1, b'{"cmd_id":22004,"seq_id":1,"trace":"","data":{"symbol_list":[{"code":"BTCUSDT"}]}}'
)
READY = b"GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def alive() -> Counter[str]:
    """How many objects there are of each class that connections are made of."""
    kinds = (type(one) for one in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith(OURS))


async def gone(served: Served) -> None:
    """Returns when all connections are."""
    await until(lambda: not served.server.guests.connections)


@pytest.mark.parametrize("tls", [[], ["127.0.0.1"]], ids=["plain", "tls"])
async def test_a_connection_that_ended_leaves_nothing_to_the_garbage_collector(
    tmp_path: Path, tls: list[str]
) -> None:
    """It comes late to what has lived for long: after some hundred thousand clients."""
    async with serving(tmp_path, Script(), tls_self_signed=tls) as served:
        async with served.raw(upgrade()) as raw:
            await raw.head()
            await raw.send(SUBSCRIPTION)
            await raw.frame()
        await gone(served)
        gc.collect()
        gc.disable()
        try:
            before = alive()
            for closes in (False, True):
                async with served.raw(upgrade()) as raw:
                    await raw.head()
                    await raw.send(SUBSCRIPTION)
                    await raw.frame()
                    if closes:
                        await raw.send(masked(8, b"\x03\xe8"))
                        await raw.frame()
                async with served.raw(HEALTH) as raw:
                    await raw.head()
            await gone(served)
            left = alive() - before
        finally:
            gc.enable()
    assert not left


LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
from tickwire.cli.main import run
run()
"""
ROOM = 64
"""Connections of a process that may have 128 descriptors."""
FULL = "no connection is taken until one ends: there are no file descriptors for more"


@pytest.mark.skipif(os.name == "nt", reason="there is no such limit")
async def test_without_descriptors_newcomers_wait_and_nobody_else_is_disturbed(tmp_path: Path) -> None:
    command = ("-c", LIMITED, "serve", "--port", "0", "--data-dir", str(tmp_path / "data"), "--rate", "50")
    async with running(tmp_path / "log", *command) as program, contextlib.AsyncExitStack() as stack:
        host, port = program.url.removeprefix("http://").split(":")

        async def come(hello: bytes) -> Raw:
            reader, writer = await asyncio.open_connection(host, int(port))
            stack.callback(writer.transport.abort)
            raw = Raw(reader, writer)
            await raw.send(hello)
            return raw

        async def asked() -> bytes:
            """How the server is, by a connection that is kept, and not for long where nothing is asked."""
            await probe.send(READY)
            head = await probe.head()
            await probe.reader.readexactly(int(head.partition(b"content-length: ")[2].split()[0]))
            return head.split(b" ")[1]

        probe = await come(b"")
        assert await asked() == b"200"
        inside = [await come(upgrade()) for _ in range(ROOM - 2)]
        for one in inside:
            assert (await one.head()).startswith(b"http/1.1 101 ")
            await asked()
        await inside[0].send(SUBSCRIPTION)
        outside = [await come(upgrade()) for _ in range(10)]
        assert (await outside[0].head()).startswith(b"http/1.1 101 ")  # the last one for whom there is room
        await asked()
        for _ in range(50):  # the answer and pushes
            await inside[0].frame()
        assert await asked() == b"503"
        assert not any(one.reader.at_eof() or one.reader._buffer for one in outside[1:])  # type: ignore[attr-defined]
        for one in inside[1:10]:
            await one.send(masked(8, b"\x03\xe8"))
        for one in outside[1:]:
            assert (await one.head()).startswith(b"http/1.1 101 ")
        for _ in range(50):
            await inside[0].frame()
        assert program.log.count(FULL) == 1
        await program.end()


def test_as_many_connections_as_there_are_descriptors_but_some(monkeypatch: pytest.MonkeyPatch) -> None:
    for limit, most in ((20_000, 19_744), (1024, 768), (256, 128), (None, None)):
        monkeypatch.setattr(acceptance, "descriptors", lambda limit=limit: limit)
        assert acceptance.room() == most


async def test_a_crowd_that_says_nothing_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow client begins a request, and never ends it; so does a crowd of them."""
    monkeypatch.setattr(guests, "QUIET", 0.0)
    async with serving(tmp_path, Script(), max_handshakes=3) as served, contextlib.AsyncExitStack() as stack:
        link = await stack.enter_async_context(served.link())
        with capture_logs() as logged:
            for hello in (b"", b"GET /healthz HTTP/1.1\r\nHo") * 5:
                crowd = await stack.enter_async_context(served.raw(hello))
                await until(lambda: bool(served.server.guests.handshakes))
            await until(lambda: served.server.guests.handshakes == 3)
            assert (await served.request("GET", "/healthz")).status_code == 200
            await link.ask(22000)
            assert crowd
        (said,) = [one for one in logged if "handshakes" in one["event"]]
        assert said["limit"] == 3
        text = (await served.request("GET", "/metrics")).text
        assert "tickwire_handshakes_dropped_total 8.0" in text
        assert "tickwire_accepting 1.0" in text


@pytest.mark.parametrize(("tls", "hello"), [([], b"GET / HTTP/1.1\r\nHo"), (["127.0.0.1"], b"\x16\x03\x01")])
async def test_a_crowd_gives_way_though_nobody_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: list[str], hello: bytes
) -> None:
    async with serving(tmp_path, Script(), max_handshakes=3, tls_self_signed=tls) as served:
        port = int(served.url.rpartition(":")[2])
        monkeypatch.setattr(guests, "QUIET", 0.2)
        with contextlib.ExitStack() as stack:
            crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(20)]
            for one in crowd:
                one.sendall(hello)
            await until(lambda: served.server.guests.crowded.count == 17)
            assert served.server.guests.handshakes == 3
            async with served.link() as link:
                await link.ask(22000)


async def test_whoever_has_spoken_does_not_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is the server that is late, as in a rush of clients that come back."""
    monkeypatch.setattr(guests, "QUIET", 0.0)
    async with serving(tmp_path, Script(), max_handshakes=1) as served, contextlib.AsyncExitStack() as stack:
        port = int(served.url.rpartition(":")[2])
        rush = []
        for _ in range(300):  # all before the server has its turn
            one = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            one.sendall(upgrade())
            rush.append(one)
        loop = asyncio.get_running_loop()
        for one in rush:
            one.setblocking(False)
            assert (await loop.sock_recv(one, 2**16)).startswith(b"HTTP/1.1 101 ")
            one.send(SUBSCRIPTION)
            assert await loop.sock_recv(one, 2**16)
        assert served.server.guests.crowded.count == 0


# Connections of an address.
PROXIES = ["10.0.0.0/8", "::1", "2001:db8:ffff::1"]


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:5::6%eth0", "2001:db8:1:2::/64"),
        ("127.0.0.1", None),
        ("::1", None),
        ("::ffff:127.0.0.1", None),
        ("10.1.2.3", None),
        ("", None),
    ],
)
def test_as_what_a_peer_is_counted(peer: str, counted: str | None) -> None:
    assert Addresses(1, PROXIES).of_peer(peer) == counted


@pytest.mark.parametrize(
    ("peer", "named", "counted"),
    [
        ("10.1.2.3", ["192.0.2.7"], "192.0.2.7"),
        ("10.1.2.3", ["203.0.113.9, 192.0.2.7"], "192.0.2.7"),  # what stands before it, he wrote himself
        ("10.1.2.3", ["203.0.113.9", "192.0.2.7:5123, 10.9.9.9"], "192.0.2.7"),
        ("::1", ["[2001:db8:1:2::4]:443"], "2001:db8:1:2::/64"),
        ("10.1.2.3", ["192.0.2.7, unknown"], None),
        ("10.1.2.3", ["10.4.4.4"], None),
        ("10.1.2.3", ["127.0.0.1"], None),
        ("10.1.2.3", [], None),
        ("127.0.0.1", ["192.0.2.7"], None),  # nobody has said that it is a proxy
        ("198.51.100.1", ["192.0.2.7"], None),
    ],
)
def test_for_whom_a_proxy_speaks(peer: str, named: list[str], counted: str | None) -> None:
    headers = [(b"x-forwarded-for", one.encode()) for one in named]
    assert Addresses(1, PROXIES).forwarded(peer, headers) == counted


async def test_an_address_has_so_many_connections_and_no_more(tmp_path: Path) -> None:
    cap: dict[str, Any] = {"max_connections_per_address": 2, "trusted_proxies": ["127.0.0.1"]}

    def of(address: str) -> dict[str, Any]:
        return {"additional_headers": {"X-Forwarded-For": f"203.0.113.1, {address}"}}

    async with serving(tmp_path, Script(), **cap) as served, contextlib.AsyncExitStack() as stack:
        first = [await stack.enter_async_context(served.link(**of("192.0.2.7"))) for _ in range(2)]
        with capture_logs() as logged:
            for _ in range(2):
                with pytest.raises(InvalidStatus) as refused:
                    await stack.enter_async_context(served.link(**of("192.0.2.7")))
                assert refused.value.response.status_code == 429
        assert [one["address"] for one in logged if "one address" in one["event"]] == ["192.0.2.7"]
        for _ in range(5):  # those that no proxy speaks for come from this machine
            await (await stack.enter_async_context(served.link())).ask(22000)
        await stack.enter_async_context(served.link(**of("192.0.2.8")))
        await first[0].socket.close()
        await until(lambda: served.server.guests.addresses.connections("192.0.2.7") == 1)
        await stack.enter_async_context(served.link(**of("192.0.2.7")))
        assert "address_refused_connections_total 2.0" in (await served.request("GET", "/metrics")).text


@pytest.mark.parametrize("tls", [[], ["127.0.0.1"]], ids=["plain", "tls"])
async def test_a_peer_is_counted_from_its_first_byte_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: list[str]
) -> None:
    monkeypatch.setattr(Addresses, "of_peer", lambda *_: "192.0.2.7")  # all of this machine are of loopback
    cap: dict[str, Any] = {"max_connections_per_address": 1, "tls_self_signed": tls}
    async with serving(tmp_path, Script(), **cap) as served:
        async with served.link() as link:
            with pytest.raises((InvalidStatus, OSError)):
                async with served.link():
                    pass
            await link.ask(22000)
        await gone(served)
        async with served.link() as link:
            await link.ask(22000)


# What a connection may want.
async def test_a_list_has_a_bound_whatever_the_plan(tmp_path: Path) -> None:
    script = Script()
    async with serving(tmp_path, script, max_subscriptions=3) as served, served.link() as link:
        assert (await link.subscribe(TRADE, "BTCUSDT", "ETHUSDT", "GOLD"))["ret"] == 200
        refused = await link.subscribe(TRADE, "BTCUSDT", "ETHUSDT", "GOLD", "EURUSD")
        assert refused["ret"] == 603
        bars = [{"code": "BTCUSDT", "kline_type": kind} for kind in (1, 2, 3, 4)]
        assert (await link.ask(Command.KLINE, {"symbol_list": bars}))["ret"] == 603
        script.emit(trade("BTCUSDT"))  # the list from before stands
        assert (await link.push())["data"]["code"] == "BTCUSDT"
