"""Altered bytes anywhere: what is answered is true, and nothing ends in a traceback."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from tickwire.errors import StoreError
from tickwire.model import KlineType, Market, SuspensionList
from tickwire.store import (
    KEY_FILE,
    SqliteFile,
    SqliteKlineStore,
)

from .damaging import (
    BARS,
    CODES,
    INSTRUMENTS,
    NOTES,
    PAGE,
    SOURCE,
    SUSPENSIONS,
    TOKENS,
    Stores,
)


def looks(stores: Stores) -> Iterator[Callable[[], bool]]:
    """Everything that can be asked for; each says whether what is answered is true."""
    for (code, kline_type), bars in BARS.items():
        for count in (5, 500):
            yield lambda code=code, kline_type=kline_type, bars=bars, count=count: all(  # type: ignore[misc]
                bar in bars for bar in stores.bars.read(SOURCE, code, kline_type, count=count)
            )
        yield (
            lambda code=code, kline_type=kline_type, bars=bars: (
                {  # type: ignore[misc]
                    *(stores.bars.span(SOURCE, code, kline_type) or ())
                }
                <= {bar.time for bar in bars}
            )
        )
    yield lambda: all(
        bar in BARS[code, kline_type]
        for code, by_type in stores.bars.restore(SOURCE, CODES, 50).items()
        for kline_type, found in by_type.items()
        for bar in found
    )
    yield lambda: stores.bars.read("other", "GOLD", KlineType.MINUTE, count=9) == []
    yield lambda: stores.bars.notes(SOURCE, "past:").items() <= NOTES.items()
    yield lambda: stores.bars.get(SOURCE, "past:CODE7") in ("made 7", None)
    yield lambda: stores.tokens.changes() >= 0
    yield lambda: all(
        token == TOKENS.get(token.name) or token.revoked is not None for token in stores.tokens.tokens()
    )
    yield lambda: all(
        one in SUSPENSIONS
        for one in stores.suspensions.page(SuspensionList.NYSE, [""], offset=3, limit=500)[1]
    )
    yield lambda: all(true_gap(gap) for gap in stores.gaps.open_gaps("alltick"))
    for codes in (None, ["GOLD"]):
        yield lambda codes=codes: all(true_gap(gap) for gap in stores.gaps.page(codes, 0, None, 500))  # type: ignore[misc]
    yield lambda: all(one in INSTRUMENTS for one in stores.instruments.instruments())


def true_gap(gap: Any) -> bool:
    return (gap.source, gap.end, gap.reason, gap.filled) == (
        "alltick",
        gap.begin + 5,
        f"reason {gap.begin}",
        None,
    )


def changes(stores: Stores) -> Iterator[Callable[[], object]]:
    """Changes of everything, which leave what is true as it is."""
    yield lambda: stores.bars.write(SOURCE, BARS["GOLD", KlineType.MINUTE][-3:], {"past:CODE7": "made 7"})
    yield lambda: stores.bars.put(SOURCE, "past:CODE8", "made 8")
    yield lambda: stores.bars.prune(SOURCE, KlineType.WEEK, 10**9)
    yield lambda: stores.suspensions.add("", SUSPENSIONS[-3:])
    yield lambda: stores.suspensions.resume("", "sse", "NONE", "2026-09-03", "10:00:00")
    yield lambda: stores.suspensions.clear("other")
    yield lambda: stores.gaps.end(stores.gaps.open("alltick", Market.CRYPTO, CODES, 70, "reason 70"), 75)
    yield lambda: stores.instruments.put(INSTRUMENTS[0])
    yield lambda: stores.tokens.rotate(TOKENS["name 0"], TOKENS["name 0"].digest)
    yield lambda: stores.tokens.revoke(TOKENS["name 0"], 7)


def flip(content: bytes, dice: random.Random, pages: list[int], most: int) -> bytes:
    """The bytes with up to `most` of them changed in each of these pages."""
    changed = bytearray(content)
    for page in pages:
        for _ in range(dice.randint(1, most)):
            changed[PAGE * page + dice.randrange(PAGE)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def check_all(path: Path, content: bytes) -> None:
    """Uses a damaged file in all ways, twice; then, mended, it is whole and works."""
    path.write_bytes(content)
    with closing(SqliteFile(path)) as file:
        try:
            stores = Stores(file, path.with_name(KEY_FILE))
        except StoreError:  # the next write mends it
            SqliteKlineStore(file).put(SOURCE, "past:CODE8", "made 8")
            stores = Stores(file, path.with_name(KEY_FILE))
        for _ in range(2):
            for look in looks(stores):
                with suppress(StoreError):
                    assert look()
            for change in changes(stores):
                with suppress(StoreError):
                    change()
        for change in changes(stores):
            change()
        for look in looks(stores):
            assert look()
        assert len(stores.bars.read(SOURCE, "GOLD", KlineType.MINUTE, count=3)) == 3
        assert stores.tokens.tokens() != [], "a server that had tokens never opens to everybody"


@pytest.mark.parametrize("seed", range(30))
def test_a_byte_in_every_page(guarded_path: Path, filled: bytes, seed: int) -> None:
    pages = [*range(len(filled) // PAGE)]
    check_all(guarded_path, flip(filled, random.Random(seed), pages, 1))


@pytest.mark.parametrize("seed", range(30))
def test_many_bytes_in_a_few_pages(guarded_path: Path, filled: bytes, seed: int) -> None:
    dice = random.Random(1000 + seed)
    pages = dice.sample(range(len(filled) // PAGE), dice.randint(1, 4))
    check_all(guarded_path, flip(filled, dice, pages, 200))
