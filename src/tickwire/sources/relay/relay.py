"""The relay: one upstream account, shared by all who are connected here."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import suppress
from functools import partial
from random import Random

import structlog

from ...client import Backoff, ClientError, Clock, Http, Network, Options, Pacer
from ...client.clock import sleep
from ...errors import SourceError
from ...model import (
    MAX_DECIMALS,
    Catalogue,
    Correction,
    Entrance,
    Event,
    Family,
    Instrument,
    Kind,
    Kline,
    KlineType,
    KlineUpdate,
    Room,
    UpstreamUse,
    family_of,
    looks_like,
)
from ...wire import Refusal, Ret, StaticInfo
from ..health import Health
from ..judge import Judge
from ..source import Snapshot, Source, Yielded
from .answers import FINAL, MOST_CODES, Answer, Answers
from .demand import Demand, Group, UpstreamPlan
from .finder import Finder
from .inquiry import Found, Inquiry, share
from .learning import is_finer, named, widened
from .line import Line, Shared
from .market_time import MarketTime
from .origin import Origin
from .standing import Standing
from .statics import Statics
from .token_file import Secret
from .upstream_history import UpstreamHistory

BEAT = 1.0
"""Seconds between looks at what has lapsed, is silent or has changed."""
IDLE = 30.0
"""Seconds after which a connection is closed that has nothing to subscribe to."""
QUIET = Options(backoff=Backoff(most=4.0), unauthorized_pause=30.0)
"""Clients wait for upstream's return, so pauses are short; a refused token stays one until it is changed."""
HTTP_TIMEOUT = 10.0
"""Seconds that an answer over HTTP may take."""
KLINE_TIMEOUT = 45.0
"""Seconds that bars may take: an upstream that is a relay itself waits for its turn."""
BATCH = 200
"""Events after which the event loop gets its turn."""
log = structlog.get_logger()


