"""What a service manager is told, over a socket of this test's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tickwire.machine import Supervisor
from tickwire.machine.supervisor import SOONEST
from tickwire.server.supervision import Supervision

from ..serving import Script, program, serving

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets")


class Manager:
    """Hears what it is told."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.address = address
        self.heard: list[dict[str, str]] = []

    async def hear(self, name: str) -> dict[str, str]:
        """Waits until it is told that."""
        async with asyncio.timeout(120):
            while True:
                text = (await asyncio.get_running_loop().sock_recv(self.socket, 4096)).decode()
                self.heard.append(dict(line.split("=", 1) for line in text.split("\n")))
                if name in self.heard[-1]:
                    return self.heard[-1]


@contextmanager
def manager(folder: Path, *, abstract: bool = False) -> Iterator[Manager]:
    made = Manager(f"@tickwire-test-{os.getpid()}" if abstract else str(folder / "notify"))
    with closing(made.socket):
        yield made


async def test_it_is_told_of_start_life_reload_and_end(tmp_path: Path) -> None:
    with manager(tmp_path, abstract=sys.platform == "linux") as told:
        environment = {"NOTIFY_SOCKET": told.address, "WATCHDOG_USEC": "300000"}
        async with program(tmp_path, **environment) as running:
            assert await told.hear("READY") == {"READY": "1"}
            assert not any("WATCHDOG" in one and "EXTEND_TIMEOUT_USEC" not in one for one in told.heard)
            assert await told.hear("STATUS") == {"WATCHDOG": "1", "STATUS": "0 clients; simulator up"}
            await told.hear("WATCHDOG")
            before = time.monotonic_ns() // 1000
            running.process.send_signal(signal.SIGHUP)
            reloading = await told.hear("RELOADING")
            assert before <= int(reloading["MONOTONIC_USEC"]) <= time.monotonic_ns() // 1000
            assert (await told.hear("READY"))["STATUS"] == "0 clients; simulator up"
            assert (await running.end())[0] == 0
            await told.hear("STOPPING")
            assert (await told.hear("STATUS"))["STATUS"].startswith("stopping")


async def test_nobody_hears_it(tmp_path: Path) -> None:
    address = str(tmp_path / "nobody")
    async with program(tmp_path, NOTIFY_SOCKET=address, WATCHDOG_USEC="300000", WATCHDOG_PID="1") as running:
        running.process.send_signal(signal.SIGHUP)
        assert (await running.end())[0] == 0
        assert running.log.count("the service manager cannot be told") == 1
        assert "Traceback" not in running.log


async def test_a_watchdog_is_not_answered_when_a_task_of_the_engine_is_gone(tmp_path: Path) -> None:
    async with serving(tmp_path / "data", Script()) as served:
        with manager(tmp_path) as told, closing(Supervisor(told.address, 0.03)) as supervisor:
            telling = asyncio.create_task(Supervision(served.engine, supervisor).run())
            await told.hear("WATCHDOG")
            before, gone = served.engine.alive, served.engine._tasks[-1]
            gone.cancel()
            await asyncio.wait([gone])
            assert (before, served.engine.alive) == (True, False)
            with suppress(BlockingIOError):
                while told.socket.recv(4096):  # what was said before
                    pass
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(told.hear("WATCHDOG"), 0.3)  # as long as ten answers take
            telling.cancel()


@pytest.mark.parametrize(
    ("environment", "listens", "watchdog"),
    [
        ({}, False, 0.0),
        ({"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "5000000"}, False, 5.0),
        (
            {"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": str(os.getpid())},
            True,
            5.0,
        ),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "5000000", "WATCHDOG_PID": "1"}, True, 0.0),
        ({"NOTIFY_SOCKET": "/run/x", "WATCHDOG_USEC": "soon"}, True, 0.0),
        ({"NOTIFY_SOCKET": "vsock:2:1234"}, False, 0.0),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "1"}, True, SOONEST),
        ({"NOTIFY_SOCKET": "@x", "WATCHDOG_USEC": "0"}, True, 0.0),
    ],
)
def test_who_it_is_stands_in_the_environment(
    environment: dict[str, str], listens: bool, watchdog: float
) -> None:
    with closing(Supervisor.of(environment)) as found:
        assert (found.listens, found.watchdog) == (listens, watchdog)
