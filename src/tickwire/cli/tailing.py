"""Following a feed to standard output: what is printed of its events, and what is told beside them."""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Any

from ..client import (
    Account,
    Book,
    Event,
    Feed,
    Gap,
    Kline,
    LinkStatus,
    Options,
    Status,
    Trade,
    load_positions,
)
from ..client.errors import ClientError, RequestRefused, TooManyRequests, Unavailable, Untrusted
from ..client.shown import MOST_NAMED, codes_of, some, told_nearest
from ..model import Family, Kind
from ..store import load_catalogue
from ..wire import (
    ANY,
    CODE_INVALID,
    UNKNOWN,
    Happening,
    Key,
    MarketState,
    Pushed,
    Refusal,
    Spared,
    Subscribed,
    matches,
)
from .keeping import Keeping
from .output import Outlet, coloured, had_enough, json_line, note, visible
from .records import KINDS, Lines, record, spared_line

TOO_MANY = 429
QUIET = 10.0
"""Seconds after which codes of which nothing came are told."""
WAITING = 100_000
"""Events that wait while nobody reads the output; beyond it the oldest go, and a gap says so."""


async def follow(
    server: Account,
    streams: dict[str, Any],
    number: int | None,
    seconds: float | None,
    *,
    raw: bool,
    as_json: bool,
    resume: Path | None = None,
) -> None:
    """Prints what comes until `number` events or `seconds` are over. Raises ClientError, PositionsError.

    `streams` is what `Feed.subscribe` takes. It goes on behind the positions in the file `resume`, which is
    written when standard output has taken what was printed: a kill may print the last of it again.
    """
    positions = [] if resume is None else load_positions(resume)
    outlet, time = Outlet(), asyncio.get_running_loop().time
    end = None if seconds is None else time() + seconds
    frames: deque[str] | None = deque(maxlen=WAITING) if raw else None

    def overhear(frame: bytes, found: Sequence[Happening]) -> None:
        if frames is not None and any(type(one) in (Pushed, MarketState) for one in found):
            frames.append(frame.decode("utf-8", "replace").rstrip("\n") + "\n")

    options = Options(overhear=overhear if raw else None)
    async with Feed(server, buffer=WAITING, options=options, resume=positions) as feed:
        await feed.subscribe(**streams)
        keeping = None if resume is None else Keeping(resume, feed, outlet)  # what cannot be is told now
        tail = Tail(feed, number, frames, as_json=as_json, keeps=resume is not None)
        telling = asyncio.get_running_loop().call_later(QUIET, tail.tell_quiet, QUIET)
        try:
            while tail.left:
                async with asyncio.timeout_at(end):
                    await asyncio.sleep(0)  # where the time may be over though events never are
                    events = await feed.batch()
                lines = tail.lines(events)
                if lines and keeping is not None:
                    await keeping.write(lines, tail.printed, tail.unprinted)
                elif lines:
                    await outlet.write("".join(lines))
        except TimeoutError:
            tail.check(seconds or 0.0)
        except BrokenPipeError:
            had_enough()
        finally:
            telling.cancel()


