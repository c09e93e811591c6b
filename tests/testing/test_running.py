"""A server in a thread of its own: what it leaves alone, and how it ends."""

from __future__ import annotations

import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
import structlog

from tickwire.errors import InputError
from tickwire.testing import AllTickServer

from ..serving import HEARTBEAT, TRADE, upgrade
from .conftest import Linked


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
