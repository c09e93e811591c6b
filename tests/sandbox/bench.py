"""Scenarios without sockets and without a clock: time is what a test says."""

from __future__ import annotations

from decimal import Decimal

from tickwire.calendars import State
from tickwire.model import Event, Family, Trade
from tickwire.sandbox import Client, Sandbox, Scenario, Shaped, Step
from tickwire.store import load_catalogue

CATALOGUE = load_catalogue()
CODES = ("AAPL.US", "MSFT.US", "700.HK", "BTCUSDT")
AAPL, MSFT = ("AAPL.US",), ("MSFT.US",)


def tick(code: str = "AAPL.US", price: str = "200", at: int = 1) -> Trade:
    return Trade(code, at, Decimal(price), Decimal(3))


def client(
    label: str = "one", connection: int = 0, family: Family | None = None, opened: float = 0
) -> Client:
    return Client(label, (label, f"name of {label}"), family, connection, opened)


class Bench:
    """A sandbox, and the time that it is told."""

    def __init__(self, *steps: Step, seed: int = 1) -> None:
        self.sandbox = Sandbox(seed)
        self.now = 0.0
        self.previous_close: Decimal | None = None
        if steps:
            self.begin(*steps)

    def begin(self, *steps: Step, seed: int | None = None) -> int:
        run = self.sandbox.begin(Scenario(steps=steps, seed=seed), self.now, CATALOGUE)
        self.sandbox.advance(self.now)
        return run.number

    def stop(self, number: int) -> None:
        assert self.sandbox.stop(number) is not None
        self.sandbox.advance(self.now)

    def at(self, now: float) -> Bench:
        self.now = now
        self.sandbox.advance(now)
        return self

    def shape(self, event: Event) -> list[Shaped]:
        return self.sandbox.shape(event, CATALOGUE[event.code], self.now, lambda _: self.previous_close)

    def price(self, event: Trade) -> Decimal:
        (shaped,) = self.shape(event)
        assert isinstance(shaped.event, Trade)
        return shaped.event.price

    def late(self) -> list[Event]:
        return list(self.sandbox.late(self.now))

    @property
    def passing(self) -> set[str]:
        """The codes of which a tick comes through."""
        return {code for code in CODES if self.shape(tick(code))}

    def state(self, code: str = "AAPL.US") -> State | None:
        condition = self.sandbox.condition(CATALOGUE[code])
        return None if condition is None else condition.state
