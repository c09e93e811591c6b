"""The trades of the last minutes, as they count in the bars: of them a minute is made anew when one of its
trades was not as it had been told.

What comes is only packed, for most of it is never asked for. The minutes are made of it from the first
correction on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from decimal import Decimal

import msgspec

from ..model import Catalogue, Correction, KlineType, Trade
from .bar import OpenBar
from .grid import Grid
from .taped_minute import Item, TapedMinute

MOST = 250_000
"""Trades that are kept, some 25 MB, and as much again once one was corrected; of more the oldest go. A
correction counts as CORRECTION of them."""
CORRECTION = 5
SECONDS = 3600
"""How long before the latest trade of its code a minute may begin that can be made anew."""
KEPT = 7200.0
"""Seconds that what goes to the disk is kept at most."""
ROLL = 512
"""Trades that are packed as one, at most."""
BEHIND = 8
"""Rolls whose trades may be put into their minutes at once: some milliseconds."""
LATE = -1
"""In place of the `seq` of a trade: it counts in no bar."""


class Rolled(msgspec.Struct, array_like=True, gc=False):
    """Trades in the order in which they came, a list for each field; behind them corrections, each with who
    it is from.

    `publishers` is one if it is the same for all; of `codes` there is a table, and a place in it for each.
    Times, and what is above 0 of `seqs` and `numbers`, count from `bases`. Decimals are as their texts.
    """

    publishers: list[str]
    table: list[str]
    bases: tuple[int, int, int]
    seqs: list[int]
    codes: list[int]
    times: list[int]
    prices: list[str]
    volumes: list[str]
    turnovers: list[str]
    directions: list[int]
    numbers: list[int]
    corrections: list[tuple[str, Correction]]

    @classmethod
    def of(
        cls,
        trades: list[Trade],
        seqs: list[int],
        publishers: list[str],
        corrections: list[tuple[str, Correction]],
    ) -> Rolled:
        """What these make: for each trade there is a `seq`, and a publisher."""
        times, numbers = [one.time for one in trades], [one.source_seq for one in trades]
        codes = [one.code for one in trades]
        places = {code: place for place, code in enumerate(dict.fromkeys(codes))}
        time, seq, number = min(times, default=0), _base(seqs), _base(numbers)
        return cls(
            publishers[:1] if len(set(publishers)) == 1 else publishers,
            [*places],
            (time, seq, number),
            [one - seq if one > 0 else one for one in seqs] if seq else seqs,
            [places[code] for code in codes],
            [one - time for one in times],
            [one.price for one in trades],  # type: ignore[misc]  # packed they are texts
            [one.volume for one in trades],  # type: ignore[misc]
            [one.turnover for one in trades],  # type: ignore[misc]
            [one.direction for one in trades],
            [one - number if one else 0 for one in numbers] if number else numbers,
            corrections,
        )

    def rows(self) -> Iterator[tuple[str, Item]]:
        """The trades, each with who it is from."""
        publishers = self.publishers * len(self.seqs) if len(self.publishers) == 1 else self.publishers
        time, seq, number = self.bases
        items = zip(
            (one + seq if one > 0 else one for one in self.seqs),
            (self.table[place] for place in self.codes),
            (one + time for one in self.times),
            self.prices,
            self.volumes,
            self.turnovers,
            self.directions,
            (one + number if one else 0 for one in self.numbers),
            strict=True,
        )
        return zip(publishers, items, strict=True)

    def find(self, publisher: str, number: int) -> Trade | None:
        """The trade that a publisher gave that number."""
        place, wanted = -1, number - self.bases[2]
        while wanted in self.numbers[place + 1 :]:
            place = self.numbers.index(wanted, place + 1)
            if self.publishers[place if len(self.publishers) > 1 else 0] == publisher:
                texts = self.prices[place], self.volumes[place], self.turnovers[place]
                price, volume, money = map(Decimal, texts)
                code, time = self.table[self.codes[place]], self.times[place] + self.bases[0]
                return Trade(code, time, price, volume, money, self.directions[place], number)
        return None

    def numbered(self) -> dict[str, tuple[int, int]]:
        """The lowest and the highest number of each publisher's trades, of those that are not 0."""
        found, base = {}, self.bases[2]
        for publisher in {*self.publishers}:
            own = self.numbers
            if len(self.publishers) > 1:
                of = zip(self.publishers, own, strict=True)
                own = [number for one, number in of if one == publisher]
            if highest := max(own, default=0):
                lowest = min(own) or min(number for number in own if number)
                found[publisher] = lowest + base, highest + base
        return found


