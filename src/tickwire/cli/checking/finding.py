"""What a check came to. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from ...client import ClientError, RequestRefused, Unavailable, Unreadable, Untrusted

BUSY = "the server answers slowly: is it busy?"
SLOW = 1.0
"""Seconds that an answer, a heartbeat or a tick may take until somebody should know."""


class Verdict(StrEnum):
    """WARN: it works, and somebody should know. FAIL: a client cannot rely on it."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """One line: what was checked, of which family ("" for the whole server), what was measured, the verdict,
    and what to do, "" where all is well. `seconds` is the time that was measured, None for none."""

    check: str
    family: str
    verdict: Verdict
    measured: str
    advice: str = ""
    seconds: float | None = None

    def record(self) -> dict[str, Any]:
        """For a pipe."""
        seconds = None if self.seconds is None else round(self.seconds, 6)
        return self._asdict() | {"verdict": str(self.verdict), "seconds": seconds}


def verdict_of(findings: Sequence[Finding]) -> Finding:
    """What all of them come to: a finding of its own."""
    failed = [one for one in findings if one.verdict is Verdict.FAIL]
    warned = [one for one in findings if one.verdict is Verdict.WARN]
    if failed:
        names = ", ".join(dict.fromkeys(f"{one.family} {one.check}".strip() for one in failed))
        measured = f"not well: {len(failed)} of {len(findings)} checks failed ({names})"
        return Finding("verdict", "", Verdict.FAIL, measured, failed[0].advice)
    if warned:
        measured = f"well, with {len(warned)} of {len(findings)} checks to look at"
        return Finding("verdict", "", Verdict.WARN, measured)
    return Finding("verdict", "", Verdict.OK, f"well: {len(findings)} checks")


def advice_for(error: ClientError) -> str:
    """What somebody can do about it."""
    for kind, advice in _ADVICE.items():
        if isinstance(error, kind):
            return advice
    return "look at the log of the server"


TOKEN = "the token is unknown or expired: give the right one with --token or TICKWIRE_TOKEN"  # noqa: S105
BROKEN = "the server breaks the protocol: report it"
UNTRUSTED = (
    "if it is the right server, name its CA with --ca-file or SSL_CERT_FILE; its certificate must "
    "name the URL's host"
)
TOO_FAST = (
    "name the token's plan with --plan; if that is right, another program uses the token at the same time"
)
_ADVICE: dict[type[ClientError], str] = {
    RequestRefused: "the server does not have that, or not for this token: name codes that it has",
    Untrusted: UNTRUSTED,
    Unavailable: "is the server overloaded, in maintenance, or behind a proxy that fails? Look at its log",
    Unreadable: "what answers is not the protocol's: does the URL lead to an AllTick-compatible server?",
}


def timed(check: str, family: str, took: float, slow: str = BUSY, more: str = "") -> Finding:
    """How long something took; `slow` is the advice where that is more than SLOW."""
    verdict, advice = (Verdict.WARN, slow) if took > SLOW else (Verdict.OK, "")
    return Finding(check, family, verdict, f"{times(took)}{more}", advice, took)


def counted(times: int) -> str:
    return f"{times} time{'' if times == 1 else 's'}"


def times(seconds: float) -> str:
    """A time that was measured, for people."""
    if abs(seconds) < 1:
        return f"{seconds * 1000:.0f} ms" if abs(seconds) >= 0.01 else f"{seconds * 1000:.1f} ms"
    if abs(seconds) < 120:
        return f"{seconds:.1f} s"
    if abs(seconds) < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if abs(seconds) < 172_800 else f"{seconds / 86_400:.0f} days"
