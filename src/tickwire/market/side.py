"""The market side: its sources and what becomes of what they yield."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from ..bus import Figures, FirstMissed, Gaps, Lack, Left, Local, Missed, Receiver, ScenarioRun, Suspensions
from ..calendars import EXCHANGES, load
from ..config import Settings
from ..errors import StoreError
from ..model import Catalogue, Instrument, Kind, KlineType, Position, SuspensionList
from ..sandbox import Sandbox, Scenario
from ..sources import Source, Status
from ..store import UNANSWERED, Backlog, Database, GapStore, InstrumentStore, SuspensionStore
from ..wire import GapInfo, StatusData
from .discovery import Discovery
from .editions import Editions
from .feeds import Feed, Feeds
from .figures import source_figures, store_figures
from .history import History
from .intake import Intake
from .kline_push import KlinePush
from .publishing import Publishing
from .ring import Ring
from .scenarios import Scenarios
from .streams import Stream, Streams
from .supply import Supply
from .wishes import Wishes

TABLE_ENDS = timedelta(days=60)
"""Before the end of an official table of holidays the log says so."""
END_WAIT = 5.0
"""Seconds in which the last gaps and suspensions must be written when the server ends."""
FALLBACK_WATCH = 0.5
"""Seconds between looks whether a source is silent that another one could stand in for."""
UPKEEP = 30.0
"""Seconds between times that what is too old is let go of."""

log = structlog.get_logger()


class MarketSide:
    """Takes events from the sources, numbers them, keeps bars, and sends all of it to its receivers."""

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        feeds: Feeds,
        database: Database,
        suspensions: SuspensionStore,
        gaps: GapStore,
        gap_entries: Backlog,
        instruments: InstrumentStore,
        sandbox: Sandbox,
        bus: Local,
        *,
        epoch: int,
        clock: Callable[[], float],
        time_ns: Callable[[], int],
    ) -> None:
        """`database` runs the calls of the stores; `epoch` is the first `seq` of every stream; `clock` is
        monotonic, in seconds; `time_ns` are nanoseconds since the epoch."""
        self.catalogue = catalogue
        self.feeds = feeds
        self.suspensions = suspensions
        self.gaps = gaps
        self._publishing = publishing = Publishing(feeds)
        self.publisher = publishing.source
        self.publisher_refusal, self.standing = publishing.refusal, publishing.standing
        self.publish = publishing.publish
        self._database = database
        self._clock = clock
        self._time_ns = time_ns
        self._bus = bus
        self.streams = Streams(epoch)
        self.ring = Ring(self.streams, settings.ring_seconds, settings.ring_bytes, clock=clock)
        recorders = [feed.recorder for feed in feeds if feed.recorder is not None]
        self.history = History(
            settings.history,
            [one.path for one in recorders],
            catalogue,
            self.streams,
            self.ring,
            lambda: all(one.recording and not one.lost for one in (each.status() for each in recorders)),
        )
        self.recorded = self.history.open
        self.statements, self.add_speaker = bus.statements, bus.add
        self.bars = KlinePush(catalogue, feeds, self.streams, settings.kline_push_interval)
        self.learned = Backlog(database, "instruments")
        self.discovery = Discovery(
            catalogue,
            feeds,
            self.streams,
            instruments,
            self.learned,
            seekers=bus.seekers,
            found=bus.found,
        )
        self.supply = Supply(feeds, self.streams)
        # What needs no more than to be handed on, see `bus.Supplier`.
        self.serve = feeds.serve
        self.room, self.carried = self.supply.room, self.supply.carried
        self.rooms, self.limiting = self.supply.rooms, self.supply.limiting
        self.refusal, self.is_sought = self.discovery.refusal, self.discovery.is_sought
        self.can_seek, self.seek = self.discovery.can_seek, self.discovery.seek
        self.find = self.discovery.find
        self.wishes = Wishes(self.supply, self.bars, clock, lambda: self.ring.seconds)
        self.wish, self.wish_bars = self.wishes.wish, self.wishes.wish_bars
        self.elsewhere = self.wishes.elsewhere
        self.begin, self.static_info = self.supply.begin, self.supply.static_info
        self.klines = Editions(catalogue, feeds, self.supply).klines
        self.halts = Backlog(database, "suspensions")
        self.gap_entries = gap_entries
        self.scenarios = Scenarios(
            sandbox,
            catalogue,
            feeds,
            self.streams,
            suspensions,
            self.halts,
            changed=bus.scenarios_changed,
            publish=lambda instrument, event, way: self.intake.publish(instrument, event, way),
            clock=clock,
        )
        self.states = self.scenarios.states
        self.intake = Intake(catalogue, feeds, self.streams, self.supply, self.scenarios, self.bars, time_ns)
        self.take = self.intake.take
        for feed in feeds:
            feed.source.health.watch(functools.partial(self._health_changed, feed))
        for instrument, event in publishing.last():
            self.streams.restore(instrument, event)

    def change(self, settings: Settings) -> None:
        """Other settings from now on."""
        self.ring.bound(settings.ring_seconds, settings.ring_bytes)
        self.bars.interval = settings.kline_push_interval
        for feed in self.feeds:
            feed.retention.days = settings.retention

    def join(self, receiver: Receiver) -> None:
        """Another client side is to be told of what comes."""
        self.streams.join(receiver)
        self._bus.join(receiver)

    def leave(self, receiver: Receiver) -> None:
        """A client side is gone."""
        self.streams.leave(receiver)
        self._bus.leave(receiver)
        self.wishes.forget(receiver)

    def forget(self, who: object) -> None:
        """A client side is gone whose wishes came by another way."""
        self.wishes.forget(who)

    # What client sides ask for, see `bus.Supplier`.
    @property
    def epoch(self) -> int:
        """That of all streams."""
        return self.streams.epoch

    @property
    def resume_seconds(self) -> float:
        """For how long what was sent can be had once more."""
        return self.ring.seconds

    @property
    def scarce(self) -> bool:
        """Whether a plan limits how many codes some source subscribes to."""
        return self.supply.scarce

    def statuses(self) -> list[StatusData]:
        """How the sources are."""
        return [_status(feed.source) for feed in self.feeds]

    async def show_bar(self, instrument: Instrument, kline_type: KlineType) -> bool:
        """Pushes the bar that is forming, once it is known, if it is another one than at the last time."""
        await self.supply.prepare_bars(instrument, kline_type, count=1, end=None)
        return self.bars.push_forming(instrument, kline_type)

    async def pace(self, clients: Mapping[object, bool]) -> None:
        """These clients do not take what they are sent as fast as it comes (True), or do again."""
        self.intake.pace(clients)

    # Reads, see `bus.Supplier`.
    async def gap_page(self, codes: Collection[str] | None, begin: int, end: int | None, limit: int) -> Gaps:
        """The latest gaps of these codes (None: of all) between two times. Raises StoreError."""
        settled = await self.gap_entries.settled()
        found = await self._database.read(self.gaps.page, codes, begin, end, limit)
        gaps = [GapInfo(*one[1:]) for one in found]
        return Gaps(gaps, None if settled else Lack.STORE)

    async def missed(self, kind: Kind, code: str, after: Position, kline_type: int = 0) -> Missed | None:
        """The next of what a stream has sent after that position; None if it never stood there."""
        if (place := self._place(kind, code, after, kline_type)) is None:
            return None
        stream, seq = place
        if stream is None:
            return Missed((), (), whole=True)
        found = self.ring.missed(stream, seq)
        if not found.whole and kind is not Kind.KLINE and self.history.own:
            found = await self.history.missed(kind, code, seq, stream.forgotten) or found
        first = found.seqs[0] if found.seqs else stream.seq + 1
        if (hole := stream.hole_behind(first)) is not None:  # the next begins there
            count = bisect_left(found.seqs, hole)
            found = found._replace(seqs=found.seqs[:count], events=found.events[:count])
        return found._replace(whole=False) if stream.is_holed(seq, first) else found

    async def first_missed(self, streams: Sequence[Left]) -> list[FirstMissed | None]:
        """Where that begins of each of these; None if the stream never stood there."""
        return [await self._first_missed(*one) for one in streams]

    async def _first_missed(
        self, kind: Kind, code: str, after: Position, kline_type: int
    ) -> FirstMissed | None:
        if (place := self._place(kind, code, after, kline_type)) is None:
            return None
        stream, seq = place
        if stream is None:
            return FirstMissed(0, whole=True)
        found = None
        if seq < stream.forgotten and kind is not Kind.KLINE and self.history.own:
            found = await self.history.missed(kind, code, seq, stream.forgotten)
        if found is None:
            first = FirstMissed(self.ring.first(stream, seq), seq >= stream.forgotten)
        else:
            first = FirstMissed(found.seqs[0], found.whole)
        holed = stream.is_holed(seq, first.seq or stream.seq + 1)
        return first._replace(whole=False) if holed else first

    def _place(
        self, kind: Kind, code: str, after: Position, kline_type: int
    ) -> tuple[Stream | None, int] | None:
        """A stream, if it is there yet, and where a position is in it; None if it never stood there."""
        stream, begin = self.streams.known(kind, code, kline_type), self.streams.epoch - 1
        if kind is Kind.DEPTH or after.epoch != self.streams.epoch:
            return None
        if after.seq > (begin if stream is None else stream.seq):
            return None
        return stream, max(after.seq, begin)

    async def open_gaps(self) -> dict[str, int]:
        """How many gaps have not ended, by source. Raises StoreError."""
        names = [feed.source.name for feed in self.feeds]
        return await self._database.read(lambda: {name: len(self.gaps.open_gaps(name)) for name in names})

    async def suspension_page(
        self, exchange: SuspensionList, *, offset: int, limit: int | None
    ) -> Suspensions:
        """The suspensions of an exchange. Raises StoreError."""
        sources = ("", self.source.name)
        page = functools.partial(self.suspensions.page, exchange, sources, offset=offset, limit=limit)
        await self.scenarios.settled()
        settled = await self.halts.settled()
        return Suspensions(*await self._database.read(page), None if settled else Lack.STORE)

    async def last_trades(self, instruments: Iterable[Instrument]) -> list[int | None]:
        """When the last trade of each of these was."""
        found = map(self.streams.last_trade, instruments)
        return [None if last is None else last.time for last in found]

    async def lacking(self, streams: Iterable[tuple[Kind, str]]) -> set[tuple[Kind, str]]:
        """Those of these trades and books, by code, that have no place at the source they come from."""
        return self.supply.lacking((self.catalogue[code], kind) for kind, code in streams)

    async def figures(self) -> Figures:
        """How the sources and the store are."""
        return Figures(
            tuple(map(source_figures, self.feeds)),
            store_figures(self._database),
            self.source.market_time(),
            self.source.round_the_clock,
            len(self.feeds.codes),
            self._example(),
        )

    async def run_scenario(self, scenario: Scenario) -> ScenarioRun:
        """Starts a scenario. Raises InputError if this server cannot carry it out."""
        return self.scenarios.told(self.scenarios.begin(scenario))

    async def stop_scenario(self, number: int) -> bool:
        """Ends a scenario and undoes what it did. Returns whether it ran."""
        return self.scenarios.stop(number)

    async def running(self) -> list[ScenarioRun]:
        """The scenarios that run."""
        return [self.scenarios.told(run) for run in self.scenarios.running]

    def _example(self) -> Instrument:
        """An instrument that is served, to show how a client asks."""
        usual, codes = self.catalogue["BTCUSDT"], self.feeds.codes
        if codes:
            return usual if usual.code in codes else self.catalogue[min(codes)]
        if self.serve(usual):
            return usual
        return next(filter(self.serve, self.catalogue), usual)

    # What the server shows.
    @property
    def source(self) -> Source:
        """The preferred source, whose clock is the server's."""
        return self.feeds.first.source

    @property
    def events(self) -> int:
        """How many events have come."""
        return sum(feed.events for feed in self.feeds)

    async def prepare(self) -> None:
        """Lets the sources find out what they must know before they begin. Raises InputError."""
        for feed in self.feeds:
            for instrument in await feed.source.prepare():
                before = self.catalogue[instrument.code]
                self.catalogue.redefine(instrument)
                self.streams.redefine(instrument)
                log.info(
                    "decimals widened",
                    code=instrument.code,
                    price=instrument.price_decimals,
                    volume=instrument.volume_decimals,
                    catalogue=(before.price_decimals, before.volume_decimals),
                )

    async def ended(self) -> None:
        """Returns when the preferred source has ended and all that came of it was sent. Raises InputError if
        it broke."""
        await self.intake.ended(self.feeds.first)

    def tasks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """What is to be kept running, by name."""
        self._look_at_calendars()
        tasks: dict[str, Callable[[], Awaitable[None]]] = {
            "upkeep of bars": self._keep_up,
            "bars": self.bars.run,
            "ring": self.ring.run,
            "fallback": self._watch_silence,
            "scenarios": self.scenarios.carry_out,
            "suspensions": self.halts.run,
            "gaps": self.gap_entries.run,
            "instruments": self.learned.run,
        }
        for number, feed in enumerate(self.feeds):
            feed.missing.start()
            tasks |= {
                f"{feed.source.name} {number}: joining bars": feed.bars.run,
                f"{feed.source.name} {number}: writing bars": feed.batches.run,
                f"{feed.source.name} {number}: receiving": functools.partial(self.intake.run, feed),
            }
            if (backfill := feed.missing.backfill) is not None:
                tasks[f"{feed.source.name} {number}: backfill"] = backfill.run
        return tasks

    def _look_at_calendars(self) -> None:
        """Says which official tables end soon, where markets keep hours."""
        today = datetime.fromtimestamp(self._time_ns() / 1e9, UTC).date()
        for key in () if self.source.round_the_clock else EXCHANGES:
            calendar = load(key)
            if calendar.horizon - today < TABLE_ENDS:
                log.warning(
                    "the official holidays of a calendar end soon: beyond them they are expected ones",
                    calendar=key,
                    known_until=str(calendar.horizon),
                    expected_until=str(calendar.expected_horizon),
                )

    def ends(self) -> list[Callable[[], Awaitable[None]]]:
        """What is to be done in the end, in this order."""
        backfills = [one.end for feed in self.feeds if (one := feed.missing.backfill) is not None]
        pasts = [feed.pasts.end for feed in self.feeds]
        first = self.history.end, self.discovery.end, self._end_intake
        return [*first, *backfills, *pasts, self._end_bars, self._drain]

    def close(self) -> None:
        """Lets go of the recordings, and says what is to be published again. May be called again."""
        for feed in self.feeds:
            if feed.recorder is not None:
                feed.recorder.close()
        self._publishing.end()

    async def _end_intake(self) -> None:
        for feed in self.feeds:
            self.intake.end(feed)

    async def _end_bars(self) -> None:
        """All at once: each may wait for a store that cannot be written. Raises StoreError."""
        ends = await asyncio.gather(*(feed.batches.end() for feed in self.feeds), return_exceptions=True)
        lost = [str(error) for error in ends if isinstance(error, StoreError)]
        for error in ends:
            if isinstance(error, Exception) and not isinstance(error, StoreError):
                log.error("bars did not end well", exc_info=error)
        if lost:
            raise StoreError(" ".join(lost))

    async def _watch_silence(self) -> None:
        """Lets codes come from another source while theirs is silent."""
        while True:
            await asyncio.sleep(FALLBACK_WATCH)
            for code, before, now in self.feeds.look():
                log.warning(
                    "a code comes from another source",
                    code=code,
                    before=before.source.name,
                    now=now.source.name,
                )

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(END_WAIT):
                for backlog in (self.halts, self.gap_entries, self.learned):
                    await backlog.drain()
        except (StoreError, TimeoutError) as error:
            waiting = [one.what for one in (self.halts, self.gap_entries, self.learned) if len(one)]
            reason = str(error) or UNANSWERED
            raise StoreError(f"The last {', '.join(waiting)} could not be written: {reason}") from None

    async def _keep_up(self) -> None:
        late, uncorrected = dict.fromkeys(self.feeds, 0), dict.fromkeys(self.feeds, 0)
        while True:
            began = self._clock()
            await asyncio.sleep(UPKEEP)
            if self._clock() - began < 2 * UPKEEP:  # else we were held up, and so is what renews them
                self.wishes.lapse()
            for feed in self.feeds:
                if (trades := feed.bars.late - late[feed]) > 0:
                    name = feed.source.name
                    log.warning("trades came too late for their bars", source=name, trades=trades)
                    late[feed] = feed.bars.late
                if (trades := feed.bars.uncorrected - uncorrected[feed]) > 0:
                    log.warning(
                        "bars stay as they were: trades that were corrected are not known any more",
                        source=feed.source.name,
                        trades=trades,
                    )
                    uncorrected[feed] = feed.bars.uncorrected
                with contextlib.suppress(StoreError):  # which has been said; it is tried again
                    await feed.retention.prune()

    def _health_changed(self, feed: Feed) -> None:
        health = feed.source.health
        say = log.info if health.status in (Status.UP, Status.CONNECTING, Status.ENDED) else log.warning
        say("source changed", source=feed.source.name, status=health.status, reason=health.reason)
        self._bus.source_changed(_status(feed.source))


def _status(source: Source) -> StatusData:
    health = source.health
    return StatusData(
        source=source.name,
        status=str(health.status),
        since=health.since,
        reason=health.reason,
        simulated=int(source.simulated),
    )
