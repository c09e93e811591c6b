"""Sources that serve some codes, and tell what they are asked for."""

from __future__ import annotations

from collections.abc import Collection

from tickwire.model import Instrument, Kind, Kline, KlineType

from ..serving import Script


class Named(Script):
    """A source of some name that serves some codes."""

    def __init__(self, name: str, *codes: str) -> None:
        super().__init__()
        self.name = name
        self.codes = codes

    def serves(self, instrument: Instrument) -> bool:
        return instrument.code in self.codes


class Past:
    """A history without bars."""

    most = 500

    def __init__(self) -> None:
        self.bars: list[Kline] = []
        self.asked: list[KlineType] = []

    async def klines(
        self, instrument: Instrument, kline_type: KlineType, *, count: int, end: int | None
    ) -> list[Kline]:
        self.asked.append(kline_type)
        return [bar for bar in self.bars if bar.kline_type is kline_type]


class Live(Script):
    """A source that says what is complete, what it can be asked for, and what it has room for."""

    live = True
    limited = True

    def __init__(self) -> None:
        super().__init__()
        self.history = self.past_bars = Past()
        self.taken = 100
        self.soon: Collection[str] = ()

    def room(self, kind: Kind, codes: Collection[str]) -> Collection[str]:
        return [*codes][: self.taken]

    def want(self, kind: Kind, codes: Collection[str], *, subscribed: bool) -> Collection[str]:
        super().want(kind, codes, subscribed=subscribed)
        return [] if subscribed else [code for code in codes if code in self.soon]
