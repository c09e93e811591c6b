"""How deep the bars of one source reach."""

from __future__ import annotations

from ...model import Instrument, KlineType
from ..bars import Archive


class Depths:
    """The depth of a type is the open time from which on all of its bars are there; 0 says that the source
    has none before. A type without a depth was not fetched yet. They are kept with the bars."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._depths: dict[str, dict[KlineType, int]] = {}

    def of(self, instrument: Instrument) -> dict[KlineType, int]:
        """Those of an instrument, by type; what is changed in it is kept with the next `note`."""
        found = self._depths.get(instrument.code)
        if found is None:
            noted = self._archive.noted(f"depth:{instrument.code}") or ""
            pairs = (pair.split(":") for pair in noted.split())
            found = self._depths[instrument.code] = {KlineType(int(one)): int(at) for one, at in pairs}
        return found

    def note(self, instrument: Instrument) -> None:
        """Keeps those of an instrument as they are now."""
        text = " ".join(f"{int(kline_type)}:{at}" for kline_type, at in self.of(instrument).items())
        self._archive.note(f"depth:{instrument.code}", text)
