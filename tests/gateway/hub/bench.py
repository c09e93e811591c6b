"""A hub that is fed by a test, and clients that remember what they were sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from decimal import Decimal
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from tickwire.gateway.hub import Hub, Sparing
from tickwire.machine import Direct, carry
from tickwire.market.streams import Streams
from tickwire.model import Book, Event, Instrument, Kind, Level, Trade
from tickwire.store import load_catalogue
from tickwire.wire import Want
from tickwire.wire.form import PLAIN

from ...serving import subscribed_codes

CATALOGUE = load_catalogue()
EPOCH = 1_788_530_574_453_000
GOLD, BTC, TENCENT = CATALOGUE["GOLD"], CATALOGUE["BTCUSDT"], CATALOGUE["700.HK"]
COMMANDS = {22998: Kind.TRADE, 22999: Kind.DEPTH}


def frames(data: bytes) -> list[dict[str, Any]]:
    """The pushes in a run of frames, each with its kind."""
    found = []
    while data:
        size, start = data[1], 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        assert data[0] == 0x81
        assert data[1] < 127
        message = json.loads(data[start : start + size])
        found.append(message["data"] | {"kind": COMMANDS[message["cmd_id"]]})
        data = data[start + size :]
    return found


class Reader:
    """A client that remembers what it was sent."""

    form = PLAIN
    direct: Direct | None = None

    def __init__(self, on_push: Callable[[], None] = lambda: None) -> None:
        self.writes: list[bytes] = []
        self.on_push = on_push
        self.ended = self.spared = self.gave_up = False
        self.sparing = Sparing()
        self.unread = self.kept = 0

    def push(self, data: bytes) -> bool:
        self.writes.append(data)
        self.on_push()
        return not self.unread

    def spare(self, *, spared: bool) -> None:
        self.spared = spared

    def keep(self, size: int) -> None:
        self.kept = size

    def give_up(self) -> None:
        self.gave_up = True

    def reset(self) -> None:
        self.ended = True

    def seqs(self, name: str, kind: Kind = Kind.TRADE) -> list[int]:
        """What came under that name, counted from the epoch."""
        found = frames(b"".join(self.writes))
        return [one["seq"] - EPOCH for one in found if (one["code"], one["kind"]) == (name, kind)]


class Clear(asyncio.Transport):
    """A transport in which nothing ever waits."""

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return False


class Connected(Reader):
    """A client whose bytes may go straight to a socket, which keeps apart what is written apart."""

    _open: ClassVar[list[socket.socket]] = []

    def __init__(self) -> None:
        ours, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._theirs.setblocking(False)
        self._open.extend((ours, self._theirs))
        super().__init__()
        self.direct = ours.fileno(), Clear()

    @property
    def writes(self) -> list[bytes]:
        with contextlib.suppress(BlockingIOError):
            while some := self._theirs.recv(2**20):
                self._writes.append(some)
        return self._writes

    @writes.setter
    def writes(self, writes: list[bytes]) -> None:
        self._writes = writes

    @classmethod
    def close_all(cls) -> None:
        """Ends the connections of all that there are."""
        while cls._open:
            cls._open.pop().close()


class Loop:
    """What a hub schedules, run when the test says so."""

    def __init__(self) -> None:
        self.scheduled: list[Callable[[], None]] = []

    def soon(self, call: Callable[[], None]) -> None:
        self.scheduled.append(call)

    def turn(self) -> int:
        """Runs what is scheduled; returns how much that was."""
        scheduled, self.scheduled = self.scheduled, []
        for call in scheduled:
            call()
        return len(scheduled)


STREAMS: WeakKeyDictionary[Hub, Streams] = WeakKeyDictionary()
"""What each hub is fed from."""


def fed(schedule: Callable[[Callable[[], None]], object], **options: Any) -> Hub:
    """A hub that has joined the streams of a market."""
    hub = Hub(schedule, options.pop("carry", carry), **options)
    STREAMS[hub] = Streams(EPOCH)
    STREAMS[hub].join(hub)
    return hub


def want(code: str, levels: int | None = None, *, name: str | None = None) -> Want:
    one = CATALOGUE[code]
    return Want(name or code, one, one.levels if levels is None else levels)


def trade(code: str = "GOLD", price: int = 1) -> Trade:
    return Trade(code, price, Decimal(price), Decimal(1))


def book(code: str = "BTCUSDT", price: int = 100) -> Book:
    depth = CATALOGUE[code].levels
    bids = tuple(Level(Decimal(price + 50 - n), Decimal(1)) for n in range(depth))
    return Book(code, price, bids, tuple(Level(Decimal(price + 51 + n), Decimal(1)) for n in range(depth)))


def publish(hub: Hub, *events: Event, instrument: Instrument | None = None) -> None:
    for event in events:
        STREAMS[hub].publish(instrument or CATALOGUE[event.code], event)


def first(hub: Hub, client: Reader, kind: Kind, *wants: Want) -> list[tuple[str, int]]:
    """Subscribes; returns name and number of what is sent first."""
    return [(one["code"], one["seq"] - EPOCH) for one in frames(hub.subscribe(client, kind, wants))]


def check_consistent(hub: Hub) -> None:
    """Nothing is kept that nobody wants, and all that is kept knows one another."""
    for client, membership in hub._members.items():
        assert (client in membership.lane.clients) is not (client in membership.lane.slow)
        assert hub._lanes[membership.lane.views] is membership.lane
        assert frozenset().union(*membership.views.values()) == membership.lane.views
    for views, lane in hub._lanes.items():
        assert views == lane.views
        assert lane.size
        assert all(lane in view.lanes for view in views)
        assert all(view in view.topic.views.values() for view in views)
    assert sum(lane.size for lane in hub._lanes.values()) == len(hub._members)
    for one in hub._topics.values():
        for view in one.views.values():
            assert view.lanes
            assert all(hub._lanes[lane.views] is lane for lane in view.lanes)


def check_empty(hub: Hub) -> None:
    assert not hub._members
    assert not hub._lanes
    assert not [view for one in hub._topics.values() for view in one.views]
    assert subscribed_codes(hub) == set()
