"""Writes recorded events as pushes, column by column: the same bytes as `push.encoder` makes of each, at a
tenth of its cost, and without Python's lock for most of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import groupby, pairwise
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import json

from ..model import Correction, Instrument, Kind, Trade, fixed, turnover
from .form import BARE, TEXT, Form, frame_head
from .items import recorded_gap
from .messages import PUSH_COMMAND, to_json
from .push import encoder
from .replays import Hole

ZERO = Decimal(0)
HALF_UP = "half_towards_infinity"
NAMES = ["arrival", "target", "time", "received", "frame"]
"""The columns of what is written."""
NEVER = -1
"""Stands for the time of receipt of a push that says no times: of one that tells of a hole."""
PLAIN_DECIMALS = 6
"""Up to so many Arrow writes no exponent."""
NARROW = 16, 16, 4
"""Digits of a price, a volume and a unit whose product is exact in a decimal of Arrow's."""


class Target(NamedTuple):
    """A stream under one name, with one number of levels."""

    name: str
    instrument: Instrument
    levels: int


class Written(NamedTuple):
    """Frames that follow one another: where each ends, and of its event the place, the time, and when it was
    received, in microseconds since the epoch."""

    data: memoryview
    ends: memoryview[int]
    arrivals: memoryview[int]
    times: memoryview[int]
    received: memoryview[int]

    def timed(self, form: Form, begin: int, end: int, sent: int) -> bytes:
        """Frames of these, in a form in which they say when they were sent; see `written`."""
        bounds = [self.ends[begin - 1] if begin else 0, *self.ends[begin:end]]
        pushes = (bytes(self.data[start:stop]) for start, stop in pairwise(bounds))
        came = self.received[begin:end]
        return form.whole(
            form.untimed(push) if received == NEVER else form.timed(push, received, 0, sent)
            for push, received in zip(pushes, came, strict=True)
        )


NOTHING = Written(memoryview(b""), *[memoryview(b"").cast("q")] * 4)


def written(
    tables: Mapping[Kind, pa.Table],
    corrections: Sequence[tuple[int, Correction, int, int]],
    holes: Sequence[Hole],
    targets: Mapping[tuple[Kind, str], Collection[Target]],
    *,
    text_ids: bool,
    form: Form,
    replay: int,
) -> Written:
    """The frames of events, as `push.encoder` makes them, for each of the targets of a stream one; or what
    `Form.joined` makes a frame of, and in a form in which pushes say their times what `timed` needs.

    The tables are of trades and of books, with what those say, and `code`, `time`, `seq`, `received` and
    `arrival`: the place in the order, which rises. With a correction goes its place, its `seq`, and when it
    was received. Before the events that have `holes` before them 28993 says so.
    """
    found = [
        part
        for kind, table in tables.items()
        for part in _parts(kind, table, targets, text_ids=text_ids, form=form, replay=replay)
    ]
    if any((Kind.CORRECTION, one.code) in targets for _, one, *_ in corrections):
        found.append(_corrections(corrections, targets, text_ids, form, replay))
    if holes:
        found.append(_holes(holes, targets, form, replay))
    if not found:
        return NOTHING
    whole = pa.concat_tables(found)
    if len(found) > 1:
        order = [("arrival", "ascending"), ("target", "ascending")]
        whole = whole.take(pc.sort_indices(whole, order))
    frames = pa.concat_arrays(whole["frame"].chunks)
    _, offsets, data = frames.buffers()
    ends = memoryview(offsets).cast("i")[frames.offset + 1 : frames.offset + len(frames) + 1]
    numbers = (pa.concat_arrays(whole[name].chunks) for name in ("arrival", "time", "received"))
    return Written(memoryview(data or b""), ends, *(_numbers(one) for one in numbers))


