"""A WebSocket session of the protocol, without sockets: messages and a time in, answers out.

Section 2. The session knows what a request means and what is answered to it; carrying out what it
asks for (to push or to stop pushing) is its owner's work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple, Protocol, TypeAlias

import msgspec

from ..model import ALIASES, Catalogue, Family, Instrument, Kind
from .deviation import Deviation, Report
from .flags import Flags
from .items import MOST_ITEMS, ChangeData, Header, Item, ResumeData, ResumeItem, State
from .messages import (
    CANCELS,
    EXTENSIONS_FROM,
    PUSH_COMMANDS,
    CancelData,
    Command,
    DepthSymbol,
    DepthSymbolList,
    KlineQuery,
    KlineSymbol,
    KlineSymbolList,
    Nothing,
    Response,
    Symbol,
    SymbolList,
    to_json,
)
from .reader import Reader, Request
from .replays import ControlData, ReplayData
from .ret import (
    CODE_INVALID,
    CODE_UNAUTHORIZED,
    DATA_INVALID,
    HEADER_INVALID,
    LEVEL_TOO_LOW,
    OK,
    TOO_FAST,
    TOO_FAST_CLOSED,
    Refused,
    Ret,
)
from .wanted import ANY, matches

HEARTBEAT_TIMEOUT = 30.0
"""Seconds after which a connection is closed from which nothing came that counts as a heartbeat."""
LATE_HEARTBEAT = 15.0
"""Seconds between two heartbeats from which on they count as late: one is due every 10."""
MOST_TOO_FAST, TOO_FAST_WINDOW = 3, 10.0
"""So many subscriptions that came too fast, in so many seconds, end a connection (606)."""
POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
SUBSCRIPTIONS: dict[int, tuple[Kind, type[SymbolList | DepthSymbolList | KlineSymbolList]]] = {
    Command.TRADE: (Kind.TRADE, SymbolList),
    Command.DEPTH: (Kind.DEPTH, DepthSymbolList),
    Command.KLINE: (Kind.KLINE, KlineSymbolList),
    Command.CORRECTION: (Kind.CORRECTION, SymbolList),
}
"""What is subscribed to by which request, and the shape of its data."""


class Want(NamedTuple):
    """An instrument that a client asked for, under the name it used.

    `levels` is how many levels of the book it gets at the most, `kline_type` which bars; 0 where there is
    neither.
    """

    name: str
    instrument: Instrument
    levels: int = 0
    kline_type: int = 0


class Sought(NamedTuple):
    """A code that a client asked for and nobody knows yet: upstream is being asked about it.

    `depth` is how many levels were asked for, None or 0 for all; `kline_type` as for Want.
    """

    name: str
    depth: int | None = None
    kline_type: int = 0

    def want(self, instrument: Instrument) -> Want:
        """What is asked for, now that the instrument is known."""
        return want_of(self.name, instrument, self.depth, self.kline_type)


class Pattern(NamedTuple):
    """The codes that a client asked for by a name with `*` in it, each of which stands for any text. `depth`
    and `kline_type` as for Sought."""

    name: str
    depth: int = 0
    kline_type: int = 0

    def means(self, instrument: Instrument) -> bool:
        """Whether an instrument is one of them."""
        return matches(self.name, instrument.code)

    def want(self, instrument: Instrument) -> Want:
        """What is asked for of one of them."""
        return want_of(instrument.code, instrument, self.depth, self.kline_type)


def want_of(name: str, instrument: Instrument, depth: int | None, kline_type: int) -> Want:
    """What is asked for of an instrument, see `Sought`."""
    return Want(name, instrument, min(depth or instrument.levels, instrument.levels), kline_type)


class Subscribe(NamedTuple):
    """The client's list of that kind is replaced by these, each of which stands in it once; `sought` are to
    join it once it is known what they are."""

    kind: Kind
    wants: tuple[Want, ...]
    sought: tuple[Sought, ...] = ()


class Cancel(NamedTuple):
    """The client's lists of these kinds end."""

    kinds: tuple[Kind, ...]


class WatchStatus(msgspec.Struct, frozen=True):
    """The client is told how the sources are: all of them now, and each that changes."""


class ForgetStatus(msgspec.Struct, frozen=True):
    """The client is told so no more."""


class FollowStates(NamedTuple):
    """The client is told what these do, in place of those before, and each time that it changes."""

    wants: tuple[Want, ...]


class ForgetStates(msgspec.Struct, frozen=True):
    """The client is told so no more."""


class Entry(NamedTuple):
    """An item that is to join a list: what it means, or else why it cannot be taken."""

    item: Item
    what: Want | Sought | Pattern | State


class Change(NamedTuple):
    """These leave the client's lists, then those join them; it is answered what became of each."""

    header: Header
    removed: tuple[Item, ...]
    added: tuple[Entry, ...]


