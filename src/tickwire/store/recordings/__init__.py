"""Recordings at rest: events in Parquet files, and a journal of what is not in them yet.

Only what records and reads needs pyarrow: it is imported when that begins.
"""

from .gaps import Gap, GapReason
from .recorder import Recorder
from .recordings import Recorded, Recordings
from .status import RecorderStatus, StopReason

__all__ = ["Gap", "GapReason", "Recorded", "Recorder", "RecorderStatus", "Recordings", "StopReason"]
