"""Carries out scenarios on the ticks of a source and on its clock; what they do to clients, others do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from itertools import chain
from typing import TypeAlias
from zoneinfo import ZoneInfo

import msgspec
import structlog

from ..bus import ScenarioRun
from ..calendars import KEYS, State, load
from ..errors import InputError
from ..model import Book, Catalogue, Event, Instrument, Market, Suspension, SuspensionList, limit_percent
from ..sandbox import Clock, Condition, Run, Sandbox, Scenario, Shaped, Step, Way, clock_target, shown
from ..sources import Simulator
from ..store import Backlog, SuspensionStore
from .feeds import Feeds
from .streams import Numbered, Stream, Streams

BEAT = 0.05
"""Seconds between looks at what is due, while a scenario runs."""
AT_ONCE = 200
"""Instruments whose state is changed in one turn of the loop: a market may have thousands."""

Publish: TypeAlias = Callable[[Instrument, Event, Way], None]
log = structlog.get_logger()


class Scenarios:
    """The scenarios of a server."""

    def __init__(
        self,
        sandbox: Sandbox,
        catalogue: Catalogue,
        feeds: Feeds,
        streams: Streams,
        suspensions: SuspensionStore,
        backlog: Backlog,
        *,
        changed: Callable[[list[Step]], None],
        publish: Publish,
        clock: Callable[[], float],
    ) -> None:
        """`backlog` writes what goes into `suspensions`; `changed` is told of the steps that have begun
        whenever some have begun or ended; `publish` takes what scenarios themselves let happen."""
        self._sandbox = sandbox
        self._catalogue = catalogue
        self._feeds = feeds
        self._source = feeds.first.source
        self._streams = streams
        self._suspensions = suspensions
        self._backlog = backlog
        self._changed = changed
        self._publish = publish
        self._clock = clock
        self._wake = asyncio.Event()
        self._conditions: dict[str, Condition] = {}
        self._changing: Iterator[bool] | None = None  # changes of state that are under way
        self._behind: dict[Stream, Numbered] = {}
        suspensions.clear(self._source.name)  # those of an earlier run ended with it

    @property
    def running(self) -> tuple[Run, ...]:
        """The scenarios that run."""
        return self._sandbox.runs

    @property
    def idle(self) -> bool:
        """Whether ticks may go past."""
        return not self._sandbox.shapes_ticks and not self._behind

    def begin(self, scenario: Scenario) -> Run:
        """Starts a scenario. Raises InputError if this server cannot carry it out."""
        for step in scenario.steps:
            if isinstance(step, Clock):
                self._check_clock(scenario, step)
        run = self._sandbox.begin(scenario, self._clock(), self._catalogue)
        log.info("scenario started", scenario=scenario.name, number=run.number)
        self._advance()
        self._wake.set()
        return run

    def stop(self, number: int) -> bool:
        """Ends a scenario and undoes what it did; a clock that was moved stays. Returns whether it ran."""
        run = self._sandbox.stop(number)
        if run is not None:
            log.info("scenario stopped", scenario=run.scenario.name, number=number)
            self._advance()
        return run is not None

    async def carry_out(self) -> None:
        """Begins and ends steps when they are due. Never ends."""
        while True:
            self._wake.clear()
            self._advance()
            while self._changing is not None:
                await asyncio.sleep(0)
                self._change_some()
            if self._sandbox.busy:
                await asyncio.sleep(BEAT)
            else:
                await self._wake.wait()

    async def settled(self) -> None:
        """Waits until all that has begun or ended shows: halts of a whole market take some turns."""
        while self._changing is not None:  # noqa: ASYNC110 (each turn changes some)
            await asyncio.sleep(0)

    def state(self, instrument: Instrument) -> State:
        """What an instrument does now, by scenario and by calendar."""
        condition = self._sandbox.condition(instrument)
        if condition is not None:
            return condition.state
        source, state = self._feeds.of(instrument).source, State.OPEN
        if not source.round_the_clock and instrument.calendar in KEYS:
            state = load(instrument.calendar).state(source.market_time())
        if state is State.OPEN and isinstance(source, Simulator) and limit_percent(instrument) is not None:
            book = self._streams.last_book(instrument)
            if book is not None and not book.asks:
                return State.LIMIT_UP
            if book is not None and not book.bids:
                return State.LIMIT_DOWN
        return state

    def _previous_close(self, instrument: Instrument) -> Decimal | None:
        """What an instrument closed at the day before, if that is known."""
        feed = self._feeds.of(instrument)
        if isinstance(feed.source, Simulator):
            return feed.source.previous_close(instrument)
        return feed.bars.previous_close(instrument, feed.source.market_time())

    async def states(self, instruments: Iterable[Instrument]) -> list[str]:
        """What each of these does now."""
        found = list[str]()
        for count, one in enumerate(instruments, 1):
            found.append(self.state(one))
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
        return found

    def told(self, run: Run) -> ScenarioRun:
        """A scenario as people are told of it."""
        return ScenarioRun(
            run.number,
            run.scenario.name,
            run.scenario.description,
            round(self._clock() - run.began, 3),
            [shown(active.step) for active in run.active],
            [shown(step) for step in run.ahead],
        )

    def shape(self, event: Event, instrument: Instrument) -> list[Shaped]:
        """What becomes of a tick."""
        return self._sandbox.shape(event, instrument, self._clock(), self._previous_close)

    def push(self, instrument: Instrument, event: Event, way: Way, received: int = 0) -> int:
        """Sends a tick to those who want it: once, twice, or behind the next one. Returns its `seq`."""
        numbered = self._streams.number(instrument, event, received)
        before = self._behind.pop(numbered.stream, None)
        if way is Way.BEHIND_THE_NEXT and before is None:
            self._behind[numbered.stream] = numbered
            return numbered.seq
        numbered.send()
        if way is Way.TWICE:
            numbered.send()
        if before is not None:
            before.send()
        return numbered.seq

    def _advance(self) -> None:
        now = self._clock()
        begun = self._sandbox.advance(now)
        if begun is not None:
            for step in begun:
                log.info("scenario step", **shown(step))
                if isinstance(step, Clock):
                    self._move_clock(step)
            self._changing = chain(self._changing or (), self._change_conditions())
            self._change_some()
            self._changed(begun)
        for event in self._sandbox.late(now):
            self._publish(self._catalogue[event.code], event, Way.ONCE)

    def _check_clock(self, scenario: Scenario, step: Clock) -> None:
        if not isinstance(self._source, Simulator):
            raise InputError(
                f"Scenario {scenario.name} moves the clock, which only a simulator's may; "
                f"this server's source is {self._source.name}."
            )
        now = self._source.market_time()
        if step.to is not None and clock_target(step.to, now) < now:
            raise InputError(f"Scenario {scenario.name}: the clock goes forward only, {step.to} is past.")

    def _move_clock(self, step: Clock) -> None:
        if not isinstance(self._source, Simulator):
            return
        now = self._source.market_time()
        to = None if step.to is None else max(now, clock_target(step.to, now))
        if to is not None or step.speed is not None:
            self._feeds.first.batches.detach()
        self._source.move_clock(to, step.speed, step.hours)

    def _change_some(self) -> None:
        """Goes on with the changes of state that are under way; few of them are made at once."""
        if self._changing is not None and next(self._changing, True):
            self._changing = None

    def _change_conditions(self) -> Iterator[bool]:
        """Lets happen what follows from the beginning and the end of steps; yields False again and again.

        What has been traded or quoted comes first, and at once: it counts from the last price.
        """
        before, after = self._conditions, dict[str, Condition]()
        concerned = self._sandbox.concerned(self._catalogue)
        seen = [stream.instrument for stream in self._streams] if concerned is self._catalogue else []
        for count, instrument in enumerate(chain(seen, concerned), 1 - len(seen)):
            condition = None if instrument.code in after else self._sandbox.condition(instrument)
            if condition is not None:
                after[instrument.code] = condition
                if condition != before.get(instrument.code):
                    self._show(instrument, condition.state)
            if count > 0 and count % AT_ONCE == 0:
                yield False
        delisted = {code for code, condition in after.items() if condition.state is State.DELISTED}
        halted, resumed = _halted(after) - _halted(before), _halted(before) - _halted(after) - delisted
        self._conditions = after
        if not self._sandbox.shapes_ticks:
            for numbered in self._behind.values():
                numbered.send()
            self._behind.clear()
        for codes, tell in ((sorted(halted), self._tell_halted), (sorted(resumed), self._tell_resumed)):
            for begin in range(0, len(codes), AT_ONCE):
                tell(codes[begin : begin + AT_ONCE])
                yield False

    def _show(self, instrument: Instrument, state: State) -> None:
        """Shows a state that a book shows, without waiting for the next one."""
        now = self._feeds.of(instrument).source.market_time()
        if state is State.DELISTED and instrument.levels:
            self._publish(instrument, Book(instrument.code, now, (), ()), Way.ONCE)
        elif state in (State.LIMIT_UP, State.LIMIT_DOWN):
            trade, book = self._streams.last_trade(instrument), self._streams.last_book(instrument)
            if trade is not None:
                self._sandbox.limit_from(trade.price, instrument, self._previous_close)
            if book is not None:
                limited = self._sandbox.limit_book(book, instrument, self._previous_close)
                self._publish(instrument, msgspec.structs.replace(limited, time=now), Way.ONCE)

    def _tell_halted(self, codes: Iterable[str]) -> None:
        """Enters halts into the lists of suspensions."""
        if entries := [one for code in codes if (one := self._suspension(self._catalogue[code]))]:
            self._backlog.put(partial(self._suspensions.add, self._source.name, entries))

    def _tell_resumed(self, codes: Iterable[str]) -> None:
        """Enters resumes into the lists of suspensions."""
        for code in codes:
            instrument = self._catalogue[code]
            if (where := suspension_list(instrument)) is not None:
                day, time = self._local(where)
                resume = partial(self._suspensions.resume, self._source.name, where)
                self._backlog.put(partial(resume, _symbol(instrument), day, time))

    def _suspension(self, instrument: Instrument) -> Suspension | None:
        where = suspension_list(instrument)
        if where is None:
            return None
        day, time = self._local(where)
        return Suspension(
            exchange=where,
            symbol=_symbol(instrument),
            symbol_name=instrument.name_cn if where is SuspensionList.SSE else instrument.name_en,
            halt_reason=(self._conditions[instrument.code].reason,),
            halt_date=day,
            halt_time=time,
            source_exchange=where.name,
            publish_date=f"{day} {time}",
        )

    def _local(self, where: SuspensionList) -> tuple[str, str]:
        """The market's date and time at an exchange."""
        local = datetime.fromtimestamp(self._source.market_time() / 1000, ZoneInfo(where.time_zone))
        return local.strftime("%Y-%m-%d"), local.strftime("%H:%M:%S")


def suspension_list(instrument: Instrument) -> SuspensionList | None:
    """The list that tells of an instrument's halts: there are some for US and Shanghai stocks only."""
    if instrument.market is Market.US_STOCK:
        return SuspensionList.NASDAQ if instrument.exchange == "NASD" else SuspensionList.NYSE
    return SuspensionList.SSE if instrument.exchange == "SSE" else None


def _symbol(instrument: Instrument) -> str:
    """What the exchange calls it: the code without the suffix of its market."""
    return instrument.code.rpartition(".")[0] or instrument.code


def _halted(conditions: Mapping[str, Condition]) -> set[str]:
    return {code for code, condition in conditions.items() if condition.state is State.HALTED}
