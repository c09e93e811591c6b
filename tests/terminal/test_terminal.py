"""The terminal as a person uses it."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
import time
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect

from ..serving import OTHER_HTTP, Program, program, program_environment
from .conftest import Open

pytestmark = pytest.mark.asyncio(loop_scope="module")

HEARTBEAT, LONGEST_WAIT, REFRESH = 5, 8, 300
"""Seconds of the terminal: a heartbeat and the wait for its answer, the longest wait to dial again, and that
after which all bars are read anew."""
DIGITS = re.compile(r"[0-9]")


async def test_a_first_visit_shows_prices_that_move_and_says_that_they_are_made_up(
    simulator: Program, visit: Open
) -> None:
    seen = await visit(simulator.url)
    await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
    await seen.moves(seen.price("BTCUSDT"))
    await expect(seen.page.get_by_text("Simulated data").first).to_be_visible()
    await expect(seen.page.get_by_role("status").first).to_have_text("Live")
    await expect(seen.row("BTCUSDT").locator(".change")).to_contain_text("%")
    await expect(seen.page.locator(".spark path[d^=M]").nth(5)).to_be_attached()
    assert not seen.troubles


async def test_a_browser_reads_what_is_compressed(tmp_path: Path, visit: Open) -> None:
    async with program(tmp_path, "--permessage-deflate") as server:
        seen = await visit("about:blank")
        answers: list[str] = []
        devtools = await seen.page.context.new_cdp_session(seen.page)
        devtools.on(
            "Network.webSocketHandshakeResponseReceived",
            lambda event: answers.append(str(event["response"]["headers"])),
        )
        await devtools.send("Network.enable")
        await seen.page.goto(server.url)
        await seen.moves(seen.price("BTCUSDT"))
        assert "permessage-deflate" in answers[0]
        assert not seen.troubles


async def test_the_first_price_waits_for_no_bars(simulator: Program, visit: Open) -> None:
    seen = await visit("about:blank")
    held: list[str] = []
    await seen.page.route(re.compile("/quote-|/admin/"), lambda route: held.append(route.request.url))
    await seen.page.goto(simulator.url)
    await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
    assert {httpx.URL(url).path for url in held} >= {"/quote-b-api/kline", "/quote-b-api/batch-kline"}
    await seen.page.unroute_all(behavior="ignoreErrors")


async def test_the_page_asks_for_nothing_of_another_origin_and_its_policy_allows_nothing_inline(
    simulator: Program, visit: Open
) -> None:
    seen = await visit(simulator.url)
    await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
    hosts = {httpx.URL(url).netloc.decode() for url in seen.requests}
    assert hosts == {httpx.URL(simulator.url).netloc.decode()}
    assert not [url for url in seen.requests if "token" in url], "a token stood in a URL"
    async with httpx.AsyncClient(
        base_url=simulator.url, headers={"accept": "text/html"}, timeout=120
    ) as client:
        page = await client.get("/")
    policy = page.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    # That the policy is in force: a page may not do what it forbids.
    await seen.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<i style=\"color:red\">x</i>')")
    await asyncio.sleep(0)
    assert any("Content Security Policy" in one for one in seen.troubles)


async def test_search_finds_english_and_chinese_names_and_adds_to_the_list_for_good(
    simulator: Program, visit: Open
) -> None:
    seen = await visit(simulator.url)
    await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
    search = seen.page.get_by_role("combobox", name="Search the catalogue")
    for text, code in (("meituan", "3690.HK"), ("小米", "1810.HK"), ("usdcad", "USDCAD")):
        await search.fill(text)
        await expect(seen.page.get_by_role("option").first).to_contain_text(code)
    await search.press("Enter")
    await expect(seen.row("USDCAD")).to_have_attribute("aria-current", "true")
    await expect(seen.price("USDCAD")).to_have_text(DIGITS)
    await seen.page.reload()
    await expect(seen.price("USDCAD")).to_have_text(DIGITS)
    assert "code=USDCAD" in seen.page.url
    await seen.row("USDCAD").focus()
    await seen.page.keyboard.press("Delete")
    await expect(seen.row("USDCAD")).to_have_count(0)
    await search.fill("no such thing")
    await expect(seen.page.get_by_text("Nothing in the catalogue holds this text.")).to_be_visible()
    assert not seen.troubles


async def test_the_keyboard_moves_through_the_list_and_reorders_it(simulator: Program, visit: Open) -> None:
    seen = await visit(simulator.url)
    await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
    await seen.page.keyboard.press("ArrowDown")
    await expect(seen.row("ETHUSDT")).to_be_focused()
    await expect(seen.row("ETHUSDT")).to_have_attribute("aria-current", "true")
    await seen.page.keyboard.press("Alt+ArrowUp")
    await expect(seen.page.locator("[data-row]").first).to_have_attribute("data-row", "ETHUSDT")
    await seen.page.keyboard.press("Alt+ArrowDown")
    await expect(seen.page.locator("[data-row]").first).to_have_attribute("data-row", "BTCUSDT")
    await seen.page.keyboard.press("5")
    await seen.page.wait_for_url("**type=1h*")
    await seen.page.keyboard.press("t")
    await expect(seen.page.locator("html")).to_have_attribute("data-theme", "dark")
    await seen.page.keyboard.press("?")
    await expect(seen.page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    await seen.page.keyboard.press("Escape")
    await expect(seen.page.get_by_role("dialog", name="Keyboard")).to_be_hidden()
    await seen.page.keyboard.press("/")
    await expect(seen.page.get_by_role("combobox", name="Search the catalogue")).to_be_focused()
    assert not seen.troubles


async def test_a_restart_of_the_server_heals_without_a_reload(tmp_path: Path, visit: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    async with program(tmp_path, "--port", port) as server:
        seen = await visit(server.url, clock=True)
        await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
        await seen.page.evaluate("window.sameLoad = true")
        await server.end()
        await expect(seen.page.get_by_role("status").first).to_have_text("Reconnecting")
    async with program(tmp_path, "--port", port):
        await seen.pass_time(LONGEST_WAIT)
        await expect(seen.page.get_by_role("status").first).to_have_text("Live")
        await seen.moves(seen.price("BTCUSDT"))
        assert await seen.page.evaluate("window.sameLoad")


async def test_a_restart_with_another_source_shows_nothing_of_the_old_one(
    tmp_path: Path, visit: Open
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = "--port", str(free.getsockname()[1])
    (tmp_path / "trades.csv").write_text("code,tick_time_ms,price,volume\nBTCUSDT,1788529064027,0.12,5\n")
    replay = "--source", "replay", "--file", str(tmp_path / "trades.csv"), "--hold"
    async with program(tmp_path, *port, *replay) as server:
        seen = await visit(f"{server.url}/?code=BTCUSDT", clock=True)
        tape = seen.page.get_by_role("region", name="Trades")
        await expect(tape).to_contain_text("0.12")
        await seen.page.evaluate("window.oldLoad = true")
    async with program(tmp_path, *port):
        await seen.pass_time(LONGEST_WAIT)
        await seen.page.wait_for_function("() => !window.oldLoad")
        await expect(seen.price("BTCUSDT")).to_have_text(re.compile(r"7\d\s\d{3}"))
        await expect(tape).not_to_contain_text("0.12")


async def test_a_first_visit_to_a_recording_shows_what_is_in_it(tmp_path: Path, visit: Open) -> None:
    rows = "".join(f"DOGEUSDT,{1788529064027 + 200 * n},0.{1200 + n},5\n" for n in range(600))
    (tmp_path / "trades.csv").write_text(f"code,tick_time_ms,price,volume\n{rows}")
    replay = "--source", "replay", "--file", str(tmp_path / "trades.csv"), "--hold"
    async with program(tmp_path, *replay) as server:
        seen = await visit(server.url)
        await expect(seen.price("DOGEUSDT")).to_have_text(re.compile(r"0\.1\d+"))
        await expect(seen.page.locator(".row")).to_have_count(1)
        assert not seen.troubles


async def test_a_first_visit_to_a_desk_of_one_s_own_shows_its_prices(tmp_path: Path, visit: Open) -> None:
    instrument = {"type": "instrument", "code": "OURS", "market": "crypto", "levels": 0}
    decimals = {"price_decimals": 12, "volume_decimals": 0, "turnover_decimals": 4}
    now = int(time.time() * 1000)
    trade = {"type": "trade", "code": "OURS", "time": now, "price": "0.000000001234", "volume": "3"}
    async with program(tmp_path, "--source", "publish") as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=120) as client:
            lines = "".join(json.dumps(line) + "\n" for line in (instrument | decimals, trade))
            kind = {"content-type": "application/x-ndjson"}
            answer = await client.post("/v1/publish", content=lines, headers=kind)
            assert answer.json()["data"]["accepted"] == 2
        seen = await visit(server.url)
        await expect(seen.price("OURS")).to_have_text("0.000000001234")
        await expect(seen.page.locator(".row")).to_have_count(1)
        assert not seen.troubles


async def test_rows_are_dragged_to_where_they_are_dropped(simulator: Program, visit: Open) -> None:
    seen = await visit(simulator.url)
    await expect(seen.price("SOLUSDT")).to_have_text(DIGITS)
    codes = seen.page.locator('ul[aria-label="Crypto"] .row b')
    await seen.row("BTCUSDT").drag_to(seen.row("SOLUSDT"))
    await expect(codes).to_have_text(["ETHUSDT", "SOLUSDT", "BTCUSDT"])
    await seen.row("BTCUSDT").drag_to(seen.row("ETHUSDT"))
    await expect(codes).to_have_text(["BTCUSDT", "ETHUSDT", "SOLUSDT"])


async def test_a_connection_that_falls_mute_is_given_up_and_made_anew(tmp_path: Path, visit: Open) -> None:
    async with program(tmp_path) as server:
        seen = await visit(server.url, clock=True)
        await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
        link = seen.page.get_by_role("status").first
        await expect(link).to_have_text("Live")
        server.process.send_signal(signal.SIGSTOP)
        await seen.pass_time(HEARTBEAT)  # which has no answer
        await seen.pass_time(HEARTBEAT)
        await expect(link).to_have_text("Connecting")
        server.process.send_signal(signal.SIGCONT)
        await expect(link).to_have_text("Live")
        await seen.moves(seen.price("BTCUSDT"))


async def test_where_tokens_are_required_a_person_signs_in_and_out(tmp_path: Path, visit: Open) -> None:
    token = await _token(tmp_path, "create", "--name", "desk")
    async with program(tmp_path) as server:
        seen = await visit(server.url)
        field = seen.page.get_by_label("Token")
        await expect(field).to_be_visible()
        await field.fill("wrong")
        await field.press("Enter")
        await expect(seen.page.get_by_text("The server does not know this token.")).to_be_visible()
        await field.fill(token)
        await field.press("Enter")
        await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
        await seen.page.reload()
        await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
        assert not [url for url in seen.requests if token in url]
        assert await seen.page.evaluate("JSON.stringify(localStorage)") == (
            await seen.page.evaluate(f"JSON.stringify(localStorage).replaceAll({token!r}, '')")
        )
        await seen.page.get_by_role("button", name="Sign out").click()
        await expect(seen.page.get_by_label("Token")).to_be_visible()
        assert token not in server.log


async def test_a_token_that_is_revoked_under_way_leads_back_to_signing_in(
    tmp_path: Path, visit: Open
) -> None:
    token = await _token(tmp_path, "create", "--name", "desk")
    async with program(tmp_path) as server:
        seen = await visit(server.url, clock=True)
        await seen.page.get_by_label("Token").fill(token)
        await seen.page.get_by_label("Token").press("Enter")
        await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
        await _token(tmp_path, "revoke", "desk")
        reason = seen.page.get_by_text("The server does not know this token.")
        await expect(reason).to_be_visible()
        async with seen.page.expect_response("**/batch-kline*") as later:  # what is asked for all the same
            await seen.pass_time(REFRESH)
        assert (await (await later.value).json())["ret"] == 401
        await expect(reason).to_be_visible()


async def test_a_page_that_gets_no_connection_says_why_and_still_marks_simulated_data(
    tmp_path: Path, visit: Open
) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text('[plans.single]\nbase = "unlimited"\nconnections = 1\n')
    plan = "--plan", "single", "--config", str(settings)
    token = await _token(tmp_path, "create", "--name", "one", *plan)
    async with program(tmp_path, "--config", str(settings)) as server:
        for first in (True, False):
            seen = await visit(server.url)
            await seen.page.get_by_label("Token").fill(token)
            await seen.page.get_by_label("Token").press("Enter")
            if first:
                await expect(seen.page.get_by_role("status").first).to_have_text("Live")
        await expect(seen.page.get_by_role("alert")).to_contain_text("others may use all that this token has")
        await expect(seen.page.get_by_text("Simulated data")).to_be_visible()


async def test_a_plan_with_little_room_shows_what_is_looked_at_and_says_what_is_not(
    tmp_path: Path, visit: Open
) -> None:
    async with program(tmp_path, "--plan", "free") as server:
        seen = await visit(f"{server.url}/?code=NAS100", clock=True)  # beyond the first five of its family
        await expect(seen.price("NAS100")).to_have_text(DIGITS)
        await seen.pass_time(15)
        await expect(seen.price("USDJPY")).to_have_text("no data")
        await expect(seen.price("USDJPY")).to_have_attribute("title", re.compile("plan has no room"))
        await seen.row("USDJPY").click()
        await expect(seen.price("USDJPY")).to_have_text(DIGITS)
        await expect(seen.price("USDJPY")).to_have_attribute("title", "")


@pytest.mark.parametrize("theme", ["dark", "light"])
async def test_a_phone_shows_one_panel_at_a_time_and_nothing_beside_the_screen(
    simulator: Program, visit: Open, theme: str
) -> None:
    seen = await visit(simulator.url, width=390, height=844, has_touch=True, color_scheme=theme)
    await expect(seen.price("BTCUSDT")).to_have_text(DIGITS)
    chart = seen.page.get_by_role("region", name="Chart")
    await expect(chart).to_be_hidden()
    await seen.row("GOLD").tap()
    await expect(chart).to_be_visible()
    await expect(seen.page.get_by_role("region", name="Watchlist")).to_be_hidden()
    await seen.page.get_by_role("button", name="Book").tap()
    await expect(seen.page.get_by_role("region", name="Order book")).to_be_visible()
    assert await seen.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await seen.page.get_by_role("button", name="Status and sandbox").tap()
    await seen.page.get_by_role("button", name="Light colours" if theme == "dark" else "Dark colours").tap()
    other = "light" if theme == "dark" else "dark"
    await expect(seen.page.locator("html")).to_have_attribute("data-theme", other)
    assert not seen.troubles


async def test_a_phone_held_sideways_has_room_for_the_chart(simulator: Program, visit: Open) -> None:
    seen = await visit(f"{simulator.url}/?code=BTCUSDT", width=844, height=390, has_touch=True)
    chart = seen.page.get_by_role("region", name="Chart")
    await expect(chart).to_be_visible()
    box = await chart.bounding_box()
    assert box is not None
    assert (box["width"], box["height"] > 250) == (844, True)
    await seen.page.get_by_role("button", name="Book").tap()
    await expect(chart).to_be_hidden()
    for name in ("Order book", "Trades"):
        await expect(seen.page.get_by_role("region", name=name)).to_be_visible()


@pytest.mark.parametrize("width", [320, 390])
async def test_the_bar_of_a_phone_holds_all_that_it_has_to_say(
    tmp_path: Path, visit: Open, width: int
) -> None:
    async with program(tmp_path, "--scenario", "limit-up,quiet-source") as server:
        seen = await visit(server.url, width=width, height=700, has_touch=True)
        await expect(seen.page.get_by_role("button", name="2 scenarios")).to_be_visible()
        parts = await seen.page.evaluate(
            "[...document.querySelectorAll('.bar > *')].map(part => part.getBoundingClientRect().right)"
        )
        assert max(parts) <= width


async def test_a_code_that_the_server_does_not_have_is_said(simulator: Program, visit: Open) -> None:
    seen = await visit(f"{simulator.url}/?code=NOSUCH")
    await expect(seen.page.get_by_role("alert")).to_contain_text("This server has no NOSUCH.")
    await expect(seen.row("BTCUSDT")).to_have_attribute("aria-current", "true")


async def test_a_program_still_gets_the_welcome_as_text(tmp_path: Path) -> None:
    async with program(tmp_path) as server, httpx.AsyncClient(base_url=server.url, timeout=120) as client:
        text = await client.get("/")
        page = await client.get("/", headers={"accept": "text/html,*/*"})
        assert text.headers["content-type"].startswith("text/plain")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert (await client.get(f"{OTHER_HTTP}/../assets/nope.js")).status_code == 404
        script = page.text.partition('src="')[2].partition('"')[0]
        part = await client.get(script, headers={"accept-encoding": "gzip"})
        assert part.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert part.headers["content-encoding"] == "gzip"
        assert part.headers["x-content-type-options"] == "nosniff"


async def _token(folder: Path, what: str, *arguments: str) -> str:
    """What `tickwire token WHAT` prints."""
    command = [
        sys.executable,
        "-m",
        "tickwire",
        "token",
        what,
        *arguments,
        "--data-dir",
        str(folder / "data"),
    ]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, env=program_environment()
    )
    out, _ = await process.communicate()
    return out.decode().strip()
