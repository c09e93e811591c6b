"""The instruments a server knows, by code, and the other names some of them go by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from ..errors import InputError
from .instrument import Family, Instrument

ALIASES = {"XAUUSD": "GOLD", "XAGUSD": "Silver"}
"""Names that many programs ask for, and the codes they mean (protocol, introduction)."""


class Catalogue:
    """Instruments by code. Codes are case-sensitive; an alias is known wherever its code is."""

    def __init__(self, instruments: Iterable[Instrument], aliases: Mapping[str, str] = ALIASES) -> None:
        self._by_code = {instrument.code: instrument for instrument in instruments}
        self._listed = [*self._by_code.values()]
        self._places = {code: place for place, code in enumerate(self._by_code)}
        self._names = aliases
        self._texts = [self._text(one) for one in self._listed]  # what a search looks in, by place
        self._aliases = {
            name: self._by_code[code]
            for name, code in aliases.items()
            if code in self._by_code and name not in self._by_code
        }

    def __iter__(self) -> Iterator[Instrument]:
        return iter(self._by_code.values())

    def __len__(self) -> int:
        return len(self._by_code)

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def __getitem__(self, code: str) -> Instrument:
        return self._by_code[code]

    def listed(self, after: str = "", search: str = "") -> Iterator[Instrument]:
        """The instruments behind one of that code ("" for all), in whose code, alias or name the text stands.

        An instrument keeps its place, and new ones come last. Raises KeyError for an unknown code.
        """
        text = search.casefold()
        places = range(self._places[after] + 1 if after else 0, len(self._listed))
        return (self._listed[place] for place in places if text in self._texts[place])

    def _text(self, one: Instrument) -> str:
        aliases = [name for name, code in self._names.items() if code == one.code]
        return "\n".join((one.code, one.name_en, one.name_cn, one.name_hk, *aliases)).casefold()

    def add(self, instrument: Instrument) -> None:
        """Learns a new instrument, and the other names of it, while in use.

        Raises InputError if its code, or another name, is known: what a name stands for never changes.
        """
        code = instrument.code
        if (known := self._by_code.get(code) or self._aliases.get(code)) is not None:
            raise InputError(f"The code {code} is in use: it stands for {known.code}.")
        self._by_code[code] = instrument
        self._places[code] = len(self._listed)
        self._listed.append(instrument)
        self._texts.append(self._text(instrument))
        for name, meant in self._names.items():
            if meant == code and name not in self._by_code:
                self._aliases[name] = instrument

    def redefine(self, instrument: Instrument) -> None:
        """Knows an instrument in other numbers or under other names: the code stands for the same. Raises
        KeyError for an unknown code."""
        place = self._places[instrument.code]
        self._by_code[instrument.code] = self._listed[place] = instrument
        self._texts[place] = self._text(instrument)
        for name, one in self._aliases.items():
            if one.code == instrument.code:
                self._aliases[name] = instrument

    def find(self, family: Family, name: str, *, aliases: bool = True) -> Instrument | None:
        """What the name stands for on that family's paths, or None if it is unknown there."""
        found = self._by_code.get(name)
        if found is None and aliases:
            found = self._aliases.get(name)
        return found if found is not None and found.family is family else None

    def widened(self, decimals: Mapping[str, tuple[int, int]]) -> Catalogue:
        """A catalogue whose instruments have at least so many (price, volume) decimals, by code."""
        instruments = list(self._by_code.values())
        for place, one in enumerate(instruments):
            price, volume = decimals.get(one.code, (0, 0))
            if price > one.price_decimals or volume > one.volume_decimals:
                instruments[place] = msgspec.structs.replace(
                    one,
                    price_decimals=max(price, one.price_decimals),
                    volume_decimals=max(volume, one.volume_decimals),
                )
        return Catalogue(instruments)
