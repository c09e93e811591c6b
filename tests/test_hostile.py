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
import urllib.parse
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tickwire.server import http_protocol

from .serving import (
    CANCEL,
    DEPTH,
    HEARTBEAT,
    OTHER_HTTP,
    OTHER_WS,
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
SHARES = 7  # the tests that share these seconds
ANSWER = {"ret", "msg", "cmd_id", "seq_id", "trace", "data"}
OUR_FAULT = {1006, 1011}
ODD: list[Any] = [
    *(None, True, False, 0, -1, 1, 5, 1.5, 1e308, -0.0, 2**31, 2**32, 2**53, 2**63, 2**64, 10**30, 10**400),
    *(
        "",
        "x",
        "\0",
        "é" * 40,
        "x" * 65,
        "1",
        "22004",
        "1e5",
        "NaN",
        "-0",
        "9" * 400,
        "١٢٣",
        "\u202e",
        "%s%n",
    ),
    *("BTCUSDT", "GOLD", "700.HK", "XAUUSD", "../../etc/passwd", "' OR 1=1 --", "{{7*7}}"),
    *([], {}, [[]], [None], {"a": {}}, [{"code": "BTCUSDT"}], ["GOLD", 5], {"code": "GOLD"}),
]
VALID: list[dict[str, Any]] = [
    {"cmd_id": HEARTBEAT, "seq_id": 1, "trace": "h", "data": {}},
    {
        "cmd_id": TRADE,
        "seq_id": 2,
        "trace": "t",
        "data": {"symbol_list": [{"code": "BTCUSDT"}, {"code": "GOLD"}]},
    },
    {"cmd_id": TRADE, "seq_id": 2, "trace": "t", "data": {"symbol_list": [{"code": "700.HK"}]}},
    {
        "cmd_id": DEPTH,
        "seq_id": 3,
        "trace": "d",
        "data": {"symbol_list": [{"code": "BTCUSDT", "depth_level": 3}]},
    },
    {
        "cmd_id": DEPTH,
        "seq_id": 3,
        "trace": "d",
        "data": {"symbol_list": [{"code": "700.HK", "depth_level": 7}]},
    },
    {"cmd_id": CANCEL, "seq_id": 4, "trace": "c", "data": {"cancel_type": 0}},
]


def spoiled(value: Any, dice: random.Random) -> Any:
    """The value with a part of it replaced, dropped, doubled or added, at any depth."""
    if isinstance(value, dict) and value and dice.random() < 0.9:
        value = dict(value)
        name = dice.choice(sorted(value))
        match dice.randrange(6):
            case 0:
                del value[name]
            case 1:
                value[str(dice.choice(ODD))] = value[name]
            case _:
                value[name] = spoiled(value[name], dice)
        return value
    if isinstance(value, list) and value and dice.random() < 0.7:
        value = list(value)
        place = dice.randrange(len(value))
        value[place] = spoiled(value[place], dice)
        return value * dice.choice((1, 1, 2, 50))
    return dice.choice(ODD)


def noise(dice: random.Random) -> bytes:
    return dice.randbytes(dice.choice((0, 1, 2, 5, 20, 125, 126, 200, 3000)))


def odd_text(dice: random.Random) -> str:
    """A request that is valid, spoiled, cut, or none at all."""
    request = dice.choice(VALID)
    for _ in range(dice.choice((0, 1, 1, 2, 3))):
        request = spoiled(request, dice)
    text = json.dumps(request, ensure_ascii=dice.random() < 0.5)
    match dice.randrange(10):
        case 8:
            return repr(request)
        case 9:
            return text.replace("}", ",}").replace('"', dice.choice(["'", '"']))
        case 0:
            place = dice.randrange(len(text) + 1)
            return (
                text[:place]
                + dice.choice(["", "\\", '"', "\\ud800", "[" * 3000, "\0", "9" * 500])
                + text[place:]
            )
        case 1:
            return text[: dice.randrange(len(text) + 1)]
        case 2:
            return noise(dice).decode("latin-1")
        case _:
            return text


def odd_frames(dice: random.Random) -> bytes:
    """Some frames: whole, cut in fragments, with flags and opcodes of any kind, or no frames at all."""
    text = odd_text(dice).encode("utf-8", "surrogatepass")
    match dice.randrange(8):
        case 0:
            return noise(dice)
        case 1:
            return masked(
                dice.randrange(16), noise(dice)[:125], fin=dice.random() < 0.5, rsv=dice.randrange(8)
            )
        case 2:
            cut = dice.randrange(len(text) + 1)
            middle = masked(dice.choice((0, 9, 10)), b"p", fin=dice.random() < 0.5)
            return masked(1, text[:cut], fin=False) + middle + masked(0, text[cut:])
        case 3:
            return masked(
                8, dice.choice((b"", b"\x03", b"\x03\xe8", b"\x03\xe8bye", b"\x0f\xa0", noise(dice)[:125]))
            )
        case 4:
            size = dice.choice((2**16, 2**20, 2**31, 2**63, 2**64 - 1))
            return b"\x81\xff" + size.to_bytes(8, "big") + dice.randbytes(50)
        case 5:
            frame = bytearray(masked(1, text))
            frame[dice.randrange(len(frame))] ^= 1 << dice.randrange(8)
            return bytes(frame)
        case _:
            return masked(dice.choice((1, 1, 2)), text)


def odd_query(dice: random.Random) -> str:
    match dice.randrange(6):
        case 0:
            return noise(dice).decode("latin-1").replace(" ", "").replace("\r", "").replace("\n", "")
        case 1:
            return "&".join(
                dice.choice(["token", "query", "token=", "token=t", "=", "query=%", "query=%zz", "query=%ff"])
                for _ in range(5)
            )
        case _:
            query = spoiled({"trace": "t", "data": dice.choice(VALID)["data"]}, dice)
            return "token=t&query=" + urllib.parse.quote(json.dumps(query))


def odd_head(dice: random.Random) -> bytes:
    """The head of an HTTP request, of which hardly anything needs to be right."""
    base = dice.choice((OTHER_HTTP, STOCK_HTTP, OTHER_WS, STOCK_WS, "/api", "", "//", "http://x:y@z/", "*"))
    tail = dice.choice(
        (
            "",
            "/",
            "/trade-tick",
            "/depth-tick",
            "/static_info",
            "/%2e%2e/",
            "/%ff",
            "/\xe9",
            "/healthz",
            "/readyz",
        )
    )
    method = dice.choice(
        (
            "GET",
            "GET",
            "GET",
            "HEAD",
            "POST",
            "PUT",
            "DELETE",
            "OPTIONS",
            "PATCH",
            "TRACE",
            "CONNECT",
            "PRI",
            "get",
            "X",
        )
    )
    version = dice.choice(("HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/9.9", ""))
    fields = [
        "Host: x",
        "Host: [",
        "Host: x:99999999",
        "Host: " + noise(dice).decode("latin-1"),
        "Connection: close",
        "Connection: Upgrade",
        "Connection: keep-alive, Upgrade",
        "Upgrade: websocket",
        "Upgrade: h2c",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=99",
        "Sec-WebSocket-Protocol: " + "x," * dice.choice((1, 5000)),
        "Content-Length: " + dice.choice(("0", "5", "-1", "99999999999999999999", "x")),
        "Transfer-Encoding: " + dice.choice(("chunked", "gzip", "chunked, chunked")),
        "Expect: 100-continue",
        "Authorization: Bearer \xff\xfe",
        "Token: " + "t" * dice.choice((1, 9000)),
        "Origin: null",
        "X" * dice.choice((1, 9000)) + ": y",
        " folded",
        "no colon",
        ": empty",
    ]
    chosen = dice.sample(fields, dice.randrange(10))
    ending = dice.choice(("\r\n", "\r\n", "\r\n", "\n", "\r"))
    head = ending.join([f"{method} {base}{tail}?{odd_query(dice)} {version}", *chosen, "", ""]).encode(
        "latin-1", "replace"
    )
    match dice.randrange(8):
        case 0:
            return head[: dice.randrange(len(head))]
        case 1:
            return noise(dice) + head
        case 2:
            return head * 3
        case _:
            return head + dice.choice(
                (b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"fffffffffffffffff\r\n", noise(dice))
            )


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
    async with asyncio.timeout(8):  # what was sent half is given up after 2 to 5 seconds
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
        client = httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=20)
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
        async with asyncio.timeout(20):
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
        async with httpx.AsyncClient(base_url=running.url) as client:
            assert (await client.get("/readyz")).json()["ready"] is True
        assert "Traceback" not in running.log
        assert (await running.end())[0] == 0
