"""What two ends say to one another over messages that may be lost: in pieces, numbered by one. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

PIECE = 512 * 1024
"""Bytes of a piece at the most: half of what a server takes unless it is told otherwise."""
NUMBER = Struct("<Q")
END = NUMBER.pack(0)
"""Said in place of a piece by who will say nothing more, and hear nothing."""


class Cutter:
    """Numbers what is said."""

    def __init__(self) -> None:
        self._number = 0

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """The pieces of it, the first ever of number 1."""
        for begin in range(0, len(data), PIECE):
            self._number += 1
            yield NUMBER.pack(self._number) + data[begin : begin + PIECE]


class Joiner:
    """Says whether all has come that was said."""

    def __init__(self) -> None:
        self._number = 0

    def piece(self, data: bytes) -> bytes | None:
        """What a piece holds; None if one before it is missing, or there will be no more."""
        if len(data) < NUMBER.size or NUMBER.unpack_from(data)[0] != self._number + 1:
            return None
        self._number += 1
        return data[NUMBER.size :]