def _parts(
    kind: Kind,
    table: pa.Table,
    targets: Mapping[tuple[Kind, str], Collection[Target]],
    *,
    text_ids: bool,
    form: Form,
    replay: int,
) -> Iterator[pa.Table]:
    """The frames of events of a kind, those together that are written alike."""
    codes = pa.concat_arrays(table["code"].chunks).dictionary_encode()
    known: list[Target] = []
    of_code: list[list[int]] = []
    for code in codes.dictionary.to_pylist():
        some = targets.get((kind, code), ())
        of_code.append([*range(len(known), len(known) + len(some))])
        known += some
    if all(len(some) == 1 for some in of_code):
        numbers, rows = codes.indices.cast(pa.int64()), table
    else:
        each = [(row, one) for row, code in enumerate(codes.indices.to_pylist()) for one in of_code[code]]
        rows = table.take(pa.array([row for row, _ in each], pa.int64()))
        numbers = pa.array([one for _, one in each], pa.int64())
    quote = '"' if text_ids else ""
    heads = pa.array([_head(kind, one.name, quote) for one in known])
    manners = [_manner(kind, one) for one in known]
    write = _trades if kind is Kind.TRADE else _books
    end = f',"replay":{replay}}}}}' if replay else "}}"
    for _, alike in groupby(sorted(range(len(known)), key=manners.__getitem__), manners.__getitem__):
        chosen, of, which = [*alike], rows, numbers
        if len(chosen) < len(known):
            mask = pc.is_in(numbers, pa.array(chosen, pa.int64()))
            of, which = rows.filter(mask), numbers.filter(mask)
        if not len(of):
            continue
        batch = of.combine_chunks().to_batches()[0]
        times = batch["time"].cast(pa.int64())
        payload = pc.binary_join_element_wise(
            *(heads.take(which), batch["seq"].cast(pa.string()), f'{quote},"tick_time":{quote}'),
            *(times.cast(pa.string()), f"{quote},", *write(batch, known[chosen[0]]), end, ""),
        )
        came = batch["received"].cast(pa.int64())
        yield pa.table([batch["arrival"], which, times, came, _framed(payload, form)], names=NAMES)


def _manner(kind: Kind, target: Target) -> tuple[int, ...]:
    """What is alike of targets that are written alike."""
    one = target.instrument
    if kind is Kind.DEPTH:
        return one.price_decimals, one.volume_decimals, target.levels
    return one.price_decimals, one.volume_decimals, one.turnover_decimals, one.volume_unit


def _head(kind: Kind, name: str, quote: str) -> str:
    return f'{{"cmd_id":{PUSH_COMMAND[kind]},"data":{{"code":{to_json(name).decode()},"seq":{quote}'


def _trades(batch: pa.RecordBatch, target: Target) -> list[Any]:
    """What a trade says behind its time."""
    one = target.instrument
    return [
        '"price":"',
        _fixed(batch["price"], one.price_decimals),
        '","volume":"',
        _fixed(batch["volume"], one.volume_decimals),
        '","turnover":"',
        _money(batch, one),
        '","trade_direction":',
        batch["direction"].cast(pa.string()),
    ]


def _books(batch: pa.RecordBatch, target: Target) -> list[Any]:
    """What a book says behind its time."""
    return ['"bids":[', _side(batch["bids"], target), '],"asks":[', _side(batch["asks"], target), "]"]


def _side(sides: pa.ListArray, target: Target) -> pa.Array:
    price, volume = target.instrument.price_decimals, target.instrument.volume_decimals
    best = pc.list_slice(sides, 0, target.levels)
    levels = best.flatten()
    texts = pc.binary_join_element_wise(
        '{"price":"',
        _fixed(pc.struct_field(levels, "price"), price),
        '","volume":"',
        _fixed(pc.struct_field(levels, "volume"), volume),
        '"}',
        "",
    )
    joined = pc.binary_join(pa.ListArray.from_arrays(pc.subtract(best.offsets, best.offsets[0]), texts), ",")
    none = f'{{"price":"{fixed(ZERO, price)}","volume":"{fixed(ZERO, volume)}"}}'  # limit-up, delisted
    return pc.if_else(pc.equal(pc.binary_length(joined), 0), ",".join([none] * target.levels), joined)


