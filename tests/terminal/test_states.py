"""Quiet, closed, halted and dead, told apart in the terminal."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from tickwire.sources import Status

from ..client.test_resume import Hold
from ..serving import Script, Served, serving, trade
from .conftest import Open, Visit
from .test_panels import T0
from .test_terminal import LONGEST_WAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def stands(seen: Visit, name: str, word: str, text: str) -> None:
    """Waits until the row and the head of the chart say how BTCUSDT stands."""
    mark = seen.row("BTCUSDT").locator(".state")
    await expect(mark).to_have_attribute("data-state", name)
    await expect(mark).to_have_attribute("title", re.compile(re.escape(text)))
    await expect(mark.locator(".unseen")).to_have_text(word)
    await expect(seen.page.get_by_role("region", name="Chart").get_by_role("heading")).to_contain_text(word)


async def begin(served: Served, **step: Any) -> int:
    """Begins a scenario of one step; its number."""
    answer = await served.request("POST", "/admin/scenario", json={"step": [step]})
    number: int = answer.json()["number"]
    return number


async def test_what_an_instrument_does_stands_in_its_row_and_above_its_chart(
    tmp_path: Path, visit: Open
) -> None:
    script = Script()
    script.now = T0
    async with serving(tmp_path, script) as served:
        script.emit(trade())
        seen = await visit(f"{served.url}/?code=BTCUSDT")
        await stands(seen, "open", "open", "Its market is open.")
        marks = {await seen.row("BTCUSDT").locator(".mark").inner_text()}
        for step, state, text in (
            ("halt", "halted", "Trading in it is halted."),
            ("limit-up", "limit-up", "At its upper limit: nobody sells."),
            ("delist", "delisted", "It is delisted."),
        ):
            number = await begin(served, do=step, codes=["BTCUSDT"])
            await stands(seen, state, state, text)
            marks.add(await seen.row("BTCUSDT").locator(".mark").inner_text())
            await served.request("DELETE", f"/admin/scenario/{number}")
            await stands(seen, "open", "open", "Its market is open.")
        assert len(marks) == 4, "each has a sign of its own"
        assert not seen.troubles


async def test_a_source_that_gives_nothing_and_a_lost_connection_are_no_quiet_market(
    tmp_path: Path, visit: Open
) -> None:
    script = Script()
    script.now = T0
    async with serving(tmp_path, script) as served:
        script.emit(trade())
        seen = await visit(f"{served.url}/?code=BTCUSDT", clock=True)
        await stands(seen, "open", "open", "Its market is open.")
        script.health.tell(Status.STALE, "nothing for 60 s")
        await stands(seen, "stale", "source stale", "gives nothing, though its markets are open")
        script.health.tell(Status.DOWN, "no answer")
        await stands(seen, "stale", "source down", "The source script is not connected. Last known: open.")
        script.health.tell(Status.UP)
        await stands(seen, "open", "open", "Its market is open.")
        async with Hold(served):
            await stands(seen, "lost", "no connection", "No connection to the server")
        await seen.pass_time(LONGEST_WAIT)
        await stands(seen, "open", "open", "Its market is open.")
