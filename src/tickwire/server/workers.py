"""One server of several processes: a market side, and client sides that share its port.

The process that was started holds the sockets and looks after the others: who ends is started anew, its
connections waiting meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pickle
import shutil
import signal
import socket
import sys
import tempfile
import threading
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import structlog

from ..assembly import settle
from ..config import Role, Settings, SourceKind
from ..errors import SettingsError, StartError, StoreError
from ..gateway.place import Place
from ..machine import REAL, Network, Supervisor
from .certificate import certificate_of
from .cluster import Node
from .peers import MARKET
from .serve import check_exposure, url_of
from .welcome import trust
from .worker import LISTENS, READY, WRONG_USAGE, Task

PAUSE = 0.1, 5.0
"""Seconds before a process that has ended is started anew: the first time, and at the most."""
SETTLED = 10.0
"""Seconds after which one that ends counts as one that ran."""
END_WAIT, LAST_WAIT, HURRY = 10.0, 60.0, 5.0
"""Seconds that workers have to end beyond those over which clients are sent away, those that the market side
has to write all, and those of both when told to stop again: who has not ended then hangs, and is killed."""
HUNG = 60.0
"""Seconds in which a process that is ready must say that it lives; else it hangs, and is started anew."""
LATE = 5.0
"""Seconds by which a look comes late where this process was paused, and so were the others."""
BEAT = 5.0
"""Seconds between two times that a service manager is told, at the most."""
LINE = 1 << 20
"""Bytes of a line that a process says, at the most."""

log = structlog.get_logger()


def number_of(settings: Settings) -> int:
    """How many client sides the settings ask for. Raises SettingsError."""
    if not hasattr(socket, "SO_REUSEPORT") or sys.platform == "win32":
        raise SettingsError(
            "--workers and --bus need a system on which several processes can share a port (SO_REUSEPORT), "
            "as Linux and macOS do: leave them out."
        )
    kinds = {one.kind for one in settings.source}
    if settings.bus and settings.database is None:
        raise SettingsError(
            "A cluster keeps bars and tokens in one place, which all its nodes reach: name it with "
            "--database postgresql://HOST/NAME."
        )
    if settings.bus and (SourceKind.REPLAY in kinds or settings.start is not None):
        raise SettingsError("A replay, or --start, is a market of its own: leave out --bus.")
    if settings.role is Role.MARKET:
        return 0
    if settings.workers != "auto":
        return settings.workers or 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores - 1)


def serve_with_workers(flags: dict[str, Any], config: Path | None, settings: Settings) -> None:
    """Serves with so many client sides, until told to stop; see `serve`."""
    number, node = number_of(settings), settings.node_name
    settle(settings)
    if settings.bus:
        Node.of(settings)  # which may say what is wrong
    if number:
        check_exposure(settings, REAL.network)
        certificate_of(settings, REAL)  # made once, before all read it
    with contextlib.ExitStack() as opened:
        bus = None if settings.bus else opened.enter_context(_meeting_place())
        listeners = [opened.enter_context(one) for one in listen(REAL.network, settings, number)]
        url = url_of(listeners[0], settings) if listeners else ""
        tasks = []
        if settings.role is not Role.GATEWAY:
            tasks.append(Task(MARKET, flags, config, bus, -1, url))
        for count, listener in enumerate(listeners, 1):
            place = Place(count, number, node=node)
            tasks.append(Task(place.name, flags, config, bus, listener.fileno(), url, place))
        with contextlib.closing(Supervisor.of()) as supervisor:
            os.environ.pop("NOTIFY_SOCKET", None)  # the others are looked after by this one
            asyncio.run(Parent(tasks, settings, url, supervisor).run())


def listen(network: Network, settings: Settings, number: int) -> list[socket.socket]:
    """So many sockets that share a port, which nobody else has. Raises SettingsError and StartError."""
    if not number:
        return []
    with network.listen(settings.host, settings.port) as alone:
        port = alone.getsockname()[1]
    return [network.listen(settings.host, port, shared=True) for _ in range(number)]


@contextlib.contextmanager
def _meeting_place() -> Iterator[Path]:
    """Where the sides meet: a folder that is ours alone, whose path is short enough for a socket."""
    folder = Path(tempfile.mkdtemp(prefix="tickwire-"))
    try:
        yield folder / "bus"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Worker:
    """A process, and how far it is."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.process: asyncio.subprocess.Process | None = None
        self.listens = asyncio.Event()
        self.ready = asyncio.Event()
        self.text = ""
        """What it says of the server when it is ready."""
        self.heard = 0.0
        """When it last said something, in seconds of the loop's clock."""
        self.was_ready = False
        """Whether it ever was: one that was can be again, whatever keeps it from that now."""

    def send(self, number: int) -> bool:
        """Sends it a signal, if it runs; returns whether it does."""
        if self.process is None or self.process.returncode is not None:
            return False
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)
        return True


