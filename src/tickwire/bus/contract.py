"""The contract between the market side, which numbers events, and the client side, which serves them.

Down go events. A stream is the events of one code and kind, of bars also of one type. It is opened once at
each receiver, and what it carries from then on goes into the inlet that the receiver gave. Up go wishes,
which last as long as their lease, reads and commands: coroutines, in one process too. What a client side must
be able to say in the same turn is state that the market hands down (`Known`). The market waits for no
receiver, and a client side only for what it awaits.

Order: each stream in itself, not one against another; what a client side calls, in the order of its calls; an
answer comes after the events that were sent before it.

Loss: delivery may be at most once. An event has its place in its stream, given by the market once; places
grow by one (a scenario may send one again, or behind the next). So whoever sees a hole asks what it `missed`,
and says so to its clients where that cannot be given. Nothing is lost in one process.

Epochs: a stream has one owner at a time, whose epoch is the first `seq` of all its streams: the start of its
server in microseconds, above all that an earlier one gave. Whoever takes over begins a higher epoch, and a
receiver drops what comes of a lower one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from ..access import Limits, Seating, Verdict
from ..model import (
    Correction,
    Event,
    Family,
    Instrument,
    Kind,
    KlineType,
    KlineUpdate,
    Position,
    Reach,
    Room,
    SuspensionList,
)
from ..sandbox import Scenario, Step
from ..wire import Ret, Standing, StatusData
from .answers import (
    Columns,
    Edition,
    Figures,
    FirstMissed,
    Gaps,
    Klines,
    Missed,
    ScenarioRun,
    Statement,
    Statics,
    Suspensions,
    Taken,
)

StreamEvent: TypeAlias = Event | KlineUpdate | Correction
"""What a stream carries."""


PATIENCE = 2.0
"""Seconds in which a process says what it is asked of itself."""
MOST_SAID = 16 * 2**20
"""Bytes that it may say."""


class Inlet(Protocol):
    """Where the events of one stream go in at a receiver."""

    def take(self, event: StreamEvent, seq: int, received: int = 0) -> None:
        """The next event, which is sent on to whoever wants it. A scenario may repeat one, or send it behind
        the next one. `received` is when it came, in microseconds since the epoch, as recordings say it; 0:
        that is not known, or it came from nowhere, as bars do."""


class FrameInlet(Inlet, Protocol):
    """The same at a client side, which may be in another process than the market side."""

    def take_frame(self, frame: bytes, seq: int, received: int = 0) -> None:
        """A trade or a book as it passes between processes, see `wire.canonical`."""

    def forget(self) -> None:
        """Forgets what it was given: the next event counts as the first. Called while nobody wants it."""


class StreamReceiver(Protocol):
    """Who takes streams."""

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Inlet:
        """A stream begins, or is there already when the receiver joins. Asked once for each."""

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers: what is sent from now on is written in them."""

    def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
        """Trades of these go on there, behind an outage of their source: those of it follow, late, or (`gap`)
        cannot be had."""


class Speaker(Protocol):
    """A part of a server that can be asked what it knows of itself."""

    @property
    def name(self) -> str:
        """What it goes by."""
        ...

    async def statements(self, what: str, about: str = "", but: str = "") -> Sequence[Statement]:
        """What it says; see `Supplier.statements`. A bus that stands for several asks all of them. May raise
        anything, and take any time: whoever asks waits `PATIENCE`."""
        ...


class Receiver(StreamReceiver, Speaker, Protocol):
    """A client side, as the market side knows it."""

    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> FrameInlet:
        """See `StreamReceiver`."""

    def renew(self) -> None:
        """The market side is there again, or another one: it is to be told anew what is wished."""

    def dismiss(self, number: int) -> None:
        """The connection of that number gives way to another one of its token."""

    def source_changed(self, status: StatusData) -> None:
        """A source is otherwise than before."""

    def scenarios_changed(self, begun: Collection[Step]) -> None:
        """Steps of scenarios have begun, these, or have ended."""

    def seekers(self, family: Family, name: str) -> Collection[str]:
        """The tokens that wait until upstream has said what a code is."""
        ...

    def found(self, family: Family, name: str, *, nobodys: bool) -> None:
        """It is known what a code is that was sought, or that it is not: `nobodys` if nobody has it."""


class TokenHome(Protocol):
    """Where the limits of tokens are kept, for all client sides together, see `access.Home`. Asked for tokens
    of plans that limit something; in one process nobody asks."""

    async def take_request(self, label: str, limits: Limits, endpoint: str | None) -> Verdict:
        """A request over HTTP: whether it passes."""
        ...

    async def take_subscription(self, label: str, limits: Limits, family: Family, cmd_id: int) -> bool:
        """A subscription on an interface of a family: whether it passes."""
        ...

    async def take_seat(
        self,
        who: object,
        number: int,
        label: str,
        limits: Limits,
        family: Family,
        *,
        is_there: bool = False,
    ) -> Seating:
        """A new connection under that number: whether there is a place for it. Another one may have to give
        way, see `Receiver.dismiss`. One that `is_there` was let in before: the home is another one since. A
        home that is new waits a moment for all of those."""
        ...

    async def leave_seats(self, who: object, numbers: Collection[int]) -> None:
        """These connections are gone."""

    async def heard_from(self, who: object, ages: Mapping[int, float]) -> None:
        """So many seconds ago something last came from these connections: said once a second."""


