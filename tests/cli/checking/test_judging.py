"""From what was seen of a stream to findings."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tickwire.cli.checking.finding import Verdict
from tickwire.cli.checking.judging import findings_of
from tickwire.cli.checking.observed import Observed
from tickwire.client import LinkStatus, Status, Trade
from tickwire.model import Family, Kind
from tickwire.wire import Subscribed

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
MOMENT = datetime(2026, 9, 4, tzinfo=UTC)


def test_events_that_are_lost_are_a_failure() -> None:
    seen = Observed(0.0)
    seen.take([Status(LinkStatus.UP, Family.OTHER, MOMENT), Subscribed(Kind.TRADE, ("GOLD",))], 0.1, 0.0)
    for number in (10, 11, 12, 15, 14, 16, 17):
        seen.take([Trade("GOLD", 1000, Decimal(1), Decimal(1), seq=number)], 0.2, 1.0)
    found = findings_of("other", seen, until=9.0, heartbeat=(1.0, None), duplicates=0)
    by_name = {one.check: one for one in found}
    assert by_name["seq"].verdict is FAIL
    assert "1 numbers missing, 1 out of order" in by_name["seq"].measured
    assert by_name["heartbeat"].verdict is OK  # too short to say
    assert by_name["connection"].verdict is OK


@pytest.mark.parametrize(
    ("age", "verdict"), [(0.9, OK), (1.5, WARN), (-2.0, WARN), (15.0, FAIL), (90_000.0, WARN)]
)
def test_how_late_ticks_may_be(age: float, verdict: Verdict) -> None:
    seen = Observed(0.0)
    seen.take([Status(LinkStatus.UP, Family.OTHER, MOMENT)], 0.1, 0.0)
    wall = 1_800_000_000.0
    for number in range(1, 5):
        seen.take([Trade("GOLD", int((wall - age) * 1000), Decimal(1), Decimal(1), seq=number)], number, wall)
    found = findings_of("other", seen, until=30.0, heartbeat=(10.0, None), duplicates=0)
    by_name = {one.check: one for one in found}
    assert by_name["latency"].verdict is verdict
    assert by_name["heartbeat"].verdict is FAIL  # none was answered in ten seconds
    assert by_name["subscribe"].verdict is FAIL


def test_a_connection_that_never_was() -> None:
    seen = Observed(0.0)
    seen.take([Status(LinkStatus.DOWN, Family.STOCK, MOMENT, "refused with HTTP 404")], 0.1, 0.0)
    found = findings_of("stock", seen, until=5.0, heartbeat=(1.0, None), duplicates=0)
    assert [(one.check, one.verdict, one.measured) for one in found] == [
        ("connect", FAIL, "refused with HTTP 404")
    ]
