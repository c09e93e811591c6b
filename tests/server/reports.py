"""Reports of what clients did, as /admin/connections shows them."""

from __future__ import annotations

from typing import Any

import pytest

from ..serving import Served

alone = pytest.mark.asyncio(loop_scope="function")


def counts(deviations: list[dict[str, Any]]) -> dict[str, int]:
    return {f"{one['deviation']}: {one['detail']}".removesuffix(": "): one["count"] for one in deviations}


async def listed(served: Served) -> dict[str, Any]:
    answer = await served.request("GET", "/admin/connections")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def codes(*names: object) -> dict[str, object]:
    return {"symbol_list": [{"code": name} for name in names]}
