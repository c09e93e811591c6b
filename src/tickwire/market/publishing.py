"""What client sides are asked to publish, on its way into its source."""

from __future__ import annotations

from collections.abc import Sequence

from ..bus import Stop, Taken
from ..errors import SourceError, StoreError
from ..model import Reach
from ..sources import Published
from ..wire import Standing, Tally
from .feeds import Feeds


class Publishing:
    """The source of what is published, where there is one."""

    def __init__(self, feeds: Feeds) -> None:
        self.source = next((one.source for one in feeds if isinstance(one.source, Published)), None)

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
