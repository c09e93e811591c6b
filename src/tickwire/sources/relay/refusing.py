"""What it says of codes that upstream refuses a request, or fails at it. Pure."""

from __future__ import annotations

from ...client import ClientError, RequestRefused, Unavailable, Unreadable
from ...wire import CODE_INVALID, CODE_UNAUTHORIZED

FINAL = (CODE_INVALID.code, CODE_UNAUTHORIZED.code)
"""Answers that say that upstream gives us none of the codes (protocol, section 3)."""
IN_A_ROW = 3
"""So many requests that fail one after the other say that it is upstream that fails, whatever the codes."""


def may_be_one(error: ClientError, failures: int) -> bool:
    """Whether one of the codes of a list may be why there is no answer to it, so that others of them have one
    if they are asked for apart; `failures` are those in a row, this one included."""
    if isinstance(error, RequestRefused):
        return error.ret not in FINAL
    is_fault = isinstance(error, (Unavailable, Unreadable)) and error.retry_after is None
    return is_fault and (error.status > 0 or failures < IN_A_ROW)


def halves(codes: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Both halves of a list of two codes at least."""
    half = len(codes) // 2
    return [codes[:half], codes[half:]]
