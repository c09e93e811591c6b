"""`tickwire check` against servers that are well, and servers that are not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tickwire.cli.checking.finding import TOKEN, TOO_FAST, Finding, Verdict
from tickwire.cli.checking.run import check_server
from tickwire.cli.main import run
from tickwire.client import account
from tickwire.sandbox import scenario_of
from tickwire.sources import Status

from ..client.alltick_stub import TOKEN as VENDOR_TOKEN
from ..client.alltick_stub import AllTick, alltick
from ..client.test_fault_library import hurried
from ..forks import spawn
from ..serving import program_environment, serving, until

OK, WARN, FAIL = Verdict.OK, Verdict.WARN, Verdict.FAIL
HTTP = ["/trade-tick", "/depth-tick", "/kline", "/batch-kline", "/static_info"]
Checking = Callable[[], Awaitable["Report"]]


class Report:
    """What a check has told."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.verdict = FAIL

    def of(self, check: str, family: str = "") -> Finding:
        """The finding of that name."""
        return next(one for one in self.findings if one.check == check and family in ("", one.family))

    def bad(self, verdict: Verdict = FAIL) -> set[str]:
        """The checks with that verdict."""
        return {one.check for one in self.findings if one.verdict is verdict}


async def checked(url: str, *codes: str, seconds: float = 1.0, token: str = "") -> Report:
    report = Report()
    server = account(url, token or "t", "unlimited")
    verdict = await check_server(server, codes, seconds, report.findings.append)
    report.verdict = verdict.verdict
    return report


async def under(
    stack: AsyncExitStack, folder: Path, steps: Any, *codes: str, seconds: float = 1.0
) -> Checking:
    """A server, begun, and a check of it that lets that go wrong."""
    served = await stack.enter_async_context(serving(folder, rate=20, seed=3, codes=["BTCUSDT", "GOLD"]))

    async def check() -> Report:
        if steps:
            served.engine.market.scenarios.begin(scenario_of(steps, "test"))
        return await checked(served.url, *codes, seconds=seconds)

    return check


async def expiring(stack: AsyncExitStack, folder: Path) -> Checking:
    """A server, and a check of it; it lets the token expire as soon as it has accepted it."""
    served = await stack.enter_async_context(serving(folder, codes=["BTCUSDT"]))
    report = Report()

    def tell(finding: Finding) -> None:
        report.findings.append(finding)
        if finding.check == "token" and not served.engine.market.scenarios.running:
            served.engine.market.scenarios.begin(scenario_of(step({"do": "expire-token", "at": 0.5}), "test"))

    async def check() -> Report:
        server = account(served.url, "t", "unlimited")
        report.verdict = (await check_server(server, ["BTCUSDT"], 10.0, tell)).verdict
        return report

    return check


async def test_a_server_that_is_well(tmp_path: Path) -> None:
    async with serving(tmp_path, rate=20, codes=["BTCUSDT", "GOLD", "AAPL.US", "700.HK"]) as served:
        report = await checked(served.url, seconds=2.0)
    slow = [one for one in report.findings if one.seconds is not None and one.verdict is WARN]
    assert [one for one in report.findings if one.verdict is not OK] == slow  # the machine may be busy
    for family in ("stock", "other"):
        for check in ("trade-tick", "kline", "connect", "subscribe", "heartbeat", "first tick", "latency"):
            assert report.of(check, family).seconds is not None, (check, family)
        assert "0 numbers missing" in report.of("seq", family).measured
    assert report.of("static_info").measured.endswith("3 entries")
    assert abs(report.of("clock").seconds or 0) < 3


