"""The chart, the order book, the tape and the sandbox panel, beside what the server answers."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import TimeoutError as PlaywrightTimeout
from playwright.async_api import expect

from tickwire.model import Book, Level

from ..serving import OTHER_HTTP, Program, Script, Served, program, serving, trade
from .conftest import Open, Visit

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINUTE = 60_000
TYPES = ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1D", "1W", "1M")
T0 = 1788529080_000
"""The beginning of a minute."""


async def bars_shown(seen: Visit) -> list[dict[str, str]]:
    """The bars of the chart, as texts."""
    chart = seen.page.get_by_role("region", name="Chart")
    found: list[dict[str, str]] = await chart.evaluate("chart => chart.bars()")
    return found


async def bars_answered(server: Served, count: int = 500) -> list[dict[str, str]]:
    query = {
        "trace": "t",
        "data": {"code": "BTCUSDT", "kline_type": 1, "query_kline_num": count, "kline_timestamp_end": 0},
    }
    answer = (await server.get(f"{OTHER_HTTP}/kline", query)).json()
    found: list[dict[str, str]] = answer["data"]["kline_list"]
    return found


async def chart_has(seen: Visit, bars: list[dict[str, str]]) -> None:
    """Waits until the chart's bars are these, all of them."""
    with suppress(PlaywrightTimeout):
        await seen.page.wait_for_function(
            """bars => {
              const shown = document.querySelector(".chart").bars();
              return JSON.stringify(shown) === JSON.stringify(bars);
            }""",
            arg=bars,
        )
    assert await bars_shown(seen) == bars


async def move(server: Served, script: Script, at: int, *prices: str) -> None:
    """Trades at these prices, a second apart, and then the market's time behind them."""
    until = server.engine.market.events + len(prices)
    script.emit(*(trade(price=price, at=at + 1000 * place) for place, price in enumerate(prices)))
    async with asyncio.timeout(120):
        while server.engine.market.events < until:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
    script.now = at + 1000 * len(prices)


async def test_the_chart_is_what_kline_answers_while_it_lives_and_after_a_cut(
    tmp_path: Path, visit: Open
) -> None:
    script = Script()
    async with serving(tmp_path, script, kline_push_interval=0.02, close_delay=0.1) as server:
        for number in range(5):
            await move(server, script, T0 + number * MINUTE, "79300.10", f"793{number:02}.20", "79299.99")
        seen = await visit(server.url)
        await chart_has(seen, await closed(server, 5))
        for number in range(5, 8):
            await move(server, script, T0 + number * MINUTE, "79400.00", "79350.50", f"794{number}.00")
            await chart_has(seen, await closed(server, number + 1))
        # A trade that is late revises a bar that has closed.
        script.emit(trade(price="80000.00", at=T0 + 7 * MINUTE - 30_000))
        await seen.page.wait_for_function(
            "() => document.querySelector('.chart').bars().at(-2).high_price === '80000.00'"
        )
        await chart_has(seen, await bars_answered(server))
        # What came while the page was away is there when it is back.
        await seen.page.context.set_offline(True)
        for peer in [*server.engine.gateway.callers]:
            peer.close(1001, "cut")
        await expect(seen.page.get_by_role("status").first).to_have_text(
            re.compile("Reconnecting|Connecting")
        )
        for number in range(8, 12):
            await move(server, script, T0 + number * MINUTE, "79500.00", "79450.50")
        await closed(server, 12)
        await seen.page.context.set_offline(False)
        await chart_has(seen, await bars_answered(server))
        assert len(await bars_shown(seen)) == 12


async def closed(server: Served, count: int) -> list[dict[str, str]]:
    """The bars, when there are so many."""
    async with asyncio.timeout(120):
        while len(found := await bars_answered(server)) < count:
            pass
    return found


async def test_all_ten_types_are_charted_and_scrolling_left_pages_history_in(
    simulator: Program, visit: Open
) -> None:
    seen = await visit(f"{simulator.url}/?code=BTCUSDT")
    chart = seen.page.get_by_role("region", name="Chart")
    types = chart.get_by_role("group", name="Length of a bar").get_by_role("button")
    await expect(types).to_have_count(10)
    for number in [*range(9, -1, -1)]:
        await types.nth(number).click()
        await expect(types.nth(number)).to_have_attribute("aria-pressed", "true")
        await expect(chart).to_have_attribute("data-shown", f"BTCUSDT {TYPES[number]}")
        await seen.page.wait_for_function("() => document.querySelector('.chart').bars().length > 10")
    box = await chart.locator(".canvas").bounding_box()
    assert box is not None
    before = len(await bars_shown(seen))
    for _ in range(8):  # drags the bars to the right
        await seen.page.mouse.move(box["x"] + 20, box["y"] + 200)
        await seen.page.mouse.down()
        await seen.page.mouse.move(box["x"] + box["width"] - 100, box["y"] + 200, steps=4)
        await seen.page.mouse.up()
    await seen.page.wait_for_function(
        "before => document.querySelector('.chart').bars().length > before", arg=before
    )
    times = [int(bar["timestamp"]) for bar in await bars_shown(seen)]
    assert times == sorted(set(times))
    assert not seen.troubles


