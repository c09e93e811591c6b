"""A server that is only like the vendor's: what can be read of it, and what cannot."""

from __future__ import annotations

from pathlib import Path

from ..client.alltick_stub import TOKEN, alltick
from .commands import DONE, FAILED, tickwire


async def test_of_alltick_quotes_and_bars_are_read_and_the_rest_is_refused_in_a_line(tmp_path: Path) -> None:
    async with alltick() as vendor:
        await vendor.trade("GOLD")
        await vendor.book("GOLD")
        place = ("--url", vendor.url, "--token", TOKEN, "--plan", "unlimited")
        asked = (
            ("quote", "GOLD", "--json"),
            ("kline", "GOLD", "--num", "1100", "--format", "csv"),
            ("markets",),
            ("instruments", "search", "gold"),
        )
        quote, bars, markets, codes = [await tickwire(tmp_path, *one, *place) for one in asked]
    (record,) = quote.records
    assert (quote.status, record["last"], record["bid"], record["ask"]) == (DONE, "4415.32", "4415.30", None)
    assert (bars.status, bars.err, len(bars.out.splitlines())) == (DONE, "", 1101)  # no bar in a pipe
    for done, name in ((markets, "markets"), (codes, "instruments")):
        assert done == (
            FAILED,
            "",
            f"tickwire: {vendor.url}: only a Tickwire answers /v1/{name}, and this is none.\n",
        )
