"""The client without asyncio, for scripts and notebooks: the same feed and API, run by a thread of their own.

    from tickwire import sync

    with sync.connect() as feed:
        feed.subscribe(trades=["BTCUSDT"])
        for event in feed:
            print(event)

Works too where an event loop is running already, as in a notebook. Everything is as in `tickwire.client`;
a method here waits until the one there is done, and callbacks are called in the client's thread.
"""

from __future__ import annotations

import asyncio
import re
import threading
import warnings
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from functools import cache, wraps
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar

from .client import Api as AsyncApi
from .client import Event, HistoryWarning, Network, Plan, Position, ReplayStatus, Token
from .client import Feed as AsyncFeed
from .client import Replay as AsyncReplay
from .client import connect as connect_feed

P = ParamSpec("P")
S = TypeVar("S", bound=AsyncApi | AsyncFeed | AsyncReplay)
T = TypeVar("T")
THREAD = "tickwire"
"""The name of the thread in which the client runs."""


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The loop of all feeds and APIs of this module, which runs until the program ends."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name=THREAD, daemon=True).start()
    return loop


def run(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns or raises, run in that loop; interrupted, it is cancelled.

    Raises RuntimeError in a callback of the client, such as `on_state`, which would wait for itself.
    """
    if threading.current_thread().name == THREAD:
        work.close()
        raise RuntimeError("A callback of the client cannot wait for the client.")
    future = asyncio.run_coroutine_threadsafe(work, _loop())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


class _Face(Generic[S]):
    """One of the client's, and its methods as those that wait."""

    def __init__(self, of: S) -> None:
        self._of = of

    def close(self) -> None:
        """Ends its connections; a feed's iteration, too."""
        run(self._of.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _waiting(
    method: Callable[Concatenate[S, P], Coroutine[Any, Any, T]],
) -> Callable[Concatenate[_Face[S], P], T]:
    """That method of the client's as one that waits, with what it says of itself."""

    @wraps(method)
    def waiting(face: _Face[S], /, *args: P.args, **named: P.kwargs) -> T:
        return run(method(face._of, *args, **named))

    waiting.__doc__ = re.sub(r"\(await (.*?\))\)", r"\1", method.__doc__ or "").replace("await ", "")
    return waiting


def _warning(method: Callable[Concatenate[_Face[S], P], T]) -> Callable[Concatenate[_Face[S], P], T]:
    """That method, whose warning of what is short points at the line that calls it, not into the thread."""

    @wraps(method)
    def warning(face: _Face[S], /, *args: P.args, **named: P.kwargs) -> T:
        short: list[str] = []
        named.setdefault("on_short", short.append)
        found = method(face, *args, **named)
        for text in short:
            warnings.warn(text, HistoryWarning, stacklevel=2)
        return found

    return warning


class Replay(_Face[AsyncReplay]):
    """A replay, for `with` or a loop; made by `Feed.replay`. See `tickwire.client.Replay`."""

    def __init__(self, replay: AsyncReplay) -> None:
        super().__init__(replay)
        self._ready: deque[Event | ReplayStatus] = deque()

    pause = _waiting(AsyncReplay.pause)
    resume = _waiting(AsyncReplay.resume)
    step = _waiting(AsyncReplay.step)
    seek = _waiting(AsyncReplay.seek)
    set_speed = _waiting(AsyncReplay.set_speed)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event | ReplayStatus:
        if not self._ready:
            self._ready += run(self._of.batch())
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()


def _replaying(
    method: Callable[Concatenate[AsyncFeed, P], AsyncReplay],
) -> Callable[Concatenate[Feed, P], Replay]:
    @wraps(method)
    def replaying(face: Feed, /, *args: P.args, **named: P.kwargs) -> Replay:
        return Replay(method(face._of, *args, **named))

    replaying.__doc__ = (method.__doc__ or "").replace("async for", "for")
    return replaying


class Feed(_Face[AsyncFeed]):
    """A feed, for `with`; made by `connect`. See `tickwire.client.Feed`."""

    def __init__(self, feed: AsyncFeed) -> None:
        super().__init__(feed)
        self._ready: deque[Event] = deque()
        self.api = Api(feed.api)

    subscribe = _waiting(AsyncFeed.subscribe)
    unsubscribe = _waiting(AsyncFeed.unsubscribe)
    replay = _replaying(AsyncFeed.replay)

    def positions(self, unread: Iterable[Event] = ()) -> list[Position]:
        """Up to where the program has each stream: the last event that iteration gave, but for those of these
        that are `unread` yet. See `tickwire.client.Feed.positions`."""
        return run(self._positions([*unread, *self._ready]))

    async def _positions(self, unread: list[Event]) -> list[Position]:
        return self._of.positions(unread)

    def next(self, timeout: float | None = None) -> Event:
        """The next event. Raises TimeoutError if there is none in so many seconds, ClientError, and
        StopIteration when the feed is closed."""
        if not self._ready:
            self._ready += run(asyncio.wait_for(self._of.batch(), timeout))
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return self.next()


class Api(_Face[AsyncApi]):
    """The HTTP API, for `with`. See `tickwire.client.Api`."""

    def __init__(
        self,
        url: str | AsyncApi | None = None,
        *,
        token: Token | None = None,
        plan: str | Plan | None = None,
        timeout: float = 20.0,
        patience: float = 70.0,
        network: Network | None = None,
    ) -> None:
        if not isinstance(url, AsyncApi):
            url = AsyncApi(url, token=token, plan=plan, timeout=timeout, patience=patience, network=network)
        super().__init__(url)

    latest_trades = _waiting(AsyncApi.latest_trades)
    books = _waiting(AsyncApi.books)
    klines = _warning(_waiting(AsyncApi.klines))
    latest_klines = _waiting(AsyncApi.latest_klines)
    static_info = _waiting(AsyncApi.static_info)
    suspensions = _waiting(AsyncApi.suspensions)
    instruments = _waiting(AsyncApi.instruments)
    markets = _waiting(AsyncApi.markets)
    gaps = _waiting(AsyncApi.gaps)


def _of_feed(connect: Callable[P, AsyncFeed]) -> Callable[P, Feed]:
    @wraps(connect)
    def connected(*args: P.args, **named: P.kwargs) -> Feed:
        return Feed(connect(*args, **named))

    connected.__doc__ = (connect.__doc__ or "").replace("async with", "with")
    return connected


connect = _of_feed(connect_feed)
