"""What the peers in Python have in common: the frames, when they are due, what a client asks for."""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from collections.abc import Iterator

SUBSCRIBE = 22004
UNSENT_LIMIT = 256 * 1024
"""Bytes of the slowest client that a saturated run waits for, so that nothing is dropped."""


def parser(doc: str | None) -> argparse.ArgumentParser:
    """What a peer is told: `codes`, and `rate` in ticks per second; 0: as fast as it goes."""
    made = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("--codes", type=int, default=100)
    made.add_argument("--rate", type=float, default=0, help="ticks per second; 0: saturated")
    return made


def codes_of(count: int) -> list[str]:
    """The names of so many codes."""
    return [f"C{number:03d}" for number in range(count)]


def frames(codes: list[str]) -> Iterator[tuple[str, str]]:
    """A code and its next push, round-robin, without end; each is made, and stamped, when it is asked for."""
    for code in itertools.cycle(codes):
        stamp = time.monotonic_ns() // 1000
        yield (
            code,
            f'{{"cmd_id":22998,"data":{{"code":"{code}","seq":1788530574453,"tick_time":1788530573000,'
            f'"price":"4415.320000","volume":"{stamp:013d}","turnover":"35322.560000","trade_direction":1}}}}',
        )


class Pace:
    """When ticks are due at a rate."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._next = time.monotonic()

    def due(self, most: int) -> int:
        """How many are due now, `most` at a time; these count as made."""
        count = min(most, max(0, math.floor((time.monotonic() - self._next) * self._rate) + 1))
        self._next += count / self._rate
        return count

    @property
    def wait(self) -> float:
        """Seconds until the next one."""
        return max(0.0, self._next - time.monotonic())


def wanted(text: str) -> list[str]:
    """The codes that a message of a client subscribes to."""
    message = json.loads(text)
    if message["cmd_id"] != SUBSCRIBE:
        return []
    return [symbol["code"] for symbol in message["data"]["symbol_list"]]
