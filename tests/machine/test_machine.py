"""A server on another machine than the real one takes nothing from the real one."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from tickwire.machine import Data, Disk, Network, Writer

from ..serving import TRADE, serving

AHEAD = 400 * 86_400
"""Seconds by which its wall clock goes ahead."""


class Memory(Disk):
    """Small files that are nowhere else."""

    def __init__(self) -> None:
        self.files: dict[Path, bytes] = {}

    def read(self, path: Path, most: int = 4096) -> bytes:
        if path not in self.files:
            raise FileNotFoundError
        return self.files[path]

    def replace(self, path: Path, content: bytes, mode: int = 0o666) -> None:
        self.files[path] = content


class Wire(Network):
    """What goes to clients past the loop goes through the loop after all, in two pieces."""

    def __init__(self) -> None:
        self.written = 0

    def writer(self, transport: asyncio.Transport) -> Writer:
        return Halves(self, transport)


class Halves(Writer):
    def __init__(self, wire: Wire, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._wire = wire

    def write(self, data: Data) -> Data:
        self._wire.written += len(data) // 2
        self._transport.write(data[: len(data) // 2])
        return data[len(data) // 2 :]


async def test_a_server_lives_by_what_it_is_handed(tmp_path: Path) -> None:
    disk, wire, began = Memory(), Wire(), time.time()
    async with serving(
        tmp_path, disk=disk, network=wire, wall=lambda: time.time() + AHEAD, record=tmp_path / "r"
    ) as served:
        async with served.link() as link:
            await link.subscribe(TRADE, "BTCUSDT")
            push = await link.push()
        assert int(push["data"]["seq"]) / 1e6 >= began + AHEAD
        assert int(push["data"]["tick_time"]) / 1e3 >= began + AHEAD
        ready = (await served.get("/readyz")).json()
        halted = (await served.get("/api/suspension/nasdaq")).json()
    then = [time.gmtime(at + AHEAD) for at in (began, time.time())]
    assert ready["sources"][0]["since"] / 1e3 >= began + AHEAD
    assert halted["timestamp"][:10] in {time.strftime("%Y-%m-%d", at) for at in then}
    assert {path.name for path in (tmp_path / "r").rglob("date=*")} <= {
        time.strftime("date=%Y-%m-%d", at) for at in then
    }
    assert wire.written > 0
    assert [path.name for path in disk.files] == ["epoch"]
    assert not (tmp_path / "epoch").exists()
