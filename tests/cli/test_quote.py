"""`tickwire quote`: the last trades, with the best of their books."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from ..serving import Program
from .commands import DONE, FAILED, SHARED, at, tickwire


@SHARED
async def test_quotes_are_trades_with_the_best_of_their_books(market: Program, tmp_path: Path) -> None:
    asked = ("quote", "GOLD", ".DJI.US", "NOPE", "GOLD", "--json")
    done = await tickwire(tmp_path, *at(market, *asked))
    gold, index, nothing = done.records
    assert (gold["event"], gold["code"], gold["time"][-1]) == ("quote", "GOLD", "Z")
    assert Decimal(gold["bid"]) < Decimal(gold["ask"])
    assert all(
        Decimal(gold[name]).as_tuple().exponent == -2 for name in ("last", "last_volume", "bid", "ask_volume")
    )
    assert index["last"]
    assert (index["bid"], index["ask"]) == (None, None)  # a stock index has no book
    assert set(nothing.values()) == {"quote", "NOPE", None}
    assert done.status == FAILED
    assert done.err == "tickwire: nothing is known of NOPE: no trade yet, or no such code.\n"


@SHARED
async def test_a_table_of_quotes_stands_in_columns(market: Program, tmp_path: Path) -> None:
    done = await tickwire(tmp_path, *at(market, "quote", "GOLD", "BTCUSDT"))
    assert (done.status, done.err) == (DONE, "")
    header, *rows = done.out.splitlines()
    assert header.split("  ")[0] == "CODE"
    end = header.index("LAST") + len("LAST")
    assert [row[:end].split()[0] for row in rows] == ["GOLD", "BTCUSDT"]
    assert all(row[end - 1].isdigit() and row[end] == " " for row in rows)
    assert "\x1b" not in done.out
