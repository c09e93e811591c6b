"""Where in a TOML text a value stands, which `tomllib` does not tell."""

from __future__ import annotations

import re
import tomllib
from typing import Any, TypeAlias

Path: TypeAlias = tuple[str | int, ...]
"""The keys and places in lists that lead to a value: `("step", 0, "codes")`."""

STRING = (
    r'"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'  # may end in two quotes of its own
    r"|'''(?:[^']|'(?!''))*+'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*+"'
    r"|'[^'\n]*+'"
)
SPACE = re.compile(r"(?:[\s,]|#[^\n]*+)*+")
HEADER = re.compile(rf"\[(\[?)((?:{STRING}|[^\"'\]])++)\]\]?", re.DOTALL)
KEY = re.compile(rf"((?:{STRING}|[^\"'=])++)=[ \t]*+", re.DOTALL)
SCALAR = re.compile(rf"(?:{STRING}|[^\"'\n,#\]}}]++)", re.DOTALL)
DEPTH = 10
"""Values further down stand where the one that holds them does."""


class Places:
    """The places of all values in a text that `tomllib` takes; it need not be checked again."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[Path, int] = {(): 0}
        self._read()

    def line(self, path: Path) -> int:
        """The line, from 1 on, where the value begins: its key or header; that of the nearest value around
        it if there is no such value."""
        while path not in self._found:
            path = path[:-1]
        return self._text.count("\n", 0, self._found[path]) + 1

    def _read(self) -> None:
        counts: dict[Path, int] = {}  # of the tables in each list that headers fill
        table: Path = ()
        at = self._skip(0)
        while at < len(self._text):
            if header := HEADER.match(self._text, at):
                *outer, last = parts(header[2])
                table = ()
                for key in outer:
                    table += (key,)
                    if table in counts:  # the last one so far
                        table += (counts[table] - 1,)
                table += (last,)
                if header[1]:
                    counts[table] = counts.get(table, 0) + 1
                    table += (counts[table] - 1,)
                self._mark(table, at)
                at = header.end()
            else:
                at = self._pair(at, table)
            at = self._skip(at)

    def _pair(self, at: int, table: Path) -> int:
        """Reads `key = value`; returns where it ends."""
        key = KEY.match(self._text, at)
        if key is None:
            return len(self._text)
        path = (*table, *parts(key[1]))
        self._mark(path, at)
        return self._value(key.end(), path)

    def _value(self, at: int, path: Path) -> int:
        """Reads a value; returns where it ends."""
        self._mark(path, at)
        opening = self._text[at : at + 1]
        if opening not in ("[", "{"):
            scalar = SCALAR.match(self._text, at)
            return scalar.end() if scalar else len(self._text)
        place = 0
        at = self._skip(at + 1)
        while at < len(self._text) and self._text[at] not in "]}":
            at = self._value(at, (*path, place)) if opening == "[" else self._pair(at, path)
            at = self._skip(at)
            place += 1
        return at + 1

    def _skip(self, at: int) -> int:
        """Where the space, commas and comments that begin here end."""
        space = SPACE.match(self._text, at)
        return space.end() if space else at

    def _mark(self, path: Path, at: int) -> None:
        """What has no line of its own, as `a` in `a.b = 1`, stands where it is first heard of."""
        for depth in range(1, min(len(path), DEPTH) + 1):
            self._found.setdefault(path[:depth], at)


def parts(key: str) -> list[str]:
    """The parts of a dotted key.

    >>> parts(" step . 'a.b' ")
    ['step', 'a.b']
    """
    found: list[str] = []
    inner: Any = tomllib.loads(f"{key.strip()} = 0")
    while isinstance(inner, dict):
        [(part, inner)] = inner.items()
        found.append(part)
    return found
