"""What fuzzing has begun with and found, once more, and for a moment what lies near it.

That is not guided, so it needs no atheris, which takes twelve seconds of CPU before its first input. A find
is another one in each run, and is told as it is: it belongs into the corpus.
"""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from .targets import CORPUS, NAMES, target

INPUTS = sorted(path for path in CORPUS.glob("*/*"))
SECONDS = 1.0
"""For each target."""
LONGEST = 8192
"""Bytes of an input."""
WORDS = rb"0 -1 1e999 9223372036854775808 null [ { \" \u0000 \n , = % ../ nan".split()
TELLING = [*WORDS, b"\n", b"\0\0\0\0", b"\x7f\xff", b"\xff" * 8]


@pytest.mark.parametrize("path", INPUTS, ids=[str(path.relative_to(CORPUS)) for path in INPUTS])
def test_it_is_survived(path: Path) -> None:
    target(path.parent.name)(path.read_bytes())


def test_each_target_has_a_corpus() -> None:
    assert {path.parent.name for path in INPUTS} == NAMES.keys()


@pytest.mark.parametrize("name", NAMES)
def test_what_lies_near_it_is_survived(name: str) -> None:
    inputs = [path.read_bytes() for path in INPUTS if path.parent.name == name]
    one, dice, end, count = target(name), random.Random(), time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        data, count = near(dice, inputs), count + 1
        try:
            one(data)
        except BaseException as error:
            error.add_note(f"after {count} inputs, by {data!r}")
            raise


def near(dice: random.Random, inputs: list[bytes]) -> bytes:
    """One of these inputs, changed in some places."""
    data = bytearray(dice.choice(inputs))
    for _ in range(dice.choice((1, 1, 2, 4, 8))):
        at, other = dice.randrange(len(data) + 1), dice.choice(inputs)
        end, begin = at + dice.choice((0, 1, 1, 2, 4, 16, 64)), dice.randrange(len(other) + 1)
        data[at:end] = dice.choice(
            (
                b"",
                dice.randbytes(len(data[at:end])),
                dice.choice(TELLING),
                other[begin : begin + dice.choice((1, 4, 16, 64))],
                data[at:end] * dice.choice((2, 2, 3, 200)),
            )
        )
    return bytes(data[:LONGEST])
