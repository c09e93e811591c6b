"""Who is let in, and what for: stored tokens, their plans and limits, what scenarios make of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol, TypeVar

import structlog

from ..access import (
    BUILT_IN,
    UNLIMITED,
    Account,
    Full,
    Limits,
    Plan,
    Register,
    Seated,
    Seating,
    Token,
    Verdict,
)
from ..config import Settings
from ..errors import SettingsError, StartError, StoreError
from ..model import RULES, Ending, Family, Instrument, Kind
from ..sandbox import Client, Sandbox
from ..store import Database, TokenStore
from ..wire import CODE_INVALID, CODE_UNAUTHORIZED, Refused, Report, Ret, Sought, Want, ret_of
from ..wire.flags import Flags
from ..wire.ret import LEVEL_TOO_LOW, TOKEN_INVALID, TOO_MANY_CONNECTIONS
from .hub import Client as Subscriber

MOST_ACCOUNTS = 10_000
"""Clients whose use is remembered while any token is let in and the plan of all has limits."""

log = structlog.get_logger()

Asked = TypeVar("Asked", Want, Want | Sought)


class Peer(Seated, Subscriber, Protocol):
    """A connection, as those see it who may have to end it."""

    flags: Flags
    """What the client has said of it."""

    def reset(self, why: Ending = Ending.ERROR) -> None:
        """Ends it at once, with a reset of TCP."""


class Supply(Protocol):
    """What the sources of a server can give."""

    def refusal(self, instrument: Instrument) -> Ret | None:
        """Why they have not got an instrument at all; None if they have."""

    def seek(self, caller: Caller, family: Family, name: str) -> Ret | None:
        """Has a source asked what an unknown code is, for a caller; returns why that cannot be, if so."""

    def room(self, kind: Kind, instruments: Collection[Instrument], caller: Caller) -> Collection[Instrument]:
        """Those of these that could be subscribed to now, as the caller's list of that kind."""


