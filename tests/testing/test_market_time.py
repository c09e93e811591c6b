"""The market's time in the hands of a test."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.sync.client import connect

import tickwire.sync
from tickwire.client import Trade
from tickwire.errors import InputError, StartError
from tickwire.testing import AllTickServer

from ..serving import TRADE
from .conftest import Client, Linked


@pytest.fixture
def frozen() -> Iterator[AllTickServer]:
    with AllTickServer(quiet=True, seed=7) as server:
        yield server


def test_quiet_time_stands_at_a_full_second_of_now(frozen: AllTickServer) -> None:
    now = frozen.time.now()
    assert now % 1000 == 0
    assert abs(now - time.time() * 1000) < 5000
    assert frozen.time.now() == now


def test_time_is_moved_by_seconds_and_to_moments(frozen: AllTickServer) -> None:
    now = frozen.time.now()
    assert frozen.time.move(by=60) == now + 60_000
    assert frozen.time.move(by=1.5) == now + 62_000, "full seconds"
    assert frozen.time.move(now + 70_001) == now + 71_000
    day = datetime.fromtimestamp(now / 1000, UTC) + timedelta(days=1)
    assert frozen.time.move(day) == now + 86_400_000
    moved = datetime.fromtimestamp(frozen.time.move(to="saturday 12:00") / 1000, UTC)
    assert (moved.weekday(), moved.hour, moved.minute) == (5, 12, 0)
    assert frozen.time.move("2199-12-31T00:00:00Z") == frozen.time.now() == 7_258_032_000_000


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({}, ValueError, "to= or by="),
        ({"to": 1, "by": 1}, ValueError, "to= or by="),
        ({"by": 0}, ValueError, "by=0"),
        ({"by": -60}, ValueError, "by=-60"),
        ({"by": float("nan")}, ValueError, "by=nan"),
        ({"to": 1_788_530_573}, ValueError, "to=1788530573"),
        ({"to": 1.5}, TypeError, "to=1.5"),
        ({"to": datetime(2100, 1, 1)}, ValueError, "time zone"),  # noqa: DTZ001
        ({"to": "2001-01-01T00:00:00Z"}, InputError, "past"),
        ({"to": 10**12}, InputError, "past"),
        ({"to": "someday"}, InputError, "someday"),
    ],
)
def test_a_time_that_it_cannot_be_is_refused(
    quiet: AllTickServer, arguments: dict[str, Any], error: type[Exception], words: str
) -> None:
    now = quiet.time.now()
    with pytest.raises(error, match=words):
        quiet.time.move(**arguments)
    assert quiet.time.now() == now


def test_a_minute_that_passes_closes_its_bar(frozen: AllTickServer) -> None:
    frozen.time.move(to="saturday 12:00")
    frozen.trade("BTCUSDT", 70_000)
    frozen.trade("BTCUSDT", 70_100)
    frozen.time.move(by=60)
    frozen.trade("BTCUSDT", 70_050)
    query = {"trace": "t", "data": {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": 2}}
    asked = {"token": "t", "query": msgspec.json.encode(query).decode()}
    bars = httpx.get(frozen.http_url() + "/kline", params=asked).json()["data"]["kline_list"]
    assert [(bar["open_price"], bar["close_price"]) for bar in bars] == [
        ("70000.00", "70100.00"),
        ("70050.00", "70050.00"),
    ]


def test_a_move_brings_no_ticks(frozen: AllTickServer, linked: Linked) -> None:
    client = linked(frozen)
    (last,) = client.subscribe(TRADE, "BTCUSDT")
    frozen.time.move(by=60)
    frozen.time.move(by=86_400)
    frozen.trade("BTCUSDT", 70_000)
    assert client.data()["seq"] == last["seq"] + 1


def test_time_goes_on_stands_still_and_runs(frozen: AllTickServer, linked: Linked) -> None:
    client = linked(frozen)
    (last,) = client.subscribe(TRADE, "BTCUSDT")
    frozen.time.resume()
    assert client.data()["seq"] == last["seq"] + 1, "markets trade again"
    frozen.time.freeze()
    now = frozen.time.now()
    frozen.time.speed(1000)
    while frozen.time.now() < now + 10_000:  # 10 ms
        pass
    frozen.time.freeze()
    assert frozen.time.now() == frozen.time.now()
    with pytest.raises(InputError, match="speed"):
        frozen.time.speed(-1)


def test_the_time_of_a_replay_is_not_moved(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("code,tick_time_ms,price,volume\nIBM.US,1381152600000,182.1,1\n")
    with AllTickServer(source="replay", file=[path]) as server:
        with pytest.raises(InputError, match="simulator"):
            server.time.freeze()
        server.trade("IBM.US", "182.2")  # but it takes ticks


START = datetime(2026, 11, 16, 14, 30, tzinfo=UTC)
AT = int(START.timestamp() * 1000)


@pytest.mark.parametrize("start", [START, AT, "2026-11-16T14:30:00Z"])
def test_a_quiet_market_that_is_started_at_a_time_is_the_same_in_every_run(start: object) -> None:
    seen = []
    for _ in range(2):
        with AllTickServer(start=start, seed=7, quiet=True, codes=["BTCUSDT"]) as server:
            assert server.time.now() == AT
            with connect(server.websocket_url(), compression=None) as link:
                client = Client(link)
                first = client.subscribe(TRADE, "BTCUSDT", "SHIBUSDT")
                assert {one["seq"] for one in first} == {AT * 1000}
                server.time.move(by=60)
                server.trade("BTCUSDT", 70_000)
                seen.append((sorted(first, key=str), client.data()))
    assert seen[0] == seen[1]
    assert (seen[0][1]["seq"], seen[0][1]["tick_time"]) == (AT * 1000 + 1, AT + 60_000)


def test_a_program_that_asks_the_same_gets_the_same(tmp_path: Path) -> None:
    """Through the client of ours, at three times the speed from the start."""
    fast = tmp_path / "fast.toml"
    fast.write_text('[[step]]\ndo = "clock"\nspeed = 3\n')
    seen = []
    for _ in range(2):
        with (
            AllTickServer(start=START, hold=True, seed=7, rate=20, scenario=[str(fast)]) as server,
            tickwire.sync.connect(server.url) as feed,
        ):
            feed.subscribe(trades=["BTCUSDT", "GOLD"])
            trades: dict[str, list[Trade]] = {"BTCUSDT": [], "GOLD": []}
            while min(map(len, trades.values())) < 60:
                event = feed.next(timeout=120)
                if isinstance(event, Trade):
                    trades[event.code].append(event)
            seen.append({code: some[:60] for code, some in trades.items()})
    assert seen[0] == seen[1]
    assert all(some[0].time == START for some in seen[0].values())
    assert [one.seq for one in seen[0]["GOLD"]] == [AT * 1000 + n for n in range(60)]


def test_a_directory_that_a_server_ran_on_is_not_started_on_again(tmp_path: Path) -> None:
    server = AllTickServer(start=START, data_dir=tmp_path)
    with server:
        pass
    with pytest.raises(StartError, match="leave out --start"):
        server.start()
