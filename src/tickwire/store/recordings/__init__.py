"""Recordings at rest: events in Parquet files, and a journal of what is not in them yet.

Only what records and reads needs pyarrow: it is imported when that begins.
"""

from .gaps import Gap, GapReason
from .growing import Growing
from .needs import give_back, held_bytes
from .recorder import Recorder
from .recordings import Recorded, Recordings, Wanted
from .spans import Span, Spans, Streamed
from .status import RecorderStatus, StopReason

__all__ = [
    "Gap",
    "GapReason",
    "Growing",
    "Recorded",
    "Recorder",
    "RecorderStatus",
    "Recordings",
    "Span",
    "Spans",
    "StopReason",
    "Streamed",
    "Wanted",
    "give_back",
    "held_bytes",
]
