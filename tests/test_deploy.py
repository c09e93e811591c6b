"""deploy/: what the board and the alerts name is there on a running server, and the documents say it all."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml  # type: ignore[import-untyped]
from prometheus_client import parser

from tickwire.server.documents.page import read_page

from .serving import HEARTBEAT, OTHER_HTTP, TRADE, Served, serving

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
BOARD = json.loads((DEPLOY / "grafana/tickwire.json").read_text("utf-8"))
RULES = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text("utf-8"))
SCRAPE = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text("utf-8"))
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]
METRICS_PAGE = (ROOT / "docs/metrics.md").read_text("utf-8")
OPERATING_PAGE = (ROOT / "docs/operating.md").read_text("utf-8")
OF_PROMETHEUS = {"up": {"job", "instance"}, "ALERTS": {"alertname", "alertstate", "severity"}}
"""What Prometheus itself adds."""
ALWAYS = {"job", "instance"}
OF_WORKERS = {"tickwire_worker_up": {"worker"}}
"""What only a server of several processes tells, with its labels: see tests/server/test_peers.py."""

TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*")|(?P<range>\[[^\]]*\])|(?P<number>\d[\w.]*)|(?P<name>[A-Za-z_:][\w:]*)"""
    r"""|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/%^<>=(){},]))"""
)
WORDS = set("and or unless by without on ignoring group_left group_right offset bool".split())
LISTS = set("by without on ignoring group_left group_right".split())


class Selector(NamedTuple):
    """A metric with what its labels must be; by those `used` the expression groups or matches."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    used: frozenset[str]


def tokens_of(expression: str) -> list[tuple[str, str]]:
    """Kind and text of each token. Raises ValueError."""
    found, at = [], 0
    expression = expression.rstrip()
    while at < len(expression):
        match = TOKEN.match(expression, at)
        if match is None:
            raise ValueError(f"{expression[at : at + 20]!r} is no PromQL")
        kind = match.lastgroup or ""
        found.append((kind, match[kind]))
        at = match.end()
    return found


def selectors_of(expression: str) -> list[Selector]:
    """The metrics of an expression, in the part of PromQL that we use. Raises ValueError."""
    tokens = [*tokens_of(expression), ("end", "")]
    depth, used, at = 0, set[str](), 0
    found: list[tuple[str, tuple[tuple[str, str, str], ...]]] = []
    while at < len(tokens) - 1:
        (kind, text), (_, after) = tokens[at], tokens[at + 1]
        at += 1
        if kind == "sign":
            depth += (text == "(") - (text == ")")
            if text in "{}":
                raise ValueError("braces follow the name of a metric")
        elif kind == "name" and text in LISTS and after == "(":
            while (one := tokens[at])[1] != ")":
                at += 1
                used |= {one[1]} if one[0] == "name" else set()
            at += 1
        elif kind == "name" and text not in WORDS and after not in ("(", "by", "without"):
            matchers = []
            if after == "{":
                at += 1
                while tokens[at][1] != "}":
                    (named, label), (_, sign), (quoted, value) = tokens[at : at + 3]
                    if named != "name" or quoted != "text" or sign not in ("=", "!=", "=~", "!~"):
                        raise ValueError(f"{label}{sign}{value} is no matcher")
                    matchers.append((label, sign, value[1:-1]))
                    at += 3 + (tokens[at + 3][1] == ",")
                at += 1
            found.append((text, tuple(matchers)))
    if depth:
        raise ValueError(f"{expression}: a bracket is open")
    return [Selector(*one, frozenset(used)) for one in found]


def board_expressions() -> Iterator[tuple[str, str]]:
    """Where an expression of the board stands, and what it is, its variables filled in."""
    named = [
        (panel["title"], target["expr"]) for panel in BOARD["panels"] for target in panel.get("targets", ())
    ]
    named += [(one["name"], one["expr"]) for one in BOARD["annotations"]["list"]]
    for one in BOARD["templating"]["list"]:
        if one["type"] == "query":
            query = re.fullmatch(r"label_values\((.*), \w+\)", one["query"]["query"])
            assert query, one["name"]
            named.append((one["name"], query[1]))
    for where, expression in named:
        yield (
            where,
            expression.replace("$__rate_interval", "5m").replace("$job", "j").replace("$instance", ".*"),
        )


EXPRESSIONS = [*board_expressions(), *((rule["alert"], rule["expr"]) for rule in ALERTS)]


class Scraped(NamedTuple):
    """The families of an answer by name, and the labels of each sample by the sample's name."""

    families: dict[str, str]
    samples: dict[str, list[dict[str, str]]]


