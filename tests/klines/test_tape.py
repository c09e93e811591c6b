"""The tape: a minute made of it is what its trades make, however often they were corrected."""

from __future__ import annotations

import random
from decimal import Decimal

import msgspec
import pytest

from tickwire.klines import Tape
from tickwire.klines.bar import OpenBar
from tickwire.klines.tape import BEHIND, KEPT, ROLL, SECONDS
from tickwire.klines.taped_minute import BLOCK
from tickwire.model import Catalogue, Correction, Trade
from tickwire.store import load_catalogue

BEGIN = 1_788_529_020
HOUR = 3_600_000


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue()


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def a_trade(seq: int, price: int, at: int = 0, code: str = "GOLD") -> Trade:
    return Trade(code, BEGIN * 1000 + at, Decimal(price), Decimal(1), Decimal(price), 1, seq)


def is_behind(tape: Tape) -> bool:
    return tape.behind


def put(tape: Tape, trade: Trade, seq: int, *, counts: bool = True) -> None:
    tape.held, tape.counts = trade, counts
    tape.sent(seq)


def correct(tape: Tape, was: Trade, became: Trade | None) -> int | None:
    return tape.correct(Correction(was.code, was.time, was, became))


def bar_of(trades: list[Trade]) -> OpenBar | None:
    if not trades:
        return None
    bar = OpenBar.begun(BEGIN, BEGIN + 60, trades[0], trades[0].turnover or Decimal(0))
    for trade in trades[1:]:
        bar.add(trade, trade.turnover or Decimal(0))
    return bar


def shown(bar: OpenBar | None) -> object:
    return bar and [getattr(bar, name) for name in OpenBar.__slots__]


@pytest.mark.parametrize("count", [1, 3, BLOCK, 3 * BLOCK + 7, 2 * ROLL + 3])
def test_a_minute_is_what_its_trades_make(catalogue: Catalogue, count: int) -> None:
    dice, tape = random.Random(count), Tape(catalogue)
    trades = [a_trade(seq, dice.randrange(1, 99), dice.randrange(50_000)) for seq in range(1, count + 1)]
    for trade in trades:
        put(tape, trade, 100 + trade.source_seq)
        put(tape, msgspec.structs.replace(trade, code="EURUSD"), 100 + trade.source_seq)
    assert shown(tape.bar("GOLD", BEGIN)) == shown(bar_of(trades))
    for place in dice.sample(range(count), min(count, 40)):
        became = msgspec.structs.replace(trades[place], price=Decimal(dice.randrange(1, 99)))
        assert correct(tape, trades[place], became) == 100 + trades[place].source_seq
        trades[place] = became
        assert shown(tape.bar("GOLD", BEGIN)) == shown(bar_of(trades))
        trades.append(a_trade(count + place + 1, 7))
        put(tape, trades[-1], 5)
    for trade in dice.sample(trades, min(count, 40)):
        assert correct(tape, trade, None) is not None
        assert correct(tape, trade, None) is None
        trades.remove(trade)
        assert shown(tape.bar("GOLD", BEGIN)) == shown(bar_of(trades))


def test_a_minute_without_a_trade_left_has_no_bar(catalogue: Catalogue) -> None:
    tape = Tape(catalogue)
    put(tape, a_trade(1, 5), 1)
    assert correct(tape, a_trade(1, 5), None) == 1
    assert tape.bar("GOLD", BEGIN) is None
    with pytest.raises(KeyError):
        tape.bar("GOLD", BEGIN + 60)


def test_what_came_too_late_for_its_bar_is_found_and_not_counted(catalogue: Catalogue) -> None:
    tape = Tape(catalogue)
    put(tape, a_trade(1, 5), 1)
    put(tape, a_trade(2, 9), 2, counts=False)
    assert tape.find("", 2) == a_trade(2, 9)
    assert correct(tape, a_trade(2, 9), None) is None
    assert shown(tape.bar("GOLD", BEGIN)) == shown(bar_of([a_trade(1, 5)]))


