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

import uvicorn

from ..assembly import Engine, build, is_guarded, watched
from ..config import Settings
from ..errors import SettingsError
from ..machine import REAL, Machine, Network
from .app import make_app
from .certificate import Certificate, certificate_of
from .door import doors
from .tls import secured
from .websocket import WebSockets
from .welcome import trust, welcome

GRACE = 3
"""Seconds that clients and requests have to end when the server stops."""
LOOK = 0.01
"""Seconds between two looks at whether they have: uvicorn's lists of them wake nobody."""


def serve(settings: Settings, machine: Machine = REAL) -> None:
    """Serves until Ctrl-C or SIGTERM.

    Prints the URL as the first line when connections are taken, then a few lines for a person. Raises
    TickwireError if the server cannot start.
    """
    check_exposure(settings, machine.network)
    _raise_descriptor_limit()
    listening = machine.network.listen(settings.host, settings.port)
    with listening as listener, asyncio.Runner(loop_factory=loop_factory()) as runner:
        certificate = certificate_of(settings, machine)
        runner.run(_serve(build(settings, machine), listener, certificate))


async def _serve(engine: Engine, listener: socket.socket, certificate: Certificate | None) -> None:
    url = url_of(listener, engine.settings)
    told = welcome(await engine.gateway.reads.figures(), url, guarded=engine.gateway.admission.guarded)

    def ready() -> None:
        _spare_the_loop()
        print(f"{url}\n\n{told}{trust(engine.settings)}\nCtrl-C stops it.", flush=True)
        if engine.settings.open:
            threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()

    await Server(engine, ready, certificate).run_engine([listener])


class Server(uvicorn.Server):
    """uvicorn, with the engine running beside it."""

    def __init__(
        self,
        engine: Engine,
        ready: Callable[[], None] = lambda: None,
        certificate: Certificate | None = None,
    ) -> None:
        """`ready` is called when connections are taken. With a certificate they speak TLS alone."""
        self._engine = engine
        self._certificate = certificate
        self._ready = ready
        self._websockets = WebSockets(engine.gateway, engine.market, engine.machine.network)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what clients do wrong is no news
        protocol: Callable[..., asyncio.Protocol] = doors(engine.gateway.admission)
        if certificate is not None:
            protocol = secured(protocol, certificate, engine.machine.network)
        super().__init__(
            uvicorn.Config(
                make_app(engine),
                http=protocol,  # type: ignore[arg-type]  # it is only ever called
                ws=self._websockets.protocol,  # type: ignore[arg-type]  # it is only ever called
                lifespan="off",
                log_config=None,
                access_log=False,  # its lines would hold tokens
                server_header=False,
                proxy_headers=False,
            )
        )

    async def run_engine(self, listeners: list[socket.socket]) -> None:
        """Serves until told to stop, or until the engine breaks: then raises what it raised."""
        self._loop = asyncio.get_running_loop()
        source = asyncio.create_task(self._engine.run())
        beside = [asyncio.create_task(watched("sweep of connections", self._websockets.sweep))]
        if self._certificate is not None:
            beside.append(asyncio.create_task(watched("look at the certificate", self._certificate.watch)))
        source.add_done_callback(lambda _: self.stop())
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

    def stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ends the server; called again, without waiting for clients."""
        self.force_exit = self.should_exit
        self.should_exit = True
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)  # a signal alone does not wake the loop

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begins to take connections."""
        await super().startup(sockets)
        self._ready()

    async def main_loop(self) -> None:
        """Keeps the date of answers right until told to stop, for which uvicorn's own looks every 0.1 s."""
        while not self.should_exit:
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends all connections. uvicorn's own takes a tenth of a second even where there are none."""
        for server in self.servers:
            server.close()
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
            await asyncio.wait(state.tasks, timeout=GRACE)  # each says so to its client

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stops on a signal, in the main thread, where alone it may be taken.

        uvicorn's own way raises it again at the end, and the exit is not 0.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, action in before.items():
                signal.signal(number, action)


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


def _spare_the_loop() -> None:
    """Garbage is collected less often, and not among what stays until the end: a full collection held the
    loop for 30 ms, and each burst of requests brought one of the young."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


def _raise_descriptor_limit() -> None:
    """As many connections as the system allows."""
    if sys.platform != "win32":
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft != hard:
            with contextlib.suppress(OSError, ValueError):
                resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    import uvloop

    return uvloop.new_event_loop
