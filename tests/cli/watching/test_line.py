"""Lines are as wide as they must be."""

from __future__ import annotations

import pytest

from tickwire.cli.watching.line import fitted


@pytest.mark.parametrize("width", [1, 3, 4, 5, 30])
def test_a_line_is_as_wide_as_it_must_be(width: int) -> None:
    line = fitted([("ab", "bold"), ("中文", "")], width)
    assert sum(len(text.encode("gb18030")) for text, _ in line) == width  # two bytes for two columns
