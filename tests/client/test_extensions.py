"""What Tickwire tells beyond the protocol, as it is read."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tickwire import Unreadable
from tickwire.client import GapInfo
from tickwire.client.extensions import entries


def test_gaps_have_times() -> None:
    data = {"gap_list": [GAP]}
    (found,) = entries(data, "gap_list", GapInfo)
    assert found.begin == datetime(2026, 11, 22, 16, 27, 46, 865000, UTC)
    assert (found.end, found.filled) == (None, None)


@pytest.mark.parametrize("data", [None, [], {}, {"gap_list": None}, {"gap_list": [1]}, {"gap_list": [{}]}])
def test_an_answer_that_makes_no_sense_is_unreadable(data: object) -> None:
    with pytest.raises(Unreadable):
        entries(data, "gap_list", GapInfo)


GAP = {
    "source": "alltick",
    "market": "crypto",
    "codes": ["BTCUSDT"],
    "begin": 1795364866865,
    "end": None,
    "reason": "connection lost",
    "filled": None,
}
