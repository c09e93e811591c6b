"""What is missing of one source, from when on and since when no more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from ...klines import Closed
from ...model import Catalogue, Instrument
from ...sources import Began, Broke, Mended, Source
from ..bars import Bars
from .backfill import Backfill
from .ledger import Ledger

NOT_RUNNING = "the server did not run"
UNCERTAIN = 2_000
"""Milliseconds of rest before a start that say nothing: until when a server ran is known to the second."""


class Missing:
    """The outages of one source. Times are in milliseconds of the market's clock.

    Bars of an outage are incomplete until they are filled. What tells of one returns those that have closed
    and are incomplete now.
    """

    def __init__(
        self,
        source: Source,
        bars: Bars,
        catalogue: Catalogue,
        ledger: Ledger,
        backfill: Backfill | None = None,
    ) -> None:
        """`backfill` is that of a source with a history."""
        self.backfill = backfill
        self._source = source
        self._bars = bars
        self._catalogue = catalogue
        self._ledger = ledger
        self._since: dict[str, tuple[int, str]] = {}  # since when a code is missing, and why
        self._complete: set[str] = set()  # codes that have begun and not broken since
        self.resumed = 0
        """Outages of a code whose trades came after all."""
        self.gaps = 0
        """Outages of a code that left a hole, to be filled from the source's history if it has one."""

    def start(self) -> None:
        """Closes what an earlier run left open, and enters the time in which none ran."""
        begin, now = (1000 * at for at in self._bars.down)
        self._ledger.close_old(now or self._source.market_time())
        if begin and now - begin > UNCERTAIN:
            coming = {*self._source.codes}
            others = {code for code in self._bars.stored if code in self._catalogue} - coming
            for codes in (coming, others):
                self._ledger.enter((self._catalogue[code] for code in sorted(codes)), begin, now, NOT_RUNNING)
            self._ledger.settle(others if self._source.live else others | coming, now)

    def failed(self, reason: str) -> list[Closed]:
        """The source has failed: of all codes that came from it trades are missing until it is back."""
        if self._source.live:
            gone = [*self._complete]
        else:
            gone = [code for code in self._source.codes if code not in self._since]
        return self.broke(Broke(tuple(gone), self._source.market_time(), reason))

    def recovered(self) -> list[Closed]:
        """A source that is not live is back after it had failed."""
        return self.began(Began(tuple(self._since), self._source.market_time()))

    def broke(self, news: Broke) -> list[Closed]:
        """Trades are missing from now on."""
        closed: list[Closed] = []
        self._complete.difference_update(news.codes)
        gone = [self._catalogue[code] for code in news.codes]
        for one in gone:
            self._since[one.code] = news.at, news.reason
            closed += self._bars.hole(one, news.at, None)
        if news.reason:
            self._ledger.enter(gone, news.at, news.at, news.reason)
        else:  # nobody wants them back
            self._ledger.settle(news.codes, news.at)
        return closed

    def lost(self, codes: Iterable[str]) -> list[str]:
        """Those of these that somebody wants, and that are missing."""
        return [code for code in codes if self._since.get(code, (0, ""))[1]]

    def began(self, news: Began) -> list[Closed]:
        """Trades are complete from now on."""
        closed: list[Closed] = []
        for one, since, reason in self._back(news):
            self.gaps += bool(reason)
            begin = since
            if begin is None and (self.backfill is None or not self.backfill.knows(one)):
                begin = 0
            closed += self._bars.hole(one, begin, news.at)
            if self.backfill is not None:
                self.backfill.hole(one, since, news.at)
        self._ledger.settle(news.codes, news.at)
        return closed

    def mended(self, news: Mended) -> list[Closed]:
        """What was missed comes after all, and nothing is missing."""
        closed: list[Closed] = []
        for one, _, reason in self._back(news):
            closed += self._bars.mend(one)
            self.resumed += bool(reason)
        self._ledger.mended(news.codes, news.at)
        return closed

    def _back(self, news: Began | Mended) -> list[tuple[Instrument, int | None, str]]:
        """These are not missing any more: since when each was, if it was, and why. The ledger hears of those
        whose market was closed when they went missing, and opened since."""
        self._complete.update(news.codes)
        entered = self._ledger.missing
        unnoticed: defaultdict[tuple[int, str], list[Instrument]] = defaultdict(list)
        found: list[tuple[Instrument, int | None, str]] = []
        for one in [self._catalogue[code] for code in news.codes]:
            since, reason = self._since.pop(one.code, (None, ""))
            found.append((one, since, reason))
            if since is not None and reason and one.code not in entered:
                unnoticed[since, reason].append(one)
        for (since, reason), instruments in unnoticed.items():
            self._ledger.enter(instruments, since, news.at, reason)
        return found
