"""The tape on the disk: what is kept of it, for how long, and what a restart makes of it."""

from __future__ import annotations

from decimal import Decimal

from tickwire.klines import Tape
from tickwire.klines.tape import KEPT
from tickwire.market.bars import FLOOR, PREFIX, TapeNotes
from tickwire.model import Correction, Trade
from tickwire.store import load_catalogue

BEGIN = 1_788_529_020
CATALOGUE = load_catalogue()


class Clock:
    def __init__(self) -> None:
        self.now = float(BEGIN)

    def __call__(self) -> float:
        return self.now


def a_trade(minute: int) -> Trade:
    at = (BEGIN + 60 * minute) * 1000
    return Trade("GOLD", at, Decimal(5), Decimal(1), Decimal(5), 1, minute + 1)


def put(tape: Tape, minute: int) -> None:
    tape.held = a_trade(minute)
    tape.sent(minute + 1)


def begun(
    kept: dict[str, str], clock: Clock, *, other_bars: bool = True
) -> tuple[Tape, TapeNotes, list[tuple[str, Correction]]]:
    tape, found = Tape(CATALOGUE, clock=clock), list[tuple[str, Correction]]()
    notes = TapeNotes(tape, clock)
    notes.restore(kept, lambda publisher, one: found.append((publisher, one)), other_bars=other_bars)
    return tape, notes, found


def test_a_restart_finds_what_was_kept_and_only_that() -> None:
    clock, kept = Clock(), dict[str, str]()
    tape, notes, _ = begun({}, clock, other_bars=False)
    for minute in (0, 1, 2):
        clock.now = BEGIN + 60 * minute
        put(tape, minute)
        kept |= notes.notes()
    tape.publisher = "desk"
    correction = Correction("GOLD", 1, a_trade(1), None)
    assert tape.correct(correction) == 2
    kept |= notes.notes()
    put(tape, 3)  # which is in no batch
    assert [name for name in kept if name.startswith(PREFIX)] == [f"{PREFIX}{n:015}" for n in (1, 2, 3, 4)]
    again, _, found = begun(kept, clock)
    assert found == [("desk", correction)]
    assert len(again) == 3
    assert again.keeps("GOLD", BEGIN)
    assert again.bar("GOLD", BEGIN + 60) is None
    assert again.bar("GOLD", BEGIN + 120) is not None


def test_what_is_old_goes_and_is_known_to_be_gone() -> None:
    clock = Clock()
    tape, notes, _ = begun({}, clock, other_bars=False)
    put(tape, 0)
    kept = notes.notes()
    clock.now += KEPT + 1
    put(tape, 130)
    found = notes.notes()
    assert found[f"{PREFIX}{1:015}"] == ""
    assert found[FLOOR] == str(BEGIN + 60)
    kept = {name: value for name, value in (kept | found).items() if value}
    again, _, _ = begun(kept, clock)
    assert len(again) == 1
    assert not again.keeps("GOLD", BEGIN)
    assert again.keeps("GOLD", BEGIN + 130 * 60)


def test_beside_bars_of_before_only_whole_minutes_count() -> None:
    clock = Clock()
    clock.now += 30
    tape, _, _ = begun({}, clock)
    assert not tape.keeps("GOLD", BEGIN)
    assert tape.keeps("GOLD", BEGIN + 60)
    tape, _, _ = begun({}, clock, other_bars=False)
    assert tape.keeps("GOLD", BEGIN)
