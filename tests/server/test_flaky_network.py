"""A program without any error handling under `tickwire serve --scenario flaky-network`.

It dies of the first thing that goes wrong, with a traceback, and is started again, as a service would be.
What it died of, time after time, must be what the scenario file says under the server's seed.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tickwire.sandbox import Client, Disconnect, Sandbox, load_scenario
from tickwire.sandbox.steps import Delay, Refuse
from tickwire.store import load_catalogue

from ..serving import OTHER_WS, program, program_environment

SCENARIO = "flaky-network"
SEED, OTHER_SEED = 11, 168
"""Two under which a few starts meet all that there is, soon, and no two faults at almost the same time."""
STARTS = 5
SLACK = 20.0
"""Seconds by which a busy machine may be late."""
PROGRAM = """
import json, sys, time
from websockets.sync.client import connect

link = connect(sys.argv[1], compression=None, ping_interval=None)
print("connected", flush=True)
began = time.monotonic()
link.send(json.dumps({"cmd_id": 22000, "seq_id": 1, "trace": "t", "data": {}}))
assert json.loads(link.recv())["ret"] == 200
print("answered after", time.monotonic() - began, flush=True)
link.send(json.dumps({"cmd_id": 22004, "seq_id": 2, "data": {"symbol_list": [{"code": "BTCUSDT"}]}}))
while True:
    json.loads(link.recv())
"""
ENDS = {
    "refused": re.compile(r"InvalidStatus: server rejected WebSocket connection: HTTP (\d+)$"),
    "closed": re.compile(r"ConnectionClosedError: received (\d+ .*?);"),
    "reset": re.compile(r"^ConnectionResetError: \[Errno \d+\] (Connection reset by peer)$", re.MULTILINE),
}


class Fate(NamedTuple):
    """What a start of the program ended with; seconds from its connection to its end, and to an answer."""

    what: str
    detail: str
    lived: float = 0.0
    answered: float = 0.0


def forecast(seed: int) -> list[Fate]:
    """What the scenario file has in store for a client that starts anew again and again."""
    sandbox, connection, now = Sandbox(seed), 0, 0.0
    sandbox.begin(load_scenario(SCENARIO), now, load_catalogue())
    sandbox.advance(now)
    found: list[Fate] = []
    while len(found) < STARTS:
        connection += 1
        client = Client("t", ("t",), None, connection, now)
        if (refuse := sandbox.refusal(client)) is not None:
            found.append(Fate("refused", str(refuse.status)))
            continue
        lives = next((n / 100 for n in range(1000) if sandbox.cut(client, now + n / 100)), None)
        assert lives is not None, "choose a seed under which no connection lives for ever"
        cut = sandbox.cut(client, now + lives)
        assert cut is not None
        soon = sandbox.cut(client, now + lives + 0.3)
        assert soon is cut, "choose a seed under which no two faults come together"
        what, detail = (
            ("reset", "Connection reset by peer") if cut.reset else ("closed", f"{cut.code} {cut.reason}")
        )
        found.append(Fate(what, detail, lives, sandbox.delay(client)))
    return found


async def start(url: str) -> Fate:
    """Starts the program, and reads out of its traceback what it died of."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        PROGRAM,
        url,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=program_environment(),
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(120):
            connected = await process.stdout.readline()
            began = time.monotonic()
            answered = (await process.stdout.read()).decode()
            errors = (await process.communicate())[1].decode()
            lived = time.monotonic() - began
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    assert process.returncode == 1
    ((what, detail),) = [
        (what, found[1]) for what, end in ENDS.items() if (found := end.search(errors.strip()))
    ]
    detail = detail.replace(" (internal error)", "")
    if not connected:
        return Fate(what, detail)
    return Fate(what, detail, lived, float(answered.split()[-1]))


async def starts(folder: Path, seed: int) -> list[Fate]:
    """A server of its own, and what one start after the other sees of it."""
    flags = ("--scenario", SCENARIO, "--seed", str(seed), "--codes", "BTCUSDT", "--rate", "20")
    async with program(folder, *flags) as server:
        url = server.url.replace("http", "ws", 1) + OTHER_WS + "?token=t"
        return [await start(url) for _ in range(STARTS)]


def kinds(fates: list[Fate]) -> list[tuple[str, str]]:
    return [(fate.what, fate.detail) for fate in fates]


def test_the_forecast_is_that_of_the_scenario_file() -> None:
    """Lest the forecast and the server err alike: what may come at all is read from the file itself."""
    by_kind = {type(step): step for step in load_scenario(SCENARIO).steps if not isinstance(step, Disconnect)}
    refuse, delay = by_kind[Refuse], by_kind[Delay]
    assert isinstance(refuse, Refuse)
    assert isinstance(delay, Delay)
    cuts = {step.reset: step for step in load_scenario(SCENARIO).steps if isinstance(step, Disconnect)}
    for fate in (*forecast(SEED), *forecast(OTHER_SEED)):
        match fate.what:
            case "refused":
                assert fate.detail == str(refuse.status)
            case "closed" | "reset":
                cut = cuts[fate.what == "reset"]
                assert isinstance(cut.after, tuple)
                assert cut.after[0] <= fate.lived <= cut.after[1] + 0.01
                assert isinstance(delay.by, tuple)
                assert fate.answered == 0 or delay.by[0] <= fate.answered <= delay.by[1]
    assert {fate.what for fate in forecast(SEED)} == {fate.what for fate in forecast(OTHER_SEED)} == {*ENDS}
    assert max(fate.answered for fate in forecast(SEED)) > 0
    assert kinds(forecast(SEED)) != kinds(forecast(OTHER_SEED))


async def test_a_program_without_error_handling_sees_what_the_file_says_twice_the_same(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    first, second, other = await asyncio.gather(
        *(starts(tmp_path_factory.mktemp("flaky"), seed) for seed in (SEED, SEED, OTHER_SEED))
    )
    assert kinds(first) == kinds(second) == kinds(forecast(SEED))
    assert kinds(other) == kinds(forecast(OTHER_SEED)) != kinds(first)
    for seen, expected in (
        *zip(first, forecast(SEED), strict=True),
        *zip(other, forecast(OTHER_SEED), strict=True),
    ):
        assert expected.lived - 0.2 <= seen.lived <= expected.lived + expected.answered + SLACK
        assert expected.answered <= seen.answered <= expected.answered + SLACK
