"""What clients sent: kept in order, judged, waited for."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from websockets.asyncio.client import connect as connect_async

from tickwire.testing import AllTickServer, Received

from ..serving import DEPTH, HEARTBEAT, TRADE
from .conftest import Linked

SUBSCRIBE_TRADES = {"cmd_id": TRADE, "seq_id": 1, "trace": "t"}


def test_what_clients_send_is_kept_in_order(linked: Linked) -> None:
    with AllTickServer(quiet=True) as server:
        stocks, others = linked(server, "stock"), linked(server)
        stocks.subscribe(TRADE, "700.HK")
        others.subscribe(DEPTH, "GOLD")
        others.link.send("nonsense")
        others.read()
        query = '{"trace":"x","data":{"symbol_list":[{"code":"GOLD"}]}}'
        httpx.get(server.http_url() + "/trade-tick", params={"token": "secret", "query": query})
        httpx.post(server.http_url() + "/batch-kline?token=secret", content=b"{}")
        one, two, three, four, five = server.received
    assert one[:2] == (1, "/quote-stock-b-ws-api")
    assert one.deviations == ()
    assert one.json() == {**SUBSCRIBE_TRADES, "data": {"symbol_list": [{"code": "700.HK"}]}}
    assert (two.connection, two.path, two.json()["cmd_id"]) == (2, "/quote-b-ws-api", DEPTH)
    assert three == Received(2, "/quote-b-ws-api", "nonsense", ("not_json",))
    with pytest.raises(ValueError, match="Expecting value"):
        three.json()
    assert four == (0, "/quote-b-api/trade-tick", query, ())
    assert five[:3] == (0, "/quote-b-api/batch-kline", "{}")
    assert {"missing_field: trace", "missing_field: data"} < {*five.deviations}
    with pytest.raises(AttributeError):
        five.text = ""  # type: ignore[misc]


def test_what_the_documents_do_not_allow_is_told(linked: Linked) -> None:
    expected = {"number_as_text: cmd_id": 1, "other_family: 700.HK": 1}
    with AllTickServer(quiet=True) as server:
        client = linked(server)
        client.link.send(
            '{"cmd_id":"22004","seq_id":1,"trace":"","data":{"symbol_list":[{"code":"700.HK"},{"code":"GOLD"}]}}'
        )
        client.link.send('{"cmd_id":22000,"seq_id":1,"trace":"","data":{}}')
        server.wait_for(lambda sent: "22000" in sent.text)
        assert [sent.deviations for sent in server.received] == [tuple(expected), ()]
        assert server.deviations == {1: expected}
        client.link.close()
        server.wait_for_connections(0)
        assert server.deviations == {1: expected}, "it outlives its connection"
        query = '{"trace":"","data":{"code":"700.HK","kline_type":"8"}}'
        httpx.get(server.http_url("stock") + "/kline", params={"query": query}, headers={"token": "t"})
        assert server.received[-1].deviations == ("token_in_header", "number_as_text: kline_type")


def test_wait_for_takes_what_was_there_and_what_comes(linked: Linked) -> None:
    with AllTickServer() as server, ThreadPoolExecutor(1) as other:
        client = linked(server)
        first = other.submit(server.wait_for, lambda heard: "22004" in heard.text)
        client.send(HEARTBEAT)
        client.send(TRADE, {"symbol_list": ["GOLD"]})
        assert first.result().json()["cmd_id"] == TRADE
        assert server.wait_for(lambda _: True, timeout=0).json()["cmd_id"] == HEARTBEAT
        assert server.wait_for(lambda _: server.connections == [1]), "a predicate may ask the server"
        with pytest.raises(ZeroDivisionError):
            server.wait_for(lambda _: 1 / 0)


def test_wait_for_tells_what_came_instead(linked: Linked) -> None:
    with AllTickServer() as server:
        with pytest.raises(TimeoutError, match=r"within 0.01 s; nothing did"):
            server.wait_for(lambda _: True, timeout=0.01)
        linked(server).send(HEARTBEAT)
        server.wait_for(lambda _: True)
        with pytest.raises(TimeoutError, match=r"(?s)1 messages did.*22000"):
            server.wait_for(lambda _: False, timeout=0.01)


def test_what_is_done_after_wait_for_meets_what_the_client_asked(
    quiet: AllTickServer, linked: Linked
) -> None:
    for _ in range(50):
        client = linked(quiet)
        before = len(quiet.received)
        client.send(TRADE, {"symbol_list": ["GOLD"]})
        quiet.wait_for(lambda _: len(quiet.received) > before)  # noqa: B023
        quiet.trade("GOLD", "1234.5")
        assert [client.read().get("ret") for _ in range(2)] == [200, None]
        assert client.data()["price"] == "1234.50"
        client.link.close()


async def test_it_serves_a_client_in_an_event_loop(quiet: AllTickServer) -> None:
    async with connect_async(quiet.websocket_url()) as link:
        await link.send('{"cmd_id":22004,"seq_id":77,"data":{"symbol_list":["GOLD"]}}')
        heard = await asyncio.to_thread(quiet.wait_for, lambda heard: '"seq_id":77' in heard.text)
        assert heard.connection == quiet.connections[-1]
        quiet.trade("GOLD", "1500.25")
        async with asyncio.timeout(120):
            while "1500.25" not in await link.recv():
                pass
