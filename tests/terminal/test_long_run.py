"""The terminal left open while 100 instruments tick 20 times a second each: its memory stays flat."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from tickwire.store import load_catalogue

from ..serving import program
from .conftest import Open

SECONDS = 600
WARM = 120
"""Seconds in which caches and the chart's first page fill."""
MEBIBYTE = 2**20


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.skipif("TICKWIRE_SOAK" not in os.environ, reason="make soak: ten minutes in a browser")
async def test_memory_is_flat_after_ten_minutes(tmp_path: Path, visit: Open) -> None:
    codes = sorted(one.code for one in load_catalogue() if one.levels)[:100]
    async with program(tmp_path, "--rate", "20", "--codes", ",".join(codes)) as server:
        seen = await visit("about:blank")
        kept = json.dumps(json.dumps(codes))
        await seen.page.add_init_script(f"localStorage.setItem('tickwire.watchlist', {kept})")
        await seen.page.goto(server.url)
        await seen.moves(seen.price(codes[0]))
        inside = await seen.page.context.new_cdp_session(seen.page)
        await inside.send("Performance.enable")

        async def figures() -> dict[str, float]:
            await inside.send("HeapProfiler.collectGarbage")
            metrics = (await inside.send("Performance.getMetrics"))["metrics"]
            return {one["name"]: one["value"] for one in metrics}

        await asyncio.sleep(WARM)
        before = await figures()
        await asyncio.sleep(SECONDS - WARM)
        after = await figures()
        heaps = [figures["JSHeapUsedSize"] / MEBIBYTE for figures in (before, after)]
        print(f"heap {heaps[0]:.1f} MiB after {WARM} s, {heaps[1]:.1f} MiB after {SECONDS} s")
        assert heaps[1] < heaps[0] + 2
        assert after["Nodes"] < before["Nodes"] * 1.1
        assert after["JSEventListeners"] <= before["JSEventListeners"] + 10
        await seen.moves(seen.price(codes[0]))
        assert not seen.troubles
