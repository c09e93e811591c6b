"""What a Tickwire itself says of its sources: a server may answer well and have nothing new to say."""

from __future__ import annotations

import httpx
import msgspec

from ...client import Account, ClientError
from ...client.http import http_client
from ...client.shown import plain
from .answers import PATIENCE
from .finding import Finding, Verdict

VERDICTS = {"up": Verdict.OK, "connecting": Verdict.WARN, "stale": Verdict.WARN, "down": Verdict.FAIL}
ADVICE = "the server's data does not come: look at its log, and at what it gets its data from"


class Source(msgspec.Struct):
    """What is read of a source on /readyz."""

    name: str
    status: str
    reason: str


class Ready(msgspec.Struct):
    """What is read of /readyz."""

    sources: list[Source]


async def sources(account: Account) -> list[Finding]:
    """How each source is; nothing where the server is no Tickwire."""
    url = account.url
    try:
        async with http_client(url, account.network, PATIENCE) as client:
            answer = await client.get(f"{url.rstrip('/')}/readyz")
            ready = msgspec.json.decode(answer.content, type=Ready)
    except (ClientError, httpx.HTTPError, httpx.InvalidURL, ValueError, RecursionError):
        return []
    return [_finding(one) for one in ready.sources]


def _finding(source: Source) -> Finding:
    verdict = VERDICTS.get(source.status, Verdict.WARN)
    measured = plain(f"{source.name}: {source.status}{f' ({source.reason})' if source.reason else ''}")
    return Finding("source", "", verdict, measured, "" if verdict is Verdict.OK else ADVICE)
