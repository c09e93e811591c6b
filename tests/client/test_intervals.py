"""How people name the stretches of K-lines."""

from __future__ import annotations

import pytest

from tickwire.client import kline_type_of


@pytest.mark.parametrize("interval", ["2m", "1M", "", 0, 11])
def test_what_is_no_interval_is_refused(interval: str) -> None:
    with pytest.raises(ValueError, match="use one of 1m, 5m"):
        kline_type_of(interval)
