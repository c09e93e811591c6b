"""How the room that sources have is shared among those who want it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import structlog

from ..bus import Supplier
from ..model import Catalogue, Family, Instrument, Kind, in_turn
from ..wire import Ret
from .admission import Caller, Peer
from .hub import Hub
from .seeking import Seeking
from .uplink import Uplink

log = structlog.get_logger()


class Share(NamedTuple):
    """Who is served if a client has a list: all that is wanted, the most wanted first, and the codes that
    have room. Where room was shared, among so many `tokens`, of which some have `given_up` so many codes."""

    wanted: dict[str, Instrument]
    served: set[str]
    tokens: int = 1
    given_up: int = 0


class Told(NamedTuple):
    """What the market is being told: codes that are wanted, and those of them that are to be served."""

    wanted: set[str]
    served: set[str]


class Sharing:
    """What the sources of a server give to whom, see `admission.Supply`."""

    def __init__(
        self,
        market: Supplier,
        uplink: Uplink,
        wish: Callable[..., Awaitable[None]],
        elsewhere: Callable[[Kind], Mapping[str, Sequence[str]]],
        catalogue: Catalogue,
        hub: Hub,
        callers: Mapping[Peer, Caller],
        seeking: Seeking,
    ) -> None:
        """`wish` and `elsewhere` are the market's, for this client side; `callers` are the open
        connections."""
        self._market = market
        self._uplink = uplink
        self._wish = wish
        self._elsewhere = elsewhere
        self._catalogue = catalogue
        self._told: dict[Kind, Told] = {}
        self._hub = hub
        self._callers = callers
        self._seeking = seeking
        self._shared: set[tuple[Family | None, Kind]] = set()  # room of which the log has said so

    def refusal(self, instrument: Instrument) -> Ret | None:
        """Why an instrument can come from no source; None if it can."""
        if self._market.serve(instrument):
            return None
        return self._seeking.refusal(instrument.family, instrument.code)

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has a source asked what an unknown code is, see `Seeking.seek`."""
        return self._seeking.seek(caller, family, name)

    def room(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Collection[Instrument]:
        """Those of these instruments that the sources they come from can subscribe to, if they are the
        caller's list of that kind. Where there is not enough room, all tokens get alike."""
        if not self._market.scarce:
            return instruments
        served = self._share(kind, instruments, caller).served
        return [one for one in instruments if one.code in served]

    def subscribe(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> None:
        """These are the caller's list of that kind from now on, see `room`."""
        flow = kind.flow
        if not self._market.scarce:
            self._uplink.say(self._wish, flow, instruments, whole=False)
            return
        share, concerned = self._share(kind, instruments, caller), (caller.client.family, flow)
        tokens = self._tokens(flow, caller, kind, [one.code for one in instruments])
        self._tell(flow, share.wanted, share.served, tokens)
        if share.tokens < 2:
            self._shared.discard(concerned)
        elif share.given_up and concerned not in self._shared:
            self._shared.add(concerned)
            log.warning(
                "the room of the upstream plan is shared among tokens",
                family=caller.client.family,
                kind=flow.name.lower(),
                tokens=share.tokens,
                wanted=sum(one.family is caller.client.family for one in share.wanted.values()),
                served=sum(share.wanted[code].family is caller.client.family for code in share.served),
                given_up=share.given_up,
            )

    def renew(self) -> None:
        """Tells the sources what is subscribed to. What has no place gets what room there is, by turns."""
        for flow, instruments in self._hub.wanted().items():
            order = {one.code: one for one in instruments}
            served = self._market.room(flow, instruments) if self._market.scarce else {*order}
            if len(served) < len(order):
                carried = self._carried(flow)
                turns = [code for family in Family for code in in_turn(self._wishes(family, flow).values())]
                first = [*(code for code in order if code in carried), *turns]
                order = {code: order[code] for code in first if code in order} | order
                served = self._market.room(flow, order.values())
            self._tell(flow, order, served, self._tokens(flow) if self._market.scarce else {})

    def _tell(
        self,
        flow: Kind,
        wanted: Mapping[str, Instrument],
        served: Collection[str],
        tokens: Mapping[str, Sequence[str]],
    ) -> None:
        """Tells the market all that it is to serve. Until it knows, that counts as what it does."""
        told = self._told[flow] = Told({*wanted}, {*served})
        instruments = [one for code, one in wanted.items() if code in told.served]
        if tokens:
            here = {code for codes in tokens.values() for code in codes}
            instruments = [one for one in instruments if one.code in here]
        self._uplink.say(self._say, flow, told, instruments, tokens)

    async def _say(
        self,
        flow: Kind,
        told: Told,
        instruments: Collection[Instrument],
        tokens: Mapping[str, Sequence[str]],
    ) -> None:
        try:
            await self._wish(flow, instruments, whole=True, tokens=tokens)
        finally:
            if self._told.get(flow) is told:
                del self._told[flow]

    def _carried(self, flow: Kind) -> set[str]:
        carried, told = self._market.carried(flow), self._told.get(flow)
        return carried if told is None else (carried - told.wanted) | told.served

    def _share(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Share:
        """Who is served if these are the caller's list of that kind. What others have stays theirs where that
        leaves room enough; else room is shared among the tokens that want it, so that a newcomer is not left
        with what the first one spared: who has most gives up the last of it."""
        flow, family = kind.flow, caller.client.family
        peer = next((peer for peer, one in self._callers.items() if one is caller), None)
        others = [*self._hub.wanted(peer, kind)[flow], *self._wanted_elsewhere(flow)]
        carried = self._carried(flow)
        first = [one for one in others if one.code in carried]
        wanted = {one.code: one for one in [*first, *instruments, *others]}
        served = self._market.room(flow, wanted.values())
        if served.issuperset(one.code for one in instruments) or family is None:
            return Share(wanted, served)
        wishes = self._wishes(family, flow, caller, kind, [one.code for one in instruments])
        if len(wishes) > 1:
            wanted = {code: wanted[code] for code in in_turn(wishes.values()) if code in wanted} | wanted
            served = self._market.room(flow, wanted.values())
        return Share(wanted, served, len(wishes), len(carried.intersection(wanted) - served))

    def _wanted_elsewhere(self, flow: Kind) -> list[Instrument]:
        """What tokens want at other client sides, as far as it is known here."""
        codes = dict.fromkeys(code for some in self._elsewhere(flow).values() for code in some)
        return [self._catalogue[code] for code in codes if code in self._catalogue]

    def _wishes(
        self,
        family: Family,
        flow: Kind,
        caller: Caller | None = None,
        kind: Kind | None = None,
        codes: Collection[str] = (),
    ) -> dict[str, list[str]]:
        """What each token wants of a family, at whatever client side, what it has first; `codes` as the
        caller's list of a kind."""
        found = self._here(family, flow, caller, kind, codes)
        for label, some in self._elsewhere(flow).items():
            wanted = [
                code for code in some if code in self._catalogue and self._catalogue[code].family is family
            ]
            if wanted:
                found[label] = [*found.get(label, ()), *wanted]
        order = dict.fromkeys([*self._elsewhere(flow), *found])  # that which holds at all client sides
        return {label: found[label] for label in order if label in found}

    def _tokens(
        self, flow: Kind, caller: Caller | None = None, kind: Kind | None = None, codes: Collection[str] = ()
    ) -> dict[str, list[str]]:
        """What each token wants here, what it has first; `codes` as the caller's list of a kind."""
        found: dict[str, list[str]] = {}
        for family in Family:
            of_it = (caller, kind, codes) if caller is not None and caller.client.family is family else ()
            for label, some in self._here(family, flow, *of_it).items():
                found.setdefault(label, []).extend(some)
        return found

    def _here(
        self,
        family: Family,
        flow: Kind,
        caller: Caller | None = None,
        kind: Kind | None = None,
        codes: Collection[str] = (),
    ) -> dict[str, list[str]]:
        """The same of a family's clients here."""
        carried = self._carried(flow)
        having: dict[str, dict[str, None]] = {}
        lacking: dict[str, dict[str, None]] = {}
        for peer, one in self._callers.items():
            if one.client.family is family:
                label = one.client.label
                mine, more = having.setdefault(label, {}), lacking.setdefault(label, {})
                for each in self._hub.wanted_by(peer, kind if one is caller else None)[flow]:
                    (mine if each.code in carried else more)[each.code] = None
        if caller is not None:
            having.setdefault(caller.client.label, {}).update(dict.fromkeys(codes))
        found = {label: [*mine, *lacking.get(label, {})] for label, mine in having.items()}
        return {label: wanted for label, wanted in found.items() if wanted}
