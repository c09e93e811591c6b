"""The market side's end of a bus to client sides in other processes.

All of them together are one receiver: an event is written once, whoever takes it. What one of them asks is
carried out as if it was in this process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any, TypeAlias

import msgspec
import structlog

from ..access import Seat
from ..errors import BusError, InputError
from ..model import Catalogue, Family, Instrument, Kind, Position
from ..sandbox import Followed, Run, Step
from ..wire import StatusData
from ..wire.canonical import writer
from . import layout
from .answers import Statement
from .buckets import Bucket, BucketOf, Shown, the_only
from .calls import ASKER, CALLS, RECORDED, word_of, written
from .contract import Playback, StreamEvent, Supplier, TokenHome
from .layout import Record, Splitter
from .link import CREDIT, Channel, Link
from .messages import (
    EARLIEST,
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
    Lack,
    Learned,
    Opened,
    PageTold,
    PlaybackTold,
    Pulse,
    Read,
    Refused,
    Said,
    Scenarios,
    SourceChanged,
    State,
    Taken,
    Up,
    Want,
    Welcome,
    WentOn,
    payload,
    read_up,
)
from .reception import Reception

GATHER = 0.001
"""Seconds for which events are gathered where they come one after the other: waking a process costs more than
all else of it."""
AT_ONCE = 200
"""Codes that are looked at in a turn of the loop."""
BEAT = 0.25
"""Seconds between looks at what has changed of the state, and at least one sign of life in a second."""

log = structlog.get_logger()


class Outlet(Shown):
    """The inlet of a stream at this end: its last event, for those who come later."""

    __slots__ = ("_host", "_write", "event", "instrument", "kind", "kline_type", "number", "received", "seq")

    def __init__(
        self,
        host: Host,
        bucket: Bucket,
        number: int,
        kind: Kind,
        instrument: Instrument,
        kline_type: int,
    ) -> None:
        super().__init__(bucket)
        self._host = host
        self.number = number
        self.kind = kind
        self.instrument = instrument
        self.kline_type = kline_type
        self.event: StreamEvent | None = None
        self.seq = self.received = 0
        self._write = writer(kind, instrument)

    def take(self, event: StreamEvent, seq: int, received: int = 0) -> None:
        """The next event of the stream."""
        if seq > self.seq:
            self.event, self.seq, self.received = event, seq, received
        if self._host.links:
            self._host.add(self, self._write(event, seq), seq, event.time, received)

    def take_frame(self, frame: bytes, seq: int, received: int = 0) -> None:
        """Nothing comes to a market side that way."""
        raise NotImplementedError

    def forget(self) -> None:
        """All is known here."""

    def redefine(self, instrument: Instrument) -> None:
        """It is written in other numbers from now on."""
        self.instrument = instrument
        self._write = writer(self.kind, instrument)

    def last(self) -> Record | None:
        """Its last event."""
        if self.event is None:
            return None
        return Record(
            self.number, self._write(self.event, self.seq), self.seq, self.event.time, self.received
        )


class Host:
    """The client sides in other processes, as one receiver."""

    name = "bus"

    def __init__(
        self,
        market: Supplier,
        catalogue: Catalogue,
        runs: Callable[[], Iterable[Run]],
        *,
        clock: Callable[[], float],
        micros: Callable[[], int],
        bucket_of: BucketOf = the_only,
        publish: Callable[[str, bytes], None] | None = None,
    ) -> None:
        """`runs` are the scenarios that run; `clock` is monotonic, in seconds, and `micros` are microseconds
        since the epoch. `publish` sends a batch of a bucket to all client sides at once; without it, each is
        sent its own."""
        self.links: dict[Channel, Link] = {}
        self.micros = micros
        self._market = market
        self._catalogue = catalogue
        self._runs = runs
        self._clock = clock
        self._outlets: list[Outlet] = []
        self._bucket_of = bucket_of
        self._publish = publish
        self._buckets: dict[str, Bucket] = {}
        self._due: list[Bucket] = []  # those that have something to send
        self._flushed = 0.0
        self._unserved: frozenset[str] = frozenset()
        self._limited: dict[str, frozenset[str]] = {}
        self._is_stale = True  # whether it is to be looked at who is served
        self._looked = asyncio.Event()
        self._coming: dict[Channel, asyncio.Task[None]] = {}
        self._state: State | None = None
        self._playbacks = 0
        self._end = catalogue.watch(self._learned)
        self._reception = Reception(_dismiss, clock, micros)

    # What the market tells.
    def open(self, kind: Kind, instrument: Instrument, kline_type: int = 0) -> Outlet:
        """A stream begins."""
        name = self._bucket_of(instrument)
        if (bucket := self._buckets.get(name)) is None:
            bucket = self._buckets[name] = Bucket(name)
        outlet = Outlet(self, bucket, len(self._outlets) + 1, kind, instrument, kline_type)
        self._outlets.append(outlet)
        self._tell(_opened(outlet))
        return outlet

    def redefine(self, instrument: Instrument) -> None:
        """An instrument is known in other numbers."""
        self.flush()
        for outlet in self._outlets:
            if outlet.instrument.code == instrument.code:
                outlet.redefine(instrument)
        self._tell(Learned(instrument, redefined=True))

    def go_on(self, begins: Mapping[Instrument, Position], *, gap: bool) -> None:
        """Trades go on behind an outage of their source."""
        self._tell(WentOn({one.code: begin for one, begin in begins.items()}, gap))

    def renew(self) -> None:
        """It is here."""

    def dismiss(self, number: int) -> None:
        """It has no connections."""

    def source_changed(self, status: StatusData) -> None:
        """A source is otherwise than before."""
        self._is_stale = True
        self._tell_state()
        self._tell(SourceChanged(status))

    def scenarios_changed(self, begun: Collection[Step]) -> None:
        """Steps of scenarios have begun or ended."""
        self._tell(self._scenarios())

    def seekers(self, family: Family, name: str) -> Collection[str]:
        """The tokens that wait for a code at any of them."""
        code = family, name
        return {token for link in self.links.values() for token in link.seekers.get(code, ())}

    def found(self, family: Family, name: str, *, nobodys: bool) -> None:
        """It is known what a code is that was sought, or that it is not."""
        self._tell_state()
        for link in self.links.values():
            link.seekers.pop((family, name), None)
        self._tell(Found(family, name, nobodys))

    async def statements(self, what: str, about: str = "", but: str = "") -> list[Statement]:
        """What all of them say of themselves, see `Supplier`."""
        asked = [one for one in self.links.values() if one.name != but]
        return await asyncio.gather(*(one.statement(what, about) for one in asked))

    # Events.
    def add(self, outlet: Outlet, body: bytes, seq: int, time: int, received: int) -> None:
        """An event is to be sent."""
        bucket = outlet.bucket
        batch = bucket.batch
        if not batch:
            if not self._due:
                self._flush_soon()
            self._due.append(bucket)
        batch.add(outlet.number, body, seq, time, received)
        bucket.streams.add(outlet)
        if batch.size >= CREDIT // 4:
            self.flush()

    def _flush_soon(self) -> None:
        due = self._flushed + GATHER - self._clock()
        loop = asyncio.get_running_loop()
        if due > 0:
            loop.call_later(due, self.flush)
        else:
            loop.call_soon(self.flush)

    def flush(self) -> None:
        """Sends what has come."""
        if not self._due:
            return
        self._flushed = self._clock()
        due, self._due = self._due, []
        for bucket in due:
            bucket.number += 1
            data = bucket.batch.take(bucket.number, self.micros())
            streams, bucket.streams = bucket.streams, set()
            if self._publish is not None:
                self._publish(bucket.name, data)
                continue
            for link in [*self.links.values()]:
                link.send_events(data, streams)

    # What client sides say.
    def receive(self, channel: Channel, splitter: Splitter, data: bytes) -> None:
        """Bytes came from a client side. Raises BusError if it does not speak as it should."""
        for frame in splitter.feed(data):
            try:
                told = read_up(frame.body)
            except (msgspec.DecodeError, ValueError) as error:
                raise BusError(f"A message of a client side cannot be read: {error}") from None
            self._hear(channel, told)

    def _hear(self, channel: Channel, told: Up) -> None:
        link = self.links.get(channel)
        if isinstance(told, Hello):
            self._greet(channel, told)
        elif link is None:
            raise BusError("A client side does not say who it is.")
        elif isinstance(told, Ask):
            self._ask(link, told)
        elif isinstance(told, Taken):
            link.taken(told.size)
        elif isinstance(told, Said):
            link.said(told.number, told.body)
        elif isinstance(told, Want):
            self.flush()
            link.send_last(one for one in self._outlets if one.bucket.name in told.buckets)
            if told.number:
                link.send(Done(told.number, msgspec.Raw(written(None))))
        elif isinstance(told, Read):
            self._begin(link, self._read(link, told))
        elif isinstance(told, Lack):
            if (playback := link.playbacks.get(told.playback)) is not None:
                playback.lack()
        elif (playback := link.playbacks.pop(told.playback, None)) is not None:
            playback.close()

    def lost(self, channel: Channel) -> None:
        """A client side is gone."""
        if (coming := self._coming.pop(channel, None)) is not None:
            coming.cancel()
        if (link := self.links.pop(channel, None)) is None:
            return
        log.info("a client side is gone", name=link.name)
        link.lost()
        for task in link.tasks:
            task.cancel()
        for playback in link.playbacks.values():
            playback.close()
        self._market.forget(link)
        self._reception.home.forget(link)
        slow: dict[object, bool] = {(link, number): False for number in link.slow}
        if link.behind:
            slow[link] = False
        if slow:
            self._begin(link, self._market.pace(slow))

    def end(self) -> None:
        """Ends all of them."""
        self._end()
        self.flush()
        for channel in [*self._coming, *self.links]:
            self.lost(channel)
            channel.close()

    async def run(self) -> None:
        """Tells client sides what changes by itself, and that this side is there. Never ends."""
        beats = 0
        while True:
            if self._is_stale:
                await self._look_who_is_served()
            self._tell_elsewhere()
            if self.links and not self._tell_state() and beats % 4 == 0:
                self._pulse()
            await asyncio.sleep(BEAT)
            beats += 1

    def _greet(self, channel: Channel, hello: Hello) -> None:
        if not EARLIEST <= hello.version <= VERSION:
            reason = f"This market side speaks version {VERSION} of the bus, the client side {hello.version}."
            channel.send(layout.message(payload(Refused(reason))))
            raise BusError(reason)
        self._coming[channel] = asyncio.create_task(self._join(channel, hello))

    async def _join(self, channel: Channel, hello: Hello) -> None:
        """Once it is known who is served."""
        await self._looked.wait()
        del self._coming[channel]
        self.flush()
        link = Link(channel, self.micros, self._pace)
        link.name = hello.name
        link.send(Welcome(VERSION, self._state_now(), tuple(self._catalogue.taught())))
        for outlet in self._outlets:
            link.send(_opened(outlet))
        link.send(self._scenarios())
        wanted = hello.buckets
        link.send_last(one for one in self._outlets if wanted is None or one.bucket.name in wanted)
        if not self.links:
            self._reception.settle()
        self.links[channel] = link
        log.info("a client side has come", name=link.name, streams=len(self._outlets))

    def _ask(self, link: Link, asked: Ask) -> None:
        if (call := CALLS.get(asked.call)) is None:
            raise BusError(f"A client side asks for {asked.call!r}, which is no call of the bus.")
        try:
            arguments = call.read(asked.arguments, self._catalogue)
        except InputError as error:  # a code that is not known here
            link.send(_failed(asked.number, call.name, error))
            return
        if ASKER in call.parameters:
            arguments[ASKER] = link
        if call.name == "pace":
            arguments["clients"] = self._paced(link, arguments["clients"])
        for name, tokens in asked.seekers.items():
            link.seekers[arguments["family"], name] = tokens
        answerer = self._reception if call.name in vars(TokenHome) else self._market
        answer = partial(getattr(answerer, call.name), **arguments)
        self._begin(link, self._answer(link, asked.number, call.name, answer))

    def _pace(self, link: Link, behind: bool) -> None:
        """A client side falls behind, or has caught up: a source that can wait, waits."""
        self._begin(link, self._market.pace({link: behind}))

    def _paced(self, link: Link, clients: Mapping[int, bool]) -> dict[object, bool]:
        link.slow.update(number for number, slow in clients.items() if slow)
        link.slow.difference_update(number for number, slow in clients.items() if not slow)
        return {(link, number): slow for number, slow in clients.items()}

    def _begin(self, link: Link, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(call)
        link.tasks.add(task)
        task.add_done_callback(link.tasks.discard)

    async def _answer(self, link: Link, number: int, name: str, call: Callable[[], Awaitable[Any]]) -> None:
        try:
            answer = await call()
            if name == RECORDED:
                answer = self._opened(link, answer)
            told: Down = Done(number, msgspec.Raw(written(answer)))
        except Exception as error:
            told = _failed(number, name, error)
        self._reply(link, told)

    def _reply(self, link: Link, told: Down) -> None:
        """An answer comes after the events and the state that were there before it."""
        if link.channel in self.links:
            self._tell_state()
            self.flush()
            link.send(told)

    def _opened(self, link: Link, playback: Playback) -> PlaybackTold:
        self._playbacks += 1
        link.playbacks[self._playbacks] = playback
        codes = {code for _, code in playback.recorded}
        return PlaybackTold(
            self._playbacks,
            playback.begin,
            playback.end,
            tuple(playback.recorded),
            {code: playback.instrument(code) for code in codes},
        )

    async def _read(self, link: Link, asked: Read) -> None:
        from .tables import tables_written

        try:
            if (playback := link.playbacks.get(asked.playback)) is None:
                raise BusError("A playback that is over is asked for more.")
            found = await playback.more()
            tables = {} if found is None else await asyncio.to_thread(tables_written, found.tables)
            page = PageTold(
                found is None,
                tables,
                () if found is None else tuple(found.corrections),
                () if found is None else tuple(found.holes),
                tuple((kind, code, playback.position(kind, code)) for kind, code in playback.recorded),
                {code: playback.instrument(code) for _, code in playback.recorded},
            )
            told: Down = Done(asked.number, msgspec.Raw(written(page)))
        except Exception as error:
            told = _failed(asked.number, "more", error)
        self._reply(link, told)

    # What they are told.
    def _pulse(self) -> None:
        self.flush()
        numbers = {} if self._publish is None else {one.name: one.number for one in self._buckets.values()}
        self._tell(Pulse(numbers))

    def _tell(self, told: Down) -> None:
        self.flush()
        for link in [*self.links.values()]:
            link.send(told)

    def _learned(self, instrument: Instrument) -> None:
        self._tell(Learned(instrument, redefined=False))
        if not self._market.serve(instrument):
            self._unserved |= {instrument.code}
            self._tell_state()
        elif self._market.scarce and (source := self._market.limiting(instrument)):
            self._limited[source] = self._limited.get(source, frozenset()) | {instrument.code}
            self._tell_state()

    def _scenarios(self) -> Scenarios:
        now = self._clock()
        return Scenarios(
            tuple(Followed(one.number, one.scenario, now - one.began, one.seed) for one in self._runs())
        )

    def _tell_elsewhere(self) -> None:
        """Where room is scarce each client side is told what tokens want at the others, if that is new."""
        if self._market.scarce:
            for link in self.links.values():
                tokens = {flow: {**self._market.elsewhere(link, flow)} for flow in (Kind.TRADE, Kind.DEPTH)}
                if tokens != link.elsewhere:
                    link.elsewhere = tokens
                    link.send(Elsewhere(tokens))

    def _tell_state(self) -> bool:
        """Tells how all stands, if it is otherwise than was told last; returns whether it is."""
        if not self.links:
            return False
        before, now = self._state, self._state_now()
        if now == before:
            return False
        self._tell(Changed(now))
        return True

    async def _look_who_is_served(self) -> None:
        """Some hundred codes a turn: a catalogue reads what it is asked for."""
        self._is_stale, market = False, self._market
        unserved = set[str]()
        limited: dict[str, set[str]] = {}
        for count, one in enumerate(self._catalogue):
            if not market.serve(one):
                unserved.add(one.code)
            elif market.scarce and (source := market.limiting(one)):
                limited.setdefault(source, set()).add(one.code)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        self._unserved = frozenset(unserved)
        self._limited = {source: frozenset(codes) for source, codes in limited.items()}
        self._looked.set()

    def _state_now(self) -> State:
        market = self._market
        carried = {kind: frozenset(market.carried(kind)) for kind in (Kind.TRADE, Kind.DEPTH)}
        self._state = State(
            market.epoch,
            market.resume_seconds,
            market.scarce,
            tuple(market.statuses()),
            self._unserved,
            carried,
            tuple(market.rooms()),
            {**self._limited},
            market.publisher_refusal("") != "",
            market.refusal(Family.OTHER, "") is None or market.refusal(Family.STOCK, "") is None,
            market.can_seek(""),
        )
        return self._state


Keep: TypeAlias = Callable[[str, Callable[[], Awaitable[None]]], Coroutine[Any, Any, None]]
"""Keeps something running that never ends, by a name for people."""


async def unkept(_: str, run: Callable[[], Awaitable[None]]) -> None:
    """Runs it, until it fails."""
    await run()


def _dismiss(seat: Seat) -> None:
    if isinstance(seat.who, Link):
        seat.who.send(Dismiss(seat.number))


def _opened(outlet: Outlet) -> Opened:
    return Opened(outlet.number, outlet.kind, outlet.instrument.code, outlet.kline_type)


def _failed(number: int, name: str, error: Exception) -> Failed:
    word = word_of(error)
    if not word:
        log.error("a call of a client side failed", call=name, exc_info=error)
    return Failed(number, word, str(error))
