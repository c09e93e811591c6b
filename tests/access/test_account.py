"""What one token has used of its plan: requests, subscriptions and connections."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tickwire.access import BUILT_IN, UNLIMITED, Account, Full, Plan, Rate, Seated
from tickwire.access.account import PASSED, Policy
from tickwire.model import Ending, Family

TICK = 1 / 1024
"""A step that floats add without error, so that edges are exact."""
DAY = 86_400
NOON = 20_000 * DAY + DAY // 2
STOCK, OTHER = Family.STOCK, Family.OTHER
FREE = BUILT_IN["free"]


# Requests over HTTP.
def test_a_plan_without_limits_counts_nothing() -> None:
    account = Account(UNLIMITED)
    assert {account.request("kline", 0.0, NOON) for _ in range(1000)} == {PASSED}
    assert PASSED == (0.0, ())
    assert Account(Plan(name="p", codes=1, connections=1)).request("kline", 0.0, NOON) == PASSED


def test_a_verdict_tells_of_every_limit_that_concerns_the_request() -> None:
    account = Account(FREE)
    wait, limits = account.request("kline", 50.0, NOON)
    assert wait == 0.0
    assert limits == (
        (Policy("endpoint", 1, 10), (0, 10.0)),
        (Policy("http", 10, 60), (9, 60.0)),
        (Policy("day", 1000, DAY), (999, DAY / 2)),
    )
    wait, limits = account.request("kline", 52.5, NOON + 2.5)
    assert wait == 7.5
    assert [standing for _, standing in limits] == [(0, 7.5), (9, 57.5), (999, DAY / 2 - 2.5)]


def test_a_path_that_there_is_not_counts_for_all_but_an_endpoint() -> None:
    account = Account(FREE)
    for n in range(10):
        wait, limits = account.request(None, 0.0, NOON)
        assert (wait, [policy.name for policy, _ in limits]) == (0.0, ["http", "day"])
        assert [standing.left for _, standing in limits] == [9 - n, 999 - n]
    assert account.request(None, 0.0, NOON).wait == 60.0


def test_a_plan_shows_only_the_limits_that_it_has() -> None:
    plans = (Plan(name="p", endpoint=Rate(1, 10)), Plan(name="p", batch_kline=Rate(1, 10)))
    for plan, named, other in zip(plans, ("kline", "batch-kline"), ("batch-kline", "kline"), strict=True):
        account = Account(plan)
        assert account.request(other, 0.0, NOON) == PASSED
        assert account.request(named, 0.0, NOON).limits == ((Policy("endpoint", 1, 10), (0, 10.0)),)
        assert account.request(named, 9.0, NOON).wait == 1.0


def test_endpoints_are_counted_apart() -> None:
    account = Account(FREE)
    names = ["trade-tick", "depth-tick", "kline", "batch-kline", "static_info", "suspension/sse"]
    assert [account.request(name, 0.0, NOON).wait for name in names] == [0.0] * 6
    assert [account.request(name, 0.0, NOON).wait for name in names] == [10.0] * 5 + [60.0]


def test_a_request_that_one_limit_refuses_counts_for_none() -> None:
    account = Account(FREE)
    account.request("kline", 0.0, NOON)
    for _ in range(50):
        assert account.request("kline", 1.0, NOON).wait == 9.0
    assert [standing.left for _, standing in account.request(None, 1.0, NOON).limits] == [8, 998]
    for _ in range(8):
        assert not account.request(None, 1.0, NOON).wait
    assert account.request("depth-tick", 1.0, NOON).wait == 59.0  # of all HTTP
    assert not account.request("depth-tick", 61.0, NOON).wait, "its own window had not begun"


def test_the_wait_is_that_of_the_limit_that_holds_longest() -> None:
    account = Account(Plan(name="p", endpoint=Rate(1, 10), http=Rate(1, 60), per_day=1))
    account.request("kline", 0.0, NOON)
    assert account.request("kline", 5.0, NOON).wait == DAY / 2
    assert account.request("kline", 5.0, NOON + DAY / 2).wait == 55.0
    assert account.request("kline", 60.0 - TICK, NOON + DAY / 2).wait == TICK
    assert not account.request("kline", 60.0, NOON + DAY / 2).wait


def test_the_day_begins_when_the_settings_say() -> None:
    account = Account(Plan(name="p", per_day=1), day_reset=13 * 3600)
    account.request("kline", 0.0, NOON)
    assert account.request("kline", 0.0, NOON + 3600 - TICK).wait == TICK
    assert not account.request("kline", 0.0, NOON + 3600).wait


SMALL = Plan(name="p", endpoint=Rate(2, 3), batch_kline=Rate(1, 5), http=Rate(4, 7), per_day=9)
requests = st.lists(
    st.tuples(st.integers(0, 3 * 1024), st.sampled_from([None, "kline", "trade-tick", "batch-kline"])),
    max_size=80,
)


@given(requests, st.integers(DAY - 60, DAY))
def test_every_limit_holds_and_nothing_else_refuses(asked: list[tuple[int, str | None]], wall: int) -> None:
    account, now = Account(SMALL), 0.0
    passed: list[tuple[float, str | None]] = []
    today: defaultdict[int, int] = defaultdict(int)
    for step, endpoint in asked:
        now += step * TICK
        day = int((wall + now) // DAY)
        last = [one for one in passed if now - one[0] < 7]
        rate = {None: None, "batch-kline": Rate(1, 5)}.get(endpoint, Rate(2, 3))
        mine = [one for one in passed if rate and one[1] == endpoint and now - one[0] < rate.seconds]
        allowed = len(last) < 4 and today[day] < 9 and (rate is None or len(mine) < rate.requests)
        verdict = account.request(endpoint, now, wall + now)
        assert bool(verdict.wait) is not allowed
        if allowed:
            passed.append((now, endpoint))
            today[day] += 1
        lefts = [4 - len(last) - allowed, 9 - today[day]]
        if rate is not None:
            lefts.insert(0, rate.requests - len(mine) - allowed)
        assert [standing.left for _, standing in verdict.limits] == lefts


# Subscriptions.
def test_subscriptions_keep_their_spacing_on_each_interface() -> None:
    account = Account(FREE)
    one, other = (OTHER, 22002), (OTHER, 22004)
    assert account.subscribe(one, 5.0)
    assert account.subscribe(other, 5.0)
    assert account.subscribe((STOCK, 22002), 5.0)
    assert not account.subscribe(one, 5.0)
    assert not account.subscribe(one, 6.0 - TICK), "and what is refused does not count:"
    assert account.subscribe(one, 6.0)
    assert not account.subscribe(one, 7.0 - TICK)


def test_without_a_spacing_subscriptions_may_come_at_any_pace() -> None:
    account = Account(UNLIMITED)
    assert all(account.subscribe((OTHER, 22002), 5.0) for _ in range(1000))


# Connections.
class Peer:
    """A connection that is never open."""

    def __init__(self, last_heard: float = 0.0) -> None:
        self.last_heard = last_heard

    def close(self, code: int, reason: str, why: Ending = Ending.ERROR) -> None:
        raise AssertionError("the account leaves that to others")


def seat(account: Account, peer: Seated, now: float = 0.0, family: Family = OTHER) -> Seated | None:
    return account.seat(peer, family, now, 15.0)


def refused(account: Account, now: float, family: Family = OTHER) -> float | None:
    """How long a connection that is refused is told to wait."""
    with pytest.raises(Full) as raised:
        seat(account, Peer(now), now, family)
    return raised.value.wait


def test_connections_are_counted_per_family() -> None:
    account = Account(Plan(name="p", connections=2))
    assert not account.in_use
    peers = {family: [Peer(), Peer()] for family in Family}
    for family, both in peers.items():
        for peer in both:
            assert seat(account, peer, family=family) is None
    for family in Family:
        assert refused(account, 1.0, family) == 14.0
    account.leave(peers[STOCK][0], STOCK)
    assert refused(account, 1.0, OTHER) == 14.0
    assert seat(account, Peer(), 1.0, STOCK) is None
    assert account.in_use


def test_a_plan_without_that_limit_takes_any_number() -> None:
    account = Account(UNLIMITED)
    assert [seat(account, Peer()) for _ in range(1000)] == [None] * 1000


def test_the_quietest_gives_way_after_the_patience_and_not_before() -> None:
    account = Account(Plan(name="p", connections=3))
    first, second, third = Peer(10.0), Peer(8.0), Peer(9.0)
    for peer in (first, second, third):
        seat(account, peer, 10.0)
    assert refused(account, 23.0 - TICK) == TICK
    newcomer = Peer(23.0)
    assert seat(account, newcomer, 23.0) is second
    assert refused(account, 23.5) == 0.5
    assert seat(account, Peer(24.0), 24.0) is third
    account.leave(second, OTHER)  # when its socket is gone at last
    assert refused(account, 24.0) == 1.0, "no second seat comes free by that"


def test_one_that_is_heard_stays() -> None:
    account, only = Account(FREE), Peer()
    seat(account, only)
    for now in range(0, 300, 10):
        only.last_heard = now
        assert refused(account, now + 10) == 5.0
    assert seat(account, Peer(), 305.0) is only


def test_without_patience_the_quietest_always_gives_way() -> None:
    account, only = Account(FREE), Peer(5.0)
    account.seat(only, OTHER, 5.0, 0.0)
    assert account.seat(Peer(5.0), OTHER, 5.0, 0.0) is only


def test_who_leaves_makes_room_at_once_and_may_leave_twice() -> None:
    account, only = Account(FREE), Peer()
    seat(account, only)
    for _ in range(2):
        account.leave(only, OTHER)
    account.leave(Peer(), STOCK)
    assert not account.in_use
    assert seat(account, only, 1.0) is None


def test_new_connections_keep_their_distance_on_each_family() -> None:
    account = Account(Plan(name="p", connection_spacing=3))
    seat(account, Peer(), 100.0)
    seat(account, Peer(), 100.0, STOCK)
    assert refused(account, 100.0) == 3.0
    assert refused(account, 103.0 - TICK) == TICK, "and what is refused does not count:"
    assert seat(account, Peer(), 103.0) is None
    assert refused(account, 104.0, OTHER) == 2.0
    assert seat(account, Peer(), 104.0, STOCK) is None


def test_who_finds_no_seat_does_not_begin_the_distance_anew() -> None:
    account = Account(Plan(name="p", connections=1, connection_spacing=3))
    only = Peer(100.0)
    seat(account, only, 100.0)
    only.last_heard = 104.0
    assert refused(account, 104.0) == 15.0
    account.leave(only, OTHER)
    assert seat(account, Peer(104.0), 104.0) is None
    assert refused(account, 105.0) == 2.0, "the distance is kept before a seat is looked for"


@given(st.floats(0, 1e7), st.floats(0.1, 3600))
def test_the_first_connection_always_passes(now: float, spacing: float) -> None:
    account = Account(Plan(name="p", connection_spacing=spacing))
    assert seat(account, Peer(), now) is None


class Move(NamedTuple):
    """A step in time, then one of the peers knocks, is heard or leaves."""

    step: int
    what: str
    who: int


moves = st.lists(
    st.builds(
        Move,
        st.sampled_from([0, 1, 1024, 14 * 1024, 15 * 1024]) | st.integers(0, 20 * 1024),
        st.sampled_from(["knocks", "knocks", "heard", "leaves"]),
        st.integers(0, 5),
    ),
    max_size=60,
)


@given(moves, st.integers(1, 3))
def test_whoever_comes_and_goes_there_are_never_more_than_allowed(found: list[Move], most: int) -> None:
    account, now = Account(Plan(name="p", connections=most)), 0.0
    peers, seated = [Peer() for _ in range(6)], list[Seated]()
    for move in found:
        now += move.step * TICK
        peer = peers[move.who]
        if move.what == "heard":
            peer.last_heard = now
        elif move.what == "leaves":
            account.leave(peer, OTHER)
            seated = [one for one in seated if one is not peer]
        elif peer not in seated:
            peer.last_heard = now
            quiet = max((now - one.last_heard for one in seated), default=0.0)
            if len(seated) < most:
                assert seat(account, peer, now) is None
            elif quiet < 15:
                assert refused(account, now) == 15 - quiet
                continue
            else:
                dead = seat(account, peer, now)
                assert dead in seated
                assert dead is not None
                assert now - dead.last_heard == quiet
                seated.remove(dead)
            seated.append(peer)
        assert len(seated) <= most
        assert account.in_use is bool(seated)


# Another plan.
def test_what_was_used_counts_in_another_plan() -> None:
    account = Account(FREE)
    assert account.request("kline", 0.0, NOON).wait == 0.0
    account.change(Plan(name="p", endpoint=Rate(3, 10), per_day=3), day_reset=0)
    for now in (1.0, 2.0):
        assert account.request("kline", now, NOON).wait == 0.0
    wait, limits = account.request("kline", 3.0, NOON)
    assert wait == DAY / 2
    assert limits == ((Policy("endpoint", 3, 10), (0, 7.0)), (Policy("day", 3, DAY), (0, DAY / 2)))


def test_a_smaller_plan_never_says_that_less_than_nothing_is_left() -> None:
    account = Account(Plan(name="p", endpoint=Rate(9, 10), per_day=9))
    for now in range(9):
        account.request("kline", float(now), NOON)
    account.change(Plan(name="p", endpoint=Rate(2, 10), per_day=2), day_reset=0)
    wait, limits = account.request("kline", 9.0, NOON)
    assert wait == DAY / 2
    assert [standing for _, standing in limits] == [(0, 8.0), (0, DAY / 2)]
    account.change(UNLIMITED, day_reset=0)
    assert account.request("kline", 9.0, NOON) == PASSED
    account.change(FREE, day_reset=0)
    assert account.request("kline", 9.0, NOON).wait == 0.0


def test_connections_stay_whatever_another_plan_allows() -> None:
    class Seat:
        last_heard = 0.0

        def close(self, code: int, reason: str, why: Ending = Ending.ERROR) -> None:
            raise AssertionError

    account = Account(Plan(name="p", connections=2))
    for _ in range(2):
        assert account.seat(Seat(), STOCK, 0.0, 15.0) is None
    account.change(Plan(name="p", connections=1), day_reset=0)
    with pytest.raises(Full):
        account.seat(Seat(), STOCK, 0.0, 15.0)