class Caller:
    """Who is behind a connection or a request over HTTP, and what that one may do.

    `token` is None while any is let in. `report` counts what it did that the documents do not allow. A permit
    for a session of the wire, see `wire.Permit`.
    """

    __slots__ = (
        "_most",
        "_sandbox",
        "_supply",
        "account",
        "client",
        "gone",
        "is_shared",
        "report",
        "token",
    )

    def __init__(
        self,
        token: Token | None,
        account: Account,
        client: Client,
        sandbox: Sandbox,
        supply: Supply,
        most: int,
    ) -> None:
        """`most` is how much a list may hold at all."""
        self.token = token
        self.account = account
        self.client = client
        self.report = Report()
        self.is_shared = False
        """Whether its limits are those of connections at other client sides too."""
        self.gone = False
        """Whether its connection is: no dice are thrown for it any more, which would be another one's."""
        self._sandbox = sandbox
        self._supply = supply
        self._most = most

    @property
    def plan(self) -> Plan:
        """What the token may do."""
        return self.account.plan

    def leave(self, peer: Seated) -> None:
        """Its connection is gone."""
        self.gone = True
        if self.client.family is not None:
            self.account.leave(peer, self.client.family)
        self._sandbox.forget(self.client.connection)

    def reads(self, instrument: Instrument) -> bool:
        """Whether the token may read that instrument."""
        return self.token is None or self.token.reads(instrument)

    def may_read(self, family: Family, name: str) -> bool:
        """Whether the token may read a code of which nothing is known but its family, for all one can say."""
        token = self.token
        if token is None or not (token.markets or token.codes) or name in token.codes:
            return True
        return any(RULES[market].family is family for market in token.markets)

    def take(self, wants: tuple[Asked, ...], most: int | None) -> tuple[Asked, ...]:
        """Those that there are, or may be, and that the token may read, at most so many. Raises Refused if
        there is none (600, or what upstream says), if it may read none (604), or if there are more and the
        plan refuses (603)."""
        found: list[Asked] = []
        first: Ret | None = None
        for one in wants:
            ret = None if isinstance(one, Sought) else self._supply.refusal(one.instrument)
            if ret is None:
                found.append(one)
            first = first or ret
        if not found:
            raise Refused(first or CODE_INVALID)
        if self.token is not None:
            found = [one for one in found if isinstance(one, Sought) or self.token.reads(one.instrument)]
            if not found:
                raise Refused(CODE_UNAUTHORIZED)
        if most is not None and len(found) > most:
            if self.plan.refuse:
                raise Refused(LEVEL_TOO_LOW)
            del found[most:]
        return tuple(found)

    def delay(self) -> float:
        """Seconds by which scenarios let answers come late."""
        return self._sandbox.delay(self.client) if self._sandbox.runs and not self.gone else 0.0

    @property
    def most_codes(self) -> int:
        """How many items a list may hold."""
        return self._most if self.plan.codes is None else min(self.plan.codes, self._most)

    # A permit of the wire.
    def objection(self, instrument: Instrument) -> Ret | None:
        """Why nothing of an instrument can be had (600, or what upstream says), or read (604); else None."""
        return self._supply.refusal(instrument) or (None if self.reads(instrument) else CODE_UNAUTHORIZED)

    def answer(self, request: int | str) -> Ret | None:
        """What scenarios answer a request with; it is named by `cmd_id` or path."""
        if not self._sandbox.runs or (answer := self._sandbox.answer(self.client, request)) is None:
            return None
        return ret_of(answer.ret, answer.msg, answer.status)

    def subscribe(self, cmd_id: int, now: float) -> bool | None:
        """Whether a subscription keeps the spacing of the plan; None if that is known elsewhere."""
        if self.is_shared and self.plan.subscriptions is not None:
            return None
        return self.account.subscribe((self.client.family, cmd_id), now)

    def seek(self, family: Family, name: str) -> Ret | None:
        """Why a source cannot be asked what an unknown code is; None if it can, and is."""
        return self._supply.seek(self, family, name)

    def select(self, kind: Kind, wants: tuple[Want | Sought, ...]) -> tuple[Want | Sought, ...]:
        """Those of a subscription that the client gets: what its plan allows. Raises Refused where none of
        them has room, or not all have it and the plan refuses (603); else those without stay silent until
        there is room. What is sought yet is looked at again once it is known. A list that no client may have
        is refused whatever the plan (603)."""
        if len(wants) > self._most:
            raise Refused(LEVEL_TOO_LOW)
        wants = self.take(wants, self.plan.codes)
        instruments = [one.instrument for one in wants if isinstance(one, Want)]
        room = {one.code for one in self._supply.room(kind, instruments, self)} if instruments else set()
        found = sum(isinstance(one, Sought) or one.instrument.code in room for one in wants)
        if not found or (self.plan.refuse and found < len(wants)):
            raise Refused(LEVEL_TOO_LOW)
        return wants


class Rules(NamedTuple):
    """Settings of the same names. `day_reset` is in seconds after midnight UTC."""

    plans: Mapping[str, Plan]
    plan: str
    takeover_after: float
    day_reset: int
    max_subscriptions: int

    @classmethod
    def of(cls, settings: Settings) -> Rules:
        """Those of these settings."""
        hours, minutes = settings.day_reset.split(":")
        return cls(
            BUILT_IN | settings.plans,
            settings.plan,
            settings.takeover_after,
            int(hours) * 3600 + int(minutes) * 60,
            settings.max_subscriptions,
        )


