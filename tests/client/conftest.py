"""A server like the vendor's."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from .alltick_stub import AllTick, alltick


@pytest.fixture
async def vendor() -> AsyncIterator[AllTick]:
    async with alltick() as stub:
        yield stub
