"""What a server says of itself."""

from __future__ import annotations

import pytest

from ..serving import OTHER_WS, STOCK_HTTP, Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_index_says_where_to_connect(full: Served) -> None:
    response = await full.request("GET", "/")
    assert response.headers["content-type"].startswith("text/plain")
    sockets = full.url.replace("http", "ws", 1)
    assert f"{sockets}{OTHER_WS}?token=TOKEN" in response.text
    assert f"{full.url}{STOCK_HTTP}" in response.text
