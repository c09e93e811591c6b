"""Loads instruments: those that come with Tickwire, and the user's own from TOML or CSV files."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any

import msgspec

from ..calendars import KEYS
from ..errors import InputError
from ..files import read_text, read_toml
from ..model import QUANTA, RULES, Catalogue, Instrument, Market

A_SHARE_LOT = 100
MAX_PRICE = 10**15
REQUIRED = ("code", "market")


SHIPPED = ("catalogue.csv", "listed.csv")
"""The first is kept by hand, the second written by scripts/make_listed.py."""


def load_catalogue(own: Iterable[Path] = ()) -> Catalogue:
    """The catalogue, with the user's instruments added or put in place of those of the same code.

    Raises InputError that names file, entry and field.
    """
    shipped = _shipped()
    return Catalogue(_own(own, shipped).values(), listing=shipped)


def load_instruments(own: Iterable[Path]) -> dict[str, Instrument]:
    """The user's instruments alone, by code. Raises InputError, see `load_catalogue`."""
    return _own(own, _shipped())


def _own(own: Iterable[Path], shipped: _Shipped) -> dict[str, Instrument]:
    instruments: dict[str, Instrument] = {}
    for where, row in chain.from_iterable(map(_rows, own)):
        code = row.get("code", "")
        before = instruments.get(code) or (shipped.read(code) if code in shipped else None)
        one = _instrument(row, before, where)
        instruments[one.code] = one
    return instruments


class _Shipped:
    """The instruments that come with Tickwire, as lines of text: a `Listing`."""

    def __init__(self) -> None:
        self._tables: list[tuple[bytes, dict[str, bytes]]] = []  # a header, and the lines below it by code
        self._read: dict[str, Instrument] = {}  # what has been read, for all catalogues that look at it
        for name in SHIPPED:
            header, *lines = files(__package__).joinpath(name).read_bytes().splitlines()
            self._tables.append((header, {line.partition(b",")[0].decode(): line for line in lines}))

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(lines for _, lines in self._tables)

    def __contains__(self, code: str) -> bool:
        return any(code in lines for _, lines in self._tables)

    def read(self, code: str) -> Instrument:
        found = self._read.get(code)
        if found is None:
            ((where, row),) = _csv_rows(self._text(code), f"catalogue, {code}")
            found = self._read[code] = _instrument(row, None, where)
        return found

    def names(self, code: str) -> Iterable[str]:
        header, row = csv.reader(self._text(code).splitlines())
        return (value for name, value in zip(header, row, strict=True) if name.startswith("name_"))

    def _text(self, code: str) -> str:
        header, line = next((header, lines[code]) for header, lines in self._tables if code in lines)
        return f"{header.decode()}\n{line.decode()}"


@cache
def _shipped() -> _Shipped:
    """For all catalogues of the process: to read it takes 10 ms."""
    return _Shipped()


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The entries of a user's file as text, each with the place where it stands."""
    if path.suffix.lower() == ".csv":
        yield from _csv_rows(read_text(path, "the instruments in"), str(path))
        return
    if path.suffix.lower() != ".toml":
        raise InputError(f"{path}: instruments come from a .toml or a .csv file.")
    document = read_toml(path, "the instruments in", parse_float=Decimal)
    entries = document.get("instrument")
    if (
        set(document) != {"instrument"}
        or not isinstance(entries, list)
        or not all(isinstance(entry, dict) for entry in entries)
    ):
        raise InputError(f"{path}: expected nothing but [[instrument]] tables.")
    for number, entry in enumerate(entries, 1):
        where = f"{path}, instrument {number}"
        try:
            yield where, {key: str(value) for key, value in entry.items()}
        except (ValueError, RecursionError) as error:  # a number of thousands of digits, endless nesting
            raise InputError(f"{where}: {error}.") from error


def _csv_rows(text: str, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    rows = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if REQUIRED[0] not in (rows.fieldnames or ()):
            raise InputError(f"{name}, line 1: the column {REQUIRED[0]} is missing.")
        for row in rows:
            where = f"{name}, line {rows.line_num}"
            if None in row or None in row.values():
                raise InputError(f"{where}: not as many fields as the header has.")
            yield where, {key: value for key, value in row.items() if value}
    except csv.Error as error:
        raise InputError(f"{name}, line {max(rows.line_num, 1)}: {error}.") from error


def _instrument(row: dict[str, str], before: Instrument | None, where: str) -> Instrument:
    """The instrument of an entry. What it leaves out is as before, or as its market's rule says."""
    fields: dict[str, Any] = dict(row)
    if before is not None and row.get("market", before.market) == before.market:
        fields = msgspec.structs.asdict(before) | fields
    if missing := [name for name in REQUIRED if not fields.get(name)]:
        raise InputError(f"{where}: {missing[0]} is missing.")
    try:
        market = Market(fields["market"])
    except ValueError:
        known = ", ".join(Market)
        raise InputError(f"{where}: market {fields['market']!r} is none of {known}.") from None
    if "learned" in row:  # which nobody declares
        raise InputError(f"{where}: Object contains unknown field `learned`.")
    rules = RULES[market]
    defaults: dict[str, Any] = {"levels": rules.levels}
    if rules.price_decimals is not None:
        defaults |= {"price_decimals": rules.price_decimals, "volume_decimals": rules.volume_decimals}
    if market is Market.CN_STOCK or (market is Market.INDEX and fields.get("currency") == "CNY"):
        defaults["volume_unit"] = A_SHARE_LOT
    fields = defaults | fields
    fields.setdefault("turnover_decimals", fields.get("price_decimals"))
    if fields.get("price_decimals") is None or fields.get("volume_decimals") is None:
        raise InputError(f"{where}: price_decimals and volume_decimals are needed for {market}.")
    try:
        instrument = msgspec.convert(fields, Instrument, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"{where}: {error}.") from error
    if instrument.calendar and instrument.calendar not in KEYS:
        raise InputError(f"{where}: calendar {instrument.calendar[:32]!r} is none of {', '.join(KEYS)}.")
    price = instrument.reference_price
    if not (price.is_finite() and QUANTA[-1] <= price < MAX_PRICE):
        raise InputError(f"{where}: reference_price must be from {QUANTA[-1]:f} to below {MAX_PRICE}.")
    return instrument