async def test_what_goes_wrong_is_found(tmp_path: Path) -> None:
    """All at once, each on a server of its own, since each has to listen for a while."""
    messy = [{"do": "duplicate", "chance": 0.3}, {"do": "out-of-order", "chance": 0.3}]
    limited = [
        {"do": "answer", "ret": 605, "requests": [22002, 22004]},
        {"do": "answer", "ret": 429, "requests": HTTP},
    ]
    delayed = step({"do": "delay", "by": [1.1, 1.1]})
    late_ones = step({"do": "late", "by": [1.2, 1.3], "chance": 0.5})
    async with AsyncExitStack() as stack:
        checks = [  # servers begin one after the other, so that what a check waits for has the machine
            await under(stack, tmp_path / "well", None, "GOLD", seconds=5.0),
            await under(stack, tmp_path / "unknown", None, "NOPE", seconds=5.0),
            await under(stack, tmp_path / "slow", delayed, "BTCUSDT", seconds=5.0),
            await under(stack, tmp_path / "flaky", hurried("flaky-network"), "BTCUSDT", seconds=5.0),
            await under(stack, tmp_path / "mess", step(*messy), "BTCUSDT", "GOLD", seconds=5.0),
            await under(stack, tmp_path / "late", late_ones, "GOLD", seconds=5.0),
            await under(stack, tmp_path / "limit", step(*limited), "BTCUSDT", seconds=5.0),
            await expiring(stack, tmp_path / "expired"),
            await under(stack, tmp_path / "quiet", step({"do": "gap"}), "BTCUSDT", seconds=5.0),
        ]
        reports = await asyncio.gather(*(check() for check in checks))
    well, unknown, slow, flaky, mess, late, limit, expired, quiet = reports
    assert well.bad() == set()
    assert {one.family for one in well.findings} == {"", "other"}  # only that of the code

    assert unknown.bad() == {"trade-tick", "kline", "subscribe"}
    assert "600" in unknown.of("subscribe").measured

    assert slow.verdict is WARN
    assert {"trade-tick", "kline", "subscribe", "heartbeat"} <= slow.bad(WARN)

    assert "connection" in flaky.bad()
    assert "lost" in flaky.of("connection").measured

    assert mess.verdict is WARN
    assert mess.of("seq").verdict is WARN
    for words in ("0 numbers missing", "twice", "out of order"):
        assert words in mess.of("seq").measured

    assert late.verdict is WARN
    assert "latency" in late.bad(WARN)

    assert {"trade-tick", "kline", "subscribe"} <= limit.bad()
    assert {one.advice for one in limit.findings if one.verdict is FAIL} == {TOO_FAST}

    assert expired.verdict is FAIL
    assert [one.advice for one in expired.findings if one.check == "token"] == ["", TOKEN]

    assert quiet.bad() == set()
    assert "quiet" in quiet.of("latency").measured


def step(*steps: dict[str, Any]) -> dict[str, Any]:
    """A scenario of these."""
    return {"step": [*steps]}


async def test_a_relay_whose_upstream_refuses_it_is_not_well(tmp_path: Path) -> None:
    async with alltick() as upstream:
        relay: dict[str, Any] = {
            "source": ["alltick"],
            "upstream_url": upstream.url,
            "upstream_token": "wrong-secret",
        }
        async with serving(tmp_path, **relay) as served:
            report = await checked(served.url, "BTCUSDT")
    found = report.of("source")
    assert (found.verdict, report.verdict) == (FAIL, FAIL)
    assert "down" in found.measured
    assert "401" in found.measured
    assert "wrong-secret" not in found.measured


