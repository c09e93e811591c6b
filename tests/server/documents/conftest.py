"""A client of the documents, for all tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from tickwire.server.documents import Documents

from .reading import serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with serving(Documents()) as client:
        yield client