class Resume(NamedTuple):
    """The client has these up to a position each, and goes on from there; it is answered what became of
    each."""

    header: Header
    items: tuple[tuple[ResumeItem, Want | Sought | State], ...]


class Replay(NamedTuple):
    """The client is given what was recorded of these; it is answered what becomes of each."""

    header: Header
    asked: ReplayData
    items: tuple[Entry, ...]


class ControlReplay(NamedTuple):
    """The client's replay changes."""

    header: Header
    asked: ControlData


class SetOptions(NamedTuple):
    """The client says something else of the connection."""

    header: Header
    flags: Flags


class ListItems(NamedTuple):
    """The client is told what it is subscribed to."""

    header: Header


class Hello(NamedTuple):
    """The client is told who the server is, and what it offers."""

    header: Header


class Close(NamedTuple):
    """The connection is closed."""

    code: int
    reason: str


class Ask(NamedTuple):
    """Before a request is decided it is to be asked whether a subscription of that number may pass."""

    cmd_id: int


Decision: TypeAlias = (
    Subscribe
    | Cancel
    | WatchStatus
    | ForgetStatus
    | FollowStates
    | ForgetStates
    | Change
    | Resume
    | Replay
    | ControlReplay
    | SetOptions
    | ListItems
    | Hello
    | Close
    | Ask
)
BARE: dict[int, Decision | None] = {
    Command.HEARTBEAT: None,
    Command.KLINE_CANCEL: Cancel((Kind.KLINE,)),
    Command.CORRECTION_CANCEL: Cancel((Kind.CORRECTION,)),
    Command.STATUS: WatchStatus(),
    Command.STATUS_CANCEL: ForgetStatus(),
    Command.STATES_CANCEL: ForgetStates(),
}
"""What requests without data lead to."""
ANSWERED = Change, Resume, Replay, ControlReplay, SetOptions, ListItems, Hello
"""Decisions that are answered by who carries them out."""
Asked: TypeAlias = Symbol | DepthSymbol | KlineSymbol | KlineQuery


class Answer(NamedTuple):
    """What a request leads to: the JSON that answers it, empty if the decision does; what is not as
    documented in it; and a decision to carry out, if any."""

    reply: bytes
    noted: Report
    decision: Decision | None = None


class MustAsk(Exception):
    """Whether a request may pass is not known here."""


class Permit(Protocol):
    """What a client's token allows it."""

    def answer(self, cmd_id: int) -> Ret | None:
        """What a request is answered with before anything else is looked at; None to look at it."""
        ...

    def subscribe(self, cmd_id: int, now: float) -> bool | None:
        """Whether a subscription may pass; False if the one before was too short ago, None if that is to be
        asked elsewhere."""
        ...

    def seek(self, family: Family, name: str) -> Ret | None:
        """Has upstream asked about a code that is not known; returns why that cannot be, None if it can."""
        ...

    def objection(self, instrument: Instrument) -> Ret | None:
        """Why the client gets nothing of an instrument (600, 604); None if it may have it."""
        ...

    def select(self, kind: Kind, wants: tuple[Want | Sought, ...]) -> tuple[Want | Sought, ...]:
        """Those of a subscription that the client gets. Raises Refused if that is none (600, 603, 604)."""
        ...


class Dialect(NamedTuple):
    """How the server speaks: settings of the same names."""

    strict_protocol: bool = False
    legacy_string_ids: bool = False


def known(
    catalogue: Catalogue,
    family: Family,
    symbols: Sequence[Asked],
    noted: Report,
    *,
    strict: bool,
    seek: Callable[[str], Ret | None],
) -> tuple[Want | Sought, ...]:
    """The instruments among those asked for, each once, in order, and what upstream is asked about: `seek`
    has that done, or says why not. Raises Refused if there is none.

    Sections 2 and 3: unknown codes are dropped; 600 if none is left. `strict` knows no aliases and
    refuses what stands twice.
    """
    wants: dict[tuple[str, int], Want | Sought] = {}
    refusals: dict[str, Ret | None] = {}  # of what is not known here
    other = Family.OTHER if family is Family.STOCK else Family.STOCK
    odd: dict[Deviation, list[str]] = {}
    for symbol in symbols:
        name = symbol.code
        kline_type = symbol.kline_type if isinstance(symbol, (KlineSymbol, KlineQuery)) else 0
        depth = symbol.depth_level if isinstance(symbol, DepthSymbol) else None
        instrument = catalogue.find(family, name, aliases=not strict)
        if (name, kline_type) in wants:
            odd.setdefault(Deviation.DUPLICATE_CODE, []).append(name)
        elif instrument is not None:
            wants[name, kline_type] = want_of(name, instrument, depth, kline_type)
        else:
            if name not in refusals:
                refusals[name] = seek(name)
            if refusals[name] is None:
                wants[name, kline_type] = Sought(name, depth, kline_type)
        if name in ALIASES:
            odd.setdefault(Deviation.ALIAS, []).append(name)
        elif instrument is None and refusals[name] == CODE_INVALID:
            elsewhere = catalogue.find(other, name, aliases=False) is not None
            odd.setdefault(Deviation.OTHER_FAMILY if elsewhere else Deviation.UNKNOWN_CODE, []).append(name)
    for deviation, names in odd.items():
        noted.note_each(deviation, names)
    if strict and Deviation.DUPLICATE_CODE in odd:
        raise Refused(DATA_INVALID)
    if not wants:
        others = (ret for ret in refusals.values() if ret is not None and ret != CODE_INVALID)
        raise Refused(next(others, CODE_INVALID))
    return tuple(wants.values())


