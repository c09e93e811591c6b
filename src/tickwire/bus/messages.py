"""What the two ends of a bus say to one another beside events, as msgpack. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

from ..model import Correction, Family, Instrument, Kind, Position, Room
from ..sandbox import Followed
from ..wire import StatusData
from ..wire.replays import Hole

VERSION = 1
"""Of all that passes."""
EARLIEST = 1
"""That which a market side still speaks: its own, and the one before, so that a cluster is upgraded node by
node, market sides first."""


class State(msgspec.Struct, frozen=True):
    """What a client side must be able to say at once, see `Known`.

    `unserved` are codes of the catalogue that come from no source, `carried` those that are subscribed to
    upstream, by kind; `rooms` is what plans leave room for, and `limited` the codes of each source that has
    such a plan; `publishes` whether anything can be published, `learns` whether upstream can be asked
    what unknown codes are, `can_seek` whether what one more is.
    """

    epoch: int
    resume_seconds: float
    scarce: bool
    statuses: tuple[StatusData, ...]
    unserved: frozenset[str]
    carried: dict[Kind, frozenset[str]]
    rooms: tuple[Room, ...]
    limited: dict[str, frozenset[str]]
    publishes: bool
    learns: bool
    can_seek: bool


# From a client side.
class Hello(msgspec.Struct, frozen=True, array_like=True, tag="hello"):
    """A client side comes, under a name for people. It follows these buckets, or all."""

    version: int
    name: str
    buckets: tuple[str, ...] | None = None


class Ask(msgspec.Struct, frozen=True, array_like=True, tag="ask"):
    """A call, whose answer is to have that number."""

    number: int
    call: str
    arguments: msgspec.Raw
    seekers: dict[str, tuple[str, ...]] = {}
    """The tokens that wait for the codes that are sought."""


class Taken(msgspec.Struct, frozen=True, array_like=True, tag="taken"):
    """So many bytes of events were taken, since it came."""

    size: int


class Read(msgspec.Struct, frozen=True, array_like=True, tag="read"):
    """The next of a playback is asked for."""

    number: int
    playback: int


class Lack(msgspec.Struct, frozen=True, array_like=True, tag="lack"):
    """See `Playback.lack`."""

    playback: int


class Close(msgspec.Struct, frozen=True, array_like=True, tag="close"):
    """Nobody wants more of a playback."""

    playback: int


class Want(msgspec.Struct, frozen=True, array_like=True, tag="want"):
    """The last event of each stream of these buckets is asked for; then an answer to that number, if any."""

    buckets: tuple[str, ...]
    number: int = 0


class Said(msgspec.Struct, frozen=True, array_like=True, tag="said"):
    """What was asked under that number; None if nothing can be said."""

    number: int
    body: bytes | None


Up: TypeAlias = Hello | Ask | Taken | Read | Lack | Close | Said | Want


# From a market side.
class Welcome(msgspec.Struct, frozen=True, array_like=True, tag="welcome"):
    """A client side is known from now on: how all stands, and what instruments are known that a catalogue may
    not have. All streams follow, each with its last event."""

    version: int
    state: State
    instruments: tuple[Instrument, ...]


class Refused(msgspec.Struct, frozen=True, array_like=True, tag="refused"):
    """A client side cannot be served."""

    reason: str


class Opened(msgspec.Struct, frozen=True, array_like=True, tag="opened"):
    """A stream has that number from now on."""

    stream: int
    kind: Kind
    code: str
    kline_type: int


class Learned(msgspec.Struct, frozen=True, array_like=True, tag="learned"):
    """An instrument is new, or known in other numbers; `redefined` if streams are written in those."""

    instrument: Instrument
    redefined: bool


class Changed(msgspec.Struct, frozen=True, array_like=True, tag="changed"):
    """How all stands now."""

    state: State


class SourceChanged(msgspec.Struct, frozen=True, array_like=True, tag="source"):
    """See `Receiver.source_changed`."""

    status: StatusData


class WentOn(msgspec.Struct, frozen=True, array_like=True, tag="went on"):
    """See `StreamReceiver.go_on`, by code."""

    begins: dict[str, Position]
    gap: bool


class Scenarios(msgspec.Struct, frozen=True, array_like=True, tag="scenarios"):
    """These run, and nothing else."""

    runs: tuple[Followed, ...]


class Found(msgspec.Struct, frozen=True, array_like=True, tag="found"):
    """See `Receiver.found`."""

    family: Family
    name: str
    nobodys: bool


class Dismiss(msgspec.Struct, frozen=True, array_like=True, tag="dismiss"):
    """See `Receiver.dismiss`."""

    number: int


class Say(msgspec.Struct, frozen=True, array_like=True, tag="say"):
    """See `Speaker.statements`; the answer is to have that number."""

    number: int
    what: str
    about: str


class Pulse(msgspec.Struct, frozen=True, array_like=True, tag="pulse"):
    """The market side is there. Of each bucket that all are sent, the number of its last batch."""

    numbers: dict[str, int] = {}


class Elsewhere(msgspec.Struct, frozen=True, array_like=True, tag="elsewhere"):
    """See `Known.elsewhere`: what tokens at other client sides want, by kind."""

    tokens: dict[Kind, dict[str, Sequence[str]]]


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done"):
    """The answer to a call."""

    number: int
    answer: msgspec.Raw


class Failed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """A call raised that, by the word that stands for it; without a word it should not have."""

    number: int
    error: str
    text: str


Down: TypeAlias = (
    Welcome
    | Refused
    | Opened
    | Learned
    | Changed
    | SourceChanged
    | WentOn
    | Scenarios
    | Found
    | Dismiss
    | Say
    | Pulse
    | Elsewhere
    | Done
    | Failed
)


# Of playbacks.
class PlaybackTold(msgspec.Struct, frozen=True, array_like=True):
    """A playback under a number, see `Playback`."""

    number: int
    begin: int
    end: int
    recorded: tuple[tuple[Kind, str], ...]
    instruments: dict[str, Instrument]


class PageTold(msgspec.Struct, frozen=True, array_like=True):
    """Some of a playback: tables as Arrow writes them to a stream, and up to where each stream was given;
    `over` if there is nothing more by now."""

    over: bool
    tables: dict[Kind, bytes]
    corrections: tuple[tuple[int, Correction, int, int], ...]
    holes: tuple[Hole, ...]
    positions: tuple[tuple[Kind, str, Position | None], ...]
    instruments: dict[str, Instrument]


_encode = msgspec.msgpack.Encoder().encode
read_up = msgspec.msgpack.Decoder(Up).decode
read_down = msgspec.msgpack.Decoder(Down).decode


def payload(told: Up | Down) -> bytes:
    """A message as it passes."""
    return _encode(told)
