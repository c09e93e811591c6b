"""What is published, in both documents the same."""

from __future__ import annotations

from ... import wire
from .components import Schema, ref

LINES = (wire.TradeLine, wire.BookLine, wire.DeltaLine, wire.QuoteLine, wire.InstrumentLine)
LINE: Schema = {
    "title": "Line",
    "description": "A line of what is published; `type` says which.",
    "oneOf": [ref(line.__name__) for line in LINES],
}
