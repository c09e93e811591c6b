"""The admin API: what it takes, what it answers."""

from __future__ import annotations

import pytest

from tickwire.sandbox import library
from tickwire.wire import MAX_MESSAGE

from ..serving import STOCK_WS
from .desk import HALT, PATH, TOKENS, Desk

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.usefixtures("nothing_runs")]


# What it takes.
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b"\xff\xfe",
        b"null",
        b"[]",
        b"{}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"step": [{"do": "jump", "percent": NaN}]}',
        b'{"step": [{"do": "jump", "percent": Infinity}]}',
        b'{"step": [{"do": "jump", "percent": 1e400}]}',
        b'{"step": [{"do": "halt", "at": 1e999}]}',
        b'{"step": [{"do": "halt", "at": -1}]}',
        b'{"step": [{"do": "halt", "codes": ["NOPE"]}]}',
        b'{"step": [{"do": "halt", "codes": "AAPL.US"}]}',
        b'{"step": [{"do": "explode"}]}',
        b'{"step": [{"do": "burst", "times": 9' + b"9" * 5000 + b"}]}",
        b'{"step": [{"do": "clock", "to": "1999-01-01T00:00:00Z"}]}',
        b'{"step": []}',
        b'{"name": "halt-and-resume", "seed": 1}',
        b'{"name": "\\ud800"}',
        b'{"name": "no-such-scenario"}',
        b'{"name": "../scenarios/halt-and-resume"}',
        b'{"name": "/etc/passwd"}',
        b'{"name": ["halt-and-resume"]}',
        b'{"name": null}',
    ],
    ids=lambda body: repr(body[:40]),
)
async def test_bodies_that_are_no_scenario(desk: Desk, body: bytes) -> None:
    answer = await desk.request("POST", PATH, content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, list(answer.json())) == (400, ["error"])
    assert 10 < len(answer.json()["error"]) < 2000
    assert desk.served.engine.market.scenarios.running == ()


async def test_a_body_that_is_too_large(desk: Desk) -> None:
    headers = {"content-type": "application/json"}
    for size, status in ((MAX_MESSAGE, 400), (MAX_MESSAGE + 1, 413)):
        answer = await desk.request("POST", PATH, content=b" " * size, headers=headers)
        assert (answer.status_code, list(answer.json())) == (status, ["error"])


# What it answers.
async def test_a_scenario_by_its_name_and_the_list(desk: Desk) -> None:
    first = (await desk.request("POST", PATH, json={"name": "halt-and-resume"})).json()
    given = {
        "name": "mine",
        "description": "d",
        "step": [{"do": "gap", "for": 60}, {"do": "gap", "at": 9}],
    }
    second = (await desk.request("POST", PATH, json=given)).json()
    assert second["number"] == first["number"] + 1
    listed = (await desk.request("GET", PATH)).json()
    assert listed["library"] == {name: one.description for name, one in library().items()}
    now = [run.pop("seconds") for run in listed["running"]]
    assert all(0 <= run.pop("seconds") <= then for run, then in zip((first, second), now, strict=True))
    assert listed["running"] == [first, second]
    assert (first["name"], first["description"]) == (
        "halt-and-resume",
        library()["halt-and-resume"].description,
    )
    assert first["active"] == []  # it begins after five seconds
    assert [step["do"] for step in first["ahead"]] == ["halt"]
    active, ahead = [{"do": "gap", "for": 60.0}], [{"do": "gap", "at": 9.0}]
    given = {"name": "mine", "description": "d", "active": active, "ahead": ahead}
    assert second == {"number": second["number"], **given}
    assert (await desk.request("DELETE", PATH)).json() == {"stopped": [first["number"], second["number"]]}
    assert (await desk.request("DELETE", PATH)).json() == {"stopped": []}


@pytest.mark.parametrize("number", ["0", "99999", "x", "-1", "1.0", "9" * 400, "%31%00", "٣"])
async def test_to_stop_what_does_not_run(desk: Desk, number: str) -> None:
    answer = await desk.request("DELETE", f"{PATH}/{number}")
    assert (answer.status_code, list(answer.json())) == (404, ["error"])


async def test_a_number_is_not_used_twice(desk: Desk) -> None:
    numbers = []
    for _ in range(3):
        numbers.append((await desk.request("POST", PATH, json=HALT)).json()["number"])
        answers = [await desk.request("DELETE", f"{PATH}/{numbers[-1]}") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 404]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_connections_without_their_tokens(desk: Desk, guarded: Desk) -> None:
    async with guarded.served.link(STOCK_WS, TOKENS["ordinary"]), desk.served.link(token="secret-text"):
        (one,) = (await guarded.request("GET", "/admin/connections")).json()["connections"]
        shown = await desk.request("GET", "/admin/connections")
    assert (one["token"], one["plan"], one["family"]) == ("desk", "unlimited", "stock")
    assert 0 <= one["silent_seconds"] < 10
    assert 0 <= one["seconds"] < 10
    assert [one["token"] for one in shown.json()["connections"]] == [None]
    assert "secret-text" not in shown.text


async def test_tokens_that_a_step_names_are_not_shown(desk: Desk) -> None:
    step = {"do": "expire-token", "tokens": ["secret-text"]}
    begun = await desk.request("POST", PATH, json={"step": [step]})
    assert begun.status_code == 200
    assert "secret-text" not in begun.text + (await desk.request("GET", PATH)).text
