"""Which of the client sides of a server one is."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator
from typing import NamedTuple

EACH_RUN = 1_000_000
"""Numbers that one run of a client side may use: none is another connection's after a restart."""
NODES, EACH_NODE = 2**20, 2**33
"""Places of nodes by the hash of their names, and numbers in each: all can be written in JavaScript."""


class Place(NamedTuple):
    """The `number` of a client side, from 1, `of` so many that share a server, and how often it was started
    before. 0 of 0 is the only one, in one process with the market side."""

    number: int = 0
    of: int = 0
    restarts: int = 0
    node: str = ""
    """Of a cluster; empty where there is only one."""

    @property
    def name(self) -> str:
        """What it goes by: in the log, the metrics, and on the bus."""
        if self.node:
            return f"gateway {self.number} on {self.node}"
        return f"gateway {self.number}" if self.of else "gateway"

    @property
    def names(self) -> tuple[str, ...]:
        """Those of all client sides, where there are several processes on one machine."""
        if self.node:
            return (self.name,)
        return tuple(f"gateway {number}" for number in range(1, self.of + 1))

    def connections(self) -> Iterator[int]:
        """Numbers for its connections, from 1, none of which any other of them gives."""
        step = self.of or 1
        first = zlib.crc32(self.node.encode()) % NODES * EACH_NODE if self.node else 0
        return itertools.count(first + (self.number or 1) + self.restarts * EACH_RUN * step, step)


ONLY = Place()