class Left(NamedTuple):
    """A stream, and the position of the last event that somebody has of it."""

    kind: Kind
    code: str
    after: Position
    kline_type: int = 0


class Playback(Protocol):
    """Events of some streams, as they were recorded."""

    begin: int
    """When the first that there is of them happened, in milliseconds since the epoch; 0 if there is none."""
    end: int
    """When the last did."""
    recorded: Collection[tuple[Kind, str]]
    """The streams that there is something of, or may be."""

    async def more(self) -> Columns | None:
        """The next of them, some thousand at a time; None if there is nothing more by now. Waits for a disk.
        Raises InputError if it cannot be read."""
        ...

    def instrument(self, code: str) -> Instrument:
        """What a code is, in as many decimals as are known now, or as it was recorded with if those are
        more."""
        ...

    def position(self, kind: Kind, code: str) -> Position | None:
        """Up to where a stream was given that is live; None if nothing of what is live is recorded."""
        ...

    def lack(self) -> None:
        """Before the next event of each stream something is missing that had been there."""

    def close(self) -> None:
        """Nobody wants more of it."""


NO_TOKENS: Mapping[str, Sequence[str]] = {}


class Known(Protocol):
    """What a client side must be able to say of the market in the turn in which it is asked.

    This is state that the market hands down: a bus between processes keeps a copy of it at the client side,
    which may be late by what is under way; an answer to a call is never ahead of the state that it changes.
    In one process it is the market's own.
    """

    @property
    def epoch(self) -> int:
        """That of all streams."""
        ...

    @property
    def resume_seconds(self) -> float:
        """For how long what was sent can be had once more, see `Supplier.missed`."""
        ...

    @property
    def scarce(self) -> bool:
        """Whether a plan limits how many codes some source subscribes to."""
        ...

    def statuses(self) -> list[StatusData]:
        """How the sources are."""
        ...

    def serve(self, instrument: Instrument) -> bool:
        """Whether an instrument can come from any source."""
        ...

    def room(self, kind: Kind, instruments: Collection[Instrument]) -> set[str]:
        """The codes of those of these instruments that can be subscribed to now: the first ones, as many as
        the quota of their source leaves room for."""
        ...

    def rooms(self) -> Sequence[Room]:
        """What the plans of sources leave room for: what `room` goes by."""
        ...

    def limiting(self, instrument: Instrument) -> str:
        """The source whose plan limits what can be subscribed to of an instrument; empty if none does."""
        ...

    def elsewhere(self, who: object, flow: Kind) -> Mapping[str, Sequence[str]]:
        """What the tokens at other client sides want, as those have said, by the names of tokens: of all that
        want anything anywhere, in the order of their turns."""
        ...

    def carried(self, flow: Kind) -> set[str]:
        """The codes that are subscribed to upstream for that."""
        ...

    def refusal(self, family: Family, name: str) -> Ret | None:
        """Why upstream need not be asked what a code is; None if it can be."""
        ...

    def is_sought(self, family: Family, name: str) -> bool:
        """Whether upstream is being asked what a code is."""
        ...

    def publisher_refusal(self, publisher: str) -> str | None:
        """Why nobody can publish under that name: empty if nothing can be published at all. None if somebody
        can."""
        ...

    def can_seek(self, name: str) -> bool:
        """Whether upstream can be asked what one more code is: not too many wait."""
        ...


