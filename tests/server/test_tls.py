"""TLS at the front door: what is carried, what is bounded, and what is said."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from tickwire.server import guests, tls
from tickwire.testing import AllTickServer

from ..serving import DEPTH, OTHER_HTTP, TRADE, Script, Served, book, masked, serving, trade, until, upgrade

NAME = ["127.0.0.1"]
SECRET = "tw_secret"  # in a URL that goes the wrong way
GET = f"GET /healthz?token={SECRET} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


@pytest.fixture
async def secure(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    """A server with a certificate that it made."""
    async with serving(tmp_path, script, tls_self_signed=NAME) as served:
        yield served


def port_of(served: Served) -> int:
    return httpx.URL(served.url).port or 0


async def exchange(served: Served, data: bytes) -> bytes:
    """What comes for bytes on a bare socket, until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(served))
    try:
        writer.write(data)
        async with asyncio.timeout(120):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()


# What is carried.
@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["*.prices.test", "prices.test"], "prices.test"),
        (["*.prices.test"], "127.0.0.1"),
        (["::1"], "[::1]"),
    ],
)
async def test_the_url_has_a_name_that_can_be_called(tmp_path: Path, names: list[str], shown: str) -> None:
    async with serving(tmp_path, Script(), tls_self_signed=names) as served:
        assert served.url.rpartition(":")[0] == f"https://{shown}"


async def test_http_and_websocket_as_without(secure: Served, script: Script) -> None:
    assert secure.url.startswith("https://127.0.0.1:")
    async with secure.link() as link:
        assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 200
        script.emit(trade())
        assert (await link.push())["data"]["code"] == "BTCUSDT"
        query = {"data": {"symbol_list": [{"code": "BTCUSDT"}]}}
        answer = await secure.get(f"{OTHER_HTTP}/trade-tick", query)
        assert answer.json()["data"]["tick_list"][0]["price"] == "79317.70"
    assert (await secure.get("/healthz")).json() == {"status": "ok"}


async def test_what_is_longer_than_a_record(secure: Served, script: Script) -> None:
    events = [trade(at=1788529064027 + n) for n in range(2000)]
    async with secure.link() as link, secure.link() as other:
        await link.subscribe(TRADE, "BTCUSDT")
        await other.subscribe(TRADE, "BTCUSDT")
        script.emit(*events)
        for one in (link, other):
            times = [(await one.push())["data"]["tick_time"] for _ in events]
            assert times == [event.time for event in events]
    body = b" " * 900_000
    answer = await secure.request("POST", f"{OTHER_HTTP}/batch-kline?token=t", content=body)
    assert answer.json()["ret"] == 400


async def test_many_requests_at_once_are_answered_in_order(secure: Served) -> None:
    async with secure.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 300) as raw:
        for _ in range(300):
            assert (await raw.head()).startswith(b"http/1.1 200")
            await raw.reader.readexactly(15)


async def test_both_sides_may_end_alone(secure: Served) -> None:
    async with secure.raw(b"GET /" + b"x" * 300_000) as raw:
        assert b"431" in await raw.head()
        await raw.rest()  # which ends
    async with secure.link() as link:
        await link.ask(22000)
        await link.socket.close()
        assert link.socket.close_code == 1000


async def test_who_does_not_read_is_closed_and_delays_nobody(tmp_path: Path, script: Script) -> None:
    subscribe = masked(1, b'{"cmd_id":22002,"data":{"symbol_list":["BTCUSDT"]}}')
    async with (
        serving(tmp_path, script, tls_self_signed=NAME, client_buffer=2**16) as served,
        served.raw(upgrade() + subscribe, receive_buffer=4096) as slow,
        served.link() as quick,
    ):
        assert b"101" in await slow.head()
        await quick.subscribe(DEPTH, "BTCUSDT")
        await until(lambda: len(served.engine.gateway.callers) == 2)
        sent = 0
        while len(served.engine.gateway.callers) == 2:
            script.emit(*(book(at=1788529064027 + sent + n) for n in range(100)))
            sent += 100
            for _ in range(100):
                await quick.push()
        assert (await slow.closing())[0] == 1008
        await quick.nothing()


