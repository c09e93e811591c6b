"""The client: a feed of typed events and the HTTP API, against any server of the protocol.

Below the feed lies its core, of which the relay is made too: one connection that keeps itself up.
"""

from ..model import family_of
from ..wire import GapInfo, InstrumentInfo, MarketInfo
from .account import PLANS, Account, Plan, account
from .address import http_url, shown_url, websocket_url
from .api import Api
from .backoff import Backoff
from .buffer import Buffer, Overflow
from .clock import Clock, RealClock, Timer
from .dial import Options
from .errors import (
    ClientError,
    Incomplete,
    RequestRefused,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    Unreadable,
    Untrusted,
)
from .events import Book, Correction, Event, Gap, Kline, Status, Trade
from .feed import Closed, Feed, connect
from .history import Progress
from .http import Http, Suspensions
from .intervals import INTERVALS, kline_type_of
from .link import Link, Token
from .network import Network
from .pacer import Pacer, Rates
from .positions import Position, PositionsError, load_positions, save_positions
from .replay import Replay, ReplayStatus
from .rows import MissingLibrary, Rows
from .shortfall import HistoryWarning
from .state import LinkStatus, Missed, State, Told

__all__ = [
    "INTERVALS",
    "PLANS",
    "Account",
    "Api",
    "Backoff",
    "Book",
    "Buffer",
    "ClientError",
    "Clock",
    "Closed",
    "Correction",
    "Event",
    "Feed",
    "Gap",
    "GapInfo",
    "HistoryWarning",
    "Http",
    "Incomplete",
    "InstrumentInfo",
    "Kline",
    "Link",
    "LinkStatus",
    "MarketInfo",
    "Missed",
    "MissingLibrary",
    "Network",
    "Options",
    "Overflow",
    "Pacer",
    "Plan",
    "Position",
    "PositionsError",
    "Progress",
    "Rates",
    "RealClock",
    "Replay",
    "ReplayStatus",
    "RequestRefused",
    "Rows",
    "State",
    "Status",
    "Suspensions",
    "Timer",
    "Token",
    "Told",
    "TooManyRequests",
    "Trade",
    "Unauthorized",
    "Unavailable",
    "Unreadable",
    "Untrusted",
    "account",
    "connect",
    "family_of",
    "http_url",
    "kline_type_of",
    "load_positions",
    "save_positions",
    "shown_url",
    "websocket_url",
]
