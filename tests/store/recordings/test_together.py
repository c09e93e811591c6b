"""Several recordings as one, page by page."""

from __future__ import annotations

import random
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pytest

from tickwire.model import Kind
from tickwire.store.recordings.page import Loaded, Page, numbered
from tickwire.store.recordings.recordings import ALL
from tickwire.store.recordings.schema import COLUMNS, RECEIVED, TIME
from tickwire.store.recordings.together import together

ONE = Decimal(1)


def table(kind: Kind, rows: list[tuple[int, int, int]]) -> pa.Table:
    """Rows of (place, when it came, `seq`)."""
    count = len(rows)
    places, came, seqs = ([row[at] for row in rows] for at in range(3))
    columns = {
        "code": ["GOLD"] * count,
        "time": pa.array([1] * count, pa.int64()).cast(TIME),
        "received": pa.array(came, pa.int64()).cast(RECEIVED),
        "seq": seqs,
        "source": [""] * count,
        "arrival": places,
    }
    amounts = dict.fromkeys(("price", "volume", "turnover"), [ONE] * count)
    trade = {"source_seq": [0] * count, **amounts, "direction": [0] * count}
    columns |= trade if kind is Kind.TRADE else dict.fromkeys(("bids", "asks"), [[]] * count)
    return pa.table([columns[name] for name in COLUMNS[kind].names], COLUMNS[kind]).append_column(
        "market", pa.array([0] * count, pa.int8())
    )


def reading(rows: list[tuple[int, int, int]], dice: random.Random) -> Iterator[Page]:
    """Those rows as trades and books, in pages of any size."""
    at = 0
    while at < len(rows):
        some = rows[at : at + dice.randrange(1, 9)]
        at += len(some)
        kinds: dict[Kind, list[tuple[int, int, int]]] = {Kind.TRADE: [], Kind.DEPTH: []}
        for row in some:
            kinds[dice.choice([Kind.TRADE, Kind.DEPTH])].append(row)
        yield from Loaded({kind: [table(kind, of)] for kind, of in kinds.items()}).pages(ALL)


@pytest.mark.parametrize("seed", range(20))
def test_events_come_by_when_they_came_and_those_of_a_recording_as_they_are(seed: int) -> None:
    dice = random.Random(seed)
    each, expected, seq = [], [], 0
    for number in range(3):
        rows, at, latest = [], 0, -1_000
        for place in range(dice.randrange(0, 60)):
            at += dice.choice([0, 1, 1, 1, 5, 40, -20])  # the clock may be set back
            latest, seq = max(latest, at), seq + 1
            rows.append((3 * place + 1, 1_000 + at, seq))
            expected.append((latest, number, place, seq))
        each.append(rows)
    found: list[int] = []
    follow: dict[int, int] = {}
    for page, following in together([reading(rows, dice) for rows in each]):
        follow |= following
        merged = sorted(
            (place, one.seq) for kind, of in page.tables.items() for place, one in numbered(kind, of)
        )
        assert len({place for place, _ in merged}) == len(merged)
        found += [seq for _, seq in merged]
    assert found == [seq for *_, seq in sorted(expected)]
    assert follow == {number: rows[-1][0] + 1 for number, rows in enumerate(each) if rows}


def test_one_recording_is_passed_on_as_it_is() -> None:
    some = [*reading([(5, 10, 1), (9, 3, 2)], random.Random(1))]
    assert [*together([iter(some)])] == [(page, {0: page.following}) for page in some]
    assert [*together([])] == []
