"""SIGHUP: what a running server takes on, and what it does not."""

from __future__ import annotations

import asyncio
import shutil
import signal
import ssl
import sys
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from tickwire.config import DATABASE
from tickwire.machine import REAL
from tickwire.server.authority import Authority
from tickwire.store import KEY_FILE, SqliteFile, TokenStore

from ..serving import STOCK_WS, Link, Program, program, program_environment, trusting, until
from .publishing import a_token

NAME = ["127.0.0.1"]
SETTINGS = """
tls_cert = "{tls}/server.pem"
tls_key = "{tls}/server.key"
instruments = ["{folder}/own.csv"]
codes = ["AAPL.US"]
rate = {rate}
drain_seconds = 0
[plans.desk]
connections = {connections}
"""
HEADER = "code,market,reference_price\n"


OF_A_BUSY_MACHINE = ("the server was held up", "does not keep up", "the event loop is blocked")


class Settled:
    """The files that a server runs on, and the server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.first, self.second = (Authority(folder / one / "ca.pem", NAME, REAL) for one in ("one", "two"))
        self.config = folder / "server.toml"
        self.running: Program
        self.write()
        self.declare("FIRST.US")

    def write(self, tls: str = "one", *, rate: int = 5, connections: int = 1, more: str = "") -> None:
        told = SETTINGS.format(tls=self.folder / tls, folder=self.folder, rate=rate, connections=connections)
        self.config.write_text(told + more)

    def declare(self, *codes: str, price: str = "10") -> None:
        rows = "".join(f"{code},us_stock,{price}\n" for code in codes)
        (self.folder / "own.csv").write_text(HEADER + rows)

    async def link(self, token: str, own: Authority) -> ClientConnection:
        url = self.running.url.replace("https", "wss") + f"{STOCK_WS}?token={token}"
        return await connect(url, ssl=trusting(own.ca), ping_interval=None, compression=None)

    async def reload(self) -> str:
        """Returns what the server says of it."""
        before = len(self.running.log)
        self.running.process.send_signal(signal.SIGHUP)
        await until(lambda: "taken on" in (new := self.running.log[before:]) or "read again" in new)
        await until(lambda: self.running.log.endswith("\n"))
        said = self.running.log[before:].splitlines(keepends=True)
        return "".join(line for line in said if not any(one in line for one in OF_A_BUSY_MACHINE))


def revoke(data: Path, name: str) -> None:
    with closing(SqliteFile(data / DATABASE)) as file:
        store = TokenStore(file, data / KEY_FILE)
        store.revoke(store.find(name), int(time.time() * 1000))


async def alive(link: Link) -> bool:
    return bool((await link.ask(22000))["ret"] == 200)


async def test_all_is_taken_on_or_nothing_and_nobody_is_dropped(tmp_path: Path) -> None:
    files = Settled(tmp_path)
    desk = a_token(files.data, name="desk", plan="desk")
    async with AsyncExitStack() as stack:
        files.running = await stack.enter_async_context(program(tmp_path, "--config", str(files.config)))
        one = await stack.enter_async_context(await files.link(desk, files.first))
        link = Link(one)
        assert (await link.subscribe(22004, "AAPL.US", "FIRST.US"))["ret"] == 200
        assert (await link.subscribe(22002, "NEW.US"))["ret"] == 600
        with pytest.raises(InvalidStatus) as full:
            await files.link(desk, files.first)
        assert full.value.response.status_code == 429

        # Another certificate, a larger plan, a new instrument, a new token; and what counts later.
        files.write("two", rate=7, connections=2)
        files.declare("FIRST.US", "NEW.US")
        other = a_token(files.data, name="other", plan="premium")
        said = await files.reload()
        assert said.count("\n") == 2
        assert "new_instruments=1 first=['NEW.US']" in said
        for name in ("tls_cert", "tls_key", "plans"):
            assert name in said.splitlines()[0]
        assert said.splitlines()[1].endswith("changed=['rate']")
        with pytest.raises(ssl.SSLCertVerificationError):
            await files.link(desk, files.first)
        second = Link(await stack.enter_async_context(await files.link(desk, files.second)))
        third = Link(await stack.enter_async_context(await files.link(other, files.second)))
        assert (await link.subscribe(22002, "NEW.US"))["ret"] == 200
        assert [await alive(each) for each in (link, second, third)] == [True] * 3

        # What cannot be used changes nothing, whatever else has changed.
        async def refused(why: str) -> None:
            said = await files.reload()
            assert (said.count("\n"), "level=error" in said) == (1, True)
            assert "nothing was taken on" in said
            assert why in said
            with pytest.raises(InvalidStatus):
                await files.link(desk, files.second)
            assert [await alive(each) for each in (link, second, third)] == [True] * 3
            assert (await link.subscribe(22002, "MORE.US"))["ret"] == 600

        files.declare("FIRST.US", "NEW.US", "MORE.US")
        files.write("two", connections=9, more="\n[plans.other]\nbase = 'none'\n")
        await refused("base 'none' is none of")
        files.write("two", connections=9, more="no toml")
        await refused("server.toml")
        files.config.unlink()
        await refused("server.toml")
        files.write("two", connections=9)
        files.config.write_text(files.config.read_text().replace("plans.desk", "plans.task"))
        await refused("The plan 'desk' is gone, which the token 'desk' has")
        files.write("two", connections=9)
        files.declare("FIRST.US", "NEW.US", "MORE.US", price="much")
        await refused("own.csv, line 2")
        files.declare("FIRST.US", "NEW.US", "MORE.US")
        files.write("three", connections=9)
        (tmp_path / "three").mkdir()
        shutil.copy(files.first.chain, tmp_path / "three/server.pem")
        shutil.copy(files.second.key, tmp_path / "three/server.key")
        await refused("do not belong together")

        # A smaller plan and an instrument that is another one drop nobody; a token that counts no more does.
        files.write("two", rate=7, connections=1)
        files.declare("FIRST.US", price="11")
        revoke(files.data, "other")
        said = await files.reload()
        assert "['rate', 'instrument FIRST.US', 'instrument NEW.US']" in said
        await third.socket.wait_closed()
        assert (third.socket.close_code, third.socket.close_reason) == (1008, "token revoked")
        assert [await alive(each) for each in (link, second)] == [True] * 2
        assert "Traceback" not in files.running.log
        assert (await files.running.end())[0] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
async def test_a_hang_up_while_it_starts_waits_until_it_can_be_followed(tmp_path: Path) -> None:
    with (tmp_path / "log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tickwire", "serve", "--port", "0", "--data-dir", str(tmp_path / "data")),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=program_environment(),
        )
    running, status = Program(process, tmp_path / "log"), Path(f"/proc/{process.pid}/status")
    try:
        await until(lambda: int(status.read_text().partition("SigBlk:")[2].split()[0], 16) & 1 == 1)
        process.send_signal(signal.SIGHUP)
        await running.started()
        await until(lambda: "read again" in running.log)
        assert (await running.end())[0] == 0
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