async def test_a_replay_that_is_over_is_said_and_is_no_failure(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code,tick_time_ms,price,volume\nBTCUSDT,1788529064027,7,1\n")
    async with serving(tmp_path / "data", source=["replay"], file=[path], speed=0) as served:
        health = served.engine.market.source.health
        await until(lambda: health.status is Status.ENDED)
        report = await checked(served.url, "BTCUSDT")
    found = report.of("source")
    assert (found.verdict, report.verdict) == (WARN, WARN)
    assert found.measured == "replay:t.csv: ended"
    assert "--loop" in found.advice


async def test_a_server_that_behaves_like_the_vendor_s() -> None:
    async with (
        alltick(texts=True) as server,
        trading(server, "BTCUSDT"),
        trading(server, "GOLD", age=86_400),
        alltick() as limited,
    ):
        limited.refuse_http = 1
        live, old, lacking, wrong, refused = await asyncio.gather(
            checked(server.url, "BTCUSDT", token=VENDOR_TOKEN, seconds=1.5),
            checked(server.url, "GOLD", token=VENDOR_TOKEN),
            checked(server.url, "AAPL.US", token=VENDOR_TOKEN),
            checked(server.url, token="wrong-secret", seconds=30),
            checked(limited.url, "BTCUSDT", token=VENDOR_TOKEN, seconds=2.5),
        )
    assert live.bad() == set()
    assert "not one by one" in live.of("seq").measured
    assert 0 <= (live.of("latency").seconds or 9) < 5

    assert "latency" in old.bad(WARN)
    assert "replay" in old.of("latency").advice

    assert lacking.bad() == {"static_info"}
    assert "quiet" in lacking.of("first tick").measured

    assert refused.verdict is WARN
    assert (refused.of("trade-tick").verdict, refused.of("trade-tick").advice) == (WARN, TOO_FAST)

    assert [one.check for one in wrong.findings] == ["reach", "clock", "token"]  # the rest is not tried
    assert wrong.findings[-1].advice == TOKEN
    assert "wrong-secret" not in str(wrong.findings)


@contextlib.asynccontextmanager
async def trading(server: AllTick, code: str, *, age: float = 0.0) -> AsyncIterator[None]:
    """Trades that happen ten times a second, so many seconds ago."""

    async def trade() -> None:
        while True:
            await server.trade(code, at=int((time.time() - age) * 1000))
            await asyncio.sleep(0.1)

    trades = asyncio.create_task(trade())
    try:
        yield
    finally:
        trades.cancel()
        await asyncio.wait([trades])


async def test_nothing_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    report = await checked(f"http://127.0.0.1:{port}")
    assert [(one.check, one.verdict, one.measured) for one in report.findings] == [
        ("reach", FAIL, f"127.0.0.1:{port}: connection refused")
    ]
    assert "running" in report.findings[0].advice


@pytest.mark.parametrize(
    ("answer", "advice"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", "URL"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"hello": true}', "URL"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "proxy"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "running"),
    ],
)
async def test_what_answers_is_another_server(answer: bytes, advice: str) -> None:
    async with talking(answer) as url:
        report = await checked(url)
    assert [(one.check, one.verdict) for one in report.findings] == [("reach", FAIL)]
    assert advice in report.findings[0].advice


@contextlib.asynccontextmanager
async def talking(answer: bytes) -> AsyncIterator[str]:
    """A server that says the same to everybody."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def tickwire(*arguments: str) -> tuple[int, str, str]:
    """Runs the program to its end: exit status, output, errors."""
    process = await spawn(*arguments, env=program_environment())
    async with asyncio.timeout(120):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def test_the_command(tmp_path: Path) -> None:
    async with serving(tmp_path, codes=["BTCUSDT", "GOLD", "AAPL.US"]) as served:
        (status, out, err), (status_2, lines, _) = await asyncio.gather(
            tickwire("check", served.url, "--seconds", "1", "--json"),
            tickwire("check", served.url, "NOPE", "--seconds", "1"),
        )
    assert (status, err) == (0, "")
    records = [json.loads(line) for line in out.splitlines()]
    assert {one["verdict"] for one in records} <= {"ok", "warn"}  # the machine may be busy
    assert records[-1]["check"] == "verdict"
    assert records[-1]["measured"].startswith("well")
    assert status_2 == 1
    assert "\x1b" not in lines  # no colours where there is no terminal
    last = lines.splitlines()[-1]
    assert last.startswith("fail")
    assert "3 of 9 checks failed" in last


@pytest.mark.parametrize("arguments", [("nonsense",), ("https://quote.alltick.co",), ("--seconds", "0")])
def test_wrong_usage(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    monkeypatch.delenv("TICKWIRE_TOKEN", raising=False)
    monkeypatch.setattr(sys, "argv", ["tickwire", "check", *arguments])
    with pytest.raises(SystemExit) as end:
        run()
    assert end.value.code == 2
    assert capfd.readouterr().out == ""
