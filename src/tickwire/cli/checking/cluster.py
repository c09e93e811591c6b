"""What a cluster says of itself: who owns the streams, who stands by, and who follows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...client.shown import plain
from .finding import Finding, Verdict

if TYPE_CHECKING:
    from ...server.cluster import Seen

LATE = 0.5
"""Seconds by which events may come later to a gateway than the fastest did."""
SKEW = 0.5
"""Seconds by which clocks may differ: times of events, and what is late, go by them."""
REPLICAS = 3
NOBODY = "start a market: tickwire serve --bus … --role market; if one runs, its log says what it waits for"
TWO = "wait some seconds and look again: the one that was replaced knows it when it reaches NATS"
ALONE = "start another market, on another machine, so that one stands by"
FEW = "of three NATS servers one may fail: see docs/cluster.md"
BEHIND = "its log says why; a gateway that hangs is started anew after a minute"
SLOW = "more gateways, or fewer clients on each: it does not keep up"
CLOCKS = "set the clocks of the nodes by NTP"
TROUBLE = "its log says more; while it lasts, this market leaves the streams to others"
DATABASE = "look at the --database server, and at the password that this command uses"
NAMES = "give each node a --node of its own"
SOURCES = "tell all markets the same --source and --codes: after a takeover clients get the other's data"
VERSIONS = "upgrade the others: the markets first, then the gateways"


def findings(seen: Seen) -> Iterator[Finding]:
    """All that is to be said of a cluster."""
    lease, present = seen.lease, [one.present for one in seen.answers]
    if lease.fault or not lease.holder:
        yield Finding("lease", "", Verdict.FAIL, plain(lease.fault or "nobody holds it"), NOBODY)
    else:
        few = lease.servers < REPLICAS
        measured = plain(
            f"held by {lease.holder}, kept on {lease.servers} NATS server{'s' * (lease.servers > 1)}"
        )
        yield Finding("lease", "", Verdict.WARN if few else Verdict.OK, measured, FEW if few else "")
    markets = [one for one in present if one.role == "market"]
    owners = [one for one in markets if one.owns]
    epoch = max((one.epoch for one in owners), default=0)
    if len(owners) == 1:
        yield Finding("owner", "", Verdict.OK, plain(f"{owners[0].name} owns the streams, epoch {epoch}"))
    else:
        names = ", ".join(one.name for one in owners)
        measured = plain(f"{names} own the streams" if owners else "nobody owns the streams")
        yield Finding("owner", "", Verdict.FAIL, measured, TWO if owners else NOBODY)
    for one in markets:
        if one.trouble:
            yield Finding("market", "", Verdict.FAIL, plain(f"{one.name}: {one.trouble}"), TROUBLE)
    if seen.database:
        yield Finding("database", "", Verdict.FAIL, plain(seen.database), DATABASE)
    for (role, name), number in Counter((one.role, one.name) for one in present).items():
        if number > 1:
            measured = plain(f"{number} {role}s go by the name {name}")
            yield Finding("names", "", Verdict.WARN, measured, NAMES)
    if len({one.data for one in markets}) > 1:
        told = "; ".join(f"{one.name}: {one.data or 'not told'}" for one in markets)
        yield Finding("sources", "", Verdict.WARN, plain(f"markets take different data: {told}"), SOURCES)
    waiting = [one.name for one in markets if not one.owns and not one.trouble]
    measured = plain(
        f"{', '.join(waiting)} stand{'s' * (len(waiting) == 1)} by" if waiting else "nobody stands by"
    )
    yield Finding("standby", "", Verdict.OK if waiting else Verdict.WARN, measured, "" if waiting else ALONE)
    for one in present:
        if one.role != "gateway":
            continue
        late = one.late / 1e6
        if one.epoch != epoch or not epoch:
            measured = f"{one.name}: it does not follow the owner"
            yield Finding("gateway", "", Verdict.FAIL, plain(measured), BEHIND)
            continue
        verdict, advice = (Verdict.WARN, SLOW) if late > LATE else (Verdict.OK, "")
        follows = f"it follows {one.buckets} of {seen.buckets} buckets"
        measured = f"{one.name}: {follows}, {late * 1000:.0f} ms late, {one.left_out} batches left out"
        yield Finding("gateway", "", verdict, plain(measured), advice, late)
    there = {one.name for one in present}
    for name in sorted({name for one in owners for name in one.followers} - there):
        yield Finding("gateway", "", Verdict.FAIL, plain(f"{name}: it does not answer"), BEHIND)
    if not any(one.role == "gateway" for one in present):
        yield Finding("gateway", "", Verdict.WARN, "none is there", "tickwire serve --bus … --role gateway")
    versions = sorted({one.version for one in present})
    if len(versions) > 1:
        measured = f"the nodes speak versions {', '.join(map(str, versions))} of the bus"
        yield Finding("versions", "", Verdict.WARN, measured, VERSIONS)
    if seen.answers:
        worst = max(seen.answers, key=lambda one: abs(one.ahead))
        apart = abs(worst.ahead) / 1e6
        measured = plain(f"at most {apart:.3f} s from this machine's ({worst.present.name})")
        wrong = apart > SKEW
        yield Finding("clocks", "", Verdict.WARN if wrong else Verdict.OK, measured, CLOCKS if wrong else "")
