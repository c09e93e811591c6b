"""A minute of one code by its trades: it is made anew when one of them was not as it had been told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple, TypeAlias, cast

import msgspec

from ..model import Trade
from .bar import OpenBar

BLOCK = 32
"""Trades that are packed as one: some 70 bytes each in place of some 300."""


class Row(NamedTuple):
    """A trade and the `seq` that it was sent under. Decimals are texts."""

    seq: int
    code: str
    time: int
    price: str
    volume: str
    turnover: str
    direction: int
    source_seq: int

    @property
    def trade(self) -> Trade:
        """The trade."""
        price, volume, turnover = Decimal(self.price), Decimal(self.volume), Decimal(self.turnover)
        return Trade(self.code, self.time, price, volume, turnover, self.direction, self.source_seq)


Item: TypeAlias = tuple[int, str, int, str, str, str, int, int]
"""What becomes a Row; made in a third of the time."""

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Row]).decode


@dataclass(slots=True, eq=False)
class Block:
    """Trades that are packed; `numbers` are the lowest and the highest of the source's. `bar` is made of them
    when it is asked for."""

    packed: bytes
    numbers: tuple[int, int]
    bar: OpenBar | None = None

    def rows(self) -> list[Row]:
        """The trades."""
        return _unpack(self.packed)


class TapedMinute:
    """The trades of one minute of one code, in the order in which they came."""

    __slots__ = ("_blocks", "_loose", "begin", "end")

    def __init__(self, begin: int, end: int) -> None:
        """From and to these seconds."""
        self.begin, self.end = begin, end
        self._blocks: list[Block] = []
        self._loose: list[Item] = []

    def add(self, item: Item) -> None:
        """Adds a trade."""
        self._loose.append(item)
        if len(self._loose) == BLOCK:
            self._blocks.append(_block(self._loose))
            self._loose = []

    def replace(self, was: Trade, now: Trade | None) -> int | None:
        """Puts one trade in place of another, or nothing; returns the `seq` of that, None if it is not
        there."""
        if (seq := _replace(self._loose, was, now)) is None:
            for place, block in enumerate(self._blocks):
                lowest, highest = block.numbers
                if not lowest <= was.source_seq <= highest:
                    continue
                rows: list[Item] = [*block.rows()]
                if (seq := _replace(rows, was, now)) is not None:
                    self._blocks[place : place + 1] = [_block(rows)] if rows else []
                    break
        return seq

    def bar(self) -> OpenBar | None:
        """The bar of all of them; None if there are none."""
        parts = []
        for block in self._blocks:
            if block.bar is None:
                block.bar = self._bar(block.rows())
            parts.append(block.bar)
        if self._loose:
            parts.append(self._bar(self._loose))
        if not parts:
            return None
        whole = parts[0].copy(self.begin, self.end)
        for part in parts[1:]:
            whole.merge(part)
        return whole

    def _bar(self, items: Sequence[Item]) -> OpenBar:
        first, *rest = (Row(*item).trade for item in items)
        bar = OpenBar.begun(self.begin, self.end, first, _money(first))
        for trade in rest:
            bar.add(trade, _money(trade))
        return bar


def _money(trade: Trade) -> Decimal:
    return cast(Decimal, trade.turnover)


def _block(items: list[Item]) -> Block:
    numbers = [item[-1] for item in items]
    return Block(_pack(items), (min(numbers), max(numbers)))


def _replace(items: list[Item], was: Trade, now: Trade | None) -> int | None:
    for place, item in enumerate(items):
        if item[-1] == was.source_seq and (row := Row(*item)).trade == was:
            items[place : place + 1] = [] if now is None else [_item(row.seq, now)]
            return row.seq
    return None


def _item(seq: int, trade: Trade) -> Item:
    money = (str(trade.price), str(trade.volume), str(trade.turnover))
    return seq, trade.code, trade.time, *money, trade.direction, trade.source_seq
