"""The real program as a process: how it starts, what it says, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tickwire.config import DATABASE

from ..forks import spawn
from ..serving import (
    OTHER_HTTP,
    OTHER_WS,
    STOCK_WS,
    Link,
    Program,
    masked,
    program,
    program_environment,
    upgrade,
)

HEADER = "code,tick_time_ms,price,volume\n"


@contextlib.asynccontextmanager
async def linked(running: Program, path: str = OTHER_WS, query: str = "?token=t") -> AsyncIterator[Link]:
    async with connected(running, path, query) as socket:
        yield Link(socket)


def connected(running: Program, path: str = OTHER_WS, query: str = "?token=t") -> connect:
    return connect(running.url.replace("http", "ws", 1) + path + query, ping_interval=None, compression=None)


async def test_the_first_line_is_the_url_and_ticks_come(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        assert running.url.startswith("http://127.0.0.1:")
        async with linked(running) as link, linked(running, STOCK_WS) as stocks:
            await link.subscribe(22004, "BTCUSDT")
            await stocks.subscribe(22002, "700.HK")
            assert (await link.push())["data"]["code"] == "BTCUSDT"
            assert len((await stocks.push())["data"]["bids"]) == 10
        async with httpx.AsyncClient(base_url=running.url, timeout=120) as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["source"]) == (200, "simulator")
            assert ready.json()["events"] > 0
            page = (await client.get("/")).text
        assert page.strip() in running.welcome
        assert f"{running.url.replace('http', 'ws', 1)}{STOCK_WS}" in running.welcome
        assert "simulated data" in running.welcome
        assert "wss://quote.alltick.co" in running.welcome


def held(folder: Path) -> contextlib.closing[sqlite3.Connection]:
    """Another program has the database of that data directory, and writes into it."""
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return contextlib.closing(connection)


async def test_bars_that_a_locked_database_does_not_take_at_the_end_are_named_and_it_failed(
    tmp_path: Path,
) -> None:
    async with program(tmp_path, "--codes", "BTCUSDT,GOLD", "--rate", "50") as running:
        async with linked(running) as link:
            await link.subscribe(22004, "BTCUSDT", "GOLD")
            while {one["data"]["code"] for one in link.pushes} != {"BTCUSDT", "GOLD"}:
                await link.push()
            with held(tmp_path / "data"):
                before = len(link.pushes)
                while {one["data"]["code"] for one in link.pushes[before:]} != {"BTCUSDT", "GOLD"}:
                    await link.push()
                status, _ = await running.end()
        assert (status, "Traceback" in running.log) == (1, False)
        line = running.log.splitlines()[-1]
    assert line.startswith(
        "tickwire: The last bars of simulator could not be written and are lost (BTCUSDT, GOLD,"
    )
    assert "another program" in line.lower()


async def test_a_database_of_a_newer_tickwire_is_refused_in_a_line_and_stays_as_it_is(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        await running.end()
    path = tmp_path / "data" / DATABASE
    with contextlib.closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
    before, names = path.read_bytes(), sorted(one.name for one in path.parent.iterdir())
    ended = await ended_program("serve", "--port", "0", "--data-dir", str(path.parent))
    assert ended[0] == 1
    (line,) = ended[1].splitlines()
    assert line.startswith(f"tickwire: {path} was written by a newer Tickwire (schema 99, ")
    assert line.endswith("Update Tickwire, or choose another --data-dir.")
    assert (path.read_bytes(), sorted(one.name for one in path.parent.iterdir())) == (before, names)


async def ended_program(*arguments: str) -> tuple[int | None, str]:
    """The exit status of the program, and what it wrote to standard error."""
    process = await spawn(*arguments, env=program_environment())
    _, err = await process.communicate()
    return process.returncode, err.decode()


async def read_out(socket: ClientConnection) -> None:
    """Reads until the server closes."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            await socket.recv()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_without_clients_ends_it_with_0(tmp_path: Path, number: signal.Signals) -> None:
    async with program(tmp_path) as running:
        status, seconds = await running.end(number)
        assert (status, "Traceback" in running.log) == (0, False)
        assert seconds < 5


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_closes_every_client_with_1001(tmp_path: Path, number: signal.Signals) -> None:
    async with program(tmp_path, "--rate", "50") as running, contextlib.AsyncExitStack() as stack:
        sockets: list[ClientConnection] = []
        for path in (OTHER_WS, STOCK_WS) * 3:
            link = await stack.enter_async_context(linked(running, path))
            await link.subscribe(22004, "BTCUSDT", "GOLD", "700.HK", "AAPL.US")
            sockets.append(link.socket)
        sockets.append(await stack.enter_async_context(connected(running)))  # silent
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=running.url, timeout=120))
        await client.get("/healthz")  # an idle connection stays
        host, port = running.url.removeprefix("http://").split(":")
        _, half = await asyncio.open_connection(host, int(port))
        half.write(b"GET /quote-b-api/trade-tick?token=t HTTP/1.1\r\nHo")
        stack.callback(half.close)
        reading = [asyncio.create_task(read_out(socket)) for socket in sockets]
        status, seconds = await running.end(number)
        assert (status, "Traceback" in running.log) == (0, False)
        assert seconds < 5
        async with asyncio.timeout(120):
            await asyncio.gather(*reading)
        assert [socket.close_code for socket in sockets] == [1001] * 7


