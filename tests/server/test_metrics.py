"""/metrics: docs/metrics.md. tests/test_deploy.py holds the page against what a server tells."""

from __future__ import annotations

import platform
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from prometheus_client import REGISTRY, generate_latest, parser
from prometheus_client.openmetrics import parser as openmetrics_parser

import tickwire
from tickwire.access import Token, digest_of, new_id, new_secret
from tickwire.config import DATABASE
from tickwire.model import Market
from tickwire.sources import Health, Status
from tickwire.store import open_tokens

from ..serving import DEPTH, OTHER_WS, PLAIN, STOCK_WS, TRADE, Script, Served, book, serving, trade

PATH = "/metrics"
SINCE = 1795364866865
SOURCE = {"source": 'sc"ri\\pt'}


@pytest.fixture
def source() -> Script:
    source = Script()
    source.name = SOURCE["source"]
    source.health = Health(Status.UP, wall=lambda: SINCE)
    return source


@pytest.fixture
async def served(tmp_path: Path, source: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, source) as served:
        yield served


class Scrape:
    """The samples of an answer, by name and labels."""

    def __init__(self, text: str) -> None:
        self.families = [*parser.text_string_to_metric_families(text)]
        self._samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def get(self, name: str, **labels: str) -> float | None:
        return self._samples.get((f"tickwire_{name}", *sorted(labels.items())))


async def scrape(served: Served) -> Scrape:
    answer = await served.request("GET", PATH)
    assert answer.status_code == 200
    return Scrape(answer.text)


async def test_what_is_told_of_a_source(served: Served, source: Script) -> None:
    found = await scrape(served)
    assert {one: found.get("source_status", **SOURCE, status=one) for one in Status} == {
        "connecting": 0,
        "up": 1,
        "stale": 0,
        "down": 0,
        "ended": 0,
    }
    assert found.get("source_status_change_timestamp_seconds", **SOURCE) == SINCE / 1000
    for name in ("events_total", "bad_total", "late_total", "dropped_total", "open_gaps"):
        assert (name, found.get(f"source_{name}", **SOURCE)) == (name, 0)
    for name in ("source_lag_seconds", "recording", "recording_lost_events_total"):
        assert (name, found.get(name, **SOURCE)) == (name, None)

    source.health.tell(Status.DOWN, "connection lost")
    source.health.lag, source.health.bad, source.health.dropped = 1500, 3, 4
    gap = served.engine.market.gaps.open(source.name, Market.CRYPTO, ["BTCUSDT"], 1, "x")
    served.engine.market.gaps.open("another", Market.CRYPTO, ["BTCUSDT"], 1, "x")
    async with served.link() as link:
        await link.subscribe(TRADE, "BTCUSDT")
        hour = 3_600_000
        source.emit(trade(at=SINCE), trade(at=SINCE + hour), trade(at=SINCE))  # the last is late
        for _ in range(3):
            await link.push()
    found = await scrape(served)
    assert found.get("source_status", **SOURCE, status="up") == 0
    assert found.get("source_status", **SOURCE, status="down") == 1
    assert found.get("source_lag_seconds", **SOURCE) == 1.5
    assert found.get("source_events_total", **SOURCE) == found.get("events_total") == 3
    assert found.get("source_bad_total", **SOURCE) == 3
    assert found.get("source_late_total", **SOURCE) == 1
    assert found.get("source_dropped_total", **SOURCE) == 4
    assert found.get("source_open_gaps", **SOURCE) == 1
    served.engine.market.gaps.end(gap, 2)
    assert (await scrape(served)).get("source_open_gaps", **SOURCE) == 0


async def test_each_source_by_its_name(tmp_path: Path, source: Script) -> None:
    other = Script()
    other.health.tell(Status.STALE)
    async with serving(tmp_path, [(source, ["BTCUSDT"]), (other, ["GOLD"])]) as served:
        async with served.link() as link:
            await link.subscribe(TRADE, "GOLD")
            other.emit(trade("GOLD"))
            await link.push()
        found = await scrape(served)
    assert found.get("source_events_total", **SOURCE) == 0
    assert found.get("source_events_total", source="script") == found.get("events_total") == 1
    assert found.get("source_status", **SOURCE, status="up") == 1
    assert found.get("source_status", source="script", status="stale") == 1


async def test_connections_and_subscriptions(served: Served) -> None:
    found = await scrape(served)
    assert [found.get("connections", family=family) for family in ("stock", "other")] == [0, 0]
    assert [found.get("subscribed_codes", kind=kind) for kind in ("trade", "depth")] == [0, 0]
    async with served.link(OTHER_WS) as one, served.link(OTHER_WS) as two, served.link(STOCK_WS):
        await one.subscribe(TRADE, "BTCUSDT", "GOLD")
        await two.subscribe(TRADE, "BTCUSDT")
        await two.subscribe(DEPTH, "BTCUSDT")
        found = await scrape(served)
        assert [found.get("connections", family=family) for family in ("stock", "other")] == [1, 2]
        assert [found.get("subscribed_codes", kind=kind) for kind in ("trade", "depth")] == [2, 1]


