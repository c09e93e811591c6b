"""A market side in another process, as a client side knows it.

Every call is answered by the other end, or fails when that is gone or does not answer. What must be known at
once is a copy that the market side keeps up to date. What was missed of the streams is asked for, and what
cannot be had any more is told as a gap.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, cast

import msgspec
import structlog

from ..errors import BusError, StoreError
from ..model import Catalogue, Family, Instrument, Kind, Room, with_room
from ..sandbox import Sandbox
from ..wire import CODE_INVALID, Ret, StatusData
from . import layout
from .answers import Figures, Statement, Stop
from .answers import Taken as TakenLines
from .buckets import BucketOf, Spread, the_only
from .calls import CALLS, ERRORS, RECORDED, Call, written
from .contract import Playback, Receiver, Supplier, TokenHome
from .incoming import Incoming
from .interest import ALL_COMES, Followed, Interest
from .layout import Splitter
from .messages import (
    VERSION,
    Ask,
    Changed,
    Dismiss,
    Done,
    Down,
    Elsewhere,
    Failed,
    Found,
    Hello,
    Learned,
    Opened,
    PageTold,
    PlaybackTold,
    Pulse,
    Read,
    Refused,
    Said,
    Say,
    Scenarios,
    SourceChanged,
    State,
    Taken,
    Up,
    Want,
    Welcome,
    WentOn,
    payload,
    read_down,
)
from .remote_playback import RemotePlayback
from .speaking import heard

ACK = 64 * 1024
"""Bytes of events after which the market side is told that they were taken."""
ANSWER = 30.0
"""Seconds in which a call is answered, of those that do not wait for room."""
RETURN = 6.0
"""Seconds that a call waits for a market side that is away: one that is started anew is there by then."""
SILENCE = 5.0
"""Seconds without a sign of life after which the market side counts as gone, though its end is open."""
AWAY = "the market side cannot be reached"
SILENT = "the market side does not answer"

log = structlog.get_logger()
_playback = msgspec.msgpack.Decoder(PlaybackTold).decode
_page = msgspec.msgpack.Decoder(PageTold).decode


class Channel(Protocol):
    """The way to the market side."""

    def send(self, data: bytes) -> None:
        """Takes a frame, without ever waiting."""

    def close(self) -> None:
        """Ends it."""


class Asked:
    """A call that is not answered yet."""

    __slots__ = ("future", "read")

    def __init__(self, read: Callable[[msgspec.Raw], Any]) -> None:
        """`read` makes of an answer what it says. It may raise BusError."""
        self.read = read
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()


def asking(cls: type[RemoteMarket]) -> type[RemoteMarket]:
    """Lets the calls of the contract that it does not define itself be answered by the other end."""

    def made(name: str) -> Callable[..., Awaitable[Any]]:
        async def call(self: RemoteMarket, *positional: Any, **named: Any) -> Any:
            return await self.ask(CALLS[name], positional, named)

        call.__name__ = name
        return call

    for name in CALLS:
        if name not in vars(cls):
            setattr(cls, name, made(name))
    return cls


@asking
class RemoteMarket:
    """A market side in another process; use it as a `Supplier`, see `supplier`."""

    def __init__(
        self,
        catalogue: Catalogue,
        sandbox: Sandbox,
        *,
        name: str,
        clock: Callable[[], float],
        wall: Callable[[], int],
        bucket_of: BucketOf = the_only,
    ) -> None:
        """`name` is what the market side calls this one; `clock` is monotonic, in seconds, `wall` in
        milliseconds since the epoch."""
        self.joined = asyncio.Event()
        """Set while it is there."""
        self.refused = ""
        """Why it will never be."""
        self.followed = Followed(bucket_of, clock) if isinstance(bucket_of, Spread) else None
        """Which buckets are to come; None: all."""
        self.incoming = Incoming(cast(Supplier, self).missed, self._tell, bucket_of, self.followed)
        """Its streams."""
        self._catalogue = catalogue
        self._sandbox = sandbox
        self._name = name
        self._clock = clock
        self._wall = wall
        self._receiver: Receiver | None = None
        self._channel: Channel | None = None
        self._splitter = Splitter()
        self._comes: tuple[str, ...] | None = None  # what buckets did when it came
        self._state = State(0, 0.0, False, (), frozenset(), {}, (), {}, False, False, False)
        self._elsewhere: dict[Kind, dict[str, Sequence[str]]] = {}
        self._taken = self._told_taken = 0
        self._heard = 0.0
        self._is_silent = False
        self._unheard_since = 0
        self._asked: dict[int, Asked] = {}
        self._last_number = 0
        self._peers: dict[object, int] = {}
        self._last_peer = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._figures: Figures | None = None

    @property
    def supplier(self) -> Supplier:
        """The same, by its contract."""
        return cast(Supplier, self)

    @property
    def interest(self) -> Interest:
        """What the client side follows."""
        return ALL_COMES if self.followed is None else self.followed

    @property
    def home(self) -> TokenHome:
        """Where the limits of tokens are kept."""
        return cast(TokenHome, self)

    # The way to the other end.
    def attach(self, channel: Channel, buckets: Collection[str] | None = None) -> None:
        """There is a way to the market side: says who is here, and what buckets come (None: all). What comes
        goes into `received`."""
        self._channel = channel
        self._splitter = Splitter()
        self._taken = self._told_taken = 0
        self._heard = self._clock()
        self._comes = None if buckets is None else (*buckets,)
        self._say(Hello(VERSION, self._name, self._comes))

    def received(self, data: bytes) -> None:
        """Bytes came. Raises BusError if they are not what they should be."""
        self._heard = self._clock()
        if self._is_silent:
            self._is_silent = False
            self._tell_statuses()
        for frame in self._splitter.feed(data):
            if frame.number_of_records:
                self._taken += layout.HEAD.size + len(frame.body)
                self.incoming.take(frame)
            else:
                try:
                    told = read_down(frame.body)
                except (msgspec.DecodeError, ValueError) as error:
                    raise BusError(f"A message of the market side cannot be read: {error}") from None
                self._hear(told)
        if self._taken - self._told_taken >= ACK:
            self._told_taken = self._taken
            self._say(Taken(self._taken))

    def received_batch(self, batch: layout.Frame) -> None:
        """A batch came that all client sides are sent. Raises BusError."""
        self._heard = self._clock()
        self.incoming.take(batch)

    def catch_up(self) -> None:
        """Some of those were left out: what they held is asked for, with the last of each stream."""
        if self.followed is not None:
            self._say(Want((*self.followed.buckets,)))

    async def last_of(self, buckets: Iterable[str]) -> None:
        """Waits for the last event of each stream of these, and what was missed before it. Raises
        StoreError."""
        self._last_number += 1
        await self._answer(Want((*buckets,), self._last_number), Asked(lambda _: None), ANSWER)

    def beat(self) -> None:
        """Says that this side is there."""
        self._say(Taken(self._taken))

    def lost(self) -> None:
        """The market side is gone: what waits for it fails, what was sent last stays."""
        if self._channel is None:
            return
        self._channel = None
        self.joined.clear()
        if self.followed is not None:
            self.followed.lost()
        self._unheard_since = self._wall()
        self._fail_all(AWAY)
        self._tell_statuses()

    def _fail_all(self, reason: str) -> None:
        """What waits for an answer has none."""
        asked, self._asked = self._asked, {}
        for one in asked.values():
            if not one.future.done():
                one.future.set_exception(BusError(f"{reason.capitalize()}."))

    def look(self) -> None:
        """Once a second: tells when nothing comes any more."""
        if self.joined.is_set() and not self._is_silent and self._clock() - self._heard > SILENCE:
            self._is_silent, self._unheard_since = True, self._wall()
            log.warning("the market side does not answer", seconds=round(self._clock() - self._heard, 1))
            self._fail_all(SILENT)
            self._tell_statuses()

    async def end(self) -> None:
        """Asks for nothing more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.incoming.end()
        channel = self._channel
        self.lost()
        if channel is not None:
            channel.close()

    def _say(self, told: Up) -> None:
        if self._channel is not None:
            self._channel.send(layout.message(payload(told)))

    # Who is here.
    def join(self, receiver: Receiver) -> None:
        """The client side: it is told of what comes, once the market side is there."""
        self._receiver = receiver

    def leave(self, receiver: Receiver) -> None:
        """It is gone."""
        self._receiver = None

    def forget(self, who: object) -> None:
        """Nothing is wished here for others."""

    # What is known here, see `Known`.
    @property
    def epoch(self) -> int:
        """That of all streams."""
        return self._state.epoch

    @property
    def resume_seconds(self) -> float:
        """For how long what was sent can be had once more."""
        return self._state.resume_seconds

    @property
    def scarce(self) -> bool:
        """Whether a plan limits how many codes some source subscribes to."""
        return self._state.scarce

    def statuses(self) -> list[StatusData]:
        """How the sources are: down, while the market side is."""
        reason = AWAY if self._channel is None else SILENT if self._is_silent else ""
        if not reason:
            return [*self._state.statuses]
        status = "down" if self._channel is None else "stale"
        return [
            msgspec.structs.replace(one, status=status, since=self._unheard_since, reason=reason)
            for one in self._state.statuses
        ]

    def serve(self, instrument: Instrument) -> bool:
        """Whether an instrument can come from any source."""
        return instrument.code not in self._state.unserved

    def room(self, kind: Kind, instruments: Collection[Instrument]) -> set[str]:
        """As the market side would say if it was asked now."""
        state = self._state
        found = {one.code for one in instruments if one.code not in state.unserved}
        for room in state.rooms:
            if room.kind is kind.flow:
                limited = state.limited.get(room.source, frozenset())
                codes = [
                    one.code
                    for one in instruments
                    if one.family is room.family
                    and one.code in limited
                    and (room.kind is Kind.TRADE or one.levels)
                ]
                found.difference_update(codes)
                found.update(with_room(codes, room.most, room.kept, room.refused))
        return found

    def rooms(self) -> Sequence[Room]:
        """What the plans of sources leave room for."""
        return self._state.rooms

    def limiting(self, instrument: Instrument) -> str:
        """The source whose plan limits what can be subscribed to of an instrument; empty if none does."""
        limited = self._state.limited.items()
        return next((source for source, codes in limited if instrument.code in codes), "")

    def elsewhere(self, who: object, flow: Kind) -> Mapping[str, Sequence[str]]:
        """What the tokens at other client sides want."""
        return self._elsewhere.get(flow, {})

    def carried(self, flow: Kind) -> set[str]:
        """The codes that are subscribed to upstream for that."""
        return {*self._state.carried.get(flow, ())}

    def refusal(self, family: Family, name: str) -> Ret | None:
        """Why upstream need not be asked what a code is."""
        return None if self._state.learns else CODE_INVALID

    def is_sought(self, family: Family, name: str) -> bool:
        """Whether upstream is being asked what a code is."""
        return False

    def publisher_refusal(self, publisher: str) -> str | None:
        """Why nobody can publish under that name; whether the name may, the market side says."""
        return None if self._state.publishes else ""

    def can_seek(self, name: str) -> bool:
        """Whether upstream can be asked what one more code is."""
        return self._state.can_seek

    # Calls.
    async def ask(self, call: Call, positional: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        """The answer to a call. Raises what the call does, and StoreError if there is none."""
        arguments = call.write(positional, named)
        seekers: dict[str, tuple[str, ...]] = {}
        if call.name in ("seek", "find") and self._receiver is not None:
            names = arguments["names"] if call.name == "find" else (arguments["name"],)
            arguments |= {"names": [*names]} if call.name == "find" else {}
            seekers = {one: tuple(self._receiver.seekers(arguments["family"], one)) for one in names}
        waits = call.name == "publish" and arguments["patience"] is None
        self._last_number += 1
        told = Ask(self._last_number, call.name, msgspec.Raw(written(arguments)), seekers)
        read = _playback_of if call.name == RECORDED else partial(call.answered, arguments=arguments)
        return await self._answer(told, Asked(read), None if waits else ANSWER)

    async def _answer(self, told: Ask | Read | Want, asked: Asked, wait: float | None) -> Any:
        await self._reached()
        self._asked[told.number] = asked
        self._say(told)
        try:
            async with asyncio.timeout(wait):
                return await asked.future
        except TimeoutError:
            raise StoreError(f"The market side did not answer within {ANSWER:.0f} s.") from None
        except BusError as error:
            raise StoreError(f"{error}") from None
        finally:
            self._asked.pop(told.number, None)

    async def _reached(self) -> None:
        """Waits for a market side that may be on its way back, not for one that is silent. Raises
        StoreError."""
        if self._is_silent:
            raise StoreError(f"{SILENT.capitalize()}.")
        if not self.joined.is_set():
            try:
                async with asyncio.timeout(RETURN):
                    await self.joined.wait()
            except TimeoutError:
                raise StoreError(f"{AWAY.capitalize()}.") from None

    async def begin(self, kind: Kind, instruments: Iterable[Instrument]) -> Mapping[str, Ret | None]:
        """See `Supplier`; where the market side is gone, what came last is all there is."""
        instruments = [*instruments]
        await self.interest.follow(instruments)
        if not self.joined.is_set() or self._is_silent:
            return {one.code: None for one in instruments if self.interest.lacks([one])}
        try:
            found = await self.ask(CALLS["begin"], (kind, instruments), {})
        except StoreError:  # which its state says
            return {}
        return cast("Mapping[str, Ret | None]", found)

    async def pace(self, clients: Mapping[object, bool]) -> None:
        """See `Supplier`; clients go by a number."""
        numbers: dict[int, bool] = {}
        for client, slow in clients.items():
            if client not in self._peers:
                self._last_peer += 1
                self._peers[client] = self._last_peer
            numbers[self._peers[client]] = slow
            if not slow:
                del self._peers[client]
        await self.ask(CALLS["pace"], (numbers,), {})

    async def publish(self, *positional: Any, **named: Any) -> TakenLines:
        """See `Supplier`: where the market side is gone, what was not taken is to be sent again."""
        from ..wire import Tally

        try:
            return cast(TakenLines, await self.ask(CALLS["publish"], positional, named))
        except StoreError:
            return TakenLines(Tally(), Stop.AWAY)

    async def statements(self, what: str, about: str = "", but: str = "") -> list[Statement]:
        """See `Supplier`. Raises StoreError at once where the market side is gone."""
        if not self.joined.is_set():
            raise StoreError(f"{AWAY.capitalize()}.")
        found = await self.ask(CALLS["statements"], (what, about, but), {})
        return cast("list[Statement]", found)

    async def figures(self) -> Figures:
        """See `Supplier`: does not fail. While the market side is gone, or silent, its sources are told as
        they were last, and that they are not to be had."""
        try:
            if self._figures is not None and (self._is_silent or not self.joined.is_set()):
                raise StoreError(AWAY)
            async with asyncio.timeout(RETURN if self._figures is not None else None):
                self._figures = cast(Figures, await self.ask(CALLS["figures"], (), {}))
        except (StoreError, TimeoutError):
            if self._figures is None:
                raise
            told = {one.source: one for one in self.statuses()}
            sources = tuple(
                one._replace(status=now.status, since=now.since, reason=now.reason)
                if (now := told.get(one.name)) is not None
                else one
                for one in self._figures.sources
            )
            self._figures = self._figures._replace(sources=sources)
        return self._figures

    async def recorded(self, *positional: Any, **named: Any) -> Playback:
        """See `Supplier`."""
        return RemotePlayback(await self.ask(CALLS[RECORDED], positional, named), self._more, self._say)

    async def _more(self, playback: int) -> PageTold:
        """The next page of a playback. Raises InputError."""
        self._last_number += 1
        told = Read(self._last_number, playback)
        return cast(PageTold, await self._answer(told, Asked(_page_of), ANSWER))

    # What comes.
    def _hear(self, told: Down) -> None:
        match told:
            case Done(number, answer):
                if (asked := self._asked.pop(number, None)) is not None and not asked.future.done():
                    try:
                        asked.future.set_result(asked.read(answer))
                    except BusError as error:
                        asked.future.set_exception(error)
            case Failed(number, error, text):
                if (asked := self._asked.pop(number, None)) is not None and not asked.future.done():
                    asked.future.set_exception(ERRORS.get(error, BusError)(text))
            case Changed(state):
                self._state = state
            case Elsewhere(tokens):
                self._elsewhere = tokens
            case Opened(number, kind, code, kline_type):
                self.incoming.open(number, kind, self._catalogue[code], kline_type)
            case Learned(instrument, redefined):
                self._learn((instrument,))
                if redefined:
                    self._redefine(instrument)
            case Welcome(_, state, instruments):
                self._welcome(state, instruments)
            case Refused(reason):
                self.refused = reason
                raise BusError(reason)
            case SourceChanged(status):
                self._tell(lambda receiver: receiver.source_changed(status))
            case Scenarios(runs):
                begun = self._sandbox.follow(runs, self._clock())
                if begun is not None:
                    self._tell(lambda receiver: receiver.scenarios_changed(begun))
            case Found(family, name, nobodys):
                self._tell(lambda receiver: receiver.found(family, name, nobodys=nobodys))
            case WentOn(begins, gap):
                known = {self._catalogue[code]: begin for code, begin in begins.items()}
                self._tell(lambda receiver: receiver.go_on(known, gap=gap))
            case Dismiss(number):
                self._tell(lambda receiver: receiver.dismiss(number))
            case Say():
                task = asyncio.create_task(self._state_itself(told))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            case Pulse(numbers):
                if behind := self.incoming.behind(numbers):
                    self._say(Want(tuple(behind)))

    async def _state_itself(self, asked: Say) -> None:
        """Says what the market side asks of this process, or that there is nothing to say."""
        channel, body = self._channel, None
        if self._receiver is not None:
            said = await heard(self._receiver, asked.what, asked.about)
            body = said[0].body if said else None
        if self._channel is channel:  # else somebody asks who never did
            self._say(Said(asked.number, body))

    def _tell(self, tell: Callable[[Receiver], None]) -> None:
        if self._receiver is None:
            return
        try:
            tell(self._receiver)
        except Exception:
            log.exception("the client side cannot be told something")

    def _tell_statuses(self) -> None:
        for status in self.statuses():
            self._tell(partial(_tell_status, status))

    def _welcome(self, state: State, instruments: Iterable[Instrument]) -> None:
        """The market side is there, for the first time or again: another run of it has a higher epoch."""
        before = self._state
        if state.epoch < before.epoch:
            raise BusError("A market side of an earlier epoch answers: it has been replaced.")
        for one in self._learn(instruments):
            self._redefine(one)
        self._state, self._elsewhere = state, {}
        self.incoming.begin(state.epoch)
        self.joined.set()
        if self.followed is not None:
            self.followed.began(self._comes or ())
        if before.epoch:
            log.info("the market side is there again", anew=state.epoch != before.epoch)
            self._tell_statuses()
            self._tell(lambda receiver: receiver.renew())

    def _learn(self, instruments: Iterable[Instrument]) -> list[Instrument]:
        """Knows what the market side knows; returns those that were known in other numbers."""
        others = []
        for one in instruments:
            if one.code not in self._catalogue:
                self._catalogue.add(one)
            elif self._catalogue[one.code] != one:
                self._catalogue.redefine(one)
                others.append(one)
        return others

    def _redefine(self, instrument: Instrument) -> None:
        """Streams are written in other numbers from now on."""
        self.incoming.redefine(instrument)
        self._tell(lambda receiver: receiver.redefine(instrument))


def _tell_status(status: StatusData, receiver: Receiver) -> None:
    receiver.source_changed(status)


def _playback_of(answer: msgspec.Raw) -> PlaybackTold:
    return _playback(answer)


def _page_of(answer: msgspec.Raw) -> PageTold:
    try:
        return _page(answer)
    except (msgspec.DecodeError, ValueError) as error:
        raise BusError(f"A page of a playback cannot be read: {error}") from None
