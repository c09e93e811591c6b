"""A hub, and the loop that it schedules on."""

from __future__ import annotations

import pytest

from tickwire.gateway.hub import Hub

from .bench import Loop, fed


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def hub(loop: Loop) -> Hub:
    return fed(loop.soon)
