"""Which trades publishers may still correct."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tickwire.klines import Tape
from tickwire.klines.tape import ROLL
from tickwire.model import Correction, Trade
from tickwire.sources.correctable import Correctable
from tickwire.store import load_catalogue
from tickwire.wire import Unfit

CATALOGUE = load_catalogue()


def a_trade(seq: int, code: str = "GOLD", price: int = 5) -> Trade:
    return Trade(code, 1_788_529_064_027, Decimal(price), Decimal(1), Decimal(price), 0, seq)


def put(tape: Tape, publisher: str, trade: Trade) -> None:
    tape.publisher = publisher
    tape.held = trade
    tape.sent(1)


def none_waits(_publisher: str, _seq: int) -> Trade | None:
    return None


def test_trades_are_found_by_publisher_and_number() -> None:
    tape = Tape(CATALOGUE)
    waiting = {("one", 9000): a_trade(9000)}
    known = Correctable(tape, lambda publisher, seq: waiting.get((publisher, seq)))
    for seq in range(2, 3 * ROLL, 2):
        put(tape, "one", a_trade(seq, price=seq))
    put(tape, "two", a_trade(4, price=77))
    for seq in (2, 4, ROLL, 3 * ROLL - 2):
        assert known.find("one", "GOLD", seq, 9999) == a_trade(seq, price=seq)
    assert known.find("two", "GOLD", 4, 4).price == 77
    assert known.find("one", "GOLD", 9000, 9999).source_seq == 9000
    for seq, taken, reason in ((3, 9999, "line 3 is no trade"), (10_000, 9999, "no trade 10000 was")):
        with pytest.raises(Unfit, match=reason):
            known.find("one", "GOLD", seq, taken)
    with pytest.raises(Unfit, match="trade 4 is one of GOLD"):
        known.find("one", "EURUSD", 4, 9999)
    for publisher, seq in (("one", 1), ("two", 3), ("three", 4)):  # nothing was ever let go of
        with pytest.raises(Unfit, match=f"line {seq} is no trade"):
            known.find(publisher, "GOLD", seq, 9999)


def test_what_was_corrected_counts_as_it_became() -> None:
    tape = Tape(CATALOGUE)
    known = Correctable(tape, none_waits)
    put(tape, "one", a_trade(1))
    correction = Correction("GOLD", 1, a_trade(1), a_trade(1, price=6), source_seq=2)
    known.correct("one", correction)
    assert known.find("one", "GOLD", 1, 2).price == 6
    assert known.made("one", 2) is correction
    assert known.made("two", 2) is None
    with pytest.raises(Unfit, match="line 2 is a correction"):
        known.find("one", "GOLD", 2, 2)
    known.correct("one", Correction("GOLD", 1, a_trade(1, price=6), None, source_seq=3))
    with pytest.raises(Unfit, match="trade 1 is cancelled already"):
        known.find("one", "GOLD", 1, 3)


def test_the_oldest_are_forgotten() -> None:
    tape = Tape(CATALOGUE, most=2 * ROLL)
    known = Correctable(tape, none_waits)
    for seq in range(1, 5 * ROLL):
        put(tape, "one", a_trade(seq))
    with pytest.raises(Unfit, match="trade 9 is too old"):
        known.find("one", "GOLD", 9, 5 * ROLL)
    assert known.find("one", "GOLD", 5 * ROLL - 1, 5 * ROLL).source_seq == 5 * ROLL - 1


def test_corrections_of_one_trade_without_end_are_bounded() -> None:
    tape = Tape(CATALOGUE)
    known, seq = Correctable(tape, none_waits, most=1000), 1
    put(tape, "one", a_trade(1))
    for seq in range(2, 5000):
        was = known.find("one", "GOLD", 1, seq)
        known.correct("one", Correction("GOLD", 1, was, a_trade(1, price=seq), source_seq=seq))
    assert known.find("one", "GOLD", 1, 5000).price == seq
    assert sum(known.made("one", one) is not None for one in range(5000)) <= 1000


def test_corrections_of_trades_that_are_gone_are_forgotten() -> None:
    tape = Tape(CATALOGUE, most=2 * ROLL)
    known = Correctable(tape, none_waits, most=1000)
    for seq in range(1, 6000, 2):
        put(tape, "one", a_trade(seq))
        known.correct("one", Correction("GOLD", 1, a_trade(seq), None, source_seq=seq + 1))
    assert sum(known.made("one", one) is not None for one in range(6002)) <= 1000
    with pytest.raises(Unfit, match="trade 1 is too old"):
        known.find("one", "GOLD", 1, 6000)
