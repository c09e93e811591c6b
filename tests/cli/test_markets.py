"""`tickwire markets`."""

from __future__ import annotations

from pathlib import Path

from ..serving import Program
from .commands import SHARED, at, tickwire


@SHARED
async def test_markets_tell_their_own_time(market: Program, tmp_path: Path) -> None:
    done = await tickwire(tmp_path, *at(market, "markets", "--json"))
    by_name = {one["calendar"]: one for one in done.records}
    assert by_name["XHKG"]["timezone"] == "Asia/Hong_Kong"
    assert by_name["crypto"]["next_close"] is None
    assert by_name["XHKG"]["next_open"].endswith(("T01:30:00.000Z", "T05:00:00.000Z", "T01:00:00.000Z"))
    shown = await tickwire(tmp_path, *at(market, "markets"))
    (hong_kong,) = [line for line in shown.out.splitlines() if line.startswith("XHKG")]
    assert any(f"{hour} " in hong_kong for hour in ("09:00", "09:30", "13:00"))
    assert "keeps no hours" in shown.err
