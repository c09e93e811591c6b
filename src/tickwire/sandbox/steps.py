"""What a scenario is made of: steps, each of which lets one thing go wrong, for some, for a while."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from ..model import Family, Market

Seconds = Annotated[float, Meta(ge=0, le=31_536_000)]
Span: TypeAlias = Seconds | Annotated[tuple[Seconds, ...], Meta(min_length=2, max_length=2)]
"""Seconds: a number, or two between which the dice choose."""
Chance = Annotated[float, Meta(gt=0, le=1)]
Percent: TypeAlias = Decimal
CloseCode = Annotated[int, Meta(ge=1000, le=4999)]
Status = Annotated[int, Meta(ge=400, le=599)]
Ret = Annotated[int, Meta(ge=0, le=99_999)]


class Timed(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
    rename={"lasts": "for"},
):
    """`at` is when the step begins, in seconds after the scenario did; `for` how long it lasts, in seconds:
    without it, until the scenario is stopped."""

    at: Seconds = 0.0
    lasts: Annotated[float, Meta(gt=0, le=31_536_000)] | None = None


class OnMarket(Timed, frozen=True, kw_only=True):
    """A step that concerns instruments: those of `codes` and of `markets`, all if neither is given."""

    codes: tuple[str, ...] = ()
    markets: tuple[Market, ...] = ()


class OnClient(Timed, frozen=True, kw_only=True):
    """A step that concerns clients: those with one of `tokens` (by name or id; by the token itself while
    any is let in), of `connections` (by number, as the admin API lists them) and of `family`; all if none
    of these is given."""

    tokens: tuple[str, ...] = ()
    connections: tuple[Annotated[int, Meta(ge=1)], ...] = ()
    family: Family | None = None


# What happens to markets.
class Halt(OnMarket, frozen=True, kw_only=True, tag="halt", tag_field="do"):
    """Trading stops: no more ticks. US and Shanghai stocks get an entry in the list of suspensions."""

    reason: Annotated[str, Meta(max_length=200)] = "T1 Halt - News Pending"


class Resume(OnMarket, frozen=True, kw_only=True, tag="resume", tag_field="do"):
    """Ends the halts that there are."""


class LimitUp(OnMarket, frozen=True, kw_only=True, tag="limit-up", tag_field="do"):
    """The price stands at a limit, where only buyers are left: the book has no asks. It lies `percent` above
    the previous close of an A-share, by default as far as its exchange lets it, and above the last price of
    all others, by default 10."""

    percent: Percent | msgspec.UnsetType = msgspec.UNSET


class LimitDown(OnMarket, frozen=True, kw_only=True, tag="limit-down", tag_field="do"):
    """The price stands at a limit below, where only sellers are left: the book has no bids. Otherwise as
    `limit-up`."""

    percent: Percent | msgspec.UnsetType = msgspec.UNSET


class Delist(OnMarket, frozen=True, kw_only=True, tag="delist", tag_field="do"):
    """The book is emptied on both sides, and nothing is traded any more."""


class CloseMarket(OnMarket, frozen=True, kw_only=True, tag="close-market", tag_field="do"):
    """The market is closed, whatever its calendar says."""


class Gap(OnMarket, frozen=True, kw_only=True, tag="gap", tag_field="do"):
    """The source is silent, although the market trades."""


class Burst(OnMarket, frozen=True, kw_only=True, tag="burst", tag_field="do"):
    """Every tick comes `times` times, each as a tick of its own."""

    times: Annotated[int, Meta(ge=2, le=1000)] = 10


class Late(OnMarket, frozen=True, kw_only=True, tag="late", tag_field="do"):
    """Ticks arrive later than they happened, behind younger ones."""

    by: Span = 2.0
    chance: Chance = 1.0


class Duplicate(OnMarket, frozen=True, kw_only=True, tag="duplicate", tag_field="do"):
    """A tick is pushed twice, with the same `seq`."""

    chance: Chance = 1.0


class OutOfOrder(OnMarket, frozen=True, kw_only=True, tag="out-of-order", tag_field="do"):
    """A tick is pushed behind the next one of its code and kind, whose `seq` is greater."""

    chance: Chance = 1.0


class Jump(OnMarket, frozen=True, kw_only=True, tag="jump", tag_field="do"):
    """All prices move by `percent` at once, and back when the step ends."""

    percent: Percent


# What happens to clients.
class Disconnect(OnClient, frozen=True, kw_only=True, tag="disconnect", tag_field="do"):
    """Ends a connection `after` so many seconds of it: with a close frame, or by a reset of TCP."""

    after: Span = 0.0
    code: CloseCode = 1011
    reason: Annotated[str, Meta(max_length=40)] = ""
    reset: bool = False
    chance: Chance = 1.0


class Refuse(OnClient, frozen=True, kw_only=True, tag="refuse", tag_field="do"):
    """Refuses new connections on the upgrade with that HTTP status."""

    status: Status = 503
    chance: Chance = 1.0


class Answer(OnClient, frozen=True, kw_only=True, tag="answer", tag_field="do"):
    """Answers requests with an error: all, or those that `requests` names by `cmd_id` (22004) or by path
    (`/kline`). `msg` and `status` are those of the protocol for that `ret` unless they are given."""

    ret: Ret
    msg: str | None = None
    status: Annotated[int, Meta(ge=200, le=599)] | None = None
    requests: tuple[int | str, ...] = ()
    chance: Chance = 1.0


class Delay(OnClient, frozen=True, kw_only=True, tag="delay", tag_field="do"):
    """Answers come so many seconds late, in order."""

    by: Span = 1.0
    chance: Chance = 1.0


class ExpireToken(OnClient, frozen=True, kw_only=True, tag="expire-token", tag_field="do"):
    """Tokens count as expired: their connections end, and 401 answers whatever they ask for."""


class Clock(Timed, frozen=True, kw_only=True, tag="clock", tag_field="do"):
    """Moves the market's time: `to` a moment (`2026-11-28T12:00:00Z`) or the next such weekday (`saturday
    12:00`, UTC), always forward; from then on it goes at `speed` (0: it stands still). `hours` says whether
    markets keep their sessions and holidays."""

    to: str | None = None
    speed: Annotated[float, Meta(ge=0, le=1000)] | None = None
    hours: bool | None = None


Step: TypeAlias = (
    Halt
    | Resume
    | LimitUp
    | LimitDown
    | Delist
    | CloseMarket
    | Gap
    | Burst
    | Late
    | Duplicate
    | OutOfOrder
    | Jump
    | Disconnect
    | Refuse
    | Answer
    | Delay
    | ExpireToken
    | Clock
)


class Scenario(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"steps": "step"}
):
    """Steps under a name. Without a `seed` the server's is used; the same seed throws the same dice."""

    steps: Annotated[tuple[Step, ...], Meta(min_length=1)]
    name: str = "unnamed"
    description: str = ""
    seed: int | None = None


def shown(step: Step) -> dict[str, Any]:
    """A step for logs and lists: what was said of it, without tokens."""
    fields: dict[str, Any] = msgspec.to_builtins(step)
    if fields.pop("tokens", None):
        fields["tokens"] = "given"
    return fields
