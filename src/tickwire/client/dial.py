"""Opens and closes WebSockets, and says in one line why one could not be opened, or why it ended."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from .. import __version__
from ..model import Slow
from ..wire import MAX_MESSAGE, SUBPROTOCOL, Happening, Terms
from .address import retry_after, with_flags, with_token
from .backoff import Backoff
from .errors import Unavailable, Untrusted
from .network import Network, why
from .shown import plain

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.exceptions import ConnectionClosed

USER_AGENT = f"tickwire/{__version__}"
TOO_BIG = 1009  # RFC 6455, 7.4.1
AHEAD = 60_000
"""Milliseconds by which the clocks of a server and of its clients may differ."""

_log = logging.getLogger(__name__)
_log.setLevel(logging.INFO)  # lest websockets write the URL, and so the token, at DEBUG


class Options(NamedTuple):
    """How a link behaves; seconds and bytes.

    `retry_unauthorized` goes on after a 401, for an owner whose token is changed under way, and then waits
    for `unauthorized_pause` at least. `slow` is what a Tickwire is to do while we cannot keep up; None: what
    it does anyway. `times`: it says when events came and went. `extended`: a Tickwire is asked for changes,
    and after a cut for what was missed; where it is False, or the server is none, whole lists are asked for
    as the vendor has them. `latest` gives the latest time in milliseconds that does not lie ahead of all
    clocks. `overhear` is told of each message as
    it came, with what it meant.
    """

    terms: Terms = Terms()
    backoff: Backoff = Backoff()
    retry_unauthorized: bool = False
    unauthorized_pause: float = 0.0
    connect_timeout: float = 10.0
    close_timeout: float = 1.0
    max_size: int = MAX_MESSAGE
    network: Network = Network()
    slow: Slow | None = None
    times: bool = False
    extended: bool = True
    latest: Callable[[], float] = lambda: time.time() * 1000 + AHEAD
    overhear: Callable[[bytes, Sequence[Happening]], object] | None = None


async def dial(url: str, token: str, options: Options) -> ClientConnection:
    """A WebSocket on that URL; its `subprotocol` is SUBPROTOCOL if the server may be a Tickwire. Raises
    Unavailable, Untrusted among them."""
    from websockets.asyncio.client import connect
    from websockets.exceptions import InvalidStatus
    from websockets.typing import Subprotocol

    proxy = None
    try:
        proxy = options.network.proxy_for(url)
        through: dict[str, Any] = {}
        if proxy is not None and proxy.startswith("https:"):
            through["proxy_ssl"] = options.network.context()
        return await connect(
            with_token(with_flags(url, options.slow, times=options.times), token),
            compression=None,
            ping_interval=None,  # a conversation has heartbeats of its own
            open_timeout=options.connect_timeout,
            close_timeout=options.close_timeout,
            max_size=options.max_size,
            ssl=options.network.context_for(url),
            proxy=proxy,
            user_agent_header=USER_AGENT,
            subprotocols=[Subprotocol(SUBPROTOCOL)] if options.extended else None,
            logger=_log,
            **through,
        )
    except InvalidStatus as refused:
        response = refused.response
        reason = f"refused with HTTP {response.status_code}{_told(response.body)}"
        wait = retry_after(response.headers)
        raise Unavailable(reason, status=response.status_code, retry_after=wait) from None
    except TimeoutError:
        raise Unavailable(f"no answer to the upgrade in {options.connect_timeout:g} s") from None
    except Exception as error:  # whatever a network, a resolver or a hostile peer makes the library raise
        text, untrusted = why(error, url, proxy)
        text = text.replace(with_token("", token)[1:], "token=…")
        raise (Untrusted if untrusted else Unavailable)(text) from None


async def hang_up(socket: ClientConnection, options: Options) -> None:
    """Closes, if need be without the peer's consent: websockets waits for ever for one that reads nothing."""
    try:
        async with asyncio.timeout(options.close_timeout):
            await socket.close()
    except TimeoutError:
        socket.transport.abort()
        await socket.wait_closed()


def reason_of(closed: ConnectionClosed, options: Options) -> str:
    """Why a connection ended."""
    if closed.sent is not None and closed.rcvd_then_sent is not True:
        if closed.sent.code == TOO_BIG:
            return f"a message of more than {options.max_size} bytes came"
        return f"the server broke the rules of WebSocket: {plain(closed.sent.reason)}"
    if closed.rcvd is not None:
        return plain(f"closed by the server: {closed.rcvd.code} {closed.rcvd.reason}".rstrip())
    cause = closed.__cause__
    return f"connection lost: {plain(str(cause))}" if cause is not None and str(cause) else "connection lost"


def _told(body: bytes | bytearray | None) -> str:
    """What the body of a refusal says of it."""
    try:
        found: Any = msgspec.json.decode(body or b"")
        return f": {plain(found['msg'])}"
    except (ValueError, RecursionError, TypeError, KeyError):
        return ""
