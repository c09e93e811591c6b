"""Publishers that are there, and those that are gone."""

from __future__ import annotations

from tickwire.calendars import load
from tickwire.model import Market
from tickwire.sources import Began, Broke
from tickwire.sources.presence import Presence
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
FRIDAY = 1_795_791_600_000  # 2026-11-27T15:00Z
SECOND = 1000


class Desk:
    """Publishers under a clock that goes on by seconds."""

    def __init__(self, *stored: str, at: int = FRIDAY) -> None:
        self.presence = Presence(CATALOGUE, 60.0)
        self.wall = at
        self.presence.restore(stored, at)

    @property
    def now(self) -> float:
        return self.wall / SECOND

    def sends(self, name: str, *codes: str) -> Began | None:
        return self.presence.heard(name, codes, self.now, self.wall)

    def passes(self, seconds: int) -> list[Broke]:
        broke = []
        for _ in range(seconds):
            self.wall += SECOND
            broke += self.presence.look(self.now, self.wall)
        return broke


def test_one_that_is_silent_is_gone_until_it_is_heard_again() -> None:
    desk = Desk()
    desk.passes(1)
    desk.sends("a", "BTCUSDT", "AAPL.US")
    heard = desk.wall
    assert desk.passes(59) == []
    (crypto, stock) = sorted(desk.passes(300))
    assert (crypto.codes, stock.codes) == (("AAPL.US",), ("BTCUSDT",))
    assert crypto[1:] == stock[1:] == (heard, "a has been silent for 60 s")
    assert desk.presence.gone == ["a has been silent for 60 s"]
    assert desk.sends("a") == Began(("AAPL.US", "BTCUSDT"), desk.wall)
    assert desk.passes(1) == []
    assert desk.presence.gone == []


def test_what_another_one_publishes_too_is_not_missing() -> None:
    desk = Desk()
    desk.passes(1)
    desk.sends("a", "BTCUSDT", "ETHUSDT")
    for _ in range(10):
        desk.sends("b", "ETHUSDT")
        broke = desk.passes(10)
        if broke:
            assert [one.codes for one in broke] == [("BTCUSDT",)]
    assert desk.presence.gone == ["a has been silent for 60 s"]
    assert desk.sends("b", "BTCUSDT") == Began(("BTCUSDT",), desk.wall)


def test_nobody_is_gone_while_markets_are_closed() -> None:
    hours = load(CATALOGUE["AAPL.US"].calendar)
    closes = hours.next_close(FRIDAY)
    assert closes is not None
    opens = hours.next_open(closes)
    assert opens is not None
    assert opens > closes + 40 * 3_600_000  # after the weekend
    desk = Desk(at=closes - 31 * SECOND)
    desk.passes(1)
    desk.sends("a", "AAPL.US")
    assert desk.passes(600) == []
    desk.wall = opens - SECOND
    desk.presence.look(desk.now, desk.wall)
    assert desk.passes(60) == []
    (broke,) = desk.passes(2)
    assert (broke.codes, broke.at) == (("AAPL.US",), opens)


def test_what_an_earlier_run_published_is_missing_while_nobody_is_heard() -> None:
    desk = Desk("BTCUSDT", "ETHUSDT", "UNKNOWN")
    began = desk.wall
    (broke,) = desk.passes(120)
    assert broke == Broke(("BTCUSDT", "ETHUSDT"), began, "every publisher has been silent for 60 s")
    assert desk.sends("a", "BTCUSDT") == Began(("BTCUSDT", "ETHUSDT"), desk.wall)
    for _ in range(20):
        desk.sends("a")  # ETHUSDT may be quiet
        assert desk.passes(10) == []


def test_nobody_is_gone_because_we_were_held_up() -> None:
    desk = Desk()
    desk.passes(1)
    desk.sends("a", "BTCUSDT")
    desk.wall += 3_600_000
    assert desk.passes(59) == []
    assert len(desk.passes(2)) == 1


def test_whoever_is_there_pays_nothing_for_those_that_are_gone() -> None:
    """Neither a look nor a line goes through all that is missing once for each of all publishers."""
    desk = Desk()
    desk.passes(1)
    codes = [one.code for one in CATALOGUE if one.market is Market.CRYPTO]
    for number in range(5_000):
        desk.sends(f"gone-{number}", codes[number % len(codes)])
    for _ in range(61):
        desk.sends("there", codes[0])
        desk.passes(1)
    assert len(desk.presence.gone) == 5_000 - len(range(0, 5_000, len(codes)))
    for _ in range(20_000):
        assert desk.sends("there", codes[0]) is None
