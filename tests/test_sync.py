"""The face without asyncio, in a thread and where a loop is running already, as in a notebook."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import TypeVar

import pytest

from tickwire import HistoryWarning, MarketState, RequestRefused, Status, Subscribed, Trade, Unavailable, sync
from tickwire.client import Event
from tickwire.testing import AllTickServer

from .serving import serving


@pytest.fixture
def server() -> Iterator[AllTickServer]:
    with AllTickServer(quiet=True) as running:
        yield running


One = TypeVar("One", bound=Event)


def the(feed: sync.Feed, kind: type[One]) -> One:
    return next(one for one in feed if isinstance(one, kind))


def test_a_script_reads_events_and_bars(server: AllTickServer) -> None:
    with sync.connect(server.url, token="t", plan="unlimited") as feed:
        feed.subscribe(trades=["BTCUSDT"], books=["BTCUSDT"])
        for _ in range(2):
            the(feed, Subscribed)
        server.trade("BTCUSDT", "79317.8")
        while not isinstance(found := feed.next(timeout=120), Trade) or found.price != Decimal("79317.8"):
            pass
        feed.unsubscribe(books=["BTCUSDT"])
        assert [one.code for one in feed.api.latest_trades("BTCUSDT")] == ["BTCUSDT"]
        assert feed.api.klines("BTCUSDT", "1m", 1)[0].code == "BTCUSDT"
    assert [one for one in feed if isinstance(one, Trade)] == []  # closed: it ends


def test_what_instruments_do_is_an_event(server: AllTickServer) -> None:
    with sync.connect(server.url, token="t", plan="unlimited") as feed:
        feed.subscribe(states="BTCUSDT")
        assert the(feed, MarketState).state == "open"
        server.halt("BTCUSDT")
        assert the(feed, MarketState).state == "halted"


def test_waiting_has_an_end(server: AllTickServer) -> None:
    with sync.connect(server.url, token="t", plan="unlimited") as feed:
        with pytest.raises(TimeoutError):
            feed.next(timeout=0.05)
        feed.subscribe(trades=["BTCUSDT"])
        assert isinstance(feed.next(timeout=120), Status)


def test_on_state_is_called_in_the_client_s_thread(server: AllTickServer) -> None:
    threads: list[str] = []
    with sync.connect(
        server.url, token="t", on_state=lambda _: threads.append(threading.current_thread().name)
    ) as feed:
        feed.subscribe(trades=["BTCUSDT"])
        the(feed, Subscribed)
    assert set(threads) == {"tickwire"}


def test_a_callback_cannot_wait_for_itself(server: AllTickServer) -> None:
    told: list[BaseException] = []

    def wait(_: Status) -> None:
        try:
            feed.api.markets()
        except RuntimeError as error:
            told.append(error)

    with sync.connect(server.url, token="t", on_state=wait) as feed:
        feed.subscribe(trades=["BTCUSDT"])
        the(feed, Subscribed)
    assert "cannot wait" in str(told[0])


def test_all_of_the_api_is_there(server: AllTickServer) -> None:
    with sync.Api(server.url, token="t") as api:
        assert len(api.instruments("apple")) >= 1
        assert {one.calendar for one in api.markets()} >= {"XNYS"}
        assert api.gaps(limit=1) == []
        assert api.static_info("AAPL.US")[0].symbol == "AAPL.US"
        assert api.suspensions("sse") == []
        assert len(api.latest_klines("BTCUSDT")) <= 2
        assert api.books("GOLD") is not None
        with pytest.raises(RequestRefused, match="code invalid"):
            api.klines("nonsense")


def test_a_warning_points_at_the_script(server: AllTickServer) -> None:
    with sync.Api(server.url, token="t") as api:
        with pytest.warns(HistoryWarning, match="AAPL.US: there are no 2h bars") as told:
            assert api.klines("AAPL.US", "2h") == []
        short: list[str] = []
        assert api.klines("AAPL.US", "2h", on_short=short.append) == []
    assert Path(told[0].filename) == Path(__file__)
    assert short == ["AAPL.US: there are no 2h bars"]


async def test_it_works_where_a_loop_is_running(tmp_path: Path) -> None:
    """A cell of a notebook blocks the notebook's loop; the server then must run elsewhere."""
    running = asyncio.get_running_loop()
    async with serving(tmp_path) as served:

        def cell() -> list[Event]:
            with sync.connect(served.url, plan="unlimited") as feed:
                feed.subscribe(trades=["BTCUSDT"])
                return [feed.next(timeout=120) for _ in range(3)]

        assert len(await running.run_in_executor(None, cell)) == 3
    with sync.Api("http://127.0.0.1:1", token="t", patience=0) as api, pytest.raises(Unavailable):
        api.markets()  # in this thread, whose loop runs
