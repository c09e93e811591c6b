"""The terminal on a server that takes changes and resumes, and on one that does not."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, WebSocket, WebSocketRoute, expect

from ..client.test_resume import Hold, emit
from ..serving import OTHER_WS, Script, Served, program, serving, trade
from .conftest import Open, Visit
from .test_panels import T0, bars_answered, chart_has, move
from .test_terminal import DIGITS, LONGEST_WAIT

pytestmark = pytest.mark.asyncio(loop_scope="module")

KLINE_PUSH = 28998
TRADES, DEPTH, HELLO, KLINES, CHANGE, RESUME, STATES = 22004, 22002, 28000, 28004, 28012, 28016, 28024
SUBSCRIPTIONS = {TRADES, DEPTH, KLINES, CHANGE, RESUME, STATES}
MISSING = "is missing here|are missing here"


class Sent:
    """What a page subscribes to of what is no stock."""

    def __init__(self, page: Page) -> None:
        self.requests: list[dict[str, Any]] = []
        self.bars = 0
        """How many were pushed to it."""
        page.on("websocket", self._watch)

    def _watch(self, socket: WebSocket) -> None:
        if OTHER_WS in socket.url:
            socket.on("framesent", self._take)
            socket.on("framereceived", self._hear)

    def _take(self, text: str | bytes) -> None:
        request = json.loads(text)
        if request["cmd_id"] in SUBSCRIPTIONS:
            self.requests.append(request)

    def _hear(self, text: str | bytes) -> None:
        self.bars += json.loads(text)["cmd_id"] == KLINE_PUSH

    @property
    def commands(self) -> list[int]:
        return [request["cmd_id"] for request in self.requests]

    def codes(self, place: int, name: str) -> list[tuple[str, str]]:
        """Kind and code of the items of a change or a resume."""
        return [(one["kind"], one["code"]) for one in self.requests[place]["data"][name]]


async def opened(visit: Open, url: str, *, path: str = "/?code=BTCUSDT") -> tuple[Visit, Sent]:
    """A page whose clock may be moved, with what it asks."""
    seen = await visit("about:blank", clock=True)
    sent = Sent(seen.page)
    await seen.page.goto(url + path)
    return seen, sent


async def traded(served: Served, script: Script, *prices: str, after: int = 0) -> None:
    """Trades at these prices, a second apart."""
    await emit(
        served, script, *(trade(price=price, at=T0 + 1000 * (after + n)) for n, price in enumerate(prices))
    )


async def tape(seen: Visit, *prices: str) -> None:
    """Waits until the tape shows trades at these prices and no others, the newest first."""
    shown = seen.page.locator(".tape .trade:not([hidden]) > :nth-child(2)")
    await expect(shown).to_have_text([f"{price[:2]}\u2009{price[2:]}" for price in prices])


async def came_back(seen: Visit) -> None:
    """Lets the page connect again at once."""
    await seen.pass_time(LONGEST_WAIT)
    await expect(seen.page.get_by_role("status").first).to_have_text("Live")


async def test_a_cut_leaves_no_hole_in_the_tape_nor_in_the_chart(tmp_path: Path, visit: Open) -> None:
    script = Script()
    script.now = T0
    async with serving(tmp_path, script) as served:
        await traded(served, script, "79301.00")
        seen, sent = await opened(visit, served.url)
        await tape(seen, "79301.00")
        await chart_has(seen, await bars_answered(served))
        asked = "kline_type%22%3A1%2C%22kline_timestamp_end%22%3A0%2C%22query_kline_num%22%3A500"
        pages = sum(asked in url for url in seen.requests)
        assert pages > 0
        async with Hold(served):
            await expect(seen.page.get_by_role("status").first).to_have_text("Reconnecting")
            await traded(served, script, "79302.00", "79303.00", after=1)
            await traded(served, script, "79304.00", after=61)
            await move(served, script, T0 + 180_000, "79305.00")
        await came_back(seen)
        await tape(seen, "79305.00", "79304.00", "79303.00", "79302.00", "79301.00")
        await expect(seen.page.get_by_text(re.compile(MISSING))).to_have_count(0)
        bars = await bars_answered(served)
        assert len(bars) == 3
        await chart_has(seen, bars)
        assert sum(asked in url for url in seen.requests) == pages, "no page was asked for"
        assert sent.commands == [CHANGE, STATES, RESUME, STATES]
        assert {*sent.codes(2, "items")} >= {("kline", "BTCUSDT"), ("trade", "BTCUSDT"), ("trade", "ETHUSDT")}


async def test_what_the_server_has_no_more_is_told_in_the_tape(tmp_path: Path, visit: Open) -> None:
    script = Script()
    script.now = T0
    async with serving(tmp_path, script, ring_seconds=0) as served:
        await traded(served, script, "79301.00")
        seen, sent = await opened(visit, served.url)
        await tape(seen, "79301.00")
        await chart_has(seen, await bars_answered(served))
        async with Hold(served):
            await traded(served, script, "79302.00", "79303.00", after=1)
            await move(served, script, T0 + 120_000, "79304.00")
        await came_back(seen)
        await tape(seen, "79304.00", "79301.00")
        hole = seen.page.locator(".tape .hole").filter(has_text="2 trades are missing here")
        await expect(hole).to_have_count(1)
        await expect(seen.page.locator(".tape .trade").first).to_contain_text("2 trades are missing here")
        await chart_has(seen, await bars_answered(served))  # from a page of its own
        assert RESUME not in sent.commands


async def test_another_code_is_a_change_of_what_is_looked_at_alone(tmp_path: Path, visit: Open) -> None:
    async with serving(tmp_path, codes=["BTCUSDT", "ETHUSDT", "GOLD"]) as served:
        seen, sent = await opened(visit, served.url)
        await expect(seen.price("ETHUSDT")).to_have_text(DIGITS)
        await expect(seen.row("GOLD").locator(".state")).to_have_attribute("data-state", "open")
        before = len(sent.requests)
        await seen.row("ETHUSDT").click()
        await expect(seen.page.get_by_role("region", name="Chart")).to_have_attribute(
            "data-shown", "ETHUSDT 1m"
        )
        await expect(seen.page.get_by_role("table", name="Order book of ETHUSDT")).to_contain_text(DIGITS)
        # What instruments do is asked for when the list of them is there, which may be late.
        assert [one for one in sent.commands[before:] if one != STATES] == [CHANGE]
        place = sent.commands.index(CHANGE, before)
        assert sent.codes(place, "add") == [("kline", "ETHUSDT"), ("depth", "ETHUSDT")]
        assert sent.codes(place, "remove") == [("kline", "BTCUSDT"), ("depth", "BTCUSDT")]
        assert not seen.troubles


async def test_trades_of_a_code_that_is_looked_at_again_have_no_hole(tmp_path: Path, visit: Open) -> None:
    script = Script()
    script.now = T0
    script.codes = ("BTCUSDT", "ETHUSDT")
    kept = json.dumps(json.dumps(["ETHUSDT"]))
    async with serving(tmp_path, script) as served:
        await traded(served, script, "79301.00")
        seen = await visit("about:blank", clock=True)
        await seen.page.add_init_script(f"localStorage.setItem('tickwire.watchlist', {kept})")
        await seen.page.goto(f"{served.url}/?code=BTCUSDT")  # which is not watched
        await tape(seen, "79301.00")
        await seen.row("ETHUSDT").click()
        await expect(seen.page.get_by_role("region", name="Trades")).to_contain_text("No trade has come yet")
        await traded(served, script, "79302.00", "79303.00", after=1)
        await seen.page.get_by_role("combobox", name="Search the catalogue").fill("BTCUSDT")
        await seen.page.keyboard.press("Enter")
        await tape(seen, "79303.00", "79302.00", "79301.00")
        await expect(seen.page.get_by_text(re.compile(MISSING))).to_have_count(0)
        assert not seen.troubles


async def test_a_bar_that_forms_counts_each_trade_at_once_and_once(tmp_path: Path, visit: Open) -> None:
    script = Script()
    script.now = T0
    async with serving(tmp_path, script, kline_push_interval=60.0) as served:
        await traded(served, script, "79301.00")
        seen, sent = await opened(visit, served.url)
        await chart_has(seen, await bars_answered(served))
        await traded(served, script, "79302.00", "79300.00", "79303.00", after=1)
        await chart_has(seen, await bars_answered(served))
        assert sent.bars == 1, "the next push is yet to come"
        assert not seen.troubles


async def test_a_strict_server_has_no_way_to_take_the_page_s_token(tmp_path: Path, visit: Open) -> None:
    async with program(tmp_path, "--strict-protocol") as server:
        seen = await visit(server.url)
        await expect(seen.page.get_by_text("This server asks for a token.")).to_be_visible()


async def test_a_server_that_says_nothing_of_itself_is_asked_as_alltick_is(
    tmp_path: Path, visit: Open
) -> None:
    script = Script()
    script.now = T0
    routes: list[WebSocketRoute] = []

    def strange(route: WebSocketRoute) -> None:
        """Between the page and the server: no such request is known there."""
        server = route.connect_to_server()
        routes.append(route)

        def asked(text: str | bytes) -> None:
            request = json.loads(text)
            sent.append(command := request["cmd_id"])
            if command in (HELLO, CHANGE, RESUME, STATES):
                head = {"ret": 400, "msg": "request header param invalid", "cmd_id": command + 1}
                route.send(json.dumps(head | {"seq_id": request["seq_id"], "trace": "", "data": {}}))
            else:
                server.send(text)

        route.on_message(asked)

    sent: list[int] = []
    async with serving(tmp_path, script) as served:
        await traded(served, script, "79301.00")
        seen = await visit("about:blank", clock=True)
        await seen.page.route_web_socket(re.compile("ws-api"), strange)
        await seen.page.goto(f"{served.url}/?code=BTCUSDT")
        await tape(seen, "79301.00")
        await chart_has(seen, await bars_answered(served))
        await traded(served, script, "79302.00", after=1)
        await tape(seen, "79302.00", "79301.00")
        async with Hold(served):
            await routes[-1].close()
            await traded(served, script, "79303.00", "79304.00", after=2)
        await came_back(seen)
        await tape(seen, "79304.00", "79302.00", "79301.00")
        await expect(seen.page.locator(".tape .trade").first).to_contain_text("trades are missing here")
        await chart_has(seen, await bars_answered(served))
        assert {TRADES, DEPTH, KLINES} <= {*sent}
        assert {RESUME, STATES}.isdisjoint(sent)
        await expect(seen.page.get_by_role("alert")).to_have_count(0)  # that it refuses is no news
