"""Twenty minutes of clients that come and go, stall and are troubled by scenarios, and a fault a minute.

A simulator in virtual time that records, and a server of what is published, both on a disk of their own;
each of them again, which nothing befalls; and a relay of one more, which is killed. In the end the bars of
those are the bars of these, nothing was raised that nobody caught, and neither memory nor descriptors have
grown. Only in `make soak`; TICKWIRE_SOAK_SECONDS says how long.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from ..serving import DEPTH, HEARTBEAT, OTHER_WS, TRADE, Program, Raw, masked, running, until, upgrade
from .test_drill import ask, fault_full, fault_locked

pytestmark = pytest.mark.skipif("TICKWIRE_SOAK" not in os.environ, reason="takes minutes: make soak")

SECONDS = float(os.environ.get("TICKWIRE_SOAK_SECONDS", "1200"))
MINUTE = min(60.0, SECONDS / 6)
"""Seconds from a fault to the next."""
PAUSE = 40.0
"""Seconds that a server stands still."""
PATIENCE = 300.0
"""Seconds after which what is waited for counts as missing: others may keep the machine busy."""
RATE = "2"
"""Steps a second and code: what counts here is how long it goes on."""
HOUR = 3600
CHURN, STALLED, STEADY = 8, 4, 3
"""Clients that come and go, that read nothing, and that read everything."""
CODES = "BTCUSDT ETHUSDT GOLD EURUSD USDJPY GBPUSD Silver USOIL SOLUSDT DOGEUSDT".split()
START = "2026-11-16T14:30:00Z"
SAME = ["--seed", "7", "--start", START, "--codes", ",".join(CODES), "--rate", RATE]
PUBLISHED = "BTCUSDT GOLD EURUSD USOIL".split()
LATE = 600
"""Seconds that a published trade may be late: more than a server stands still, less than a clock is wrong."""
MOST = 400
"""Lines of a message, which a server takes in one step: all of them by one time."""
SPARE_FILES = 8
"""Descriptors that it may have more when all clients have left than before the first one came."""
SCENARIOS = ("flaky-network", "slow-server", "rate-limited")
"""Which trouble clients and leave ticks as they are."""
FLAT_MEMORY = 60.0
"""MiB an hour: 10 KiB for each of the six thousand clients that come to a server in that time."""
ARROW = 80.0
"""As many more for who records: what Arrow keeps of a seal comes and goes by 20 MiB, which looks like so much
when it is fitted to a quarter of an hour. Ten full disks in a row end where the first did."""
FLAT_FILES = 20.0
"""Descriptors an hour: each third fault leaves one."""
SET_BACK = "the clock was set back"
UNCAUGHT = re.compile("Traceback|never retrieved|never awaited|Exception ignored|Fatal Python error")
BEAT = masked(1, msgspec.json.encode({"cmd_id": HEARTBEAT, "seq_id": 2, "trace": "", "data": {}}))


class Sample(NamedTuple):
    """When, MiB of memory, and open descriptors."""

    at: float
    memory: float
    files: int


class Watched:
    """A server, and how much it takes."""

    def __init__(self, name: str, program: Program) -> None:
        self.name, self.program = name, program
        self.samples: list[Sample] = []

    def look(self, at: float) -> None:
        """Takes a sample."""
        proc = Path(f"/proc/{self.program.process.pid}")
        pages = int((proc / "statm").read_text().split()[1])
        self.samples.append(Sample(at, pages * 4 / 1024, len(os.listdir(proc / "fd"))))  # noqa: PTH208

    async def left(self) -> int:
        """Descriptors that it has more than at first, once all who left are gone."""
        more = 0
        for _ in range(30):
            self.look(self.samples[-1].at + 1)
            if (more := self.samples[-1].files - self.samples[0].files) <= SPARE_FILES:
                break
            await asyncio.sleep(1)
        return more

    def told(self) -> tuple[float, float]:
        """Prints the slopes; returns what memory and descriptors grow by in an hour, as fitted to the samples
        by least squares once the first quarter, in which caches fill, is over."""
        settled = self.samples[len(self.samples) // 4 :]
        at = [one.at for one in settled]
        slopes = []
        for what, unit in (("memory", "MiB"), ("files", "descriptors")):
            values = [float(getattr(one, what)) for one in settled]
            slopes.append(statistics.linear_regression(at, values).slope * HOUR)
            print(
                f"{self.name:10} {what:7} {values[0]:7.1f} -> {values[-1]:7.1f} {unit}, most "
                f"{max(values):7.1f}, slope {slopes[-1]:+8.1f} an hour"
            )
        return slopes[0], slopes[1]


class Crowd:
    """The clients of a server, and what became of them."""

    def __init__(self, url: str, seed: int, codes: Sequence[str] = CODES) -> None:
        self._codes = codes
        address = url.removeprefix("http://").split(":")
        self._host, self._port = address[0], int(address[1])
        self._dice = random.Random(seed)
        self.did: Counter[str] = Counter()
        self.pushes: Counter[int] = Counter()
        """Of each steady client."""
        self.holes: list[str] = []

    async def run(self) -> None:
        """All of them, until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(CHURN):
                group.create_task(self._again(self._come_and_go))
            for _ in range(STALLED):
                group.create_task(self._again(self._stall))
            for number in range(STEADY):
                group.create_task(self._again(lambda number=number: self._read(number)))  # type: ignore[misc]

    async def _again(self, visit: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                await visit()
            except (OSError, asyncio.IncompleteReadError, TimeoutError):
                self.did["cut"] += 1
            await asyncio.sleep(self._dice.uniform(0.1, 1))

    @contextlib.asynccontextmanager
    async def _inside(self, *codes: str, buffer: int = 0) -> AsyncIterator[Raw]:
        plain = socket.socket()
        plain.setblocking(False)
        if buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            await asyncio.get_running_loop().sock_connect(plain, (self._host, self._port))
        except BaseException:
            plain.close()
            raise
        reader, writer = await asyncio.open_connection(sock=plain)
        try:
            raw = Raw(reader, writer)
            await raw.send(upgrade(OTHER_WS))
            if (await raw.head()).startswith(b"http/1.1 101 "):
                self.did["came in"] += 1
                for command in (TRADE, DEPTH):
                    wanted = {"symbol_list": [{"code": code} for code in codes]}
                    await raw.send(
                        masked(
                            1,
                            msgspec.json.encode(
                                {"cmd_id": command, "seq_id": 1, "trace": "soak", "data": wanted}
                            ),
                        )
                    )
                yield raw
            else:
                raise ConnectionRefusedError
        finally:
            writer.transport.abort()

    async def _come_and_go(self) -> None:
        async with self._inside(*self._dice.sample(self._codes, 3)) as raw:
            until = time.monotonic() + self._dice.uniform(0.2, 5)
            while time.monotonic() < until and (await raw.frame())[0] != -1:
                pass
            if self._dice.random() < 0.5:
                await raw.send(masked(8, b"\x03\xe8"))
                await raw.closing()

    async def _stall(self) -> None:
        async with self._inside(*self._codes, buffer=4096) as raw:
            await asyncio.sleep(self._dice.uniform(30, 90))
            self.did["stalled"] += 1
            raw.writer.transport.abort()

    async def _read(self, number: int) -> None:
        """Reads everything: no `seq` of a code is left out while the connection stands."""
        last: dict[tuple[int, str], int] = {}
        async with self._inside(*self._codes) as raw:
            beat = time.monotonic()
            while (frame := await raw.frame())[0] not in (-1, 8):
                if time.monotonic() - beat > 5:
                    beat = time.monotonic()
                    await raw.send(BEAT)
                message = msgspec.json.decode(frame[1]) if frame[0] == 1 else {}
                if "data" not in message or "ret" in message or "seq" not in message["data"]:
                    continue
                self.pushes[number] += 1
                key, seq = (message["cmd_id"], message["data"]["code"]), int(message["data"]["seq"])
                if seq - last.get(key, seq - 1) != 1:
                    self.holes.append(f"{key}: {last[key]} -> {seq}")
                last[key] = seq


class Publisher:
    """Publishes the same trades to several servers, to each as fast as it takes them: what one does not take
    is sent again."""

    def __init__(self, *urls: str) -> None:
        self.lines: list[bytes] = []
        self.taken = dict.fromkeys(urls, 0)
        self.refused: Counter[str] = Counter()
        """Lines, by server."""
        self._dice = random.Random(4)
        self._trading = asyncio.Event()
        self._trading.set()

    async def run(self) -> None:
        """Until it is cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._trade())
            for url in self.taken:
                group.create_task(self._feed(url))

    @contextlib.asynccontextmanager
    async def quiet(self) -> AsyncIterator[None]:
        """Nothing is traded meanwhile, and all that was is taken."""
        self._trading.clear()
        await until(lambda: all(taken == len(self.lines) for taken in self.taken.values()), patience=PATIENCE)
        yield
        self._trading.set()

    async def _trade(self) -> None:
        while True:
            await self._trading.wait()
            trade = {
                "type": "trade",
                "code": self._dice.choice(PUBLISHED),
                "time": time.time_ns() // 1_000_000,
                "price": self._dice.randrange(1_000, 1_100),
                "volume": self._dice.randrange(1, 9),
                "seq": len(self.lines) + 1,
            }
            self.lines.append(msgspec.json.encode(trade))
            await asyncio.sleep(0.05)

    async def _feed(self, url: str) -> None:
        address = url.replace("http", "ws", 1) + "/v1/publish?publisher=soak"
        while True:
            with contextlib.suppress(OSError, ConnectionClosed, InvalidHandshake):
                async with connect(address) as socket:
                    while True:
                        if lines := self.lines[self.taken[url] :][:MOST]:
                            await socket.send(b"\n".join(lines).decode())
                            data = msgspec.json.decode(await socket.recv())["data"]
                            self.taken[url] = data["seq"]
                            self.refused[url] += data["bad_lines"]
                        await asyncio.sleep(0.2)
            await asyncio.sleep(0.2)


class Shifted:
    """A clock that can be set, for the programs that are begun on it."""

    def __init__(self, folder: Path) -> None:
        self._file, library = folder / "clock", folder / "clock.so"
        self.set(0)
        compiler = shutil.which("cc")
        assert compiler is not None, "the soak needs a C compiler"
        source = Path(__file__).with_name("clock.c")
        subprocess.run([compiler, "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
        self.environment = {"LD_PRELOAD": str(library), "SHIFTED_CLOCK": str(self._file)}

    def set(self, seconds: int) -> None:
        """So many seconds ahead of the machine's, at once."""
        mode = "r+b" if self._file.exists() else "wb"  # it is mapped: it may not be cut off
        with self._file.open(mode) as file:
            file.write(seconds.to_bytes(8, sys.byteorder, signed=True))


class Soak:
    """The servers, and what befalls them."""

    def __init__(self, folder: Path, disk: Path) -> None:
        self.folder, self.disk = folder, disk
        self.clock = Shifted(folder)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def server(
        self, name: str, data: Path, *arguments: str, shifted: bool = True
    ) -> contextlib.AbstractAsyncContextManager[Program]:
        """One on that clock, or on the machine's."""
        port = () if "--port" in arguments else ("--port", "0")
        served = "-m", "tickwire", "serve", "--data-dir", str(data), *port, *arguments
        return running(self.folder / f"{name}.log", *served, **self.clock.environment if shifted else {})

    def logs(self) -> dict[str, str]:
        """What all of them have said, by name."""
        return {path.stem: path.read_text() for path in self.folder.glob("*.log")}

    @contextlib.asynccontextmanager
    async def upstream(self) -> AsyncIterator[Program]:
        """What is relayed, always on the same port."""
        port = ("--port", str(self.port), "--codes", ",".join(CODES), "--rate", RATE)
        async with self.server("upstream", self.folder / "upstream", *port) as program:
            yield program


async def admin(method: str, url: str, body: object = None) -> None:
    """In a thread: the clients of this process hold that up least, and a head must come within 30 seconds."""
    answer = await asyncio.to_thread(
        httpx.request, method, f"{url}/admin/scenario", json=body, timeout=PATIENCE
    )
    answer.raise_for_status()


async def bars_of(url: str, codes: Iterable[str], kline_type: int = 1) -> dict[str, dict[str, Any]]:
    """The bars of each code, by the time at which they opened."""
    found: dict[str, dict[str, Any]] = {}
    async with httpx.AsyncClient(base_url=url, timeout=PATIENCE) as client:
        for code in codes:
            async with asyncio.timeout(PATIENCE):
                while True:
                    answer = await ask(client, code, kline_type)
                    if answer.status_code == 200 and "tickwire-partial" not in answer.headers:
                        break
                    await asyncio.sleep(0.2)
            found[code] = {bar["timestamp"]: bar for bar in answer.json()["data"]["kline_list"]}
    return found


async def same_minutes(url: str, other: str) -> None:
    """Two simulators in the same virtual time have the same closed minutes, as far as both are."""
    ours, theirs = await bars_of(url, CODES), await bars_of(other, CODES)
    for code in CODES:
        first = max(min(ours[code]), min(theirs[code]))
        last = min(max(ours[code]), max(theirs[code]))  # which may be forming
        one, two = (
            {at: bar for at, bar in bars[code].items() if first <= at < last} for bars in (ours, theirs)
        )
        assert len(one) > SECONDS // 60
        assert one == two, code


async def same_bars(url: str, other: str) -> None:
    """Two servers that were published the same have the same bars of all types."""
    for kline_type in range(1, 11):
        ours = await bars_of(url, PUBLISHED, kline_type)
        assert ours == await bars_of(other, PUBLISHED, kline_type), kline_type


async def test_twenty_minutes(tmp_path: Path, disk: Path) -> None:
    soak, data, published = Soak(tmp_path, disk), disk / "data", disk / "published"
    record = "--record", str(disk / "recording")
    publish = "--source", "publish", "--codes", ",".join(PUBLISHED), "--late-window", str(LATE)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        shaken = await enter(soak.server("simulator", data, *SAME, *record))
        calm = await enter(soak.server("calm simulator", tmp_path / "calm", *SAME, shifted=False))
        told = await enter(soak.server("published", published, *publish))
        quiet = await enter(soak.server("calm published", tmp_path / "quiet", *publish, shifted=False))
        above = contextlib.AsyncExitStack()
        stack.push_async_exit(above)
        upstream = await above.enter_async_context(soak.upstream())
        relaying = "--source", "alltick", "--upstream-url", upstream.url, "--upstream-token", "t"
        relay = await enter(soak.server("relay", tmp_path / "relay", *relaying))
        watched = [Watched("simulator", shaken), Watched("published", told), Watched("relay", relay)]
        for one in watched:
            one.look(0.0)
        crowds = [Crowd(shaken.url, 1), Crowd(relay.url, 2), Crowd(told.url, 3, PUBLISHED)]
        publisher = Publisher(told.url, quiet.url)
        tasks = [asyncio.create_task(crowd.run()) for crowd in crowds]
        tasks += [asyncio.create_task(publisher.run()), asyncio.create_task(watch(watched))]

        async def kill_upstream() -> None:
            nonlocal upstream, above
            upstream.process.kill()
            await above.aclose()
            await asyncio.sleep(PAUSE / 4)
            above = contextlib.AsyncExitStack()
            upstream = await above.enter_async_context(soak.upstream())
            stack.push_async_exit(above)

        async def stand_still() -> None:
            for one in watched:
                one.program.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(PAUSE)
            for one in watched:
                one.program.process.send_signal(signal.SIGCONT)

        async def set_ahead() -> None:
            """What is traded meanwhile would be late for a server that believes its clock."""
            async with publisher.quiet():
                soak.clock.set(HOUR)
                await asyncio.sleep(PAUSE / 2)
                before = told.log.count(SET_BACK)
                soak.clock.set(0)
                await until(lambda: told.log.count(SET_BACK) > before, patience=PATIENCE)

        async def set_back() -> None:
            soak.clock.set(-HOUR)
            await asyncio.sleep(PAUSE / 2)
            soak.clock.set(0)

        async def both(fault: Callable[[Path], Awaitable[None]]) -> None:
            await asyncio.gather(*(fault(one / "tickwire.db") for one in (data, published)))

        faults: dict[str, Callable[[], Awaitable[None]]] = {
            "database locked": lambda: both(fault_locked),
            "disk full": lambda: fault_full(data),
            "upstream killed": kill_upstream,
            f"stopped for {PAUSE:.0f} s": stand_still,
            "clock an hour ahead": set_ahead,
            "clock an hour back": set_back,
        }
        try:
            await go_through(faults, tasks, crowds, [one.program.url for one in watched])
            async with publisher.quiet():
                pass
            print("published", len(publisher.lines), "refused", [*publisher.refused.values()])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        fitted = [one.told() for one in watched]
        left = [await one.left() for one in watched]
        print("descriptors left", left)
        await same_minutes(shaken.url, calm.url)
        await same_bars(told.url, quiet.url)
        for one in watched:
            assert (await one.program.end())[0] == 0, one.name
    logs = soak.logs()
    for crowd in crowds:
        print({**crowd.did}, "pushes", [*crowd.pushes.values()], "holes", crowd.holes[:5])
    for name, text in logs.items():
        events = re.findall(r'event="?([^"\n]*?)"?(?: \w+=|$)', text, re.MULTILINE)
        print(name, Counter(events).most_common(12))
        assert (found := UNCAUGHT.search(text)) is None, text[found.start() :][:3000]
    assert "came too late for their bars" not in logs["published"]
    assert not any(crowd.holes for crowd in crowds)
    assert max(left) <= SPARE_FILES
    if SECONDS >= 600:
        for one, (memory, files) in zip(watched, fitted, strict=True):
            assert memory < FLAT_MEMORY + ARROW * (one.program is shaken), one.name
            assert files < FLAT_FILES, one.name


async def watch(watched: list[Watched]) -> None:
    """Takes a sample of each, each second."""
    began = time.monotonic()
    while True:
        for one in watched:
            one.look(time.monotonic() - began)
        await asyncio.sleep(1)


async def go_through(
    faults: dict[str, Callable[[], Awaitable[None]]],
    tasks: list[asyncio.Task[None]],
    crowds: list[Crowd],
    urls: list[str],
) -> None:
    """A fault a minute and a scenario in each; behind each fault the clients get pushes again."""
    end, number = time.monotonic() + SECONDS, 0
    names = [*faults]
    while time.monotonic() < end or number < len(names):
        begun, name = time.monotonic(), names[number % len(names)]
        scenario = SCENARIOS[number % len(SCENARIOS)]
        number += 1
        for url in urls:
            await admin("POST", url, {"name": scenario})
        await faults[name]()
        for url in urls:
            await admin("DELETE", url)
        before = [crowd.pushes.total() for crowd in crowds]
        async with asyncio.timeout(PATIENCE):
            while any(crowd.pushes.total() <= then for crowd, then in zip(crowds, before, strict=True)):
                for task in tasks:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.05)
        took = time.monotonic() - begun
        print(f"{number:3} {name:20} with {scenario:14} {took:5.1f} s, {time.strftime('%X')}", flush=True)
        await asyncio.sleep(min(max(0.0, MINUTE - took), max(0.0, end - time.monotonic())))
