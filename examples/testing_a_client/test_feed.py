"""What becomes of the feed when AllTick disconnects, refuses, halts, or sends ticks twice."""

from __future__ import annotations

import time
from decimal import Decimal
from queue import SimpleQueue
from typing import Any

import pytest
from feed import Feed, State, Tick
from websockets.sync.client import connect

from tickwire.testing import AllTickServer, Received

HEARTBEAT, SUBSCRIBE = 22000, 22004
TIMEOUT = 10.0


class WatchedFeed(Feed):
    """A feed whose ticks and states a test can wait for."""

    def __init__(self, url: str, *codes: str, **options: Any) -> None:
        self.ticks: SimpleQueue[Tick] = SimpleQueue()
        self.states: SimpleQueue[State] = SimpleQueue()
        options = {"first_pause": 0.05, "longest_pause": 0.5, **options}
        super().__init__(url, codes or ("BTCUSDT",), self.ticks.put, self.states.put, **options)

    def tick(self) -> Tick:
        """The next one."""
        return self.ticks.get(timeout=TIMEOUT)

    def until(self, state: State) -> list[State]:
        """Waits for that state; returns those that the feed went through, it included."""
        deadline = time.monotonic() + TIMEOUT
        states = [self.states.get(timeout=TIMEOUT)]
        while states[-1] is not state:
            states.append(self.states.get(timeout=max(0.0, deadline - time.monotonic())))
        return states


def is_subscription(heard: Received) -> bool:
    return bool(heard.json()["cmd_id"] == SUBSCRIBE)


# `quiet`: the market stands still, and all that comes is what the test lets happen.
@pytest.mark.alltick(quiet=True)
def test_a_trade_arrives_exactly(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url()) as feed:
        feed.tick()  # a new subscriber gets the last trade first
        alltick_server.trade("BTCUSDT", "79317.7", volume="0.00001")
        tick = feed.tick()
        assert (tick.code, tick.price, tick.volume) == ("BTCUSDT", Decimal("79317.70"), Decimal("0.00001"))
        assert tick.time == alltick_server.time.now()


def test_a_connection_is_kept_alive(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url(), heartbeat=0.05):
        alltick_server.wait_for(lambda heard: heard.json()["cmd_id"] == HEARTBEAT)


# Disconnects.
@pytest.mark.parametrize("how", [{"reset": True}, {"code": 1011}], ids=["reset", "close frame"])
@pytest.mark.alltick(quiet=True)
def test_after_a_disconnect_it_subscribes_again(alltick_server: AllTickServer, how: dict[str, Any]) -> None:
    with WatchedFeed(alltick_server.websocket_url(), "BTCUSDT", "GOLD") as feed:
        feed.until(State.LIVE)
        alltick_server.run({"do": "disconnect", "connections": [1], **how})
        assert feed.until(State.LIVE) == [State.WAITING, State.CONNECTING, State.LIVE]
        alltick_server.trade("GOLD", "4415.32")
        while feed.tick().price != Decimal("4415.32"):
            pass
    first, second = filter(is_subscription, alltick_server.received)
    assert (first.connection, second.connection) == (1, 2)
    assert second.json()["data"] == {"symbol_list": [{"code": "BTCUSDT"}, {"code": "GOLD"}]}


# With this seed the first upgrade is refused, and the first connection is reset after two seconds.
@pytest.mark.alltick(scenario=["flaky-network"], seed=11)
def test_it_lives_through_a_flaky_network(alltick_server: AllTickServer) -> None:
    connections = set()

    def is_second(heard: Received) -> bool:
        connections.add(heard.connection)
        return len(connections) == 2

    with WatchedFeed(alltick_server.websocket_url()) as feed:
        assert feed.until(State.LIVE) == [State.CONNECTING, State.WAITING, State.CONNECTING, State.LIVE]
        alltick_server.wait_for(is_second, timeout=TIMEOUT)
        feed.until(State.LIVE)
    seqs = [feed.ticks.get().seq for _ in range(feed.ticks.qsize())]
    assert len(seqs) > 1
    assert seqs == sorted(set(seqs)), "each trade once, in order"