async def test_the_legend_log_scale_and_zones_answer(simulator: Program, visit: Open) -> None:
    seen = await visit(f"{simulator.url}/?code=700.HK&type=1D")
    legend = seen.page.locator(".legend")
    await expect(legend).to_contain_text(re.compile(r"O.*H.*L.*C.*Vol"))
    latest = await legend.inner_text()
    chart = seen.page.locator(".chart .canvas")
    box = await chart.bounding_box()
    assert box is not None
    await seen.page.mouse.move(box["x"] + 60, box["y"] + 100)
    await expect(legend).not_to_have_text(latest)
    await seen.page.get_by_role("button", name="Logarithmic scale").click()
    await seen.page.get_by_label("Time zone").select_option("exchange")
    await seen.page.reload()
    await expect(seen.page.get_by_label("Time zone")).to_have_value("exchange")
    await expect(seen.page.get_by_role("button", name="Logarithmic scale")).to_have_attribute(
        "aria-pressed", "true"
    )
    await expect(seen.page.get_by_role("button", name="Bars of 2 hours")).to_be_disabled()
    assert not seen.troubles


def book(*asks: tuple[str, str], at: int = T0) -> Book:
    levels = tuple(Level(Decimal(price), Decimal(volume)) for price, volume in asks)
    bids = (Level(Decimal("79300.00"), Decimal("1.5")), Level(Decimal("79299.00"), Decimal("2.0")))
    return Book("BTCUSDT", at, bids, levels)


async def test_the_ladder_and_the_tape_show_each_level_and_trade(tmp_path: Path, visit: Open) -> None:
    script = Script()
    script.now = T0
    async with serving(tmp_path, script) as server:
        script.emit(book(("79301.00", "0.5"), ("79302.00", "0.25")))
        seen = await visit(server.url)
        ladder = seen.page.get_by_role("region", name="Order book")
        await expect(ladder).to_contain_text(re.compile(r"79\s301\.00\s*0\.5"))
        await expect(ladder).to_contain_text(re.compile(r"Spread\s*1\.00"))
        script.emit(book(("79300.50", "0.125"), ("79301.00", "0.5"), at=T0 + 10))
        await expect(ladder).to_contain_text(re.compile(r"Spread\s*0\.50"))
        await expect(ladder).to_contain_text(re.compile(r"0\.625"))  # the sum of both
        tape = seen.page.get_by_role("region", name="Trades")
        for price in ("79301.25", "79301.75"):
            script.emit(trade(price=price, volume="0.75", at=T0 + 20))
            await expect(tape).to_contain_text(price.replace("79", "79\u2009", 1))
        assert not seen.troubles


async def test_a_scenario_is_started_from_the_panel_acts_and_is_stopped(tmp_path: Path, visit: Open) -> None:
    async with program(tmp_path) as server:
        seen = await visit(f"{server.url}/?code=600519.SH")
        await expect(seen.price("600519.SH")).to_have_text(re.compile("[0-9]"))
        await seen.page.keyboard.press("s")
        drawer = seen.page.get_by_role("dialog", name="Status and sandbox")
        await expect(drawer).to_contain_text("simulator")
        await drawer.get_by_role("tab", name="Sandbox").click()
        await drawer.get_by_role("button", name="Start limit-up").click()
        await expect(drawer.get_by_role("region", name="Running scenarios")).to_contain_text("limit-up")
        ladder = seen.page.locator("[aria-label='Order book']")
        await expect(ladder).to_contain_text("no sellers")  # it begins after five seconds
        await expect(seen.page.get_by_role("button", name="1 scenario runs")).to_be_visible()
        await drawer.get_by_role("button", name="Stop limit-up").click()
        await expect(drawer.get_by_role("region", name="Running scenarios")).to_contain_text("Nothing runs")
        await seen.page.keyboard.press("Escape")
        await expect(drawer).to_be_hidden()
        assert not seen.troubles


async def test_the_drawer_tells_of_the_way_the_sources_and_their_gaps(
    simulator: Program, visit: Open
) -> None:
    seen = await visit(simulator.url)
    await expect(seen.price("BTCUSDT")).to_have_text(re.compile("[0-9]"))
    await seen.page.get_by_role("button", name="Status and sandbox").click()
    drawer = seen.page.get_by_role("dialog", name="Status and sandbox")
    for name in ("Connections", "Sources", "Documents"):
        await expect(drawer.get_by_role("region", name=name)).to_be_visible()
    await expect(drawer).to_contain_text(re.compile(r"[0-9] ms"))
    await expect(drawer).to_contain_text("Not affiliated with AllTick.")
    links: list[Any] = await drawer.get_by_role("link").all()
    for link in links:
        path = await link.get_attribute("href")
        assert path is not None
        assert path.startswith("/")
    assert not seen.troubles
