"""`AllTickServer`: what its handles do, seen by real clients."""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tickwire.errors import InputError, SettingsError, StartError
from tickwire.sandbox import Halt, Scenario
from tickwire.testing import AllTickServer, Received, market_time
from tickwire.testing import server as server_module

from ..serving import DEPTH, HEARTBEAT, TRADE, program_environment, upgrade

SUBSCRIBE_TRADES = {"cmd_id": TRADE, "seq_id": 1, "trace": "t"}


@pytest.fixture(scope="module")
def quiet() -> Iterator[AllTickServer]:
    """A quiet server for tests that leave nothing behind."""
    with AllTickServer(quiet=True, seed=7) as server:
        yield server


class Client:
    """A WebSocket client that reads one message after the other."""

    def __init__(self, link: ClientConnection) -> None:
        self.link = link

    def send(self, cmd_id: int, data: object = None) -> None:
        self.link.send(
            msgspec.json.encode({"cmd_id": cmd_id, "seq_id": 1, "trace": "t", "data": data}).decode()
        )

    def read(self) -> dict[str, Any]:
        message: dict[str, Any] = msgspec.json.decode(self.link.recv(timeout=20))
        return message

    def subscribe(self, cmd_id: int, *codes: str) -> list[dict[str, Any]]:
        """Subscribes; returns the data of the snapshots, one of each code."""
        self.send(cmd_id, {"symbol_list": [{"code": code} for code in codes]})
        assert self.read()["ret"] == 200
        return [self.read()["data"] for _ in codes]

    def data(self) -> dict[str, Any]:
        """Of the next push."""
        data: dict[str, Any] = self.read()["data"]
        return data

    def closing(self) -> tuple[int, str]:
        """Code and reason of the close frame; messages before it are passed over."""
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.link.recv(timeout=20)
        return self.link.close_code or 0, self.link.close_reason or ""


@pytest.fixture
def linked() -> Iterator[Callable[..., Client]]:
    """Connects clients, which are closed at the end."""
    with contextlib.ExitStack() as links:

        def link(server: AllTickServer, *arguments: Any, **options: Any) -> Client:
            url = server.websocket_url(*arguments, **options)
            return Client(links.enter_context(connect(url, compression=None)))

        yield link


Linked = Callable[..., Client]


# Its life.
def test_it_is_ready_in_under_a_second() -> None:
    times: list[float] = []
    while len(times) < 6 and min(times, default=1.0) >= 1:  # the machine may be busy otherwise
        began = time.monotonic()
        with AllTickServer() as server:
            times.append(time.monotonic() - began)
            assert httpx.get(server.url + "/readyz").json()["ready"] is True
    assert min(times) < 1


def test_it_starts_from_nothing_in_a_process_of_its_own_and_may_be_forgotten(tmp_path: Path) -> None:
    forgetful = "from tickwire.testing import AllTickServer; AllTickServer().start(); print('ready')"
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-W", "error", "-c", forgetful],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env=program_environment(TMPDIR=str(tmp_path)),
    )
    # On a busy machine asyncio in development mode notes what took long.
    said = [line for line in done.stderr.splitlines() if not line.startswith("Executing <")]
    assert (done.returncode, done.stdout, said) == (0, "ready\n", [])
    assert [*tmp_path.iterdir()] == [], "its data are removed"


def test_its_data_are_in_a_folder_that_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with AllTickServer():
        (folder,) = tmp_path.iterdir()
        assert (folder / "tickwire.db").exists()
    assert [*tmp_path.iterdir()] == []


def test_a_folder_that_is_given_is_kept(tmp_path: Path) -> None:
    with AllTickServer(data_dir=tmp_path / "data"):
        pass
    assert (tmp_path / "data" / "tickwire.db").exists()


def test_started_again_it_has_its_port_and_nothing_else(linked: Linked) -> None:
    server = AllTickServer(quiet=True)
    server.start()
    url = server.url
    server.token()
    linked(server, token=server.token()).send(HEARTBEAT)
    server.wait_for(lambda _: True)
    server.stop()
    assert len(server.received) == 1, "to be read after the end"
    server.start()
    assert server.url == url
    assert server.received == []
    linked(server, token="any")
    server.stop()