async def test_a_client_that_neither_reads_nor_closes_does_not_hold_it(tmp_path: Path) -> None:
    async with program(tmp_path, "--rate", "500") as running:
        host, port = running.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(upgrade())
        assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(masked(1, b'{"cmd_id":22004,"data":{"symbol_list":["BTCUSDT","ETHUSDT"]}}'))
        assert b'"ret":200' in await reader.readuntil(b"}")  # and reads no more
        status, seconds = await running.end()
        assert (status, "Traceback" in running.log) == (0, False)
        assert seconds < 5
        writer.transport.abort()


async def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        host, port = running.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(upgrade())
        await reader.readuntil(b"\r\n\r\n")  # and it will not answer the close
        running.process.send_signal(signal.SIGINT)
        async with asyncio.timeout(120):
            assert await reader.readexactly(2)  # the close frame has come
        status, _ = await running.end(signal.SIGINT)
        assert (status, "Traceback" in running.log) == (0, False)
        writer.close()


async def test_seq_grows_across_a_restart(tmp_path: Path) -> None:
    last = 0
    for _ in range(2):
        async with program(tmp_path, "--rate", "100") as running:
            async with linked(running) as link:
                await link.subscribe(22004, "BTCUSDT")
                for _ in range(5):
                    seq = (await link.push())["data"]["seq"]
                    assert seq > last
                    last = seq
            await running.end()


