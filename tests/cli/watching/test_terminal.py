"""Which keys are pressed."""

from __future__ import annotations

import pytest

from tickwire.cli.watching.terminal import named


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        ("q", ["quit"]),
        ("x \x1b[Bj\x1b[6~Q", ["pause", "down", "down", "page down", "quit"]),
        ("\x1b[1;5A\x1bOPk", ["up"]),  # Ctrl-up and F1 mean nothing
        ("\x1b", []),
        ("", []),
    ],
)
def test_keys(sent: str, names: list[str]) -> None:
    assert named(sent) == names
