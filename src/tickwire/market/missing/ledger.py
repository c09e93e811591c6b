"""The gap ledger of one source: which codes went missing together, from when to when, and why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial

from ...calendars import KEYS, load
from ...model import Instrument, Market
from ...sources import Source
from ...store import Backlog, GapStore


@dataclass
class Entry:
    """A gap of the ledger: the codes of a market that went missing together.

    `missing` are those that are not back, `unfilled` those whose bars lack what was missed. `number` is 0
    until it is written.
    """

    market: Market
    codes: tuple[str, ...]
    begin: int
    reason: str
    missing: set[str]
    unfilled: set[str]
    number: int = 0


class Ledger:
    """Times are in milliseconds of the market's clock."""

    def __init__(self, source: Source, gaps: GapStore, backlog: Backlog) -> None:
        """`backlog` writes what goes into `gaps`."""
        self._source = source
        self._gaps = gaps
        self._backlog = backlog
        self._entries: list[Entry] = []

    @property
    def missing(self) -> set[str]:
        """Codes of which it is entered that they are missing."""
        return {code for entry in self._entries for code in entry.missing}

    def close_old(self, at: int) -> None:
        """What an earlier run left open ends at that moment."""
        self._backlog.put(partial(self._close_old, at))

    def enter(self, instruments: Iterable[Instrument], begin: int, end: int, reason: str) -> None:
        """Begins an entry for each market that was open at any time up to `end`."""
        by_market: defaultdict[Market, list[str]] = defaultdict(list)
        for one in instruments:
            if self._was_open(one, begin, end):
                by_market[one.market].append(one.code)
        for market, codes in by_market.items():
            entry = Entry(market, tuple(codes), begin, reason, {*codes}, {*codes})
            self._entries.append(entry)
            self._backlog.put(partial(self._open, entry))

    def settle(self, codes: Collection[str], at: int) -> None:
        """These are not missing any more: ends the entries of which all are back."""
        for entry in [*self._entries]:
            if entry.missing:
                entry.missing.difference_update(codes)
                if not entry.missing:
                    self._backlog.put(partial(self._end, entry, at))
                    if self._source.history is None:  # its bars will never be filled
                        self._entries.remove(entry)

    def mended(self, codes: Collection[str], at: int) -> None:
        """All that was missed of these comes after all: they are back, and nothing is to be filled."""
        for entry in self._entries:
            entry.unfilled.difference_update(entry.missing.intersection(codes))
        whole = [entry for entry in self._entries if not entry.unfilled]
        self.settle(codes, at)
        self._entries = [entry for entry in self._entries if entry.unfilled]
        for entry in whole:
            self._backlog.put(partial(self._fill, entry, at))

    def filled(self, code: str) -> None:
        """The bars of a code have no hole any more."""
        now = self._source.market_time()
        for entry in [*self._entries]:
            if code in entry.unfilled and code not in entry.missing:
                entry.unfilled.discard(code)
                if not entry.unfilled:
                    self._entries.remove(entry)
                    self._backlog.put(partial(self._fill, entry, now))

    def _close_old(self, at: int) -> None:
        for gap in self._gaps.open_gaps(self._source.name):
            self._gaps.end(gap.number, at)

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

    def _was_open(self, instrument: Instrument, begin: int, end: int) -> bool:
        if self._source.round_the_clock or instrument.calendar not in KEYS:
            return True
        calendar = load(instrument.calendar)
        return calendar.is_open(begin) or (calendar.next_open(begin) or end) < end
