"""A feed: subscriptions and typed events over as many connections as they need.

async with connect(token="…") as feed:
    await feed.subscribe(trades=["BTCUSDT", "AAPL.US"])
    async for event in feed:
        print(event)
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from types import MappingProxyType
from typing import Self

from ..errors import TickwireError
from ..model import Family, Kind, Slow
from ..model import Position as WirePosition
from ..wire import CODE_INVALID, Key, Pace, Refusal
from .account import Account, Plan, account, spaced
from .address import websocket_url
from .api import Api, family_for, names_of
from .buffer import Buffer, Overflow
from .clock import Clock, RealClock
from .dial import Options
from .events import Book, Correction, Event, Kline, Status, Trade
from .intervals import kline_type_of
from .link import Link, Token
from .network import Network
from .positions import Position, position_of
from .replay import Replay
from .shown import codes_of
from .state import State
from .strands import Strands

log = logging.getLogger("tickwire.client")


class Closed(TickwireError):
    """The feed is closed."""


class Feed:
    """What is subscribed to, as one stream of events; made by `connect`.

    Iterate it once at a time. Iteration ends when the feed is closed, and raises the ClientError that no
    try can heal, such as Unauthorized. `api` is the HTTP side of the same account.
    """

    def __init__(
        self,
        account: Account,
        *,
        buffer: int = 10_000,
        overflow: Overflow | str = Overflow.DROP_OLDEST,
        slow: Slow | str | None = None,
        times: bool = False,
        on_state: Callable[[Status], object] | None = None,
        resume: Iterable[Position] = (),
        options: Options | None = None,
        clock: Clock | None = None,
    ) -> None:
        plan, options = account.plan, options or Options()
        self._account = account
        self._clock: Clock = clock or RealClock()
        self._options = options._replace(
            terms=options.terms._replace(spacing=spaced(plan.subscribe_spacing), codes=plan.codes),
            network=account.network,
            slow=options.slow if slow is None else Slow(slow),
            times=options.times or times,
            extended=options.extended and not account.is_vendors,
        )
        self._connections = Pace(spaced(plan.connect_spacing))
        self._strands = Strands(self._wall)
        self._buffer = Buffer(buffer, Overflow(overflow), dropped=self._strands.drop)
        self._on_state = on_state
        self._links: dict[Family, Link] = {}
        self._ready: deque[Event] = deque()
        self._begins = {(one.kind, one.key): one for one in resume}  # until they are subscribed to
        self._looking: set[asyncio.Task[None]] = set()
        self._closed = False
        self._watching: Family | None = None  # on whose connection sources are told
        self._following: dict[str, Family] = {}  # on whose connection it is told what a code does
        self.api = Api(account.url, token=account.token, plan=plan, network=account.network)

    @property
    def links(self) -> Mapping[Family, Link]:
        """The connections that there are, by family: `links[family].state` is how one is."""
        return MappingProxyType(self._links)

    async def subscribe(
        self,
        *,
        trades: Iterable[str] = (),
        books: Iterable[str] | Mapping[str, int] = (),
        klines: Iterable[tuple[str, str | int]] | Mapping[str, str | int] = (),
        corrections: Iterable[str] = (),
        states: Iterable[str] = (),
        family: Family | str | None = None,
        sources: bool = False,
    ) -> None:
        """Wants these too: codes of trades, codes of books (with a number of levels, 0 for all), codes of
        bars with an interval ("1m"), codes of whose trades corrections are to be told, and codes of
        instruments that are to be followed, each with a MarketState now and whenever it does something else;
        with `sources` a SourceStatus for each source of the server, and whenever one changes. K-lines and
        what follows them here are pushed by Tickwire only. So are codes with `*` in them, which stands for
        any text: "*.HK" means all of Hong Kong's that run, and those that begin later; states are of codes
        by their names.

        Returns at once: what the server says of it comes as Subscribed or Refusal, which names the nearest
        codes that a Tickwire has in place of unknown ones. Codes go to the family
        that `family_of` says, or to `family`. Raises ValueError for what is no interval, Closed.

            await feed.subscribe(trades=["GOLD"], books={"BTCUSDT": 5}, klines=[("GOLD", "1m")])
        """
        if self._closed:
            raise Closed("The feed is closed.")
        levels = books if isinstance(books, Mapping) else dict.fromkeys(names_of(books), 0)
        bars = _bars(klines)
        for code in (one := names_of(trades)):
            self._strands.add(Kind.TRADE, code, family_for(code, family))
        for code in levels:
            self._strands.add(Kind.DEPTH, code, family_for(code, family))
        for key in bars:
            self._strands.add(Kind.KLINE, key, family_for(key[0], family))
        for code in (corrected := names_of(corrections)):
            self._strands.add(Kind.CORRECTION, code, family_for(code, family))
        does = {code: family_for(code, family) for code in names_of(states)}
        for each in Family:
            mine = [code for code in one if family_for(code, family) is each]
            deep = {code: depth for code, depth in levels.items() if family_for(code, family) is each}
            long = [key for key in bars if family_for(key[0], family) is each]
            wrong = [code for code in corrected if family_for(code, family) is each]
            doing = [code for code, its in does.items() if its is each]
            if mine or deep or long or wrong or doing:
                self._link(each).add(trades=mine, books=deep, klines=long, corrections=wrong, states=doing)
        self._following |= does
        self._begin()
        if sources and self._watching is None:
            self._watching = next(iter(self._links), Family.OTHER)
            self._link(self._watching).watch_sources(wanted=True)

    async def unsubscribe(
        self,
        *,
        trades: Iterable[str] = (),
        books: Iterable[str] = (),
        klines: Iterable[tuple[str, str | int]] | Mapping[str, str | int] = (),
        corrections: Iterable[str] = (),
        states: Iterable[str] = (),
        sources: bool = False,
    ) -> None:
        """Wants these no more: no event of them comes from now on, but for those that wait to be read.

        await feed.unsubscribe(trades=["GOLD"])
        """
        for code in names_of(trades):
            if (family := self._strands.remove(Kind.TRADE, code)) is not None:
                self._links[family].remove(trades=[code])
        for code in names_of(books):
            if (family := self._strands.remove(Kind.DEPTH, code)) is not None:
                self._links[family].remove(books=[code])
        for key in _bars(klines):
            if (family := self._strands.remove(Kind.KLINE, key)) is not None:
                self._links[family].remove(klines=[key])
        if sources and self._watching is not None:
            self._links[self._watching].watch_sources(wanted=False)
            self._watching = None
        for code in names_of(corrections):
            if (family := self._strands.remove(Kind.CORRECTION, code)) is not None:
                self._links[family].remove(corrections=[code])
        for code in names_of(states):
            if (family := self._following.pop(code, None)) is not None:
                self._links[family].remove(states=[code])

    def replay(
        self,
        *,
        trades: Iterable[str] = (),
        books: Iterable[str] | Mapping[str, int] = (),
        corrections: Iterable[str] = (),
        start: str | date | None = None,
        end: str | date | None = None,
        live: bool = False,
        speed: float = 0,
        paused: bool = False,
        family: Family | str | None = None,
    ) -> Replay:
        """What a Tickwire has recorded of these codes, on a connection of its own, from `start` on and before
        `end`, times of the source as `Api.klines` takes them; None: all there is. With `live` it goes on into
        what is live, with no event missing or twice, and has no end. `speed` 0 is as fast as it is read, 1 as
        it was. Codes are of one family: those of stocks, or the others. Raises ValueError.

            async for event in feed.replay(trades=["IBM.US"], books=["IBM.US"], start="2013-10-07"):
                print(event)
        """
        levels = books if isinstance(books, Mapping) else dict.fromkeys(names_of(books), 0)
        items = [(Kind.TRADE, code, 0) for code in names_of(trades)]
        items += [(Kind.DEPTH, code, depth) for code, depth in levels.items()]
        items += [(Kind.CORRECTION, code, 0) for code in names_of(corrections)]
        families = {family_for(code, family) for _, code, _ in items}
        if len(families) != 1 or (live and end is not None):
            raise ValueError("A replay has codes of one family, and no end if it goes on into live.")
        (each,) = families
        strands = Strands(self._wall)
        for kind, code, _ in items:
            strands.add(kind, code, each)
        url = websocket_url(self._account.url, each)
        return Replay(
            url,
            self._account.token,
            self._options,
            items,
            strands,
            start=start,
            end=end,
            live=live,
            speed=speed,
            paused=paused,
        )

    def positions(self, unread: Iterable[Event] = ()) -> list[Position]:
        """Up to where the program has each stream: the last event that iteration gave, or `batch()`, but for
        those of these that are `unread` yet. A feed that is made with them as `resume=` goes on behind them.

        Those it was made with and that nothing has subscribed to are among them. Streams of a server that
        cannot resume are not.
        """
        before: dict[tuple[Kind, Key], tuple[int, int]] = {}
        for event in (*unread, *self._ready):
            if isinstance(event, (Trade, Book, Kline, Correction)):
                first = event.first_seq or event.seq if isinstance(event, Trade) else event.seq
                before.setdefault(_place(event), (max(first - 1, 0), event.time_ms))
        found = []
        for kind, key, strand in self._strands.all():
            conversation = self._links[strand.family].conversation
            seq, time = before.get((kind, key), (strand.seq, strand.last))
            at = conversation.position(kind, key, seq)
            if at is not None and key not in conversation.patterns(kind):
                found.append(position_of(kind, key, *at, time))
        return [*found, *self._begins.values()]

    def __aiter__(self) -> Feed:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            await self._fill()
        return self._ready.popleft()

    async def batch(self) -> list[Event]:
        """All events that are there, at least one; cheaper than one by one. An empty list when the feed is
        closed. Raises ClientError."""
        try:
            events = [await anext(self)]
        except StopAsyncIteration:
            return []
        events += self._ready
        self._ready.clear()
        return events

    async def close(self) -> None:
        """Ends all connections, and the iteration."""
        self._closed = True
        for task in self._looking:
            task.cancel()
        for link in self._links.values():
            await link.close()
        self._buffer.close()
        await self.api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _fill(self) -> None:
        """Waits for events. Raises StopAsyncIteration when the feed is closed."""
        told = await self._buffer.batch()
        if not told:
            raise StopAsyncIteration
        for event in self._strands.events(told):
            if isinstance(event, Refusal) and event.ret == CODE_INVALID.code and event.nearest is None:
                task = asyncio.create_task(self._look_for(event))
                self._looking.add(task)
                task.add_done_callback(self._looking.discard)
            else:
                self._ready.append(event)

    async def _look_for(self, refusal: Refusal) -> None:
        """Tells a refusal of unknown codes once it is known which may have been meant."""
        found = await self.api.nearest(codes_of(refusal.keys))
        self._buffer.put((refusal._replace(nearest=tuple(dict.fromkeys(found.values()))),))

    def _begin(self) -> None:
        """What is subscribed to by now goes on where it was left."""
        for place, one in [*self._begins.items()]:
            if (family := self._strands.begin(*place, one.seq, one.time_ms)) is not None:
                at = WirePosition(one.epoch, one.seq)
                self._links[family].conversation.begin(*place, at, one.time_ms)
                del self._begins[place]

    def _link(self, family: Family) -> Link:
        if (link := self._links.get(family)) is None:
            link = self._links[family] = Link(
                websocket_url(self._account.url, family),
                self._account.token,
                self._buffer,
                self._options,
                name=family.value,
                connections=self._connections,
                clock=self._clock,
                on_state=self._told,
            )
            link.start()
        return link

    def _told(self, state: State) -> None:
        status = self._strands.status(state)
        log.info("%s: %s%s", status.family, status.state, f" ({status.reason})" if status.reason else "")
        if self._on_state is not None:
            try:
                self._on_state(status)
            except Exception:  # a user's: it shall not end the connection
                log.exception("on_state failed")

    def _wall(self, moment: float) -> datetime:
        return datetime.fromtimestamp(time.time() - (self._clock.time() - moment), UTC)


def connect(
    url: str | None = None,
    *,
    token: Token | None = None,
    plan: str | Plan | None = None,
    buffer: int = 10_000,
    overflow: Overflow | str = Overflow.DROP_OLDEST,
    slow: Slow | str | None = None,
    times: bool = False,
    on_state: Callable[[Status], object] | None = None,
    resume: Iterable[Position] = (),
    options: Options | None = None,
    clock: Clock | None = None,
    network: Network | None = None,
) -> Feed:
    """A feed of the server at `url`, for `async with`: AllTick's, or any Tickwire.

    Without `url` and `token`, TICKWIRE_URL and TICKWIRE_TOKEN are taken; without those, the server on this
    machine (http://127.0.0.1:8600), which needs no token. AllTick's is https://quote.alltick.co. `token` may
    be a function: it is asked before each connection. `plan` is the name of the account's plan ("free",
    "basic" …) or a Plan; see `account`. `network` says whose certificates are trusted and which proxy is gone
    by, if not the system's and the environment's: `Network(ca_file="ca.pem")`.

    Connections are opened when something is subscribed to, one for each family of codes, and opened again,
    with all subscriptions, whenever they end; `on_state` is called with each Status at once, from the event
    loop. About `buffer` events wait to be read; what happens beyond is `overflow`: "drop-oldest" (a Gap says
    so) or "wait" (nothing is read from the server meanwhile). What a Tickwire does while we do not read is
    `slow`: "close", "conflate" (what waits is thinned: the newest book, trades as one) or "drop" (the oldest
    goes), and Spared says what it did; None leaves it to the server. With `times` the events of a Tickwire
    say when it received, published and sent them: `receive_time`, `publish_time`, `send_time`.

    After a cut a Tickwire gives what was missed, as far as it has it. `resume` are positions of an earlier
    feed, see `Feed.positions`: what is subscribed to goes on behind them in the same way.

    Raises ValueError for what is no URL, no plan, no policy or no network, Unauthorized where a token is
    missing.
    """
    return Feed(
        account(url, token, plan, network),
        buffer=buffer,
        overflow=overflow,
        slow=slow,
        times=times,
        on_state=on_state,
        resume=resume,
        options=options,
        clock=clock,
    )


def _place(event: Trade | Book | Kline | Correction) -> tuple[Kind, Key]:
    """Kind and key of the stream of an event."""
    if isinstance(event, Kline):
        return Kind.KLINE, (event.code, int(kline_type_of(event.interval)))
    kinds = {Trade: Kind.TRADE, Book: Kind.DEPTH, Correction: Kind.CORRECTION}
    return kinds[type(event)], event.code


def _bars(klines: Iterable[tuple[str, str | int]] | Mapping[str, str | int]) -> list[tuple[str, int]]:
    pairs = klines.items() if isinstance(klines, Mapping) else klines
    return [(code, kline_type_of(interval)) for code, interval in pairs]
