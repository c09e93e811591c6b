"""Codes of the catalogue that upstream refuses, or fails at, over HTTP: whoever asks is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.sources.relay import UpstreamPlan, answers

from ...server.test_metrics import Scrape
from ...serving import OTHER_HTTP, TRADE, Served, until
from .bench import Upstream, agreed, tick, ticks, upstream
from .discovering import relaying, symbols

CODES = ["BTCUSDT", "ETHUSDT", "SOLUSDT", "XRPUSDT", "LTCUSDT"]
LEVEL = 200, {"ret": 603, "msg": "token level not enough", "trace": ""}
FAULTS = [(500, "oops"), (200, "no JSON"), (503, {"ret": 503, "msg": "busy"})]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with upstream() as made:
        yield made


def has(code: str, path: str) -> dict[str, Any]:
    if path.endswith("trade-tick"):
        return tick(1, code)
    level = [{"price": "1.00", "volume": "2"}]
    head = {key: value for key, value in tick(1, code).items() if key in ("code", "seq", "tick_time")}
    return head | {"bids": level, "asks": level}


def gives(fault: tuple[int, Any], is_bad: Callable[[list[str]], bool]) -> Callable[..., tuple[int, Any]]:
    """Answers, but for some lists."""
    return lambda path, asked: fault if is_bad(asked) else ticks(*(has(code, path) for code in asked))


async def got(served: Served, endpoint: str, *codes: str) -> tuple[int, list[str], str]:
    """`ret`, the codes that came, and what the answer says it lacks."""
    response = await served.get(f"{OTHER_HTTP}/{endpoint}", symbols(*codes))
    answer = response.json()
    entries = answer.get("data", {}).get("tick_list", [])
    return answer["ret"], [one["code"] for one in entries], response.headers.get("tickwire-partial", "")


@pytest.mark.parametrize("endpoint", ["trade-tick", "depth-tick"])
async def test_a_list_that_is_refused_is_asked_for_in_halves(
    tmp_path: Path, up: Upstream, endpoint: str
) -> None:
    up.answer = gives(LEVEL, lambda asked: len(asked) > 2)
    async with relaying(tmp_path / "down", up.url, UpstreamPlan(), probe=False) as served:
        assert await got(served, endpoint, *CODES) == (200, CODES, "")


@pytest.mark.parametrize("endpoint", ["trade-tick", "depth-tick"])
@pytest.mark.parametrize("fault", [LEVEL, *FAULTS])
async def test_what_is_missing_is_told_counted_and_said_once(
    tmp_path: Path, up: Upstream, endpoint: str, fault: tuple[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    up.answer = gives(fault, lambda asked: "SOLUSDT" in asked)
    others = [code for code in CODES if code != "SOLUSDT"]
    async with relaying(tmp_path / "down", up.url, UpstreamPlan(), probe=False) as served:
        with capture_logs() as logs:
            for _ in range(2):
                assert await got(served, endpoint, *CODES) == (200, others, "upstream")
            alone = await got(served, endpoint, "SOLUSDT")
        assert alone == ((603, [], "") if fault is LEVEL else (200, [], "upstream"))
        said = [one for one in logs if one["event"] == "upstream does not say how codes stand"]
        assert [(one["codes"], one["first"]) for one in said] == [(1, ["SOLUSDT"])]
        scrape = Scrape((await served.request("GET", "/metrics")).text)
        name = served.engine.market.source.name
        assert (scrape.get("source_unanswered_codes_total", source=name) or 0) >= 1
        up.answer = gives(fault, lambda _: False)
        monkeypatch.setattr(
            answers, "FRESH", 0.0
        )  # else what was answered a moment ago is not asked for again
        found = await got(served, endpoint, "SOLUSDT")
        while not found[1]:
            found = await got(served, endpoint, "SOLUSDT")
        assert found == (200, ["SOLUSDT"], "")


@pytest.mark.parametrize("endpoint", ["trade-tick", "depth-tick"])
async def test_a_relay_of_a_relay_tells_it_too(tmp_path: Path, up: Upstream, endpoint: str) -> None:
    up.answer = gives((500, "oops"), lambda asked: "SOLUSDT" in asked)
    async with (
        relaying(tmp_path / "middle", up.url, UpstreamPlan(), probe=False) as middle,
        relaying(tmp_path / "down", middle.url, UpstreamPlan()) as served,
    ):
        assert await got(served, endpoint, "BTCUSDT", "SOLUSDT") == (200, ["BTCUSDT"], "upstream")
        assert await got(served, endpoint, "SOLUSDT") == (200, [], "upstream")


async def test_what_upstream_refuses_to_push_it_may_give_over_http(
    tmp_path: Path, up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a plan does that has no room for more subscriptions."""

    async def act(caller: Any, request: dict[str, Any]) -> None:
        is_list = request["cmd_id"] == TRADE
        await caller.send(agreed(request, 603, "token level not enough") if is_list else agreed(request))

    up.act = act
    up.answer = gives(LEVEL, lambda _: True)
    async with relaying(tmp_path / "down", up.url, UpstreamPlan(), probe=False) as served:
        assert await got(served, "trade-tick", "BTCUSDT") == (603, [], "")
        relay: Any = served.engine.market.source
        await until(lambda: any(wants.refused(["BTCUSDT"]) for wants in relay._demand._wants.values()))
        up.answer = gives(LEVEL, lambda _: False)
        monkeypatch.setattr(answers, "FRESH", 0.0)
        found = await got(served, "trade-tick", "BTCUSDT")
        while not found[1]:
            found = await got(served, "trade-tick", "BTCUSDT")
        assert found[1] == ["BTCUSDT"]
