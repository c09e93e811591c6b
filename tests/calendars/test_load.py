"""Calendars by key."""

from __future__ import annotations

import pytest

from tickwire.calendars import KEYS, load
from tickwire.errors import InputError
from tickwire.store import load_catalogue


def test_every_key_that_the_catalogue_uses_loads() -> None:
    used = {instrument.calendar for instrument in load_catalogue()}
    assert used == set(KEYS)
    for key in used:
        assert load(key).key == key


def test_a_calendar_is_loaded_once() -> None:
    assert load("XNYS") is load("XNYS")
    assert load("XNYS").regular is load("XNYS").regular


@pytest.mark.parametrize("key", ["", "xnys", "XLON"])
def test_an_unknown_key_ends_in_a_line_with_the_known_ones(key: str) -> None:
    with pytest.raises(InputError) as caught:
        load(key)
    assert all(name in str(caught.value) for name in (repr(key), *KEYS))
    assert "\n" not in str(caught.value)
