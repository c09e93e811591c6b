"""Clients that were cut and go on where they were (28016): first what they missed, then what is live."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from functools import partial

import structlog
from msgspec import UNSET

from ..bus import FirstMissed, Interest, Left, Missed, Supplier
from ..model import Instrument, Kind, KlineState, KlineUpdate, Position
from ..wire import Sought, Want
from ..wire.form import Form
from ..wire.items import KIND, ResumedData, ResumedItem, ResumeItem, State, gap_frame
from ..wire.session import Entry, Resume
from .admission import Caller, Peer
from .changing import Changing
from .first_bars import FirstBars
from .hub import Hub, Topic
from .portions import Portions
from .strips import Strips

ALL, OF_TOKEN = 0.04, 0.01
"""Seconds of a turn of the loop in which clients are given something, and those of one token; others wait.
With shorter turns those who have all already are written to so often that the rest wait for it."""
TURN = 256 * 1024
"""Bytes that a client is given at a time, about."""
CACHED = 32 * 2**20
"""Bytes of frames that are kept while anybody resumes, for others who missed the same."""
LATEST = 1.0
"""Seconds after which a client goes on with streams of which it has all, though others are not at their end:
until then it goes on with all of them together, which costs the least."""
AHEAD = 0.01
"""Seconds between looks, where what was missed is further than what has come here."""

log = structlog.get_logger()


class Behind:
    """A stream that a client was cut from, and up to where the client has it."""

    __slots__ = (
        "_form",
        "_instrument",
        "_key",
        "given",
        "is_known",
        "item",
        "kind",
        "state",
        "told",
        "topic",
        "want",
    )

    def __init__(self, item: ResumeItem, want: Want, topic: Topic, *, is_known: bool) -> None:
        """Where it `is_known` up to where the client has it; else it goes on from now."""
        self.is_known = is_known
        self.item = item
        self.kind = KIND[item.kind]
        self.want = want
        self.topic = topic
        self.given = 0
        """The `seq` of the last event that the client has, in the epoch that there is now."""
        self.state: State = "ok"
        self.told = -1
        """Behind which `seq` the answer has said that something is lacking."""
        self._form: Form | None = None
        self._instrument: Instrument | None = None
        self._key: Hashable = None

    def key(self, form: Form) -> Hashable:
        """What is alike of frames in that form that others may have missed too."""
        if form is not self._form or self.topic.instrument is not self._instrument:
            self._form, self._instrument = form, self.topic.instrument
            decimals = self._instrument.price_decimals, self._instrument.volume_decimals
            self._key = self.kind, self.want.name, self.want.kline_type, form.first, decimals
        return self._key


class Resuming:
    """Gives clients what they missed, as fast as each takes it, and puts them back into their streams.

    What is under way to a client is a turn's worth and what its transport holds: the rest stays in the ring,
    also what comes of these streams meanwhile. So nobody's resume takes memory, however much he missed.
    """

    def __init__(
        self,
        hub: Hub,
        market: Supplier,
        changing: Changing,
        first_bars: FirstBars,
        callers: Mapping[Peer, Caller],
        slow: Collection[Peer],
        clock: Callable[[], float],
        interest: Interest,
    ) -> None:
        """`slow` are those who do not take what they are sent as fast as it comes, see `quick`; `clock` is
        monotonic, in seconds."""
        self._hub = hub
        self._market = market
        self._changing = changing
        self._first_bars = first_bars
        self._callers = callers
        self._slow = slow
        self._tasks: dict[Peer, set[asyncio.Task[None]]] = {}
        self._taken: dict[Peer, asyncio.Event] = {}  # set when a client has taken what it was given
        self._clock = clock
        self._interest = interest
        self._portions = Portions(ALL, OF_TOKEN, clock)
        self._strips = Strips(CACHED)
        self.gaps = 0
        """Streams that clients went on with after a hole."""

    @property
    def clients(self) -> int:
        """How many have not been given all yet that they missed."""
        return len(self._tasks)

    def resume(self, client: Peer, asked: Resume) -> bytes:
        """Takes items into a client's lists; the answer, what was missed and what is live follow."""
        if (caller := self._callers.get(client)) is None:
            return b""
        self.go_on(
            client,
            caller,
            [(item, what, True) for item, what in asked.items],
            lambda answers: asked.header.answer(ResumedData(answers)),
        )
        return b""

    def go_on(
        self,
        client: Peer,
        caller: Caller,
        asked: Sequence[tuple[ResumeItem, Want | Sought | State, bool]],
        told: Callable[[list[ResumedItem]], bytes],
    ) -> None:
        """Takes items into a client's lists, each of which it has up to its position, if that is known; else
        it goes on from now. What is `told` becomes of each comes first."""
        items = [item for item, *_ in asked]
        states = self._changing.hold(client, caller, [Entry(item, what) for item, what, _ in asked])
        behind: list[Behind | None] = [None] * len(items)
        for place, (item, what, is_known) in enumerate(asked):
            if states[place] == "ok" and isinstance(what, Want):
                topic = self._hub.topic(KIND[item.kind], what.instrument, what.kline_type)
                behind[place] = Behind(item, what, topic, is_known=is_known)
        task = asyncio.create_task(self._resume(client, caller, told, items, states, behind))
        self._tasks.setdefault(client, set()).add(task)
        task.add_done_callback(partial(self._ended, client))

    def quick(self, client: Peer) -> None:
        """A client has taken what it was given."""
        if (taken := self._taken.pop(client, None)) is not None:
            taken.set()

    def leave(self, client: Peer) -> None:
        """A client is gone."""
        self._taken.pop(client, None)
        for task in self._tasks.get(client, ()):
            task.cancel()

    async def end(self) -> None:
        """Gives nothing more."""
        tasks = [task for some in self._tasks.values() for task in some]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, client: Peer, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a client cannot be given what it missed", exc_info=error)
        self._tasks[client].discard(task)
        if not self._tasks[client]:
            del self._tasks[client]
        if not self._tasks:
            self._strips.clear()

    async def _resume(
        self,
        client: Peer,
        caller: Caller,
        say: Callable[[list[ResumedItem]], bytes],
        items: Iterable[ResumeItem],
        states: Iterable[State],
        behind: list[Behind | None],
    ) -> None:
        left = [one for one in behind if one is not None]
        try:
            answers = []
            await self._interest.follow([one.topic.instrument for one in left])
            firsts = iter(await self._begin(left))
            for item, state, one in zip(items, states, behind, strict=True):
                told = ResumedItem(item.kind, item.code, item.depth_level, item.kline_type, state=state)
                if one is not None:
                    told.epoch, told.first = self._market.epoch, next(firsts)
                    told.state = one.state
                    if not self._hub.is_held(
                        client, one.kind, one.want
                    ):  # a later request was answered first
                        told.state = (
                            "already" if self._hub.has(client, one.kind, one.want) else "not_subscribed"
                        )
                        told.epoch = told.first = UNSET
                answers.append(told)
            self._hub.catch_up(client)
            self._hub.tell(client, say(answers))
            # One after the other: who has all is served with all the others, while the rest fall behind.
            place, due = self._portions.place(), math.inf
            while left:
                await self._portions.wait(caller.account, place)
                due = min(due, self._clock() + LATEST)
                with self._portions.serve(caller.account):
                    left = await self._give(client, left, at_once=self._clock() >= due)
                if left and all(one.given > one.topic.seq for one in left):
                    await asyncio.sleep(AHEAD)
                await self.until_taken(client)
        except Exception:
            self._give_up(client, left)
            raise

    async def _begin(self, behind: Sequence[Behind]) -> list[int]:
        """Finds where streams go on, and whether something is lacking before that; returns the `seq` of
        each."""
        asked = [one for one in behind if one.is_known and one.kind is not Kind.DEPTH]
        try:
            return await self._find(behind, asked)
        except Exception:
            log.exception("it cannot be known what a client missed", streams=len(asked))
        for one in asked:
            one.state, one.given = "gap", one.topic.seq
        self.gaps += len(asked)
        return [one.topic.seq + 1 if one in asked else self._last(one) for one in behind]

    async def _find(self, behind: Iterable[Behind], asked: Sequence[Behind]) -> list[int]:
        epoch = self._market.epoch
        found = await self._first(asked, [one.item.position for one in asked])
        lost = [one for one in asked if found[one] is None]
        for one in lost:  # it never stood there
            one.given = epoch - 1 if one.item.position.epoch < epoch else max(one.topic.seq, epoch - 1)
        anew = await self._first(lost, [Position(epoch, one.given) for one in lost]) if lost else {}
        firsts = []
        for one in behind:
            if one not in found:
                firsts.append(self._last(one))
                continue
            told = found[one]
            one.state = "resumed" if told is not None and told.whole else "gap"
            if told is not None:
                one.given = max(one.item.position.seq, epoch - 1)
            firsts.append(self._goes_on(one, told or anew[one] or FirstMissed(0, whole=True)))
        return firsts

    def _goes_on(self, one: Behind, found: FirstMissed) -> int:
        """Where a stream goes on of which is known what comes next."""
        topic = one.topic
        if not found.whole:
            one.given = one.told = found.seq - 1 if found.seq else topic.seq - _is_forming(topic)
        self.gaps += one.state == "gap"
        if found.seq:
            return found.seq
        return topic.seq if one.given < topic.seq else one.given + 1

    def _last(self, one: Behind) -> int:
        """Where a stream goes on of which it is not known, or that goes on with its last event: a book."""
        epoch, topic, position = self._market.epoch, one.topic, one.item.position
        if not one.is_known:
            one.state, one.given = "gap", 0 if one.kind is Kind.DEPTH else max(topic.seq, epoch - 1)
            self.gaps += 1
            return topic.seq if one.given < topic.seq else one.given + 1
        was_given = position.epoch < epoch or (position.epoch == epoch and position.seq <= topic.seq)
        one.state = "resumed" if was_given else "gap"
        is_last = position.epoch == epoch and position.seq == topic.seq
        one.given = topic.seq if is_last else 0
        return topic.seq if topic.seq and not is_last else max(topic.seq + 1, epoch)

    async def _give(self, client: Peer, behind: list[Behind], *, at_once: bool) -> list[Behind]:
        """Gives a client the next of what it missed, a turn's worth; puts it back into the streams of which
        it has all, once that is so of all of them, or `at_once`. Returns the others."""
        found: list[tuple[Behind, bytes, int]] = []  # frames, and of how many events
        size = looked = 0
        form, waited = client.form, False
        for one in behind:
            while one.given < one.topic.seq and self._hub.is_held(client, one.kind, one.want):
                if size >= TURN or client in self._slow:
                    break
                # With `times` each says when it was sent.
                cut = None if form.times else self._strips.cut(one.key(form), one.given, TURN)
                if cut is None:
                    waited = True
                    frames, events = await self._next(client, one)
                    form = client.form
                else:
                    frames, events, one.given = cut
                found.append((one, frames, events))
                size += len(frames)
            else:
                looked += 1
                continue
            break
        if waited:  # what is held may be another than it was
            found = [some for some in found if self._hub.is_held(client, some[0].kind, some[0].want)]
        if found:
            frames = b"".join(frames for _, frames, _ in found)
            self._hub.push_missed(client, client.form.told(frames), sum(events for *_, events in found))
        if looked < len(behind) and not at_once:
            return behind[looked:] + behind[:looked]
        level: list[Behind] = []
        left: list[Behind] = []
        for one in behind[:looked]:
            if self._hub.is_held(client, one.kind, one.want):
                (level if one.given == one.topic.seq or not one.topic.seq else left).append(one)
        if level:
            self._hub.release(client, [(one.kind, one.want) for one in level])
            bars = [one.want for one in level if one.kind is Kind.KLINE and not one.topic.seq]
            self._first_bars.show(client, bars)
        return left + behind[looked:]

    async def _next(self, client: Peer, one: Behind) -> tuple[bytes, int]:
        """The next that a client is given of one stream, and how many events it is."""
        key = None if client.form.times else one.key(client.form)
        topic, encode = one.topic, self._hub.encoder(client, one.kind, one.want)
        if one.kind is Kind.DEPTH:
            found: Missed | None = Missed((), (), whole=True)
        else:
            found = await self._missed(one, Position(self._market.epoch, one.given))
        shows_last = one.kind is Kind.DEPTH or _is_forming(topic)
        data, events = b"", 1
        if found is None or not found.whole:
            begin = found.seqs[0] if found is not None and found.seqs else topic.seq + (not shows_last)
            if begin - 1 != one.told:
                place = Position(self._market.epoch, begin)
                data = gap_frame(one.kind, one.want.name, one.want.kline_type, place)
                self.gaps += 1
            one.given = begin - 1
        if found is not None and found.seqs:
            frames = [*map(encode, found.events, found.seqs)]
            if key and found.whole:
                self._strips.add(key, one.given, found.seqs, frames)
            elif key and frames[1:]:  # who comes to the first one is told what lies before it
                self._strips.add(key, found.seqs[0], found.seqs[1:], frames[1:])
            data += b"".join(frames)
            events, one.given = len(found.seqs), found.seqs[-1]
        else:
            if shows_last:
                data += encode(topic.last, topic.seq)
            one.given = topic.seq
        return data, events

    async def _missed(self, one: Behind, after: Position) -> Missed | None:
        return await self._market.missed(one.kind, one.topic.instrument.code, after, one.want.kline_type)

    async def _first(
        self, behind: Sequence[Behind], after: Iterable[Position]
    ) -> dict[Behind, FirstMissed | None]:
        left = [
            Left(one.kind, one.topic.instrument.code, place, one.want.kline_type)
            for one, place in zip(behind, after, strict=True)
        ]
        return dict(zip(behind, await self._market.first_missed(left), strict=True))

    async def until_taken(self, client: Peer) -> None:
        """Waits while a client does not take what it was given."""
        while client in self._slow:
            await self._taken.setdefault(client, asyncio.Event()).wait()

    def _give_up(self, client: Peer, behind: Iterable[Behind]) -> None:
        """What a client missed cannot be given: it is told so, and goes on with what is live."""
        held = [one for one in behind if self._hub.is_held(client, one.kind, one.want)]
        self._hub.settle(client)
        for one in held:
            begin = Position(self._market.epoch, one.topic.seq + 1)
            self._hub.tell(client, gap_frame(one.kind, one.want.name, one.want.kline_type, begin))
            self.gaps += 1
        self._hub.release(client, [(one.kind, one.want) for one in held])


def _is_forming(topic: Topic) -> bool:
    """Whether the last event of a stream is a bar that has not closed."""
    return isinstance(topic.last, KlineUpdate) and topic.last.state is KlineState.FORMING
