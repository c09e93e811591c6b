"""Pages and probes, which need no token."""

from __future__ import annotations

import pytest

from ..serving import Served

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
async def test_pages_and_probes_need_no_token(full: Served, path: str) -> None:
    response = await full.request("GET", path)
    assert response.status_code == 200
    assert (await full.request("HEAD", path)).status_code == 200


async def test_what_the_probes_say(full: Served) -> None:
    assert (await full.request("GET", "/healthz")).json() == {"status": "ok"}
    ready = (await full.request("GET", "/readyz")).json()
    assert [one["events"] for one in ready.pop("sources")] == [9]
    assert ready.pop("store")["up"]
    assert ready == {
        "ready": True,
        "status": "ready",
        "source": "script",
        "simulated": True,
        "events": 9,
        "recording": None,
        "round_the_clock": True,
    }


async def test_other_paths_are_404(full: Served) -> None:
    for path in ("/nope", "/quote-b", "/quote-b-apix/trade-tick", "/admin", "/static/../x"):
        assert (await full.request("GET", path, params={"token": "t"})).status_code == 404
