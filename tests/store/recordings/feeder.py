"""A process that records until it is killed: `python -m tests.store.recordings.feeder DIR TRACE LIFE`.

It begins at the first line on its standard input. The trace says, again and again, which events had been
handed to `record` at what moment; it is written before anything else can happen to them.
"""

from __future__ import annotations

import os
import struct
import sys
import time
from pathlib import Path

from tickwire.store.recordings import Recorder

from .events import Row, book, trade

TRACE = struct.Struct("<qq")
"""The moment (nanoseconds since the epoch), and how many events had been handed over by then."""
SEAL_SECONDS = 0.3
BURST = 20


def row(life: int, number: int) -> Row:
    """The event with that number in that life of the process."""
    make = book if number % 3 == 0 else trade
    event, market, _, _ = make(number, at=1_788_530_574_000 + life * 100_000_000 + number)
    return event, market, life * 10**9 + number, number


def feed(folder: Path, trace: Path, life: int) -> None:
    """Records for ever."""
    recorder = Recorder(folder, "simulator", seal_seconds=SEAL_SECONDS)
    number = 0
    with trace.open("wb", buffering=0) as file:
        print("on", flush=True)
        while True:
            for _ in range(BURST):
                recorder.record(*row(life, number))
                number += 1
            file.write(TRACE.pack(time.time_ns(), number))
            time.sleep(0.002)


if __name__ == "__main__":
    sys.stdin.readline()
    feed(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
    os.abort()
