"""What tokens use, and what is left of the accounts upstream that they share."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TypeAlias

import msgspec

from ..bus import Figures
from ..errors import StoreError
from ..gateway.admission import Caller
from ..gateway.gateway import Gateway
from ..gateway.reads import Reads
from ..model import Kind, UpstreamUse
from ..wire.overview import CodesInfo, ConnectionsInfo, QuotaInfo, TokenUse, UpstreamInfo, Usage
from .peers import MARKET, Peers

MOST_TOKENS = 100
"""Tokens that are told of one by one, the first ones that were used; the others are one entry."""
USAGE = "usage"
"""What a process is asked for the use of tokens there: of all, or of the one with a label."""
MARKET_WAIT = 3.0
"""Seconds that an answer waits for what the market side knows of it."""
TURN = 16
"""Connections that are looked at in a turn of the loop."""
OTHERS = "(others)"
ANY = ""
"""The name under which use is told while any token is let in: its text is nobody else's business."""

Stream: TypeAlias = tuple[Kind, str]


class Use(msgspec.Struct, array_like=True):
    """What a token has used in a process, see `TokenUse`, and the streams it is subscribed to."""

    token: str
    connections: int = 0
    requests: int = 0
    refused: int = 0
    pushes: int = 0
    streams: frozenset[Stream] = frozenset()


_uses = msgspec.msgpack.Decoder(list[Use]).decode


class UsageOfAll:
    """The use of tokens in all processes of a server."""

    def __init__(self, gateway: Gateway, peers: Peers) -> None:
        self._gateway = gateway
        self._peers = peers
        gateway.sayings.by_question[USAGE] = self._said

    async def usage(self, caller: Caller) -> tuple[Usage, bool]:
        """What a caller may know: the accounts upstream, and its own token's use; an admin's all tokens'. And
        whether all processes have answered."""
        only = None if caller.token is None or caller.token.admin else caller.client.label
        figures, uses, others = await asyncio.gather(
            self._gateway.reads.figures(),
            own_uses(self._gateway, only),
            self._peers.ask(USAGE, "" if only is None else only),
        )
        others.pop(MARKET, None)  # which serves no clients
        said = [_uses(one) for one in others.values() if one is not None]
        reads = self._gateway.reads if self._peers.has_market else None
        tokens = await told_uses(reads, together([uses, *said]))
        if only is not None and caller.token is not None:
            tokens = [one for one in tokens if one.token == caller.token.name]
        upstream = [_info(name, use) for name, use in upstream_uses(figures)]
        return Usage(upstream, tokens), None not in others.values()

    async def _said(self, only: str) -> bytes:
        return msgspec.msgpack.encode(await own_uses(self._gateway, only or None))


def upstream_uses(figures: Figures) -> Iterator[tuple[str, UpstreamUse]]:
    """The use of each account upstream, by the name of its source."""
    return ((one.name, one.upstream) for one in figures.sources if one.upstream is not None)


async def token_uses(gateway: Gateway) -> list[TokenUse]:
    """The use of each token in this process."""
    return await told_uses(gateway.reads, await own_uses(gateway))


async def own_uses(gateway: Gateway, only: str | None = None) -> list[Use]:
    """The use of each token in this process, or of the one with that label."""
    found: dict[str, Use] = {}
    wanted: defaultdict[str, set[frozenset[Stream]]] = defaultdict(set)  # many clients want the same
    names: dict[str, str] = {}
    for label, name, account in gateway.admission.accounts():
        if only is None or label == only:
            shown = name if name in found or len(found) < MOST_TOKENS else OTHERS
            names[label] = shown
            use = found.setdefault(shown, Use(shown))
            use.requests += account.requests
            use.refused += account.refused
            use.pushes += account.pushes
    for number, (peer, caller) in enumerate([*gateway.callers.items()], 1):
        if number % TURN == 0:  # those who resume may each hold thousands of codes
            await asyncio.sleep(0)
        shown = names.get(caller.client.label, ANY if only is None else OTHERS)
        if only is not None and caller.client.label != only:
            continue
        use = found.setdefault(shown, Use(shown))
        use.connections += 1
        use.pushes += gateway.hub.pushes(peer)
        wanted[shown].add(gateway.hub.streams(peer))
    for shown, lists in wanted.items():
        found[shown].streams = frozenset[Stream]().union(*lists)
    return [*found.values()]


def together(uses: Iterable[Iterable[Use]]) -> list[Use]:
    """The use of several processes, as one of each token."""
    found: dict[str, Use] = {}
    for one in (one for some in uses for one in some):
        use = found.setdefault(one.token, Use(one.token))
        use.connections += one.connections
        use.requests += one.requests
        use.refused += one.refused
        use.pushes += one.pushes
        use.streams |= one.streams
    return [*found.values()]


async def told_uses(reads: Reads | None, uses: Iterable[Use]) -> list[TokenUse]:
    """The same as it is told: how many codes, and how many of them have no place upstream, which is none
    where the market side does not say, or is not asked (None)."""
    uses, lacking = [*uses], set[Stream]()
    with contextlib.suppress(StoreError, TimeoutError):
        async with asyncio.timeout(MARKET_WAIT):
            if reads is not None:
                lacking = await reads.lacking(frozenset[Stream]().union(*(one.streams for one in uses)))
    return [
        TokenUse(
            one.token,
            one.connections,
            len({code for _, code in one.streams}),
            len({code for _, code in one.streams & lacking}),
            one.requests,
            one.refused,
            one.pushes,
        )
        for one in uses
    ]


def _info(source: str, use: UpstreamUse) -> UpstreamInfo:
    return UpstreamInfo(
        source,
        use.waiting,
        [QuotaInfo(one.name, one.requests, one.seconds, one.left) for one in use.quotas],
        [CodesInfo(one.family, one.kind.name.lower(), len(one.codes), one.most) for one in use.codes],
        [ConnectionsInfo(family, count, use.most_connections) for family, count in use.connections.items()],
    )
