"""Positions of what was printed, where standard output did not take all of it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from tickwire.cli.keeping import Keeping
from tickwire.cli.output import PIECE, Outlet
from tickwire.client import Event, Feed, Gap, Position, Trade, load_positions
from tickwire.model import Direction, Kind

from .commands import AT


class Given:
    """A feed that has given these trades of each code, by `seq`, and says its positions as a feed does."""

    def __init__(self, **trades: int) -> None:
        self.trades = trades

    def positions(self, unread: Iterable[Event] = ()) -> list[Position]:
        at = dict(self.trades)
        for event in unread:
            if isinstance(event, Trade):
                at[event.code] = min(at[event.code], event.seq - 1)
        return [Position(Kind.TRADE, code, 1, seq) for code, seq in at.items()]


def trade(code: str, seq: int) -> Trade:
    return Trade(code, AT, Decimal(1), Decimal(1), Decimal(1), Direction.BUY, seq)


def gap(code: str) -> Gap:
    return Gap(code, Kind.TRADE, None, None, "nobody knows")


async def kept_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, events: list[Event], taken: int
) -> dict[str, int]:
    """Up to where there are positions when a pipe has taken so many of these, each a piece of its own, and
    its reader has gone. Before them trade 1 of GOLD and of EURUSD was printed."""
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        outlet, given = Outlet(), Given(GOLD=1, EURUSD=1)
        write = os.write

        def taking(file: int, data: bytes) -> int:
            nonlocal taken
            if not taken:
                os.close(reader)
            taken -= 1
            return write(file, data)

        keeping = Keeping(tmp_path / "positions", cast("Feed", given), outlet)
        monkeypatch.setattr(os, "write", taking)
        given.trades = {one.code: one.seq for one in events if isinstance(one, Trade)}
        with pytest.raises(BrokenPipeError):
            await keeping.write(["x" * (PIECE - 1) + "\n" for _ in events], events, ())
    return {one.code: one.seq for one in load_positions(tmp_path / "positions")}


@pytest.mark.parametrize(
    ("taken", "positions"),
    [
        (0, {"GOLD": 1, "EURUSD": 1}),
        (1, {"GOLD": 2, "EURUSD": 1}),
        (2, {"GOLD": 2, "EURUSD": 2}),
        (3, {"GOLD": 8, "EURUSD": 2}),
        (4, {"GOLD": 9, "EURUSD": 2}),
    ],
)
async def test_what_was_not_taken_is_given_again_and_its_gaps_are_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, taken: int, positions: dict[str, int]
) -> None:
    events: list[Any] = [
        trade("GOLD", 2),
        trade("EURUSD", 2),
        gap("GOLD"),
        trade("GOLD", 9),
        trade("EURUSD", 3),
    ]
    assert await kept_of(tmp_path, monkeypatch, events, taken) == positions
