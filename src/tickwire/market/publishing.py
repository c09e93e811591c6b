"""What client sides are asked to publish, on its way into its source."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..bus import NotKept
from ..errors import SourceError, StoreError
from ..model import Instrument
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

    async def tally(self, publisher: str) -> Tally:
        """A tally for lines to come. Raises SourceError."""
        source = self._source()
        return source.tally(source.publishers.named(publisher))

    async def publish(
        self,
        publisher: str,
        lines: Sequence[bytes],
        tally: Tally,
        *,
        allows: Callable[[Instrument], bool] | None = None,
        patience: float | None = None,
    ) -> None:
        """See `bus.Supplier`."""
        source = self._source()
        known = source.publishers.named(publisher)
        try:
            await source.take(known, lines, tally, allows=allows, patience=patience)
        except StoreError:
            raise NotKept(known.missing) from None

    def _source(self) -> Published:
        if self.source is None:
            raise SourceError("Nothing is published here.")
        return self.source
