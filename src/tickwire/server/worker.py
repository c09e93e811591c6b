"""What one process of several runs: the market side, or one of the client sides.

The process that started it says over standard input what to be, and reads over standard output, a line of
JSON each, how far it is. When standard input ends that process is gone, and so this one ends too.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import signal
import socket
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from ..assembly import GatewayEngine, MarketEngine, build_gateway, build_market, settle, watched
from ..bus import Sayings
from ..bus.host import Host
from ..bus.unix import hosting, reach
from ..config import Settings, load
from ..errors import SettingsError, StoreError, TickwireError
from ..gateway.place import ONLY, Place
from ..machine import ALONE, REAL
from ..machine.logs import configure
from .acceptance import raise_descriptor_limit
from .certificate import certificate_of
from .lag import LoopLag
from .metrics import METRICS
from .peers import ALIVE, alive
from .process_metrics import ProcessMetrics
from .reloading import Reloading
from .serve import Server, loop_factory, spare_the_loop
from .welcome import welcome

LISTENS, READY, LIVES = "listens", "ready", "lives"
"""What a process says: connections are taken, or client sides can come; then that data comes; then time and
again that it lives."""
BEAT = 2.0
"""Seconds between times that it says so."""
WRONG_USAGE, FAILED = 2, 1
"""Exit statuses, as those of the command."""


class Task(NamedTuple):
    """What a process is to be. `place` is that of a client side, and `descriptor` that of the socket that it
    takes connections of, -1 for the market side; `bus` is where they meet."""

    name: str
    flags: dict[str, Any]
    config: Path | None
    bus: Path
    descriptor: int
    url: str
    place: Place = ONLY

    @property
    def is_market(self) -> bool:
        """Whether it is the market side."""
        return self.descriptor < 0

    def settings(self) -> Settings:
        """What the process is told. Raises SettingsError."""
        return load(self.flags, self.config)


def main() -> None:
    """Is what standard input says, until told to stop."""
    task: Task = pickle.load(sys.stdin.buffer)  # noqa: S301  # the process that started this one wrote it
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        settings = task.settings()
        configure(settings.log_level, task.name)
        settle(settings)
        raise_descriptor_limit()
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_market(task, settings) if task.is_market else _gateway(task, settings))
    except TickwireError as error:
        print(f"tickwire: {task.name}: {error}", file=sys.stderr)
        sys.exit(WRONG_USAGE if isinstance(error, SettingsError) else FAILED)


def _end_with_parent() -> None:
    """Stops, as a signal would, when the process that started this one is gone."""
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(what: str, **said: str) -> None:
    print(json.dumps({"is": what, **said}), flush=True)


async def _market(task: Task, settings: Settings) -> None:
    engine = build_market(settings)
    machine, market = engine.machine, engine.market
    host = Host(
        market,
        engine.catalogue,
        lambda: market.scenarios.running,
        clock=machine.monotonic,
        micros=lambda: int(machine.wall() * 1e6),
    )
    market.join(host)
    lag, sayings = LoopLag(machine.monotonic), Sayings(task.name)
    sayings.by_question |= {ALIVE: alive, METRICS: ProcessMetrics(lag).said}
    market.add_speaker(sayings)
    measuring = asyncio.create_task(watched("look at the event loop", lag.run))
    reloading = Reloading(engine, None, task.settings)
    try:
        async with hosting(host, task.bus):
            _say(LISTENS)
            await _run_until_told(engine, reloading)
    finally:
        measuring.cancel()
        engine.close()  # which it does not do itself if it never began
    if engine.lost:
        raise StoreError(" ".join(engine.lost))


async def _run_until_told(engine: MarketEngine, reloading: Reloading) -> None:
    """Runs the engine until a signal says to stop, or until it ends by itself."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    hung_up = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, told.set)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})

    async def reload() -> None:
        await engine.began.wait()
        while True:
            await hung_up.wait()
            hung_up.clear()
            await reloading.reload()

    async def tell() -> None:
        await engine.began.wait()
        spare_the_loop()
        _say(READY)
        await _live()

    running = asyncio.create_task(engine.run())
    beside = [asyncio.create_task(one()) for one in (told.wait, reload, tell)]
    try:
        await asyncio.wait([running, beside[0]], return_when=asyncio.FIRST_COMPLETED)
    finally:
        running.cancel()
        for one in beside:
            one.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _gateway(task: Task, settings: Settings) -> None:
    listener = socket.socket(fileno=task.descriptor)
    certificate = certificate_of(settings, REAL)
    engine = build_gateway(settings, task.place, lambda market: reach(market, task.bus))
    telling = asyncio.create_task(_tell(engine, task.url))
    server = Server(engine, partial(_say, LISTENS), certificate, ALONE, task.settings)
    with listener:
        try:
            await server.run_engine([listener])
        finally:
            telling.cancel()


async def _tell(engine: GatewayEngine, url: str) -> None:
    await engine.began.wait()
    spare_the_loop()
    figures = await engine.gateway.reads.figures()
    _say(READY, text=welcome(figures, url, guarded=engine.gateway.admission.guarded))
    await _live()


async def _live() -> None:
    """Says so from now on. Never ends."""
    while True:
        await asyncio.sleep(BEAT)
        _say(LIVES)


if __name__ == "__main__":
    main()
