"""/readyz: docs/operating.md, "Health"."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tickwire.assembly import assemble
from tickwire.config import Settings
from tickwire.server.app import make_app
from tickwire.server.guests import Guests
from tickwire.server.lag import LoopLag
from tickwire.server.traffic import Traffic
from tickwire.server.unread import Unread
from tickwire.server.vitals import Vitals
from tickwire.sources import Health, Status
from tickwire.store import load_catalogue

from ..serving import TRADE, Script, Served, serving, trade

SINCE = 1795364866865


@pytest.fixture
def source() -> Script:
    source = Script()
    source.health = Health(Status.CONNECTING, wall=lambda: SINCE)
    return source


@pytest.fixture
async def served(tmp_path: Path, source: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, source) as served:
        yield served


async def test_what_it_says_of_a_source(served: Served, source: Script) -> None:
    answer = await served.request("GET", "/readyz")
    assert answer.status_code == 200
    assert answer.json() == {
        "ready": True,
        "status": "ready",
        "source": "script",
        "simulated": True,
        "events": 0,
        "recording": None,
        "round_the_clock": True,
        "sources": [
            {
                "name": "script",
                "simulated": True,
                "status": "connecting",
                "since": SINCE,
                "reason": "",
                "lag_ms": None,
                "events": 0,
                "bad": 0,
                "late": 0,
                "dropped": 0,
                "resumed": None,
                "gaps": None,
                "recording": None,
            }
        ],
        "store": {"up": True, "since": None, "reason": "", "waiting_bars": 0},
    }
    source.health.tell(Status.STALE, "nothing came for 30 s")
    source.health.lag, source.health.bad, source.health.dropped = 120, 3, 4
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        source.emit(trade(at=SINCE), trade(at=SINCE + 3_600_000), trade(at=SINCE))
        for _ in range(3):
            await link.push()
    found = (await served.request("GET", "/readyz")).json()
    assert found["events"] == 3
    assert found["sources"][0] == {
        "name": "script",
        "simulated": True,
        "status": "stale",
        "since": SINCE,
        "reason": "nothing came for 30 s",
        "lag_ms": 120,
        "events": 3,
        "bad": 3,
        "late": 1,
        "dropped": 4,
        "resumed": None,
        "gaps": None,
        "recording": None,
    }


@pytest.mark.parametrize("status", Status)
async def test_a_server_is_ready_whatever_its_source_is(
    served: Served, source: Script, status: Status
) -> None:
    source.health.tell(status, "x")
    answer = await served.request("GET", "/readyz")
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert answer.json()["sources"][0]["status"] == status


async def test_a_server_whose_engine_does_not_run_is_not_ready(tmp_path: Path, source: Script) -> None:
    engine = assemble(Settings(data_dir=tmp_path), load_catalogue(), [(source, ())])
    guests = Guests(engine.settings, engine.machine.network)
    vitals = Vitals(LoopLag(engine.machine.monotonic), Traffic(), guests, Unread(2**20, 2**30, 30.0))
    transport = httpx.ASGITransport(app=make_app(engine, vitals))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.get("/readyz")
    engine.close()
    assert (answer.status_code, answer.json()["ready"]) == (503, False)
    assert answer.json()["sources"][0]["status"] == "connecting"


async def test_two_sources_one_of_which_is_recorded_no_more(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    one, other = Script(), Script()
    other.name, other.simulated = "other", False
    sources = [(one, ["BTCUSDT"]), (other, ["GOLD"])]
    async with serving(tmp_path / "data", sources, record=tmp_path / "ticks") as served:
        found = (await served.request("GET", "/readyz")).json()
        assert (found["source"], found["simulated"], found["recording"]) == (
            "script + other",
            True,
            True,
        )
        assert [(one["name"], one["simulated"], one["recording"]) for one in found["sources"]] == [
            ("script", True, True),
            ("other", False, True),
        ]
        _, second = served.engine.market.feeds
        assert second.recorder is not None
        second.recorder.close()
        found = (await served.request("GET", "/readyz")).json()
        assert (found["recording"], [one["recording"] for one in found["sources"]]) == (False, [True, False])