def scraped(text: str) -> Scraped:
    families, samples = {}, dict[str, list[dict[str, str]]]()
    for family in parser.text_string_to_metric_families(text):
        families[f"{family.name}_total" if family.type == "counter" else family.name] = family.type
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(dict(sample.labels))
    return Scraped(families, samples)


async def _traffic(folder: Path) -> str:
    """The metrics of a relay that records, has a plan upstream with all limits, and clients of its own."""
    limits = {"connections": 2, "codes": 3, "http_codes": 5, "batch_groups": 5}
    plans = {"small": {**limits, "http": "50 / 1 s", "per_day": 1000}}
    async with serving(folder / "upstream", source="simulator") as upstream:
        relay: dict[str, Any] = {"source": "alltick", "upstream_url": upstream.url, "upstream_token": "t"}
        relay |= {"upstream_plan": "small", "plans": plans, "record": folder / "ticks"}
        async with serving(folder / "relay", **relay) as served, served.link() as link:
            await link.subscribe(TRADE, "BTCUSDT")
            for _ in range(3):
                await link.push()
            await link.ask(HEARTBEAT)
            await served.get(f"{OTHER_HTTP}/trade-tick", {"data": {"symbol_list": [{"code": "BTCUSDT"}]}})
            await served.get("/nothing")
            async with served.raw(b"?\r\n\r\n") as raw:
                await raw.rest()
            return await _measured(served)


async def _measured(served: Served) -> str:
    """The metrics, once the source has told how late it is."""
    async with asyncio.timeout(120):
        while True:
            text = (await served.get("/metrics")).text
            if "\ntickwire_source_clock_skew_seconds{" in text:
                return text
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Scraped:
    pytest.importorskip("pyarrow")
    found = scraped(asyncio.run(_traffic(tmp_path_factory.mktemp("deploy"))))
    several = {name: [dict.fromkeys(labels, "gateway 1")] for name, labels in OF_WORKERS.items()}
    return Scraped(found.families | dict.fromkeys(OF_WORKERS, "gauge"), found.samples | several)


# The tokenizer.
def test_what_an_expression_names() -> None:
    text = (
        'sum by (a, le) (rate(x_bucket{b=~"c|d", e!="f"}[5m])) / on (g) group_left y > 2 * time() or up == 0'
    )
    used = frozenset({"a", "le", "g"})
    assert selectors_of(text) == [
        Selector("x_bucket", (("b", "=~", "c|d"), ("e", "!=", "f")), used),
        Selector("y", (), used),
        Selector("up", (), used),
    ]


@pytest.mark.parametrize("text", ["sum(x", 'x{a="b}', "x{a}", "x ? y", '{a="b"}'])
def test_what_is_no_expression(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        selectors_of(text)


# What is named is there.
@pytest.mark.parametrize(
    ("where", "expression"), EXPRESSIONS, ids=[f"{one[0]}: {one[1][:40]}" for one in EXPRESSIONS]
)
def test_all_that_is_named_is_there(server: Scraped, where: str, expression: str) -> None:
    selectors = selectors_of(expression)
    assert selectors or expression == "vector(0)"
    known = set(ALWAYS)
    for one in selectors:
        if one.metric in OF_PROMETHEUS:
            known |= OF_PROMETHEUS[one.metric]
            continue
        samples = server.samples.get(one.metric)
        if samples is None:
            assert one.metric in server.samples, f"{where} names {one.metric}, which the server does not tell"
            continue
        known |= {label for sample in samples for label in sample}
        wanted = [matcher for matcher in one.matchers if matcher[0] not in ALWAYS]
        for label, sign, value in wanted:
            values = {sample.get(label) for sample in samples}
            assert None not in values, f"{where}: {one.metric} has no label {label}"
            if sign == "=":
                assert value in values or one.metric.endswith("requests_total"), (where, label, value)
            elif sign == "=~" and not one.metric.startswith("tickwire_http_"):
                for alternative in value.split("|"):
                    assert any(re.fullmatch(alternative, str(told)) for told in values), (where, alternative)
    unknown = {label for one in selectors for label in one.used} - known
    assert not unknown, f"{where} goes by {unknown}, which none of its metrics has"


def test_a_name_in_a_legend_is_a_label(server: Scraped) -> None:
    for panel in BOARD["panels"]:
        for target in panel.get("targets", ()):
            labels = set(ALWAYS)
            for one in selectors_of(target["expr"].replace("$", "")):
                labels |= {label for sample in server.samples.get(one.metric, ()) for label in sample}
            assert {*re.findall(r"{{(\w+)}}", target["legendFormat"])} <= labels, panel["title"]


def test_every_metric_is_in_the_documents_and_no_other(server: Scraped) -> None:
    rows = [line for line in METRICS_PAGE.splitlines() if line.startswith("| `")]
    listed: dict[str, set[str]] = {}
    for row in rows:
        names, labels, *_ = row.strip("|").split("|")
        for name in re.findall(r"`((?:tickwire|process)_\w+)`", names):
            assert name not in listed
            listed[name] = {*re.findall(r"`(\w+)`", labels)}
    assert {name for name in listed if name.startswith("tickwire_")} == {
        name for name in server.families if name.startswith("tickwire_")
    }
    for name, expected in listed.items():
        kind = server.families.get(name)
        told = server.samples.get(f"{name}_count" if kind == "histogram" else name, ())
        assert all({*sample} == expected for sample in told), name


@pytest.mark.parametrize("page", ["metrics", "operating"])
def test_what_the_documents_name_is_there(server: Scraped, page: str) -> None:
    text = (ROOT / f"docs/{page}.md").read_text("utf-8")
    named = {*re.findall(r"\b((?:tickwire|process)_[a-z_]+[a-z])\b", text)} - {"tickwire_"}
    assert named - {*server.samples} - {*server.families} == set()


# What we write for people on call.
def test_alerts_are_what_prometheus_takes() -> None:
    names = [rule["alert"] for rule in ALERTS]
    assert len(names) == len(set(names)) > 20
    assert len({group["name"] for group in RULES["groups"]}) == len(RULES["groups"])
    for rule in ALERTS:
        assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
        assert re.fullmatch(r"Tickwire[A-Z]\w+", rule["alert"])
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))
        assert rule["labels"].keys() == {"severity"}
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"].keys() == {"summary", "remedy", "runbook_url"}
        assert rule["annotations"]["remedy"].endswith(".")