class Admission:
    """Lets clients in.

    While the store holds no token, any is let in. `clock` is the monotonic clock and `wall` the time since
    the epoch, both in seconds.
    """

    def __init__(
        self,
        store: TokenStore,
        database: Database,
        sandbox: Sandbox,
        rules: Rules,
        supply: Supply,
        *,
        clock: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        self._store = store
        self._database = database
        self._sandbox = sandbox
        self._rules = rules
        self._supply = supply
        self._clock = clock
        self._wall = wall
        self._accounts: OrderedDict[str, Account] = OrderedDict()
        self._forgotten = Account(UNLIMITED)  # what those used that are not remembered
        self._changes, self._taken = -1, 0
        self._tokens: list[Token] = []  # all of the store
        self._key: bytes | None = None
        self._unreadable = False
        self._register = Register((), b"")
        self._guarded = False
        self._next_expiry = float("inf")
        self._looked = wall()
        self._refused = 0
        self.load()

    @property
    def guarded(self) -> bool:
        """Whether tokens are checked: some exist, be they revoked."""
        return self._guarded

    def turns_away(self, secret: str) -> bool:
        """Whether whoever sends that token is not let in, whatever he wants."""
        if not self._guarded or self._register.find(secret, self._wall()) is not None:
            return False
        self._refused += 1
        return True

    def caller(self, secret: str, family: Family | None, connection: int = 0) -> Caller:
        """Who sends that token, which is not empty. Raises Refused."""
        token = None
        label = name = secret
        if self._guarded:
            token = self._register.find(secret, self._wall())
            if token is None:
                self._refused += 1
                raise Refused(TOKEN_INVALID)
            label, name = token.id, token.name
        client = Client(label, (label, name), family, connection, self._clock())
        if self._sandbox.runs and self._sandbox.expired(client):
            raise Refused(TOKEN_INVALID)
        return Caller(
            token,
            self._account(label, token),
            client,
            self._sandbox,
            self._supply,
            self._rules.max_subscriptions,
        )

    def limits(self, secret: str) -> tuple[str, Limits] | None:
        """What holds for whoever sends that token, where it limits what he does at all client sides together,
        and what the token goes by; None if it does not, or is unknown."""
        rules, label, name = self._rules, secret, self._rules.plan
        if self._guarded:
            if (token := self._register.find(secret, self._wall())) is None:
                return None
            label, name = token.id, token.plan
        plan = rules.plans[name]
        return (label, self.limits_of(plan)) if plan.is_shared else None

    def limits_of(self, plan: Plan) -> Limits:
        """What holds for a token of that plan."""
        return Limits(plan, self._rules.day_reset, self._rules.takeover_after)

    def enter(
        self,
        peer: Seated,
        secret: str,
        family: Family,
        connection: int,
        seating: Seating | None = None,
    ) -> tuple[Caller, Seated | None]:
        """Lets a connection in under that number; also returns the one that gives way to it, if any. Whether
        it has a place elsewhere has been asked before, see `SharedLimits.seat`.

        Raises Refused.
        """
        caller = self.caller(secret, family, connection)
        if self._sandbox.runs and (refuse := self._sandbox.refusal(caller.client)) is not None:
            raise Refused(ret_of(refuse.status, "refused", refuse.status))
        dead: Seated | None = None
        try:
            if seating is not None and not seating.seated:
                raise Full(seating.wait)
            if seating is None:
                dead = caller.account.seat(peer, family, self._clock(), self._rules.takeover_after)
            else:
                caller.is_shared = True
                caller.account.place(peer, family)
        except Full as full:
            raise Refused(TOO_MANY_CONNECTIONS, full.wait) from None
        if self._sandbox.runs:
            self._sandbox.meet(caller.client, self._clock())
        return caller, dead

    def request(self, caller: Caller, endpoint: str | None) -> Verdict:
        """Counts a request over HTTP."""
        return caller.account.request(endpoint, self._clock(), self._wall())

    def accounts(self) -> Iterator[tuple[str, str, Account]]:
        """The label, the name and the account of each token that was used, in the order of their first use;
        nameless while any is let in. Those that are forgotten are one without a label."""
        names = {one.id: one.name for one in self._register} if self._guarded else {}
        for label, account in self._accounts.items():
            yield label, names.get(label, ""), account
        if self._forgotten.used:
            yield "", "", self._forgotten

    def is_admin(self, secret: str) -> bool:
        """Whether that is the token of an administrator."""
        token = self._register.find(secret, self._wall()) if self._guarded else None
        if token is None:
            self._refused += 1
        return token is not None and token.admin

    def objection(self, caller: Caller) -> str | None:
        """Why a connection that was let in must end, if it must."""
        if caller.token is None:
            return "token invalid" if self._guarded else None
        wall = self._wall()
        if self._register.holds(caller.token, wall):
            return None
        return "token revoked" if caller.token.valid(wall) else "token expired"

    def load(self) -> None:
        """Reads the tokens at once: for when nothing is served yet. Raises StoreError or StartError."""
        self._take(*self._read())

    async def read_again(self) -> None:
        """Reads the tokens whether they have changed or not. Raises StoreError or StartError."""
        taken = self._taken
        found = await self._database.read(self._read)
        if self._taken == taken:  # else what was taken meanwhile is newer
            self._take(*found)

    def check(self, rules: Rules) -> None:
        """Raises SettingsError if a token that is let in has a plan that these rules do not know."""
        wall = self._wall()
        lost = [one for one in self._tokens if one.valid(wall) and one.plan not in rules.plans]
        if lost := [one for one in lost if one.plan in self._rules.plans]:
            raise SettingsError(
                f"The plan {lost[0].plan!r} is gone, which the token {lost[0].name!r} has"
                f"{f', and {len(lost) - 1} more' if len(lost) > 1 else ''}: put it back, or revoke the token."
            )

    def change(self, rules: Rules) -> None:
        """Other rules from now on, which have been checked. Nobody is sent away for them."""
        self._rules = rules
        plans = {one.id: one.plan for one in self._tokens}
        for label, account in self._accounts.items():
            if label:  # else it is of all, who have no limits
                plan = rules.plans.get(plans.get(label, rules.plan))
                account.change(plan or account.plan, rules.day_reset)
        self._take(self._changes, self._tokens, self._key)

    async def refresh(self) -> bool:
        """Looks whether tokens have changed or expired; returns whether connections must be looked at."""
        taken = self._taken
        try:
            if await self._database.read(self._store.changes) != self._changes:
                found = await self._database.read(self._read)
                if self._taken == taken:  # else what was taken meanwhile is newer
                    self._take(*found)
                self._unreadable = False
                return True
        except (StoreError, StartError) as error:  # those that are known still hold
            if not self._unreadable:
                log.error("tokens cannot be read, those that are known still hold", reason=str(error))
            self._unreadable = True
        looked, self._looked = self._looked, self._wall()
        if looked <= self._looked < self._next_expiry:  # else a token has expired, or the clock was set back
            return False
        self._next_expiry = self._expiry(self._register)
        return True

    def report(self) -> None:
        """Logs how many unknown tokens came since the last time: one line, however many there were."""
        if self._refused:
            log.warning("tokens refused", requests=self._refused)
            self._refused = 0

    def _read(self) -> tuple[int, list[Token], bytes | None]:
        """What the store holds: how often it has changed, the tokens, and the key of their hashes, None if
        tokens are not checked."""
        changes, tokens = self._store.changes(), self._store.tokens()
        return changes, tokens, self._store.key() if self._store.guarded() else None

    def _take(self, changes: int, tokens: list[Token], key: bytes | None) -> None:
        self._changes, self._tokens, self._key = changes, tokens, key
        self._taken += 1
        self._guarded = key is not None
        if key is None:
            return
        if not tokens:
            log.error(
                "the tokens are gone, though their key is there: nobody is let in. Bring the database back, "
                "create tokens anew, or remove token.key to let in whoever reaches the server"
            )
        for token in tokens:
            if token.plan not in self._rules.plans:
                log.error("a token is not let in: its plan is unknown", token=token.id, plan=token.plan)
        known = [token for token in tokens if token.plan in self._rules.plans]
        self._register = Register(known, key)
        self._next_expiry = self._expiry(known)

    def _expiry(self, tokens: Iterable[Token]) -> float:
        """When the next token expires."""
        wall = self._wall()
        return min(
            (one.expires / 1000 for one in tokens if one.expires and one.valid(wall)), default=float("inf")
        )

    def _account(self, label: str, token: Token | None) -> Account:
        plan = self._rules.plans[self._rules.plan if token is None else token.plan]
        if token is None and plan is UNLIMITED:
            label = ""  # one for all: there is nothing to count
        account = self._accounts.get(label)
        if account is None:
            account = self._accounts[label] = Account(plan, self._rules.day_reset)
            if len(self._accounts) > MOST_ACCOUNTS and token is None:
                self._drop_oldest()
        elif token is None:
            self._accounts.move_to_end(label)
        return account

    def _drop_oldest(self) -> None:
        for label, account in self._accounts.items():
            if not account.in_use:
                self._forgotten.add(account)
                del self._accounts[label]
                return