class Parent:
    """Keeps the processes of a server running."""

    def __init__(self, tasks: list[Task], settings: Settings, url: str, supervisor: Supervisor) -> None:
        self._workers = [Worker(one) for one in tasks]
        self._settings = settings
        self._url = url
        self._supervisor = supervisor
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self._failure: Exception | None = None

    async def run(self) -> None:
        """Until told to stop, or until one of them cannot begin. Raises TickwireError."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hang_up)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        keeping = {one: asyncio.create_task(self._keep(one)) for one in self._workers}
        beside = [asyncio.create_task(one()) for one in (self._greet, self._tell_supervisor, self._watch)]
        await self._stopping.wait()
        self._supervisor.tell(STOPPING=1)
        await self._end(self._gateways, keeping, self._settings.drain_seconds + END_WAIT)
        market = [one for one in self._workers if one.task.is_market]
        await self._end(market, keeping, LAST_WAIT)  # when nobody asks it for anything any more
        for task in beside:
            task.cancel()
        if self._failure is not None:
            raise self._failure

    async def _end(
        self, workers: list[Worker], keeping: dict[Worker, asyncio.Task[None]], seconds: float
    ) -> None:
        """Tells these to end, and kills those that do not in so many seconds, or once told again."""
        for one in workers:
            one.send(signal.SIGTERM)
        ending = {keeping[one] for one in workers}
        hurried: asyncio.Task[Any] = asyncio.create_task(self._hurried.wait())
        due = asyncio.get_running_loop().time() + seconds
        while ending and not hurried.done() and (left := due - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait({*ending, hurried}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            ending = {one for one in ending if not one.done()}
        if ending and hurried.done():
            await asyncio.wait(ending, timeout=HURRY)
        hurried.cancel()
        for worker in workers:
            if not keeping[worker].done() and worker.send(signal.SIGKILL):
                reason = f"The process of {worker.task.name} did not end: it was killed."
                self._failure = self._failure or StoreError(reason)
        await asyncio.gather(*(keeping[one] for one in workers))

    @property
    def _gateways(self) -> list[Worker]:
        return [one for one in self._workers if not one.task.is_market]

    def _stop(self) -> None:
        """Ends the server; told again, without waiting for clients."""
        if self._stopping.is_set():
            self._hurried.set()
            for one in self._workers:
                one.send(signal.SIGTERM)
        self._stopping.set()

    def _hang_up(self) -> None:
        for one in self._workers:
            one.send(signal.SIGHUP)

    async def _keep(self, worker: Worker) -> None:
        """Starts a process, and starts it anew when it ends, until the server stops."""
        loop, pause = asyncio.get_running_loop(), PAUSE[0]
        while not self._stopping.is_set():
            began = loop.time()
            status = await self._run(worker)
            if self._stopping.is_set():
                if status:
                    self._fail(StoreError(f"The process of {worker.task.name} ended with status {status}."))
                break
            if (
                worker.task.is_market and status == 0 and not self._settings.bus
            ):  # a replay that was to end the server
                self._stopping.set()
                break
            if not worker.was_ready and status > 0:  # it has said why
                error = SettingsError if status == WRONG_USAGE else StartError
                self._fail(error(f"The process of {worker.task.name} could not start."))
                break
            worker.listens.clear()
            worker.ready.clear()
            place = worker.task.place
            place = place._replace(restarts=place.restarts + 1)
            worker.task = worker.task._replace(place=place)
            if loop.time() - began > SETTLED:
                pause = PAUSE[0]
            log.error(
                "a process has ended and is started anew",
                process=worker.task.name,
                status=status,
                pause=pause,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stopping.wait()
            pause = min(2 * pause, PAUSE[1])

    def _fail(self, error: Exception) -> None:
        self._failure = self._failure or error
        self._stopping.set()

    async def _run(self, worker: Worker) -> int:
        """Runs a process to its end; returns its status."""
        task = worker.task
        worker.process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tickwire.server.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE,
            pass_fds=() if task.is_market else (task.descriptor,),
            process_group=0,  # a terminal's Ctrl-C is for this process, which tells the others
        )
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        process.stdin.write(pickle.dumps(task))
        while line := await process.stdout.readline():
            with contextlib.suppress(ValueError):  # what a library prints
                self._hear(worker, json.loads(line))
        return await process.wait()

    async def _watch(self) -> None:
        """Ends who hangs: it keeps connections that others would serve. Never ends."""
        loop = asyncio.get_running_loop()
        looked = loop.time()
        while True:
            await asyncio.sleep(1.0)
            before, looked = looked, loop.time()
            for one in self._workers:
                if looked - before > LATE:
                    one.heard = looked
                elif one.ready.is_set() and looked - one.heard > HUNG and one.send(signal.SIGKILL):
                    silent = round(looked - one.heard)
                    log.error("a process hangs and is killed", who=one.task.name, seconds=silent)
                    one.heard = looked

    def _hear(self, worker: Worker, said: dict[str, str]) -> None:
        worker.heard = asyncio.get_running_loop().time()
        if said.get("is") == LISTENS:
            worker.listens.set()
        elif said.get("is") == READY:
            worker.text = said.get("text", "")
            worker.listens.set()
            worker.ready.set()
            worker.was_ready = True
        if self._stopping.is_set() and worker.process is not None:  # it began when the others were told
            worker.send(signal.SIGTERM)

    async def _greet(self) -> None:
        gateways = self._gateways
        await asyncio.gather(*(one.listens.wait() for one in gateways or self._workers))
        if self._stopping.is_set():
            return
        if not gateways:
            await asyncio.gather(*(one.ready.wait() for one in self._workers))
            print(f"{self._workers[0].text}\nCtrl-C stops it.", flush=True)
            return
        print(self._url, flush=True)
        if self._settings.open:
            threading.Thread(target=webbrowser.open, args=(self._url,), daemon=True).start()
        await asyncio.gather(*(one.ready.wait() for one in self._workers))
        text = f"{gateways[0].text}{trust(self._settings)}"
        several = f"\n{len(gateways)} processes serve clients." if len(gateways) > 1 else ""
        print(f"\n{text}{several}\nCtrl-C stops it.", flush=True)

    async def _tell_supervisor(self) -> None:
        """Says when all are ready, then that all live."""
        await asyncio.gather(*(one.ready.wait() for one in self._workers))
        self._supervisor.tell(READY=1)
        beat = min(BEAT, self._supervisor.watchdog / 3 or BEAT)
        while True:
            up = sum(one.ready.is_set() for one in self._workers)
            if up == len(self._workers):
                self._supervisor.tell(WATCHDOG=1, STATUS=f"{up} processes")
            await asyncio.sleep(beat)
