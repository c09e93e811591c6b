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
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from ..assembly import (
    Fitness,
    GatewayEngine,
    MarketEngine,
    build_gateway,
    build_market,
    held_directory,
    read_ahead,
    settle,
    watched,
)
from ..bus import Sayings
from ..bus.buckets import BucketOf, Spread, the_only
from ..bus.host import Host
from ..bus.messages import VERSION
from ..bus.remote import RemoteMarket
from ..bus.unix import hosting, reach
from ..config import Settings, load
from ..errors import ReplacedError, SettingsError, StoreError, TickwireError
from ..gateway.place import ONLY, Place
from ..machine import ALONE, REAL
from ..machine.logs import configure
from .acceptance import raise_descriptor_limit
from .certificate import certificate_of
from .cluster import Node, data_of, first_of, unless
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


log = structlog.get_logger()


class Task(NamedTuple):
    """What a process is to be. `place` is that of a client side, and `descriptor` that of the socket that it
    takes connections of, -1 for the market side; `bus` is where they meet, None in a cluster."""

    name: str
    flags: dict[str, Any]
    config: Path | None
    bus: Path | None
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


def micros() -> int:
    """Microseconds since the epoch."""
    return int(REAL.wall() * 1e6)


def _say(what: str, **said: str) -> None:
    print(json.dumps({"is": what, **said}), flush=True)