def test_it_waits_for_a_server_that_is_gone(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url()) as feed:
        feed.until(State.LIVE)
        alltick_server.stop()
        feed.until(State.CONNECTING)
        alltick_server.start()  # on the same port
        feed.until(State.LIVE)


# Limits.
@pytest.mark.alltick(plan="free")
def test_one_connection_too_many_waits_for_its_turn(alltick_server: AllTickServer) -> None:
    url = alltick_server.websocket_url()
    with connect(url) as other, WatchedFeed(url) as feed:
        assert feed.until(State.WAITING) == [State.CONNECTING, State.WAITING]
        other.close()
        feed.until(State.LIVE)


@pytest.mark.alltick(plan="free")
def test_a_subscription_that_came_too_soon_is_sent_again(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url()) as feed:
        feed.until(State.LIVE)
        alltick_server.run({"do": "disconnect", "connections": [1]})
        feed.until(State.CONNECTING)
        assert feed.until(State.LIVE) == [State.WAITING, State.LIVE]
    refused, accepted = list(filter(is_subscription, alltick_server.received))[1:]
    assert refused.connection == accepted.connection, "605 leaves the connection open"


# Tokens.
def test_a_token_that_expires_ends_it_for_good(alltick_server: AllTickServer) -> None:
    token = alltick_server.token("basic", expires_in=60)
    with WatchedFeed(alltick_server.websocket_url(token=token)) as feed:
        feed.until(State.LIVE)
        alltick_server.run({"do": "expire-token"})
        assert feed.until(State.REFUSED) == [State.WAITING, State.CONNECTING, State.REFUSED]


def test_a_token_that_has_expired_is_not_tried_twice(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url(token=alltick_server.token(expires_in=0))) as feed:
        assert feed.until(State.REFUSED) == [State.CONNECTING, State.REFUSED]


# Markets.
@pytest.mark.alltick(quiet=True)
def test_a_halt_is_silence_and_no_reason_to_reconnect(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url("stock"), "AAPL.US", "700.HK") as feed:
        assert {feed.tick().code, feed.tick().code} == {"AAPL.US", "700.HK"}
        with alltick_server.halt("AAPL.US"):
            assert alltick_server.state("AAPL.US") == "halted"
            alltick_server.trade("AAPL.US", "190.01")
            alltick_server.trade("700.HK", "512.5")
            assert feed.tick().code == "700.HK"
        alltick_server.trade("AAPL.US", "190.02")
        assert feed.tick().price == Decimal("190.02")
        assert feed.state is State.LIVE
        assert alltick_server.connections == [1]


@pytest.mark.alltick(quiet=True)
def test_a_trade_that_comes_twice_counts_once(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url()) as feed:
        feed.tick()
        with alltick_server.run({"do": "duplicate"}):
            alltick_server.trade("BTCUSDT", 100)
            alltick_server.trade("BTCUSDT", 101)
        alltick_server.trade("BTCUSDT", 102)
        assert [feed.tick().price for _ in range(3)] == [100, 101, 102]
        assert feed.dropped == 2


@pytest.mark.alltick(quiet=True)
def test_a_trade_behind_a_newer_one_is_dropped(alltick_server: AllTickServer) -> None:
    with WatchedFeed(alltick_server.websocket_url()) as feed:
        feed.tick()
        with alltick_server.run({"do": "out-of-order"}):
            alltick_server.trade("BTCUSDT", 100)
            alltick_server.trade("BTCUSDT", 101)  # which is pushed first
        alltick_server.trade("BTCUSDT", 102)
        assert [feed.tick().price for _ in range(2)] == [101, 102]
        assert feed.dropped == 1
