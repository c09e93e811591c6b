"""A real browser at a real server: Chromium, led by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from ..serving import Program, program

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), "")


PATIENCE = 120_000
"""How long to wait for the page, in ms: other work may hold the machine."""
expect.set_options(timeout=PATIENCE)


class Visit:
    """A page of the terminal, and what it did that nobody sees."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.troubles: list[str] = []
        """What the console calls errors: exceptions, and what the content security policy refused, too."""
        self.requests: list[str] = []
        """Every URL that was asked for, those of WebSockets too."""
        page.on("console", lambda said: self.troubles.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("websocket", lambda socket: self.requests.append(socket.url))

    def row(self, code: str) -> Locator:
        """A row of the watchlist."""
        return self.page.locator(f'[data-row="{code}"]')

    def price(self, code: str) -> Locator:
        """The last price in a row."""
        return self.row(code).locator(".price")

    async def pass_time(self, seconds: float) -> None:
        """Sets the clock of a page that was opened with `clock` on: what is due by then happens now, once."""
        await self.page.clock.fast_forward(round(seconds * 1000))

    async def moves(self, locator: Locator) -> None:
        """Waits until a text has changed."""
        await expect(locator).not_to_have_text(await locator.inner_text(), use_inner_text=True)


Open = Callable[..., Awaitable[Visit]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    """Chromium for all tests of a module, which are skipped where the machine has none."""
    if not CHROMIUM:
        pytest.skip("NO CHROMIUM ON PATH: THE TERMINAL IS NOT TESTED. Debian: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def visit(browser: Browser) -> AsyncIterator[Open]:
    """Opens a page in a profile of its own: `await visit(url, width=…, height=…, **of_the_context)`.

    With `clock` the page's time can be set on; else it goes as ours does.
    """
    async with AsyncExitStack() as stack:

        async def opened(
            url: str, *, width: int = 1440, height: int = 900, clock: bool = False, **options: Any
        ) -> Visit:
            context = await browser.new_context(viewport={"width": width, "height": height}, **options)
            stack.push_async_callback(context.close)
            found = Visit(await context.new_page())
            found.page.set_default_timeout(PATIENCE)
            if clock:
                await found.page.clock.install()
            await found.page.goto(url)
            return found

        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def simulator(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Program]:
    """A server with the default settings for all tests of a module, which leave it as it is."""
    async with program(tmp_path_factory.mktemp("simulator")) as server:
        yield server
