"""The contract of all sources."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import NamedTuple, Protocol, TypeAlias

from ..klines import Past
from ..model import Correction, Event, Instrument, Kind, Kline, KlineType
from .health import Health

SUBSCRIBED = 90.0
"""Seconds that a subscription counts without being renewed: three renewals."""
ASKED = 300.0
"""Seconds that a request over HTTP counts as interest."""


class Snapshot(NamedTuple):
    """How a code stands, as the source told it when asked: nothing new happened, so bars do not count it.

    `event` is None if there is nothing to tell.
    """

    kind: Kind
    code: str
    event: Event | None


class Resent(NamedTuple):
    """An event that not all of us lacks: a publisher sends it again after a kill, or it comes behind a hole
    whose bars are fetched.

    `counted` says that it is in the bars already, or will be, `recorded` that it is in the recording.
    """

    event: Event | Correction
    counted: bool
    recorded: bool


class Began(NamedTuple):
    """From that moment on, in milliseconds of the market's clock, all trades of these codes are yielded."""

    codes: tuple[str, ...]
    at: int


class Broke(NamedTuple):
    """From that moment on, in milliseconds of the market's clock, trades of these codes may be missing.

    `reason` says what failed; it is empty where nothing did and nobody wants them any more.
    """

    codes: tuple[str, ...]
    at: int
    reason: str


class Mended(NamedTuple):
    """From that moment on, in milliseconds of the market's clock, all trades of these codes are yielded, and
    first those that were missed since they broke: they come late, and nothing is missing. Of codes that had
    not broken the next trades come late, since they did where this source has them from."""

    codes: tuple[str, ...]
    at: int


class Again(NamedTuple):
    """A recording begins again, at the same times: what comes is in the bars already."""


Yielded: TypeAlias = Event | Correction | Resent | Snapshot | Began | Broke | Mended | Again


class History(Protocol):
    """The bars that a source can be asked for."""

    most: int
    """Bars that one request gives at most."""

    async def klines(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> list[Kline]:
        """The latest `count` bars that open up to `end` (in seconds; None: now), ascending.

        The last may still be forming; fewer than `count` say that there are none before. Waits for its turn
        where the source limits requests. Raises SourceError.
        """
        ...


class Source(Protocol):
    """Where events come from.

    The times of the events are the source's own. Per code and kind the order of the events is the order
    in which they happened. One that says nothing else is as it stands here: real, within hours, waiting for
    nobody, without a plan, a history or a past.
    """

    name: str
    """Its origin, as people and programs see it: `simulator`, `replay:NAME`."""
    codes: Collection[str]
    """What it yields without being asked."""
    patient: bool = False
    """Whether it may be made to wait for slow clients; live data never is."""
    live: bool = False
    """Whether its events happen elsewhere, so that what is not taken in time is missed: it says by Began,
    Broke and Mended what is complete. Another one can be held up, and its trades are complete from the first
    on."""
    limited: bool = False
    """Whether its own plan limits what it can subscribe to, so that `room` is to be asked."""
    history: History | None = None
    """The bars that it can be asked for, to fill what is missing; None if it has none."""
    health: Health
    """How it is."""

    @property
    def simulated(self) -> bool:
        """Whether the data is made up."""
        return False

    @property
    def round_the_clock(self) -> bool:
        """Whether its markets are always open, whatever their calendars say."""
        return False

    async def prepare(self) -> Collection[Instrument]:
        """Finds out what it must know before it begins: awaited once, before `events`. Returns the
        instruments that are to be known in other numbers because of that. Raises InputError."""
        return ()

    def events(self) -> AsyncIterator[Yielded]:
        """The stream, one at a time. Gives way to the event loop at least every few hundred events.

        It may raise anything; then, or after it was closed, it is called again, and goes on: what was yielded
        does not come again, what was not is yielded or told as missing by Broke, and nothing begins twice.
        One that has ended is over, and yields nothing more; so is one that raised InputError. Tells its
        health that it is up as soon as it is.
        """
        ...

    def market_time(self) -> int:
        """The market's clock, in milliseconds since the epoch: the wall clock, or a recording's.

        What has ended by it has ended, whether or not an event said so; 0 before the stream begins.
        """
        ...

    def past(self, instrument: Instrument, key: str | None = None) -> Past | None:
        """The past that the source makes up for an instrument, if it does: a new one, or that of a key."""
        return None

    def serves(self, instrument: Instrument) -> bool:
        """Whether it can yield that instrument at all."""
        ...

    def room(self, kind: Kind, codes: Collection[str]) -> Collection[str]:
        """Those of these codes that it can be subscribed to if nothing else is, by what its own plan allows:
        the first ones."""
        return codes

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """These codes are asked for, by subscriptions or by an HTTP request; bars need trades.

        With `subscribed` it is called again every half minute while they last, and a source with a `history`
        is told of all of them at a time: what is not among them is given up for them if need be. Returns
        those of which it yields a first event or a Snapshot of that kind soon, so that it is worth waiting
        for.
        """
        return ()