async def test_clients_are_told_when_the_server_stops(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        served = await stack.enter_async_context(serving(tmp_path, Script(), tls_self_signed=NAME))
        link = await stack.enter_async_context(served.link())
        reader, writer = await asyncio.open_connection("127.0.0.1", port_of(served))  # never says a word
        stack.callback(writer.close)
        served.server.stop()
        async with asyncio.timeout(120):
            await link.socket.wait_closed()
            assert await reader.read() == b""
        assert link.socket.close_code == 1001


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions(secure: Served, version: ssl.TLSVersion) -> None:
    assert secure.trust is not None
    secure.trust.minimum_version = secure.trust.maximum_version = version
    async with secure.link() as link:
        await link.ask(22000)
        assert (
            link.socket.transport.get_extra_info("ssl_object").version().replace("TLSv1.", "TLSv1_")
            == version.name
        )


def refuse(port: int) -> None:
    """A client that trusts nobody who is there, and says so."""
    with socket.create_connection(("127.0.0.1", port)) as plain, pytest.raises(ssl.SSLCertVerificationError):
        ssl.create_default_context().wrap_socket(plain, server_hostname="127.0.0.1")


async def test_a_test_s_server_ends_with_a_handshake_under_way(tmp_path: Path) -> None:
    server = AllTickServer(quiet=True, tls_self_signed=NAME, data_dir=tmp_path)
    await asyncio.to_thread(server.start)
    assert server.websocket_url().startswith("wss://127.0.0.1:")
    reader, writer = await asyncio.open_connection("127.0.0.1", httpx.URL(server.url).port)
    await asyncio.to_thread(server.stop)
    assert await reader.read() == b""
    writer.close()


# What is said.
def events_of(logged: list[Any]) -> list[str]:
    """What is warned of, but for a loop that a busy machine, or what a client reads, holds up."""
    warnings = (line["event"] for line in logged if line["log_level"] == "warning")
    return [event for event in warnings if event != "the event loop is blocked"]


async def test_plain_http_on_it_gets_one_line(secure: Served) -> None:
    with capture_logs() as logged:
        for _ in range(3):
            answer = await exchange(secure, GET)
            assert answer.startswith(b"HTTP/1.1 400 ")
            assert b"this port speaks TLS: use https:// or wss://" in answer
    (event,) = events_of(logged)
    assert event.startswith("plain HTTP came to a port that speaks TLS")
    assert SECRET not in str(logged)
    await secure.get("/healthz")


async def test_tls_on_a_plain_port_gets_one_line(served: Served) -> None:
    with capture_logs() as logged:
        for _ in range(3):
            with pytest.raises(httpx.ConnectError, match=r"(?i)wrong version number|record layer"):
                await httpx.AsyncClient().get(served.url.replace("http", "https", 1))
    (event,) = events_of(logged)
    assert event.startswith("TLS came to a port that speaks plain HTTP")
    await served.get("/healthz")


async def test_a_client_that_does_not_trust_it_gets_one_line(secure: Served) -> None:
    with capture_logs() as logged:
        for _ in range(3):
            await asyncio.to_thread(refuse, port_of(secure))
        await until(lambda: bool(events_of(logged)))
    (line,) = [line for line in logged if line["log_level"] == "warning"]
    assert line["event"] == "a TLS handshake failed"
    assert line["reason"] == "the client does not trust the certificate (tlsv1 alert unknown ca)"


async def test_a_client_that_hangs_up_for_distrust_gets_one_line_too(secure: Served) -> None:
    with capture_logs() as logged:
        with pytest.raises(ssl.SSLCertVerificationError):  # asyncio says nothing to the server
            await asyncio.open_connection("127.0.0.1", port_of(secure), ssl=ssl.create_default_context())
        await until(lambda: bool(events_of(logged)))
    assert events_of(logged) == ["a TLS handshake failed"]


@pytest.mark.parametrize(
    "data", [b"\x16", b"\x16\x03\x01\x00\x05hello", b"\x16\x03\x01\xff\xff" + b"x" * 70_000]
)
async def test_what_is_no_handshake_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes
) -> None:
    monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.5)
    async with serving(tmp_path, Script(), tls_self_signed=NAME) as served:
        assert b"HTTP" not in await exchange(served, data)
        await until(lambda: not served.server.server_state.connections)


