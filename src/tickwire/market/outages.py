"""When a source was down: marked in its bars, kept in the gap ledger, and filled where that can be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial

from ..calendars import KEYS, load
from ..klines import Closed
from ..model import Catalogue, Instrument, Market
from ..sources import Began, Broke, Source
from ..store import Backlog, GapStore
from .backfill import Backfill
from .bars import Bars

NOT_RUNNING = "the server did not run"
UNCERTAIN = 2_000
"""Milliseconds of rest before a start that say nothing: until when a server ran is known to the second."""


@dataclass
class Entry:
    """A gap of the ledger: the codes of a market that went missing together.

    `missing` are those that are not back, `unfilled` those whose bars lack what was missed.
    """

    market: Market
    codes: tuple[str, ...]
    begin: int
    reason: str
    number: int = 0
    missing: set[str] = field(default_factory=set)
    unfilled: set[str] = field(default_factory=set)


class Outages:
    """The outages of one source. Times are in milliseconds of the market's clock."""

    def __init__(
        self,
        source: Source,
        bars: Bars,
        catalogue: Catalogue,
        gaps: GapStore,
        backlog: Backlog,
        *,
        revised: Callable[[Iterable[Closed]], None],
        backfill: Backfill | None = None,
    ) -> None:
        """`backlog` writes what goes into `gaps`; `revised` is called with closed bars that turn out to be
        incomplete."""
        self._source = source
        self._bars = bars
        self._catalogue = catalogue
        self._gaps = gaps
        self._revised = revised
        self._backfill = backfill
        self._since: dict[str, tuple[int, str]] = {}  # since when a code is missing, and why
        self._entries: list[Entry] = []
        self._backlog = backlog
        self._complete: set[str] = set()  # codes that have begun and not broken since

    def failed(self, reason: str) -> None:
        """The source has failed: of all codes that came from it trades are missing until it is back."""
        at = self._source.market_time()
        if self._source.live:
            gone = [*self._complete]
        else:
            gone = [code for code in self._source.codes if code not in self._since]
        self.broke(Broke(tuple(gone), at, reason))

    def recovered(self) -> None:
        """A source that is not live is back after it had failed."""
        if self._since and not self._source.live:
            self.began(Began(tuple(self._since), self._source.market_time()))

    def broke(self, news: Broke) -> None:
        """Trades are missing from now on."""
        self._complete.difference_update(news.codes)
        gone = [self._catalogue[code] for code in news.codes]
        for one in gone:
            self._since[one.code] = news.at, news.reason
            self._revised(self._bars.hole(one, news.at, None))
        if news.reason:
            self._enter(gone, news.at, news.at, news.reason)
        else:  # nobody wants them back
            self._settle(news.codes, news.at)

    def began(self, news: Began) -> None:
        """Trades are complete from now on."""
        self._complete.update(news.codes)
        back = [self._catalogue[code] for code in news.codes]
        unnoticed: defaultdict[tuple[int, str], list[Instrument]] = defaultdict(list)
        noticed = {code for entry in self._entries for code in entry.missing}
        for one in back:
            since, reason = self._since.pop(one.code, (None, ""))
            begin = since
            if begin is None and (self._backfill is None or not self._backfill.knows(one)):
                begin = 0
            self._revised(self._bars.hole(one, begin, news.at))
            if self._backfill is not None:
                self._backfill.hole(one, since, news.at)
            if since is not None and reason and one.code not in noticed:
                unnoticed[since, reason].append(one)
        for (since, reason), instruments in unnoticed.items():
            self._enter(instruments, since, news.at, reason)
        self._settle(news.codes, news.at)

    def filled(self, code: str) -> None:
        """The bars of a code have no hole any more."""
        now = self._source.market_time()
        for entry in [*self._entries]:
            if code in entry.unfilled and code not in entry.missing:
                entry.unfilled.discard(code)
                if not entry.unfilled:
                    self._entries.remove(entry)
                    self._backlog.put(partial(self._fill, entry, now))

    def start(self) -> None:
        """Closes what an earlier run left open, and enters the time in which none ran."""
        begin, now = (1000 * at for at in self._bars.down)
        self._backlog.put(partial(self._close_old, now or self._source.market_time()))
        if begin and now - begin > UNCERTAIN:
            instruments = [self._catalogue[code] for code in sorted(self._source.codes)]
            self._enter(instruments, begin, now, NOT_RUNNING)
            if not self._source.live:
                self._settle([one.code for one in instruments], now)

    def _close_old(self, now: int) -> None:
        for gap in self._gaps.open_gaps(self._source.name):
            self._gaps.end(gap.number, now)

    def _enter(self, instruments: Iterable[Instrument], begin: int, end: int, reason: str) -> None:
        """Begins an entry for each market that was open at any time up to `end`."""
        by_market: defaultdict[Market, list[str]] = defaultdict(list)
        for one in instruments:
            if self._was_open(one, begin, end):
                by_market[one.market].append(one.code)
        for market, codes in by_market.items():
            entry = Entry(market, tuple(codes), begin, reason, missing={*codes}, unfilled={*codes})
            self._entries.append(entry)
            self._backlog.put(partial(self._open, entry))

    def _open(self, entry: Entry) -> None:
        if entry.number:  # a call that took too long has come to its end all the same
            return
        entry.number = self._gaps.open(
            self._source.name, entry.market, entry.codes, entry.begin, entry.reason
        )

    def _end(self, entry: Entry, at: int) -> None:
        self._gaps.end(entry.number, at)  # which is known by now

    def _fill(self, entry: Entry, at: int) -> None:
        self._gaps.fill(entry.number, at)

    def _settle(self, codes: Iterable[str], at: int) -> None:
        """These are not missing any more: ends the entries of which all are back."""
        for entry in [*self._entries]:
            if entry.missing:
                entry.missing.difference_update(codes)
                if not entry.missing:
                    self._backlog.put(partial(self._end, entry, at))
                    if self._backfill is None:
                        self._entries.remove(entry)

    def _was_open(self, instrument: Instrument, begin: int, end: int) -> bool:
        if self._source.round_the_clock or instrument.calendar not in KEYS:
            return True
        calendar = load(instrument.calendar)
        return calendar.is_open(begin) or (calendar.next_open(begin) or end) < end
