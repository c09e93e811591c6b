"""Writes past a transport, straight to the socket: what a transport writes waits for the end of the turn."""

from __future__ import annotations

import asyncio
import os
import sys
from typing import TypeAlias

DIRECT_WRITES = sys.platform != "win32"
"""Whether os.write takes a socket's descriptor."""

Data: TypeAlias = bytes | memoryview


def descriptor_of(transport: asyncio.BaseTransport) -> int | None:
    """The socket to write to; None where all must go through the transport."""
    if not DIRECT_WRITES or transport.get_extra_info("sslcontext") is not None:
        return None
    found: int = transport.get_extra_info("socket").fileno()
    return found


def write_now(transport: asyncio.Transport, descriptor: int | None, data: Data) -> Data:
    """Writes what the socket takes at once, and returns the rest, for the transport.

    While bytes wait in the transport nothing is written, so the order stays. A socket that is broken ends
    the connection, and nothing is left.
    """
    if descriptor is None or transport.get_write_buffer_size():
        return data
    if transport.is_closing():
        return b""
    try:
        sent = os.write(descriptor, data)
    except (BlockingIOError, InterruptedError):
        return data
    except OSError:
        transport.abort()
        return b""
    return b"" if sent == len(data) else memoryview(data)[sent:]