async def test_the_program(served: Served) -> None:
    assert (await scrape(served)).get(
        "build_info", version=tickwire.__version__, python=platform.python_version()
    ) == 1


async def test_a_recording(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    source = Script()
    async with serving(tmp_path / "data", source, record=tmp_path / "ticks") as served:
        found = await scrape(served)
        assert found.get("recording", source="script") == 1
        assert found.get("recording_lost_events_total", source="script") == 0
        (feed,) = served.engine.market.feeds
        assert feed.recorder is not None
        feed.recorder.close()
        async with served.link() as link:
            await link.subscribe(DEPTH, "BTCUSDT")
            source.emit(book())
            await link.push()
        found = await scrape(served)
        assert found.get("recording", source="script") == 0
        assert (found.get("recording_lost_events_total", source="script") or 0) >= 1


async def test_every_family_is_described_and_named_by_the_conventions(served: Served) -> None:
    families = (await scrape(served)).families
    assert len(families) == len({family.name for family in families}) > 10
    for family in families:
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter", "histogram")
        assert family.name.startswith(("tickwire_", "process_"))
        ends = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum")}.get(family.type, ("",))
        assert {sample.name for sample in family.samples} <= {f"{family.name}{end}" for end in ends}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores",
        ),
        ("application/openmetrics-text; version=x", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.x.y, text/plain", None),
        ("text/plain; version=1.é", None),
        (";;==,,", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
async def test_the_format_is_what_the_reader_accepts(
    served: Served, accept: str, content_type: str | None
) -> None:
    answer = await served.request("GET", PATH, headers={"accept": accept.encode("latin-1")})
    assert answer.status_code == 200
    assert content_type in (None, answer.headers["content-type"])
    if answer.headers["content-type"].startswith("application/openmetrics-text"):
        read = openmetrics_parser.text_string_to_metric_families
        families = [*read(answer.text)]  # type: ignore[no-untyped-call]
    else:
        families = [*parser.text_string_to_metric_families(answer.text)]
    assert "tickwire_source_status" in {family.name for family in families}


async def test_nothing_is_in_the_registry_that_all_share(served: Served) -> None:
    await scrape(served)
    assert b"tickwire" not in generate_latest(REGISTRY)


async def test_a_ledger_that_cannot_be_read_leaves_the_rest(
    monkeypatch: pytest.MonkeyPatch, served: Served
) -> None:
    monkeypatch.setattr("tickwire.market.bars.batches.FINAL_WAIT", 0.0)  # nothing can be written at the end
    assert (await scrape(served)).get("source_open_gaps", **SOURCE) == 0
    served.engine.database.close()
    found = await scrape(served)
    assert found.get("source_open_gaps", **SOURCE) is None
    assert found.get("source_events_total", **SOURCE) == 0


# Who may ask.
async def test_as_the_admin_api(tmp_path: Path, source: Script) -> None:
    secrets = {name: new_secret() for name in ("boss", "desk")}
    with open_tokens(tmp_path / DATABASE) as store:
        for name, secret in secrets.items():
            digest = digest_of(secret, store.key())
            store.add(Token(id=new_id(), digest=digest, name=name, plan="unlimited", admin=name == "boss"))
    async with (
        serving(tmp_path, source) as served,
        httpx.AsyncClient(base_url=served.url, verify=PLAIN, timeout=120) as client,
    ):
        boss, desk = ({"authorization": f"Bearer {secrets[name]}"} for name in ("boss", "desk"))
        foreign = {"host": "tickwire.example"}
        for headers, status in (
            ({}, 200),
            (boss, 200),
            (boss | foreign, 200),
            ({"token": secrets["boss"]} | foreign, 200),
            (desk, 401),
            ({"authorization": "Bearer wrong"}, 401),
            (foreign, 403),
            ({"x-forwarded-for": "10.0.0.1"}, 403),
            ({"origin": "http://evil.example"}, 403),
            (boss | {"origin": "http://evil.example"}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
        ):
            answer = await client.get(PATH, headers=headers)
            assert (headers, answer.status_code) == (headers, status)
            assert ("tickwire_build_info" in answer.text) is (status == 200)
            if status != 200:
                assert list(answer.json()) == ["error"]
                assert not [name for name in answer.headers if name.startswith("access-control")]
        assert (await client.get(PATH, params={"token": secrets["boss"]}, headers=foreign)).status_code == 403
        assert (await client.post(PATH)).status_code == 405
        assert (await client.head(PATH)).status_code == 200
        for secret in secrets.values():
            assert secret not in (await client.get(PATH)).text
