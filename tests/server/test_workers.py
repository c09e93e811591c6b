"""A server of several processes: real ones, killed one after the other."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from ..serving import OTHER_HTTP, OTHER_WS, PATIENCE, Link, Program, program, program_environment, until
from .publishing import NDJSON, a_token, a_trade, packed

PUBLISHING = ("--workers", "2", "--source", "publish", "--codes", "BTCUSDT")
CLIENTS = 12
ROUNDS = 20 if "TICKWIRE_SOAK" in os.environ else 1


def processes(running: Program) -> list[int]:
    """The process of the market side, and those of the client sides."""
    parent = running.process.pid
    return [int(one) for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


class Reader:
    """A client that keeps what it is sent, and comes back where it was."""

    def __init__(self, running: Program) -> None:
        self._url = running.url.replace("http", "ws", 1) + f"{OTHER_WS}?token=t"
        self.prices: list[str] = []
        self.seqs: list[int] = []
        self.cuts = 0
        self.gaps: list[dict[str, Any]] = []
        self._place: dict[str, int] = {}
        self.ready = asyncio.Event()

    async def has(self, *prices: str) -> None:
        """Waits until it has been sent these, and nothing else."""
        await until(lambda: len(self.prices) >= len(prices))
        assert self.prices == [*prices]

    async def run(self) -> None:
        while True:
            with contextlib.suppress(OSError, ConnectionClosed, EOFError):
                async with connect(self._url, ping_interval=None, compression=None) as connected:
                    await self._read(Link(connected))
            self.cuts += 1
            self.ready.clear()
            await asyncio.sleep(0.05)

    async def _read(self, link: Link) -> None:
        item = {"kind": "trade", "code": "BTCUSDT"}
        if not self._place:
            answer = await link.ask(28012, {"add": [item]})
            told = answer["data"]["added"][0]
            self._place = {"epoch": told["epoch"], "seq": told["seq"]}
        else:
            answer = await link.ask(28016, {"items": [item | self._place]})
            told = answer["data"]["items"][0]
            assert told["state"] in ("resumed", "gap")
            if told["state"] == "gap":
                self.gaps.append(told)
        self._place["epoch"] = told["epoch"]
        self.ready.set()
        while True:
            said = await link.push()
            if said["cmd_id"] == 28993:
                self.gaps.append(said["data"])
                self._place["epoch"] = said["data"]["epoch"]
            elif said["cmd_id"] == 22998:
                self.prices.append(said["data"]["price"])
                self._place["seq"] = said["data"]["seq"]
                self.seqs.append(said["data"]["seq"])


@contextlib.asynccontextmanager
async def reading(running: Program, number: int = CLIENTS) -> AsyncIterator[list[Reader]]:
    readers = [Reader(running) for _ in range(number)]
    tasks = [asyncio.create_task(one.run()) for one in readers]
    try:
        for one in readers:
            await one.ready.wait()
        yield readers
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def publish(running: Program, *prices: str) -> None:
    """Until they are taken: the market side may be on its way back."""
    lines = packed(*(a_trade(price=price) for price in prices))
    async with httpx.AsyncClient() as http:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                answer = await http.post(
                    f"{running.url}/v1/publish", content=lines, headers=NDJSON, timeout=10
                )
                if answer.status_code == 200:
                    return
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("number", range(ROUNDS))
async def test_whichever_process_dies_clients_get_all_and_are_told_what_is_lost(
    tmp_path: Path, number: int
) -> None:
    async with program(tmp_path, *PUBLISHING) as running, reading(running) as readers:
        market, *gateways = processes(running)
        assert len(gateways) == 2
        await publish(running, "1.00", "2.00")
        for one in readers:
            await one.has("1.00", "2.00")

        os.kill(gateways[1], signal.SIGKILL)
        await until(lambda: any(one.cuts for one in readers))
        await publish(running, "3.00", "4.00")
        for one in readers:
            await one.has("1.00", "2.00", "3.00", "4.00")
        assert [one.gaps for one in readers] == [[]] * CLIENTS, "what was missed is there: nothing is a gap"
        cut = [one.cuts for one in readers]
        assert 0 in cut, "who is served by the other process notices nothing"

        os.kill(market, signal.SIGKILL)
        await until(lambda: all(one.gaps for one in readers))  # all live on, and know of the new epoch
        await publish(running, "5.00")
        for one in readers:
            await one.has("1.00", "2.00", "3.00", "4.00", "5.00")
        assert [one.cuts for one in readers] == cut
        await until(lambda: len(processes(running)) == 3)
        status, _ = await running.end()
        assert status == 0
    assert "Traceback" not in running.log


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "taken"), "is taken"),
        (("--source", "replay", "--file", "nowhere.csv"), "nowhere.csv"),
    ],
)
async def test_what_cannot_begin_says_why_and_leaves_nobody_behind(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    with contextlib.ExitStack() as stack:
        if "taken" in arguments:
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            arguments = ("--port", str(taken.getsockname()[1]))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tickwire", "serve", "--workers", "2"),
            *("--data-dir", str(tmp_path / "data"), *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=program_environment(),
        )
        out, errors = await process.communicate()
    assert process.returncode in (1, 2)
    assert said in errors.decode()
    assert out == b""


LIMITED = """
[plans.tight]
connections = 2
subscriptions = "1/1s"
http = "5/1h"
"""


async def test_limits_of_a_token_hold_whichever_process_is_asked(tmp_path: Path) -> None:
    """Many at once, which the system deals out among two processes."""
    (tmp_path / "settings.toml").write_text(LIMITED)
    secret = a_token(tmp_path / "data", plan="tight")
    arguments = ("--workers", "2", "--config", str(tmp_path / "settings.toml"), "--takeover-after", "2")
    async with program(tmp_path, *arguments) as running, contextlib.AsyncExitStack() as stack:
        url = f"{running.url}{OTHER_HTTP}/trade-tick?token={secret}&query=%7B%22data%22%3A%7B%7D%7D"

        async def get() -> int:
            async with httpx.AsyncClient() as http:
                return (await http.get(url)).status_code

        found = await asyncio.gather(*(get() for _ in range(30)))
        assert found.count(429) == 25

        async def dial() -> ClientConnection | int:
            address = running.url.replace("http", "ws", 1) + f"{OTHER_WS}?token={secret}"
            try:
                return await stack.enter_async_context(connect(address, ping_interval=None))
            except InvalidStatus as refused:
                return refused.response.status_code

        sockets = await asyncio.gather(*(dial() for _ in range(20)))
        links = [Link(one) for one in sockets if isinstance(one, ClientConnection)]
        assert len(links) == 2
        assert [one for one in sockets if isinstance(one, int)] == [429] * 18

        asked = {"symbol_list": [{"code": "BTCUSDT"}]}
        tries = [links[n % 2].ask(22004, asked) for n in (0, 1)]
        assert sorted(one["ret"] for one in await asyncio.gather(*tries)) == [200, 605]
        assert (await links[0].ask(22000))["ret"] == 200, "what is not limited passes"

        await asyncio.sleep(2.0)  # a time that the settings name: who is silent for so long gives way
        newer = await dial()
        assert isinstance(newer, ClientConnection)
        await until(lambda: [one.socket.close_code for one in links].count(1008) == 1)

        gateways = processes(running)[1:]
        os.kill(gateways[0], signal.SIGKILL)
        os.kill(gateways[1], signal.SIGKILL)  # with all connections: their places are free
        again: list[ClientConnection | int] = []

        async def is_back() -> bool:
            with contextlib.suppress(OSError, InvalidMessage, EOFError):
                again.append(await dial())
            return any(isinstance(one, ClientConnection) for one in again)

        async with asyncio.timeout(PATIENCE):
            while not await is_back():  # noqa: ASYNC110  # another process is
                await asyncio.sleep(0.1)


async def test_a_new_epoch_begins_with_its_first_trade_and_one_that_hangs_is_ended(tmp_path: Path) -> None:
    async with program(tmp_path, "--workers", "2", "--codes", "BTCUSDT", "--rate", "50") as running:
        address = running.url.replace("http", "ws", 1) + f"{OTHER_WS}?token=t"
        async with contextlib.AsyncExitStack() as stack:
            links = [
                Link(await stack.enter_async_context(connect(address, ping_interval=None))) for _ in range(4)
            ]
            for link in links:
                await link.ask(28012, {"add": [{"kind": "trade", "code": "BTCUSDT"}]})
                await link.push()
            market, *gateways = processes(running)
            os.kill(market, signal.SIGKILL)
            for link in links:
                while (told := await link.push())["cmd_id"] != 28993:
                    pass
                pushed = [(await link.push())["data"]["seq"] for _ in range(20)]
                begin = told["data"]["from"]
                assert pushed == [*range(begin, begin + 20)]
        os.kill(gateways[1], signal.SIGSTOP)
        running.process.send_signal(signal.SIGTERM)
        await until(lambda: len(processes(running)) == 2)  # the other worker has ended
        status, _ = await running.end()  # told again
        assert status == 1
        await until(lambda: not any(Path(f"/proc/{one}").exists() for one in gateways))
    assert "did not end" in running.log


async def test_publishers_are_not_told_what_is_not_known_while_the_market_side_stands_still(
    tmp_path: Path,
) -> None:
    async with program(tmp_path, *PUBLISHING) as running:
        await publish(running, "1.00")
        market = processes(running)[0]
        os.kill(market, signal.SIGSTOP)
        url = running.url.replace("http", "ws", 1) + "/v1/publish"
        async with httpx.AsyncClient(timeout=PATIENCE) as http:
            lines = packed(a_trade(price="2.00"))
            answer = await http.post(f"{running.url}/v1/publish", content=lines, headers=NDJSON)
            assert (answer.status_code, "data" in answer.json()) == (503, False)
        for message in ('{"cmd_id":28000,"seq_id":1,"trace":"","data":{}}', lines.decode()):
            async with connect(url) as socket:
                await socket.send(message)
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
            assert closed.value.rcvd is not None
            assert (closed.value.rcvd.code, "is away" in closed.value.rcvd.reason) == (1013, True)
        os.kill(market, signal.SIGCONT)
        await publish(running, "3.00")
        assert "Traceback" not in running.log


async def test_all_end_when_the_one_that_was_started_is_killed(tmp_path: Path) -> None:
    async with program(tmp_path, "--workers", "1") as running:
        children = processes(running)
        assert len(children) == 2
        running.process.kill()
        await until(lambda: not any(Path(f"/proc/{one}").exists() for one in children))
