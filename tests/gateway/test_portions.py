"""Who is served in a turn of the loop, and in which order."""

from __future__ import annotations

import asyncio

from tickwire.gateway.portions import Portions


class Serving:
    """Those who want so many portions each, of a second of a clock that only serving moves."""

    def __init__(self, *, of_token: float = 2.0) -> None:
        self.now = 0.0
        self.portions = Portions(2.0, of_token, lambda: self.now)
        self.served: list[str] = []
        self.turns: list[int] = []
        self._turn = 0

    async def run(self, *each: tuple[str, str, int], fair: bool) -> list[str]:
        """Serves those of (name, token, portions), who come one after the other; returns who was."""
        tasks = [asyncio.create_task(self._take(*one, fair=fair)) for one in each]
        while any(not task.done() for task in tasks):
            self._turn += 1
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        return self.served

    async def _take(self, name: str, token: str, count: int, *, fair: bool) -> None:
        place = None if fair else self.portions.place()
        for _ in range(count):
            await self.portions.wait(token, place)
            with self.portions.serve(token):
                self.now += 1
                self.served.append(name)
                self.turns.append(self._turn)


async def test_who_has_a_place_is_served_to_the_end_before_those_behind() -> None:
    serving = Serving()
    served = await serving.run(("a", "x", 5), ("b", "x", 3), ("c", "x", 3), fair=False)
    assert "".join(served) == "aaaaabbbccc"
    assert max(map(serving.turns.count, serving.turns)) == 2  # so many go into a turn


async def test_without_a_place_all_go_by_turns() -> None:
    served = await Serving().run(("a", "x", 4), ("b", "x", 4), ("c", "x", 4), fair=True)
    assert "".join(served) == "aaaabbccbbcc"


async def test_many_of_one_token_keep_no_other_one_waiting() -> None:
    serving = Serving(of_token=1.0)
    many = [(f"a{number}", "x", 2) for number in range(200)]
    await serving.run(*many, ("b", "y", 2), fair=False)
    assert serving.turns[serving.served.index("b")] <= 3
    assert sorted(serving.served) == sorted([name for name, *_ in many] * 2 + ["b"] * 2)


async def test_a_token_does_not_take_all() -> None:
    serving = Serving(of_token=1.0)
    await serving.run(("a", "x", 4), ("b", "x", 4), ("c", "y", 4), fair=False)
    assert serving.turns[serving.served.index("c")] <= 3
    assert serving.served.index("b") > serving.served.index("c")
    assert serving.served[-2:] == ["b", "b"]  # what nobody else wants is one's own


async def test_who_leaves_while_it_waits_keeps_nobody_waiting() -> None:
    serving = Serving()
    busy = asyncio.create_task(serving.run(("a", "x", 8), fair=False))
    gone = [asyncio.create_task(serving.portions.wait("x", 100)) for _ in range(200)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for task in gone:
        task.cancel()
    assert await busy == ["a"] * 8
    await asyncio.wait_for(serving.portions.wait("x"), 30)
