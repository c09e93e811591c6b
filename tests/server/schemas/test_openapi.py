"""The OpenAPI document: it is valid, it holds what the server has, and the server keeps to it."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import Status, events, from_schema
from starlette.routing import Route

from tickwire import wire
from tickwire.server import publish
from tickwire.server.app import make_app
from tickwire.server.documents.search import LONGEST_QUESTION
from tickwire.server.schemas.errors import WHEN
from tickwire.server.schemas.openapi import openapi_document
from tickwire.wire import ret

from ...serving import OTHER_HTTP, OTHER_WS, STOCK_HTTP, Script, program, serving, upgrade
from ..documented import closed, dangling, faults, unused

DOCUMENT: dict[str, Any] = json.loads(json.dumps(openapi_document()))
CLOSED = closed(DOCUMENT)


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Method, path and operation of all."""
    for path, item in DOCUMENT["paths"].items():
        for method, operation in item.items():
            yield method.upper(), path, operation


def examples() -> Iterator[Any]:
    """The schema and the value of every example of a body, an answer or a parameter."""
    for method, path, operation in operations():
        name = f"{method} {path}"
        bodies = [("body", operation.get("requestBody", {}))]
        bodies += operation["responses"].items()
        bodies += [(one["name"], one) for one in operation.get("parameters", [])]
        for place, holder in bodies:
            for media in (holder, *holder.get("content", {}).values()):
                if "schema" in media:
                    shown = [one["value"] for one in media.get("examples", {}).values()]
                    shown += [media["example"]] if "example" in media else []
                    for value in shown:
                        yield pytest.param(media["schema"], value, id=f"{name} {place}")


# The document.
def test_it_is_valid_openapi() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert DOCUMENT["openapi"] == "3.1.0"
    assert dangling(DOCUMENT) == []


def test_nothing_of_it_is_left_over() -> None:
    assert unused(DOCUMENT, "headers") == set()
    assert unused(DOCUMENT, "schemas") == {"TickList"}  # either list under one name: for the terminal
    tags = {tag for _, _, operation in operations() for tag in operation["tags"]}
    assert tags == {tag["name"] for tag in DOCUMENT["tags"]}
    schemes = {name for _, _, operation in operations() for way in operation["security"] for name in way}
    assert schemes == DOCUMENT["components"]["securitySchemes"].keys()


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    names = Counter(operation["operationId"] for _, _, operation in operations())
    assert [name for name, count in names.items() if count > 1] == []
    assert all(operation["summary"] for _, _, operation in operations())
    described = [schema for schema in DOCUMENT["components"]["schemas"].values() if "description" in schema]
    assert len(described) == len(DOCUMENT["components"]["schemas"])


@pytest.mark.parametrize(("schema", "value"), [*examples()])
def test_examples_are_what_they_show(schema: dict[str, Any], value: Any) -> None:
    assert faults(CLOSED, schema, value) == []


def test_a_field_that_is_missing_or_unknown_is_a_fault() -> None:
    error = {"msg": "token invalid", "trace": "", "ret": 401}
    schema = {"$ref": "#/components/schemas/HttpError"}
    assert faults(CLOSED, schema, error) == []
    assert faults(CLOSED, schema, error | {"data": {}}) != []
    assert faults(CLOSED, schema, {"msg": "token invalid", "ret": 401}) != []
    assert faults(CLOSED, schema, error | {"ret": "401"}) != []


def test_every_row_of_the_error_table_stands_in_it() -> None:
    rows = {row for row in vars(ret).values() if isinstance(row, ret.Ret)}
    # 404 answers an upgrade to a path outside the API; the two others are of the WebSocket alone.
    elsewhere = {ret.PATH_UNKNOWN, ret.TOO_FAST, ret.TOO_FAST_CLOSED, ret.OK}
    shown = {
        (one["value"]["ret"], one["value"]["msg"], int(status))
        for _, _, operation in operations()
        for status, answer in operation["responses"].items()
        for one in answer.get("content", {}).get("application/json", {}).get("examples", {}).values()
        if "ret" in one["value"]
    }
    assert rows - elsewhere - {ret.Ret(*one) for one in shown} == set()
    assert rows - {ret.PATH_UNKNOWN} == WHEN.keys()


