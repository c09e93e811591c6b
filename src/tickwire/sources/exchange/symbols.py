"""What the venues call our codes: the table that comes with Tickwire, and the user's own."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from importlib.resources import as_file, files
from pathlib import Path
from typing import TypeAlias

from ...errors import InputError, SettingsError
from ...files import CODE, read_table, read_toml

EVERY = ""
"""In place of a venue: all of them."""
NONE = ""
"""In place of a symbol: the code is not taken from there."""
SYMBOL = r"[!-+\--~]{0,64}"
VENUE = r"[a-z0-9]{0,32}"
PLAIN = {"code": CODE, "symbol": SYMBOL}
SHAPES = {3: PLAIN | {"venue": VENUE}, 2: PLAIN}
"""The columns of a CSV file, by their number."""

Line: TypeAlias = tuple[str, str, str]
"""A code, its symbol as ccxt writes it (`BTC/USDT` for a spot market), and the venue."""


def symbols_at(venue: str, lines: Collection[Line]) -> dict[str, str]:
    """The symbols of a venue by code: a later line counts more, one of the venue more than one of all.

    Raises SettingsError if two codes have the same: each trade would count for one of them only.
    """
    known = {code: symbol for which in (EVERY, venue) for code, symbol, at in lines if at == which}
    found = {code: symbol for code, symbol in known.items() if symbol != NONE}
    codes: dict[str, str] = {}
    for code, symbol in found.items():
        if (other := codes.setdefault(symbol, code)) != code:
            raise SettingsError(
                f"{other} and {code} are both {symbol} at {venue}. Give one of them an empty symbol."
            )
    return found


def load_symbols(own: Iterable[Path] = ()) -> list[Line]:
    """The table that comes with Tickwire, and after it the user's CSV or TOML files.

    Raises InputError that names file and line, or entry.
    """
    with as_file(files(__package__).joinpath("symbols.csv")) as built_in:
        lines = [*_csv_lines(built_in)]
    for path in own:
        lines += _toml_lines(path) if path.suffix.lower() == ".toml" else _csv_lines(path)
    return lines


def _csv_lines(path: Path) -> Iterator[Line]:
    for number, line in read_table(path, SHAPES):
        if isinstance(line, str):
            raise InputError(f"{path}, line {number}: expected code,symbol or code,symbol,venue.")
        code, symbol, *venue = line[1]
        yield code, symbol, venue[0] if venue else EVERY


def _toml_lines(path: Path) -> Iterator[Line]:
    document = read_toml(path, "the symbols in")
    entries = document.get("symbol")
    if set(document) != {"symbol"} or not isinstance(entries, list):
        raise InputError(f"{path}: expected nothing but [[symbol]] tables.")
    for number, entry in enumerate(entries, 1):
        fields = {"venue": EVERY} | entry if isinstance(entry, dict) else {}
        if set(fields) != set(SHAPES[3]) or not all(
            isinstance(value, str) and re.fullmatch(SHAPES[3][name], value) for name, value in fields.items()
        ):
            raise InputError(f"{path}, symbol {number}: expected code, symbol and, if need be, venue.")
        yield fields["code"], fields["symbol"], fields["venue"]
