"""`AllTickServer`: what its handles do, seen by real clients."""

from __future__ import annotations

import doctest
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tickwire.errors import InputError, SettingsError, StartError
from tickwire.testing import AllTickServer, market_time
from tickwire.testing import server as server_module

from ..serving import DEPTH, HEARTBEAT, TRADE, program_environment
from .conftest import Linked


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
        timeout=120,
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


# When it is quiet.
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


@pytest.mark.skipif(os.name == "nt", reason="there are no such descriptors")
def test_it_keeps_no_descriptor_open() -> None:
    with AllTickServer():
        pass
    before = len(os.listdir("/dev/fd"))  # noqa: PTH208
    for _ in range(3):
        with AllTickServer() as server, connect(server.websocket_url()):
            httpx.get(server.url + "/readyz")
    assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
