"""What a process of a server says of itself when others ask, see `Supplier.statements`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from . import contract
from .answers import Statement
from .contract import Speaker

log = structlog.get_logger()


class Sayings:
    """What one process can say of itself, by what is asked: a `Speaker`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.by_question: dict[str, Callable[[str], Awaitable[bytes]]] = {}
        """Each is given what the question is about."""

    async def statements(self, what: str, about: str = "", but: str = "") -> list[Statement]:
        """Its own: nothing, where it knows no such question. Raises what the answer does."""
        answer = self.by_question.get(what)
        return [Statement(self.name, None if answer is None else await answer(about))]


async def heard(
    speaker: Speaker, what: str, about: str, but: str = "", slack: float = 0.0
) -> list[Statement]:
    """What a speaker says within the time that it has, and `slack` seconds. Does not fail."""
    try:
        async with asyncio.timeout(contract.PATIENCE + slack):
            said = await speaker.statements(what, about, but)
    except TimeoutError:  # who asked tells of it
        return [Statement(speaker.name, None)]
    except Exception:
        log.exception("a process cannot say what it is asked", name=speaker.name, what=what)
        return [Statement(speaker.name, None)]
    return [bounded(one) for one in said]


def bounded(statement: Statement) -> Statement:
    """The same, or that it said nothing, where it says too much."""
    if statement.body is None or len(statement.body) <= contract.MOST_SAID:
        return statement
    log.error("a process says more than it may", name=statement.name, bytes=len(statement.body))
    return statement._replace(body=None)
