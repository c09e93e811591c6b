"""How a server stops: it drains first. The real program, and real signals."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

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
from .publishing import NDJSON, a_trade, packed

PUBLISHING = ("--source", "publish", "--codes", "BTCUSDT")
BODY = b'{"data":{"data_list":[{"code":"BTCUSDT","kline_type":1,"query_kline_num":1}]}}'


@contextmanager
def loose_umask() -> Iterator[None]:
    """What is begun in here may make files that everybody can write."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)


def linked(running: Program, path: str = OTHER_WS) -> connect:
    return connect(
        running.url.replace("http", "ws", 1) + f"{path}?token=t", ping_interval=None, compression=None
    )


async def begun(running: Program, request: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request whose body the server waits for."""
    host, port = running.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"POST %s?token=t HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n" % request)
    writer.write(b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(BODY))
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    return reader, writer


async def code_of(link: Link) -> int | None:
    try:
        while True:
            await link.recv()
    except ConnectionClosed as closed:
        return None if closed.rcvd is None else closed.rcvd.code


async def test_it_drains_and_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    arguments = (*PUBLISHING, "--record", str(ticks), "--drain-seconds", "600")
    async with AsyncExitStack() as stack:
        with loose_umask():
            running = await stack.enter_async_context(program(tmp_path, *arguments))
        links = [
            Link(await stack.enter_async_context(linked(running, path))) for path in (OTHER_WS, STOCK_WS)
        ]
        reader, writer = await begun(running, f"{OTHER_HTTP}/batch-kline".encode())
        host, port = running.url.removeprefix("http://").split(":")
        stuck, never = await asyncio.open_connection(host, int(port))  # which never closes
        never.write(upgrade())
        await stuck.readuntil(b"\r\n\r\n")
        client = await stack.enter_async_context(httpx.AsyncClient(base_url=running.url, timeout=120))
        assert (await client.get("/readyz")).json()["status"] == "ready"
        posted = await client.post("/v1/publish", content=packed(a_trade(1), a_trade(2)), headers=NDJSON)
        assert posted.json()["data"]["seq"] == 2

        running.process.send_signal(signal.SIGTERM)
        first = {asyncio.create_task(code_of(link)) for link in links}
        pending = {asyncio.create_task(stuck.readexactly(2)), *first}
        async with asyncio.timeout(120):
            while (ready := await client.get("/readyz")).status_code == 200:
                pass
            told, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        assert (ready.status_code, ready.json()["ready"], ready.json()["status"]) == (503, False, "draining")
        assert len(told) == 1  # the others have their time
        assert (await client.get("/healthz")).status_code == 200
        for path in (f"{OTHER_HTTP}/trade-tick?token=t", "/v1/publish", "/"):
            answer = await client.get(path)
            assert (answer.status_code, answer.json()["msg"]) == (503, "the server stops")
            assert answer.headers["connection"] == "close"
        for path in (OTHER_WS, "/v1/publish"):
            with pytest.raises(InvalidStatus) as refused:
                await linked(running, path)
            assert refused.value.response.status_code == 503
        writer.write(BODY)  # what was under way is answered
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")

        status, seconds = await running.end(signal.SIGINT)
        assert (status, "Traceback" in running.log) == (0, False)
        assert seconds < 300  # not the 600 that the drain would take
        assert [await one for one in first] == [1001, 1001]
        for each in (writer, never):
            each.transport.abort()
            with suppress(ConnectionError):
                await each.wait_closed()
    for folder in (tmp_path / "data", ticks):
        for kept in (folder, *folder.rglob("*")):
            assert (kept, kept.stat().st_mode & 0o777) == (kept, 0o700 if kept.is_dir() else 0o600)

    async with (
        program(tmp_path, *arguments) as again,
        httpx.AsyncClient(base_url=again.url, timeout=120) as client,
    ):
        standing = (await client.get("/v1/publish")).json()["data"]
        assert (standing["seq"], standing["durable"]) == (2, 2)
        query = '{"data":{"code":"BTCUSDT","kline_type":1,"query_kline_num":1}}'
        bars = await client.get(f"{OTHER_HTTP}/kline", params={"token": "t", "query": query})
        assert len(bars.json()["data"]["kline_list"]) == 1
        assert (await again.end())[0] == 0
        assert "others could use" not in again.log


async def test_who_neither_reads_nor_closes_holds_it_for_seconds(tmp_path: Path) -> None:
    """WebSockets, publishers, requests without an end, answers that nobody takes."""
    arguments = ("--source", "simulator", "--source", "publish", "--rate", "500", "--drain-seconds", "0.5")
    async with program(tmp_path, *arguments) as running:
        host, port = running.url.removeprefix("http://").split(":")
        writers: list[asyncio.StreamWriter] = []
        for path in [OTHER_WS] * 3 + ["/v1/publish"] * 2:
            reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
            writer.write(upgrade(path).replace(b"Host: x", b"Host: localhost"))
            assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
            writer.write(masked(1, b'{"cmd_id":22004,"data":{"symbol_list":["BTCUSDT","ETHUSDT"]}}'))
            writers.append(writer)
        writers.append((await begun(running, f"{OTHER_HTTP}/batch-kline".encode()))[1])
        _, unread = await asyncio.open_connection(host, int(port), limit=1024)
        unread.write(b"GET /llms-full.txt HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
        writers.append(unread)
        status, seconds = await running.end()
        assert (status, "Traceback" in running.log) == (0, False)
        assert seconds < 60  # 5.5 where the machine has time
        for writer in writers:
            writer.transport.abort()
            with suppress(ConnectionError):
                await writer.wait_closed()


async def test_it_ends_with_the_terminal_that_it_was_started_on(tmp_path: Path) -> None:
    """SIGHUP means that too; elsewhere settings are read again."""
    ours, theirs = pty.openpty()
    with (tmp_path / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tickwire", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
            stdin=theirs,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=program_environment(),
        )
    os.close(theirs)
    running = Program(process, tmp_path / "log")
    try:
        await running.started()
        os.close(ours)
        assert (await running.end(signal.SIGHUP))[0] == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
