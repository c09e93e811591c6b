"""Replays of a client's own (28018, 28020): what was recorded, by a clock of its own, and on into live."""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import structlog
from msgspec import UNSET

from ..bus import Columns, Playback, Supplier
from ..errors import InputError, StoreError
from ..model import Kind, Position
from ..wire import Want
from ..wire.items import KIND, Item, ResumedItem, ResumeItem
from ..wire.messages import Nothing
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

if TYPE_CHECKING:  # it needs pyarrow
    from ..wire.columns import Written

MOST = 200
"""Replays at once."""
ALL = 0.0003
"""Seconds of a turn of the loop in which they are given something; others wait. What is live waits for no
more than that: with 3 ms its p99 was a fifth longer beside a hundred of them."""
TURN = 32 * 1024
"""Bytes that a client is given at a time, about."""
AWAY = "the market side went away: ask again"
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
        self.playback: Playback | None = None
        self.read: Columns | None = None
        """What was read last."""
        self.frames: Written | None = None
        """The frames of that, of which the `place`th is the next, in the `manner` that held when they were
        written."""
        self.place = 0
        self.manner: object = None
        self.origin: tuple[float, int] | None = None
        """A moment of the clock, and the time of the source then."""
        self._woken: asyncio.Future[None] | None = None
        self.task: asyncio.Task[None] | None = None

    @property
    def next(self) -> int | None:
        """The time of the event that is to be given next, of those that were read."""
        if self.frames is None or self.place == len(self.frames.times):
            return None
        return self.frames.times[self.place]

    @property
    def waits(self) -> bool:
        """Whether it is to be given nothing now."""
        return self.paused and not self.steps

    async def rest(self, delay: float | None) -> None:
        """Waits so many seconds, or until it is told something."""
        loop = asyncio.get_running_loop()
        self._woken, timer = loop.create_future(), None
        if delay is not None:
            timer = loop.call_later(delay, self.wake)
        try:
            await self._woken
        finally:
            if timer is not None:
                timer.cancel()

    def wake(self) -> None:
        """It is told something."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

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
        self._thread = ThreadPoolExecutor(1, "replays")

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
        run.wake()
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
        self._thread.shutdown(wait=False, cancel_futures=True)

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
        run.time = asked.begin or begin
        self._tell(run, "paused" if run.paused else "began")
        try:
            await self._give_all(run)
        except Exception as error:
            _say(error)
            self._tell(run, "stopped", reason=AWAY if isinstance(error, StoreError) else UNREADABLE)
            return
        if run.end:
            self._tell(run, "complete")
        else:
            self._go_live(run)

    async def _open(self, run: Run, begin: int) -> Playback:
        streams = {(KIND[item.kind], want.instrument.code) for item, want in run.items}
        run.playback = await self._market.recorded(streams, begin, run.end or None)
        return run.playback

    async def _give_all(self, run: Run) -> None:
        """Gives a client one event after the other, up to the end. Raises InputError."""
        assert run.playback is not None  # noqa: S101
        while True:
            if run.sought is not None:
                await self._seek(run, run.sought)
            elif run.next is None:
                run.read = await run.playback.more()
                if run.read is not None:
                    run.place = 0
                    await self._write(run)
                elif run.sought is None:
                    if not run.waits:
                        return
                    await run.rest(None)
            elif run.manner != self._manner(run):
                await self._write(run)
            elif await self._until_due(run, run.next):
                await self._portions.wait(run.caller.account)
                with self._portions.serve(run.caller.account):
                    self._give(run)
                await self._resuming.until_taken(run.client)

    def _manner(self, run: Run) -> object:
        """What decides how events are written for a client."""
        return run.client.form, self._hub.redefined

    async def _write(self, run: Run) -> None:
        """Makes the frames of what was read."""
        from ..wire.columns import Target, written

        assert run.playback is not None  # noqa: S101
        assert run.read is not None  # noqa: S101
        run.manner = self._manner(run)
        targets: dict[tuple[Kind, str], dict[str, Target]] = {}
        for item, want in run.items:
            code = want.instrument.code
            one = Target(want.name, run.playback.instrument(code), want.levels)
            targets.setdefault((KIND[item.kind], code), {})[want.name] = one
        run.frames = await asyncio.get_running_loop().run_in_executor(
            self._thread,
            partial(
                written,
                *run.read,
                {stream: [*names.values()] for stream, names in targets.items()},
                text_ids=self._hub.text_ids,
                form=run.client.form,
                replay=run.number,
            ),
        )

    async def _seek(self, run: Run, time: int) -> None:
        run.sought = None
        run.read = run.frames = None
        assert run.playback is not None  # noqa: S101
        run.playback.close()
        before, now = run.playback.begin, await self._open(run, time)
        if time < now.begin > before > 0:  # the oldest was let go of
            now.lack()
        run.time, run.origin, run.given = time, None, False
        self._tell(run, "paused" if run.paused else "began")

    async def _until_due(self, run: Run, time: int) -> bool:
        """Waits until an event of that time is to be given; returns False if it is to go on elsewhere."""
        while run.sought is None:
            if run.paused:
                if not run.waits:
                    return True
                delay = None
            elif (delay := run.due(time, self._clock())) <= 0:
                return True
            await run.rest(delay)
        return False

    def _give(self, run: Run) -> None:
        """Gives a client what is due of what was read, a turn's worth."""
        frames, first = run.frames, run.place
        if frames is None or run.manner != self._manner(run) or run.sought is not None:
            return  # that was said meanwhile
        begin = frames.ends[first - 1] if first else 0
        last = min(bisect_left(frames.ends, begin + TURN, first) + 1, len(frames.ends))
        place, now = first, self._clock()
        while place < last:
            if run.paused:
                if not run.steps:
                    break
                run.steps -= 1
            elif run.speed == 0:
                place = last
                break
            elif run.due(frames.times[place], now) > 0:
                break
            place = bisect_right(frames.arrivals, frames.arrivals[place], place)  # one frame a name
        if place > first:
            run.place, run.time, run.given = place, frames.times[place - 1], True
            form, count = run.client.form, place - first
            if form.times:
                pushes = frames.timed(form, first, place, self._hub.micros())
            else:
                pushes = form.joined(bytes(frames.data[begin : frames.ends[place - 1]]), count)
            self._hub.push_missed(run.client, pushes, count)

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
        self._hub.catch_up(run.client)
        self._hub.tell(run.client, frames)


def _say(error: Exception) -> None:
    if isinstance(error, InputError | StoreError):
        log.error("what was recorded cannot be replayed", reason=str(error))
    else:
        log.error("what was recorded cannot be replayed", exc_info=error)


def _told(item: Item, state: ReplayState) -> ReplayItem:
    return ReplayItem(item.kind, item.code, item.depth_level, item.kline_type, state=state)
