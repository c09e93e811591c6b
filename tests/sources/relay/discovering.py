"""Relays of servers that have more codes than the catalogue."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from tickwire.client import Rates
from tickwire.sources.relay import Relay, UpstreamPlan

from ...client.alltick_stub import TOKEN as VENDOR_TOKEN
from ...serving import Served, serving
from .bench import CATALOGUE, MACHINE, QUICK

BASIC = UpstreamPlan(1, 100, 0.0, 1.0, None, Rates((1, 1), (1, 3), (1, 60), (60, 60), 86_400))


def symbols(*codes: str) -> dict[str, Any]:
    return {"trace": "", "data": {"symbol_list": [{"code": code} for code in codes]}}


@contextlib.asynccontextmanager
async def relaying(folder: Path, url: str, plan: UpstreamPlan = BASIC, **more: Any) -> AsyncIterator[Served]:
    """A server that relays that one, within the plan."""
    given: dict[str, Any] = {"token": lambda: VENDOR_TOKEN, "plan": plan, "options": QUICK, "probe": True}
    async with serving(folder, Relay(CATALOGUE, url, **(MACHINE | given | more))) as server:
        yield server
