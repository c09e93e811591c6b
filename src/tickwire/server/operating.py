"""What probes and the admin API take and answer, as types."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from ..bus import ScenarioRun
from ..model import Family
from ..sources import Status
from ..wire import Deviation


class Health(msgspec.Struct):
    """The process answers."""

    status: Annotated[str, Meta(pattern="^ok$")]


class SourceReadiness(msgspec.Struct):
    """How a source is, since when (milliseconds since the epoch) and what failed, empty if nothing did.

    `lag_ms` is how long the last event took from the source's time to its arrival, null before the first one
    and where time is not real; how late a simulator's ticks come. `events` were taken, `bad` could not be
    read, `late` came too late for their bars, `dropped` came faster than they were taken, or were not
    simulated in time. Outages of a code are `resumed` whose trades came after all, and `gaps` the
    others; null where there are none. `recording` is null if the source is not recorded, false if
    that has stopped.
    """

    name: str
    simulated: bool
    status: Status
    since: int
    reason: str
    lag_ms: int | None
    events: int
    bad: int
    late: int
    dropped: int
    resumed: int | None
    gaps: int | None
    recording: bool | None


class StoreReadiness(msgspec.Struct):
    """Whether the store can be used; since when it cannot (milliseconds since the epoch) and why, null and
    empty while it can. `waiting_bars` are kept in memory until they can be written."""

    up: bool
    since: int | None
    reason: str
    waiting_bars: int


class WorkerReadiness(msgspec.Struct):
    """A process of a server that has several, and whether it answered when it was last looked at."""

    name: str
    up: bool


class Readiness(msgspec.Struct):
    """Whether the server serves, and how its sources and its store are. It is `starting` until its sources
    have begun, and `draining` once it stops: it takes nothing new then, and sends its clients away. Neither a
    source that is down nor a store that cannot be used makes the server unready: it serves what memory
    holds. Where there are several processes, the one that answers is the one that is ready, and `workers` are
    all of them."""

    ready: bool
    status: Annotated[str, Meta(pattern="^(starting|ready|draining)$")]
    source: str
    simulated: bool
    events: int
    recording: bool | None
    round_the_clock: bool
    sources: list[SourceReadiness]
    store: StoreReadiness
    workers: list[WorkerReadiness] | UnsetType = UNSET


class Failure(msgspec.Struct):
    """What went wrong, as a sentence for a person."""

    error: str


class ScenarioName(msgspec.Struct, forbid_unknown_fields=True):
    """A scenario of the library."""

    name: str


class ScenarioList(msgspec.Struct):
    """The scenarios that run, and those of the library with what they do, by name."""

    running: list[ScenarioRun]
    library: dict[str, str]


class StoppedList(msgspec.Struct):
    """The numbers of the scenarios that were stopped."""

    stopped: list[int]


class DeviationCount(msgspec.Struct):
    """How often a client did something that the documents do not allow; `detail` says with what, such as the
    name of a field, and is empty where there is nothing to say."""

    deviation: Deviation
    detail: str
    count: int


class ConnectionInfo(msgspec.Struct):
    """An open WebSocket: since how many seconds, and for how many nothing came. `token` is its name, null
    while any is let in. `number` is what a step of a scenario names it by; no other has it. `worker` is the
    process that serves it, where there are several."""

    number: int
    token: str | None
    plan: str
    family: Family
    seconds: float
    silent_seconds: float
    deviations: list[DeviationCount]
    worker: str | UnsetType = UNSET


class HttpDeviations(msgspec.Struct):
    """What the requests of a token over HTTP did, since the server's start."""

    token: str | None
    deviations: list[DeviationCount]


class ConnectionList(msgspec.Struct):
    """The open WebSockets of clients; of HTTP only what was not as documented, by token. Where a server has
    several processes, those of all, and `missing` are the processes that did not answer."""

    connections: list[ConnectionInfo]
    http: list[HttpDeviations]
    missing: list[str] | UnsetType = UNSET
