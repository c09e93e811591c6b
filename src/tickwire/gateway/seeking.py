"""Codes that no catalogue has: who asks for them, and who waits until upstream has said what they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeAlias

import structlog

from ..bus import Supplier
from ..model import Catalogue, Family, Kind, looks_like
from ..wire import CODE_INVALID, Deviation, Ret, Sought, Want
from ..wire.ret import TOO_FAST
from .admission import Caller, Peer
from .uplink import Uplink

log = structlog.get_logger()

Code: TypeAlias = tuple[Family, str]


class Seeking:
    """Has the market ask about unknown codes, as far as each token may, and serves those who wait."""

    def __init__(
        self,
        catalogue: Catalogue,
        market: Supplier,
        uplink: Uplink,
        callers: Mapping[Peer, Caller],
        join: Callable[[Peer, Kind, Want], None],
        clock: Callable[[], float],
    ) -> None:
        """`callers` are the open connections; `join` adds a code to the list of a client that waited."""
        self.turned_away = 0
        """Codes that upstream was not asked about since a token, or all together, asked about too many."""
        self._catalogue = catalogue
        self._market = market
        self._uplink = uplink
        self._asked: set[Code] = set()  # the market does not know yet that they are sought
        self._callers = callers
        self._join = join
        self._clock = clock
        self._sought: dict[Peer, dict[Kind, dict[Code, list[Sought]]]] = {}
        self._seekers: dict[Code, dict[Peer, None]] = {}
        self._requests: dict[Code, Counter[str]] = {}  # over HTTP, by the token that waits

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has upstream asked what a code is. Returns None if its answer is to come, else what the code is
        answered with now."""
        if self.is_sought(family, name):
            return None
        if not looks_like(family, name) or not caller.may_read(family, name):
            return CODE_INVALID
        if any(self._catalogue.find(one, name) for one in Family):
            return CODE_INVALID
        if (refusal := self._market.refusal(family, name)) is not None:
            return refusal
        if not caller.account.seek(self._clock()):
            return self._turn_away("this token asks about too many unknown codes", caller)
        if not self._market.can_seek(name):
            return self._turn_away("too many unknown codes wait", caller)
        self._asked.add((family, name))
        self._uplink.say(self._ask, family, name)
        return None

    async def find(self, caller: Caller, family: Family, names: Iterable[str]) -> None:
        """Waits until upstream has said what these codes are, or waits no longer."""
        waiting = [name for name in names if self.is_sought(family, name)]
        if not waiting:
            return
        label = caller.client.label
        for name in waiting:
            self._requests.setdefault((family, name), Counter())[label] += 1
        try:
            await self._market.find(family, waiting)
        finally:
            for name in waiting:
                requests = self._requests[family, name]
                requests[label] -= 1
                if not requests[label]:
                    del requests[label]
                if not requests:
                    del self._requests[family, name]

    def refusal(self, family: Family, name: str) -> Ret:
        """What a code is answered with that upstream was asked about and that is not known."""
        return self._market.refusal(family, name) or CODE_INVALID

    def is_sought(self, family: Family, name: str) -> bool:
        """Whether upstream has not said yet what that code is."""
        return (family, name) in self._asked or self._market.is_sought(family, name)

    async def _ask(self, family: Family, name: str) -> None:
        try:
            await self._market.seek(family, name)
        finally:
            self._asked.discard((family, name))

    def watch(self, client: Peer, family: Family, kind: Kind, sought: Collection[Sought]) -> None:
        """These are to join a client's list of that kind once they are known, in place of those before."""
        self.forget(client, (kind,))
        self.wait(client, family, kind, sought)

    def wait(self, client: Peer, family: Family, kind: Kind, sought: Collection[Sought]) -> None:
        """These too."""
        for one in sought:
            code = family, one.name
            if self.is_sought(*code):
                self._sought.setdefault(client, {}).setdefault(kind, {}).setdefault(code, []).append(one)
                self._seekers.setdefault(code, {})[client] = None

    def number(self, client: Peer, kind: Kind) -> int:
        """How many codes a client waits for that are to join its list of that kind."""
        return sum(map(len, self._sought.get(client, {}).get(kind, {}).values()))

    def drop(self, client: Peer, family: Family, kind: Kind, name: str, kline_type: int) -> bool:
        """The client does not wait for that one any more. Returns whether it did."""
        of_kind = self._sought.get(client, {}).get(kind, {})
        waiting = of_kind.get((family, name), [])
        left = [one for one in waiting if one.kline_type != kline_type]
        if len(left) == len(waiting):
            return False
        others = [one for code, some in of_kind.items() if code != (family, name) for one in some]
        self.watch(client, family, kind, [*others, *left])
        return True

    def forget(self, client: Peer, kinds: Iterable[Kind] = tuple(Kind)) -> None:
        """The client waits for nothing of these kinds any more."""
        lists = self._sought.get(client)
        if lists is None:
            return
        gone = {code for kind in kinds for code in lists.pop(kind, ())}
        for code in gone.difference(*lists.values()):
            seekers = self._seekers.get(code, {})
            seekers.pop(client, None)
            if not seekers:
                self._seekers.pop(code, None)
        if not lists:
            del self._sought[client]

    # What the market tells.
    def seekers(self, family: Family, name: str) -> Collection[str]:
        """The tokens for whose sake upstream is to say what that code is; nameless while any is let in."""
        code = family, name
        callers = (self._callers.get(client) for client in self._seekers.get(code, ()))
        labels = {one.client.label for one in callers if one is not None}
        return labels.union(self._requests.get(code, ()))

    def found(self, family: Family, name: str, *, nobodys: bool) -> None:
        """It is known what a code is, or that nobody has it: those who wait for it get it, or nothing."""
        code, instrument = (family, name), self._catalogue.find(family, name)
        for client in self._seekers.pop(code, ()):
            if nobodys and (caller := self._callers.get(client)) is not None:
                caller.report.note_each(Deviation.UNKNOWN_CODE, [name])
            lists = self._sought.get(client, {})
            for kind, sought in [*lists.items()]:
                wanted = sought.pop(code, ())
                if not sought:
                    del lists[kind]
                if instrument is not None:
                    self._give(client, kind, [one.want(instrument) for one in wanted])
            if not lists:
                self._sought.pop(client, None)

    def _give(self, client: Peer, kind: Kind, wants: Iterable[Want]) -> None:
        for want in wants:
            try:
                self._join(client, kind, want)
            except Exception:  # the other clients are to get it all the same
                log.exception("a client does not get a code that it waits for", code=want.name)

    def _turn_away(self, why: str, caller: Caller) -> Ret:
        self.turned_away += 1
        if set(str(self.turned_away)[1:]) <= {"0"} and str(self.turned_away)[0] == "1":
            token = None if caller.token is None else caller.token.id
            log.warning(f"{why}: upstream is not asked", token=token, codes=self.turned_away)
        return TOO_FAST