def test_it_leaves_signals_and_threads_as_they_were() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM), threading.active_count()
    with AllTickServer():
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before[:2]
    assert threading.active_count() == before[2]


def test_it_starts_and_stops_in_any_thread() -> None:
    server = AllTickServer()
    with ThreadPoolExecutor(1) as other:
        other.submit(server.start).result()
    assert server.state("BTCUSDT") == "open"
    with ThreadPoolExecutor(1) as other:
        other.submit(server.stop).result()


def test_two_stand_beside_one_another(linked: Linked) -> None:
    with AllTickServer(quiet=True) as one, AllTickServer(quiet=True) as other:
        assert one.url != other.url
        with one.halt("GOLD"):
            assert (one.state("GOLD"), other.state("GOLD")) == ("halted", "open")
        linked(other)
        assert (one.connections, other.connections) == ([], [1])


@pytest.mark.parametrize(
    "use",
    [
        lambda server: server.url,
        lambda server: server.websocket_url(),
        lambda server: server.trade("GOLD", 1),
        lambda server: server.time.now(),
        lambda server: server.time.freeze(),
        lambda server: server.connections,
        lambda server: server.wait_for_connections(0),
        lambda server: server.halt("GOLD"),
        lambda server: server.token(),
        lambda server: server.revoke("x"),
    ],
)
def test_without_a_server_the_handles_say_so(use: Callable[[AllTickServer], object]) -> None:
    server = AllTickServer()
    with pytest.raises(RuntimeError, match="not running"):
        use(server)
    server.stop()  # does nothing


