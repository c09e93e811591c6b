"""What stands in clients' lists and is not given to them yet: first comes what they missed of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

from ...model import Instrument, Kind
from ...wire import Want
from .lane import Client
from .topic import Topic

Place: TypeAlias = tuple[Kind, str, int]
"""Where something stands in a client's lists: a kind, a name, and a type of bars."""


class Held:
    """All that is held, for whom."""

    def __init__(
        self,
        topic: Callable[[Kind, Instrument, int], Topic],
        want: Callable[[Topic], None],
        unwant: Callable[[Topic], None],
    ) -> None:
        """`want` is told that somebody wants a topic, `unwant` that somebody does not want it any more."""
        self._topic = topic
        self._want = want
        self._unwant = unwant
        self._of: dict[Client, dict[Place, Want]] = {}

    def put(self, client: Client, kind: Kind, want: Want) -> None:
        """Holds that for a client, in place of what is held under that name."""
        place = kind, want.name, want.kline_type
        self._let_go(client, place)
        topic = self._topic(kind, want.instrument, want.kline_type)
        topic.held += 1
        self._want(topic)
        self._of.setdefault(client, {})[place] = want

    def has(self, client: Client, kind: Kind, want: Want) -> bool:
        """Whether that is held for a client: that one, and not one like it that was asked for since."""
        return self._of.get(client, {}).get((kind, want.name, want.kline_type)) is want

    def let_go(self, client: Client, kind: Kind, want: Want) -> None:
        """Holds that no more."""
        self._let_go(client, (kind, want.name, want.kline_type))

    def keep(self, client: Client, kind: Kind, wants: Iterable[Want]) -> list[Want]:
        """Of that kind only these are held on, where they are held. Returns the others of them."""
        held = self._of.get(client, {})
        asked = {(kind, want.name, want.kline_type): want for want in wants}
        for place, want in [*held.items()]:
            if place[0] is kind and asked.get(place) != want:
                self._let_go(client, place)
        return [want for place, want in asked.items() if place not in held]

    def wants(self, client: Client, kind: Kind) -> list[Want]:
        """What is held for a client, of that kind."""
        return [want for place, want in self._of.get(client, {}).items() if place[0] is kind]

    def topics(self, client: Client) -> Iterator[Topic]:
        """The topics that are held for a client."""
        for (kind, _, kline_type), want in self._of.get(client, {}).items():
            yield self._topic(kind, want.instrument, kline_type)

    def _let_go(self, client: Client, place: Place) -> None:
        held = self._of.get(client, {})
        if (want := held.pop(place, None)) is None:
            return
        if not held:
            del self._of[client]
        topic = self._topic(place[0], want.instrument, want.kline_type)
        topic.held -= 1
        self._unwant(topic)
