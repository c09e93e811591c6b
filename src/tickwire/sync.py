"""The client without asyncio, for scripts and notebooks: the same feed and API, run by a thread of their own.

    from tickwire import sync

    with sync.connect() as feed:
        feed.subscribe(trades=["BTCUSDT"])
        for event in feed:
            print(event)

Works too where an event loop is running already, as in a notebook. Everything is as in `tickwire.client`,
where each method is described; a method here waits until the one there is done.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Mapping
from datetime import date
from functools import cache
from typing import Any, Self, TypeVar

from .client import Api as AsyncApi
from .client import (
    Book,
    Event,
    GapInfo,
    InstrumentInfo,
    Kline,
    MarketInfo,
    Network,
    Options,
    Overflow,
    Plan,
    Progress,
    Rows,
    Status,
    Token,
    Trade,
)
from .client import Feed as AsyncFeed
from .client import connect as connect_feed
from .model import Family, Suspension, SuspensionList
from .wire import StaticInfo

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


class Feed:
    """A feed, for `with`; made by `connect`. See `tickwire.client.Feed`."""

    def __init__(self, feed: AsyncFeed) -> None:
        self._feed = feed
        self._ready: deque[Event] = deque()
        self.api = Api(feed.api)

    def subscribe(
        self,
        *,
        trades: Iterable[str] = (),
        books: Iterable[str] | Mapping[str, int] = (),
        klines: Iterable[tuple[str, str | int]] | Mapping[str, str | int] = (),
        family: Family | str | None = None,
    ) -> None:
        """Wants these too."""
        run(self._feed.subscribe(trades=trades, books=books, klines=klines, family=family))

    def unsubscribe(
        self,
        *,
        trades: Iterable[str] = (),
        books: Iterable[str] = (),
        klines: Iterable[tuple[str, str | int]] | Mapping[str, str | int] = (),
    ) -> None:
        """Wants these no more."""
        run(self._feed.unsubscribe(trades=trades, books=books, klines=klines))

    def next(self, timeout: float | None = None) -> Event:
        """The next event. Raises TimeoutError if there is none in so many seconds, ClientError, and
        StopIteration when the feed is closed."""
        if not self._ready:
            self._ready += run(asyncio.wait_for(self._feed.batch(), timeout))
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return self.next()

    def close(self) -> None:
        """Ends all connections, and the iteration."""
        run(self._feed.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Api:
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
        self._api = url

    def latest_trades(self, codes: str | Iterable[str], *, family: Family | str | None = None) -> Rows[Trade]:
        """The last trade of each code that has one."""
        return run(self._api.latest_trades(codes, family=family))

    def books(self, codes: str | Iterable[str], *, family: Family | str | None = None) -> Rows[Book]:
        """The last book of each code that has one."""
        return run(self._api.books(codes, family=family))

    def klines(
        self,
        code: str,
        interval: str | int = "1m",
        count: int | None = None,
        *,
        start: str | date | None = None,
        end: str | date | None = None,
        family: Family | str | None = None,
        progress: Callable[[Progress], object] | None = None,
    ) -> Rows[Kline]:
        """Bars of a code, ascending."""
        return run(
            self._api.klines(code, interval, count, start=start, end=end, family=family, progress=progress)
        )

    def latest_klines(
        self,
        codes: str | Iterable[str],
        intervals: str | int | Iterable[str | int] = "1m",
        *,
        count: int = 2,
        family: Family | str | None = None,
    ) -> Rows[Kline]:
        """The last one or two bars of many codes and intervals."""
        return run(self._api.latest_klines(codes, intervals, count=count, family=family))

    def static_info(self, codes: str | Iterable[str]) -> Rows[StaticInfo]:
        """Names, exchange, currency, lot and figures of stocks."""
        return run(self._api.static_info(codes))

    def suspensions(self, exchange: SuspensionList | str) -> Rows[Suspension]:
        """The halts that an exchange has announced."""
        return run(self._api.suspensions(exchange))

    def instruments(self, search: str = "") -> Rows[InstrumentInfo]:
        """What a Tickwire has in whose code, alias or name the text stands."""
        return run(self._api.instruments(search))

    def markets(self) -> Rows[MarketInfo]:
        """The calendars of a Tickwire."""
        return run(self._api.markets())

    def gaps(
        self,
        code: str | None = None,
        *,
        start: str | date | None = None,
        end: str | date | None = None,
        limit: int = 100,
    ) -> Rows[GapInfo]:
        """When the sources of a Tickwire were down."""
        return run(self._api.gaps(code, start=start, end=end, limit=limit))

    def close(self) -> None:
        """Lets go of its connections."""
        run(self._api.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(
    url: str | None = None,
    *,
    token: Token | None = None,
    plan: str | Plan | None = None,
    buffer: int = 10_000,
    overflow: Overflow | str = Overflow.DROP_OLDEST,
    on_state: Callable[[Status], object] | None = None,
    options: Options | None = None,
    network: Network | None = None,
) -> Feed:
    """A feed of the server at `url`, for `with`; `on_state` is called in the client's thread."""
    return Feed(
        connect_feed(
            url,
            token=token,
            plan=plan,
            buffer=buffer,
            overflow=overflow,
            on_state=on_state,
            options=options,
            network=network,
        )
    )