def test_the_oldest_go_and_their_minutes_cannot_be_made_any_more(catalogue: Catalogue) -> None:
    tape = Tape(catalogue, most=3 * ROLL)
    for seq in range(1, 6 * ROLL):
        put(tape, a_trade(seq, 5, 60_000 * (seq // ROLL)), seq)
    assert len(tape) < 4 * ROLL
    late = a_trade(6 * ROLL, 7, 1)
    put(tape, late, 1)
    assert not tape.keeps("GOLD", BEGIN)
    assert correct(tape, late, None) is None
    with pytest.raises(KeyError):
        tape.bar("GOLD", BEGIN)
    assert tape.keeps("GOLD", BEGIN + 5 * 60)
    assert tape.keeps("EURUSD", BEGIN)  # none of it has gone
    assert correct(tape, a_trade(6 * ROLL - 1, 5, 300_000), None) == 6 * ROLL - 1


def test_only_the_last_hour_of_a_code_can_be_corrected(catalogue: Catalogue) -> None:
    tape = Tape(catalogue)
    put(tape, a_trade(1, 5), 1)
    put(tape, a_trade(2, 5, HOUR), 2)
    put(tape, a_trade(3, 5, 9 * HOUR, "EURUSD"), 3)
    assert correct(tape, a_trade(1, 5), a_trade(1, 6)) == 1
    put(tape, a_trade(4, 5, HOUR + 60_000), 4)
    assert correct(tape, a_trade(1, 6), None) is None
    assert not tape.keeps("GOLD", BEGIN)
    assert SECONDS == HOUR // 1000


def test_one_minute_with_more_than_all_is_let_go_of(catalogue: Catalogue) -> None:
    tape = Tape(catalogue, most=1000)
    for seq in range(1, 5000):
        put(tape, a_trade(seq, 5), seq)
    assert len(tape) <= 1000 + ROLL
    assert not tape.keeps("GOLD", BEGIN)
    with pytest.raises(KeyError):
        tape.bar("GOLD", BEGIN)


def test_corrections_without_end_are_bounded(catalogue: Catalogue) -> None:
    tape = Tape(catalogue, most=1000)
    for seq in range(1, 3000):
        put(tape, a_trade(seq, 5), seq)
        correct(tape, a_trade(seq, 5), None)
    assert len(tape) < 1000
    assert len(tape._rolls) < 1000


def test_trades_are_found_by_who_published_them_and_their_number(catalogue: Catalogue) -> None:
    tape = Tape(catalogue, most=3 * ROLL)
    for seq in range(2, 3 * ROLL, 2):
        for publisher in ("one", "two"):
            tape.publisher = publisher
            put(tape, a_trade(seq, seq + len(publisher), code="GOLD" if publisher == "one" else "EURUSD"), 1)
        put(tape, a_trade(0, 1), 1)  # without a number
    assert tape.first("three") == 0
    assert tape.find("three", 4) is None
    assert tape.find("two", 3) is None
    assert tape.find("one", tape.first("one")) is not None
    assert tape.first("one") > 2
    for seq in (2 * ROLL, 3 * ROLL - 2):
        assert tape.find("one", seq) == a_trade(seq, seq + 3)
        assert tape.find("two", seq) == a_trade(seq, seq + 3, code="EURUSD")


def test_after_a_restart_it_is_as_it_was(catalogue: Catalogue) -> None:
    tape, other = Tape(catalogue, clock=Clock()), Tape(catalogue, clock=Clock())
    trades = [a_trade(seq, seq, seq * 2) for seq in range(1, 20 * ROLL)]
    for trade in trades:
        put(tape, trade, trade.source_seq)
    kept = tape.rolls()
    assert is_behind(tape)
    tape.publisher = "desk"
    corrections = [
        Correction("GOLD", 1, trades[3], None),
        Correction("GOLD", 2, trades[600], msgspec.structs.replace(trades[600], price=Decimal(99_999))),
    ]
    assert [tape.correct(one) for one in corrections] == [4, 601]
    assert not is_behind(tape)
    put(tape, a_trade(30 * ROLL, 3), 7)
    kept |= tape.rolls()
    assert [*kept] == [*range(1, len(kept) + 1)]
    found = [one for number, text in kept.items() for one in other.restore(number, text)]
    assert found == [("desk", one) for one in corrections]
    assert is_behind(other)
    while other.behind:
        other.read_some()
    assert not is_behind(other)
    assert shown(other.bar("GOLD", BEGIN)) == shown(tape.bar("GOLD", BEGIN))
    assert tape.rolls() == other.rolls() == {}
    for one in tape, other:
        put(one, a_trade(40 * ROLL, 99), 8)
        assert [*one.rolls()] == [len(kept) + 1]


def test_what_the_disk_has_lost_is_noticed(catalogue: Catalogue) -> None:
    tape, other = Tape(catalogue, clock=Clock()), Tape(catalogue, clock=Clock())
    kept = dict[int, str]()
    for minute in range(5):
        put(tape, a_trade(minute + 1, 5, 60_000 * minute), minute + 1)
        kept |= tape.rolls()
    del kept[3]
    for number, text in kept.items():
        other.restore(number, text)
    assert not other.keeps("GOLD", BEGIN + 120)
    assert not other.keeps("GOLD", BEGIN + 180)
    assert other.keeps("GOLD", BEGIN + 240)
    assert correct(other, a_trade(5, 5, 240_000), None) == 5
    assert other.rolls().keys() == {1, 2, 6}


def test_what_the_disk_does_not_take_for_long_is_bounded(catalogue: Catalogue) -> None:
    tape = Tape(catalogue, clock=Clock(), most=2 * ROLL)
    for seq in range(1, 9 * ROLL):
        put(tape, a_trade(seq, 5, 60_000 * (seq // ROLL)), seq)
    kept = tape.rolls()
    assert len(kept) <= 3
    assert tape.gone_until >= BEGIN + 6 * 60


def test_what_is_old_goes_from_the_disk(catalogue: Catalogue) -> None:
    clock = Clock()
    tape = Tape(catalogue, clock=clock)
    put(tape, a_trade(1, 5), 1)
    assert [*tape.rolls()] == [1]
    put(tape, a_trade(2, 5, 130 * 60_000), 2)
    clock.now += KEPT + 1
    assert tape.rolls()[1] == ""
    assert tape.gone_until == BEGIN + 60
    assert len(tape) == 1


def test_few_rolls_are_read_at_once(catalogue: Catalogue) -> None:
    tape = Tape(catalogue)
    for seq in range(1, BEHIND * ROLL + 1):
        put(tape, a_trade(seq, 5), seq)
    assert not is_behind(tape)
    for seq in range(BEHIND * ROLL + 1, (BEHIND + 1) * ROLL + 1):
        put(tape, a_trade(seq, 5), seq)
    assert is_behind(tape)


def test_of_live_data_only_whole_minutes_are_kept(catalogue: Catalogue) -> None:
    tape = Tape(catalogue, live=True)
    early = a_trade(1, 5)
    put(tape, early, 1)
    tape.began("GOLD", BEGIN * 1000 + 5)
    put(tape, early, 1)
    assert correct(tape, early, None) is None
    whole = a_trade(2, 6, 61_000)
    put(tape, whole, 2)
    assert tape.keeps("GOLD", BEGIN + 60)
    assert correct(tape, whole, a_trade(2, 7, 61_000)) == 2
    tape.broke("GOLD")
    assert not tape.keeps("GOLD", BEGIN + 60)
    assert correct(tape, a_trade(2, 7, 61_000), None) is None
    tape.mended("GOLD")
    assert tape.keeps("GOLD", BEGIN + 60)
    assert not tape.keeps("GOLD", BEGIN)
    tape.broke("GOLD")
    tape.began("GOLD", BEGIN * 1000 + 70_000)
    assert not tape.keeps("GOLD", BEGIN + 60)
    assert tape.keeps("GOLD", BEGIN + 120)
