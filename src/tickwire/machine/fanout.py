"""What a flush has for many sockets goes to them: in C where that was built, in Python everywhere else.

The C of it (`_fanout.c`) is built when the package is installed, where there is a compiler. Of those clients
whose bytes may go straight to their sockets it does the whole way, without a call of Python for each.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias, TypeVar

Client = TypeVar("Client")
Direct: TypeAlias = tuple[int, asyncio.Transport]
"""The descriptor of a socket that may be written to past this transport, while nothing waits in that."""
Load: TypeAlias = tuple[list[bytes], dict[Client, Direct | None]]
"""Pieces of bytes, which are some, and who is to get all of them, joined."""

SWITCH = "TICKWIRE_ACCELERATOR"
"""The variable of the environment that leaves the C aside: `off`."""


def carry_in_python(loads: list[Load[Client]], push: Callable[[Client, bytes], object], /) -> int:
    """Gives each load to its clients, one load after the other; returns how many bytes that were, counted for
    each client. `push` gives bytes to one client: it may change who the clients are, and fails for nobody's
    sake."""
    handed = 0
    for pieces, clients in loads:
        data = b"".join(pieces)
        handed += len(data) * len(clients)
        for client in tuple(clients):
            push(client, data)
    return handed


carry = carry_in_python
"""The one that this process uses."""

if os.environ.get(SWITCH) != "off":
    with suppress(ImportError):  # it may not have been built
        from ._fanout import carry

ACCELERATED = carry is not carry_in_python
"""Whether that is the one in C."""