class Tail:
    """What is printed of a feed's events, and what is told beside them.

    `left` is how many are still to be printed, `printed` the events of the last lines, `unprinted` what came
    beyond them. The feed has just been subscribed to what is wanted. Where there are `frames`, these messages
    are printed in place of the events. `keeps`: the positions of the feed are kept.
    """

    def __init__(
        self,
        feed: Feed,
        number: int | None,
        frames: deque[str] | None,
        *,
        as_json: bool,
        keeps: bool = False,
    ) -> None:
        self.left: float = inf if number is None else number
        self.printed: list[Event] = []
        self.unprinted: list[Event] = []
        self._keeps = keeps
        self._links = feed.links
        self._frames = frames
        self._as_json = as_json
        self._line = (
            (lambda event: json_line(record(event))) if as_json else Lines(colours=coloured(sys.stdout)).line
        )
        self._been_up: set[Family] = set()
        self._down: set[Family] = set()
        self._refused: set[tuple[Kind | None, Key]] = set()
        self._told: set[Refusal] = set()
        self._quiet = {*codes_of(key for _, key in self._wanted())}
        self._patterns = {code for code in self._quiet if ANY in code}

    def lines(self, events: Iterable[Event]) -> list[str]:
        """What to print of these, a text for each `printed`. Raises ClientError where it makes no sense to go
        on."""
        lines: list[str] = []
        unsaid: list[str] = []
        self.printed = []
        for event in events:
            if isinstance(event, MarketState) and event.state == UNKNOWN:
                unsaid.append(event.code)
            elif isinstance(event, (Trade, Book, Kline, MarketState)):
                if self._quiet:
                    self._heard(event.code)
                if not self.left:
                    self.unprinted.append(event)
                elif self._frames is None:
                    lines.append(self._line(event))
                    self.printed.append(event)
                    self.left -= 1
            elif isinstance(event, Gap):
                if self._as_json:
                    lines.append(json_line(record(event)))
                    self.printed.append(event)
                else:
                    note(_gap(event))
            elif isinstance(event, Spared):
                if self._as_json:
                    lines.append(json_line(record(event)))
                    self.printed.append(event)
                else:
                    note(spared_line(event) + ".")
            elif isinstance(event, Status):
                self._connection(event)
            elif isinstance(event, Refusal):
                self._refusal(event)
            elif isinstance(event, Subscribed) and self._keeps:
                self._check_resumes()
        while self._frames and self.left:
            lines.append(self._frames.popleft())
            self.left -= 1
        if unsaid:
            text = f"no states of {some(unsaid)}: only a Tickwire says what instruments do, of those it has"
            self._refuse(((None, code) for code in unsaid), RequestRefused(text))
            note(f"{text}.")
        return lines

    def check(self, seconds: float) -> None:
        """So much time has passed; says if nothing came. Raises Unavailable if there was no connection."""
        if self._links.keys() - self._been_up:
            raise Unavailable(f"no connection in {seconds:g} s")
        self.tell_quiet(seconds)

    def tell_quiet(self, seconds: float) -> None:
        """So much time has passed; says of which codes nothing came: an unknown one among others is dropped
        without a word (section 2)."""
        if self._quiet and self._been_up:
            codes = sorted(self._quiet)
            note(f"no event of {some(codes)} in {seconds:g} s: quiet, or no such code here{_meant(codes)}.")

    def _heard(self, code: str) -> None:
        self._quiet.discard(code)
        if self._patterns:
            meant = {one for one in self._patterns if matches(one, code)}
            self._patterns -= meant
            self._quiet -= meant

    def _check_resumes(self) -> None:
        """Says once if positions are kept in vain."""
        up = [link for link in self._links.values() if link.state.status is LinkStatus.UP]
        if any(not link.conversation.extended for link in up):
            self._keeps = False
            note("this server gives nothing of what was missed: only a Tickwire does. Nothing is kept of it.")

    def _connection(self, status: Status) -> None:
        """Raises Unavailable for a connection that could not be opened even once."""
        family = status.family
        if status.state is LinkStatus.UP:
            self._been_up.add(family)
            if family in self._down:
                self._down.discard(family)
                note(f"{family}: connected again.")
        elif status.state is LinkStatus.DOWN and status.again is not None:  # None: an error follows
            if family not in self._been_up:
                kind: type[ClientError] = Untrusted if status.untrusted else Unavailable
                if status.http_status == TOO_MANY:
                    kind = TooManyRequests
                raise kind(status.reason, status=status.http_status)
            if family not in self._down:
                self._down.add(family)
                note(f"{family}: {status.reason}; connecting again.")

    def _refusal(self, refusal: Refusal) -> None:
        """Raises RequestRefused if nothing else is wanted."""
        codes = codes_of(refusal.keys)
        text = f"no {KINDS[refusal.kind]}s of {some(codes)}: {refusal.msg} ({refusal.ret})"
        if refusal.ret == CODE_INVALID.code:
            text += _meant(codes)
        if refusal.kind is Kind.KLINE:
            text += ". Only a Tickwire pushes K-lines; `tickwire kline` reads those of any server"
        if refusal.again is None:
            self._quiet.difference_update(codes)
            refused = RequestRefused(text, ret=refusal.ret, msg=refusal.msg)
            self._refuse(((refusal.kind, key) for key in refusal.keys), refused)
        if refusal not in self._told:
            self._told.add(refusal)
            note(f"{text}.")

    def _refuse(self, these: Iterable[tuple[Kind | None, Key]], refusal: RequestRefused) -> None:
        """Raises the refusal if nothing else is wanted."""
        self._refused.update(these)
        if self._refused >= self._wanted():
            raise refusal

    def _wanted(self) -> set[tuple[Kind | None, Key]]:
        """Streams, and, without a kind, the instruments that are followed."""
        talks = [link.conversation for link in self._links.values()]
        streams = {(kind, key) for talk in talks for kind in Kind for key in talk.wanted(kind)}
        return {*streams, *((None, code) for talk in talks for code in talk.followed)}


def _meant(codes: Sequence[str]) -> str:
    """Which codes may have been meant by unknown ones, as far as Tickwire's own catalogue says."""
    catalogue = load_catalogue()
    found = {
        code: near
        for code in codes[:MOST_NAMED]
        if code not in catalogue and (near := catalogue.nearest(code))
    }
    if not found:
        return ""
    return f", {told_nearest(found)} (by Tickwire's own catalogue)"


def _gap(gap: Gap) -> str:
    what = f"{KINDS[gap.kind]}s of {gap.code}" if gap.kind is not None else "events"
    if gap.begin and gap.end:
        what += f" from {gap.begin.isoformat()} to {gap.end.isoformat()}"
    many = "" if gap.missed is None else f"{gap.missed} "
    return f"gap: {many}{what} may be missing: {visible(gap.reason)}."