class Signals(NamedTuple):
    """What signals have said: to end, and to read settings again."""

    told: asyncio.Event
    hung_up: asyncio.Event

    @classmethod
    def heard(cls) -> Signals:
        """From now on."""
        loop, signals = asyncio.get_running_loop(), cls(asyncio.Event(), asyncio.Event())
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, signals.told.set)
        loop.add_signal_handler(signal.SIGHUP, signals.hung_up.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        return signals


async def _market(task: Task, settings: Settings) -> None:
    signals, lag = Signals.heard(), LoopLag(REAL.monotonic)
    measuring = asyncio.create_task(watched("look at the event loop", lag.run))
    try:
        if task.bus is None:
            await _market_of_cluster(task, settings, signals, lag)
        else:
            await _market_of_workers(task, settings, signals, lag, task.bus)
    finally:
        measuring.cancel()


async def _market_of_workers(
    task: Task, settings: Settings, signals: Signals, lag: LoopLag, bus: Path
) -> None:
    engine = build_market(settings)
    living = None
    try:
        async with hosting(_host(engine, task, lag), bus, watched):
            _say(LISTENS)
            living = asyncio.create_task(_tell_ready(engine))
            await _run(engine, task, signals)
    finally:
        if living is not None:
            living.cancel()
        engine.close()  # which it does not do itself if it never began
    if engine.lost:
        raise StoreError(" ".join(engine.lost))


async def _market_of_cluster(task: Task, settings: Settings, signals: Signals, lag: LoopLag) -> None:
    """Owns the streams whenever no other market does, and stands by while one does."""
    from ..bus.cluster import Announced, Lease, Owner, Present, connected, hosting, present

    node, data, told = Node.of(settings), data_of(settings), signals.told
    assert settings.database is not None  # noqa: S101  # a cluster has one
    fitness = Fitness(settings.database_url or "")
    async with contextlib.AsyncExitStack() as opened:
        coming = connected(node.access, f"tickwire market {node.name}")
        if (wire := await unless(told, opened.enter_async_context(coming))) is None:
            return
        lease = Lease(
            *(wire, node.names, node.name, REAL.monotonic, REAL.dice),
            data=data,
            unfit=lambda: fitness.trouble,
        )
        ready = lease.open(), fitness.look(), asyncio.to_thread(read_ahead)
        if await unless(told, _all(*ready)) is None:
            return
        directory = held_directory(settings, REAL)  # no other process may use it meanwhile
        opened.callback(directory.close)
        hosts: list[Host] = []

        def describe() -> Present:
            followers = tuple(link.name for one in hosts for link in one.links.values())
            owns = lease.epoch > 0
            trouble = lease.trouble or ("" if owns else fitness.trouble)
            return Present(
                *("market", node.name, lease.epoch, owns),
                followers=followers,
                trouble=trouble,
                data=data,
            )

        _say(LISTENS)
        _say(
            READY, text=f"{node.name} takes the data of the cluster {settings.cluster}, or stands by for it."
        )
        living, lost = asyncio.create_task(_live()), list[str]()
        try:
            async with lease.there(), present(wire, node.names, describe, micros):
                while not told.is_set() and not lost:
                    winning, looking = asyncio.create_task(lease.win()), asyncio.create_task(fitness.run())
                    await first_of(told.wait, lambda: asyncio.wait([winning]))  # noqa: B023
                    looking.cancel()
                    if not winning.done():
                        winning.cancel()
                        break
                    keeping = asyncio.create_task(lease.keep())
                    try:
                        least = winning.result().least
                        directory.close()
                        try:
                            engine = await asyncio.to_thread(
                                build_market,
                                settings,
                                above=least,
                                holds=lambda: lease.holds() and not told.is_set(),
                            )
                        except ReplacedError as error:
                            log.warning("this market does not begin", reason=str(error))
                            await lease.give_up()
                            directory = held_directory(settings, REAL)
                            opened.callback(directory.close)
                            continue
                        try:
                            epoch = engine.market.epoch
                            await lease.begin(epoch)
                            owner = Owner(wire, node.names, epoch, lease.holds, REAL.monotonic)
                            said = Announced(epoch, VERSION, lease.id, node.name)
                            host = _host(engine, task, lag, Spread(), owner.publish)
                            hosts[:] = [host]
                            async with hosting(owner, host, node.names, said, watched):
                                await _run(engine, task, signals, lease.lost.wait)
                        finally:
                            hosts.clear()
                            engine.close()
                            directory = held_directory(settings, REAL)
                            opened.callback(directory.close)
                        if not lease.lost.is_set():  # else another one has it, or will
                            lost += engine.lost
                        await lease.give_up()
                    finally:
                        keeping.cancel()
        finally:
            living.cancel()
    if lost:
        raise StoreError(" ".join(lost))


async def _all(*calls: Awaitable[None]) -> list[None]:
    return await asyncio.gather(*calls)


def _host(
    engine: MarketEngine,
    task: Task,
    lag: LoopLag,
    bucket_of: BucketOf = the_only,
    publish: Callable[[str, bytes], None] | None = None,
) -> Host:
    """The market side's end of a bus."""
    market = engine.market
    host = Host(
        market,
        engine.catalogue,
        lambda: market.scenarios.running,
        clock=engine.machine.monotonic,
        micros=lambda: int(engine.machine.wall() * 1e6),
        bucket_of=bucket_of,
        publish=publish,
    )
    market.join(host)
    sayings = Sayings(task.name)
    sayings.by_question |= {ALIVE: alive, METRICS: ProcessMetrics(lag).said}
    market.add_speaker(sayings)
    return host


async def _run(
    engine: MarketEngine, task: Task, signals: Signals, *ends: Callable[[], Awaitable[object]]
) -> None:
    """Runs the engine until a signal says to stop, until it ends by itself, or until one of these."""
    reloading = Reloading(engine, None, task.settings)

    async def reload() -> None:
        await engine.began.wait()
        while True:
            await signals.hung_up.wait()
            signals.hung_up.clear()
            await reloading.reload()

    running, beside = asyncio.create_task(engine.run()), asyncio.create_task(reload())
    try:
        await first_of(signals.told.wait, lambda: asyncio.wait([running]), *ends)
    finally:
        running.cancel()
        beside.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def _tell_ready(engine: MarketEngine) -> None:
    await engine.began.wait()
    spare_the_loop()
    _say(READY)
    await _live()


async def _gateway(task: Task, settings: Settings) -> None:
    if task.bus is not None:
        await _serve(task, settings, build_gateway(settings, task.place, partial(_reach, task.bus)))
        return
    from ..bus.cluster import connected, follow

    node = Node.of(settings)
    async with connected(node.access, f"tickwire {task.name}") as wire:

        async def reach_owner(market: RemoteMarket) -> None:
            await follow(market, wire, node.names, task.name, micros, REAL.dice)

        await _serve(task, settings, build_gateway(settings, task.place, reach_owner, bucket_of=Spread()))


async def _reach(bus: Path, market: RemoteMarket) -> None:
    await reach(market, bus)


async def _serve(task: Task, settings: Settings, engine: GatewayEngine) -> None:
    listener = socket.socket(fileno=task.descriptor)
    certificate = certificate_of(settings, REAL)
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
