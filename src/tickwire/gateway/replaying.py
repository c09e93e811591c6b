"""Replays of a client's own (28018, 28020): what was recorded, by a clock of its own, and on into live."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial

import structlog
from msgspec import UNSET

from ..bus import Playback, Supplier
from ..errors import InputError
from ..model import Correction, Event, Kind, Position, kind_of
from ..wire import Want
from ..wire.items import KIND, Item, ResumedItem, ResumeItem
from ..wire.messages import Nothing
from ..wire.push import Encoder
from ..wire.replays import (
    ReplayData,
    ReplayedData,
    ReplayItem,
    ReplayState,
    ReplayStateData,
    Stage,
    replay_frame,
)
from ..wire.ret import DATA_INVALID
from ..wire.session import ControlReplay, Replay
from .admission import Caller, Peer
from .hub import Hub
from .portions import Portions
from .resuming import Resuming

MOST = 200
"""Replays at once."""
ALL = 0.003
"""Seconds of a turn of the loop in which they are given something; others wait."""
TURN = 32 * 1024
"""Bytes that a client is given at a time, about."""
UNREADABLE = "what was recorded cannot be read: the log of the server says why"

log = structlog.get_logger()


class Run:
    """A replay that is under way, of these items, whose numbers are by stream."""

    def __init__(self, number: int, client: Peer, caller: Caller, asked: ReplayData) -> None:
        self.number = number
        self.client = client
        self.caller = caller
        self.end = asked.end
        self.speed = asked.speed
        self.paused = bool(asked.step)
        self.time = asked.begin
        """Of the last event that was given."""
        self.given = False
        """Whether it was given anything since it began, or was sought."""
        self.steps = 0
        """Events that it is to be given though it is paused."""
        self.sought: int | None = None
        """Where it is to go on."""
        self.items: list[tuple[Item, Want]] = []
        self.wants: dict[tuple[Kind, str], dict[str, Want]] = {}
        """The same by stream and name."""
        self.encoders: dict[tuple[Kind, str], list[Encoder]] = {}
        """Those that were needed since form and numbers, in which all is `written`, were others."""
        self.written: object = None
        self.playback: Playback | None = None
        self.events: deque[tuple[Event | Correction, int, int]] = deque()
        self.origin: tuple[float, int] | None = None
        """A moment of the clock, and the time of the source then."""
        self.changed = asyncio.Event()
        """Set when it is told something."""
        self.task: asyncio.Task[None] | None = None

    @property
    def waits(self) -> bool:
        """Whether it is to be given nothing now."""
        return self.paused and not self.steps

    def due(self, time: int, now: float) -> float:
        """In how many seconds an event of that time is to be given."""
        if not self.speed:
            return 0.0
        if self.origin is None:
            self.origin = now, time
        began, first = self.origin
        return began + (time - first) / 1000 / self.speed - now

    def again(self, now: float) -> None:
        """From now on its time goes by a speed that may be another one; if nothing was given yet it begins
        with the first event."""
        self.origin = (now, self.time) if self.given else None


class Replaying:
    """Gives each client what it asked for, as fast as it takes it.

    What is under way to a client is a turn's worth and a page that was read: the rest stays on the disk.
    """

    def __init__(
        self,
        hub: Hub,
        market: Supplier,
        resuming: Resuming,
        callers: Mapping[Peer, Caller],
        slow: Collection[Peer],
        clock: Callable[[], float],
    ) -> None:
        """`slow` are those who do not take what they are sent as fast as it comes; `clock` is monotonic."""
        self._hub = hub
        self._market = market
        self._resuming = resuming
        self._callers = callers
        self._slow = slow
        self._clock = clock
        self._numbers = itertools.count(1)
        self._runs: dict[Peer, Run] = {}
        self._portions = Portions(ALL, ALL, clock)

    @property
    def clients(self) -> int:
        """How many replays there are."""
        return len(self._runs)

    def replay(self, client: Peer, decision: Replay) -> bytes:
        """Begins a replay; the answer and all else follow."""
        if (caller := self._callers.get(client)) is None:
            return b""
        states: list[ReplayState] = []
        run = Run(next(self._numbers), client, caller, decision.asked)
        of_token = sum(one.caller.account is caller.account for one in self._runs.values())
        most = MOST if caller.plan.replays is None else caller.plan.replays
        full = client in self._runs or len(self._runs) >= MOST or of_token >= most
        for item, what in decision.items:
            if isinstance(what, Want):
                states.append("over_limit" if full else "unavailable" if item.kind == "kline" else "ok")
                if states[-1] == "ok":
                    run.items.append((item, what))
            else:
                states.append("unauthorized" if what == "unauthorized" else "unknown")
        if not run.items:
            told = [_told(item, state) for (item, _), state in zip(decision.items, states, strict=True)]
            return decision.header.answer(ReplayedData(0, told, 0, 0))
        self._runs[client] = run
        run.task = asyncio.create_task(self._replay(run, decision, states))
        run.task.add_done_callback(partial(self._ended, run))
        return b""

    def control(self, client: Peer, decision: ControlReplay) -> bytes:
        """Changes a replay."""
        header, asked = decision
        run = self._runs.get(client)
        if run is None or run.number != asked.id or run.playback is None:
            return header.answer(Nothing(), DATA_INVALID)
        stage: Stage | None = None
        match asked.action:
            case "pause" | "step":
                stage = None if run.paused and asked.action == "step" else "paused"
                run.paused = True
                run.steps += asked.action == "step"
            case "resume":
                run.paused, run.steps, stage = False, 0, "began"
                run.again(self._clock())
            case "speed":
                assert asked.speed is not UNSET  # noqa: S101  # its data was checked
                run.speed = asked.speed
                run.again(self._clock())
            case "seek":
                assert asked.time is not UNSET  # noqa: S101
                run.sought = asked.time
            case "stop":
                stage = "stopped"
                self._stop(run)
        run.changed.set()
        told = b"" if stage is None else replay_frame(ReplayStateData(run.number, stage, run.time))
        return header.answer(Nothing()) + told

    def leave(self, client: Peer) -> None:
        """A client is gone."""
        if (run := self._runs.get(client)) is not None:
            self._stop(run)

    async def end(self) -> None:
        """Gives nothing more."""
        tasks = [run.task for run in self._runs.values() if run.task is not None]
        for run in [*self._runs.values()]:
            self._stop(run)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _stop(self, run: Run) -> None:
        if self._runs.get(run.client) is run:
            del self._runs[run.client]
        if run.task is not None:
            run.task.cancel()

    def _ended(self, run: Run, task: asyncio.Task[None]) -> None:
        if self._runs.get(run.client) is run:
            del self._runs[run.client]
        if run.playback is not None:
            run.playback.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a replay failed", exc_info=error)

    async def _replay(self, run: Run, decision: Replay, states: list[ReplayState]) -> None:
        """Answers, gives all there is, and says how it ended."""
        header, asked, entries = decision
        begin = end = 0
        try:
            playback = await self._open(run, asked.begin)
            begin, end = playback.begin, playback.end
            run.items = [
                one for one in run.items if (KIND[one[0].kind], one[1].instrument.code) in playback.recorded
            ]
        except Exception as error:
            _say(error)
            run.items = []
        have = {id(item) for item, _ in run.items}
        told = [
            _told(item, "unavailable" if state == "ok" and id(item) not in have else state)
            for (item, _), state in zip(entries, states, strict=True)
        ]
        self._push(run, header.answer(ReplayedData(run.number if run.items else 0, told, begin, end)))
        if not run.items:
            return
        for item, want in run.items:
            run.wants.setdefault((KIND[item.kind], want.instrument.code), {})[want.name] = want
        run.time = asked.begin or begin
        self._tell(run, "paused" if run.paused else "began")
        try:
            await self._give_all(run)
        except Exception as error:
            _say(error)
            self._tell(run, "stopped", reason=UNREADABLE)
            return
        if run.end:
            self._tell(run, "complete")
        else:
            self._go_live(run)

    async def _open(self, run: Run, begin: int) -> Playback:
        streams = {(KIND[item.kind], want.instrument.code) for item, want in run.items}
        run.playback = await self._market.recorded(streams, begin, run.end or None)
        return run.playback

    def _encoders(self, run: Run, stream: tuple[Kind, str]) -> list[Encoder]:
        """What makes the pushes of a stream's events, one for each name that it was asked for under."""
        assert run.playback is not None  # noqa: S101  # it was opened
        if (found := run.encoders.get(stream)) is None:
            kind, code = stream
            place = run.playback.instrument(code), run.number
            wants = run.wants[stream].values()
            found = run.encoders[stream] = [
                self._hub.replay_encoder(run.client, kind, want, *place) for want in wants
            ]
        return found

    async def _give_all(self, run: Run) -> None:
        """Gives a client one event after the other, up to the end. Raises InputError."""
        assert run.playback is not None  # noqa: S101
        while True:
            if run.sought is not None:
                await self._seek(run, run.sought)
            if not run.events and run.sought is None:
                run.events.extend(await run.playback.more())
                if not run.events and run.sought is None:
                    if not run.waits:
                        return
                    run.changed.clear()
                    await run.changed.wait()
                    continue
            if await self._until_due(run):
                await self._portions.wait(run.caller.account)
                with self._portions.serve(run.caller.account):
                    self._give(run)
                await self._resuming.until_taken(run.client)

    async def _seek(self, run: Run, time: int) -> None:
        run.sought = None
        run.events.clear()
        run.encoders.clear()
        if run.playback is not None:
            run.playback.close()
        await self._open(run, time)
        run.time, run.origin, run.given = time, None, False
        self._tell(run, "paused" if run.paused else "began")

    async def _until_due(self, run: Run) -> bool:
        """Waits until the next event is to be given; returns False if it is to go on elsewhere."""
        while run.sought is None:
            if run.paused:
                if not run.waits:
                    return True
                delay = None
            elif (delay := run.due(run.events[0][0].time, self._clock())) <= 0:
                return True
            run.changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(delay):
                    await run.changed.wait()
        return False

    def _give(self, run: Run) -> None:
        """Gives a client what is due of what was read, a turn's worth."""
        written = run.client.form.first, self._hub.redefined
        if run.written != written:
            run.written = written
            run.encoders.clear()
        found: list[bytes] = []
        size, now, times = 0, self._clock(), run.client.form.times
        while run.events and size < TURN:
            event, seq, received = run.events[0]
            if run.paused:
                if not run.steps:
                    break
                run.steps -= 1
            elif run.due(event.time, now) > 0:
                break
            run.events.popleft()
            run.time, run.given = event.time, True
            place = (event, seq, received) if times else (event, seq)
            for encode in self._encoders(run, (kind_of(event), event.code)):
                found.append(encode(*place))
                size += len(found[-1])
        if found:
            self._hub.push_missed(run.client, b"".join(found), len(found))

    def _go_live(self, run: Run) -> None:
        """Its streams go on live, from where they were given."""
        assert run.playback is not None  # noqa: S101
        items = []
        for item, want in run.items:
            at = run.playback.position(KIND[item.kind], want.instrument.code)
            place = at or Position(0, 0)
            one = ResumeItem(item.kind, item.code, item.depth_level, epoch=place.epoch, seq=place.seq)
            items.append((one, want, at is not None))

        def told(answers: list[ResumedItem]) -> bytes:
            return replay_frame(ReplayStateData(run.number, "live", run.time, answers))

        self._resuming.go_on(run.client, run.caller, items, told)

    def _tell(self, run: Run, stage: Stage, reason: str = "") -> None:
        self._push(run, replay_frame(ReplayStateData(run.number, stage, run.time, reason=reason)))

    def _push(self, run: Run, frames: bytes) -> None:
        self._hub.flush()
        self._hub.tell(run.client, frames)


def _say(error: Exception) -> None:
    if isinstance(error, InputError):
        log.error("what was recorded cannot be replayed", reason=str(error))
    else:
        log.error("what was recorded cannot be replayed", exc_info=error)


def _told(item: Item, state: ReplayState) -> ReplayItem:
    return ReplayItem(item.kind, item.code, item.depth_level, item.kline_type, state=state)
