"""All checks of one server, in the order in which they make sense."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from ...client import Account, Feed, Options, Unauthorized, family_of
from ...model import Family
from .answers import ENDPOINTS, TRADE_TICK, Endpoints, reach
from .finding import TOKEN, Finding, Verdict, verdict_of
from .judging import findings_of
from .observed import Observed
from .told import readiness, sharing

CODES = {Family.STOCK: ["AAPL.US", "700.HK", "600519.SH"], Family.OTHER: ["BTCUSDT", "GOLD", "EURUSD"]}
"""What is subscribed to where nobody says: of several time zones, and one market that never closes."""
HEARTBEATS, MOST_BETWEEN = 2.5, 10.0
"""So many heartbeats are sent while a stream is listened to, at most one a second and at least one every ten
seconds, as section 2 of the protocol wants it; one that is slow must be answered before the next."""


async def check_server(
    account: Account, codes: Sequence[str], seconds: float, tell: Callable[[Finding], object]
) -> Finding:
    """Tells each finding as soon as it is known; returns what all of them come to.

    Without `codes` both families are checked, else those of the codes. Streams are listened to for so many
    seconds.
    """
    found: list[Finding] = []

    def note(*findings: Finding) -> None:
        found.extend(findings)
        for one in findings:
            tell(one)

    wanted = {family: [code for code in codes if family_of(code) is family] for family in Family}
    wanted = {family: names for family, names in (wanted if codes else CODES).items() if names}
    note(*await reach(account, next(iter(wanted))))
    if found[0].verdict is Verdict.OK:
        await _with_token(account, wanted, seconds, note)
        told = await readiness(account)  # last, since a relay asks upstream for what is subscribed to
        note(*told)
        if told:
            note(*await sharing(account))
    return verdict_of(found)


async def _with_token(
    account: Account, wanted: dict[Family, list[str]], seconds: float, note: Callable[..., None]
) -> None:
    """What needs a token; one that is refused at once ends it."""
    http = Endpoints(account, seconds)

    async def ask(family: Family, names: Sequence[str]) -> None:
        for endpoint in ENDPOINTS[family]:
            if (family, endpoint) != (first, TRADE_TICK):
                note(await http.ask(endpoint, family, names))

    async def listen(family: Family, names: Sequence[str]) -> None:
        note(*await _listen(account, family, names, seconds))

    try:
        first = next(iter(wanted))
        answer = await http.ask(TRADE_TICK, first, wanted[first])
        if answer.verdict is not Verdict.FAIL:
            note(Finding("token", "", Verdict.OK, "accepted"))
        note(answer)
        if answer.check != "token":
            await asyncio.gather(*(work(*one) for work in (ask, listen) for one in wanted.items()))
    finally:
        await http.close()


async def _listen(account: Account, family: Family, codes: Sequence[str], seconds: float) -> list[Finding]:
    """Subscribes to trades and books of a family, and says what came of it."""
    between = min(max(seconds / HEARTBEATS, 1.0), MOST_BETWEEN)
    options = Options(extended=False)  # what clients of the vendor's meet
    options = options._replace(terms=options.terms._replace(heartbeat=between))
    seen = Observed(time.monotonic())
    refused: list[Finding] = []
    async with Feed(account, options=options) as feed:
        await feed.subscribe(trades=codes, books=codes, family=family)
        try:
            async with asyncio.timeout(seconds):
                while events := await feed.batch():
                    seen.take(events, time.monotonic(), time.time())
        except TimeoutError:
            pass
        except Unauthorized as error:
            refused = [Finding("token", family, Verdict.FAIL, str(error), TOKEN)]
        conversation = feed.links[family].conversation
        found = findings_of(
            family,
            seen,
            until=time.monotonic(),
            heartbeat=(between, conversation.round_trip),
            duplicates=0 if seen.losses else conversation.duplicates,  # the first after a loss often is one
        )
    return [*found, *refused]
