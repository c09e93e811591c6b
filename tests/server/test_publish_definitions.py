"""New instruments while the database is locked: who waits, and that no line is lost."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tickwire.config import DATABASE

from ..serving import until
from .publishing import NEW, Desk, a_trade, desk_in, packed


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another program writes into the database meanwhile."""
    connection = sqlite3.connect(folder / DATABASE, isolation_level=None)
    try:
        connection.execute("BEGIN IMMEDIATE")
        yield
    finally:
        connection.close()


async def defining(desk: Desk) -> None:
    await until(lambda: desk.published._defining is not None)


async def test_while_one_waits_for_the_database_the_others_publish(tmp_path: Path) -> None:
    async with desk_in(tmp_path) as desk, desk.socket("?publisher=other") as talk:
        with locked(tmp_path):
            waiting = asyncio.create_task(desk.post(packed(NEW | {"seq": 1}), publisher="one"))
            await defining(desk)
            assert (await talk.send(a_trade(1)))["accepted"] == 1
            assert (await desk.data(packed(a_trade(2)), publisher="third"))["accepted"] == 1
            assert not waiting.done()
        await waiting


def told(missing: int) -> str:
    return f"a new instrument cannot be kept now: send again from seq {missing} on"


async def test_pipelined_messages_lose_nothing_when_an_instrument_cannot_be_kept(tmp_path: Path) -> None:
    messages = [
        [a_trade(1), NEW | {"seq": 2}, a_trade(3)],
        [a_trade(4), a_trade(5)],
        [a_trade()],
        [a_trade(6)],
    ]
    async with desk_in(tmp_path) as desk:
        async with desk.socket() as talk:
            with locked(tmp_path):
                for lines in messages:
                    await talk.socket.send(packed(*lines))
                answers = [await talk.document() for _ in messages]
            assert [one["ret"] for one in answers] == [500, 500, 200, 500]
            assert {one["msg"] for one in answers if one["ret"] == 500} == {told(2)}
            assert [one["data"]["seq"] for one in answers] == [1] * 4
            answer = await desk.post(packed(a_trade(7)))
            assert (answer.status_code, answer.json()["msg"]) == (500, told(2))
            again = [await talk.send(*lines) for lines in messages]
        assert [one["accepted"] for one in again] == [2, 2, 1, 1]
        assert [one["duplicates"] for one in again] == [1, 0, 0, 0]
        assert (await desk.standing())["seq"] == 6
