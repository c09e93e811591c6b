"""What docs/client.md lists is there, and examples in docstrings are right."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import tickwire
from tickwire.client import INTERVALS, PLANS, events, history, intervals

PAGE = (Path(__file__).parent.parent / "docs" / "client.md").read_text("utf-8")


def test_all_names_of_the_package_that_the_page_uses_are_there() -> None:
    used = set(re.findall(r"\btickwire\.([A-Za-z]\w*)", PAGE)) - {"client"}
    assert used <= {*dir(tickwire)}
    assert len(used) > 5


def test_the_page_names_all_intervals_and_plans() -> None:
    assert [one for one in INTERVALS if f"`{one}`" not in PAGE] == []
    assert [one for one in PLANS if f'`"{one}"`' not in PAGE] == []


@pytest.mark.parametrize("module", [events, history, intervals], ids=lambda module: module.__name__)
def test_examples_in_docstrings_are_right(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted > 0
    assert found.failed == 0
