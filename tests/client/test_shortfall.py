"""How far bars go back: found in few pages, whatever there is, and told in words."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from itertools import chain

import pytest

from tickwire.client import Unavailable, shortfall
from tickwire.client.history import ALL, history
from tickwire.model import Kline, KlineType

MINUTE = 60
YEARS = 5 * 525_600
"""Minutes between what is asked for and what there is."""
ONE = Decimal(1)


class Store:
    """Bars of minutes as a server answers them, and how often it was asked."""

    def __init__(self, *minutes: range) -> None:
        self.minutes = [*chain(*minutes)]
        self.asked = 0

    async def page(self, size: int, until: int) -> Sequence[Kline]:
        self.asked += 1
        fit = [one * MINUTE for one in self.minutes if not until or one * MINUTE <= until]
        return [Kline("X", KlineType.MINUTE, at, ONE, ONE, ONE, ONE, ONE, ONE) for at in fit[-size:]]

    async def told(self, start: int | None, end: int | None) -> str:
        read = await history(self.page, "X", ALL, start, end)
        return await shortfall.shortfall(self.page, "X", KlineType.MINUTE, start, end, read)


BEGIN = 29_000_000  # minutes since the epoch: 2025-02-19T21:20Z
BEFORE = (BEGIN - YEARS) * MINUTE * 1000


@pytest.mark.parametrize(
    "minutes",
    [
        [range(BEGIN, BEGIN + 1)],
        [range(BEGIN, BEGIN + 499)],
        [range(BEGIN, BEGIN + 500)],
        [range(BEGIN, BEGIN + 10_000)],
        [range(BEGIN, BEGIN + 3), range(BEGIN + 900_000, BEGIN + 900_700)],
        [range(BEGIN, BEGIN + 700), range(BEGIN + 900_000, BEGIN + 900_001)],
    ],
)
async def test_the_first_bar_is_found_in_few_pages(minutes: list[range]) -> None:
    store = Store(*minutes)
    text = "X: there are no 1m bars in that time: they begin with 2025-02-19T21:20Z"
    assert await store.told(BEFORE - 1000, BEFORE) == text
    assert store.asked <= 24


async def test_what_is_whole_is_not_told() -> None:
    store = Store(range(BEGIN, BEGIN + 700))
    opened = BEGIN * MINUTE * 1000
    assert await store.told(None, None) == ""
    assert await store.told(opened, None) == ""
    assert await store.told(opened - 59_999, None) == ""
    assert await store.told(opened + 60_000, None) == ""
    assert await store.told(None, opened + 120_000) == ""
    assert await store.told(opened - 60_000, None) != ""


async def test_what_is_not_found_in_time_is_told_as_far_as_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shortfall, "LOOK", 0.01)
    store = Store(range(BEGIN, BEGIN + 700))
    forever = asyncio.Event()

    async def page(size: int, until: int) -> Sequence[Kline]:
        if until:
            await forever.wait()
        return await store.page(size, until)

    read = await history(store.page, "X", ALL, None, BEFORE)
    found = await shortfall.shortfall(page, "X", KlineType.MINUTE, None, BEFORE, read)
    assert found == "X: there are no 1m bars in that time: they begin with 2025-02-20T00:40Z or earlier"


async def test_a_server_that_fails_meanwhile_is_no_error_of_the_download() -> None:
    store = Store(range(BEGIN, BEGIN + 700))

    async def page(size: int, until: int) -> Sequence[Kline]:
        raise Unavailable("no answer")

    read = await history(store.page, "X", ALL, None, BEFORE)
    assert await shortfall.shortfall(page, "X", KlineType.MINUTE, None, BEFORE, read) == (
        "X: there are no 1m bars in that time"
    )
