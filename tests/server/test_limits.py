"""Every limit of every built-in plan (section 4) over real sockets, on clocks that the test moves: the last
request that is allowed passes, the next is refused, and passes again after the window."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import pytest_asyncio

from ..serving import CANCEL, DEPTH, HEARTBEAT, OTHER_WS, STOCK_WS, TRADE, Link, subscribed_codes, trade
from .bench import CODES, DAY, ENDPOINTS, MANY, NOON, STOCKS, TICK, TICKS, Bench, a_bench, closed, is_open

pytestmark = pytest.mark.asyncio(loop_scope="module")

TOO_MANY = b'{"ret":429,"msg":"too many requests","error_msg":"Too many requests","trace":""}'


class Row(NamedTuple):
    """A row of the table of section 4; of rates, requests and seconds."""

    connections: int
    codes: int
    http_codes: int | None
    groups: int
    endpoint: tuple[int, int]
    batch: tuple[int, int]
    http: tuple[int, int]
    day: int


SECTION_4 = {
    "free": Row(1, 5, 5, 5, (1, 10), (1, 10), (10, 60), 1_000),
    "basic": Row(1, 100, None, 100, (1, 1), (1, 3), (60, 60), 86_400),
    "premium": Row(3, 200, None, 200, (10, 1), (1, 2), (600, 60), 864_000),
    "professional": Row(10, 3_000, None, 500, (20, 1), (1, 1), (1_200, 60), 1_728_000),
}


each_plan = pytest.mark.parametrize("plan", SECTION_4)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bench]:
    async with a_bench(tmp_path_factory.mktemp("limits")) as made:
        yield made


# Requests over HTTP.
class Log:
    """What one token has asked, and what its answers must say of it."""

    def __init__(self, bench: Bench, plan: str, day_begins: int = 0) -> None:
        self.bench = bench
        self.day_begins = day_begins
        self.secret = bench.token(plan)
        self.row = SECTION_4[plan]
        self.passed: list[tuple[str, float]] = []
        self.today = 0

    def rate(self, endpoint: str) -> tuple[int, int]:
        if endpoint.startswith("suspension/"):
            return 1, 60
        return self.row.batch if endpoint == "batch-kline" else self.row.endpoint

    async def passes(self, endpoint: str) -> None:
        answer = await self.bench.ask(endpoint, self.secret)
        self.passed.append((endpoint, self.bench.clock.now))
        self.today += 1
        body = answer.json()
        assert (answer.status_code, body.get("ret", 200)) == (200, 200)
        assert body.get("success", True)
        assert "retry-after" not in answer.headers
        self._check_headers(answer, endpoint)

    async def refused(self, endpoint: str, retry_after: int) -> None:
        answer = await self.bench.ask(endpoint, self.secret)
        assert (answer.status_code, answer.content) == (429, TOO_MANY)
        assert answer.headers["retry-after"] == str(retry_after)
        assert answer.headers["content-type"] == "application/json"
        self._check_headers(answer, endpoint)

    def _check_headers(self, answer: httpx.Response, endpoint: str) -> None:
        rate, of_day = self.rate(endpoint), (self.bench.wall.now - self.day_begins) % DAY
        limits = [
            ("endpoint", *rate, *self._standing(rate, endpoint)),
            ("http", *self.row.http, *self._standing(self.row.http, None)),
            ("day", self.row.day, DAY, self.row.day - self.today, DAY - of_day),
        ]
        policy = ", ".join(f'"{name}";q={q};w={w}' for name, q, w, _, _ in limits)
        standing = ", ".join(f'"{name}";r={r};t={math.ceil(t)}' for name, _, _, r, t in limits)
        assert (answer.headers["ratelimit-policy"], answer.headers["ratelimit"]) == (policy, standing)
        assert answer.headers["access-control-allow-origin"] == "*"
        exposed = answer.headers["access-control-expose-headers"].split(", ")
        assert {*exposed} - {"tickwire-source"} == {"ratelimit", "ratelimit-policy", "retry-after"}

    def _standing(self, rate: tuple[int, int], endpoint: str | None) -> tuple[int, float]:
        now = self.bench.clock.now
        mine = [at for name, at in self.passed if endpoint in (None, name) and now - at < rate[1]]
        return rate[0] - len(mine), mine[0] + rate[1] - now if mine else 0.0


@each_plan
@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_the_rate_of_an_endpoint(bench: Bench, plan: str, endpoint: str) -> None:
    log = Log(bench, plan)
    requests, seconds = log.rate(endpoint)
    for _ in range(requests):
        await log.passes(endpoint)
    await log.refused(endpoint, seconds)
    bench.clock.now += seconds - TICK
    await log.refused(endpoint, 1)
    bench.clock.now += TICK
    await log.passes(endpoint)


@each_plan
async def test_the_rate_of_all_http(bench: Bench, plan: str) -> None:
    log = Log(bench, plan)
    account, (requests, seconds) = bench.account(log.secret), log.row.http
    for n in range(requests - 1):
        assert not account.request(None, bench.clock.now, bench.wall.now).wait
        log.passed.append((f"path {n}", bench.clock.now))
        log.today += 1
    await log.passes("trade-tick")
    await log.refused("depth-tick", seconds)
    bench.clock.now += seconds - TICK
    await log.refused("depth-tick", 1)
    bench.clock.now += TICK
    await log.passes("depth-tick")


async def spend_the_day(log: Log, turns_after: float) -> None:
    """Uses all of the day up to its last request, and goes over its end."""
    bench, account = log.bench, log.bench.account(log.secret)
    assert account._day is not None
    account._day.take(bench.wall.now)
    account._day._passed = log.row.day - 1  # a million requests are not sent
    log.today = log.row.day - 1
    await log.passes("trade-tick")
    await log.refused("kline", round(turns_after))
    bench.clock.now += 60
    bench.wall.now += turns_after - TICK
    await log.refused("kline", 1)
    bench.wall.now += TICK
    log.today = 0
    await log.passes("kline")


@each_plan
async def test_the_requests_of_a_day(bench: Bench, plan: str) -> None:
    bench.wall.now = (bench.wall.now // DAY + 1) * DAY + NOON
    await spend_the_day(Log(bench, plan), NOON)


async def test_the_day_begins_when_the_settings_say(tmp_path: Path) -> None:
    async with a_bench(tmp_path, day_reset="18:30") as made:
        await spend_the_day(Log(made, "free", day_begins=18 * 3600 + 1800), 6 * 3600 + 1800)


async def test_the_unlimited_plan_has_no_limit(bench: Bench) -> None:
    secret = bench.token("unlimited")
    for endpoint in ENDPOINTS:
        for _ in range(25):
            answer = await bench.ask(endpoint, secret)
            assert answer.status_code == 200
            assert not [name for name in answer.headers if "ratelimit" in name or name == "retry-after"]
    for endpoint in (*TICKS, "batch-kline"):
        answer = await bench.ask(
            endpoint, secret, STOCKS[:MANY] if endpoint == "static_info" else CODES[:MANY]
        )
        (found,) = answer.json()["data"].values()
        assert len(found) == MANY
    async with AsyncExitStack() as stack:
        links = [await stack.enter_async_context(bench.served.link(OTHER_WS, secret)) for _ in range(12)]
        for _ in range(5):
            assert (await links[0].subscribe(DEPTH, *CODES))["ret"] == 200
        assert subscribed_codes(bench.served.engine.gateway.hub) == {*CODES}


# Connections.
TAKEN = (1008, "another connection of this token took its place")


@each_plan
async def test_the_connections_of_a_family(bench: Bench, plan: str) -> None:
    most, secret = SECTION_4[plan].connections, bench.token(plan)
    async with AsyncExitStack() as stack:

        async def enter(path: str, token: str = secret) -> Link:
            return await stack.enter_async_context(bench.served.link(path, token))

        stock = [await enter(STOCK_WS) for _ in range(most)]
        other = [await enter(OTHER_WS) for _ in range(most)]
        for path in (STOCK_WS, OTHER_WS):
            await bench.full(path, secret, 15)
        await enter(OTHER_WS, bench.token(plan))
        await stock[0].socket.close()
        stock[0] = await enter(STOCK_WS)  # at once
        await bench.full(STOCK_WS, secret, 15)
        await bench.full(OTHER_WS, secret, 15)

        bench.clock.now += 15 - TICK
        await bench.full(OTHER_WS, secret, 1)
        for link in (*stock, *other[1:]):
            assert await is_open(link)
        bench.clock.now += TICK
        other.append(await enter(OTHER_WS))
        assert await closed(other.pop(0)) == TAKEN
        for link in (*stock, *other):
            assert await is_open(link)
        await bench.full(OTHER_WS, secret, 15)
        await bench.full(STOCK_WS, secret, 15)


async def test_connections_keep_the_distance_of_a_plan(bench: Bench) -> None:
    secret = bench.token("spaced")
    async with bench.served.link(OTHER_WS, secret), bench.served.link(STOCK_WS, secret) as stock:
        await bench.full(OTHER_WS, secret, 3)
        bench.clock.now += 3 - TICK
        await bench.full(OTHER_WS, secret, 1)
        bench.clock.now += TICK
        async with bench.served.link(OTHER_WS, secret) as second:
            assert await is_open(second)
            assert await is_open(stock)


# Subscriptions.
def too_fast(cmd_id: int, ret: int = 605) -> dict[str, Any]:
    """The answer to a subscription that came too soon."""
    msg = {605: "too many requests", 606: "too many requests and connection will be closed"}[ret]
    return {"ret": ret, "msg": msg, "cmd_id": cmd_id + 1, "seq_id": 1, "trace": "t", "data": {}}


@each_plan
async def test_the_pace_of_subscriptions(bench: Bench, plan: str) -> None:
    secret = bench.token(plan)
    async with bench.served.link(OTHER_WS, secret) as link, bench.served.link(STOCK_WS, secret) as stock:
        for one, code in ((link, CODES[0]), (stock, STOCKS[0])):
            for interface in (TRADE, DEPTH):  # each apart
                assert (await one.subscribe(interface, code))["ret"] == 200
        assert await link.subscribe(TRADE, CODES[1]) == too_fast(TRADE)
        for _ in range(20):
            assert (await link.ask(HEARTBEAT))["ret"] == 200
            assert (await link.ask(CANCEL, {"cancel_type": 3}))["ret"] == 200
        bench.clock.now += 1 - TICK
        assert await link.subscribe(TRADE, CODES[1]) == too_fast(TRADE)
        bench.clock.now += TICK
        for interface in (TRADE, DEPTH):
            assert (await link.subscribe(interface, CODES[1]))["ret"] == 200


async def test_connections_of_one_token_share_the_pace_and_those_of_another_do_not(bench: Bench) -> None:
    secret = bench.token("premium")
    async with (
        bench.served.link(OTHER_WS, secret) as first,
        bench.served.link(OTHER_WS, secret) as second,
        bench.served.link(OTHER_WS, bench.token("premium")) as other,
    ):
        assert (await first.subscribe(TRADE, CODES[0]))["ret"] == 200
        assert await second.subscribe(TRADE, CODES[0]) == too_fast(TRADE)
        assert (await second.subscribe(DEPTH, CODES[0]))["ret"] == 200
        assert (await other.subscribe(TRADE, CODES[0]))["ret"] == 200
        bench.clock.now += 1
        assert (await second.subscribe(TRADE, CODES[0]))["ret"] == 200


@each_plan
async def test_the_third_that_is_too_soon_within_10_s_closes(bench: Bench, plan: str) -> None:
    secret = bench.token(plan)
    async with bench.served.link(OTHER_WS, secret) as link:
        for _ in range(3):  # the third comes 10 s after the first
            assert (await link.subscribe(TRADE, CODES[0]))["ret"] == 200
            assert await link.subscribe(TRADE, CODES[0]) == too_fast(TRADE)
            bench.clock.now += 5
        bench.clock.now -= TICK  # less than 10 s after the second
        assert (await link.subscribe(DEPTH, CODES[0]))["ret"] == 200
        assert await link.subscribe(DEPTH, CODES[0]) == too_fast(DEPTH, 606)
        assert await closed(link) == (1008, "too many requests")
        bench.clock.now += 1
        async with bench.served.link(OTHER_WS, secret) as again:
            assert (await again.subscribe(TRADE, CODES[0]))["ret"] == 200


# Codes.
@each_plan
async def test_the_codes_of_a_subscription(bench: Bench, plan: str) -> None:
    most = SECTION_4[plan].codes
    assert most < len(CODES)
    taken, beyond = CODES[:most], CODES[most]
    async with bench.served.link(OTHER_WS, bench.token(plan)) as link:
        for interface in (DEPTH, TRADE):
            assert (await link.subscribe(interface, "NOSUCH", *CODES[: most + 1]))["ret"] == 200
            assert subscribed_codes(bench.served.engine.gateway.hub) == {*taken}
        bench.emit(trade(beyond, "7"), trade(taken[-1], "8"))
        while (push := (await link.push())["data"])["code"] != taken[-1] or push.get("price") != "8.00":
            assert push["code"] != beyond


@each_plan
@pytest.mark.parametrize("endpoint", TICKS)
async def test_the_codes_of_a_request(bench: Bench, plan: str, endpoint: str) -> None:
    codes = STOCKS[:MANY] if endpoint == "static_info" else CODES[:MANY]
    answer = await bench.ask(endpoint, bench.token(plan), codes)
    (found,) = answer.json()["data"].values()
    assert [one.get("code") or one["symbol"] for one in found] == codes[: SECTION_4[plan].http_codes]


@each_plan
async def test_the_groups_of_a_batch(bench: Bench, plan: str) -> None:
    most = SECTION_4[plan].groups
    answer = await bench.ask("batch-kline", bench.token(plan), CODES[: most + 1])
    groups = [(one["code"], one["kline_type"]) for one in answer.json()["data"]["kline_list"]]
    assert groups == [(CODES[n // 2], 1 + n % 2) for n in range(most)]


async def test_a_plan_may_refuse_more_than_it_allows(bench: Bench) -> None:
    secret, more = bench.token("exact"), CODES[:3]
    low = {"msg": "token level not enough", "trace": "t", "ret": 603}
    for endpoint in (*TICKS, "batch-kline"):
        codes = STOCKS[:3] if endpoint == "static_info" else more
        answer = await bench.ask(endpoint, secret, codes)
        assert (answer.status_code, answer.json()) == (200, low)
        for allowed in (codes[:2], [codes[0], "NOSUCH", codes[1]][: 3 if endpoint in TICKS else 2]):
            (found,) = (await bench.ask(endpoint, secret, allowed)).json()["data"].values()
            assert len(found) == 2
    async with bench.served.link(OTHER_WS, secret) as link:
        for interface in (TRADE, DEPTH):
            assert (await link.subscribe(interface, *more[:2], more[0], "NOSUCH"))["ret"] == 200
            answered = await link.subscribe(interface, *more)
            assert (answered["ret"], answered["msg"], answered["data"]) == (603, low["msg"], {})
            assert subscribed_codes(bench.served.engine.gateway.hub) == {*more[:2]}, (
                "the earlier list stays as it was"
            )
