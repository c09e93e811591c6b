"""A server that runs in a thread of its own, with an event loop of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine, Iterator, MutableMapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, TypeVar

import structlog

from ..assembly import Engine, build
from ..config import Settings
from ..errors import InputError
from ..gateway.admission import Caller
from ..gateway.gateway import Heard, Observer
from ..machine import REAL
from ..sandbox import Clock, Scenario
from ..server import Server
from ..server.certificate import certificate_of
from ..server.serve import check_exposure, loop_factory, url_of
from ..sources import Replay, Status
from .market_time import moment

POLITE = 0.5
"""Seconds that clients have to answer the close frame of a server that stops."""
SPARE = 500
"""Milliseconds in which a clock is stopped, on a busy machine too."""
LONGEST_STOP = 10.0
CODES_A_TURN = 60
"""Markets that the simulator opens, or lets take a step, in a turn of the loop at the least."""

LEVELS = logging.getLevelNamesMapping()

T = TypeVar("T")


@contextlib.contextmanager
def threshold(level: str) -> Iterator[None]:
    """Drops what this thread logs below a level.

    structlog has one configuration for a whole process, and that is not ours here: a processor is put
    before those that there are, and taken away again.
    """
    thread, least = threading.get_ident(), LEVELS[level.upper()]

    def drop(_logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        if threading.get_ident() == thread and LEVELS.get(method.upper(), least) < least:
            raise structlog.DropEvent
        return event

    processors = structlog.get_config()["processors"]
    processors.insert(0, drop)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):  # the program may have configured its log anew
            processors.remove(drop)


class Connections(Observer):
    """The open WebSockets of a server, and who waits for how many.

    Sees every change, so that a number which holds for a moment only is not missed. To be used in the thread
    of the server.
    """

    def __init__(self, hear: Callable[[Heard], None]) -> None:
        """`hear` is given what clients send."""
        self._hear = hear
        self._waiting: list[tuple[int, Future[None]]] = []
        self._open: dict[int, Caller] = {}
        self._left: dict[int, dict[str, int]] = {}

    def heard(self, heard: Heard) -> None:
        """A client sent something."""
        self._hear(heard)

    def came(self, caller: Caller) -> None:
        """A connection was let in."""
        self._open[caller.client.connection] = caller
        self._tell()

    def left(self, caller: Caller) -> None:
        """A connection is gone."""
        del self._open[caller.client.connection]
        self._left[caller.client.connection] = caller.report.counts()
        self._tell()

    def numbers(self) -> list[int]:
        """The numbers of those that are open, in order."""
        return sorted(self._open)

    def reached(self, count: int) -> Future[None]:
        """Done as soon as that many are open."""
        future: Future[None] = Future()
        self._waiting.append((count, future))
        self._tell()
        return future

    def deviations(self) -> dict[int, dict[str, int]]:
        """What each did that the documents do not allow, those that have ended too, by their numbers."""
        alive = {number: caller.report.counts() for number, caller in self._open.items()}
        return {number: counts for number, counts in sorted((self._left | alive).items()) if counts}

    def _tell(self) -> None:
        for wanted, future in self._waiting:
            if wanted == len(self._open):
                future.set_result(None)
        self._waiting = [one for one in self._waiting if not one[1].done()]


class ThreadServer(Server):
    """A server that can be left alone."""

    owns_process = False

    def abandon(self) -> None:
        """Ends now, without waiting for clients."""
        self.should_exit = True
        self.stop()
        for connection in [*self.server_state.connections]:
            connection.transport.abort()


class Running:
    """A server that takes connections until it is stopped."""

    engine: Engine
    url: str
    port: int
    _loop: asyncio.AbstractEventLoop
    _server: ThreadServer

    def __init__(self, settings: Settings, heard: Callable[[Heard], None], *, quiet: bool) -> None:
        """Returns when the server is ready. Raises what `tickwire serve` ends with."""
        self._settings = settings
        self.connections = Connections(heard)
        self._quiet = quiet
        self._ready: Future[None] = Future()
        self._ended: Future[None] = Future()
        # A daemon: a notebook that forgets to stop it can still be closed.
        self._thread = threading.Thread(target=self._run, name="tickwire", daemon=True)
        self._thread.start()
        wait([self._ready, self._ended], return_when=FIRST_COMPLETED)
        if not self._ready.done():
            self._thread.join()
            self._ended.result()
        if quiet:
            self.settle()

    def call(self, function: Callable[[], T]) -> T:
        """Calls in the thread of the server; returns what it returns, or raises what it raises.

        Raises RuntimeError if the server has ended.
        """
        future: Future[T] = Future()

        def carry_out() -> None:
            try:
                future.set_result(function())
            except BaseException as error:
                future.set_exception(error)

        with contextlib.suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(carry_out)
        return self._result(future)

    def finish(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """As `call`, for what takes several turns of the loop."""
        return self._result(self.call(lambda: asyncio.run_coroutine_threadsafe(work(), self._loop)))

    def _result(self, future: Future[T]) -> T:
        ends: tuple[Future[Any], ...] = (future, self._ended)
        wait(ends, return_when=FIRST_COMPLETED)
        if not future.done():
            raise RuntimeError("The server has ended.") from self._ended.exception()
        return future.result()

    def settle(self) -> None:
        """Returns when the simulator has done what is due at the market's time.

        It was woken in an earlier turn of the loop, and a call takes one at least.
        """
        for _ in range(2 + len(self.engine.catalogue) // CODES_A_TURN):
            self.call(lambda: None)

    def stop(self) -> None:
        """Ends the server, and returns when it has. Raises InputError if the recording that it
        replays broke."""
        for end, patience in ((self._server.stop, POLITE), (self._server.abandon, LONGEST_STOP)):
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(end)
            self._thread.join(patience)
            if not self._thread.is_alive():
                break
        self._ended.result(timeout=0)
        for feed in self.engine.market.feeds:
            if isinstance(feed.source, Replay) and feed.source.health.status is Status.DOWN:
                raise InputError(feed.source.health.reason)

    def _run(self) -> None:
        try:
            with threshold(self._settings.log_level), asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(self._serve())
        except BaseException as error:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)

    async def _serve(self) -> None:
        check_exposure(self._settings, REAL.network)
        with REAL.network.listen(self._settings.host, self._settings.port) as listener:
            self.port = listener.getsockname()[1]
            self.url = url_of(listener, self._settings)
            certificate = certificate_of(self._settings, REAL)
            self.engine = build(self._settings, REAL, self.connections)
            with contextlib.closing(self.engine):
                if self._quiet:
                    self._stop_clock()
                self._loop, listening = asyncio.get_running_loop(), asyncio.Event()
                self._server = ThreadServer(self.engine, listening.set, certificate)
                telling = asyncio.create_task(self._tell_ready(listening))
                try:
                    await self._server.run_engine([listener])
                finally:
                    telling.cancel()

    async def _tell_ready(self, listening: asyncio.Event) -> None:
        await listening.wait()
        await self.engine.began.wait()
        self._ready.set_result(None)

    def _stop_clock(self) -> None:
        """Lets the market's time stand still at a full second, in which scenarios count: one that has not
        passed when this is carried out, or where it begins."""
        spare = SPARE if self._settings.start is None else 0
        step = Clock(to=moment(self.engine.market.source.market_time() + spare), speed=0.0)
        self.engine.market.scenarios.begin(Scenario(steps=(step,), name="quiet"))