def test_every_alert_links_to_what_to_do_about_it() -> None:
    headings = {one.anchor for one in read_page("operating", OPERATING_PAGE, ()).headings}
    sections = dict(re.findall(r"^### (.*?)\n(.*?)(?=^##|\Z)", OPERATING_PAGE, re.MULTILINE | re.DOTALL))
    rows = [row.split("|")[1] for row in "".join(sections.values()).splitlines() if row[:1] == "|"]
    told = re.findall(r"`(Tickwire\w+)`", "".join(rows))
    assert sorted(told) == sorted(rule["alert"] for rule in ALERTS)
    for rule in ALERTS:
        link = re.fullmatch(
            r"http://{{ \$labels\.instance }}/docs/operating#([\w-]+)", rule["annotations"]["runbook_url"]
        )
        assert link, rule["alert"]
        assert link[1] in headings, rule["alert"]


def test_an_alert_says_what_its_metrics_can_tell(server: Scraped) -> None:
    """A label that the expression has summed away would be empty in the summary."""
    for rule in ALERTS:
        selectors = selectors_of(rule["expr"])
        named = {*re.findall(r"\$labels\.(\w+)", " ".join(rule["annotations"].values()))}
        grouped = {label for one in selectors for label in one.used} - {"le"}
        if not grouped:
            grouped = ALWAYS | {
                label
                for one in selectors
                for sample in server.samples.get(one.metric, ())
                for label in sample
            }
        assert named <= grouped, rule["alert"]


def test_the_scrape_names_the_job_that_the_alerts_go_by() -> None:
    (job,) = SCRAPE["scrape_configs"]
    assert job["job_name"] == "tickwire"
    assert SCRAPE["rule_files"] == ["alerts.yml"]
    page = yaml.safe_load(re.search(r"```yaml\n(.*?)```", METRICS_PAGE, re.DOTALL)[1])  # type: ignore[index]
    assert page["scrape_configs"] == [job]


def test_the_board_is_what_grafana_takes() -> None:
    panels = BOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    variables = {one["name"] for one in BOARD["templating"]["list"]} | {"__rate_interval"}
    assert {*re.findall(r"\$\{?(\w+)", json.dumps(BOARD))} - {"__all"} == variables
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells
        if panel["type"] != "row":
            assert panel["description"].endswith("."), panel["title"]
            refs = [target["refId"] for target in panel["targets"]]
            assert refs == sorted(set(refs))
    rows = [panel["title"] for panel in panels if panel["type"] == "row"]
    assert rows == ["Is it up?", "Are prices fresh?", "Who suffers?", "What is about to fill up?"]
