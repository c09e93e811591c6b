"""What a real server hears from its clients, and what a scenario does to it."""

from __future__ import annotations

import json
import time
from typing import Any

from tickwire.client import Plan, websocket_url
from tickwire.model import Family
from tickwire.sandbox import scenario_of

from ..serving import HEARTBEAT, Served

FAST = Plan(subscribe_spacing=0.0)


def url(served: Served, family: Family = Family.OTHER) -> str:
    return websocket_url(served.url, family)


def begin(served: Served, *steps: dict[str, Any]) -> None:
    served.engine.market.scenarios.begin(scenario_of({"step": [*steps]}, "the test"))


async def taken(served: Served, count: int) -> None:
    """Waits until the server has taken so many events."""
    async with served.link() as link:
        while served.engine.market.events < count:
            await link.ask(HEARTBEAT)


class Log:
    """When the server heard which request."""

    def __init__(self, served: Served) -> None:
        self.heard: list[tuple[float, dict[str, Any]]] = []
        served.ear.listener = lambda one: self.heard.append((time.monotonic(), json.loads(one.text)))

    def of(self, cmd_id: int) -> list[tuple[float, list[str]]]:
        """Time and codes of the requests of that command."""
        return [
            (at, [symbol["code"] for symbol in message["data"].get("symbol_list", [])])
            for at, message in self.heard
            if message.get("cmd_id") == cmd_id
        ]
