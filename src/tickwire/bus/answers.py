"""What a market side answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from ..model import Correction, Event, Instrument, Kind, Kline, KlineUpdate, Suspension, UpstreamUse
from ..wire import GapInfo, StaticInfo, Tally
from ..wire.replays import Hole

if TYPE_CHECKING:  # only recordings need it
    import pyarrow as pa

Edition: TypeAlias = tuple[str, int, int]
"""Which bars of a code and type there are: whoever asks with it again is told only if they are others now."""


class Lack(StrEnum):
    """Why an answer is not whole: the store cannot be read, or not all is written to it; or the source has
    not given the rest yet, or not said yet what some codes are; or a process of the server does not answer.
    """

    STORE = "store"
    UPSTREAM = "upstream"
    WORKERS = "workers"


class Klines(NamedTuple):
    """The bars that were asked for, ascending, the one that forms among them; None if they are those of the
    edition that was asked with, but for the one that forms."""

    bars: list[Kline] | None
    forming: Kline | None
    edition: Edition
    lacks: Lack | None


class Missed(NamedTuple):
    """Some of what a stream has sent after a position, ascending, each with its `seq`: none if there is
    nothing more. `whole` if nothing lies between the position and these that cannot be had any more."""

    seqs: Sequence[int]
    events: Sequence[Event | KlineUpdate | Correction]
    whole: bool


class FirstMissed(NamedTuple):
    """The `seq` of the first event that a stream has sent after a position, 0 if there is nothing more.
    `whole` as above."""

    seq: int
    whole: bool


class Columns(NamedTuple):
    """Recorded events in the order in which they came."""

    tables: Mapping[Kind, pa.Table]
    """Of trades and of books, with what those say and the columns `code`, `time`, `seq`, `received` and
    `arrival`: the place in the order, which rises."""
    corrections: Sequence[tuple[int, Correction, int, int]]
    """The place of each, its `seq`, and when it was received, in microseconds since the epoch."""
    holes: Sequence[Hole]
    """Where events of a stream are missing that were sent."""


class Gaps(NamedTuple):
    """Gaps, the newest first; what waits to be written is lacking."""

    gaps: list[GapInfo]
    lacks: Lack | None


class Suspensions(NamedTuple):
    """A page of suspensions, and how many there are of all; what waits to be written is lacking."""

    total: int
    entries: list[Suspension]
    lacks: Lack | None


class Statics(NamedTuple):
    """What is told of instruments in /static_info, by code; whether some of it is made up, and whether
    upstream could not be asked about all."""

    entries: dict[str, StaticInfo]
    made_up: bool
    lacks: Lack | None


class Stop(StrEnum):
    """Why not all lines of a publisher were taken: there was no room for too long; a new instrument cannot be
    kept now, or one before these could not; the server stops. Or it is not known what was taken: the market
    side is away."""

    BUSY = "busy"
    NOT_KEPT = "not kept"
    STOPS = "stops"
    AWAY = "away"


class Taken(msgspec.Struct):
    """What has become of lines of a publisher: what is counted was taken. Where a new instrument was not
    kept, `missing` is the `seq` of its line, before which no later one is taken; 0 if it has none."""

    tally: Tally
    stop: Stop | None = None
    missing: int = 0


class Unknown(NamedTuple):
    """Codes that no catalogue has: that upstream has said what they are, has yet to say it of, and does not
    have."""

    learned: int
    waiting: int
    refused: int


class SourceFigures(NamedTuple):
    """A source and what is kept of it: see `sources.Health`, and `SourceReadiness` of the same names.

    `unanswered` are codes of which upstream did not say over HTTP how they stand, None where there is none;
    `partial` are answers without bars that it had not given yet, None where it cannot be asked; `recording`
    is None where it is not recorded; `waiting_bars` wait to be written, `lost_bars` were let go of. `skew_ms`
    is by how much our clock is ahead of its events, smoothed. `unwritten_events` are not in the journal of
    the recording yet, the oldest of them for `unwritten_seconds` at most. Outages of a code are `resumed`
    whose trades came after all, and `gaps` the others; None where there is none.
    """

    name: str
    simulated: bool
    status: str
    since: int
    reason: str
    lag_ms: int | None
    events: int
    bad: int
    crossed: int
    late: int
    dropped: int
    renumbered: int
    unanswered: int | None
    partial: int | None
    waiting_bars: int
    lost_bars: int
    recording: bool | None
    lost_events: int
    unknown: Unknown | None
    upstream: UpstreamUse | None
    skew_ms: float | None
    unwritten_events: int
    unwritten_seconds: float
    resumed: int | None
    gaps: int | None


class StoreFigures(NamedTuple):
    """How one kind of call of the store goes, `write` or `read`: since when it fails, in seconds since the
    epoch (None: it works), why, how many calls have failed, and how many wait for their turn."""

    call: str
    since: float | None
    reason: str
    failures: int
    waiting: int


class Figures(NamedTuple):
    """A market side as it stands. `now` is the market's clock, in milliseconds since the epoch; `codes` is
    how many come without being asked for, `example` an instrument that is served."""

    sources: tuple[SourceFigures, ...]
    store: tuple[StoreFigures, ...]
    now: int
    round_the_clock: bool
    codes: int
    example: Instrument

    @property
    def name(self) -> str:
        """What people see."""
        return " + ".join(one.name for one in self.sources)

    @property
    def simulated(self) -> bool:
        """Whether some of the data is made up."""
        return any(one.simulated for one in self.sources)

    @property
    def events(self) -> int:
        """How many events have come."""
        return sum(one.events for one in self.sources)


class Statement(NamedTuple):
    """What a process of a server says of itself, under its name; None if it did not answer."""

    name: str
    body: bytes | None


class ScenarioRun(msgspec.Struct):
    """A scenario that runs under a number, since so many seconds. `active` are those of its steps that are at
    work, `ahead` those to come, the next one first, all as they were written: without what is left to its
    default, and without the tokens that they name."""

    number: int
    name: str
    description: str
    seconds: float
    active: list[dict[str, Any]]
    ahead: list[dict[str, Any]]
