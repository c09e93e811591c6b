"""The client: one connection that keeps itself up, and the HTTP API, against any server of the protocol."""

from .address import http_url, websocket_url
from .backoff import Backoff
from .buffer import Buffer, Overflow
from .clock import Clock, RealClock, Timer
from .dial import Options
from .errors import ClientError, RequestRefused, TooManyRequests, Unauthorized, Unavailable, Unreadable
from .http import Http, Suspensions
from .link import Link, Token
from .pacer import Pacer, Rates
from .state import Missed, State, Status, Told

__all__ = [
    "Backoff",
    "Buffer",
    "ClientError",
    "Clock",
    "Http",
    "Link",
    "Missed",
    "Options",
    "Overflow",
    "Pacer",
    "Rates",
    "RealClock",
    "RequestRefused",
    "State",
    "Status",
    "Suspensions",
    "Timer",
    "Token",
    "Told",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "Unreadable",
    "http_url",
    "websocket_url",
]