def test_what_is_written_by_hand_is_what_the_code_says() -> None:
    paths = DOCUMENT["paths"]

    def texts(path: str, name: str, *statuses: str) -> set[str]:
        answers = paths[path]["post"]["responses"]
        media = [answers[status]["content"]["application/json"] for status in statuses]
        return {one["value"][name] for of in media for one in of["examples"].values()}

    rows = {
        row.msg for row in vars(publish).values() if isinstance(row, ret.Ret) and row is not publish.STOPS
    }
    assert texts(wire.PUBLISH_PATH, "msg", "400", "408", "413", "500", "503") == rows - {"ok"}
    rows = {f"{row.msg.capitalize()}." for row in (ret.BODY_STALLED, ret.TOO_MANY_BODIES)}
    assert texts("/admin/scenario", "error", "408", "503") == rows
    assert texts("/admin/scenario", "error", "413") == {f"A scenario has at most {wire.MAX_MESSAGE} bytes."}
    for path, name in (("/docs", "search"), ("/docs.md", "ask"), ("/docs/{name}.md", "ask")):
        (asked,) = (one for one in paths[path]["get"]["parameters"] if one["name"] == name)
        assert asked["schema"]["maxLength"] == LONGEST_QUESTION


# The server.
async def test_it_holds_every_path_of_the_server_and_no_other(tmp_path: Path) -> None:
    async with serving(tmp_path, Script()) as served:
        rooms = inspect.getclosurevars(make_app(served.engine, served.server.vitals)).nonlocals
    api, pages = rooms["api"], rooms["pages"]
    found = {(method, path) for path, (_, one) in api._endpoints.items() for method in one.methods}
    found |= {("GET", path) for path in api._lists.by_path}
    found |= {
        (method, route.path.replace(":path}", "}"))
        for route in pages.routes
        if isinstance(route, Route)  # the others are folders of files
        for method in route.methods or ()
    }
    found |= {("GET", path) for path in wire.WS_PATHS} | {(one, wire.PUBLISH_PATH) for one in ("GET", "POST")}
    assert {(method, path) for method, path, _ in operations()} == {
        (method, path) for method, path in found if method != "HEAD"
    }


