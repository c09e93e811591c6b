"""What a relay says of the account upstream that its users share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from ...client import Account, ClientError, Http
from ...client.shown import plain
from .answers import PATIENCE
from .finding import Finding, Verdict

OK, WARN = Verdict.OK, Verdict.WARN
SCARCE = 0.1
"""The part of a day's requests below which somebody should know."""
MOST_TOKENS = 20
"""Tokens that are told of, those that lack something first."""
LARGER = "the upstream plan is used up: fewer codes, fewer programs, or a larger plan"
SHARED = "the upstream plan has no room for all that tokens want: name fewer codes, or get a larger plan"


class Quota(msgspec.Struct):
    """What is read of a limit."""

    name: str
    requests: int
    left: int


class Codes(msgspec.Struct):
    """What is read of the codes of a kind."""

    family: str
    kind: str
    used: int
    most: int | None


class Upstream(msgspec.Struct):
    """What is read of an account upstream."""

    source: str
    waiting: int
    quotas: list[Quota]
    codes: list[Codes]


class Token(msgspec.Struct):
    """What is read of a token."""

    token: str
    connections: int
    codes: int
    without: int
    requests: int
    refused: int
    pushes: int


class Usage(msgspec.Struct):
    """What is read of /v1/usage."""

    upstream_list: list[Upstream]
    token_list: list[Token]


async def sharing(account: Account) -> list[Finding]:
    """What is left of the account upstream, and what the token uses of it, to an admin's all tokens; nothing
    where the server is no relay, or does not say."""
    async with Http(account.url, account.token, timeout=PATIENCE, network=account.network) as http:
        try:
            data: Any = await http.extension("usage")
            usage = msgspec.convert(data, Usage)
        except (ClientError, msgspec.ValidationError):
            return []
    if not usage.upstream_list:
        return []
    found = [one for upstream in usage.upstream_list for one in _upstream(upstream)]
    tokens = sorted(usage.token_list, key=lambda one: -one.without)
    found += [_token(one) for one in tokens[:MOST_TOKENS]]
    if left := len(tokens[MOST_TOKENS:]):
        found.append(Finding("token use", "", OK, f"and {left} more tokens: see /metrics"))
    return found


def _upstream(upstream: Upstream) -> Iterator[Finding]:
    quotas = [f"{one.name} {one.left} of {one.requests}" for one in upstream.quotas]
    day = next((one for one in upstream.quotas if one.name == "day"), None)
    scarce = day is not None and day.left < day.requests * SCARCE
    measured = f"{upstream.source}: requests left: {', '.join(quotas) or 'no limit'}; {upstream.waiting} wait"
    yield Finding("upstream", "", WARN if scarce else OK, plain(measured), LARGER if scarce else "")
    codes = [
        f"{one.family} {one.kind} {one.used} of {'any' if one.most is None else one.most}"
        for one in upstream.codes
    ]
    full = any(one.most is not None and one.used >= one.most for one in upstream.codes)
    measured = f"{upstream.source}: codes in use: {', '.join(codes)}"
    yield Finding("upstream", "", WARN if full else OK, plain(measured), LARGER if full else "")


def _token(use: Token) -> Finding:
    measured = (
        f"{use.token or 'any token'}: {use.connections} connections, {use.codes} codes, "
        f"{use.requests} requests ({use.refused} too fast), {use.pushes} pushes"
    )
    if use.without:
        measured = f"{measured}; {use.without} codes have no place upstream"
    return Finding("token use", "", WARN if use.without else OK, plain(measured), SHARED * bool(use.without))
