"""What can go wrong for a client, as one tree below TickwireError.

ClientError
├── Unauthorized      the token is missing, unknown or expired (401)
├── RequestRefused    the server answers no, and would again (400, 402, 600, 603, 604 …)
├── TooManyRequests   faster than the plan allows (429, 605)
├── Unavailable       the server cannot be reached, does not answer in time, or is at fault (5xx)
│   ├── Untrusted     its certificate is refused
│   └── Incomplete    it is well, and can only give a part of what it has now
└── Unreadable        what it answers is not the protocol's
"""

from __future__ import annotations

from typing import ClassVar

from ..errors import TickwireError


class ClientError(TickwireError):
    """A server did not give what was asked for.

    `ret` and `msg` are the protocol's, `status` that of HTTP, each 0 or empty where there is none;
    `retry_after` is in seconds, None if the server does not say. `retryable`: the same request may do later.
    """

    retryable: ClassVar[bool] = False

    def __init__(
        self, text: str, *, ret: int = 0, msg: str = "", status: int = 0, retry_after: float | None = None
    ) -> None:
        super().__init__(text)
        self.ret = ret
        self.msg = msg
        self.status = status
        self.retry_after = retry_after


class Unauthorized(ClientError):
    """The token is missing, unknown or expired."""


class RequestRefused(ClientError):
    """The server answers no, and would again."""


class TooManyRequests(ClientError):
    """Requests came faster than the plan allows."""

    retryable = True


class Unavailable(ClientError):
    """The server cannot be reached, does not answer in time, or is at fault."""

    retryable = True


class Untrusted(Unavailable):
    """The server's certificate is refused."""

    retryable = False


class Incomplete(Unavailable):
    """The server is well, and can only give a part of what it has now."""


class Unreadable(ClientError):
    """What the server answers is not the protocol's."""
