"""What passes between the market side and the client side."""

from ..wire.replays import Hole
from .answers import (
    Columns,
    Edition,
    Figures,
    FirstMissed,
    Gaps,
    Klines,
    Lack,
    Missed,
    ScenarioRun,
    SourceFigures,
    Statics,
    Stop,
    StoreFigures,
    Suspensions,
    Taken,
    Unknown,
)
from .contract import Inlet, Known, Left, Playback, Receiver, StreamEvent, StreamReceiver, Supplier
from .local import Local

__all__ = [
    "Columns",
    "Edition",
    "Figures",
    "FirstMissed",
    "Gaps",
    "Hole",
    "Inlet",
    "Klines",
    "Known",
    "Lack",
    "Left",
    "Local",
    "Missed",
    "Playback",
    "Receiver",
    "ScenarioRun",
    "SourceFigures",
    "Statics",
    "Stop",
    "StoreFigures",
    "StreamEvent",
    "StreamReceiver",
    "Supplier",
    "Suspensions",
    "Taken",
    "Unknown",
]
