"""`AllTickServer`: a real server in this process, and the handles by which a test moves it.

What a server needs is imported where it is used: pytest imports this in every run, used or not.
"""

from __future__ import annotations

import atexit
import contextlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar
from urllib.parse import quote

from .market_time import MarketTime, Step
from .received import Inbox, Received
from .scenario import RunningScenario, scenario_in

if TYPE_CHECKING:
    from ..assembly import Engine
    from ..gateway.gateway import Heard
    from ..model import Event, Instrument
    from ..sandbox import Scenario
    from ..store import TokenStore
    from .running import Running
    from .scenario import What
    from .ticks import Number, Side

    Family = Literal["stock", "other"]

T = TypeVar("T")
WAIT = 5.0
"""Seconds that is waited for a client at the most, unless a test says otherwise."""


class AllTickServer:
    """A server of simulated markets on a free port of 127.0.0.1, in a thread of its own.

    >>> with AllTickServer(seed=7, quiet=True) as server:
    ...     server.trade("BTCUSDT", "79317.70")
    ...     server.state("BTCUSDT")
    'open'

    Settings are those of `tickwire serve` (`plan="free"`, `scenario=["flaky-network"]`, `codes=["GOLD"]`);
    what is not given comes from the environment, as there. Its data are in a temporary folder that is
    removed at the end, unless `data_dir` is given. Started again, it listens on the same port, with
    nothing else left of the first time.

    With `quiet` the market's time stands still, at a full second. Each code has a last trade and book from
    the simulator for a client that subscribes; what comes after it comes from the test. Without it the
    simulator trades on beside the test.

    The handles may be used from any thread. Each returns when the server has done what it says, and what
    it sends for it has been sent. Those that wait block their thread: where the client runs in an event
    loop of the same thread, give them to `asyncio.to_thread`. Before `start`, and after `stop`, they raise
    RuntimeError.
    """

    def __init__(self, *, quiet: bool = False, **settings: Any) -> None:
        """Raises SettingsError with one line per mistake."""
        from ..config import load

        self._given = {"port": 0, "log_level": "warning", "drain_seconds": 0, **settings}
        load(self._given, environment={})  # so that a mistake is told where it was made
        self._quiet = quiet
        self._inbox = Inbox()
        self._running: Running | None = None
        self._cleanup = contextlib.ExitStack()
        self.time = MarketTime(self._market_time, self._run_clock)
        """The market's time."""

    # Its life.
    def start(self) -> None:
        """Returns when the server takes connections. Raises TickwireError if it cannot, or RuntimeError if
        it runs already."""
        if self._running is not None:
            raise RuntimeError("The server runs already.")
        from ..config import load
        from .running import Running

        self._inbox = Inbox()
        with contextlib.ExitStack() as cleanup:
            if "data_dir" not in self._given:
                folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="tickwire-"))
                self._given["data_dir"] = Path(folder)
                cleanup.callback(self._given.pop, "data_dir")
            self._running = Running(load(self._given, environment={}), self._hear, quiet=self._quiet)
            self._given["port"] = self._running.port
            self._cleanup = cleanup.pop_all()
        atexit.register(self._stop_at_exit)

    def stop(self) -> None:
        """Returns when the server has ended and its data are removed; does nothing if there is none.

        Clients get a close frame (1001). Raises InputError if the recording that it replays broke.
        """
        running, self._running = self._running, None
        if running is None:
            return
        atexit.unregister(self._stop_at_exit)
        with self._cleanup:
            running.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # Where it is.
    @property
    def url(self) -> str:
        """Such as `http://127.0.0.1:38517`."""
        return self._server.url

    def websocket_url(self, family: Family = "other", token: str = "test") -> str:  # noqa: S107
        """The URL that a client connects to, for stocks and their indices or for all others."""
        from ..wire import WS_PATHS

        path = next(path for path, of in WS_PATHS.items() if of == _checked(family))
        return f"{self.url.replace('http', 'ws', 1)}{path}?token={quote(token, safe='')}"

    def http_url(self, family: Family = "other") -> str:
        """The base of the HTTP endpoints of a family, to which a client adds `/trade-tick?token=…`."""
        from ..wire import HTTP_BASES

        return self.url + next(base for base, of in HTTP_BASES.items() if of == _checked(family))

    # What the market does.
    def trade(
        self,
        code: str,
        price: Number,
        *,
        volume: Number = 1,
        direction: int | str = 0,
        turnover: Number | None = None,
        at: int | None = None,
    ) -> None:
        """Lets a trade happen, which goes the way of every tick: through the scenarios that run, into the
        bars, to the subscribers.

        Prices are texts, ints or Decimals with no more decimals than the instrument has. `direction` is
        "buy", "sell" or "neutral", or the number of the protocol; `turnover` is price × volume unless it
        is given; `at` is in milliseconds since the epoch, by default the market's time. Raises TypeError
        for a float, ValueError for what no trade of that code can be.
        """
        from .ticks import read_trade

        self._take(code, at, lambda one, when: read_trade(one, price, volume, direction, turnover, when))

    def book(self, code: str, bids: Side, asks: Side, *, at: int | None = None) -> None:
        """Lets the order book be that: pairs of price and volume, best first; a side may be empty.

        Otherwise as `trade`.
        """
        from .ticks import read_book

        self._take(code, at, lambda one, when: read_book(one, bids, asks, when))

    def state(self, code: str) -> str:
        """`open`, `halted`, `limit-up` and so on, by scenario and calendar. Raises ValueError."""
        from .ticks import instrument_of

        return self._do(
            lambda engine: engine.market.scenarios.state(instrument_of(engine.catalogue, code)).value
        )

    # What goes wrong.
    def run(self, scenario: What) -> RunningScenario:
        """Begins a scenario: a name of the library, a path, one step, a whole scenario.

        A step is a dict such as `{"do": "halt", "codes": ["AAPL.US"]}`; without `at` it is at work when
        this returns. Raises InputError that says what is wrong and what would be right.
        """
        return self._begin(lambda _: scenario_in(scenario))

    def halt(self, *codes: str, reason: str | None = None) -> RunningScenario:
        """Halts these codes, or all, until what it returns is stopped."""
        step = {"do": "halt", "codes": list(codes)}
        return self.run(step if reason is None else {**step, "reason": reason})

    # What clients do.
    @property
    def received(self) -> list[Received]:
        """What clients have sent since the start, in order; also to be read after the end."""
        return self._inbox.all()

    def wait_for(self, predicate: Callable[[Received], object], timeout: float = WAIT) -> Received:
        """The first thing received for which the predicate is true, whether it came already or comes
        within so many seconds. Raises TimeoutError that shows what did come.

        What a handle does after it happens after the server has carried it out.
        """
        return self._inbox.wait_for(predicate, timeout)

    @property
    def deviations(self) -> dict[int, dict[str, int]]:
        """What each WebSocket did that the documents of AllTick do not allow, such as
        `{1: {"number_as_text: depth_level": 2}}`, those that have ended too; empty if all is well. What
        requests over HTTP did stands with each of `received`."""
        return self._call(lambda running: running.connections.deviations())

    @property
    def connections(self) -> list[int]:
        """The numbers of the open WebSockets, in order. Upgrades count from 1 on, those that scenarios and
        limits refuse too."""
        return self._call(lambda running: running.connections.numbers())

    def wait_for_connections(self, count: int, timeout: float = WAIT) -> None:
        """Returns as soon as exactly so many WebSockets are open. Raises TimeoutError."""
        reached = self._call(lambda running: running.connections.reached(count))
        try:
            reached.result(timeout)
        except TimeoutError:
            open_now = len(self.connections)
            raise TimeoutError(f"{open_now} connections after {timeout:g} s, not {count}.") from None

    # Who may come in.
    def token(
        self,
        plan: str = "free",
        name: str | None = None,
        markets: Iterable[str] = (),
        codes: Iterable[str] = (),
        expires_in: float | None = None,
    ) -> str:
        """Creates a token and returns its text; from the first one on no other text is let in.

        It may read the codes of `markets` and those of `codes`, all if neither is given. `expires_in` is
        in seconds; at 0 it has expired. Raises ValueError, or InputError if the name is taken.
        """

        from .tokens import create

        engine = self._server.engine
        with self._tokens() as store:
            return create(
                store, engine, plan=plan, name=name, markets=[*markets], codes=[*codes], expires_in=expires_in
            )

    def revoke(self, token: str) -> None:
        """Revokes a token by its text or name; its connections are closed (1008). Raises ValueError."""
        from . import tokens

        with self._tokens() as store:
            tokens.revoke(store, token)

    def _stop_at_exit(self) -> None:
        with contextlib.suppress(Exception):  # Python runs no more threads by then, which bars are written in
            self.stop()

    @property
    def _server(self) -> Running:
        if self._running is None:
            raise RuntimeError("The server is not running: start it, or use it in a `with` block.")
        return self._running

    def _call(self, function: Callable[[Running], T]) -> T:
        running = self._server
        return running.call(lambda: function(running))

    def _do(self, function: Callable[[Engine], T]) -> T:
        """Does something in the thread of the server, and sends what clients get for it."""

        def done(running: Running) -> T:
            result = function(running.engine)
            running.engine.gateway.hub.flush()
            return result

        return self._call(done)

    def _take(self, code: str, at: int | None, read: Callable[[Instrument, int], Event]) -> None:
        from .ticks import instrument_of

        def happen(engine: Engine) -> None:
            when = engine.market.source.market_time() if at is None else at
            engine.market.take(read(instrument_of(engine.catalogue, code), when))

        self._do(happen)

    def _begin(self, scenario: Callable[[Engine], Scenario]) -> RunningScenario:
        run = self._do(lambda engine: engine.market.scenarios.begin(scenario(engine)))
        return RunningScenario(run.number, run.scenario.name, self._end)

    def _end(self, number: int) -> bool:
        """Ends a scenario, if there is still a server that it runs on."""
        if self._running is None:
            return False
        return self._do(lambda engine: engine.market.scenarios.stop(number))

    def _market_time(self) -> int:
        return self._do(lambda engine: engine.market.source.market_time())

    def _run_clock(self, step: Step) -> None:
        """Carries out a step of the clock, without the tick that each market of the simulator makes on its
        arrival; what was due before has come or never will."""

        def steps(engine: Engine) -> Scenario:
            clock = {"do": "clock", **step(engine.market.source.market_time())}
            return scenario_in({"name": "time", "step": [clock]})

        self._begin(steps)

    def _hear(self, heard: Heard) -> None:
        self._inbox.put(Received(*heard))

    @contextlib.contextmanager
    def _tokens(self) -> Iterator[TokenStore]:
        """The store of the tokens; what changes in it the server knows at the end."""
        from ..config import DATABASE
        from ..store import open_tokens

        engine = self._server.engine
        with open_tokens(engine.settings.data_dir / DATABASE, engine.settings.database_url) as store:
            yield store
        self._server.finish(engine.gateway.check_tokens)


def _checked(family: str) -> str:
    if family not in ("stock", "other"):
        raise ValueError(f"The family {family!r} is neither stock nor other.")
    return family
