"""Scenarios that a test runs: at work when `run` returns, over when `stop` does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from tickwire.errors import InputError
from tickwire.sandbox import Scenario
from tickwire.sandbox.steps import Halt
from tickwire.testing import AllTickServer

from ..serving import DEPTH, TRADE
from .conftest import Linked

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