def test_it_starts_once() -> None:
    with AllTickServer() as server:
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
        assert server.state("GOLD") == "open"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"sede": 1}, ["sede", "seed"]),
        ({"rate": 0}, ["rate", "greater than 0"]),
        ({"rate": -1, "port": -1}, ["rate", "port"]),
        ({"plan": "fere"}, ["fere", "free"]),
        ({"source": "replay"}, ["file"]),
    ],
)
def test_a_wrong_setting_is_told_where_it_stands(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(SettingsError) as told:
        AllTickServer(**settings)
    assert all(word in str(told.value) for word in words)


def test_what_only_the_start_finds_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    threads = threading.active_count()
    with pytest.raises(SettingsError, match="NOPE"):
        AllTickServer(codes=["NOPE"]).start()
    with pytest.raises(InputError, match="flaky-network"):
        AllTickServer(scenario=["flaky-netwrok"]).start()
    with pytest.raises(SettingsError, match="no-auth"):
        AllTickServer(host="0.0.0.0").start()
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(StartError, match="taken"):
        AllTickServer(port=taken.getsockname()[1]).start()
    assert [*tmp_path.iterdir()] == []
    assert threading.active_count() == threads


def test_a_recording_that_breaks_is_told_at_the_end(tmp_path: Path, linked: Linked) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("code,tick_time_ms,price,volume\nIBM.US,1381152600000,182.1,1\n")
    server = AllTickServer(source="replay", file=[path], hold=True, strict_input=True)
    server.start()
    path.write_text("rubbish\n")
    client = linked(server, "stock")
    client.send(TRADE, {"symbol_list": [{"code": "IBM.US"}]})
    deadline = time.monotonic() + 30
    while httpx.get(f"{server.url}/readyz").json()["sources"][0]["status"] != "down":
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client.send(HEARTBEAT)
    assert {22005, 22001} >= {client.read()["cmd_id"], client.read()["cmd_id"]}, "it serves on"
    with pytest.raises(InputError, match=str(path)):
        server.stop()
    with pytest.raises(RuntimeError, match="not running"):
        server.state("IBM.US")


def test_a_client_that_does_not_answer_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("shell", "http_protocol"):
        monkeypatch.setattr(f"tickwire.server.{module}.LINGER", 600.0)
    monkeypatch.setattr(sys.modules["tickwire.server.serve"], "GRACE", 600)
    with AllTickServer() as server, socket.create_connection(("127.0.0.1", int(server.url[17:]))) as client:
        client.sendall(upgrade())
        server.wait_for_connections(1)
        server.stop()


def test_clients_are_told_that_it_stops(linked: Linked) -> None:
    with AllTickServer() as server:
        client = linked(server)
    assert client.closing()[0] == 1001


def test_quiet_is_for_the_simulator(tmp_path: Path) -> None:
    path = tmp_path / "trades.csv"
    path.write_text("code,tick_time_ms,price,volume\nIBM.US,1381152600000,182.1,1\n")
    with pytest.raises(InputError, match="clock"):
        AllTickServer(quiet=True, source="replay", file=[path]).start()


def test_the_documentation_is_true() -> None:
    for module in (server_module, market_time):
        failed, tried = doctest.testmod(module)
        assert tried
        assert not failed


# Where it is.
def test_urls(quiet: AllTickServer) -> None:
    address = quiet.url.removeprefix("http://")
    assert address.startswith("127.0.0.1:")
    assert quiet.websocket_url() == f"ws://{address}/quote-b-ws-api?token=test"
    assert quiet.websocket_url("stock", "a b&c") == f"ws://{address}/quote-stock-b-ws-api?token=a%20b%26c"
    assert quiet.http_url("stock") == f"http://{address}/quote-stock-b-api"
    assert quiet.http_url() == f"http://{address}/quote-b-api"
    with pytest.raises(ValueError, match="neither stock nor other"):
        quiet.websocket_url("crypto")  # type: ignore[arg-type]


# What the market does.
@pytest.mark.parametrize("is_quiet", [True, False])
def test_in_quiet_nothing_comes_but_what_the_test_sends(linked: Linked, is_quiet: bool) -> None:
    with AllTickServer(quiet=is_quiet, rate=1000) as server:
        client = linked(server)
        (snapshot,) = client.subscribe(TRADE, "BTCUSDT")
        before = time.monotonic()
        while time.monotonic() - before < 0.2:  # time in which a market that is not quiet trades
            client.send(HEARTBEAT)
            while client.read().get("cmd_id") != HEARTBEAT + 1:
                pass
        server.trade("BTCUSDT", "12345.67")
        while (pushed := client.data())["price"] != "12345.67":
            assert not is_quiet
        assert (pushed["seq"] == snapshot["seq"] + 1) == is_quiet


@pytest.mark.parametrize("codes", [["all"], ["BTCUSDT"]])
def test_in_quiet_every_code_has_a_last_trade_and_book(linked: Linked, codes: list[str]) -> None:
    with AllTickServer(quiet=True, codes=codes) as server:
        events = httpx.get(server.url + "/readyz").json()["events"]
        client = linked(server)
        (trade,) = client.subscribe(TRADE, "BTCUSDT")
        (book,) = client.subscribe(DEPTH, "BTCUSDT")
        assert trade["tick_time"] == book["tick_time"] == server.time.now()
        assert len(book["bids"]) == 5
        assert httpx.get(server.url + "/readyz").json()["events"] == events


def test_a_code_that_does_not_run_begins_with_a_subscription(linked: Linked) -> None:
    with AllTickServer(quiet=True, codes=["BTCUSDT"]) as server:
        client = linked(server)
        (first,) = client.subscribe(TRADE, "GOLD")
        server.trade("GOLD", "4415.3")
        assert client.data()["seq"] == first["seq"] + 1


def test_a_trade_is_pushed_as_it_was_told(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet)
    (last,) = client.subscribe(TRADE, "BTCUSDT")
    at = quiet.time.now() + 5
    quiet.trade("BTCUSDT", "79317.7", volume=Decimal("0.5"), direction="sell", at=at)
    quiet.trade("BTCUSDT", 79318, turnover="1.25", direction=1)
    quiet.trade("BTCUSDT", "7.93190e4", volume=0)
    common = {"code": "BTCUSDT"}
    assert [client.data() for _ in range(3)] == [
        common
        | {
            "seq": last["seq"] + 1,
            "tick_time": at,
            "price": "79317.70",
            "volume": "0.50000",
            "turnover": "39658.85",
            "trade_direction": 2,
        },
        common
        | {
            "seq": last["seq"] + 2,
            "tick_time": at - 5,
            "price": "79318.00",
            "volume": "1.00000",
            "turnover": "1.25",
            "trade_direction": 1,
        },
        common
        | {
            "seq": last["seq"] + 3,
            "tick_time": at - 5,
            "price": "79319.00",
            "volume": "0.00000",
            "turnover": "0.00",
            "trade_direction": 0,
        },
    ]


def test_a_book_is_pushed_as_it_was_told(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet, "stock")
    client.subscribe(DEPTH, "700.HK")
    quiet.book("700.HK", [("512.5", 100), ("512", "200")], iter([(Decimal(513), 0)]))
    pushed = client.data()
    assert pushed["bids"] == [
        {"price": "512.500000", "volume": "100"},
        {"price": "512.000000", "volume": "200"},
    ]
    assert pushed["asks"] == [{"price": "513.000000", "volume": "0"}]
    assert pushed["tick_time"] == quiet.time.now()
    quiet.book("700.HK", [("512.5", 100)], [], at=quiet.time.now() + 1)
    pushed = client.data()
    assert {level["price"] for level in pushed["asks"]} == {"0.000000"}
    assert pushed["tick_time"] == quiet.time.now() + 1


def test_an_alias_is_its_code(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet)
    client.subscribe(TRADE, "GOLD")
    quiet.trade("XAUUSD", "4415.32")
    assert (pushed := client.data())["code"] == "GOLD"
    assert pushed["price"] == "4415.32"
    assert quiet.state("XAUUSD") == "open"


def test_a_trade_has_been_sent_when_the_handle_returns(quiet: AllTickServer) -> None:
    with socket.create_connection(("127.0.0.1", int(quiet.url[17:]))) as client:
        client.sendall(upgrade())
        assert b"101" in client.recv(2**16)
        body = b'{"cmd_id":22004,"data":{"symbol_list":["BTCUSDT"]}}'
        client.sendall(bytes((0x81, 0x80 | len(body))) + bytes(4) + body)
        while b"22998" not in client.recv(2**16):
            pass
        client.setblocking(False)
        for price in range(1000, 1100):
            quiet.trade("BTCUSDT", price)
            assert f'"{price}.00"'.encode() in client.recv(2**16)


@pytest.mark.parametrize(
    ("tick", "error", "words"),
    [
        (lambda s: s.trade("BTCUSD", 1), ValueError, ["'BTCUSD'", "BTCUSDT"]),
        (lambda s: s.trade("btcusdt", 1), ValueError, ["'btcusdt'", "BTCUSDT", "case"]),
        (lambda s: s.book("NOPE", [], []), ValueError, ["'NOPE'"]),
        (lambda s: s.state("NOPE"), ValueError, ["'NOPE'"]),
        (lambda s: s.trade("GOLD", 4415.32), TypeError, ["GOLD", "price", "4415.32", "float"]),
        (lambda s: s.trade("GOLD", True), TypeError, ["price", "True"]),
        (lambda s: s.trade("GOLD", None), TypeError, ["price", "None"]),
        (lambda s: s.trade("GOLD", 1, volume=0.5), TypeError, ["volume", "0.5", "float"]),
        (lambda s: s.trade("GOLD", 1, turnover=0.5), TypeError, ["turnover", "0.5", "float"]),
        (lambda s: s.trade("GOLD", "4415.321"), ValueError, ["GOLD", "price", "2 decimals", "4415.321"]),
        (lambda s: s.trade("AAPL.US", 1, volume="1.5"), ValueError, ["volume", "0 decimals"]),
        (lambda s: s.trade("GOLD", 1, turnover="0.001"), ValueError, ["turnover", "2 decimals"]),
        (lambda s: s.trade("GOLD", 0), ValueError, ["price", "above 0"]),
        (lambda s: s.trade("GOLD", "-1"), ValueError, ["price", "'-1'"]),
        (lambda s: s.trade("GOLD", "1e16"), ValueError, ["price", "10^15"]),
        (lambda s: s.trade("GOLD", "1e999999999"), ValueError, ["price", "10^15"]),
        (lambda s: s.trade("GOLD", "NaN"), ValueError, ["price", "NaN"]),
        (lambda s: s.trade("GOLD", Decimal("Infinity")), ValueError, ["price", "Infinity"]),
        (lambda s: s.trade("GOLD", "12,50"), ValueError, ["price", "12,50", "no decimal number"]),
        (lambda s: s.trade("GOLD", 1, volume=-1), ValueError, ["volume", "-1"]),
        (lambda s: s.trade("GOLD", 1, direction="up"), ValueError, ["direction", "'up'", "sell (2)"]),
        (lambda s: s.trade("GOLD", 1, direction=3), ValueError, ["direction", "3"]),
        (lambda s: s.trade("GOLD", 1, at=1788530573), ValueError, ["at=1788530573", "milliseconds"]),
        (lambda s: s.trade("GOLD", 1, at=1788530573000.0), TypeError, ["at", "whole milliseconds"]),
        (lambda s: s.trade("GOLD", 1, at=10**15), ValueError, ["at", "milliseconds"]),
        (lambda s: s.book("GOLD", [(1, 1)], [(1.5, 1)]), TypeError, ["GOLD", "asks[0]", "price", "float"]),
        (lambda s: s.book("GOLD", [(2, 1), (1, 1)], []), ValueError, ["bids", "2 levels", "at most 1"]),
        (lambda s: s.book("700.HK", [(2, 1), (0, 1)], []), ValueError, ["bids[1]", "price", "above 0"]),
        (lambda s: s.book("700.HK", [], [(2, 1), (3, "x")]), ValueError, ["asks[1]", "volume", "'x'"]),
        (lambda s: s.book("700.HK", [(1, 1), (2, 1)], []), ValueError, ["bids", "best price first"]),
        (lambda s: s.book("700.HK", [], [(2, 1), (1, 1)]), ValueError, ["asks", "best price first"]),
        (lambda s: s.book("700.HK", [], [(2, 1), (2, 1)]), ValueError, ["asks", "once"]),
        (lambda s: s.book("700.HK", ["12"], [3]), ValueError, ["bids[0]", "pair"]),
        (lambda s: s.book("HSI.HK", [], []), ValueError, ["HSI.HK", "no book"]),
    ],
)
def test_what_no_tick_can_be_is_refused_by_name(
    quiet: AllTickServer, tick: Callable[[Any], object], error: type[Exception], words: list[str]
) -> None:
    with pytest.raises(error) as told:
        tick(quiet)
    assert [word for word in words if word not in str(told.value)] == []


# What goes wrong.
TOML = 'name = "mine"\n[[step]]\ndo = "halt"\ncodes = ["AAPL.US"]\n'
STEP = {"do": "halt", "codes": ["AAPL.US"]}


@pytest.mark.parametrize(
    "scenario",
    [
        STEP,
        {"name": "mine", "step": [STEP, {"do": "gap", "codes": ["GOLD"]}]},
        Scenario(steps=(Halt(codes=("AAPL.US",)),), name="mine"),
        "path",
        Path,
    ],
    ids=["step", "document", "Scenario", "text of a path", "path"],
)
def test_a_scenario_is_at_work_when_run_returns_and_over_when_stop_does(
    quiet: AllTickServer, tmp_path: Path, scenario: Any
) -> None:
    if scenario in ("path", Path):
        path = tmp_path / "own.toml"
        path.write_text(TOML)
        scenario = path if scenario is Path else str(path)
    running = quiet.run(scenario)
    assert quiet.state("AAPL.US") == "halted"
    assert running.name in ("mine", "unnamed")
    assert running.stop() is True
    assert quiet.state("AAPL.US") == "open"
    assert running.stop() is False
    with quiet.run(scenario):
        assert quiet.state("AAPL.US") == "halted"
    assert quiet.state("AAPL.US") == "open"


def test_a_scenario_of_the_library(quiet: AllTickServer) -> None:
    with quiet.run("market-close") as running:
        listed = httpx.get(quiet.url + "/admin/scenario").json()["running"]
        assert [(one["number"], one["name"]) for one in listed] == [(running.number, "market-close")]
    assert httpx.get(quiet.url + "/admin/scenario").json()["running"] == []


def test_a_scenario_may_outlive_the_server() -> None:
    with AllTickServer() as server, server.halt("GOLD"):
        server.stop()


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        ("week-end", ["week-end", "weekend"]),
        ("/no/such/file.toml", ["No such file"]),
        ({"do": "hlat"}, ["step 1", "hlat", "halt"]),
        ({"do": "halt", "codes": ["NOPE"]}, ["NOPE"]),
        ({"steps": []}, ["steps", "step"]),
        (["halt"], ["table"]),
        ({"do": "clock", "to": "2001-01-01T00:00:00Z"}, ["past"]),
    ],
)
def test_a_wrong_scenario_is_told(quiet: AllTickServer, scenario: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as told:
        quiet.run(scenario)
    assert [word for word in words if word not in str(told.value)] == []


def test_halts_silence_codes_and_stand_in_the_list(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet, "stock")
    client.subscribe(TRADE, "MSFT.US", "IBM.US")
    with quiet.halt("MSFT.US", reason="LUDP"):
        quiet.trade("MSFT.US", 400)
        quiet.trade("IBM.US", 200)
        assert client.data()["code"] == "IBM.US"
        listed = httpx.get(f"{quiet.url}/api/suspension/nasdaq?token=t").json()["data"]
        assert ("MSFT", ["LUDP"]) in [(one["symbol"], one["haltReason"]) for one in listed]
    quiet.trade("MSFT.US", 401)
    assert client.data()["price"] == "401.000000"
    with quiet.halt():
        assert {quiet.state(code) for code in ("GOLD", "700.HK")} == {"halted"}


def test_scenarios_show_on_the_wire_when_run_returns(quiet: AllTickServer, linked: Linked) -> None:
    client = linked(quiet, "stock")
    client.subscribe(DEPTH, "TSLA.US")
    with quiet.run({"do": "limit-up", "codes": ["TSLA.US"]}):
        assert client.data()["asks"] == [{"price": "0.000000", "volume": "0"}]


def test_a_scenario_of_the_settings_runs_from_the_start(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(TOML)
    with AllTickServer(scenario=[str(tmp_path / "own.toml")]) as server:
        assert server.state("AAPL.US") == "halted"


# The market's time.
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


# What clients do.
def test_what_clients_send_is_kept_in_order(linked: Linked) -> None:
    with AllTickServer(quiet=True) as server:
        stocks, others = linked(server, "stock"), linked(server)
        stocks.subscribe(TRADE, "700.HK")
        others.subscribe(DEPTH, "GOLD")
        others.link.send("nonsense")
        others.read()
        query = '{"trace":"x","data":{"symbol_list":[{"code":"GOLD"}]}}'
        httpx.get(server.http_url() + "/trade-tick", params={"token": "secret", "query": query})
        httpx.post(server.http_url() + "/batch-kline?token=secret", content=b"{}")
        one, two, three, four, five = server.received
    assert one[:2] == (1, "/quote-stock-b-ws-api")
    assert one.deviations == ()
    assert one.json() == {**SUBSCRIBE_TRADES, "data": {"symbol_list": [{"code": "700.HK"}]}}
    assert (two.connection, two.path, two.json()["cmd_id"]) == (2, "/quote-b-ws-api", DEPTH)
    assert three == Received(2, "/quote-b-ws-api", "nonsense", ("not_json",))
    with pytest.raises(ValueError, match="Expecting value"):
        three.json()
    assert four == (0, "/quote-b-api/trade-tick", query, ())
    assert five[:3] == (0, "/quote-b-api/batch-kline", "{}")
    assert {"missing_field: trace", "missing_field: data"} < {*five.deviations}
    with pytest.raises(AttributeError):
        five.text = ""  # type: ignore[misc]


def test_what_the_documents_do_not_allow_is_told(linked: Linked) -> None:
    expected = {"number_as_text: cmd_id": 1, "other_family: 700.HK": 1}
    with AllTickServer(quiet=True) as server:
        client = linked(server)
        client.link.send(
            '{"cmd_id":"22004","seq_id":1,"trace":"","data":{"symbol_list":[{"code":"700.HK"},{"code":"GOLD"}]}}'
        )
        client.link.send('{"cmd_id":22000,"seq_id":1,"trace":"","data":{}}')
        server.wait_for(lambda sent: "22000" in sent.text)
        assert [sent.deviations for sent in server.received] == [tuple(expected), ()]
        assert server.deviations == {1: expected}
        client.link.close()
        server.wait_for_connections(0)
        assert server.deviations == {1: expected}, "it outlives its connection"
        query = '{"trace":"","data":{"code":"700.HK","kline_type":"8"}}'
        httpx.get(server.http_url("stock") + "/kline", params={"query": query}, headers={"token": "t"})
        assert server.received[-1].deviations == ("token_in_header", "number_as_text: kline_type")


def test_wait_for_takes_what_was_there_and_what_comes(linked: Linked) -> None:
    with AllTickServer() as server, ThreadPoolExecutor(1) as other:
        client = linked(server)
        first = other.submit(server.wait_for, lambda heard: "22004" in heard.text)
        client.send(HEARTBEAT)
        client.send(TRADE, {"symbol_list": ["GOLD"]})
        assert first.result().json()["cmd_id"] == TRADE
        assert server.wait_for(lambda _: True, timeout=0).json()["cmd_id"] == HEARTBEAT
        assert server.wait_for(lambda _: server.connections == [1]), "a predicate may ask the server"
        with pytest.raises(ZeroDivisionError):
            server.wait_for(lambda _: 1 / 0)


def test_wait_for_tells_what_came_instead(linked: Linked) -> None:
    with AllTickServer() as server:
        with pytest.raises(TimeoutError, match=r"within 0.01 s; nothing did"):
            server.wait_for(lambda _: True, timeout=0.01)
        linked(server).send(HEARTBEAT)
        server.wait_for(lambda _: True)
        with pytest.raises(TimeoutError, match=r"(?s)1 messages did.*22000"):
            server.wait_for(lambda _: False, timeout=0.01)


def test_what_is_done_after_wait_for_meets_what_the_client_asked(
    quiet: AllTickServer, linked: Linked
) -> None:
    for _ in range(50):
        client = linked(quiet)
        before = len(quiet.received)
        client.send(TRADE, {"symbol_list": ["GOLD"]})
        quiet.wait_for(lambda _: len(quiet.received) > before)  # noqa: B023
        quiet.trade("GOLD", "1234.5")
        assert [client.read().get("ret") for _ in range(2)] == [200, None]
        assert client.data()["price"] == "1234.50"
        client.link.close()


def test_connections_come_and_go(linked: Linked) -> None:
    with AllTickServer() as server:
        assert server.connections == []
        one, _ = linked(server), linked(server, "stock")
        server.wait_for_connections(2)
        assert server.connections == [1, 2]
        one.link.close()
        server.wait_for_connections(1)
        assert server.connections == [2]
        server.run({"do": "disconnect", "reset": True})
        server.wait_for_connections(0)
        with pytest.raises(TimeoutError, match=r"0 connections after 0.01 s, not 1"):
            server.wait_for_connections(1, timeout=0.01)


def test_a_number_of_connections_that_holds_for_a_moment_is_seen() -> None:
    with AllTickServer() as server, ThreadPoolExecutor(2) as others:
        for _ in range(20):
            waiting = others.submit(server.wait_for_connections, 1)
            with connect(server.websocket_url()):
                pass
            waiting.result()
            server.wait_for_connections(0)


def test_an_end_is_waited_for(linked: Linked) -> None:
    with AllTickServer() as server, ThreadPoolExecutor(1) as other:
        client = linked(server)
        waiting = other.submit(server.wait_for_connections, 0)
        with connect(server.websocket_url("stock")):  # time in which the other thread begins to wait
            client.link.close()
        waiting.result()


async def test_it_serves_a_client_in_an_event_loop(quiet: AllTickServer) -> None:
    async with connect_async(quiet.websocket_url()) as link:
        await link.send('{"cmd_id":22004,"seq_id":77,"data":{"symbol_list":["GOLD"]}}')
        heard = await asyncio.to_thread(quiet.wait_for, lambda heard: '"seq_id":77' in heard.text)
        assert heard.connection == quiet.connections[-1]
        quiet.trade("GOLD", "1500.25")
        async with asyncio.timeout(20):
            while "1500.25" not in await link.recv():
                pass


# Who may come in.
def refused(server: AllTickServer, token: str) -> int:
    """The status of the upgrade, 101 if it is let in."""
    try:
        with connect(server.websocket_url(token=token)):
            return 101
    except InvalidStatus as refusal:
        return refusal.response.status_code


def test_from_the_first_token_on_only_tokens_are_let_in(linked: Linked) -> None:
    with AllTickServer() as server:
        stranger = linked(server, token="any")
        token = server.token("premium", name="desk")
        assert stranger.closing() == (1008, "token invalid")
        assert (refused(server, token), refused(server, "any")) == (101, 401)
        assert server.token() != token
        with pytest.raises(InputError, match="desk"):
            server.token(name="desk")


def test_a_token_has_its_plan_and_its_codes(linked: Linked) -> None:
    with AllTickServer(quiet=True) as server:
        token = server.token("free", markets=["hk_stock"], codes=("AAPL.US", "XAUUSD"))
        client = linked(server, "stock", token=token)
        assert refused(server, token) == 101, "the other family"
        client.subscribe(TRADE, "700.HK", "AAPL.US")
        client.send(DEPTH, {"symbol_list": ["MSFT.US"]})
        assert client.read()["ret"] == 604
        linked(server, token=token).subscribe(TRADE, "GOLD")
        with pytest.raises(InvalidStatus, match="429"):
            linked(server, "stock", token=token)


@pytest.mark.parametrize("by", ["text", "name"])
def test_a_revoked_token_is_out_when_revoke_returns(linked: Linked, by: str) -> None:
    with AllTickServer() as server:
        keep, token = server.token(), server.token(name="desk")
        client = linked(server, token=token)
        server.revoke(token if by == "text" else "desk")
        assert (refused(server, token), refused(server, keep)) == (401, 101)
        assert client.closing() == (1008, "token revoked")


def test_a_token_expires(linked: Linked) -> None:
    with AllTickServer() as server:
        assert refused(server, server.token(expires_in=0)) == 401
        client = linked(server, token=server.token(expires_in=0.5))
        assert client.closing() == (1008, "token expired")


def test_a_plan_of_ones_own() -> None:
    with AllTickServer(plans={"desk": {"connections": 1}}, plan="desk") as server:
        with connect(server.websocket_url()):
            assert refused(server, "test") == 429
        server.token("desk")


@pytest.mark.parametrize(
    ("use", "words"),
    [
        (lambda server: server.token("fere"), "'fere' is none of free"),
        (lambda server: server.token(markets=["moon"]), "'moon' is none of"),
        (lambda server: server.token(codes=["NOPE"]), "'NOPE' is unknown"),
        (lambda server: server.revoke("tw_secret"), "no token of that text or name"),
    ],
)
def test_a_wrong_token_is_told_without_its_text(
    quiet: AllTickServer, use: Callable[[AllTickServer], object], words: str
) -> None:
    with pytest.raises(ValueError, match=words) as told:
        use(quiet)
    assert "secret" not in str(told.value)
    assert refused(quiet, "any") == 101, "no token was made"


# Its log.
def test_it_logs_from_its_level_on_and_leaves_other_logs_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()["processors"].copy()
    own = structlog.get_logger()
    with AllTickServer(quiet=True) as server, server.halt("GOLD"):
        own.info("mine")
    said = capsys.readouterr()
    assert "mine" in said.out
    assert len((said.out + said.err).splitlines()) == 1
    with AllTickServer(log_level="info"):
        pass
    assert "source started" in capsys.readouterr().out
    assert structlog.get_config()["processors"] == before


def test_a_log_that_is_configured_meanwhile_stays(capsys: pytest.CaptureFixture[str]) -> None:
    with AllTickServer() as server:
        with structlog.testing.capture_logs() as logs, server.halt("GOLD"):
            pass
        assert "scenario started" in {line["event"] for line in logs}
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(os.name == "nt", reason="there are no such descriptors")
def test_it_keeps_no_descriptor_open() -> None:
    with AllTickServer():
        pass
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for _ in range(3):
        with AllTickServer() as server, connect(server.websocket_url()):
            httpx.get(server.url + "/readyz")
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
