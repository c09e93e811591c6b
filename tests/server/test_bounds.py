"""A server that was paused, with its machine or alone, first reads what came meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from ..serving import OTHER_HTTP, Program, Raw, masked, program_environment, upgrade
from .publishing import PATH

SHORT, PAUSE = 5.0, 7.0
"""Seconds of every deadline, uvicorn's own for idle connections among them, and of the pause."""
STOP = b"stop here"
SERVE = f"""
import os, signal
from tickwire.server import bodies, http_protocol, publish_socket, websocket
from tickwire.wire import session
session.LATE_HEARTBEAT = {SHORT / 2}
session.HEARTBEAT_TIMEOUT = http_protocol.HEAD_TIMEOUT = bodies.STALL = bodies.WHOLE = {SHORT}
publish_socket.QUIET = {SHORT / 2}
websocket.GRACE = 1.0
received = websocket.WebSocket.data_received
def data_received(self, data):
    received(self, data)
    if {STOP!r} in data:
        os.kill(os.getpid(), signal.SIGSTOP)
websocket.WebSocket.data_received = data_received
from tickwire.cli.main import run
run()
"""
"""The program stops itself while it is reading: its loop then looks at its timers before it reads on."""
HEARTBEAT = masked(1, b'{"cmd_id":22000,"seq_id":5}')
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"trace":"late","data":{"data_list":[]}}'


@pytest.mark.skipif(os.name == "nt", reason="needs SIGSTOP")
async def test_nobody_is_cut_by_a_pause_who_was_heard_in_it(tmp_path: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        running = await stack.enter_async_context(short_program(tmp_path))

        async def opened(hello: bytes) -> Raw:
            host, port = running.url.removeprefix("http://").split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            stack.callback(writer.transport.abort)
            raw = Raw(reader, writer)
            await raw.send(hello)
            return raw

        client, silent, publisher = [
            await opened(upgrade(path, query).replace(b"Host: x", b"Host: 127.0.0.1"))
            for path, query in (*[("/quote-b-ws-api", "?token=t")] * 2, (PATH, ""))
        ]
        for one in (client, silent, publisher):
            assert (await one.head()).startswith(b"http/1.1 101 ")
        head = await opened(HEALTH[:-2])
        idle = await opened(HEALTH)
        assert (await idle.head()).startswith(b"http/1.1 200 ")
        assert await idle.reader.readexactly(15) == b'{"status":"ok"}'
        body = await opened(
            f"POST {OTHER_HTTP}/batch-kline?token=t HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
            f"Content-Length: {len(BODY)}\r\n\r\n".encode()
        )
        assert (await body.head()).startswith(b"http/1.1 100 ")

        await client.send(b"\x81\x89\0\0\0\0" + STOP)
        await stopped(running)
        await client.send(HEARTBEAT)
        await publisher.send(masked(10, b""))
        await head.send(HEALTH[-2:])
        await idle.send(HEALTH)
        await body.send(BODY)
        await asyncio.sleep(PAUSE)  # longer than every deadline
        running.process.send_signal(signal.SIGCONT)

        assert b'"ret":400' in (await client.frame())[1]
        assert b'"seq_id":5' in (await client.frame())[1]
        async with httpx.AsyncClient(base_url=running.url, timeout=120) as asking:
            noted = (await asking.get("/admin/connections")).text
        assert "missing_field" in noted
        assert "late_heartbeat" not in noted
        assert (await head.head()).startswith(b"http/1.1 200 ")
        assert (await idle.head()).startswith(b"http/1.1 200 ")
        assert b" 400 " in await body.head()  # the answer to what it asks
        assert (await silent.closing()) == (1008, "heartbeat timeout")  # who is gone is cut, later
        await client.send(HEARTBEAT)
        assert b'"seq_id":5' in (await client.frame())[1]
        await publisher.send(masked(1, b'{"type":"nothing"}'))
        while (frame := await publisher.frame())[0] == 9:
            pass
        assert frame[0] == 1
        assert "the server was held up" in running.log


async def stopped(running: Program) -> None:
    """Waits until the process is stopped."""
    async with asyncio.timeout(120):
        state = ""
        while not state.startswith("T"):
            command = ("ps", "-o", "stat=", "-p", str(running.process.pid))
            ps = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
            state = (await ps.communicate())[0].decode().strip()


@contextlib.asynccontextmanager
async def short_program(folder: Path) -> AsyncIterator[Program]:
    """`tickwire serve` with short deadlines."""
    arguments = ["serve", "--port", "0", "--data-dir", str(folder / "data"), "--source", "publish"]
    with (folder / "log").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", SERVE, *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            env=program_environment(),
        )
    running = Program(process, folder / "log")
    try:
        await running.started()
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
