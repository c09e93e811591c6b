"""What a Tickwire says of itself: of its sources, for it may answer well and have nothing new to say; of its
processes, where it has several; and of the account upstream that the users of a relay share."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import msgspec

from ...client import Account, ClientError, Http
from ...client.http import http_client
from ...client.shown import plain
from ...wire.overview import TokenUse, UpstreamInfo, Usage
from .answers import PATIENCE
from .finding import Finding, Verdict

OK, WARN = Verdict.OK, Verdict.WARN
VERDICTS = {"up": OK, "connecting": WARN, "stale": WARN, "ended": WARN, "down": Verdict.FAIL}
ADVICE = "the server's data does not come: look at its log, and at what it gets its data from"
ENDED = "its replay is over and its last state is served on: start it anew, or with --loop"
AWAY = "one that hangs serves its clients nothing: look at the log; one that ended is started anew by itself"
SCARCE = 0.1
"""The part of a day's requests below which somebody should know."""
MOST_TOKENS = 20
"""Tokens that are told of, those that lack something first."""
LARGER = "the upstream plan is used up: fewer codes, fewer programs, or a larger plan"
SHARED = "the upstream plan has no room for all that tokens want: name fewer codes, or get a larger plan"


class Source(msgspec.Struct):
    name: str
    status: str
    reason: str


class Worker(msgspec.Struct):
    name: str
    up: bool


class Ready(msgspec.Struct):
    """What is read of /readyz."""

    sources: list[Source]
    workers: list[Worker] = []


async def readiness(account: Account) -> list[Finding]:
    """How each source is, and the processes where there are several; nothing of what is no Tickwire."""
    url = account.url
    try:
        async with http_client(url, account.network, PATIENCE) as client:
            answer = await client.get(f"{url.rstrip('/')}/readyz")
            ready = msgspec.json.decode(answer.content, type=Ready)
    except (ClientError, httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return []
    return [*map(_finding, ready.sources), *_workers(ready.workers)]


def _workers(workers: list[Worker]) -> Iterator[Finding]:
    if not workers:
        return
    away = [plain(one.name) for one in workers if not one.up]
    if away:
        measured = f"{len(workers) - len(away)} of {len(workers)} processes answer, not {', '.join(away)}"
        yield Finding("workers", "", WARN, measured, AWAY)
    else:
        yield Finding("workers", "", OK, f"all {len(workers)} processes answer")


def _finding(source: Source) -> Finding:
    verdict = VERDICTS.get(source.status, WARN)
    measured = plain(f"{source.name}: {source.status}{f' ({source.reason})' if source.reason else ''}")
    advice = ENDED if source.status == "ended" else "" if verdict is OK else ADVICE
    return Finding("source", "", verdict, measured, advice)


async def sharing(account: Account) -> list[Finding]:
    """What is left of the account upstream, and what the token uses of it, to an admin's all tokens; nothing
    where the server is no relay, or does not say."""
    async with Http(account.url, account.token, timeout=PATIENCE, network=account.network) as http:
        try:
            data = await http.extension("usage", dict)
            usage = msgspec.convert(data, Usage, strict=False)  # floats come as their texts
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


def _upstream(upstream: UpstreamInfo) -> Iterator[Finding]:
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


def _token(use: TokenUse) -> Finding:
    measured = (
        f"{use.token or 'any token'}: {use.connections} connections, {use.codes} codes, "
        f"{use.requests} requests ({use.refused} too fast), {use.pushes} pushes"
    )
    if use.without:
        measured = f"{measured}; {use.without} codes have no place upstream"
    return Finding("token use", "", WARN if use.without else OK, plain(measured), SHARED * bool(use.without))
