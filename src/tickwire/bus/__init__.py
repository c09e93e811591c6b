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
    Statement,
    Statics,
    Stop,
    StoreFigures,
    Suspensions,
    Taken,
    Unknown,
)
from .contract import Inlet, Known, Playback, Receiver, Speaker, StreamEvent, StreamReceiver, Supplier
from .local import Local
from .speaking import Sayings

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
    "Local",
    "Missed",
    "Playback",
    "Receiver",
    "Sayings",
    "ScenarioRun",
    "SourceFigures",
    "Speaker",
    "Statement",
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