class Relay(Source):
    """Trades and books of another server of the protocol.

    A code that the catalogue lacks is asked for upstream (`finder`), and learned if it is there.
    It subscribes to what clients and `keep` want, and to nothing else. Everything that upstream limits is
    kept to; what it refuses, breaks or leaves out ends up in `health`, and never ends the stream.
    """

    live = True
    limited = True

    def __init__(
        self,
        catalogue: Catalogue,
        url: str,
        *,
        token: Callable[[], str],
        name: str = "alltick",
        plan: UpstreamPlan | None = None,
        keep: Iterable[str] = (),
        silence: float = 60.0,
        probe: bool = False,
        network: Network | None = None,
        options: Options | None = None,
        clock: Clock,
        wall: Callable[[], int],
        dice: Random,
    ) -> None:
        """`url` is that of the server, such as http://127.0.0.1:8600. `token` gives the token of the moment;
        if it has a method `changed`, as a TokenFile has, that is asked every second whether it is another
        one. `keep` are codes that are always subscribed to, those that are to be learned included. After
        `silence` seconds without an event (0: never), while one of its markets is open, a connection is
        opened again. `probe` asks whether upstream is a Tickwire, and its data made up; it is then asked for
        changes of lists, and after a cut for what was missed. The plan sets the spacing and the codes of
        `options`, and `network` goes before theirs. `wall` is in milliseconds since the epoch. Raises
        ValueError for a URL or a network that is none.
        """
        plan = plan or UpstreamPlan()
        self.name = name
        self.health = Health(wall=wall, upstream=self.use)
        self._catalogue = catalogue = catalogue.copy()  # what is learned here, other sources do not have
        self._token = token
        self._secret = Secret(token)
        self._clock = clock
        self._wake = asyncio.Event()
        self._judge = Judge(name, Entrance.RELAY, catalogue, self.health, self._widen)
        self._learned: Callable[[Instrument], None] = lambda _: None
        keep = [*keep]
        self._kept_unknown = {code for code in keep if not self._knows(code)}
        self._time = MarketTime(clock, wall, catalogue, self._wake.set)
        self._dirty = True
        self._out: deque[Yielded] = deque()
        self._rounded: set[str] = set()  # learned codes of which the log has said so
        self._crowded_out: set[str] = set()  # codes of which the log has said so
        self._most_connections = plan.connections
        self._lines: dict[tuple[Family, int], Line] = {}
        self._demand = Demand(catalogue, keep, plan)
        self.codes: Collection[str] = self._demand.codes
        network = network or Network()
        network.check()
        paced = partial(Pacer, clock=clock, wall=lambda: wall() / 1000)
        self._pacer = paced(plan.rates)
        asking = partial(Http, url, self._secret, pacer=self._pacer, network=network)
        self._http, self._slow_http = asking(timeout=HTTP_TIMEOUT), asking(timeout=KLINE_TIMEOUT)
        https = self._http, self._slow_http
        self._standing = Standing(
            name, self._lines, https, self._judge, self._time, self._secret, self._wake.set
        )
        self._origin = Origin(url, network, self._lines, self._time, asks=probe)
        self._answers = Answers(self._http, plan.http_codes, self._clock, name, self._answered)
        most = plan.http_codes or MOST_CODES
        inquiry = Inquiry(self._http, paced(share(plan.rates)), name, self._origin.is_tickwire)
        self.finder = Finder(inquiry, most, self._clock, name, self._found, self._named, self._answered_http)
        self.statics = Statics(self._http, most, self._clock, self._answered_http)
        self.history = UpstreamHistory(self._slow_http, self._judge, self._read, self._secret.plain)
        self._shared = Shared(
            url=url,
            secret=self._secret,
            options=plan.options(options or QUIET)._replace(
                network=network, latest=self._time.believed, extended=probe
            ),
            requests={family: plan.subscriptions() for family in Family},
            connections=plan.connects(),
            time=self._time,
            dice=dice,
            judge=self._judge,
            silence=silence,
            arrived=self._wake.set,
        )

    # What the engine asks.
    @property
    def simulated(self) -> bool:
        """Whether upstream says that its data is made up."""
        return self._origin.simulated

    @property
    def round_the_clock(self) -> bool:
        """Whether upstream says that its markets keep no hours."""
        return self._time.round_the_clock

    def market_time(self) -> int:
        """The time where the events come from: upstream's, see UpstreamClock."""
        return self._time.read()

    def serves(self, instrument: Instrument) -> bool:
        """All of the catalogue, but for what upstream has refused."""
        code = instrument.code
        return code in self._catalogue and self.finder.refusal(instrument.family, code) is None

    def room(self, kind: Kind, codes: Collection[str]) -> Collection[str]:
        """What upstream's plan leaves room for; codes without a book need none for it."""
        found, crowded_out = self._demand.room(kind, codes)
        if left := crowded_out - self._crowded_out:
            self._crowded_out |= left
            log.warning(
                "the upstream plan has no room",
                source=self.name,
                kind=kind.name.lower(),
                codes=len(left),
                first=sorted(left)[:3],
            )
        return found

    def rooms(self) -> Iterable[Room]:
        """What `room` goes by."""
        return self._demand.rooms(self.name)

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        """See Source. A subscription lasts for a minute and a half; a request over HTTP counts for five."""
        now = self._clock.time()
        if subscribed:
            soon = self._demand.renew(kind, codes, now)
        else:
            soon = [
                code
                for group, code, refused in self._demand.ask(kind, codes, now)
                if kind is not Kind.KLINE and self._ask(group, code, refused=refused)
            ]
        self._change()
        return () if kind is Kind.KLINE else soon

    def _ask(self, group: Group, code: str, *, refused: bool) -> bool:
        """Asks upstream how a code stands, unless that is known or it was refused. Returns whether an answer
        will come."""
        if self._is_live(group, code):
            return False
        # What was refused for want of room may be had over HTTP.
        gone = refused and self._answers.has_none(group, code)
        if self._answers.asks(group, code) if gone else self._answers.ask(group, code):
            return True
        # What was just answered may be on its way still.
        return any(isinstance(one, Snapshot) and one[:2] == (group[1], code) for one in self._out)

    def unanswered(self, kind: Kind, instruments: Iterable[Instrument]) -> dict[str, Ret | None]:
        """The codes of those that were asked for over HTTP without being told how they stand, each with what
        upstream refused it with, if it did."""
        return self._answers.failures(kind, instruments)

    def learn(self, instrument: Instrument) -> None:
        """Knows an instrument that the catalogue lacks; one that is known stays as it is."""
        if self._knows(instrument.code):
            return
        self._catalogue.add(instrument)
        self.finder.learned += 1
        if instrument.family is Family.STOCK and not (
            instrument.name_en or instrument.name_cn or instrument.name_hk
        ):
            self.finder.name(instrument.code)
        self._learned(instrument)
        if instrument.code in self._kept_unknown:
            self._kept_unknown.discard(instrument.code)
            self._demand.keep(instrument.code)
            self._change()

    def attend(
        self,
        *,
        learned: Callable[[Instrument], None],
        awaited: Callable[[Family, str], Collection[str]],
    ) -> None:
        """From now on `learned` is called with each instrument that is new, or known in other numbers by now,
        before anything of it is yielded; `awaited` tells who waits for a code."""
        self._learned, self.finder.awaited = learned, awaited

    def use(self) -> UpstreamUse:
        """What is used of the account."""
        opened = Counter(line.family for line in self._lines.values() if line.open)
        return UpstreamUse(
            tuple(self._pacer.quotas()),
            self._pacer.waiting,
            tuple(self._demand.in_use()),
            {family: opened[family] for family in Family},
            self._most_connections,
        )

    # The stream.
    async def events(self) -> AsyncIterator[Yielded]:
        """The stream; it never ends."""
        self._say_what_has_no_room()
        for code in sorted(self._kept_unknown):  # what is it?
            if looks_like(family := family_of(code), code):
                with suppress(SourceError):  # which has been said
                    self.finder.seek(family, code)
        self._change()
        beside = [
            asyncio.create_task(one)
            for one in (
                self._standing.greet(self._http, self._clock),
                self._keep_up(),
                self._time.find(),
                self._answers.run(),
                self.finder.run(),
                self.statics.run(),
            )
        ]
        if (changed := getattr(self._token, "changed", None)) is not None:
            beside.append(asyncio.create_task(self._watch_token(changed)))
        if self._origin.asks:
            beside.append(asyncio.create_task(self._origin.watch()))
        for task in beside:
            task.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                for task in beside:
                    if task.done():
                        task.result()
                self._arrange()
                self._hear()
                count = 0
                while self._out:
                    yield self._out.popleft()
                    count += 1
                    if count % BATCH == 0:
                        await asyncio.sleep(0)
        finally:
            self.finder.report(last=True)
            for task in beside:
                task.cancel()
            closing = [line.close() for line in self._lines.values()]
            await asyncio.gather(*beside, *closing, return_exceptions=True)
            await self._http.close()
            await self._slow_http.close()

    def _change(self) -> None:
        """Something else is wanted."""
        self._dirty = True
        self._wake.set()

    def _arrange(self) -> None:
        """Subscribes to what is wanted."""
        if not self._dirty:
            return
        self._dirty = False
        for (family, kind), moves in self._demand.arrange():
            for number, code in moves.left:
                self._out += self._line(family, number).remove(kind, code)
            for number, code in moves.came:
                self._line(family, number).add(kind, code)
        for line in self._lines.values():
            line.start()

    def _line(self, family: Family, number: int) -> Line:
        line = self._lines.get((family, number))
        if line is None:
            line = self._lines[family, number] = Line(family, number, self._shared)
        return line

    def _hear(self) -> None:
        """Takes what has come over all connections."""
        for line in self._lines.values():
            for one in line.hear():
                if not isinstance(one, Refusal):
                    self._out.append(one)
                elif one.again is None:
                    codes = [key for key in one.keys if isinstance(key, str)]
                    self._refuse((line.family, one.kind), codes, one.ret)
            if line.reception.agreed:
                self._time.spoke()
        self._standing.tell()

    def _refuse(self, group: Group, codes: Collection[str], ret: int) -> None:
        """Upstream will not push these."""
        self._demand.refuse(group, codes, self._clock.time())
        self._change()
        if ret in FINAL:
            self._doubt(group[0], codes)

    def _doubt(self, family: Family, codes: Iterable[str]) -> None:
        """Upstream refuses something of these: it is asked whether it has them at all."""
        for code in codes:
            known = self._is_live((family, Kind.TRADE), code) or self.finder.refusal(family, code)
            if not known:
                self._answers.ask((family, Kind.TRADE), code)

    # Beside it.
    async def _keep_up(self) -> None:
        while True:
            now = self._clock.time()
            self._demand.lapse(now)
            self.finder.report()
            for line in [*self._lines.values()]:
                if line.is_silent():
                    self._standing.tell()
                    line.reconnect("nothing came although its markets are open")
                await line.keep(IDLE)
            self._change()
            await sleep(self._clock, BEAT)

    async def _watch_token(self, changed: Callable[[], bool]) -> None:
        while True:
            if await asyncio.to_thread(changed):
                log.info("token changed", source=self.name)
                for line in self._lines.values():
                    line.reconnect("the token was changed")
            await sleep(self._clock, BEAT)

    # What no catalogue has.
    def _knows(self, code: str) -> bool:
        return any(self._catalogue.find(family, code) for family in Family)

    def _found(self, family: Family, found: Found) -> None:
        """Upstream said what codes are, and of some of them what was traded last."""
        without_room = [*self._demand.left_out()]
        for instrument in found.instruments:
            self.learn(instrument)
        if [*self._demand.left_out()] != without_room:
            self._say_what_has_no_room()
        if found.trades:
            codes = tuple(dict.fromkeys(one.event.code for one in found.trades))
            self._answers.tell(Answer((family, Kind.TRADE), codes, found.trades))

    def _widen(self, instrument: Instrument, shown: Event | Kline) -> Instrument:
        """A learned instrument is known in all decimals and levels that it is shown in."""
        wider = widened(instrument, shown)
        code, decimals = wider.code, (wider.price_decimals, wider.volume_decimals)
        if MAX_DECIMALS in decimals and code not in self._rounded and is_finer(shown):
            self._rounded.add(code)
            log.warning("upstream has more decimals than are kept", source=self.name, code=code)
        if wider is not instrument:
            self._redefine(wider)
        return wider

    def _named(self, infos: Iterable[StaticInfo]) -> None:
        """Upstream said what stocks are called."""
        for info in infos:
            known = self._catalogue.find(Family.STOCK, info.symbol)
            if known is not None and known.learned and (one := named(known, info)) != known:
                self._redefine(one)

    def _redefine(self, instrument: Instrument) -> None:
        self._catalogue.redefine(instrument)
        self._learned(instrument)

    # What comes over HTTP.
    def _answered(self, answer: Answer) -> None:
        """Tells how codes stand; nobody waits in vain for those of which nothing is known."""
        _, kind = answer.group
        shown: dict[str, Event] = {}
        for pushed in answer.events:
            event = pushed.event
            if isinstance(event, KlineUpdate | Correction) or event.code not in answer.codes:
                continue
            if self._judge.passes(event) and self._time.stood(event.code, event.time):
                shown[event.code] = event
        self._out += (Snapshot(kind, code, shown.get(code)) for code in answer.codes)
        if answer.error is not None and answer.error.ret in FINAL:
            gone = [one for one in answer.codes if not self._is_live(answer.group, one)]
            self._demand.refuse(answer.group, gone, self._clock.time())
            family, kind = answer.group
            if kind is Kind.TRADE:
                self.finder.refuse(family, gone, answer.error.ret)
            else:
                self._doubt(family, gone)
            self._dirty = True
        self.health.unanswered = self._answers.failed
        if answer.asked:
            self._answered_http(answer.error)

    async def _read(
        self, instrument: Instrument, kline_type: KlineType, last: Kline | None, error: ClientError | None
    ) -> int:
        """Bars were read, up to now if there is a last one. Returns when the market's time is known, without
        which nobody can tell which of them are over: the later of that and ours. Raises SourceError."""
        self._answered_http(error)
        if error is not None:
            if error.ret in FINAL:
                self._doubt(instrument.family, [instrument.code])
            return 0
        if last is not None and kline_type <= KlineType.HOURS_4:
            self._time.stood(instrument.code, last.time * 1000)
        if not await self._time.known():
            raise SourceError(f"No bars of {instrument.code}: upstream has not said what its time is")
        return max(self._time.read(), self._time.wall())

    def _answered_http(self, error: ClientError | None) -> None:
        if error is None:
            self._time.spoke()
        self._standing.answered(error)

    def _is_live(self, group: Group, code: str) -> bool:
        """Whether what was shown last of a stream is up to date."""
        number = self._demand.place(group, code)
        line = None if number is None else self._lines.get((group[0], number))
        return line is not None and line.reception.live(group[1], code)

    def _say_what_has_no_room(self) -> None:
        for (family, kind), codes in self._demand.left_out():
            log.warning(
                "the upstream plan has no room for all codes of the settings",
                source=self.name,
                family=str(family),
                kind=kind.name.lower(),
                without=len(codes),
            )
