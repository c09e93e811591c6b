"""Measures the terminal in a browser: what a frame costs while 100 instruments tick 20 times a second each.

    python benchmarks/terminal.py [--seconds 20]

Prints a Markdown table: the terminal (watchlist, chart, order book and tape), beside a page that only parses
the same trades and writes the last price of each code once a frame. Scripting is all that JavaScript and its
garbage collector do, from one frame's animation callback to the next; a task is what the page's main thread
does at a stretch. Needs Linux and Chromium.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from bisect import bisect_right
from collections.abc import Iterable
from statistics import mean
from typing import Any

import bench
from bench import NotMeasured
from playwright.async_api import Page, async_playwright

from tickwire.store import load_catalogue

CODES = 100
RATE = 20
CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"]
SCRIPTING = {
    "FunctionCall",
    "EvaluateScript",
    "FireAnimationFrame",
    "TimerFire",
    "EventDispatch",
    "RunMicrotasks",
    "MinorGC",
    "MajorGC",
}
BARE = """([codes, paths]) => {
  const last = new Map(), cells = new Map();
  let asked = false;
  const show = () => {
    asked = false;
    for (const [code, price] of last) cells.get(code).data = price;
    last.clear();
  };
  for (const code of codes) {
    const line = document.body.appendChild(document.createElement("p"));
    cells.set(code, line.appendChild(document.createTextNode("")));
  }
  for (const path of paths) {
    const socket = new WebSocket(`ws://${location.host}${path}?token=t`);
    const symbol_list = codes.map((code) => ({ code }));
    socket.onopen = () => socket.send(JSON.stringify({ cmd_id: 22004, seq_id: 1, data: { symbol_list } }));
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.cmd_id !== 22998) return;
      last.set(message.data.code, message.data.price);
      if (!asked) { asked = true; requestAnimationFrame(show); }
    };
  }
}"""


COLUMNS = (
    "frames/s",
    "scripting a frame, mean",
    "p99",
    "longest task",
    "over 50 ms",
    "longest by CPU",
    "first price",
)
"""`longest by CPU` is of the same tasks, without the time in which the machine ran something else; the first
price counts from the navigation."""
FIRST_PRICE = """() => {
  const seen = new MutationObserver(() => {
    const prices = [...document.querySelectorAll("[data-row] .price, body > p")];
    if (!prices.some((price) => /[0-9]/.test(price.textContent))) return;
    window.firstPrice = performance.now();
    seen.disconnect();
  });
  seen.observe(document, { subtree: true, childList: true, characterData: true });
}"""


def figures(trace: dict[str, Any]) -> list[str]:
    """What a trace of Chromium's says, column by column. Raises NotMeasured if nothing was drawn in it."""
    by_thread: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for event in trace["traceEvents"]:
        if event["ph"] == "X":
            by_thread.setdefault((event["pid"], event["tid"]), []).append(event)
    events = max(
        by_thread.values(), key=lambda events: sum(one["name"] == "FireAnimationFrame" for one in events)
    )
    frames = sorted(one["ts"] for one in events if one["name"] == "FireAnimationFrame")
    if len(frames) < 2:
        raise NotMeasured("the page drew nothing")
    costs = [0.0] * (len(frames) - 1)
    for begin, end in merged(
        (one["ts"], one["ts"] + one["dur"]) for one in events if one["name"] in SCRIPTING
    ):
        place = bisect_right(frames, begin) - 1
        if 0 <= place < len(costs):
            costs[place] += (end - begin) / 1000
    costs = costs[len(costs) // 10 :]  # the first tenth belongs to the tracing itself
    run = [one for one in events if one["name"] == "RunTask"]
    tasks = [one["dur"] / 1000 for one in run]
    seconds = (frames[-1] - frames[0]) / 1e6
    return [
        f"{len(costs) / seconds / 0.9:.0f}",
        *(f"{cost:.2f} ms" for cost in (mean(costs), sorted(costs)[int(len(costs) * 0.99)])),
        f"{max(tasks):.1f} ms",
        str(sum(task > 50 for task in tasks)),
        f"{max(one.get('tdur', one['dur']) / 1000 for one in run):.1f} ms",
    ]


def merged(spans: Iterable[tuple[float, float]]) -> Iterable[tuple[float, float]]:
    """The outermost of spans that lie within one another."""
    end = 0.0
    for begin, until in sorted(spans):
        if begin >= end:
            yield begin, until
            end = until


async def terminal(page: Page, url: str, codes: list[str]) -> None:
    kept = json.dumps(json.dumps(codes))
    await page.add_init_script(f"localStorage.setItem('tickwire.watchlist', {kept})")
    await page.goto(url)
    await page.wait_for_function(
        "count => document.querySelectorAll('[data-row] .price').length === count", arg=len(codes)
    )


async def bare(page: Page, url: str, codes: list[str]) -> None:
    await page.goto(f"{url}/healthz")
    await page.evaluate(BARE, [codes, ["/quote-b-ws-api", "/quote-stock-b-ws-api"]])


async def main() -> None:
    parser = bench.new_parser(__doc__, "")
    parser.set_defaults(seconds=20, warmup=5)
    options = bench.begin(parser.parse_args(), [""])
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        sys.exit("terminal: no Chromium found; on Debian: apt-get install chromium")
    codes = sorted(one.code for one in load_catalogue() if one.levels)[:CODES]
    print(f"{len(codes)} codes, {RATE} trades/s each, {options.seconds:g} s\n")
    bench.heads("page", *COLUMNS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, show in (("the terminal", terminal), ("bare page", bare)):
            with bench.tickwire("--rate", str(RATE), "--codes", ",".join(codes)) as (port, _):
                page = await browser.new_page(viewport={"width": 1440, "height": 900})
                await page.add_init_script(f"({FIRST_PRICE})()")
                await show(page, f"http://127.0.0.1:{port}", codes)
                await page.wait_for_function("() => window.firstPrice !== undefined")
                first = f"{await page.evaluate('window.firstPrice'):.0f} ms"
                await asyncio.sleep(options.warmup)
                await browser.start_tracing(page=page, categories=CATEGORIES)
                await asyncio.sleep(options.seconds)
                trace = json.loads(await browser.stop_tracing())
                await page.close()
            try:
                bench.row(name, *figures(trace), first)
            except NotMeasured as problem:
                bench.no_row(name, problem, 1 + len(COLUMNS))
        await browser.close()


if __name__ == "__main__":
    asyncio.run(main())
