"""The AllTick protocol without I/O: messages, reader and writer, errors, the session."""

from .changes import Resumed
from .conversation import Conversation, Happening, Outdated, Renumbered, Terms
from .deviation import Deviation, Report
from .entry import HTTP_BASES, PUBLISH_PATH, SUBPROTOCOL, WS_PATHS
from .following import UNKNOWN, MarketState
from .messages import MAX_MESSAGE, StaticInfo, to_json
from .overview import GapInfo, InstrumentInfo, MarketInfo
from .pace import Pace
from .publish import (
    BookLine,
    CancelLine,
    CorrectLine,
    DeltaLine,
    InstrumentLine,
    Priced,
    PublishedStream,
    PublisherHello,
    QuoteLine,
    Standing,
    Tally,
    TradeLine,
    Unfit,
    book_after,
    published_book,
    published_correction,
    published_instrument,
    published_trade,
    quote_book,
    read_published,
)
from .ret import CODE_INVALID, CODE_UNAUTHORIZED, Refused, Ret, ret_of
from .session import POLICY_VIOLATION, Decision, Sought, Want
from .status import StatusData
from .subscription import Refusal, Subscribed
from .upstream import Bad, Pushed, Several, SourceStatus, Spared, Times
from .upstream_http import Envelope, Found, read_envelope
from .wanted import ANY, Key, Wanted, code_of, matches

__all__ = [
    "ANY",
    "CODE_INVALID",
    "CODE_UNAUTHORIZED",
    "HTTP_BASES",
    "MAX_MESSAGE",
    "POLICY_VIOLATION",
    "PUBLISH_PATH",
    "SUBPROTOCOL",
    "UNKNOWN",
    "WS_PATHS",
    "Bad",
    "BookLine",
    "CancelLine",
    "Conversation",
    "CorrectLine",
    "Decision",
    "DeltaLine",
    "Deviation",
    "Envelope",
    "Found",
    "GapInfo",
    "Happening",
    "InstrumentInfo",
    "InstrumentLine",
    "Key",
    "MarketInfo",
    "MarketState",
    "Outdated",
    "Pace",
    "Priced",
    "PublishedStream",
    "PublisherHello",
    "Pushed",
    "QuoteLine",
    "Refusal",
    "Refused",
    "Renumbered",
    "Report",
    "Resumed",
    "Ret",
    "Several",
    "Sought",
    "SourceStatus",
    "Spared",
    "Standing",
    "StaticInfo",
    "StatusData",
    "Subscribed",
    "Tally",
    "Terms",
    "Times",
    "TradeLine",
    "Unfit",
    "Want",
    "Wanted",
    "book_after",
    "code_of",
    "matches",
    "published_book",
    "published_correction",
    "published_instrument",
    "published_trade",
    "quote_book",
    "read_envelope",
    "read_published",
    "ret_of",
    "to_json",
]