@pytest.mark.parametrize("path", ["/openapi.json", "/asyncapi.json"])
async def test_the_documents_are_open_to_all_and_are_sent_once(tmp_path: Path, path: str) -> None:
    async with serving(tmp_path, Script()) as served:
        answer = await served.get(path, token=None, headers={"Origin": "https://editor.example"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.json()["info"]["version"] == DOCUMENT["info"]["version"]
        again = await served.get(path, token=None, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = await served.get(path, token=None, headers={"If-None-Match": '"of another version"'})
        assert other.content == answer.content
        if path == "/openapi.json":
            assert answer.json() == DOCUMENT


async def test_an_upgrade_is_refused_as_the_document_says(tmp_path: Path) -> None:
    (answers,) = (one["responses"] for _, path, one in operations() if path == OTHER_WS)
    async with serving(tmp_path, Script()) as served:
        for hello, status in (
            (upgrade(), 101),
            (upgrade(query=""), 401),
            (upgrade().replace(b"Sec-WebSocket-Key", b"X"), 400),
        ):
            async with served.raw(hello) as raw:
                head = (await raw.head()).decode()
                assert head.startswith(f"http/1.1 {status} ")
                if status != 101:
                    schema = answers[str(status)]["content"]["application/json"]["schema"]
                    assert faults(CLOSED, schema, json.loads(await raw.rest())) == []
        plain = await served.get(OTHER_WS)
    assert plain.status_code == 426
    assert plain.headers["upgrade"] == "websocket"  # RFC 9110, 15.5.22


# What programs that read it send.
OFF = {"enabled": False}
CHECKS: dict[str, Any] = {
    "ignored_auth": OFF,  # without tokens any is one
    "missing_required_header": OFF,  # there is none
    "negative_data_rejection": OFF,  # a lenient reader: the strict one is tried below
    "use_after_free": OFF,  # these three look at what is made and deleted
    "ensure_resource_availability": OFF,
    "object_level_authorization": OFF,
}
STREAMS = "-ws-api$"
LOOSE = "^(/v1/gaps|/admin/scenario)$"
"""What takes by far not all that a schema can describe: times, and steps that go together."""


@schemathesis.serializer("application/x-ndjson")
def lines(_: Any, value: Any) -> bytes:
    """A body of lines."""
    return (value if isinstance(value, str) else json.dumps(value)).encode(errors="replace")


def tried(
    url: str, path: str, phases: str = "examples coverage", *, examples: int = 1, **checks: Any
) -> tuple[list[str], dict[str, Counter[int]]]:
    """Sends what schemathesis makes of the document to the operations whose path the pattern finds.

    Returns what is wrong, and how often which status came by operation.
    """
    off = {
        phase: OFF for phase in ("examples", "coverage", "fuzzing", "stateful") if phase not in phases.split()
    }
    config = SchemathesisConfig.from_dict(
        {
            "base-url": url,
            "seed": 1,
            "continue-on-failure": True,
            "parameters": {"query.token": "t"},
            "checks": CHECKS | checks,
            "phases": off,
            "generation": {
                "max-examples": examples,
                "deterministic": True,
                "no-shrink": True,
                "database": "none",
            },
        }
    )
    schema = schemathesis.openapi.from_dict(CLOSED, config=config).include(path_regex=path)
    wrong: list[str] = []
    statuses: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for event in from_schema(schema).execute():
        if isinstance(event, (events.NonFatalError, events.FatalError)):
            wrong.append(repr(event))
        if not isinstance(event, events.ScenarioFinished) or event.label is None:
            continue
        for number, exchange in event.recorder.interactions.items():
            if exchange.response is None:
                wrong.append(f"no answer to {exchange.request.method} {exchange.request.uri}")
                continue
            if exchange.request.method == event.label.split()[0]:
                statuses[event.label][exchange.response.status_code] += 1
            wrong += (
                f"{check.name}: {exchange.request.method} {exchange.request.uri}"
                for check in event.recorder.checks.get(number, [])
                if check.status is Status.FAILURE
            )
    return wrong, statuses


async def test_the_server_answers_whatever_is_sent_as_the_document_says(tmp_path: Path) -> None:
    def all_of_it(url: str) -> Iterator[tuple[list[str], dict[str, Counter[int]]]]:
        same = f"{STOCK_HTTP}/(?!static_info)"  # what the other family has too
        yield tried(url, f"^(?!.*{STREAMS}|{LOOSE}|{same})")
        yield tried(url, same, "fuzzing", examples=3)
        yield tried(url, STREAMS, positive_data_acceptance=OFF, unsupported_method=OFF)
        # Last, since scenarios change what all others are answered.
        yield tried(url, LOOSE, "examples fuzzing", examples=15, positive_data_acceptance=OFF)

    async with program(tmp_path, "--source", "publish=EURUSD,GBPUSD", "--source", "simulator") as running:
        later = {"step": [{"do": "gap", "at": 3600}]}  # so that there is one to be stopped
        async with httpx.AsyncClient(base_url=running.url, timeout=120) as client:
            assert (await client.post("/admin/scenario", json=later)).json()["number"] == 1
        found = await asyncio.to_thread(lambda: [*all_of_it(running.url)])
        assert "Traceback" not in running.log
    assert [one for wrong, _ in found for one in wrong] == []
    statuses = {name: of for _, by_name in found for name, of in by_name.items()}
    assert statuses.keys() == {f"{method} {path}" for method, path, _ in operations()}
    streams = {f"GET {path}" for path in wire.WS_PATHS}
    assert {name for name, of in statuses.items() if not of[200]} == streams
    assert {name for name, of in statuses.items() if of[426]} == streams
    assert all(statuses[f"GET {OTHER_HTTP}/{name}"][400] for name in ("trade-tick", "depth-tick", "kline"))
    assert statuses["POST /admin/scenario"][400]
    assert {status for of in statuses.values() for status in of if status >= 500} == set()


async def test_a_strict_server_refuses_what_the_schemas_do_not_allow(tmp_path: Path) -> None:
    async with program(tmp_path, "--strict-protocol") as running:
        wrong, statuses = await asyncio.to_thread(
            tried, running.url, f"^{OTHER_HTTP}/", negative_data_rejection={"enabled": True}
        )
    assert wrong == []
    assert all(of[200] and of[400] for of in statuses.values())
    assert len(statuses) == 5
