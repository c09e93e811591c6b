"""What passes between the market side and the client side."""

from .answers import (
    Edition,
    Figures,
    Gaps,
    Klines,
    Lack,
    ScenarioRun,
    SourceFigures,
    Statics,
    StoreFigures,
    Suspensions,
    Unknown,
)
from .contract import Inlet, Known, NotKept, Receiver, StreamEvent, StreamReceiver, Supplier
from .local import Local

__all__ = [
    "Edition",
    "Figures",
    "Gaps",
    "Inlet",
    "Klines",
    "Known",
    "Lack",
    "Local",
    "NotKept",
    "Receiver",
    "ScenarioRun",
    "SourceFigures",
    "Statics",
    "StoreFigures",
    "StreamEvent",
    "StreamReceiver",
    "Supplier",
    "Suspensions",
    "Unknown",
]