class Roll:
    """What was packed as one. `codes` are those of its trades, the latest of which is at `newest`, in
    seconds; `numbers` the lowest and the highest that each publisher gave them; `at` when it was packed."""

    __slots__ = ("at", "codes", "corrections", "newest", "numbers", "packed", "trades")

    def __init__(self, packed: bytes, rolled: Rolled, at: float) -> None:
        self.packed = packed
        self.at = at
        self.trades, self.corrections = len(rolled.seqs), len(rolled.corrections)
        self.codes = frozenset(rolled.table)
        self.newest = (rolled.bases[0] + max(rolled.times, default=0)) // 1000
        self.numbers = rolled.numbered()

    @property
    def weight(self) -> int:
        """How much of MOST it is."""
        return self.trades + CORRECTION * self.corrections

    def read(self) -> Rolled:
        """What is in it."""
        return _unpack(self.packed)


_pack = msgspec.json.Encoder().encode
_unpack = msgspec.json.Decoder(Rolled).decode


class Tape:
    """The trades of the last minutes of all codes of a source. Bounded in time and number.

    Of a minute there are all trades, or it cannot be made. With a `clock` what is put on it goes to the disk
    too: `rolls` gives what came since it was last asked, and `restore` takes that after a restart.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        *,
        clock: Callable[[], float] | None = None,
        live: bool = False,
        most: int = MOST,
    ) -> None:
        """`clock` is in seconds since the epoch. `live` says that trades are complete only from `began` to
        `broke`."""
        self.publisher = ""
        """Who the next trades come from."""
        self.held: Trade | None = None
        """A trade that was taken, whose turnover is known: `sent` follows."""
        self.counts = True
        """Whether it counts in the bars."""
        self.begins = 0
        """Of the minutes that begin before that, in seconds, not all trades are known."""
        self.gone_until = 0
        """Trades of minutes that begin before that, in seconds, were let go of."""
        self._catalogue = catalogue
        self._clock = clock
        self._live = live
        self._most = most
        self._trades: list[Trade] = []  # and with each its `seq`, and who it is from
        self._seqs: list[int] = []
        self._publishers: list[str] = []
        self._corrections: list[tuple[str, Correction]] = []  # behind these trades, of which there are none
        self._rolls: deque[Roll] = deque()
        self._first = 1  # the number of the first roll
        self._given = 0  # that of the last one that `rolls` gave
        self._gone: list[int] = []  # those of rolls that were given and are not kept any more
        self._searched: tuple[Roll, Rolled] | None = None  # the roll in which something was looked for last
        self._weight = 0
        self._read = 0  # the number of the last roll whose trades are in the minutes
        self._minutes: dict[str, dict[int, TapedMinute]] = {}
        self._stale = False  # whether there may be minutes that are not kept any more
        self._newest: dict[str, int] = {}  # the time of the last trade of each code, in milliseconds
        self._floors: dict[str, int] = {}  # by code, up to when trades may be gone, or are missing
        self._broken: set[str] = set()  # codes of which they may be missing now
        self._grids: dict[str, Grid] = {}

    def __len__(self) -> int:
        return len(self._trades) + sum(roll.trades for roll in self._rolls)

    @property
    def kept(self) -> bool:
        """Whether it goes to the disk."""
        return self._clock is not None

    @property
    def whole(self) -> bool:
        """Whether all trades that ever came are here."""
        return not (self.begins or self.gone_until)

    def sent(self, seq: int) -> None:
        """The trade that is held was sent under that `seq`; 0: it was not."""
        if (trade := self.held) is None:
            return
        if self._corrections:
            self._close()
        trades = self._trades
        trades.append(trade)
        self._seqs.append(seq if self.counts else LATE)
        self._publishers.append(self.publisher)
        self.held = None
        if len(trades) >= ROLL:
            self._close()

    def find(self, publisher: str, number: int) -> Trade | None:
        """The trade that a publisher gave that number, as it was published."""
        for place in range(len(self._trades) - 1, -1, -1):
            if self._trades[place].source_seq == number and self._publishers[place] == publisher:
                return self._trades[place]
        for roll in reversed(self._rolls):
            lowest, highest = roll.numbers.get(publisher, (1, 0))
            if lowest <= number <= highest:
                if self._searched is None or self._searched[0] is not roll:
                    self._searched = roll, roll.read()
                if (found := self._searched[1].find(publisher, number)) is not None:
                    return found
        return None

    def first(self, publisher: str) -> int:
        """The lowest number of the trades of a publisher that are here; 0 if there are none."""
        known = (roll.numbers[publisher][0] for roll in self._rolls if publisher in roll.numbers)
        loose = zip(self._publishers, self._trades, strict=True)
        here = (trade.source_seq for one, trade in loose if one == publisher and trade.source_seq)
        return next(known, 0) or next(here, 0)

    def minute_of(self, code: str, time: int) -> tuple[int, int]:
        """From when to when the minute is, in seconds, that a time in milliseconds belongs to. Raises
        KeyError for a code that is not known."""
        grid = self._grids.get(code)
        if grid is None:
            grid = self._grids[code] = Grid(self._catalogue[code])
        begin = grid.open_time(KlineType.MINUTE, time // 1000)
        return begin, grid.end(KlineType.MINUTE, begin)

    def keeps(self, code: str, begin: int) -> bool:
        """Whether all that came of that minute is here."""
        floor = self._floors.get(code)
        if self._live and (floor is None or code in self._broken):
            return False
        return begin >= max(self.begins, floor or 0, self._newest.get(code, 0) // 1000 - SECONDS)

    def correct(self, correction: Correction) -> int | None:
        """Corrects a trade. Returns the `seq` that it was sent under; None if its minute is not kept, or it
        did not count."""
        if self._trades:
            self._close()
        self.catch_up()
        self._corrections.append((self.publisher, correction))
        return self._correct(correction)

    def bar(self, code: str, begin: int) -> OpenBar | None:
        """The minute of a code that begins then, made of its trades; None if none is left. Raises KeyError if
        they are not kept."""
        if self._trades:
            self._close()
        self.catch_up()
        if not self.keeps(code, begin):
            raise KeyError(code)
        return self._minutes[code][begin].bar()

    @property
    def behind(self) -> bool:
        """Whether `catch_up` may take long: `read_some` is to be called until it is not."""
        return len(self._rolls) + self._first - 1 - self._read > BEHIND

    def read_some(self) -> None:
        """Puts some trades into their minutes."""
        self._read_next()

    def catch_up(self) -> None:
        """Puts all trades that are packed into their minutes."""
        while self._read < self._first + len(self._rolls) - 1:
            self._read_next()
        if self._stale:
            self._stale = False
            for code, minutes in self._minutes.items():
                self._minutes[code] = {one: minutes[one] for one in minutes if self.keeps(code, one)}

    def began(self, code: str, at: int) -> None:
        """All trades of a code come from that moment on, in milliseconds: the next minute is complete."""
        self._floors[code] = max((at // 60_000 + 1) * 60, self._floors.get(code, 0))
        self._broken.discard(code)

    def broke(self, code: str) -> None:
        """Trades of a code may be missing from now on."""
        self._broken.add(code)

    def mended(self, code: str) -> None:
        """All that were missed since it broke come after all."""
        self._broken.discard(code)

    def begin_at(self, begin: int) -> None:
        """Of the minutes that begin before that, in seconds, not all trades are known."""
        self.begins = max(self.begins, begin)

    # What goes to the disk.
    def rolls(self) -> dict[int, str]:
        """What came since the last call, by numbers that grow; what is not to be kept any more has no
        text."""
        if self._trades or self._corrections:
            self._close()
        while self._rolls and self._rolls[0].at < self._now() - KEPT:
            self._let_go()
        found = dict.fromkeys(self._gone, "")
        self._gone = []
        for number in range(max(self._given + 1, self._first), self._first + len(self._rolls)):
            found[number] = self._rolls[number - self._first].packed.decode()
        self._given = self._first + len(self._rolls) - 1
        return found

    def restore(self, number: int, text: str) -> list[tuple[str, Correction]]:
        """Takes what `rolls` gave in an earlier run, in that order. Returns the corrections in it, and who
        they are from."""
        rolled = _unpack(text)
        roll = Roll(text.encode(), rolled, self._now())
        if self._rolls and number != self._given + 1:  # what was between is lost
            self.begin_at((roll.newest // 60 + 1) * 60)
            while self._rolls:
                self._let_go()
        if not self._rolls:
            self._first, self._read = number, number - 1
        self._given = number
        self._add(roll, rolled)
        return rolled.corrections

    # How it is kept.
    def _close(self) -> None:
        """Packs what is in no roll yet."""
        rolled = Rolled.of(self._trades, self._seqs, self._publishers, self._corrections)
        self._trades, self._seqs, self._publishers, self._corrections = [], [], [], []
        self._add(Roll(_pack(rolled), rolled, self._now()), rolled)
        if rolled.corrections:  # `correct` has read all before them, and made them
            self._read = self._first + len(self._rolls) - 1

    def _now(self) -> float:
        return 0.0 if self._clock is None else self._clock()

    def _add(self, roll: Roll, rolled: Rolled) -> None:
        self._rolls.append(roll)
        self._weight += roll.weight
        table, time = rolled.table, rolled.bases[0]
        last = dict(zip(rolled.codes, rolled.times, strict=True))
        self._newest |= {table[place]: time + one for place, one in last.items()}
        while self._weight > self._most:
            self._let_go()

    def _let_go(self) -> None:
        """Lets go of the first roll."""
        roll = self._rolls.popleft()
        self._weight -= roll.weight
        if self._first <= self._given:
            self._gone.append(self._first)
        self._read = max(self._read, self._first)
        self._first += 1
        self._stale = True
        if not roll.trades:
            return
        floor = (roll.newest // 60 + 1) * 60
        self.gone_until = max(self.gone_until, floor)
        for code in roll.codes:
            if not self._live or code in self._floors:
                self._floors[code] = max(floor, self._floors.get(code, 0))

    def _read_next(self) -> None:
        """Puts the trades of the next roll into their minutes, and corrects what was corrected."""
        self._read += 1
        rolled = self._rolls[self._read - self._first].read()
        last: dict[str, TapedMinute] = {}
        for _, item in rolled.rows():
            seq, code, time = item[:3]
            if seq == LATE:
                continue
            minute = last.get(code)
            if minute is None or not minute.begin <= time // 1000 < minute.end:
                try:
                    begin, end = self.minute_of(code, time)
                except KeyError:  # it is known no more
                    continue
                minutes = self._minutes.setdefault(code, {})
                minute = minutes.get(begin)
                if minute is None:
                    minute = minutes[begin] = TapedMinute(begin, end)
                last[code] = minute
            minute.add(item)
        for _, correction in rolled.corrections:
            self._correct(correction)

    def _correct(self, correction: Correction) -> int | None:
        try:
            begin, _ = self.minute_of(correction.code, correction.was.time)
        except KeyError:
            return None
        minute = self._minutes.get(correction.code, {}).get(begin)
        if minute is None or not self.keeps(correction.code, begin):
            return None
        return minute.replace(correction.was, correction.became)


def _base(numbers: list[int]) -> int:
    """What lies below all of these that are above 0."""
    if numbers and (least := min(numbers)) > 0:
        return least - 1
    return min((one for one in numbers if one > 0), default=1) - 1