def _money(batch: pa.RecordBatch, instrument: Instrument) -> pa.Array:
    """The turnover of trades, see `model.turnover`."""
    given = batch["turnover"]
    if not given.null_count:
        return _fixed(given, instrument.turnover_decimals)
    price, volume, unit = (
        pa.decimal128(digits, decimals)
        for digits, decimals in zip(
            NARROW, (instrument.price_decimals, instrument.volume_decimals, 0), strict=True
        )
    )
    try:
        made = pc.multiply(batch["price"].cast(price), batch["volume"].cast(volume))
        made = pc.multiply(made, pa.scalar(Decimal(instrument.volume_unit), unit))
    except pa.ArrowInvalid:  # larger than that, or of more decimals
        made = None
    if made is not None:
        texts = _fixed(made, instrument.turnover_decimals)
    else:
        code, rows = (
            instrument.code,
            zip(batch["price"].to_pylist(), batch["volume"].to_pylist(), strict=True),
        )
        sums = (turnover(instrument, Trade(code, 0, price, volume)) for price, volume in rows)
        texts = pa.array([fixed(one, instrument.turnover_decimals) for one in sums])
    return pc.coalesce(_fixed(given, instrument.turnover_decimals), texts)


def _fixed(amounts: pa.Array, decimals: int) -> pa.Array:
    """Texts of amounts, see `model.fixed`."""
    exact = pa.decimal128(38, decimals)
    try:
        texts = amounts.cast(exact).cast(pa.string())
    except pa.ArrowInvalid:
        texts = pc.round(amounts, decimals, HALF_UP).cast(exact).cast(pa.string())
    if decimals <= PLAIN_DECIMALS:
        return texts
    # Arrow writes what is small as 9.5E-7.
    small = pc.match_substring(texts, "E")
    if not pc.any(small).as_py():
        return texts
    plain = [fixed(Decimal(one), decimals) for one in texts.filter(small).to_pylist()]
    return pc.replace_with_mask(texts, pc.fill_null(small, False), pa.array(plain, pa.string()))


def _framed(payloads: pa.Array, form: Form) -> pa.Array:
    """Each payload as the form's framer makes it, with its separator."""
    plain = payloads.cast(pa.binary())
    if form.times:
        return plain
    if form.packed or (form.deflated and not form.batch):
        frame = form.framer()
        written = map(form.written, map(json.decode, plain.to_pylist())) if form.packed else plain.to_pylist()
        return pa.array(map(frame, written), pa.binary())
    if form.batch:
        return pc.binary_join_element_wise(plain, form.separator, b"")
    sizes = pc.binary_length(plain).dictionary_encode()
    heads = pa.array([frame_head(TEXT, size) for size in sizes.dictionary.to_pylist()], pa.binary())
    return pc.binary_join_element_wise(heads.take(sizes.indices), plain, b"")


def _corrections(
    corrections: Sequence[tuple[int, Correction, int, int]],
    targets: Mapping[tuple[Kind, str], Collection[Target]],
    text_ids: bool,
    form: Form,
    replay: int,
) -> pa.Table:
    """Those of corrections, which are rare."""
    rows = [
        (place, number, one.time, received, encode(one, seq))
        for place, one, seq, received in corrections
        for number, target in enumerate(targets.get((Kind.CORRECTION, one.code), ()))
        for encode in [encoder(Kind.CORRECTION, *target, text_ids=text_ids, form=BARE, replay=replay)]
    ]
    places, numbers, times, came, payloads = zip(*rows, strict=True)
    whole = (pa.array(one, pa.int64()) for one in (places, numbers, times, came))
    return pa.table([*whole, _framed(pa.array(payloads, pa.binary()), form)], names=NAMES)


def _holes(
    holes: Sequence[Hole], targets: Mapping[tuple[Kind, str], Collection[Target]], form: Form, replay: int
) -> pa.Table:
    """What says that something is missing, each at the place of the event that follows, and before it."""
    rows = [
        (place, -1, time, NEVER, recorded_gap(kind, target.name, begin, replay))
        for kind, code, begin, place, time in holes
        for target in targets.get((kind, code), ())
    ]
    *numbers, payloads = zip(*rows, strict=True) if rows else ((),) * len(NAMES)
    whole = (pa.array(one, pa.int64()) for one in numbers)
    return pa.table([*whole, _framed(pa.array(payloads, pa.binary()), form)], names=NAMES)


def _numbers(column: pa.Array) -> memoryview:
    return memoryview(column.buffers()[1] or b"").cast("q")[column.offset : column.offset + len(column)]
