"""A feed on a line that is cut, falls mute, is garbled and rate-limited every few moments, for a long time.

A few seconds, or ten minutes with TICKWIRE_SOAK (make soak).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import json
import os
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from tickwire import connect
from tickwire.client import Backoff, Options, Plan
from tickwire.model import Kind
from tickwire.wire import Terms

from ..serving import Script, book, serving, trade
from .heard import begin
from .ledger import PUSHES, Ledger

SECONDS = 600.0 if "TICKWIRE_SOAK" in os.environ else 3.5
T0 = 1788529064027
CODES = ("BTCUSDT", "GOLD", "EURUSD")
OPTIONS = Options(Terms(heartbeat=0.2, mute=0.4), Backoff(first=0.02, most=0.1), close_timeout=0.2)
GARBLED = 40
"""Of so many pushes one is garbled."""
MEBIBYTE = 2**20


class Trouble:
    """A bad line between a client and a server, which knows exactly what it let through.

    `outstanding` is what it let through and the client has not read yet, each event once.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.calm = False
        """Whether nothing happens any more."""
        self.outstanding: set[tuple[Kind, str, int]] = set()
        self.unexpected: list[tuple[Kind, str, int]] = []
        """What the client read though it was not let through, or had been read before."""
        self.done: Counter[str] = Counter()
        self._port = port
        self._dice = Random(seed)
        self._fates = itertools.cycle(("cut", "mute"))
        self._pushes = itertools.count(1)
        self._newest: dict[tuple[Kind, str], int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def came(self, kind: Kind, code: str, seq: int) -> None:
        """The client has read that."""
        if (kind, code, seq) in self.outstanding:
            self.outstanding.discard((kind, code, seq))
        else:
            self.unexpected.append((kind, code, seq))

    @contextlib.asynccontextmanager
    async def line(self) -> AsyncIterator[str]:
        """The URL of its near end."""
        near = await asyncio.start_server(self._enter, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{near.sockets[0].getsockname()[1]}"
        finally:
            near.close()
            for task in [*self._tasks]:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await near.wait_closed()

    async def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        up = asyncio.create_task(self._carry_up(reader, far_writer))
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._carry_down(far_reader, writer)
                await up  # a mute line ends when the client leaves it
        finally:
            up.cancel()
            far_writer.close()
            writer.close()
            self._tasks.discard(task)

    async def _carry_up(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(2**16):
                writer.write(data)

    async def _carry_down(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Frame by frame; returns when the line falls mute, raises when it is cut."""
        writer.write(await reader.readuntil(b"\r\n\r\n"))
        fate, ends = next(self._fates), time.monotonic() + self._dice.uniform(0.1, 0.6)
        while True:
            head = await reader.readexactly(2)
            size = head[1]
            if size == 126:
                head += (more := await reader.readexactly(2))
                size = int.from_bytes(more, "big")
            payload = await reader.readexactly(size)
            if not self.calm and time.monotonic() > ends:
                self.done[fate] += 1
                if fate == "mute":
                    return
                raise ConnectionError
            if head[0] == 0x81 and b'"ret"' not in payload:
                if not self.calm and not next(self._pushes) % GARBLED:
                    self.done["garbled"] += 1
                    payload = payload[: size // 2] + b"#" * (size - size // 2)
                else:
                    self._let_through(payload)
            writer.write(head + payload)

    def _let_through(self, payload: bytes) -> None:
        message = json.loads(payload)
        assert message["cmd_id"] in PUSHES, message
        kind, code = PUSHES[message["cmd_id"]], message["data"]["code"]
        seq = message["data"]["seq"]
        if seq > self._newest.get((kind, code), 0):  # else it comes again, after a reconnect
            self._newest[kind, code] = seq
            self.outstanding.add((kind, code, seq))


def memory() -> int:
    """Bytes that the client and what it decodes hold."""
    gc.collect()
    ours = [tracemalloc.Filter(True, f"*/tickwire/{room}/*") for room in ("client", "wire")]
    return sum(one.size for one in tracemalloc.take_snapshot().filter_traces(ours).statistics("filename"))


@pytest.mark.parametrize("extended", [False, True])
async def test_nothing_let_through_is_lost_or_doubled_and_every_hole_is_told(
    tmp_path: Path, script: Script, extended: bool
) -> None:
    async with serving(tmp_path, script) as served:
        trouble = Trouble(int(served.url.rpartition(":")[2]), seed=4)
        ledger = Ledger(came=trouble.came, resumes=extended)
        # Two in a row are waited out for longer than a short run lasts.
        requests = [22002, 22004, 28012, 28016]
        begin(served, {"do": "answer", "ret": 605, "requests": requests, "chance": 0.03})
        plan, options = Plan(subscribe_spacing=0.01), OPTIONS._replace(extended=extended)
        async with trouble.line() as url, connect(url, token="t", plan=plan, options=options) as feed:
            await feed.subscribe(trades=CODES, books=CODES)
            drinking = asyncio.create_task(ledger.drink(feed))
            tracemalloc.start()
            sizes = []
            began, number = time.monotonic(), T0
            for part in (0.4, 1.0):
                while time.monotonic() < began + part * SECONDS:
                    number += 1
                    for code in CODES:
                        script.emit(trade(code, at=number), book(code, 1, number))
                    await asyncio.sleep(0.005)
                sizes.append(memory())
            tracemalloc.stop()
            trouble.calm = True
            for run in served.engine.market.scenarios.running:
                served.engine.market.scenarios.stop(run.number)
            before = ledger.events
            async with asyncio.timeout(90):  # a pause after 605 may still last
                for later in itertools.count(number + 1):
                    script.emit(*(trade(code, at=later) for code in CODES))
                    await asyncio.sleep(0.02)
                    if ledger.events > before + 100 and not trouble.outstanding:
                        break
            assert not drinking.done()
        await drinking
        assert trouble.unexpected == []
        assert ledger.unannounced == []
        assert ledger.unreadable == trouble.done["garbled"]
        assert ledger.missed == 0
        assert min(trouble.done[fate] for fate in ("cut", "mute", "garbled")) >= 1
        if extended:  # all that was cut off was had later
            assert ledger.gaps <= trouble.done["garbled"]
        else:
            assert ledger.gaps > trouble.done["garbled"]
        assert ledger.events > 20 * SECONDS
        assert sizes[1] - sizes[0] < MEBIBYTE, sizes
