"""Scenarios at work, without sockets and without a clock: what becomes of ticks and of clients."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from tickwire.calendars import State
from tickwire.errors import InputError
from tickwire.model import Book, Catalogue, Family, Level, Market
from tickwire.sandbox import Disconnect, ExpireToken, Shaped, Step, Way
from tickwire.sandbox.sandbox import MOST_RUNS
from tickwire.sandbox.steps import Answer, CloseMarket, Delay, Delist, Gap, Halt, LimitDown, LimitUp, Refuse

from .bench import AAPL, CATALOGUE, CODES, Bench, client, tick


def book(bid: str, ask: str, code: str = "AAPL.US") -> Book:
    return Book(code, 1, (Level(Decimal(bid), Decimal(5)),), (Level(Decimal(ask), Decimal(7)),))


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
