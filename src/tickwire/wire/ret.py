"""The answers of the protocol that are not data: `ret`, text and HTTP status (sections 1-3)."""

from __future__ import annotations

from typing import NamedTuple


class Ret(NamedTuple):
    """One row of the error tables. Clients branch on any of the three, so they always agree."""

    code: int
    msg: str
    status: int
    """The HTTP status that carries it."""


class Refused(Exception):
    """A request that is answered with an error; after `retry_after` seconds it may be tried again."""

    def __init__(self, ret: Ret, retry_after: float | None = None) -> None:
        self.ret = ret
        self.retry_after = retry_after


OK = Ret(200, "ok", 200)
HEADER_INVALID = Ret(400, "request header param invalid", 400)
DATA_INVALID = Ret(400, "request data param invalid", 400)
TOKEN_REQUIRED = Ret(401, "token is required", 401)
TOKEN_INVALID = Ret(401, "token invalid", 401)
QUERY_INVALID = Ret(402, "query invalid", 402)
METHOD_INVALID = Ret(402, "query invalid", 405)
BODY_EMPTY = Ret(601, "body empty", 400)
CODE_INVALID = Ret(600, "code invalid", 200)
LEVEL_TOO_LOW = Ret(603, "token level not enough", 200)
CODE_UNAUTHORIZED = Ret(604, "code unauthorized", 200)
TOO_FAST = Ret(605, "too many requests", 429)
TOO_FAST_CLOSED = Ret(606, "too many requests and connection will be closed", 429)
TOO_MANY_CONNECTIONS = Ret(429, "too many connections", 429)
TOO_MANY_REQUESTS = Ret(429, "too many requests", 429)

# Outside the tables: what plain HTTP calls for.
PATH_UNKNOWN = Ret(404, "no such path", 404)
UPGRADE_REQUIRED = Ret(426, "upgrade required: this path speaks WebSocket", 426)
SERVER_ERROR = Ret(500, "server error", 500)
BODY_TOO_LARGE = Ret(413, "body too large", 413)
BODY_STALLED = Ret(408, "nothing came of the body for too long", 408)
BODY_TOO_SLOW = Ret(408, "the body came too slowly", 408)
STOPPING = Ret(503, "the server stops", 503)
TOO_MANY_BODIES = Ret(503, "too many bodies are under way, try again", 503)

_BY_CODE = {
    ret.code: ret
    for ret in (
        OK,
        DATA_INVALID,
        TOKEN_INVALID,
        QUERY_INVALID,
        TOO_MANY_REQUESTS,
        SERVER_ERROR,
        CODE_INVALID,
        BODY_EMPTY,
        LEVEL_TOO_LOW,
        CODE_UNAUTHORIZED,
        TOO_FAST,
        TOO_FAST_CLOSED,
    )
}


def ret_of(code: int, msg: str | None = None, status: int | None = None) -> Ret:
    """The row of a `ret`, or one of that code with another text or status."""
    row = _BY_CODE.get(code, Ret(code, "error", 200))
    return row if msg is None and status is None else Ret(code, msg or row.msg, status or row.status)
