"""From what was seen of a stream to findings. Pure: the bounds are here."""

from __future__ import annotations

from collections.abc import Sequence

from .finding import BROKEN, SLOW, TOO_FAST, Finding, Verdict, counted, timed, times
from .observed import LEAST_STEPS, Observed

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
TOO_LATE, NOT_LIVE = 10.0, 600.0
"""Seconds by which ticks of a server that is well are never late; from the second on they are not live."""
PATIENT = 3.0
"""Seconds in which a heartbeat is answered by a server that is well."""
TOO_MANY = 605, 606, 429

UPGRADE = (
    "do the token's plan and other programs with the same token leave a connection free, and does every "
    "proxy on the way pass WebSocket upgrades?"
)


def findings_of(
    family: str, seen: Observed, *, until: float, heartbeat: tuple[float, float | None], duplicates: int
) -> list[Finding]:
    """What was seen of a family until that moment. `heartbeat` is how many seconds lie between two and
    how long the last one took that was answered in time, `duplicates` how many events came twice."""
    if seen.up_at is None:
        waited = until - seen.began
        why = seen.not_let_in[0] if seen.not_let_in else f"no connection in {times(waited)}"
        return [Finding("connect", family, FAIL, why, UPGRADE)]
    found = [
        _connect(family, seen, seen.up_at),
        _subscribe(family, seen, seen.up_at, until),
        _heartbeat(family, seen, until, *heartbeat),
    ]
    if seen.taken_at is not None or seen.events:
        found += [
            _first_tick(family, seen, seen.up_at, until),
            _latency(family, seen.ages),
            _numbers(family, seen, duplicates),
        ]
    found.append(_steady(family, seen, until))
    if seen.unreadable:
        measured = f"{counted(len(seen.unreadable))} what cannot be read: {seen.unreadable[0]}"
        found.append(Finding("messages", family, FAIL, measured, BROKEN))
    return found


def _connect(family: str, seen: Observed, up_at: float) -> Finding:
    took = up_at - seen.began
    if seen.not_let_in:
        measured = f"{times(took)}; not let in {counted(len(seen.not_let_in))}: {seen.not_let_in[0]}"
        return Finding("connect", family, WARN, measured, UPGRADE, took)
    return timed("connect", family, took, "the way to the server is long, or it is busy")


def _subscribe(family: str, seen: Observed, up_at: float, until: float) -> Finding:
    refused = ""
    if seen.refusals:
        first = seen.refusals[0]
        codes = ", ".join(str(key) for key in first.keys[:3])
        refused = f"refused {counted(len(seen.refusals))}: {first.msg} ({first.ret}) for {codes}"
    too_fast = any(one.ret in TOO_MANY for one in seen.refusals)
    advice = TOO_FAST if too_fast else "the server does not have these codes, or not for this token"
    if seen.taken_at is None:
        measured = refused or f"no answer in {times(until - up_at)}"
        return Finding("subscribe", family, FAIL, measured, advice if refused else "look at the server's log")
    took = seen.taken_at - up_at
    if refused:
        return Finding("subscribe", family, WARN, f"{times(took)}; {refused}", advice, took)
    return timed("subscribe", family, took)


def _heartbeat(
    family: str, seen: Observed, until: float, between: float, round_trip: float | None
) -> Finding:
    if round_trip is not None:
        advice = "the server or the network is slow: after 10 s without an answer a connection counts as dead"
        return timed("heartbeat", family, round_trip, advice)
    waited = min(until - (seen.up_at or until) - between, between)
    if seen.losses or waited < PATIENT:
        return Finding(
            "heartbeat", family, OK, "not measured, for want of time: listen longer with --seconds"
        )
    measured = f"22000 was not answered within {times(waited)}"
    return Finding("heartbeat", family, FAIL, measured, "the server must answer 22000 with 22001, and soon")


def _first_tick(family: str, seen: Observed, up_at: float, until: float) -> Finding:
    if seen.tick_at is None:
        measured = f"quiet: none in {times(until - up_at)}, which is no failure where markets are closed"
        return Finding("first tick", family, OK, measured)
    took = seen.tick_at - up_at
    return Finding("first tick", family, OK, times(took), "", took)


def _latency(family: str, ages: Sequence[float]) -> Finding:
    if not ages:
        return Finding(
            "latency", family, OK, "quiet: no tick came live, which is no failure where markets are closed"
        )
    ordered = sorted(ages)
    middle, late = ordered[len(ordered) // 2], ordered[len(ordered) * 95 // 100]
    within = f"95 % within {times(late)}, all within {times(ordered[-1])}"
    measured = f"median {times(middle)}, {within}, of {len(ages)} ticks"
    verdict, advice = OK, ""
    if middle > NOT_LIVE:
        measured = f"ticks are {times(middle)} old"
        verdict, advice = WARN, "this is a replay or delayed data, or a clock is wrong"
    elif middle > TOO_LATE:
        verdict, advice = FAIL, "the server or its source cannot keep up, or a clock is wrong"
    elif middle < -SLOW / 2:
        verdict, advice = WARN, "ticks come from the future: set the clocks of both machines by NTP"
    elif middle > SLOW:
        verdict, advice = WARN, "the way of a tick is long: is the server busy, or its source slow?"
    elif late > SLOW:
        verdict, advice = WARN, "some ticks come late: go by tick_time, not by when they come"
    return Finding("latency", family, verdict, measured, advice, middle)


def _numbers(family: str, seen: Observed, duplicates: int) -> Finding:
    streams = [*seen.sequences.values()]
    steps = sum(one.steps for one in streams)
    late = sum(one.late for one in streams)
    if not steps:
        return Finding("seq", family, OK, "nothing to compare: no stream had two events")
    by_one = sum(one.by_one for one in streams)
    missing = sum(len(one.missing) for one in streams)
    odd = [f"{count} {what}" for count, what in ((duplicates, "twice"), (late, "out of order")) if count]
    if steps < LEAST_STEPS or by_one * 2 < steps:
        measured = ", ".join([f"{steps} steps, not one by one: gaps cannot be seen", *odd])
        missing = 0
    else:
        measured = ", ".join([f"{steps} steps", f"{missing} numbers missing", *odd])
    if missing:
        return Finding("seq", family, FAIL, measured, "events are lost on the server's side: look at its log")
    advice = "drop by seq what came before, as Tickwire's client does" if odd else ""
    return Finding("seq", family, WARN if odd else OK, measured, advice)


def _steady(family: str, seen: Observed, until: float) -> Finding:
    span = times(until - (seen.up_at or until))
    if not seen.losses:
        return Finding("connection", family, OK, f"up for {span}")
    measured = f"lost {counted(len(seen.losses))} in {span}: {seen.losses[-1]}"
    return Finding(
        "connection", family, FAIL, measured, "look at the server's log, and at proxies on the way"
    )
