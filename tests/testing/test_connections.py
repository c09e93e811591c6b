"""Open connections: counted, and waited for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from websockets.sync.client import connect

from tickwire.testing import AllTickServer

from .conftest import Linked


def test_connections_come_and_go(linked: Linked) -> None:
    with AllTickServer() as server:
        assert server.connections == []
        one, _ = linked(server), linked(server, "stock")
        server.wait_for_connections(2)
        assert server.connections == [1, 2]
        one.link.close()
        server.wait_for_connections(1)
        assert server.connections == [2]
        server.run({"do": "disconnect", "reset": True})
        server.wait_for_connections(0)
        with pytest.raises(TimeoutError, match=r"0 connections after 0.01 s, not 1"):
            server.wait_for_connections(1, timeout=0.01)


def test_a_number_of_connections_that_holds_for_a_moment_is_seen() -> None:
    with AllTickServer() as server, ThreadPoolExecutor(2) as others:
        for _ in range(20):
            waiting = others.submit(server.wait_for_connections, 1)
            with connect(server.websocket_url()):
                pass
            waiting.result()
            server.wait_for_connections(0)


def test_an_end_is_waited_for(linked: Linked) -> None:
    with AllTickServer() as server, ThreadPoolExecutor(1) as other:
        client = linked(server)
        waiting = other.submit(server.wait_for_connections, 0)
        with connect(server.websocket_url("stock")):  # time in which the other thread begins to wait
            client.link.close()
        waiting.result()