class Supplier(Known, Protocol):
    """A market side, as a client side knows it: what it can be asked for, and what it is told.

    All of it is a coroutine, in one process too, and may fail or take as long as it says. Calls that one
    client side makes one after the other are carried out in that order.
    """

    def join(self, receiver: Receiver) -> None:
        """Another client side is to be told of what comes: streams that are there are opened at it, each with
        its last event, then all that begin."""

    def leave(self, receiver: Receiver) -> None:
        """It is told nothing more, and what it wished is forgotten."""

    def forget(self, who: object) -> None:
        """A client side is gone whose wishes came by another way: they are forgotten."""

    # Wishes. The market never waits for a client side, and forgets what it wished when the lease ends.
    async def wish(
        self,
        who: object,
        flow: Kind,
        instruments: Collection[Instrument],
        *,
        whole: bool,
        lease: float,
        tokens: Mapping[str, Sequence[str]] = NO_TOKENS,
    ) -> None:
        """A client side is subscribed to the trades or books of these for the next `lease` seconds, the most
        important first: to these too, or (`whole`) to nothing else. Where room is scarce it is shared among
        tokens: `tokens` are the codes that each there wants, with what it has first."""

    async def wish_bars(self, who: object, bars: Collection[tuple[str, KlineType]], *, lease: float) -> None:
        """It is subscribed to the bars of these codes and types too; with a lease of 0 not any more."""

    async def seek(self, family: Family, name: str) -> None:
        """Has upstream asked what a code is; `Receiver.found` tells when it is known, or that it is not."""

    async def find(self, family: Family, names: Iterable[str]) -> None:
        """Has upstream asked what these codes are, and waits until it has said so: eight seconds at most."""

    async def show_bar(self, instrument: Instrument, kline_type: KlineType) -> bool:
        """Pushes the bar that is forming, once it is known, if it is another one than at the last time.
        Returns whether there is one. Waits as long as a read of bars does."""
        ...

    async def pace(self, clients: Mapping[object, bool]) -> None:
        """These clients do not take what they are sent as fast as it comes (True): a source that can wait,
        waits. Or they have caught up, or are gone."""

    # Reads.
    async def begin(self, kind: Kind, instruments: Iterable[Instrument]) -> Mapping[str, Ret | None]:
        """Makes sure that instruments have a last trade or book, if they can have one; waits five seconds for
        it at most. Returns the codes that have none since their source has not said how they stand, each
        with what it refused it with, if it did."""
        ...

    async def klines(
        self,
        instrument: Instrument,
        kline_type: KlineType,
        *,
        count: int,
        end: int | None,
        edition: Edition | None = None,
    ) -> Klines:
        """The latest `count` bars up to and including `end` (in seconds; None: now). Where the store or
        upstream cannot be asked, those that memory holds. Raises StoreError if it holds none."""
        ...

    async def gap_page(self, codes: Collection[str] | None, begin: int, end: int | None, limit: int) -> Gaps:
        """The latest `limit` gaps of these codes (None: of all) between two times. Raises StoreError."""
        ...

    async def suspension_page(
        self, exchange: SuspensionList, *, offset: int, limit: int | None
    ) -> Suspensions:
        """The suspensions of an exchange. Raises StoreError."""
        ...

    async def static_info(self, instruments: Collection[Instrument]) -> Statics:
        """What is to be told of instruments in /static_info. Waits as long as a request to upstream may take,
        and says what it lacks where that fails."""
        ...

    async def states(self, instruments: Iterable[Instrument]) -> list[str]:
        """What each of these does now, by scenario and by calendar: `open`, `halted` and so on."""
        ...

    async def last_trades(self, instruments: Iterable[Instrument]) -> list[int | None]:
        """When the last trade of each of these was, in milliseconds since the epoch; None if there was
        none."""
        ...

    async def lacking(self, streams: Iterable[tuple[Kind, str]]) -> set[tuple[Kind, str]]:
        """Those of these trades and books, by code, that have no place at the source they come from."""
        ...

    async def statements(self, what: str, about: str = "", but: str = "") -> list[Statement]:
        """What all processes of the server say of themselves, the client sides that are joined and the market
        side's own, but for the one of the name `but`: mostly the one who asks. `what` is asked, `about`
        something.

        Answers within `PATIENCE`, and a little. One that is too slow, fails, goes meanwhile, or says more
        than `MOST_SAID` bytes has said nothing, and is named so; the others are not held up by it."""
        ...

    async def figures(self) -> Figures:
        """How the sources and the store are. Needs neither, and does not fail."""
        ...

    async def open_gaps(self) -> dict[str, int]:
        """How many gaps have not ended, by source. Raises StoreError."""
        ...

    async def missed(self, kind: Kind, code: str, after: Position, kline_type: int = 0) -> Missed | None:
        """The next of what a stream has sent after that position, as far as there is something. Of bars those
        that have closed or were revised: one that forms is told by the last. None if it never stood there: it
        is of another epoch, or of books, of which the last state says all."""
        ...

    async def first_missed(self, streams: Sequence[Left]) -> list[FirstMissed | None]:
        """Where that begins of each of these, without any of it; None as above."""
        ...

    async def recorded(self, streams: Collection[tuple[Kind, str]], begin: int, end: int | None) -> Playback:
        """What was recorded of these streams, of the source's time from `begin` on and before `end`, in
        milliseconds since the epoch. Raises InputError if it cannot be read."""
        ...

    # Commands.
    async def standing(self, publisher: str) -> Standing:
        """How a publisher stands. Raises SourceError."""
        ...

    async def publish(
        self,
        publisher: str,
        lines: Sequence[bytes],
        *,
        reach: Reach | None = None,
        patience: float | None = None,
    ) -> Taken:
        """Takes lines of a publisher, as fast as there is room for them; `reach` is what it may publish
        (None: everything). Waits for room as long as it takes, or `patience` seconds. Raises SourceError if
        nothing can be published under that name."""
        ...

    async def running(self) -> list[ScenarioRun]:
        """The scenarios that run."""
        ...

    async def run_scenario(self, scenario: Scenario) -> ScenarioRun:
        """Starts one. Raises InputError if it cannot be carried out here."""
        ...

    async def stop_scenario(self, number: int) -> bool:
        """Ends one and undoes what it did. Returns whether it ran."""
        ...
