"""Scenarios at work, without sockets and without a clock: what becomes of ticks and of clients."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

import pytest

from tickwire.calendars import State
from tickwire.errors import InputError
from tickwire.model import Book, Catalogue, Event, Family, Level, Market, Trade
from tickwire.sandbox import (
    Answer,
    Client,
    CloseMarket,
    Delay,
    Delist,
    Disconnect,
    Duplicate,
    ExpireToken,
    Gap,
    Halt,
    Jump,
    Late,
    LimitDown,
    LimitUp,
    OutOfOrder,
    Refuse,
    Resume,
    Sandbox,
    Scenario,
    Shaped,
    Step,
    Way,
)
from tickwire.sandbox.sandbox import MOST_RUNS
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
CODES = ("AAPL.US", "MSFT.US", "700.HK", "BTCUSDT")
AAPL, MSFT = ("AAPL.US",), ("MSFT.US",)


def tick(code: str = "AAPL.US", price: str = "200", at: int = 1) -> Trade:
    return Trade(code, at, Decimal(price), Decimal(3))


def book(bid: str, ask: str, code: str = "AAPL.US") -> Book:
    return Book(code, 1, (Level(Decimal(bid), Decimal(5)),), (Level(Decimal(ask), Decimal(7)),))


def client(
    label: str = "one", connection: int = 0, family: Family | None = None, opened: float = 0
) -> Client:
    return Client(label, frozenset({label, f"name of {label}"}), family, connection, opened)


class Bench:
    """A sandbox, and the time that it is told."""

    def __init__(self, *steps: Step, seed: int = 1) -> None:
        self.sandbox = Sandbox(seed)
        self.now = 0.0
        if steps:
            self.begin(*steps)

    def begin(self, *steps: Step, seed: int | None = None) -> int:
        run = self.sandbox.begin(Scenario(steps=steps, seed=seed), self.now, CATALOGUE)
        self.sandbox.advance(self.now)
        return run.number

    def stop(self, number: int) -> None:
        assert self.sandbox.stop(number) is not None
        self.sandbox.advance(self.now)

    def at(self, now: float) -> Bench:
        self.now = now
        self.sandbox.advance(now)
        return self

    def shape(self, event: Event) -> list[Shaped]:
        return self.sandbox.shape(event, CATALOGUE[event.code], self.now)

    def price(self, event: Trade) -> Decimal:
        (shaped,) = self.shape(event)
        assert isinstance(shaped.event, Trade)
        return shaped.event.price

    def late(self) -> list[Event]:
        return list(self.sandbox.late(self.now))

    @property
    def passing(self) -> set[str]:
        """The codes of which a tick comes through."""
        return {code for code in CODES if self.shape(tick(code))}

    def state(self, code: str = "AAPL.US") -> State | None:
        condition = self.sandbox.condition(CATALOGUE[code])
        return None if condition is None else condition.state


# Silence.
@pytest.mark.parametrize(
    ("step", "state"),
    [
        (Halt(codes=AAPL), State.HALTED),
        (Delist(codes=AAPL), State.DELISTED),
        (CloseMarket(codes=AAPL), State.CLOSED),
        (Gap(codes=AAPL), None),
    ],
)
def test_silence_of_one_code_until_it_is_stopped(step: Step, state: State | None) -> None:
    bench = Bench()
    number = bench.begin(step)
    assert bench.sandbox.shapes_ticks
    assert bench.passing == {*CODES} - {"AAPL.US"}
    assert not bench.shape(book("199", "201"))
    assert (bench.state(), bench.state("MSFT.US")) == (state, None)
    bench.stop(number)
    assert bench.shape(tick()) == [Shaped(tick(), Way.ONCE)]
    assert bench.state() is None
    assert not bench.sandbox.runs


def test_ticks_need_no_look_while_no_step_is_about_them() -> None:
    bench = Bench(Refuse(), Halt(at=1, lasts=1))
    assert [bench.at(now).sandbox.shapes_ticks for now in (0, 1, 2)] == [False, True, False]


@pytest.mark.parametrize(
    ("step", "silent"),
    [
        (Halt(), {*CODES}),
        (Halt(markets=(Market.US_STOCK,)), {"AAPL.US", "MSFT.US"}),
        (Halt(markets=(Market.CRYPTO, Market.HK_STOCK)), {"700.HK", "BTCUSDT"}),
        (Halt(markets=(Market.CRYPTO,), codes=AAPL), {"AAPL.US", "BTCUSDT"}),
        (Halt(markets=(Market.FOREX,)), set()),
    ],
)
def test_whom_a_step_concerns(step: Step, silent: set[str]) -> None:
    bench = Bench(step)
    assert bench.passing == {*CODES} - silent
    concerned = bench.sandbox.concerned(Catalogue(CATALOGUE[code] for code in CODES))
    found = {one.code: condition for one in concerned if (condition := bench.sandbox.condition(one))}
    assert {*found} == silent
    assert {condition.state for condition in found.values()} <= {State.HALTED}


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


def test_two_scenarios_on_the_same_code() -> None:
    bench = Bench()
    first = bench.begin(Halt(codes=AAPL, reason="first"))
    second = bench.begin(Halt(reason="second"))
    assert [run.number for run in bench.sandbox.runs] == [first, second]
    bench.stop(first)
    condition = bench.sandbox.condition(CATALOGUE["AAPL.US"])
    assert condition == (State.HALTED, "second")
    assert not bench.passing
    bench.stop(second)
    assert bench.passing == {*CODES}


def test_of_several_states_the_gravest_is_told() -> None:
    bench, told = Bench(), []
    order: list[Step] = [LimitDown(), LimitUp(), CloseMarket(), Halt(), Delist()]
    for step in order:
        bench.begin(step)
        told.append(bench.state())
    assert told == [State.LIMIT_DOWN, State.LIMIT_UP, State.CLOSED, State.HALTED, State.DELISTED]


def test_what_cannot_begin() -> None:
    bench = Bench()
    with pytest.raises(InputError, match=r"'NOPE\.US' is unknown"):
        bench.begin(Gap(codes=("AAPL.US", "NOPE.US")))
    for _ in range(MOST_RUNS):
        bench.begin(Gap())
    with pytest.raises(InputError, match="run already"):
        bench.begin(Gap())
    assert len(bench.sandbox.runs) == MOST_RUNS
    assert bench.sandbox.stop(9999) is None


# Clients.
def test_a_connection_is_cut_after_its_seconds() -> None:
    bench = Bench()
    old, other = client(connection=1, opened=-50), client(connection=2, family=Family.STOCK)
    step = Disconnect(after=2, family=Family.OTHER, code=4000)
    bench.at(10).begin(step)
    old.family = Family.OTHER
    assert [bench.sandbox.cut(old, now) for now in (10, 11.9, 12)] == [None, None, step]
    late = client(connection=3, family=Family.OTHER, opened=20)
    assert [bench.sandbox.cut(late, now) for now in (20, 21.9, 22)] == [None, None, step]
    assert bench.sandbox.cut(other, 1000) is None
    bench.stop(1)
    assert bench.sandbox.cut(old, 1000) is None


def fates(bench: Bench, labels: Iterable[str]) -> dict[str, list[float | None]]:
    """When each of sixty connections of each client is cut, if it is, in tenths of a second."""
    numbers = itertools.count(1)
    found: dict[str, list[float | None]] = {label: [] for label in labels}
    for _ in range(60):
        for label, cuts in found.items():
            one = client(label, next(numbers))
            cuts.append(next((now / 10 for now in range(101) if bench.sandbox.cut(one, now / 10)), None))
            bench.sandbox.forget(one.connection)
    return found


def test_chance_is_the_same_for_the_nth_connection_of_every_client() -> None:
    step = Disconnect(after=(2, 8), chance=0.5)
    together = fates(Bench(step), ["a", "b", "c"])
    assert together["a"] == together["b"] == together["c"] == fates(Bench(step), ["a"])["a"]
    assert fates(Bench(step, seed=2), ["a"])["a"] != together["a"]
    times = [cut for cut in together["a"] if cut is not None]
    assert 18 <= len(times) <= 42
    assert 2 <= min(times) < 4 < 6 < max(times) <= 8
    bench = Bench(step)
    one = client(connection=7)
    assert len({bench.sandbox.cut(one, 5) for _ in range(50)}) == 1  # thrown once, not at every look


@pytest.mark.parametrize(
    ("step", "met"),
    [
        (Refuse(), {"one", "two", "three"}),
        (Refuse(tokens=("one", "nobody")), {"one"}),
        (Refuse(tokens=("name of two",)), {"two"}),
        (Refuse(family=Family.STOCK), {"three"}),
        (Refuse(connections=(2,)), {"two"}),
        (Refuse(connections=(2,), tokens=("one",)), set()),
    ],
)
def test_whom_a_step_meets(step: Step, met: set[str]) -> None:
    bench = Bench(step)
    clients = [client("one", 1), client("two", 2), client("three", 3, Family.STOCK)]
    assert {one.label for one in clients if bench.sandbox.refusal(one)} == met


def test_answers_by_request_and_by_chance() -> None:
    first, second = Answer(ret=605, requests=(22004, "/kline")), Answer(ret=429, at=1)
    bench = Bench(first, second)
    asked = (22004, "/kline", 22002, "/trade-tick")
    assert [bench.sandbox.answer(client(), one) for one in asked] == [first, first, None, None]
    assert [bench.at(1).sandbox.answer(client(), one) for one in asked] == [first, first, second, second]
    dice = Bench(Answer(ret=600, chance=0.25))
    hits = Counter(dice.sandbox.answer(client(), 22004) is not None for _ in range(2000))
    assert 0.22 < hits[True] / 2000 < 0.28


def test_a_delay_is_the_connections_own_and_thrown_anew_over_http() -> None:
    bench = Bench(Delay(by=(1, 2)))
    (one,), (two,) = ({bench.sandbox.delay(client(connection=n)) for _ in range(20)} for n in (1, 2))
    assert one != two
    http = [bench.sandbox.delay(client("other")) for _ in range(20)]
    assert len({*http}) == 20
    assert all(1 <= delay <= 2 for delay in (one, two, *http))
    assert http[:2] == [one, two]  # the nth throw is the same for all
    bench.begin(Delay(by=10))
    assert bench.sandbox.delay(client(connection=1)) == 10 + one
    bench.stop(1)
    assert bench.sandbox.delay(client(connection=1)) == 10


def test_tokens_expire_by_name_for_a_while() -> None:
    bench = Bench(ExpireToken(tokens=("name of one",), at=1, lasts=1))
    told = [
        [bench.at(now).sandbox.expired(one) for one in (client(), client("two"))] for now in (0, 1, 1.9, 2)
    ]
    assert told == [[False, False], [True, False], [True, False], [False, False]]


def transcript(seed: int, own: int | None = None) -> list[object]:
    """All that befalls the same ticks and clients."""
    bench = Bench(seed=seed)
    ticks: list[Step] = [Late(by=(0, 1), chance=0.2), Duplicate(chance=0.3), OutOfOrder(chance=0.3)]
    bench.begin(*ticks, seed=own)
    bench.begin(
        Delay(by=(0, 9)), Refuse(chance=0.5), Disconnect(after=(0, 9)), Answer(ret=1, chance=0.5), seed=own
    )
    found: list[object] = []
    for number in range(300):
        bench.at(number / 10)
        found += [bench.shape(tick(CODES[number % 4], at=number)), bench.late()]
        one = client(connection=number + 1, opened=bench.now)
        found += [bench.sandbox.delay(one), bench.sandbox.refusal(one), bench.sandbox.answer(one, 22000)]
        found += [bench.sandbox.cut(one, bench.now + wait) for wait in range(9)]
    return found


def test_the_same_seed_gives_the_same_and_another_another() -> None:
    assert transcript(1) == transcript(1)
    assert transcript(1) != transcript(2)
    assert transcript(1, own=5) == transcript(2, own=5) != transcript(1)
