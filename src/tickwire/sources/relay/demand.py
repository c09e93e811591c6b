"""What is wanted upstream, what is allowed, and which connection carries it. Pure: time is an argument."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple, TypeAlias

from ...client import Options, Rates
from ...model import Catalogue, CodesInUse, Family, Instrument, Kind, Room
from ...wire import Pace
from ..wants import Wants

Group: TypeAlias = tuple[Family, Kind]
"""The streams of one kind on the paths of one family: what limits count."""
MARGIN = 0.1
"""Seconds that are added to spacings: what a network adds to the first request and not to the second."""


class UpstreamPlan(NamedTuple):
    """The limits of a token (protocol, section 4); None for no limit, spacings in seconds, 0 for none.

    `connections` are WebSockets of one family, `codes` what one of them may subscribe to of each kind,
    `http_codes` what one request over HTTP may ask for. `connect_spacing` lies between two new connections,
    `subscribe_spacing` between two subscription requests of one interface.
    """

    connections: int | None = None
    codes: int | None = None
    connect_spacing: float = 0.0
    subscribe_spacing: float = 0.0
    http_codes: int | None = None
    rates: Rates = Rates()

    @property
    def streams(self) -> int | None:
        """How many codes of a family can be subscribed to of each kind."""
        if self.connections is None or self.codes is None:
            return None
        return self.connections * self.codes

    def options(self, options: Options) -> Options:
        """These options, with the limits of this plan. A refused token may be replaced by a good one."""
        terms = options.terms._replace(spacing=_spaced(self.subscribe_spacing), codes=self.codes)
        return options._replace(terms=terms, retry_unauthorized=True)

    def subscriptions(self) -> Pace:
        """Paces the subscription requests of one family."""
        return Pace(_spaced(self.subscribe_spacing))

    def connects(self) -> Pace:
        """Paces new connections."""
        return Pace(_spaced(self.connect_spacing))


def _spaced(seconds: float) -> float:
    return seconds + MARGIN if seconds else 0.0


class Moves(NamedTuple):
    """Codes that came to a connection, and those that left one, each with the connection's number."""

    came: list[tuple[int, str]]
    left: list[tuple[int, str]]


class Places:
    """The codes of one kind on the connections of a family: at most `most` on each, None for no limit.

    A code stays where it is; a new one goes to the first connection that has room.
    """

    def __init__(self, most: int | None) -> None:
        self._most = most
        self._place: dict[str, int] = {}
        self._taken: list[int] = []

    def of(self, code: str) -> int | None:
        """The connection of a code; None if it has none."""
        return self._place.get(code)

    def arrange(self, codes: Iterable[str]) -> Moves:
        """These have places from now on, and no others."""
        wanted = dict.fromkeys(codes)
        left = [(number, code) for code, number in self._place.items() if code not in wanted]
        for number, code in left:
            del self._place[code]
            self._taken[number] -= 1
        came = []
        for code in wanted:
            if code not in self._place:
                number = self._place[code] = self._free()
                self._taken[number] += 1
                came.append((number, code))
        return Moves(came, left)

    def _free(self) -> int:
        for number, taken in enumerate(self._taken):
            if self._most is None or taken < self._most:
                return number
        self._taken.append(0)
        return len(self._taken) - 1


