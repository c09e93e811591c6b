"""Instruments that publishers have defined, and those that sources have learned: rows of the database."""

from __future__ import annotations

import msgspec

from ..model import Catalogue, Instrument
from .file import File
from .rows import INSTRUMENT, Altered, fetch, sealed

ALL = f"SELECT {INSTRUMENT.all} FROM instrument ORDER BY code"  # noqa: S608


class InstrumentStore:
    """The defined and learned instruments of a data directory, as JSON.

    What one source has learned of a code, what another one has, and what a publisher has defined stand in
    rows of their own: a source's name before the code, which holds no space, makes the key.

    Methods may be called from any thread, and raise StoreError if the store cannot be used.
    """

    def __init__(self, file: File) -> None:
        self._file = file
        self._altered = Altered(file.name)

    def put(self, instrument: Instrument) -> None:
        """Keeps an instrument, in place of the one of its code that is as this one defined, or learned by the
        same source."""
        key = f"{instrument.learned} {instrument.code}".lstrip()
        with self._file.writing() as connection:
            connection.execute(INSTRUMENT.put, sealed((key, msgspec.json.encode(instrument).decode())))

    def instruments(self) -> list[Instrument]:
        """All of them that can be read, by code."""
        with self._file.reading() as connection:
            rows = fetch(connection, ALL)
        return self._altered.read(INSTRUMENT, rows, lambda row: msgspec.json.decode(row[1], type=Instrument))

    def teach(self, catalogue: Catalogue) -> None:
        """Adds those that publishers have defined to a catalogue; where it has one of the same code, as from
        a file, that stays."""
        for instrument in self.instruments():
            if not instrument.learned and instrument.code not in catalogue:
                catalogue.add(instrument)

    def learned(self, source: str | None = None) -> list[Instrument]:
        """Those that a source has learned; without one, those of any."""
        return [one for one in self.instruments() if one.learned and source in (None, one.learned)]
