"""Arbitrary bytes and arbitrary JSON at every door: no 500, no dead server, no growth.

Runs for some ten seconds; TICKWIRE_FUZZ_SECONDS prolongs it. The dice are seeded, so a failure repeats.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tickwire.server import http_protocol

from .hostile import VALID, noise, odd_frames, odd_head, odd_text, spoiled
from .serving import (
    HEARTBEAT,
    OTHER_HTTP,
    OTHER_WS,
    PATIENCE,
    PLAIN,
    STOCK_HTTP,
    STOCK_WS,
    TRADE,
    Link,
    Raw,
    Script,
    Served,
    book,
    masked,
    program,
    serving,
    trade,
    upgrade,
)

SECONDS = float(os.environ.get("TICKWIRE_FUZZ_SECONDS", "10"))
LARGE = 2**20  # bytes of a message that is refused with 1009, whatever it says
SHARES = 7  # the tests that share these seconds
ANSWER = {"ret", "msg", "cmd_id", "seq_id", "trace", "data"}
OUR_FAULT = {1006, 1011}


# The frame of all tests.
@contextlib.asynccontextmanager
async def surviving(path: Path) -> AsyncIterator[tuple[Served, Script]]:
    """A busy server that must serve a normal client in the end, and then remember none."""
    script = Script()
    async with serving(path, script) as served:
        yield served, script
        await serves(served.link, script)
        await nothing_remains(served)


async def serves(link: Callable[..., contextlib.AbstractAsyncContextManager[Link]], script: Script) -> None:
    async with link() as other:
        assert (await other.subscribe(TRADE, "ETHUSDT"))["ret"] == 200
        script.emit(trade("ETHUSDT"))
        assert (await other.push())["data"]["code"] == "ETHUSDT"


async def nothing_remains(served: Served) -> None:
    """Nobody is left: neither in the hub, nor among the sockets."""
    hub, server = served.engine.gateway.hub, served.server
    gone = asyncio.Event()

    def look() -> None:
        if (
            not server._websockets.alive
            and not server.server_state.connections
            and not server.server_state.tasks
        ):
            gone.set()
        else:
            asyncio.get_running_loop().call_later(0.02, look)

    look()
    async with asyncio.timeout(120):  # what was sent half is given up after 2 to 5 seconds
        await gone.wait()
    assert hub._members == {}
    assert hub._lanes == {}
    assert hub._dirty == []
    assert all(not topic.views for topic in hub._topics.values())
    assert served.engine.market.intake.slow == set()


def rounds(seed: int) -> Iterator[random.Random]:
    """Seeded dice, one for each round, as long as the time lasts; at least three."""
    end = time.monotonic() + SECONDS / SHARES
    number = 0
    while number < 3 or time.monotonic() < end:
        yield random.Random(seed * 1_000_000 + number)
        number += 1


def busy(script: Script) -> None:
    script.emit(trade(), book(), trade("GOLD"), trade("700.HK"), book("700.HK", 10))


# The tests.
@pytest.mark.parametrize("path", [OTHER_WS, STOCK_WS])
async def test_any_message_is_answered(tmp_path: Path, path: str) -> None:
    async with surviving(tmp_path) as (served, script):
        for dice in rounds(1):
            async with served.link(path) as link:
                texts = [odd_text(dice) for _ in range(40)]
                texts = [text for text in texts if len(text.encode("utf-8", "replace")) < LARGE]
                for text in texts:
                    clean = text.encode("utf-8", "replace")
                    await link.send(clean if dice.random() < 0.2 else clean.decode())
                busy(script)
                for text in texts:
                    answer = await link.answer()
                    assert set(answer) == ANSWER, text
                    assert answer["ret"] in (200, 400, 600), text
                    assert answer["data"] == {}
                    assert type(answer["cmd_id"]) is int
                    assert type(answer["seq_id"]) is int
                    assert type(answer["trace"]) is str
                assert (await link.ask(HEARTBEAT))["ret"] == 200


async def test_any_bytes_on_a_websocket(tmp_path: Path) -> None:
    async def attack(served: Served, script: Script, dice: random.Random) -> None:
        async with served.raw(upgrade(dice.choice((OTHER_WS, STOCK_WS)))) as raw:
            assert (await raw.head()).startswith(b"http/1.1 101 ")
            await raw.send(masked(1, json.dumps(dice.choice(VALID)).encode()))
            for _ in range(dice.randrange(1, 8)):
                await raw.send(odd_frames(dice))
            busy(script)
            if dice.random() < 0.5:  # orderly
                await raw.send(masked(8, b"\x03\xe8"))
                with contextlib.suppress(TimeoutError):  # it may be a part of a frame
                    async with asyncio.timeout(0.3):
                        assert (await raw.closing())[0] not in OUR_FAULT

    async with surviving(tmp_path) as (served, script):
        for dice in rounds(2):
            await asyncio.gather(*(attack(served, script, dice) for _ in range(8)))


async def exchange(raw: Raw, sent: bytes) -> bytes:
    """What is answered within a moment."""
    await raw.send(sent)
    found = b""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(0.1):
            while data := await raw.reader.read(2**16):
                found += data
    return found


async def test_any_bytes_over_http(tmp_path: Path) -> None:
    async def attack(served: Served, dice: random.Random) -> None:
        sent = odd_head(dice) if dice.random() < 0.9 else noise(dice)
        async with served.raw() as raw:
            found = await exchange(raw, sent)
        assert not found or found.startswith(b"HTTP/1.1 "), sent
        assert b"HTTP/1.1 5" not in found, sent

    async with surviving(tmp_path) as (served, _):
        for dice in rounds(3):
            await asyncio.gather(*(attack(served, dice) for _ in range(16)))


async def test_any_query_is_answered_as_json(tmp_path: Path) -> None:
    async with surviving(tmp_path) as (served, _):
        client = httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=120)
        async with client:
            for dice in rounds(4):
                for _ in range(10):
                    base = dice.choice((OTHER_HTTP, STOCK_HTTP))
                    path = base + dice.choice(("/trade-tick", "/depth-tick", "/static_info"))
                    query = spoiled({"trace": "t", "data": dice.choice(VALID)["data"]}, dice)
                    parameters = {"token": "t", "query": json.dumps(query)}
                    response = await client.request(
                        dice.choice(("GET", "GET", "POST")), path, params=parameters
                    )
                    body = response.json()
                    assert (response.status_code, body["ret"]) in {
                        *((200, 200), (200, 600), (400, 400), (402, 402), (405, 402))
                    }, query
                    assert ("data" in body) == (body["ret"] == 200)
                    assert type(body["trace"]) is str


async def test_heads_without_end_are_cut_off(tmp_path: Path) -> None:
    heads = {
        "url": (b"GET /", b"x"),
        "name": (b"GET / HTTP/1.1\r\n", b"x"),
        "value": (b"GET / HTTP/1.1\r\nA: ", b"x"),
        "fields": (b"GET / HTTP/1.1\r\n", b"A: b\r\n"),
        "line ends": (b"", b"\r\n"),
    }
    async with surviving(tmp_path) as (served, _):
        for name, (beginning, more) in heads.items():
            async with served.raw(beginning) as raw:
                sent = 0
                while sent < 2**23 and not raw.reader.at_eof() and not raw.writer.transport.is_closing():
                    await raw.send(more * (2**16 // len(more)))
                    sent += 2**16
                    await asyncio.sleep(0)
                if name == "line ends":  # they are passed over, and nothing is kept of them
                    continue
                assert sent < 2**22, name
                assert (await raw.rest())[:13] in (b"", b"HTTP/1.1 431 ", b"HTTP/1.1 400 "), name


CHUNKED = b"POST /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"


async def test_many_trailers_are_not_kept(tmp_path: Path) -> None:
    async with surviving(tmp_path) as (served, _), served.raw(CHUNKED + b"0\r\n") as raw:
        lines = (b"A: " + b"x" * 1000 + b"\r\n") * 64
        for _ in range(64):  # 4 MiB
            await raw.send(lines)
            await asyncio.sleep(0)
        kept = sum(
            len(name) + len(value)
            for one in served.server.server_state.connections
            for name, value in getattr(one, "headers", None) or ()
        )
        assert kept < 2**20


async def test_a_trailer_without_end_is_cut_off(tmp_path: Path) -> None:
    async with surviving(tmp_path) as (served, _), served.raw(CHUNKED + b"0\r\nA: ") as raw:
        await raw.head()  # the answer to the request
        async with asyncio.timeout(120):
            for _ in range(128):  # 8 MiB
                await raw.send(b"x" * 2**16)
                await asyncio.sleep(0)
                if raw.writer.transport.is_closing() or raw.reader.at_eof():
                    return
        raise AssertionError("8 MiB of one trailer were taken")


async def test_slow_heads_are_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT", 0.3)
    hello = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with surviving(tmp_path) as (served, _):
        silence = served.raw()
        async with silence as silent, served.raw(hello) as second:
            await second.head()
            began = time.monotonic()
            await second.send(b"GET / HTTP/1.1\r\nA: ")
            drip = asyncio.create_task(dripping(second))
            await silent.rest()
            await second.rest()
            assert time.monotonic() - began < 3
            drip.cancel()


async def dripping(raw: Raw) -> None:
    while True:
        await raw.send(b"x")
        await asyncio.sleep(0.02)


async def test_a_crowd_that_comes_and_goes(tmp_path: Path) -> None:
    async def visit(served: Served, script: Script, dice: random.Random) -> None:
        async with served.raw(upgrade(dice.choice((OTHER_WS, STOCK_WS)))) as raw:
            for _ in range(dice.randrange(6)):
                await raw.send(masked(1, json.dumps(dice.choice(VALID)).encode()))
                busy(script)
                if dice.random() < 0.3:
                    await raw.frame()

    async with surviving(tmp_path) as (served, script):
        for dice in rounds(5):
            await asyncio.gather(*(visit(served, script, dice) for _ in range(30)))


def resident(process: int) -> int:
    """Bytes of memory that a process holds."""
    command = ["ps", "-o", "rss=", "-p", str(process)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024


@pytest.mark.skipif(os.name == "nt", reason="needs ps")
async def test_the_program_does_not_grow(tmp_path: Path) -> None:
    async with program(tmp_path, "--rate", "20") as running:
        host, port = running.url.removeprefix("http://").split(":")

        async def one(sent: bytes, then: Callable[[], bytes], count: int) -> None:
            reader, writer = await asyncio.open_connection(host, int(port))
            with contextlib.suppress(TimeoutError, ConnectionError):
                writer.write(sent)
                for _ in range(count):
                    writer.write(then())
                await writer.drain()
                async with asyncio.timeout(0.05):
                    while await reader.read(2**16):
                        pass
            writer.transport.abort()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

        async def attack(dice: random.Random) -> None:
            path = dice.choice((OTHER_WS, STOCK_WS))
            attacks: list[Awaitable[None]] = []
            for _ in range(10):
                attacks.append(one(upgrade(path), lambda: odd_frames(dice), 10))
                attacks.append(one(odd_head(dice), lambda: b"", 0))
            await asyncio.gather(*attacks)

        assert running.process.pid
        for number in range(60):
            await attack(random.Random(number))
        before = resident(running.process.pid)
        for dice in rounds(6):
            await attack(dice)
        after = resident(running.process.pid)
        assert after - before < 8 * 2**20 + 2**10 * SECONDS * 20
        async with httpx.AsyncClient(base_url=running.url, timeout=PATIENCE) as client:
            assert (await client.get("/readyz")).json()["ready"] is True
        assert "Traceback" not in running.log
        assert (await running.end())[0] == 0
