"""`tickwire instruments`."""

from __future__ import annotations

from pathlib import Path

from ..serving import Program
from .commands import SHARED, at, tickwire


@SHARED
async def test_codes_are_found_by_their_names(market: Program, tmp_path: Path) -> None:
    done = await tickwire(tmp_path, *at(market, "instruments", "search", "腾讯", "--json"))
    (tencent,) = done.records
    assert (tencent["code"], tencent["market"], tencent["price_decimals"]) == ("700.HK", "hk_stock", 6)
    shown = await tickwire(tmp_path, *at(market, "instruments", "search", "xauusd"))
    assert "GOLD" in shown.out
    assert "(also XAUUSD)" in shown.out
