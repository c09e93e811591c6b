"""Which connection carries which stream. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Moves(NamedTuple):
    """Codes that came to a connection, and those that left one, each with the connection's number."""

    came: list[tuple[int, str]]
    left: list[tuple[int, str]]


class Places:
    """The codes of one kind on the connections of a family: at most `most` on each, None for no limit.

    A code stays where it is; a new one goes to the first connection that has room.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._place: dict[str, int] = {}
        self._taken: list[int] = []

    def of(self, code: str) -> int | None:
        """The connection of a code; None if it has none."""
        return self._place.get(code)

    def arrange(self, codes: Iterable[str]) -> Moves:
        """These have places from now on, and no others."""
        wanted = dict.fromkeys(codes)
        left = [(number, code) for code, number in self._place.items() if code not in wanted]
        for number, code in left:
            del self._place[code]
            self._taken[number] -= 1
        came = []
        for code in wanted:
            if code not in self._place:
                number = self._place[code] = self._free()
                self._taken[number] += 1
                came.append((number, code))
        return Moves(came, left)

    def _free(self) -> int:
        for number, taken in enumerate(self._taken):
            if self._most is None or taken < self._most:
                return number
        self._taken.append(0)
        return len(self._taken) - 1
