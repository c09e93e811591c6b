"""The instruments a server knows, by code, and the other names some of them go by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol

import msgspec

from ..errors import InputError
from .instrument import Family, Instrument
from .nearest import nearest

ALIASES = {"XAUUSD": "GOLD", "XAGUSD": "Silver"}
"""Names that many programs ask for, and the codes they mean (protocol, introduction)."""


class Listing(Protocol):
    """Instruments that are read when somebody looks at them."""

    def __iter__(self) -> Iterator[str]:
        """Their codes."""

    def read(self, code: str) -> Instrument:
        """One of them."""

    def names(self, code: str) -> Iterable[str]:
        """What one of them is called, found faster than by reading it."""


class Catalogue:
    """Instruments by code. Codes are case-sensitive; an alias is known wherever its code is."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        aliases: Mapping[str, str] = ALIASES,
        listing: Listing | None = None,
    ) -> None:
        """Instruments that `listing` has too take their place in it."""
        self._listing = listing
        self._by_code: dict[str, Instrument | None] = dict.fromkeys(listing or ())  # None: not read yet
        self._by_code |= {instrument.code: instrument for instrument in instruments}
        self._names = aliases
        self._copies = [self]  # all that know what is declared, this one among them
        self._texts: dict[str, str] = {}  # what a search looks in
        self._watchers: list[Callable[[Instrument], None]] = []
        self._taught: dict[str, None] = {}
        self._aliases = {
            name: code
            for name, code in aliases.items()
            if code in self._by_code and name not in self._by_code
        }

    def __iter__(self) -> Iterator[Instrument]:
        return map(self.__getitem__, list(self._by_code))

    def __len__(self) -> int:
        return len(self._by_code)

    def __contains__(self, code: object) -> bool:
        return code in self._by_code

    def __getitem__(self, code: str) -> Instrument:
        found = self._by_code[code]
        if found is None:
            assert self._listing is not None  # noqa: S101
            found = self._by_code[code] = self._listing.read(code)
        return found

    def taught(self) -> list[Instrument]:
        """What it did not know, or in other numbers, when it was made."""
        return [self[code] for code in self._taught]

    def watch(self, watcher: Callable[[Instrument], None]) -> Callable[[], None]:
        """Tells of each instrument that is new, or known in other numbers, from now on; returns what ends
        that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def listed(self, after: str = "", search: str = "") -> Iterator[Instrument]:
        """The instruments behind one of that code ("" for all), in whose code, alias or name the text stands.

        An instrument keeps its place, and new ones come last. Raises KeyError for an unknown code.
        """
        if after and after not in self._by_code:
            raise KeyError(after)
        text, codes = search.casefold(), list(self._by_code)
        begin = codes.index(after) + 1 if after else 0
        return (self[code] for code in codes[begin:] if not text or text in self._text(code))

    def _text(self, code: str) -> str:
        text = self._texts.get(code)
        if text is None:
            aliases = [name for name, meant in self._names.items() if meant == code]
            one = self._by_code[code]
            if one is not None:
                names: Iterable[str] = (one.name_en, one.name_cn, one.name_hk)
            else:
                names = self._listing.names(code) if self._listing is not None else ()
            text = self._texts[code] = "\n".join((code, *names, *aliases)).casefold()
        return text

    def nearest(self, name: str) -> str | None:
        """The code or alias that somebody may have meant by an unknown name, see `nearest`.

        Takes some hundredths of a second where there are thousands.
        """
        return nearest(name, (*self._aliases, *self._by_code))

    def add(self, instrument: Instrument) -> None:
        """Learns a new instrument, and the other names of it, while in use.

        Raises InputError if its code, or another name, is known: what a name stands for never changes.
        """
        code = instrument.code
        if code in self._by_code or code in self._aliases:
            raise InputError(f"The code {code} is in use: it stands for {self._aliases.get(code, code)}.")
        self._by_code[code] = instrument
        for name, meant in self._names.items():
            if meant == code and name not in self._by_code:
                self._aliases[name] = code
        self._tell(instrument)

    def knows_of(self, name: str) -> bool:
        """Whether a code or another name is in use, here or in a copy."""
        return any(name in one._by_code or name in one._aliases for one in self._copies)

    def declare(self, instrument: Instrument) -> None:
        """Knows a new instrument while in use, here and in all copies, see `add`."""
        for one in self._copies:
            one.add(instrument)

    def redefine(self, instrument: Instrument) -> None:
        """Knows an instrument in other numbers or under other names: the code stands for the same. Raises
        KeyError for an unknown code."""
        if instrument.code not in self._by_code:
            raise KeyError(instrument.code)
        self._by_code[instrument.code] = instrument
        self._texts.pop(instrument.code, None)
        self._tell(instrument)

    def _tell(self, instrument: Instrument) -> None:
        self._taught[instrument.code] = None
        for watcher in self._watchers:
            watcher(instrument)

    def find(self, family: Family, name: str, *, aliases: bool = True) -> Instrument | None:
        """What the name stands for on that family's paths, or None if it is unknown there."""
        code = self._aliases.get(name, name) if aliases else name
        if code not in self._by_code:
            return None
        found = self[code]
        return found if found.family is family else None

    def copy(self) -> Catalogue:
        """Another catalogue of these instruments, which may learn others. What is declared in one is known in
        both."""
        instruments = [one for one in self._by_code.values() if one is not None]
        made = Catalogue(instruments, self._names, self._listing)
        made._copies, made._taught = self._copies, self._taught.copy()
        self._copies.append(made)
        return made

    def wider(self, decimals: Mapping[str, tuple[int, int]]) -> list[Instrument]:
        """Those of these codes whose instruments have fewer (price, volume) decimals, with as many. Raises
        KeyError for an unknown code."""
        found = []
        for code, (price, volume) in decimals.items():
            one = self[code]
            price, volume = max(price, one.price_decimals), max(volume, one.volume_decimals)
            if (price, volume) != (one.price_decimals, one.volume_decimals):
                found.append(msgspec.structs.replace(one, price_decimals=price, volume_decimals=volume))
        return found
