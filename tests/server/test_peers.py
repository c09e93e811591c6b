"""A server of several processes, asked through one of them: real ones, and what they tell of all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser
from prometheus_client.samples import Sample
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tickwire.cli.checking import told
from tickwire.cli.checking.finding import Finding, Verdict
from tickwire.client import account

from ..serving import OTHER_HTTP, OTHER_WS, PLAIN, TRADE, Link, Program, program, until
from ..test_deploy import OF_WORKERS
from .bench import issue
from .test_workers import CLIENTS, PUBLISHING, processes

ALL = ["market", "gateway 1", "gateway 2"]
SERVING = ALL[1:]
AT_ONCE = 4
"""Requests at the same time."""


class Many:
    """A server of two client sides, one of which may hang, and those who are connected to it."""

    def __init__(self, running: Program, admin: str, desk: str) -> None:
        self.running = running
        self.links: list[ClientConnection] = []
        self._free: list[httpx.AsyncClient] = []
        """Connections to processes that do not hang, while one does."""
        self._admin, self.desk = {"authorization": f"Bearer {admin}"}, desk

    async def get(self, path: str, **headers: str) -> httpx.Response:
        """Asks as the administrator, on a connection of its own: whichever process takes it answers."""
        if self._free:
            http = self._free.pop()
            answer = await http.get(path, headers=self._admin | headers)
            self._free.append(http)
            return answer
        async with httpx.AsyncClient(base_url=self.running.url, verify=PLAIN, timeout=120) as http:
            return await http.get(path, headers=self._admin | headers)

    async def post(self, path: str, body: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.running.url, verify=PLAIN, timeout=120) as http:
            return await http.post(path, headers=self._admin, json=body)

    @contextlib.asynccontextmanager
    async def hanging(self, process: int) -> AsyncIterator[None]:
        """That process hangs, and another one is asked."""
        async with contextlib.AsyncExitStack() as stack:
            several = [
                httpx.AsyncClient(base_url=self.running.url, verify=PLAIN, timeout=120)
                for _ in range(2 * CLIENTS)
            ]
            for http in several:
                await stack.enter_async_context(http)
                await http.get("/healthz")
            os.kill(process, signal.SIGSTOP)
            try:
                asked = {asyncio.ensure_future(http.get("/healthz")): http for http in several}
                waiting = {*asked}
                while len(asked) - len(waiting) < AT_ONCE:
                    _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for one in waiting:
                    one.cancel()
                self._free = [http for one, http in asked.items() if one not in waiting]
                yield
            finally:
                self._free = []
                os.kill(process, signal.SIGCONT)

    async def connections(self) -> dict[str, Any]:
        answer = await self.get("/admin/connections")
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found

    async def usage(self) -> dict[str, Any]:
        answer = await self.get("/v1/usage")
        uses = {one["token"]: one for one in answer.json()["data"]["token_list"]}
        return {**uses["desk"], "lacks": answer.headers.get("tickwire-partial")}

    async def metrics(self) -> dict[str, list[Sample]]:
        """The samples by name; both forms are valid."""
        form = "application/openmetrics-text; version=1.0.0"
        read = openmetrics_parser.text_string_to_metric_families
        one, other = await asyncio.gather(self.get("/metrics", accept=form), self.get("/metrics"))
        assert [*read(one.text)]  # type: ignore[no-untyped-call]
        families = [*parser.text_string_to_metric_families(other.text)]
        assert len({one.name for one in families}) == len(families)
        found: dict[str, list[Sample]] = {}
        for sample in (sample for family in families for sample in family.samples):
            found.setdefault(sample.name, []).append(sample)
        for name, samples in found.items():
            assert len({(*sorted(one.labels.items()),) for one in samples}) == len(samples), name
        return found


@contextlib.asynccontextmanager
async def many(folder: Path) -> AsyncIterator[Many]:
    (folder / "data").mkdir()
    admin, desk = issue(folder / "data", "boss", admin=True), issue(folder / "data", "desk")
    async with program(folder, *PUBLISHING) as running, contextlib.AsyncExitStack() as stack:
        at = Many(running, admin, desk)
        url = running.url.replace("http", "ws", 1) + f"{OTHER_WS}?token={desk}"
        for _ in range(CLIENTS):
            at.links.append(await stack.enter_async_context(connect(url, ping_interval=None)))
            await Link(at.links[-1]).subscribe(TRADE, "BTCUSDT")
        yield at


async def comes(found: Callable[[], Awaitable[bool]]) -> None:
    """Asks until it is so."""
    async with asyncio.timeout(120):
        while not await found():  # noqa: ASYNC110  # a process of its own, which tells nobody
            await asyncio.sleep(0.05)


def workers(samples: list[Sample]) -> list[str]:
    return [*dict.fromkeys(one.labels["worker"] for one in samples)]


async def test_whichever_process_is_asked_it_tells_of_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(told, "PATIENCE", 0.5)  # of a check that asks the process that hangs
    async with many(tmp_path) as at:
        # Connections, and one of them closed by its number.
        listed = await at.connections()
        numbers = {one["number"]: one["worker"] for one in listed["connections"]}
        assert len(numbers) == CLIENTS, "no number is two connections'"
        assert {*numbers.values()} == {*SERVING}
        assert listed["missing"] == []
        gone = min(numbers)
        step = {"do": "disconnect", "connections": [gone]}
        assert (await at.post("/admin/scenario", {"step": [step]})).status_code == 200
        await until(lambda: any(one.close_code == 1011 for one in at.links))
        left = {one["number"]: one["worker"] for one in (await at.connections())["connections"]}
        assert left == {number: name for number, name in numbers.items() if number != gone}

        # What a token uses.
        asked = 9
        for _ in range(asked):
            await at.get(f"{OTHER_HTTP}/trade-tick?token={at.desk}")
        use = await at.usage()
        assert (use["connections"], use["codes"], use["requests"], use["lacks"]) == (
            CLIENTS - 1,
            1,
            asked,
            None,
        )

        # Metrics.
        found = await at.metrics()
        assert {one.labels["worker"]: one.value for one in found["tickwire_worker_up"]} == dict.fromkeys(
            ALL, 1
        )
        assert {*found["tickwire_worker_up"][0].labels} == OF_WORKERS["tickwire_worker_up"]
        for name in ("process_resident_memory_bytes", "tickwire_loop_lag_seconds_count"):
            assert workers(found[name]) == ALL, name
        for name in ("tickwire_ready", "tickwire_pushes_total", "tickwire_push_latency_seconds_bucket"):
            assert workers(found[name]) == SERVING, name
        for name in ("tickwire_build_info", "tickwire_events_total", "tickwire_source_open_gaps"):
            assert ["worker" in one.labels for one in found[name]] == [False], name
        served = Counter(left.values())
        assert {
            one.labels["worker"]: one.value
            for one in found["tickwire_connections"]
            if one.labels["family"] == "other"
        } == served
        mine = {
            name: [one.value for one in found[f"tickwire_token_{name}"] if one.labels["token"] == "desk"]
            for name in ("connections", "codes", "requests_total")
        }
        assert (mine["connections"], mine["codes"]) == ([CLIENTS - 1], [1])
        assert sum(mine["requests_total"]) == asked

        # All that there are are named where a probe looks, and by `tickwire check`.
        async def all_answer() -> bool:
            found = (await at.get("/readyz")).json()["workers"]
            assert [one["name"] for one in found] == ALL
            return all(one["up"] for one in found)

        await comes(all_answer)
        checked = await told.readiness(account(at.running.url, at.desk))
        assert [(one.verdict, one.measured) for one in checked if one.check == "workers"] == [
            (Verdict.OK, "all 3 processes answer")
        ]

        # One hangs: the other answers, and says that it lacks it.
        stopped = processes(at.running)[2]
        async with at.hanging(stopped):
            await one_hangs(at, left)
        await comes(all_answer)
        assert (await at.connections())["missing"] == []

        # One is gone and comes back: no number means another connection than before.
        os.kill(stopped, signal.SIGKILL)
        lost = {number for number, name in left.items() if name == "gateway 2"}
        await until(lambda: sum(one.close_code not in (None, 1011) for one in at.links) == len(lost))
        again = {*left} - lost

        async def another() -> bool:
            url = at.running.url.replace("http", "ws", 1) + f"{OTHER_WS}?token={at.desk}"
            with contextlib.suppress(OSError, ConnectionClosed):
                at.links.append(await connect(url, ping_interval=None))
            listed = (await at.connections())["connections"]
            return any(one["worker"] == "gateway 2" for one in listed)

        await comes(another)
        now = {one["number"] for one in (await at.connections())["connections"]}
        assert again <= now
        assert not now & lost

        # The market side hangs.
        async with at.hanging(processes(at.running)[0]):
            await the_market_side_hangs(at)
        await comes(all_answer)
        for link in at.links:
            await link.close()
    assert "Traceback" not in at.running.log


async def one_hangs(at: Many, connections: dict[int, str]) -> None:
    metrics, listed, use = await asyncio.gather(at.metrics(), at.connections(), at.usage())
    up = {one.labels["worker"]: one.value for one in metrics["tickwire_worker_up"]}
    assert up == {"market": 1, "gateway 1": 1, "gateway 2": 0}
    assert listed["missing"] == ["gateway 2"]
    assert {one["number"] for one in listed["connections"]} == {
        number for number, name in connections.items() if name == "gateway 1"
    }
    assert use["lacks"] == "workers"

    async def is_told() -> bool:
        found = (await at.get("/readyz")).json()
        assert found["ready"]
        return [one["name"] for one in found["workers"] if not one["up"]] == ["gateway 2"]

    await comes(is_told)
    checked: list[Finding] = []
    while not checked:  # as long as the one that hangs takes the connection
        checked = await told.readiness(account(at.running.url, at.desk))
    found = next(one for one in checked if one.check == "workers")
    assert (found.verdict, found.measured) == (Verdict.WARN, "2 of 3 processes answer, not gateway 2")


async def the_market_side_hangs(at: Many) -> None:
    metrics, ready = await asyncio.gather(at.metrics(), at.get("/readyz"))
    up = {one.labels["worker"]: one.value for one in metrics["tickwire_worker_up"]}
    assert up["market"] == 0
    assert sum(up.values()) == 1, "the others are asked through it"
    assert metrics["tickwire_connections"]
    assert metrics["tickwire_source_status"]
    assert ready.status_code == 200
