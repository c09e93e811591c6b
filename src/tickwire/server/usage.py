"""What tokens use, and what is left of the accounts upstream that they share."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

from ..bus import Figures
from ..gateway.admission import Caller
from ..gateway.gateway import Gateway
from ..model import Kind, UpstreamUse
from ..wire.overview import CodesInfo, ConnectionsInfo, QuotaInfo, TokenUse, UpstreamInfo, Usage

MOST_TOKENS = 100
"""Tokens that are told of one by one, the first ones that were used; the others are one entry."""
TURN = 16
"""Connections that are looked at in a turn of the loop."""
OTHERS = "(others)"
ANY = ""
"""The name under which use is told while any token is let in: its text is nobody else's business."""

Stream: TypeAlias = tuple[Kind, str]


async def usage(gateway: Gateway, caller: Caller) -> Usage:
    """What a caller may know: the accounts upstream, and its own token's use; an admin's all tokens'."""
    only = None if caller.token is None or caller.token.admin else caller.client.label
    tokens = await token_uses(gateway, only)
    if only is not None and caller.token is not None:
        tokens = [one for one in tokens if one.token == caller.token.name]
    figures = await gateway.reads.figures()
    return Usage([_info(name, use) for name, use in upstream_uses(figures)], tokens)


def upstream_uses(figures: Figures) -> Iterator[tuple[str, UpstreamUse]]:
    """The use of each account upstream, by the name of its source."""
    return ((one.name, one.upstream) for one in figures.sources if one.upstream is not None)


async def token_uses(gateway: Gateway, only: str | None = None) -> list[TokenUse]:
    """The use of each token, or of the one with that label."""
    found: dict[str, TokenUse] = {}
    wanted: defaultdict[str, set[frozenset[Stream]]] = defaultdict(set)  # many clients want the same
    names: dict[str, str] = {}
    for label, name, account in gateway.admission.accounts():
        if only is None or label == only:
            shown = name if name in found or len(found) < MOST_TOKENS else OTHERS
            names[label] = shown
            use = found.setdefault(shown, TokenUse(shown))
            use.requests += account.requests
            use.refused += account.refused
            use.pushes += account.pushes
    for number, (peer, caller) in enumerate([*gateway.callers.items()], 1):
        if number % TURN == 0:  # those who resume may each hold thousands of codes
            await asyncio.sleep(0)
        shown = names.get(caller.client.label, ANY if only is None else OTHERS)
        if only is not None and caller.client.label != only:
            continue
        use = found.setdefault(shown, TokenUse(shown))
        use.connections += 1
        use.pushes += gateway.hub.pushes(peer)
        wanted[shown].add(gateway.hub.streams(peer))
    streams = {shown: frozenset[Stream]().union(*lists) for shown, lists in wanted.items()}
    lacking = await gateway.reads.lacking(frozenset[Stream]().union(*streams.values()))
    for shown, mine in streams.items():
        found[shown].codes = len({code for _, code in mine})
        found[shown].without = len({code for _, code in mine & lacking})
    return [*found.values()]


def _info(source: str, use: UpstreamUse) -> UpstreamInfo:
    return UpstreamInfo(
        source,
        use.waiting,
        [QuotaInfo(one.name, one.requests, one.seconds, one.left) for one in use.quotas],
        [CodesInfo(one.family, one.kind.name.lower(), len(one.codes), one.most) for one in use.codes],
        [ConnectionsInfo(family, count, use.most_connections) for family, count in use.connections.items()],
    )
