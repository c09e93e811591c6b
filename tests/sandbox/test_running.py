"""Scenarios that run: which of their steps are at work, and which are ended."""

from __future__ import annotations

from decimal import Decimal

from tickwire.calendars import State
from tickwire.model import Market
from tickwire.sandbox import Sandbox, Scenario
from tickwire.sandbox.steps import CloseMarket, Delist, Gap, Halt, Jump, Resume

from .bench import AAPL, CATALOGUE, CODES, MSFT, Bench


def test_a_resume_ends_halts_for_some_of_the_codes() -> None:
    bench = Bench(Halt(codes=("AAPL.US", "MSFT.US", "700.HK")), Resume(at=1, codes=AAPL))
    assert bench.passing == {"BTCUSDT"}
    assert bench.at(1).passing == {"BTCUSDT", "AAPL.US"}
    assert (bench.state(), bench.state("MSFT.US")) == (None, State.HALTED)
    bench.begin(Resume(markets=(Market.HK_STOCK,)))
    assert bench.passing == {"BTCUSDT", "AAPL.US", "700.HK"}
    bench.begin(Resume())
    assert bench.passing == {*CODES}
    bench.begin(Halt(codes=AAPL))  # a new halt is another one
    assert bench.passing == {*CODES} - {"AAPL.US"}


def test_a_resume_ends_halts_of_other_scenarios_and_nothing_but_halts() -> None:
    bench = Bench(Halt())
    bench.begin(Delist(codes=AAPL), CloseMarket(codes=MSFT), Gap(codes=("700.HK",)))
    bench.begin(Resume())
    assert bench.passing == {"BTCUSDT"}
    assert (bench.state(), bench.state("MSFT.US")) == (State.DELISTED, State.CLOSED)


def test_steps_begin_and_end_when_they_say() -> None:
    bench = Bench(Halt(at=2, lasts=3, codes=AAPL), Gap(at=4, lasts=2, codes=MSFT))
    silent = {now: {*CODES} - bench.at(now).passing for now in (0, 1.99, 2, 3.99, 4, 4.99, 5, 5.99)}
    us = {"AAPL.US", "MSFT.US"}
    assert silent == {0: set(), 1.99: set(), 2: {"AAPL.US"}, 3.99: {"AAPL.US"}, 4: us, 4.99: us} | {
        5: {"MSFT.US"},
        5.99: {"MSFT.US"},
    }
    assert bench.sandbox.runs
    assert bench.at(6).passing == {*CODES}
    assert not bench.sandbox.runs


def test_times_count_from_the_begin_of_the_scenario_and_missed_steps_are_made_up_for() -> None:
    bench = Bench()
    bench.at(100)
    bench.begin(Halt(at=1, lasts=2, codes=AAPL), Jump(at=5, lasts=1, percent=Decimal(10)), Halt(at=9))
    assert bench.at(100.5).passing == {*CODES}
    assert bench.at(101).passing == {*CODES} - {"AAPL.US"}
    assert not bench.at(200).passing  # nobody looked in between


def test_advance_tells_what_has_begun_and_whether_anything_has_changed() -> None:
    sandbox, halt = Sandbox(1), Halt(at=1, lasts=1)
    sandbox.begin(Scenario(steps=(halt, Resume(at=5))), 0, CATALOGUE)
    told = [sandbox.advance(now) for now in (0, 1, 1.5, 2, 4, 5, 6)]
    assert told == [None, [halt], None, [], None, [Resume(at=5)], None]
