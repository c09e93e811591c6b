"""What client sides are asked to publish, on its way into its source."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import structlog

from ..bus import Stop, Taken
from ..errors import SourceError, StoreError
from ..model import Event, Instrument, Reach
from ..sources import Published
from ..wire import Standing, Tally
from .feeds import Feeds

MOST_NAMED = 20
"""Publishers that are named of those of whom not all is kept."""

log = structlog.get_logger()


class Publishing:
    """The source of what is published, where there is one."""

    def __init__(self, feeds: Feeds) -> None:
        self._feeds = feeds
        self.source = next((one.source for one in feeds if isinstance(one.source, Published)), None)
        self._ended = False

    def last(self) -> Iterator[tuple[Instrument, Event]]:
        """What was published last in an earlier run, of the codes that are to come from here."""
        if self.source is not None:
            for event in self.source.last.events():
                instrument = self.source.catalogue[event.code]
                if self._feeds.of(instrument).source is self.source:
                    yield instrument, event

    def end(self) -> None:
        """Says of whom not all that was taken is kept, after everything has been written that could be. May
        be called again."""
        if self._ended or self.source is None:
            return
        self._ended = True
        left = self.source.publishers.undurable()
        for name, durable, taken in left[:MOST_NAMED]:
            log.error(
                "not all of a publisher's is kept: it is to send again what follows",
                publisher=name,
                durable=durable,
                taken=taken,
            )
        if (more := len(left) - MOST_NAMED) > 0:
            log.error("nor is all of others' kept", publishers=more)

    def refusal(self, publisher: str) -> str | None:
        """See `bus.Known`."""
        if self.source is None:
            return ""
        try:
            self.source.publishers.named(publisher)
        except SourceError as error:
            return str(error)
        return None

    async def standing(self, publisher: str) -> Standing:
        """How a publisher stands. Raises SourceError."""
        source = self._source()
        return source.standing(source.publishers.named(publisher))

    async def publish(
        self,
        publisher: str,
        lines: Sequence[bytes],
        *,
        reach: Reach | None = None,
        patience: float | None = None,
    ) -> Taken:
        """See `bus.Supplier`."""
        source = self._source()
        known, tally = source.publishers.named(publisher), Tally()
        try:
            await source.take(known, lines, tally, reach=reach, patience=patience)
        except TimeoutError:
            return Taken(tally, Stop.BUSY)
        except StoreError:
            return Taken(tally, Stop.NOT_KEPT, known.missing)
        except SourceError:
            return Taken(tally, Stop.STOPS)
        return Taken(tally)

    def _source(self) -> Published:
        if self.source is None:
            raise SourceError("Nothing is published here.")
        return self.source