async def test_the_pasted_client_runs(tmp_path: Path) -> None:
    async with program(tmp_path, "--rate", "20") as running:
        lines = running.welcome.splitlines()
        line = lines[lines.index("A client to paste:") + 1].strip()
        command = shlex.split(line)
        assert command[0] == sys.executable
        client = await asyncio.create_subprocess_shell(
            f"exec {line}", stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        try:
            assert client.stdout is not None
            async with asyncio.timeout(120):
                answer, push = [json.loads(await client.stdout.readline()) for _ in range(2)]
        finally:
            client.kill()
            await client.communicate()
        assert answer["ret"] == 200
        assert (push["cmd_id"], push["data"]["code"]) == (22998, "BTCUSDT")


PROGRAM = """\
import json, sys, websocket
path, codes = sys.argv[2], [{"code": code} for code in sys.argv[3:]]
ws = websocket.create_connection(sys.argv[1].replace("http", "ws") + path + "?token=anything", timeout=120)
for cmd_id in (22002, 22004):
    ws.send(json.dumps({"cmd_id": cmd_id, "seq_id": 1, "trace": "x", "data": {"symbol_list": codes}}))
wanted = {(kind, one["code"]) for kind in (22999, 22998) for one in codes}
while wanted:
    message = json.loads(ws.recv())
    wanted.discard((message["cmd_id"], message.get("data", {}).get("code")))
ws.send(json.dumps({"cmd_id": 22006, "seq_id": 2, "trace": "y", "data": {"cancel_type": 0}}))
while json.loads(ws.recv())["cmd_id"] != 22007:
    pass
ws.settimeout(1)
try:
    print("after the cancel:", ws.recv())
except websocket.WebSocketTimeoutException:
    print("silent")
ws.close()
"""


@pytest.mark.parametrize(("path", "codes"), [(OTHER_WS, "GOLD BTCUSDT"), (STOCK_WS, "700.HK AAPL.US")])
async def test_a_program_written_from_the_protocol_alone(tmp_path: Path, path: str, codes: str) -> None:
    async with program(tmp_path, "--rate", "20") as running:
        client = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-c", PROGRAM, running.url, path, *codes.split()),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(120):
            out, err = await client.communicate()
        assert (out.decode(), err.decode(), client.returncode) == ("silent\n", "", 0)


SECRET = "s3cr3t-T0KEN-9f8e7d"


@pytest.mark.parametrize("level", ["debug", "info"])
async def test_no_token_is_logged(tmp_path: Path, level: str) -> None:
    async with program(tmp_path, "--log-level", level, "--rate", "20", "--client-buffer", "65536") as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=120) as client:
            for path in (f"{OTHER_HTTP}/trade-tick", f"{OTHER_HTTP}/nope", "/nope", "/", "/api/x", OTHER_WS):
                for method in ("GET", "POST", "OPTIONS", "DELETE"):
                    await client.request(method, path, params={"token": SECRET, "query": "{"})
                    await client.request(method, path, headers={"token": SECRET})
                    await client.request(method, path, headers={"authorization": f"Bearer {SECRET}"})
        for header in ({}, {"Token": SECRET}, {"Authorization": f"Bearer {SECRET}"}):
            url = f"{running.url.replace('http', 'ws', 1)}{OTHER_WS}?{'' if header else f'token={SECRET}'}"
            async with connect(url, additional_headers=header, compression=None) as socket:
                await socket.send(f"nonsense {SECRET}")
                await socket.recv()
                await socket.send(json.dumps({"cmd_id": 22004, "trace": SECRET}))
                await socket.recv()
                await socket.send(b"x" * (2**20 + 1))
                await socket.wait_closed()
        host, port = running.url.removeprefix("http://").split(":")
        for line in (
            f"GET {OTHER_WS}?token={SECRET} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\n\r\n",
            f"GET {OTHER_WS}?token={SECRET} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
            "Upgrade: h2c\r\n\r\n",
            f"GET {OTHER_HTTP}/x?token={SECRET}\r\n\r\n",
            f"BROKEN {OTHER_HTTP}/x?token={SECRET} HTTP/9.9\r\ntoken: {SECRET}\r\n\r\n",
            f"GET /\xff?token={SECRET} HTTP/1.1\r\ntoken {SECRET}\r\n\r\n",
            f"GET /?token={SECRET}{'x' * 300_000} HTTP/1.1\r\n\r\n",
        ):
            reader, writer = await asyncio.open_connection(host, int(port))
            with contextlib.suppress(ConnectionError):
                writer.write(line.encode("latin-1"))
                async with asyncio.timeout(120):
                    await reader.read(2**16)
            writer.close()
        status, _ = await running.end()
        assert status == 0
        assert running.log  # something was logged
        assert SECRET not in running.log
        assert SECRET not in running.welcome


async def test_a_replay_streams_and_stays_up_at_its_end(tmp_path: Path) -> None:
    recording = tmp_path / "recording.csv"
    recording.write_text(HEADER + "".join(f"IBM.US,{1381152600000 + n},18{n}.5,{n + 1}\n" for n in range(5)))
    async with program(
        tmp_path, "--source", "replay", "--file", str(recording), "--speed", "0", "--hold"
    ) as running:
        async with linked(running, STOCK_WS) as link:
            await link.subscribe(22004, "IBM.US")
            prices = [(await link.push())["data"]["price"] for _ in range(5)]
            assert prices == [f"18{n}.500000" for n in range(5)]
            await link.nothing()
        async with linked(running, STOCK_WS) as late:
            await late.subscribe(22004, "IBM.US")
            assert (await late.push())["data"]["price"] == "184.500000"
        assert (await running.end())[0] == 0
