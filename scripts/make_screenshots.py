"""Takes the pictures of README and docs from a running server: docs/images/*.png.

    python scripts/make_screenshots.py

Starts a simulator of its own, lets it run for a while, and leads Chromium through the terminal. Needs
Chromium and fonts for English and Chinese.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from playwright.async_api import Page, async_playwright

IMAGES = Path(__file__).resolve().parent.parent / "docs/images"
SECONDS = 20
"""How long a page runs before its picture is taken: tape and flashes have something to show."""


class Picture(NamedTuple):
    """What is on a picture."""

    name: str
    path: str
    theme: str = "dark"
    width: int = 1440
    height: int = 900
    keys: str = ""


PICTURES = [
    Picture("terminal-dark", "/?code=BTCUSDT&type=1m"),
    Picture("terminal-light", "/?code=700.HK&type=1D", "light"),
    Picture("terminal-sandbox", "/?code=600519.SH&type=5m", keys="s"),
    Picture("terminal-phone", "/?code=GOLD&type=15m", width=390, height=844),
]


async def take(page: Page, url: str, picture: Picture) -> None:
    await page.goto(url + picture.path)
    await page.wait_for_selector(f".chart[data-shown^='{picture.path.partition('=')[2].partition('&')[0]}']")
    if picture.keys:
        await page.keyboard.press(picture.keys)
        await page.get_by_role("tab", name="Sandbox").click()
        await page.get_by_role("button", name="Start limit-up").click()
    await asyncio.sleep(SECONDS)
    await page.screenshot(path=IMAGES / f"{picture.name}.png")


async def take_all(url: str) -> None:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("No Chromium found; on Debian: apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in PICTURES:
            context = await browser.new_context(
                viewport={"width": picture.width, "height": picture.height},
                color_scheme="light" if picture.theme == "light" else "dark",
                timezone_id="UTC",
            )
            await take(await context.new_page(), url, picture)
            await context.close()
        await browser.close()


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "tickwire", "serve", "--port", "0", "--data-dir", folder]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:  # noqa: S603
            try:
                assert server.stdout is not None  # noqa: S101
                asyncio.run(take_all(server.stdout.readline().strip()))
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
