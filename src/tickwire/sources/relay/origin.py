"""What upstream's data is, which a Tickwire says of itself."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass

import msgspec

from ...client import ClientError, Network, http_url
from ...client.clock import sleep
from ...client.http import http_client
from ...model import Family
from .line import Line
from .market_time import MarketTime

BEAT = 1.0
"""Seconds between looks whether a connection is a new one."""
TIMEOUT = 5.0
"""Seconds that the answer may take."""
MOST_BYTES = 65_536


class Readiness(msgspec.Struct):
    """What a Tickwire says of itself: whether its data is made up, the name of its source, and whether its
    markets keep no hours."""

    simulated: bool
    source: str = ""
    round_the_clock: bool = False


@dataclass(eq=False, repr=False)
class Origin:
    """Asks upstream at the start and after each connection, unless it is known to be no Tickwire.

    `time` is told whether it is made up, and whether markets keep hours. Without `asks` nobody is asked.
    """

    url: str
    network: Network
    lines: Mapping[tuple[Family, int], Line]
    time: MarketTime
    _: KW_ONLY
    asks: bool

    def __post_init__(self) -> None:
        self.simulated = False
        """Whether the data is made up."""
        self._known, self._is_tickwire = asyncio.Event(), False

    async def is_tickwire(self) -> bool:
        """Whether upstream is a Tickwire, as far as it says so."""
        if self.asks:
            await self._known.wait()
        return self._is_tickwire

    async def watch(self) -> None:
        """Asks it. Never ends."""
        asked, found = -1, None
        while True:
            connected = sum(line.connected for line in self.lines.values())
            if connected != asked:
                asked = connected
                found = await ask_readiness(self.url, self.network)
                self._is_tickwire = found is not None
                self._known.set()
            if found is not None:
                for line in self.lines.values():
                    line.ask_corrections()
                self.simulated = found.simulated
                self.time.round_the_clock = found.round_the_clock
                self.time.market.replayed = found.source.startswith("replay:")
                self.time.market.made_up = found.simulated or self.time.market.replayed
            await sleep(self.time.clock, BEAT)


async def ask_readiness(url: str, network: Network) -> Readiness | None:
    """What /readyz of the server at `url` says; it needs no token. None if it has no such page."""
    import httpx

    try:
        async with (
            asyncio.timeout(TIMEOUT),
            http_client(url, network, TIMEOUT) as client,
            client.stream("GET", f"{http_url(url, None)}/readyz") as response,
        ):
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > MOST_BYTES:
                    return None
            return msgspec.json.decode(body, type=Readiness)
    except (ClientError, TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return None
