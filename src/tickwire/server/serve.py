"""Runs a server: its socket, its signals, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import ipaddress
import logging
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from types import FrameType

import structlog
import uvicorn

from ..assembly import Engine, GatewayEngine, build, is_guarded, settle, watched
from ..config import Settings
from ..errors import SettingsError, StoreError
from ..machine import ALONE, REAL, Machine, Network, Supervisor
from .acceptance import descriptors, raise_descriptor_limit
from .app import make_app
from .certificate import Certificate, certificate_of
from .door import doors
from .guests import Guests
from .lag import LoopLag
from .peers import Peers
from .reloading import Reloading
from .supervision import Supervision
from .tls import secured
from .traffic import Traffic
from .vitals import Vitals
from .websocket import WebSockets
from .welcome import trust, welcome

GRACE, LAST = 3, 1
"""Seconds that clients and requests have to end when the server stops, once all clients are told; and those
in which a request that has not ended says so."""
LOOK = 0.01
"""Seconds between two looks at whether they have: uvicorn's lists of them wake nobody."""

log = structlog.get_logger()


def serve(settings: Settings, machine: Machine = REAL, reread: Callable[[], Settings] | None = None) -> None:
    """Serves until Ctrl-C or SIGTERM. `reread` reads the settings again, which SIGHUP calls for.

    Or until a replay has ended, if the settings say so. Prints the URL as the first line when connections are
    taken, then, when the sources have begun, a few lines for a person. Raises TickwireError if the server
    cannot start, or its recording cannot be read, and StoreError if not all could be kept at its end.
    """
    settle(settings)
    check_exposure(settings, machine.network)
    raise_descriptor_limit()
    listening = machine.network.listen(settings.host, settings.port)
    with listening as listener, asyncio.Runner(loop_factory=loop_factory()) as runner:
        certificate = certificate_of(settings, machine)
        runner.run(_serve(build(settings, machine), listener, certificate, reread))


async def _serve(
    engine: Engine | GatewayEngine,
    listener: socket.socket,
    certificate: Certificate | None,
    reread: Callable[[], Settings] | None,
) -> None:
    url, ready = url_of(listener, engine.settings), asyncio.Event()

    async def greet() -> None:
        await ready.wait()
        print(url, flush=True)
        if engine.settings.open:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
        await engine.began.wait()
        spare_the_loop()
        told = welcome(await engine.gateway.reads.figures(), url, guarded=engine.gateway.admission.guarded)
        print(f"\n{told}{trust(engine.settings)}\nCtrl-C stops it.", flush=True)

    greeting = asyncio.create_task(greet())
    try:
        with contextlib.closing(Supervisor.of()) as supervisor:
            await Server(engine, ready.set, certificate, supervisor, reread).run_engine([listener])
    finally:
        greeting.cancel()
    if engine.lost:
        raise StoreError(" ".join(engine.lost))


