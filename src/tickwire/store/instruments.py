"""Instruments that publishers have defined: rows of the SQLite file."""

from __future__ import annotations

import msgspec

from ..errors import StoreError
from ..model import Catalogue, Instrument
from .sqlite_file import SqliteFile

PUT = "INSERT INTO instrument VALUES (?, ?) ON CONFLICT DO UPDATE SET definition = excluded.definition"

ALL = "SELECT code, definition FROM instrument ORDER BY code"


class InstrumentStore:
    """The defined instruments of a data directory, as JSON.

    Methods may be called from any thread, and raise StoreError if the store cannot be used.
    """

    def __init__(self, file: SqliteFile) -> None:
        self._file = file

    def put(self, instrument: Instrument) -> None:
        """Keeps an instrument, in place of the one of its code."""
        row = (instrument.code, msgspec.json.encode(instrument).decode())
        with self._file.writing() as connection:
            connection.execute(PUT, row)

    def instruments(self) -> list[Instrument]:
        """All of them, by code."""
        with self._file.reading() as connection:
            rows = connection.execute(ALL).fetchall()
        return [self._instrument(code, definition) for code, definition in rows]

    def teach(self, catalogue: Catalogue) -> None:
        """Adds all of them to a catalogue; where it has one of the same code, as from a file, that stays."""
        for instrument in self.instruments():
            if instrument.code not in catalogue:
                catalogue.add(instrument)

    def _instrument(self, code: str, definition: str) -> Instrument:
        try:
            return msgspec.json.decode(definition, type=Instrument)
        except ValueError as error:
            raise StoreError(
                f"{self._file.name} holds an instrument {code!r} that cannot be read: {error}. "
                "Delete its row from the table `instrument`, and define it again."
            ) from error
