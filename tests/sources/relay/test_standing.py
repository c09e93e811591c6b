"""How upstream is, as its answers over HTTP show it."""

from __future__ import annotations

import pytest

from tickwire.model import Kind
from tickwire.sources import Status

from ...client.bench import closed_port
from ...serving import until
from .bench import http_url, relaying, upstream


async def test_without_any_connection_http_says_how_it_is() -> None:
    url = http_url(closed_port())
    async with relaying(url) as consumer:
        assert consumer.relay.health.status is Status.CONNECTING
        await until(lambda: consumer.relay.health.status is Status.DOWN)
        assert consumer.relay.health.reason.startswith("HTTP: no answer")


async def test_a_wrong_token_is_told_before_anybody_wants_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tickwire.sources.relay.standing.GREETING", 0.05)
    async with upstream() as server, relaying(server.url) as consumer:
        server.answer = lambda _path, _codes: (401, {"ret": 401, "msg": "token invalid"})
        await until(lambda: consumer.relay.health.status is Status.DOWN)
        assert "token invalid (401)" in consumer.relay.health.reason
        server.answer = lambda _path, _codes: (200, {"ret": 604, "msg": "code unauthorized"})
        await until(lambda: consumer.relay.health.status is Status.UP)
        asked = len(server.asked)
        consumer.relay.want(Kind.TRADE, ["GOLD"], subscribed=True)
        await consumer.began("GOLD")
        assert [status for status, _ in consumer.statuses] == ["down", "up"]
        assert len(server.asked) == asked
