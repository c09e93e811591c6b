"""A store in front of another one: what is written stays in front, what is read comes from both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..model import Kline, KlineType
from .kline_store import NO_NOTES, KlineStore


class Overlay:
    """A KlineStore. `front` takes all that is written, and hides the bars of `behind` at the same times."""

    def __init__(self, front: KlineStore, behind: KlineStore) -> None:
        self._front = front
        self._behind = behind

    def write(self, source: str, bars: Iterable[Kline], notes: Mapping[str, str] = NO_NOTES) -> None:
        self._front.write(source, bars, notes)

    def read(
        self, source: str, code: str, kline_type: KlineType, *, count: int, end: int | None = None
    ) -> list[Kline]:
        front = self._front.read(source, code, kline_type, count=count, end=end)
        behind = self._behind.read(source, code, kline_type, count=count, end=end)
        return _joined(behind, front, count)

    def restore(
        self, source: str, codes: Sequence[str], count: int
    ) -> dict[str, dict[KlineType, list[Kline]]]:
        front, behind = (one.restore(source, codes, count) for one in (self._front, self._behind))
        for code, by_type in front.items():
            under = behind.setdefault(code, {})
            for kline_type, bars in by_type.items():
                under[kline_type] = _joined(under.get(kline_type, []), bars, count)
        return behind

    @property
    def away(self) -> str:
        return self._behind.away

    def waiting(self, source: str) -> int:
        return self._behind.waiting(source)

    def codes(self, source: str) -> list[str]:
        return sorted({*self._behind.codes(source), *self._front.codes(source)})

    def span(self, source: str, code: str, kline_type: KlineType) -> tuple[int, int] | None:
        spans = [one.span(source, code, kline_type) for one in (self._front, self._behind)]
        found = [span for span in spans if span is not None]
        return (min(first for first, _ in found), max(last for _, last in found)) if found else None

    def prune(self, source: str, kline_type: KlineType, before: int) -> int:
        return self._front.prune(source, kline_type, before)

    def put(self, source: str, name: str, value: str) -> None:
        self._front.put(source, name, value)

    def get(self, source: str, name: str) -> str | None:
        found = self._front.get(source, name)
        return self._behind.get(source, name) if found is None else found

    def notes(self, source: str, prefix: str) -> dict[str, str]:
        return self._behind.notes(source, prefix) | self._front.notes(source, prefix)


def _joined(behind: Iterable[Kline], front: Iterable[Kline], count: int) -> list[Kline]:
    found = {bar.time: bar for bar in behind} | {bar.time: bar for bar in front}
    return [found[at] for at in sorted(found)[-count:]]
