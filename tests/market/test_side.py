"""The market side as a whole."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tickwire.calendars import EXCHANGES, load

from ..serving import serving


@pytest.mark.parametrize(("days", "hours"), [(61, True), (60, True), (1, True), (1, False)])
async def test_the_log_says_which_official_table_of_holidays_ends_soon(
    tmp_path: Path, days: int, *, hours: bool
) -> None:
    first = min((load(key) for key in EXCHANGES), key=lambda one: one.horizon)
    ends = datetime.combine(first.horizon, datetime.min.time(), UTC).timestamp()
    with capture_logs() as logged:
        async with serving(
            tmp_path, source="simulator", market_hours=hours, wall=lambda: ends - days * 86_400
        ):
            pass
    told = [one["calendar"] for one in logged if one["event"].startswith("the official holidays")]
    assert told == ([first.key] if hours and days < 60 else [])
