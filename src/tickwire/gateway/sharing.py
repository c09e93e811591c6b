"""How the room that sources have is shared among those who want it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import structlog

from ..bus import Supplier
from ..model import Family, Instrument, Kind
from ..wire import Ret
from .admission import Caller, Peer
from .hub import Hub

log = structlog.get_logger()


class Seeker(Protocol):
    """Has sources asked what codes are that no catalogue has."""

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has upstream asked what a code is; what it is answered with now, if it is not known soon."""


class Sharing:
    """What the sources of a server give to whom, see `admission.Supply`."""

    def __init__(self, supply: Supplier, hub: Hub, callers: Mapping[Peer, Caller], discovery: Seeker) -> None:
        """`callers` are the open connections."""
        self._supply = supply
        self._discovery = discovery
        self._hub = hub
        self._callers = callers
        self._shared: set[tuple[Family | None, Kind]] = set()  # of which the log has said so

    def serve(self, instrument: Instrument) -> bool:
        """Whether an instrument can come from any source."""
        return self._supply.serve(instrument)

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has a source asked what an unknown code is, see `Discovery.seek`."""
        return self._discovery.seek(caller, family, name)

    def room(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Collection[Instrument]:
        """Those of these instruments that the sources they come from can subscribe to now, in place of what
        the caller is subscribed to. Where there is not enough room, all tokens get alike."""
        if not self._supply.scarce:
            return instruments
        peer = next((peer for peer, one in self._callers.items() if one is caller), None)
        self.renew(peer, kind)
        found = self._supply.room(kind, instruments)
        if len(found) < len({one.code for one in instruments}):
            found = self._share(kind, instruments, caller, found)
        else:
            self._shared.discard((caller.client.family, kind.flow))
        return [one for one in instruments if one.code in found]

    def _share(
        self, kind: Kind, instruments: Collection[Instrument], caller: Caller, found: set[str]
    ) -> set[str]:
        """Shares the room among the tokens that want it, so that a newcomer is not left with what the first
        one spared. `found` is what has room if nobody else gives up anything. Returns what has room."""
        family, flow = caller.client.family, kind.flow
        wishes: dict[str, dict[str, Instrument]] = {}
        for peer, one in self._callers.items():
            if one.client.family is family:
                wanted = self._hub.wanted_by(peer, kind if one is caller else None)[flow]
                wishes.setdefault(one.client.label, {}).update((each.code, each) for each in wanted)
        wishes.setdefault(caller.client.label, {}).update((one.code, one) for one in instruments)
        wishes = {label: wanted for label, wanted in wishes.items() if wanted}
        if len(wishes) < 2:
            return found
        every = {code: one for wanted in wishes.values() for code, one in wanted.items()}
        before = self._supply.carried(family, flow).intersection(every)
        self._supply.want(flow, (), subscribed=True)  # all begin anew
        staying = self._supply.room(kind, [every[code] for code in in_turn(wishes.values())])
        self._supply.want(kind, [every[code] for code in staying], subscribed=True)
        if before - staying and (family, flow) not in self._shared:
            self._shared.add((family, flow))
            log.warning(
                "the room of the upstream plan is shared among tokens",
                family=family,
                kind=flow.name.lower(),
                tokens=len(wishes),
                wanted=len(every),
                served=len(staying),
                given_up=len(before - staying),
            )
        return staying

    def renew(self, leaving: Peer | None = None, of: Kind | None = None) -> None:
        """Tells the sources what is subscribed to, but for a list that is about to be replaced."""
        for kind, instruments in self._hub.wanted(leaving, of).items():
            self._supply.want(kind, instruments, subscribed=True)


def in_turn(wishes: Iterable[Iterable[str]]) -> list[str]:
    """Codes by turns: of each list its next one that no other list had before. So wherever one stops, none
    was given more than one code more than another that still wants some.

    >>> in_turn([["A", "B", "C", "D"], ["B", "E"]])
    ['A', 'B', 'C', 'E', 'D']
    """
    found: dict[str, None] = {}
    lists = [iter(one) for one in wishes]
    while lists:
        for one in [*lists]:
            code = next((code for code in one if code not in found), None)
            if code is None:
                lists.remove(one)
            else:
                found[code] = None
    return [*found]
