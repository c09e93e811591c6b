"""What tokens use, and what is left of the accounts upstream that they share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from ..assembly import Engine
from ..gateway.admission import Caller
from ..model import Family, Kind
from ..sources import UpstreamUse

MOST_TOKENS = 100
"""Tokens that are told of one by one, the first ones that were used; the others are one entry."""
OTHERS = "(others)"
ANY = ""
"""The name under which use is told while any token is let in: its text is nobody else's business."""

Stream: TypeAlias = tuple[Kind, str]


class QuotaInfo(msgspec.Struct):
    """A limit of requests upstream: `left` of the `requests` in so many `seconds`. `name` is that of an
    endpoint, `http` for all of them, or `day`."""

    name: str
    requests: int
    seconds: float
    left: int


class CodesInfo(msgspec.Struct):
    """Codes that are subscribed to upstream; `most` is how many the plan allows, null for no limit."""

    family: Family
    kind: str
    used: int
    most: int | None


class ConnectionsInfo(msgspec.Struct):
    """WebSockets upstream; `most` is how many the plan allows, null for no limit."""

    family: Family
    used: int
    most: int | None


class UpstreamInfo(msgspec.Struct):
    """An account upstream, which all tokens share: `waiting` requests wait for their turn."""

    source: str
    waiting: int
    quotas: list[QuotaInfo]
    codes: list[CodesInfo]
    connections: list[ConnectionsInfo]


class TokenUse(msgspec.Struct):
    """What a token has used since the start: `requests` over HTTP that passed its plan and that were
    `refused` by it, `pushes`; and what it uses now: `connections`, `codes` that it is subscribed to, and
    those of them that are `without` a place upstream. `token` is its name, empty while any is let in."""

    token: str
    connections: int = 0
    codes: int = 0
    without: int = 0
    requests: int = 0
    refused: int = 0
    pushes: int = 0


class Usage(msgspec.Struct):
    """The data that /v1/usage answers."""

    upstream_list: list[UpstreamInfo]
    token_list: list[TokenUse]


def usage(engine: Engine, caller: Caller) -> Usage:
    """What a caller may know: the accounts upstream, and its own token's use; an admin's all tokens'."""
    tokens = token_uses(engine)
    if caller.token is not None and not caller.token.admin:
        name = caller.token.name
        tokens = [one for one in token_uses(engine, caller.client.label) if one.token == name]
    return Usage([_info(name, use) for name, use in upstream_uses(engine)], tokens)


def upstream_uses(engine: Engine) -> Iterator[tuple[str, UpstreamUse]]:
    """The use of each account upstream, by the name of its source."""
    for feed in engine.market.feeds:
        if (use := feed.source.health.upstream) is not None:
            yield feed.source.name, use()


def token_uses(engine: Engine, only: str | None = None) -> list[TokenUse]:
    """The use of each token, or of the one with that label."""
    found: dict[str, TokenUse] = {}
    wanted: defaultdict[str, set[frozenset[Stream]]] = defaultdict(set)  # many clients want the same
    names: dict[str, str] = {}
    for label, name, account in engine.gateway.admission.accounts():
        if only is None or label == only:
            shown = name if name in found or len(found) < MOST_TOKENS else OTHERS
            names[label] = shown
            use = found.setdefault(shown, TokenUse(shown))
            use.requests += account.requests
            use.refused += account.refused
            use.pushes += account.pushes
    for peer, caller in engine.gateway.callers.items():
        shown = names.get(caller.client.label, ANY if only is None else OTHERS)
        if only is not None and caller.client.label != only:
            continue
        use = found.setdefault(shown, TokenUse(shown))
        use.connections += 1
        use.pushes += engine.gateway.hub.pushes(peer)
        wanted[shown].add(engine.gateway.hub.streams(peer))
    carried = _carried(engine)
    for shown, lists in wanted.items():
        streams = frozenset[Stream]().union(*lists)
        found[shown].codes = len({code for _, code in streams})
        if carried:
            lacking = {code for kind, code in streams if _lacks(engine, carried, kind, code)}
            found[shown].without = len(lacking)
    return [*found.values()]


def _carried(engine: Engine) -> dict[str, set[Stream]]:
    """The streams that are subscribed to upstream, by source."""
    return {
        name: {(one.kind, code) for one in use.codes for code in one.codes}
        for name, use in upstream_uses(engine)
    }


def _lacks(engine: Engine, carried: dict[str, set[Stream]], kind: Kind, code: str) -> bool:
    instrument = engine.catalogue[code]
    streams = carried.get(engine.market.feeds.of(instrument).source.name)
    has_stream = kind is not Kind.DEPTH or instrument.levels > 0
    return streams is not None and has_stream and (kind, code) not in streams


def _info(source: str, use: UpstreamUse) -> UpstreamInfo:
    return UpstreamInfo(
        source,
        use.waiting,
        [QuotaInfo(one.name, one.requests, one.seconds, one.left) for one in use.quotas],
        [CodesInfo(one.family, one.kind.name.lower(), len(one.codes), one.most) for one in use.codes],
        [ConnectionsInfo(family, count, use.most_connections) for family, count in use.connections.items()],
    )