class Demand:
    """What clients and settings want, as far as the plan has room. Bars need trades.

    Codes may go by another name of theirs; upstream they are asked for by that of the catalogue. What has no
    book is not asked for one. `now` is in seconds of a monotonic clock.
    """

    def __init__(self, catalogue: Catalogue, keep: Iterable[str], plan: UpstreamPlan) -> None:
        """`keep` are codes that are always wanted."""
        self._catalogue = catalogue
        self._wants: dict[Group, Wants[str]] = {}
        self._places: dict[Group, Places] = {}
        names = [*keep]
        self.codes = {one.code for one in self._having(Kind.TRADE, names)}
        """Those that are always wanted."""
        for kind in (Kind.TRADE, Kind.DEPTH):
            for family, codes in self._by_family(kind, names):
                self._wants[family, kind] = Wants(codes, plan.streams)
                self._places[family, kind] = Places(plan.codes)

    def left_out(self) -> Iterator[tuple[Group, tuple[str, ...]]]:
        """Codes that are always wanted, and have no room."""
        return ((group, wants.left_out) for group, wants in self._wants.items() if wants.left_out)

    def keep(self, code: str) -> None:
        """A code that was not known before is always wanted."""
        self.codes.add(code)
        for (family, kind), wants in self._wants.items():
            if self._catalogue.find(family, code) in self._having(kind, [code]):
                wants.keep(code)

    def renew(self, kind: Kind, names: Collection[str], now: float) -> list[str]:
        """These are subscribed to, and nothing else. Returns the codes that were not wanted before, and are
        now."""
        stream = stream_of(kind)
        return [
            code
            for family, codes in self._by_family(stream, names)
            for code in self._wants[family, stream].renew(codes, now)
        ]

    def ask(self, kind: Kind, names: Collection[str], now: float) -> list[tuple[Group, str, bool]]:
        """These are asked for over HTTP. Returns their streams, and of each whether upstream refused it."""
        stream = stream_of(kind)
        found = []
        for family, codes in self._by_family(stream, names):
            wants = self._wants[family, stream]
            wants.ask(codes, now)
            refused = wants.refused(codes)
            found += [((family, stream), code, code in refused) for code in codes]
        return found

    def room(self, kind: Kind, names: Collection[str]) -> tuple[list[str], set[str]]:
        """Those of these names that can be subscribed to if nothing else is, the first ones, and the codes
        for which there is no room; what has no book needs none for it."""
        stream = stream_of(kind)
        found = {one.code for one in self._having(Kind.TRADE, names)}
        crowded_out = set[str]()
        for family, codes in self._by_family(stream, names):
            wants = self._wants[family, stream]
            lacking = {*codes}.difference(wants.room(codes))
            found -= lacking
            crowded_out |= lacking - wants.refused(lacking)
        return [
            name for name in names if (one := self._find(name)) is not None and one.code in found
        ], crowded_out

    def rooms(self, source: str) -> Iterator[Room]:
        """What `room` goes by, of a source of that name."""
        return (
            Room(source, family, kind, wants.most, wants.kept, frozenset(wants.refused()))
            for (family, kind), wants in self._wants.items()
        )

    def refuse(self, group: Group, codes: Iterable[str], now: float) -> None:
        """Upstream will not give these."""
        self._wants[group].refuse(codes, now)

    def lapse(self, now: float) -> None:
        """Forgets what is over."""
        for wants in self._wants.values():
            wants.lapse(now)

    def arrange(self) -> Iterator[tuple[Group, Moves]]:
        """Gives places to what is wanted now, and takes those of what is not."""
        return ((group, self._places[group].arrange(wants.target())) for group, wants in self._wants.items())

    def place(self, group: Group, code: str) -> int | None:
        """The number of the connection that carries a stream; None if none does."""
        return self._places[group].of(code)

    def in_use(self) -> Iterator[CodesInUse]:
        """What is subscribed to upstream, or is about to be."""
        return (
            CodesInUse(family, kind, frozenset(wants.target()), wants.most)
            for (family, kind), wants in self._wants.items()
        )

    def _find(self, name: str) -> Instrument | None:
        if name in self._catalogue:
            return self._catalogue[name]
        found = (self._catalogue.find(family, name) for family in Family)
        return next((one for one in found if one is not None), None)

    def _having(self, stream: Kind, names: Iterable[str]) -> list[Instrument]:
        """The instruments of these names that have such a stream."""
        found = (self._find(name) for name in names)
        return [one for one in found if one is not None and (stream is Kind.TRADE or one.levels)]

    def _by_family(self, stream: Kind, names: Iterable[str]) -> Iterator[tuple[Family, list[str]]]:
        known = self._having(stream, names)
        return ((family, [one.code for one in known if one.family is family]) for family in Family)


def stream_of(kind: Kind) -> Kind:
    """The stream that a kind is made of."""
    return Kind.TRADE if kind is Kind.KLINE else kind