class Server(uvicorn.Server):
    """uvicorn, with the engine running beside it."""

    owns_process = True
    """Whether nothing else runs in it that would hold up the event loop."""

    def __init__(
        self,
        engine: Engine | GatewayEngine,
        ready: Callable[[], None] = lambda: None,
        certificate: Certificate | None = None,
        supervisor: Supervisor = ALONE,
        reread: Callable[[], Settings] | None = None,
    ) -> None:
        """`ready` is called when connections are taken. With a certificate they speak TLS alone. `supervisor`
        is told how the server is; `reread` reads the settings again. Signals are taken in the main thread."""
        self._engine = engine
        self._certificate = certificate
        self._ready = ready
        traffic = Traffic()
        self._websockets = WebSockets(engine.gateway, engine.market, engine.machine, traffic)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._supervision = Supervision(engine, supervisor) if supervisor.listens else None
        self._reloading = Reloading(engine, certificate, reread) if reread is not None else None
        self._reload = asyncio.Event()
        self._on_terminal = _has_terminal()
        self._lag = LoopLag(engine.machine.monotonic)
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what clients do wrong is no news
        self._protocol: Callable[..., asyncio.Protocol] = doors(engine.gateway.admission, traffic)
        if certificate is not None:
            self._protocol = secured(self._protocol, certificate, engine.machine.network, traffic)
        self.guests = Guests(engine.settings, engine.machine.network)
        self.vitals = Vitals(self._lag, traffic, self.guests, self._websockets.unread)
        self._peers = Peers(engine)
        super().__init__(
            uvicorn.Config(
                make_app(engine, self.vitals, self._peers),
                http=lambda: None,  # type: ignore[arg-type]  # see `_connected`
                ws=self._websockets.protocol,  # type: ignore[arg-type]  # it is only ever called
                lifespan="off",
                log_config=None,
                access_log=False,  # its lines would hold tokens
                server_header=False,
                proxy_headers=False,
            )
        )
        self.server_state = self.guests

    async def run_engine(self, listeners: list[socket.socket]) -> None:
        """Serves until told to stop, or until the engine ends or breaks: then raises what it raised."""
        self._loop = asyncio.get_running_loop()
        source = asyncio.create_task(self._run_engine())
        beside = [asyncio.create_task(watched("sweep of connections", self._websockets.sweep))]
        if self.owns_process:
            beside.append(asyncio.create_task(watched("look at the event loop", self._lag.run)))
        if self._peers.names:
            beside.append(asyncio.create_task(watched("look at other processes", self._peers.look)))
        if self._certificate is not None:
            beside.append(asyncio.create_task(watched("look at the certificate", self._certificate.watch)))
        if self._reloading is not None:
            beside.append(asyncio.create_task(watched("reload", self._reload_when_told)))
        telling = None
        if self._supervision is not None:
            telling = asyncio.create_task(watched("service manager", self._supervision.run))
        source.add_done_callback(lambda _: self.stop())
        with self._signals():
            try:
                await self.serve(listeners)
            finally:
                source.cancel()
                for task in beside:
                    task.cancel()
            try:
                with contextlib.suppress(asyncio.CancelledError):
                    await source
            finally:
                self._engine.close()  # which it does not do itself if it never began
                if telling is not None:
                    telling.cancel()

    async def _run_engine(self) -> None:
        """One that ends by itself has sent everything when it has ended, and its clients shall have it."""
        await self._engine.run()
        await self._websockets.drain()

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ends the server; called again, without waiting for clients."""
        self.force_exit = self.should_exit
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)  # a signal alone does not wake the loop

    def _hang_up(self, _signal: int, _frame: FrameType | None) -> None:
        """Settings are to be read again; or the terminal that the server was started on is gone."""
        if self._on_terminal and not _has_terminal():
            self.stop()
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(self._reload.set)

    async def _reload_when_told(self) -> None:
        await self._engine.began.wait()
        while True:
            await self._reload.wait()
            self._reload.clear()
            if self.should_exit or self._reloading is None:
                continue
            if self._supervision is not None:
                self._supervision.reloading()
            well = await self._reloading.reload()
            if self._supervision is not None:
                self._supervision.reloaded(well=well)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to take connections."""
        coming = [asyncio.create_task(one()) for one in (self._engine.before_clients, self._stopping.wait)]
        await asyncio.wait(coming, return_when=asyncio.FIRST_COMPLETED)
        for task in coming:
            task.cancel()
        if self.should_exit:
            return
        await super().startup([])
        acceptance = self.guests.acceptance
        await acceptance.begin(sockets or (), self._connected)
        log.info("connections are taken", most=acceptance.most, descriptors=descriptors())
        self._ready()

    def _connected(self) -> asyncio.Protocol:
        """What speaks on a connection."""
        return self._protocol(config=self.config, server_state=self.guests, app_state=self.lifespan.state)

    async def main_loop(self) -> None:
        """Keeps the date of answers right until told to stop, for which uvicorn's own looks every 0.1 s."""
        while not self.should_exit:
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends all connections. uvicorn's own takes a tenth of a second even where there are none.

        First the server drains: it still listens, so that whoever asks hears why nothing new is taken, and
        WebSockets are sent away one after the other. Then it listens no more, and what is under way has
        `GRACE` to end.
        """
        self._engine.gateway.draining = True
        if self._supervision is not None:
            self._supervision.stopping()
        await self._websockets.send_away(self._engine.settings.drain_seconds, lambda: self.force_exit)
        self.guests.acceptance.end()
        for listener in sockets or ():
            listener.close()
        state = self.server_state
        for connection in [*state.connections]:
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(GRACE):
                while (state.connections or state.tasks) and not self.force_exit:  # noqa: ASYNC110
                    await asyncio.sleep(LOOK)
        if state.tasks:
            for task in state.tasks:
                task.cancel("the server stops")
            await asyncio.wait(state.tasks, timeout=LAST)  # each says so to its client

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to `_signals`: uvicorn's own way raises them again at the end, and the exit is not
        0."""
        yield

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        """Stops on a signal, or reads settings again, in the main thread, where alone it may be taken. Also
        while the engine ends: what it has counted is written."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        actions: dict[int, Callable[[int, FrameType | None], None]]
        actions = {signal.SIGINT: self.stop, signal.SIGTERM: self.stop}
        if self._reloading is not None and hasattr(signal, "SIGHUP"):
            actions[signal.SIGHUP] = self._hang_up
        before = {number: signal.signal(number, action) for number, action in actions.items()}
        if hasattr(signal, "SIGHUP"):  # which the command held back until now
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})
        try:
            yield
        finally:
            for number, action in before.items():
                signal.signal(number, action)


def _has_terminal() -> bool:
    """Whether a terminal is there to type on. One that was closed is none any more."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def check_exposure(settings: Settings, network: Network) -> None:
    """Without tokens to check, only this machine is let in unless the user says otherwise."""
    local = all(map(_is_loopback, network.addresses(settings.host, settings.port)))
    if not settings.no_auth and not local and not is_guarded(settings):
        raise SettingsError(
            f"Refusing to listen on {settings.host}: there is no token in {settings.data_dir}, so anyone who "
            "reaches it would be let in. Create one with `tickwire token create`, add --no-auth if that is "
            "what you want, or listen on 127.0.0.1."
        )


def _is_loopback(address: tuple[int, str]) -> bool:
    return ipaddress.ip_address(address[1].partition("%")[0]).is_loopback


def url_of(listener: socket.socket, settings: Settings) -> str:
    """Where a server is: under a name that its own certificate has, if it made one."""
    host, port = listener.getsockname()[:2]
    names = settings.tls_self_signed
    shown = host if host in names else next((name for name in names if "*" not in name), host)
    if ":" in shown:
        shown = f"[{shown}]"
    scheme = "https" if names or settings.tls_cert is not None else "http"
    return f"{scheme}://{shown}" if (scheme, port) == ("https", 443) else f"{scheme}://{shown}:{port}"


def spare_the_loop() -> None:
    """Garbage is collected less often, and not among what stays until the end: a full collection held the
    loop for 30 ms, and each burst of requests brought one of the young."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