class Session:
    """One client's conversation. `now` is in seconds of any monotonic clock, always the same one."""

    def __init__(
        self,
        family: Family,
        catalogue: Catalogue,
        now: float,
        dialect: Dialect,
        permit: Permit,
        report: Report,
    ) -> None:
        """`report` counts what is not as documented."""
        self.family = family
        self.catalogue = catalogue
        self.dialect = dialect
        self.report = report
        self.extended = False
        """Whether the client has sent a request that is no vendor's."""
        self.marked = False
        """Whether it has sent one by which it says that it knows positions: its bars say the last trade that
        they count."""
        self._permit = permit
        self._too_fast: tuple[float, ...] = ()  # when the last ones came
        self._granted: bool | None = None  # whether what is decided may pass, where that was asked
        self._reader = Reader(dialect.strict_protocol)
        self._last_heartbeat = self._last_request = now

    def overdue(self, now: float) -> bool:
        """Whether the connection must be closed with 1008, `heartbeat timeout`."""
        return now - self._last_heartbeat >= HEARTBEAT_TIMEOUT

    def forgive(self, now: float) -> None:
        """A heartbeat that comes now is in time, however late it is."""
        self._last_heartbeat = self._last_request = now

    def ping(self, now: float) -> None:
        """A protocol-level ping came. Two of the vendor's examples send nothing else."""
        if now - self._last_request > LATE_HEARTBEAT:
            self.report.note(Deviation.PING_FOR_HEARTBEAT)
        if not self.dialect.strict_protocol:
            self._last_heartbeat = now

    def receive(self, text: bytes, now: float, *, granted: bool | None = None) -> Answer:
        """A text frame came. Never raises: whatever it holds is answered; or nothing follows but Ask. Then it
        comes again, with what was `granted`."""
        noted = Report()
        self._granted = granted
        request = self._reader.request(text, noted)
        ret, decision, forced = OK, None, False
        try:
            if request.refusal is not None:
                raise Refused(request.refusal)
            if granted is None and (answer := self._permit.answer(request.cmd_id)) is not None:
                forced = True  # what is wrong is not the request
                raise Refused(answer)
            decision = self._decide(request, now, noted)
        except MustAsk:
            return Answer(b"", noted, Ask(request.cmd_id))
        except Refused as refused:
            ret = refused.ret
            if ret == TOO_FAST_CLOSED:
                decision = Close(POLICY_VIOLATION, TOO_FAST.msg)
        except msgspec.ValidationError:
            ret = DATA_INVALID
        if forced or ret not in (HEADER_INVALID, DATA_INVALID):
            if now - self._last_heartbeat > LATE_HEARTBEAT:
                noted.note(Deviation.LATE_HEARTBEAT)
            self._last_heartbeat = self._last_request = now
        self.extended = self.extended or (request.cmd_id >= EXTENSIONS_FROM and ret != HEADER_INVALID)
        self.marked = self.marked or isinstance(decision, (Change, Resume))
        self.report.add(noted)
        if isinstance(decision, ANSWERED):
            return Answer(b"", noted, decision)
        number = request.cmd_id + 1
        if number in PUSH_COMMANDS:  # an error must not look like one
            number = 0
        response = Response(ret.code, ret.msg, number, request.seq_id, request.trace, {})
        return Answer(to_json(response), noted, decision)

    def _decide(self, request: Request, now: float, noted: Report) -> Decision | None:
        cmd_id, data = request.cmd_id, request.data
        if (subscription := SUBSCRIPTIONS.get(cmd_id)) is not None:
            kind, shape = subscription
            symbols = self._reader.data(data, shape, noted).symbol_list
            return self._subscribe(cmd_id, kind, symbols, now, noted)
        if cmd_id == Command.STATES:
            return self._follow(self._reader.data(data, SymbolList, noted).symbol_list, noted)
        if cmd_id in BARE:
            self._reader.data(data, Nothing, noted)
            return BARE[cmd_id]
        if cmd_id == Command.CANCEL:
            return Cancel(CANCELS[self._reader.data(data, CancelData, noted).cancel_type])
        header = Header(cmd_id, request.seq_id, request.trace)
        if cmd_id == Command.CHANGE:
            return self._change(header, self._reader.data(data, ChangeData, noted), now, noted)
        if cmd_id == Command.RESUME:
            self._space(cmd_id, now, noted)
            items = self._reader.data(data, ResumeData, noted).items
            return Resume(header, tuple((one, self._meant(one)) for one in items))
        if cmd_id == Command.REPLAY:
            self._space(cmd_id, now, noted)
            asked = self._reader.data(data, ReplayData, noted)
            return Replay(
                header, asked, tuple(Entry(one, self._meant(one, seek=False)) for one in asked.items)
            )
        if cmd_id == Command.REPLAY_CONTROL:
            return ControlReplay(header, self._reader.data(data, ControlData, noted))
        if cmd_id == Command.OPTIONS:
            return SetOptions(header, self._reader.data(data, Flags, noted))
        if cmd_id in (Command.HELLO, Command.LIST):
            self._reader.data(data, Nothing, noted)
            return Hello(header) if cmd_id == Command.HELLO else ListItems(header)
        asks = any(data.values()) if isinstance(data, dict) else data  # a heartbeat asks for nothing
        noted.note(Deviation.UNKNOWN_COMMAND if asks else Deviation.HEARTBEAT_NUMBER, str(cmd_id))
        raise Refused(HEADER_INVALID)

    def _subscribe(
        self, cmd_id: int, kind: Kind, symbols: Sequence[Asked], now: float, noted: Report
    ) -> Subscribe:
        self._space(cmd_id, now, noted)
        strict, seek = self.dialect.strict_protocol, partial(self._permit.seek, self.family)
        asked = known(self.catalogue, self.family, symbols, noted, strict=strict, seek=seek)
        found: tuple[Want | Sought, ...] = ()
        try:
            found = self._permit.select(kind, asked)
        finally:
            if left := len(asked) - len(found):
                noted.note(Deviation.CODES_LEFT_OUT, count=left)
        wants = tuple(one for one in found if isinstance(one, Want))
        return Subscribe(kind, wants, tuple(one for one in found if isinstance(one, Sought)))

    def _follow(self, symbols: Sequence[Symbol], noted: Report) -> FollowStates:
        """Of those that are known; upstream is asked about none."""
        if len(symbols) > MOST_ITEMS:
            raise Refused(LEVEL_TOO_LOW)
        strict = self.dialect.strict_protocol
        found = known(self.catalogue, self.family, symbols, noted, strict=strict, seek=lambda _: CODE_INVALID)
        wants = {one: self._permit.objection(one.instrument) for one in found if isinstance(one, Want)}
        allowed = tuple(one for one, objection in wants.items() if objection is None)
        if not allowed:
            raise Refused(CODE_UNAUTHORIZED if CODE_UNAUTHORIZED in wants.values() else CODE_INVALID)
        return FollowStates(allowed)

    def _space(self, cmd_id: int, now: float, noted: Report) -> None:
        """Raises Refused if the request before of that number was too short ago."""
        granted = self._permit.subscribe(cmd_id, now) if self._granted is None else self._granted
        if granted is None:
            raise MustAsk
        if not granted:
            noted.note(Deviation.TOO_FAST, str(cmd_id))
            self._too_fast = (*self._too_fast, now)[-MOST_TOO_FAST:]
            again = len(self._too_fast) == MOST_TOO_FAST and now - self._too_fast[0] < TOO_FAST_WINDOW
            raise Refused(TOO_FAST_CLOSED if again else TOO_FAST)

    def _change(self, header: Header, data: ChangeData, now: float, noted: Report) -> Change:
        self._space(header.cmd_id, now, noted)
        return Change(header, tuple(data.remove), tuple(map(self._entry, data.add)))

    def _entry(self, item: Item) -> Entry:
        if ANY in item.code:
            return Entry(item, Pattern(item.code, item.depth_level, item.kline_type))
        return Entry(item, self._meant(item))

    def _meant(self, item: Item, *, seek: bool = True) -> Want | Sought | State:
        """What an item means, or why it cannot be taken; with `seek` upstream is asked where it is not known
        here."""
        instrument = self.catalogue.find(self.family, item.code, aliases=not self.dialect.strict_protocol)
        if instrument is not None:
            if (ret := self._permit.objection(instrument)) is not None:
                return "unauthorized" if ret == CODE_UNAUTHORIZED else "unknown"
            return want_of(item.code, instrument, item.depth_level, item.kline_type)
        if not seek:
            return "unknown"
        if (ret := self._permit.seek(self.family, item.code)) is None:
            return Sought(item.code, item.depth_level, item.kline_type)
        return "unknown" if ret == CODE_INVALID else "over_limit"
