"""Finds out what codes are that no catalogue here has: who waits for it, and what upstream does not have."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import structlog

from ...client import ClientError, Clock, RequestRefused, TooManyRequests, Unauthorized
from ...client.clock import sleep
from ...errors import SourceError
from ...model import Family, Instrument, in_turn
from ...wire import CODE_INVALID, CODE_UNAUTHORIZED, Ret, StaticInfo, ret_of
from .answers import FINAL, IN_A_ROW, SHOWN, halves, may_be_one
from .inquiry import Found, Inquiry

MOST_WAITING = 5_000
"""Codes that wait to be asked for."""
MOST_REFUSED = 10_000
"""Refusals that are remembered; of more the oldest go."""
REFUSED = 3600.0
"""Seconds for which a refusal is remembered."""
BRIEFLY = 60.0
"""Seconds for which one is remembered that may be due to more than the code."""
MOST_FOUND = 20_000
"""Codes that are learned."""
RETRY, MOST_RETRY = 5.0, 60.0
"""Seconds before upstream is asked again that did not answer, at first and at most."""
MOST_ALONE = 600.0
"""The same at most of a single code that upstream fails at."""
NAME_RETRY, MOST_NAME_RETRY = 60.0, 3600.0
"""Seconds before upstream is asked again what stocks are called, at first and at most."""
SETTLE = 0.02
"""Seconds in which others may ask too, so that one request does for all."""
REPORT = 10.0
"""Seconds between lines of the log about what was found."""

log = structlog.get_logger()


class Part(NamedTuple):
    """Codes that are asked about apart from others, not before `at`; `wait` is how long upstream is left
    alone with a single code once it fails at it again, 0 if it has not yet."""

    family: Family
    codes: tuple[str, ...]
    at: float = 0.0
    wait: float = 0.0


class Batch(NamedTuple):
    """Codes of a family that are asked about in one request, whether anybody waits for one of them, and
    whether they were put together apart from others."""

    part: Part
    awaited: bool
    apart: bool = False


@dataclass(eq=False, repr=False)
class Finder:
    """Asks about codes in batches of at most `most`, one after the other: families by turns, in each of them
    those who wait by turns, and last what nobody waits for any more.

    A list that upstream refuses or fails at is asked about in halves, so that one code keeps no other one
    back. Where it fails at whatever it is asked, everything waits.

    `found` is called with what upstream said before those who wait hear of it, `named` with what it says
    later of stocks, `heard` with how each request ended.
    """

    inquiry: Inquiry
    most: int
    clock: Clock
    source: str
    found: Callable[[Family, Found], None]
    named: Callable[[Iterable[StaticInfo]], None]
    heard: Callable[[ClientError | None], None]

    def __post_init__(self) -> None:
        self.learned = self.refused = 0
        """How many codes were learned, in earlier runs too, and how many upstream has not had in this one."""
        self.awaited: Callable[[Family, str], Collection[str]] = lambda _family, _code: ("",)
        """Tells who waits for a code now."""
        self._futures: dict[tuple[Family, str], asyncio.Future[Instrument | Ret]] = {}
        self._waiting: dict[Family, dict[str, None]] = {family: {} for family in Family}
        self._again: deque[Part] = deque()  # what an answer left open
        self._turns: list[Family | None] = [None, *Family]  # None is for what was left open
        self._served: dict[Family, dict[str, int]] = {family: {} for family in Family}
        self._batches = 0
        self._failures = 0  # in a row, but for codes that upstream failed at before
        self._said = ""
        self._nameless: dict[str, None] = {}  # stocks that are known, which nobody waits for
        self._name_at, self._name_wait = 0.0, NAME_RETRY
        self._refused: OrderedDict[tuple[Family, str], tuple[float, Ret]] = OrderedDict()
        self._some = asyncio.Event()
        self._full = False
        self._told = -REPORT
        self._untold: dict[str, tuple[int, list[str]]] = {}

    @property
    def waiting(self) -> int:
        """Codes of which upstream has not said yet what they are."""
        return len(self._futures)

    @property
    def is_full(self) -> bool:
        """Whether nothing more is asked about now."""
        return len(self._futures) >= MOST_WAITING or self.learned >= MOST_FOUND

    def refusal(self, family: Family, code: str) -> Ret | None:
        """What upstream refused a code with lately; None if it did not."""
        until, ret = self._refused.get((family, code), (0.0, CODE_INVALID))
        return ret if self.clock.time() < until else None

    async def find(self, family: Family, code: str) -> Instrument | Ret:
        """What a code is, or what upstream refuses it with; waits for as long as that takes. Raises
        SourceError if too many wait or are known."""
        if (ret := self.refusal(family, code)) is not None:
            return ret
        return await asyncio.shield(self.seek(family, code))

    def seek(self, family: Family, code: str) -> asyncio.Future[Instrument | Ret]:
        """Asks what a code is, unless it was asked already. Raises SourceError as `find` does."""
        future = self._futures.get((family, code))
        if future is None:
            if self.is_full:
                if not self._full:
                    self._full = True
                    log.warning(
                        "too many unknown codes, upstream is not asked about more",
                        source=self.source,
                        waiting=len(self._futures),
                        learned=self.learned,
                    )
                raise SourceError(f"Upstream is not asked about {code} now: too many codes are unknown.")
            self._full = False
            future = self._futures[family, code] = asyncio.get_running_loop().create_future()
            self._waiting[family][code] = None
            self._some.set()
        return future

    async def run(self) -> None:
        """Asks. Never ends; begun again, it asks anew for what it was about to hear of."""
        for family, code in self._futures:
            self._waiting[family][code] = None
        self._again.clear()
        wait = RETRY
        while True:
            if not any(self._waiting.values()) and not self._due():
                await self._rest()
                continue
            try:
                await sleep(self.clock, SETTLE)
                await self.inquiry.turn()
                await self._ask(self._next())
                if not self._failures:
                    wait = RETRY
            except ClientError as error:
                self._tell_failure(error)
                await sleep(self.clock, min(error.retry_after or wait, MOST_RETRY))
                wait = min(2 * wait, MOST_RETRY)

    async def _rest(self) -> None:
        """Nothing is to be asked now: asks for names if it is time, or waits until it is or something is."""
        now = self.clock.time()
        if self._nameless and now >= self._name_at:
            await self._name()
            return
        self._some.clear()
        moments = [part.at for part in self._again] + [self._name_at] * bool(self._nameless)
        timer = self.clock.call_later(min(moments) - now, self._some.set) if moments else None
        try:
            await self._some.wait()
        finally:
            if timer is not None:
                timer.cancel()

    def _due(self) -> list[Part]:
        """What is to be asked apart now."""
        now = self.clock.time()
        return [part for part in self._again if part.at <= now]

    def _next(self) -> Batch:
        """The next codes to ask about."""
        offers = {turn: one for turn in self._turns if (one := self._offer(turn)) is not None}
        turn = next((turn for turn, one in offers.items() if one.awaited), next(iter(offers)))
        batch = offers[turn]
        self._turns.remove(turn)
        self._turns.append(turn)
        if turn is None:
            self._again.remove(batch.part)
            return batch
        self._batches += 1
        for code in batch.part.codes:
            del self._waiting[turn][code]
            self._served[turn].update(dict.fromkeys(self.awaited(turn, code), self._batches))
        return batch

    def _offer(self, turn: Family | None) -> Batch | None:
        """What would be asked about if that were next."""
        if turn is not None:
            return self._batch(turn) if self._waiting[turn] else None
        parts = [
            Batch(part, any(self.awaited(part.family, code) for code in part.codes), apart=True)
            for part in self._due()
        ]
        # What upstream fails at comes last.
        return max(parts, key=lambda one: (one.awaited, not one.part.wait), default=None)

    def _batch(self, family: Family) -> Batch:
        """The next codes of a family: whoever was served before is behind those who were not."""
        lists: dict[str, list[str]] = {}
        nobodys = []
        for code in self._waiting[family]:
            whose = self.awaited(family, code)
            for who in whose:
                lists.setdefault(who, []).append(code)
            if not whose:
                nobodys.append(code)
        served = self._served[family] = {who: self._served[family].get(who, 0) for who in lists}
        fair = in_turn(lists[who] for who in sorted(lists, key=served.__getitem__))
        return Batch(Part(family, tuple([*fair, *nobodys][: self.most])), bool(lists))

    async def _ask(self, batch: Batch) -> None:
        """Raises ClientError where upstream is to be left alone for a while."""
        part = batch.part
        family, codes, *_ = part
        try:
            found = await self.inquiry.ask(family, codes)
        except RequestRefused as error:
            self.heard(None)
            self._failures = 0
            self._refused_list(part, error)
            return
        except (TooManyRequests, Unauthorized) as error:  # which no code has to do with
            self._put_back(batch)
            self.heard(error)
            raise
        except ClientError as error:
            self.heard(error)
            self._failed(part, error)
            return
        except BaseException:
            self._put_back(batch)
            raise
        self.heard(None)
        self._failures = 0
        self.found(family, found)
        for instrument in found.instruments:
            self._resolve(family, instrument.code, instrument)
            self._note("codes learned from upstream", instrument.code)
        if unsure := found.unsure:
            # Apart from what upstream has, so that it refuses the rest or, if it has some of them, in halves.
            is_half = not found.instruments and len(unsure) > 1
            self._again += (Part(family, part) for part in (halves(unsure) if is_half else [unsure]))
        answered = {*unsure, *(one.code for one in found.instruments)}
        self.refuse(family, (code for code in codes if code not in answered), CODE_INVALID.code)
        if not self._again:
            self._said = ""

    def _put_back(self, batch: Batch) -> None:
        """These were not asked about."""
        family, codes, *_ = batch.part
        if batch.apart:
            self._again.appendleft(batch.part)
        else:
            self._waiting[family] = dict.fromkeys(codes) | self._waiting[family]

    def _refused_list(self, part: Part, error: RequestRefused) -> None:
        """Upstream refuses all of these: it has none of them, or what keeps it from answering may be one of
        them, or how many they are."""
        if error.ret in FINAL:
            self.refuse(part.family, part.codes, error.ret)
        elif len(part.codes) > 1:
            self._again += (Part(part.family, half) for half in halves(part.codes))
        else:
            # Its words may hold a secret.
            self._remember(part.family, part.codes, ret_of(error.ret), BRIEFLY, "upstream refuses codes")

    def _failed(self, part: Part, error: ClientError) -> None:
        """Upstream fails at these. Raises the error if it fails at whatever it is asked."""
        if not part.wait:
            self._failures += 1
        if len(part.codes) == 1:
            wait = part.wait or RETRY
            again = self.clock.time() + wait
            self._again.append(part._replace(at=again, wait=min(2 * wait, MOST_ALONE)))
        elif may_be_one(error, self._failures):
            self._again += (Part(part.family, half) for half in halves(part.codes))
        else:
            self._again.append(part)
        if error.retry_after is not None or (self._failures >= IN_A_ROW and not part.wait):
            raise error
        self._tell_failure(error)

    def _tell_failure(self, error: ClientError) -> None:
        if (reason := type(error).__name__) != self._said:
            self._said = reason
            log.warning(
                "upstream does not say what codes are, it is asked again",
                source=self.source,
                codes=len(self._futures),
                reason=reason,
            )

    async def _name(self) -> None:
        """Asks what stocks are called; they do without where upstream does not know it."""
        codes = tuple(self._nameless)[: self.most]
        try:
            self.named(await self.inquiry.names(codes))
        except RequestRefused:
            pass
        except ClientError as error:
            if self._name_wait == NAME_RETRY:
                log.info(
                    "upstream does not say what stocks are called, it is asked again",
                    source=self.source,
                    codes=len(self._nameless),
                    reason=type(error).__name__,
                )
            self._name_at = self.clock.time() + max(self._name_wait, error.retry_after or 0.0)
            self._name_wait = min(2 * self._name_wait, MOST_NAME_RETRY)
            return
        self._name_wait = NAME_RETRY
        for code in codes:
            self._nameless.pop(code, None)

    def name(self, code: str) -> None:
        """Asks what a stock is called, when nobody waits for anything."""
        self._nameless[code] = None
        self._some.set()

    def refuse(self, family: Family, codes: Iterable[str], ret: int) -> None:
        """Upstream has none of these for us (600 or 604), be it that they were asked for otherwise."""
        answer = CODE_UNAUTHORIZED if ret == CODE_UNAUTHORIZED.code else CODE_INVALID
        self.refused += self._remember(family, codes, answer, REFUSED, "upstream has no such codes")

    def _remember(self, family: Family, codes: Iterable[str], answer: Ret, seconds: float, event: str) -> int:
        """Tells who waits, and whoever asks in so many seconds; returns of how many codes that is new."""
        until, count = self.clock.time() + seconds, 0
        for code in codes:
            if self.refusal(family, code) is None:
                count += 1
                self._note(event, code)
            self._refused[family, code] = until, answer
            self._refused.move_to_end((family, code))
            self._resolve(family, code, answer)
        while len(self._refused) > MOST_REFUSED:
            self._refused.popitem(last=False)
        return count

    def _resolve(self, family: Family, code: str, answer: Instrument | Ret) -> None:
        future = self._futures.pop((family, code), None)
        if future is not None and not future.done():
            future.set_result(answer)

    def report(self, *, last: bool = False) -> None:
        """Says what was found since the last time: one line for many, and not too often but for the last."""
        now = self.clock.time()
        if now - self._told < REPORT and not last:
            return
        if self._untold:
            self._told = now
        untold, self._untold = self._untold, {}
        for event, (count, first) in untold.items():
            log.info(event, source=self.source, codes=count, first=first)

    def _note(self, event: str, code: str) -> None:
        count, first = self._untold.get(event, (0, []))
        self._untold[event] = count + 1, [*first, code][:SHOWN]
