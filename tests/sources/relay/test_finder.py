"""How upstream is asked what codes are: in batches, within a tenth of the plan, and what is remembered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from structlog.testing import capture_logs

from tickwire.client import Rates
from tickwire.errors import SourceError
from tickwire.model import Family, Instrument, Market
from tickwire.sources import Snapshot
from tickwire.sources.relay import UpstreamPlan
from tickwire.wire import CODE_INVALID, CODE_UNAUTHORIZED, Ret

from ...client.bench import Hand
from ...serving import until
from .bench import SLOW, Consumer, Upstream, relaying, tick, ticks, upstream

BASIC = UpstreamPlan(1, 100, 0.0, 1.0, None, Rates((1, 1), (1, 3), (1, 60), (60, 60), 86_400))
REFUSED = 200, {"ret": 600, "msg": "code invalid", "trace": ""}
STOCK, OTHER = Family.STOCK, Family.OTHER


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with upstream() as made:
        yield made


def knows(*codes: str, silent: tuple[str, ...] = ()) -> Callable[[str, list[str]], tuple[int, Any]]:
    """Answers as the documents say, for these codes; of the silent ones nothing has traded."""

    def answer(path: str, asked: list[str]) -> tuple[int, Any]:
        if not path.endswith("trade-tick") or not {*asked} & {*codes, *silent}:
            return REFUSED
        return ticks(*(tick(1, code, price="1.250") for code in asked if code in codes))

    return answer


async def ask(consumer: Consumer, family: Family, *codes: str) -> list[Instrument | Ret]:
    finder = consumer.relay.finder
    return [*await asyncio.gather(*(finder.find(family, code) for code in codes))]


def asked(up: Upstream) -> list[list[str]]:
    return [codes for endpoint, codes in up.asked if endpoint == "trade-tick"]


async def test_many_codes_are_asked_about_at_once_and_told_in_one_line(up: Upstream) -> None:
    up.answer = knows("GBPMXN", "NZDMXN")
    with capture_logs() as logs:
        async with relaying(up.url) as consumer:
            found = await ask(consumer, OTHER, "GBPMXN", "NOSUCH", "NZDMXN", "NONE")
            snapshots = await consumer.take(Snapshot, 2)
    assert [getattr(one, "code", None) for one in found] == ["GBPMXN", 600, "NZDMXN", 600]
    first = found[0]
    assert isinstance(first, Instrument)
    assert (first.market, first.price_decimals, first.volume_decimals) == (Market.FOREX, 3, 2)
    assert first.learned == "alltick"
    # What an answer leaves open is asked for apart.
    assert asked(up) == [["GBPMXN", "NOSUCH", "NZDMXN", "NONE"], ["NOSUCH", "NONE"]]
    assert {one.code for one in snapshots} == {"GBPMXN", "NZDMXN"}
    lines = {one["event"]: one["codes"] for one in logs if "codes" in one}
    assert lines == {"codes learned from upstream": 2, "upstream has no such codes": 2}


async def test_a_code_that_has_not_traded_yet_is_found_by_halves(up: Upstream) -> None:
    up.answer = knows(silent=("QUIET3",))
    async with relaying(up.url) as consumer:
        found = await ask(consumer, OTHER, *(f"QUIET{n}" for n in range(8)))
    assert [one.code for one in found] == [600, 600, 600, "QUIET3", 600, 600, 600, 600]
    assert len(asked(up)) <= 2 + 2 * 3


async def test_a_refusal_holds_for_an_hour_and_an_unauthorized_code_says_so(up: Upstream) -> None:
    hand = Hand()
    up.answer = lambda _path, _codes: (200, {"ret": 604, "msg": "code unauthorized", "trace": ""})
    async with relaying(up.url, clock=hand, options=SLOW, silence=0.0) as consumer:
        first = asyncio.create_task(ask(consumer, STOCK, "NOSUCH.HK"))
        await _settle(hand, first)
        assert first.result() == [CODE_UNAUTHORIZED]
        hand.move(3500)
        assert await ask(consumer, STOCK, "NOSUCH.HK") == [CODE_UNAUTHORIZED]
        assert len(asked(up)) == 1
        up.answer = knows("NOSUCH.HK")
        hand.move(101)
        again = asyncio.create_task(ask(consumer, STOCK, "NOSUCH.HK"))
        await _settle(hand, again)
        assert isinstance(again.result()[0], Instrument)


async def _settle(hand: Hand, task: asyncio.Future[Any], step: float = 0.05) -> None:
    """Lets time pass until that is done."""
    async with asyncio.timeout(120):
        while not task.done():
            hand.move(step)
            await asyncio.sleep(0.001)


async def test_those_who_wait_have_turns_families_too_and_what_nobody_waits_for_comes_last(
    up: Upstream,
) -> None:
    up.answer = knows()
    gone, flood = [f"GONE{n}" for n in range(60)], [f"FLOOD{n}" for n in range(120)]
    owners = {code: {"flood"} for code in flood} | {code: set[str]() for code in gone}
    async with relaying(up.url) as consumer:
        consumer.relay.finder.awaited = lambda _family, code: owners.get(code, {code})
        await asyncio.gather(
            ask(consumer, OTHER, *gone, *flood, "ONE", "TWO"), ask(consumer, STOCK, "LATE.HK")
        )
    stock, first, *others = asked(up)
    assert stock == ["LATE.HK"]
    assert {*first} == {"ONE", "TWO", *flood[:48]}
    assert [code for batch in others for code in batch] == [*flood[48:], *gone]


async def test_whoever_had_a_turn_lets_the_others_go_first(up: Upstream) -> None:
    up.answer = knows()
    codes = [f"CODE{who}X{n}" for who in range(8) for n in range(2)]
    async with relaying(up.url, plan=UpstreamPlan(http_codes=3)) as consumer:
        consumer.relay.finder.awaited = lambda _family, code: {code.partition("X")[0]}
        await ask(consumer, OTHER, *codes)
    order = [code for batch in asked(up) for code in batch]
    assert {*order[:8]} == {f"CODE{who}X0" for who in range(8)}


async def test_names_are_asked_for_again_where_upstream_did_not_answer(
    up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.sources.relay.finder.NAME_RETRY", 0.05)
    known, statics = knows("2442.HK"), 0

    def answer(path: str, codes: list[str]) -> tuple[int, Any]:
        nonlocal statics
        if not path.endswith("static_info") or codes != ["2442.HK"]:
            return known(path, codes)
        statics += 1
        if statics < 3:
            return 503, "down"
        entry = {"symbol": "2442.HK", "name_en": "Easy Smart"}
        return 200, {"ret": 200, "msg": "ok", "trace": "", "data": {"static_info_list": [entry]}}

    up.answer = answer
    async with relaying(up.url) as consumer:
        learned: list[Instrument] = []
        consumer.relay.attend(learned=learned.append, awaited=lambda _family, _code: ("",))
        with capture_logs() as logs:
            await ask(consumer, STOCK, "2442.HK")
            await until(lambda: learned[-1].name_en == "Easy Smart")
    said = [one["event"] for one in logs]
    assert said.count("upstream does not say what stocks are called, it is asked again") == 1


async def test_no_more_than_a_tenth_of_the_plan_is_used(up: Upstream) -> None:
    hand = Hand()
    up.answer = knows()
    async with relaying(up.url, clock=hand, options=SLOW, silence=0.0, plan=BASIC) as consumer:
        began, tasks = hand.time(), []
        for number in range(180):
            tasks.append(asyncio.create_task(ask(consumer, OTHER, f"CODE{number}")))
            for _ in range(10):
                hand.move(0.1)
                await asyncio.sleep(0.001)
        await _settle(hand, asyncio.ensure_future(asyncio.gather(*tasks)), 0.5)
        minutes = (hand.time() - began) // 60 + 1
    assert 10 <= len(asked(up)) <= 6 * minutes
    assert sum(map(len, asked(up))) == 180
    assert max(map(len, asked(up))) <= 50


async def test_refusals_and_those_that_wait_are_bounded(
    up: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.sources.relay.finder.MOST_REFUSED", 3)
    monkeypatch.setattr("tickwire.sources.relay.finder.MOST_WAITING", 5)
    async with relaying(up.url) as consumer:
        finder = consumer.relay.finder
        codes = [f"CODE{number}" for number in range(5)]
        waiting = asyncio.create_task(ask(consumer, OTHER, *codes))
        await until(lambda: finder.waiting == 5)
        with capture_logs() as logs:
            for code in ("MORE1", "MORE2"):
                with pytest.raises(SourceError, match="too many codes are unknown"):
                    await finder.find(OTHER, code)
        assert [one["event"] for one in logs] == ["too many unknown codes, upstream is not asked about more"]
        await waiting
        known = [code for code in codes if finder.refusal(OTHER, code) == CODE_INVALID]
        assert known == codes[2:]


@pytest.mark.parametrize("fault", [(500, "broken"), (200, "no JSON"), (429, {"error_msg": "too many"})])
async def test_an_upstream_that_fails_is_asked_again(
    up: Upstream, fault: tuple[int, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tickwire.sources.relay.finder.RETRY", 0.05)
    up.answer = lambda _path, _codes: fault
    async with relaying(up.url) as consumer:
        with capture_logs() as logs:
            waiting = asyncio.create_task(ask(consumer, OTHER, "GBPMXN"))
            await until(lambda: len(asked(up)) >= 2)
            up.answer = knows("GBPMXN")
            assert isinstance((await waiting)[0], Instrument)
        said = [one["event"] for one in logs]
        assert said.count("upstream does not say what codes are, it is asked again") == 1


async def test_a_code_of_the_settings_is_learned_and_always_subscribed_to(up: Upstream) -> None:
    up.answer = knows("GBPMXN")
    async with relaying(up.url, keep=["GBPMXN", "GOLD", "no code"]) as consumer:
        await consumer.began("GBPMXN", "GOLD")
        assert consumer.relay.codes == {"GBPMXN", "GOLD"}


@pytest.mark.parametrize("fault", [(500, "oops"), (200, "no JSON"), (503, {"ret": 503, "msg": "busy"})])
async def test_a_code_that_upstream_fails_at_keeps_no_other_one_back(
    up: Upstream, fault: tuple[int, Any]
) -> None:
    """Time stands still but for what a request waits for others: nobody waits for a retry."""
    good = [f"GOOD{n}" for n in range(20)]
    known = knows(*good, "LATE", "2442.HK")
    up.answer = lambda path, codes: fault if "BAD" in codes else known(path, codes)
    hand = Hand()
    async with relaying(up.url, clock=hand, options=SLOW, silence=0.0) as consumer:
        with capture_logs() as logs:
            bad = asyncio.create_task(ask(consumer, OTHER, "BAD"))
            others = asyncio.create_task(ask(consumer, OTHER, *good))
            stock = asyncio.create_task(ask(consumer, STOCK, "2442.HK"))
            began = hand.time()
            await _settle(hand, asyncio.gather(others, stock))
            late = asyncio.create_task(ask(consumer, OTHER, "LATE"))
            await _settle(hand, late)
            assert hand.time() - began < 5.0
        assert all(isinstance(one, Instrument) for one in (*others.result(), *stock.result(), *late.result()))
        assert len(asked(up)) <= 14
        assert not bad.done()
        up.answer = knows("BAD")
        await _settle(hand, bad, 1.0)
        assert isinstance(bad.result()[0], Instrument)
        assert asked(up)[-1] == ["BAD"]
    said = [one["event"] for one in logs]
    assert said.count("upstream does not say what codes are, it is asked again") == 1


async def test_an_upstream_that_is_gone_does_not_break_lists_up() -> None:
    hand, codes = Hand(), [f"CODE{n}" for n in range(40)]
    async with relaying("http://127.0.0.1:9", clock=hand, options=SLOW, silence=0.0) as consumer:
        waiting = asyncio.create_task(ask(consumer, OTHER, *codes))
        finder = consumer.relay.finder
        async with asyncio.timeout(120):
            while finder._failures < 6:
                hand.move(1.0)
                await asyncio.sleep(0.001)
        assert len(finder._again) <= 4
        waiting.cancel()


@pytest.mark.parametrize(("ret", "status"), [(400, 400), (402, 402), (603, 200)])
async def test_a_list_that_is_refused_is_asked_about_in_halves(up: Upstream, ret: int, status: int) -> None:
    good = [f"GOOD{n}" for n in range(9)]
    known = knows(*good)
    refused = status, {"ret": ret, "msg": "no", "trace": ""}
    up.answer = lambda path, codes: refused if "ODD" in codes else known(path, codes)
    hand = Hand()
    async with relaying(up.url, clock=hand, options=SLOW, silence=0.0) as consumer:
        finder = consumer.relay.finder
        with capture_logs() as logs:
            waiting = asyncio.create_task(ask(consumer, OTHER, *good, "ODD", "NONE"))
            await _settle(hand, waiting)
            finder.report(last=True)
        *found, odd, none = waiting.result()
        assert all(isinstance(one, Instrument) for one in found)
        assert isinstance(odd, Ret)
        assert (odd.code, none) == (ret, CODE_INVALID)
        assert finder.refusal(OTHER, "ODD") == odd
        assert finder.refused == 1
        hand.move(61)
        assert finder.refusal(OTHER, "ODD") is None
        assert finder.refusal(OTHER, "NONE") == CODE_INVALID
    assert [one["first"] for one in logs if one["event"] == "upstream refuses codes"] == [["ODD"]]


async def test_a_list_that_is_too_long_for_upstream_is_asked_about_in_parts(up: Upstream) -> None:
    codes = [f"CODE{n}" for n in range(7)]
    known = knows(*codes)
    too_many = 200, {"ret": 603, "msg": "token level not enough", "trace": ""}
    up.answer = lambda path, asked: too_many if len(asked) > 2 else known(path, asked)
    async with relaying(up.url) as consumer:
        found = await ask(consumer, OTHER, *codes)
    assert all(isinstance(one, Instrument) for one in found)