# What is bounded.
async def test_a_handshake_that_stalls_is_dropped(secure: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async with secure.link() as link:
        monkeypatch.setattr(tls, "HANDSHAKE_TIMEOUT", 0.2)
        with capture_logs() as logged:
            assert await exchange(secure, b"") == b""  # silent: a probe, of which nothing is said
            assert await exchange(secure, b"\x16\x03\x01") == b""
        await link.ask(22000)
    assert events_of(logged) == ["a TLS handshake failed"]


async def test_the_oldest_of_too_many_handshakes_gives_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "QUIET", 0.0)
    async with serving(tmp_path, Script(), tls_self_signed=NAME, max_handshakes=3) as secure:
        await check_that_the_oldest_gives_way(secure)


async def check_that_the_oldest_gives_way(secure: Served) -> None:
    with capture_logs() as logged:
        idle = [await asyncio.open_connection("127.0.0.1", port_of(secure)) for _ in range(5)]
        for reader, _ in idle[:2]:
            async with asyncio.timeout(120):
                with contextlib.suppress(ConnectionError):
                    assert await reader.read() == b""
        async with secure.link() as link:  # an honest one gets in
            await link.ask(22000)
    for _, writer in idle:
        writer.close()
    assert events_of(logged) == ["unfinished handshakes are dropped: too many are under way"]


async def test_a_burst_leaves_no_more_in_memory_than_without_tls(secure: Served) -> None:
    """What is received is handed on at once, into the bounds that hold without TLS too."""
    async with secure.raw(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000, receive_buffer=4096):
        await until(
            lambda: any(getattr(one, "_paused", False) for one in secure.server.server_state.connections)
        )
        for one in secure.server.server_state.connections:
            carrier = getattr(one, "transport", None)
            if isinstance(carrier, tls.Tls):
                assert carrier._in.pending <= 2 * tls.RECORD


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl on this machine")
async def test_keys_are_not_changed_without_end(secure: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "MOST_ANSWERS", 200)
    client = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port_of(secure)}", "-tls1_3", "-msg"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    with capture_logs() as logged:
        async with asyncio.timeout(120):
            while not logged:
                with contextlib.suppress(ConnectionError):
                    client.stdin.write(b"K\n")  # ask for new keys on both sides
                    await client.stdin.drain()
                while (line := await client.stdout.readline()) and b"<<< TLS 1.3, Handshake" not in line:
                    pass  # until the server has answered
    with contextlib.suppress(ProcessLookupError):
        client.kill()
    await client.communicate()
    assert events_of(logged) == ["a TLS connection is dropped: its client changes keys without end"]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl on this machine")
async def test_a_client_that_wants_short_records(secure: Served) -> None:
    whole = (await secure.get("/openapi.json")).content
    client = await asyncio.create_subprocess_exec(
        *("openssl", "s_client", "-connect", f"127.0.0.1:{port_of(secure)}", "-maxfraglen", "512", "-quiet"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(120):
        await client.stdout.readuntil(b"\r\n\r\n")
        assert await client.stdout.readexactly(len(whole)) == whole
    client.kill()
    await client.communicate()


async def test_a_name_that_it_does_not_have_is_refused(secure: Served) -> None:
    trust = secure.trust
    assert trust is not None
    with socket.create_connection(("127.0.0.1", port_of(secure))) as plain, pytest.raises(ssl.SSLError):
        await asyncio.to_thread(trust.wrap_socket, plain, server_hostname="localhost")
