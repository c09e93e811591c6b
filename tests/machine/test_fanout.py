"""What a flush carries to many sockets: in C and in Python the same bytes, and the same outcome."""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import Enum, auto
from typing import Any, NamedTuple, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tickwire.machine import ACCELERATED, REAL, Direct, carry, carry_in_python

Carry: TypeAlias = Callable[..., int]
CARRIES = [carry_in_python, *([carry] if ACCELERATED else [])]
LARGE = bytes(range(256)) * 4096
"""More than a socket takes that nobody reads."""

over_both = pytest.mark.parametrize("carrying", CARRIES)


class State(Enum):
    """How a client's connection is before it is carried to."""

    OPEN = auto()
    INDIRECT = auto()  # as under TLS
    FULL = auto()  # its socket takes nothing, and bytes wait in its transport
    CLOSING = auto()
    GONE = auto()  # the other end has closed
    FAILING = auto()  # it raises


class Client:
    """A client over a real socket, written to as a WebSocket is."""

    def __init__(self, transport: asyncio.Transport, state: State) -> None:
        self.transport, self.state = transport, state
        self.writer = REAL.network.writer(transport)
        self.direct: Direct | None = None if state is State.INDIRECT else self.writer.direct
        self.pushed: list[bytes] = []
        self.is_short = False

    def push(self, data: bytes) -> None:
        if self.state is State.FAILING:
            raise RuntimeError
        self.pushed.append(data)
        if rest := self.writer.write(data):
            self.transport.write(rest)
            self.is_short = self.is_short or self.transport.get_write_buffer_size() > 0


class Lane(NamedTuple):
    pieces: list[bytes]
    clients: list[State]


class Found(NamedTuple):
    """What became of a client: the bytes at the other end, whether some had to wait, whether it is closed."""

    received: bytes
    is_short: bool
    closing: bool


def drain(theirs: socket.socket) -> bytes:
    found = bytearray()
    try:
        while some := theirs.recv(2**20):
            found += some
    except (BlockingIOError, ConnectionResetError):
        pass
    return bytes(found)


async def outcome(carrying: Carry, lanes: list[Lane], flushes: int) -> tuple[list[int], list[Found]]:
    """What carrying these lanes again and again comes to: the bytes that were handed, and what each client
    has at the end."""
    loop = asyncio.get_running_loop()
    everyone: list[tuple[Client, socket.socket]] = []
    loads: list[tuple[list[bytes], dict[Client, Direct | None]]] = []
    failed: list[Client] = []

    def push(client: Client, data: bytes) -> None:
        try:
            client.push(data)
        except RuntimeError:
            failed.append(client)

    with ExitStack() as stack:
        for pieces, states in lanes:
            clients: dict[Client, Direct | None] = {}
            for state in states:
                ours, theirs = socket.socketpair()
                stack.enter_context(theirs)
                theirs.setblocking(False)
                transport, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
                client = Client(transport, state)
                if state is State.FULL:
                    transport.write(LARGE)
                elif state is State.CLOSING:
                    transport.close()
                elif state is State.GONE:
                    theirs.shutdown(socket.SHUT_RDWR)
                    theirs.close()
                elif state is State.FAILING:
                    client.direct = None
                clients[client] = client.direct
                everyone.append((client, theirs))
            loads.append((pieces, clients))
        handed = [carrying(loads, push) for _ in range(flushes)]
        found = []
        for client, theirs in everyone:
            received, transport = bytearray(), client.transport
            while theirs.fileno() >= 0:
                received += drain(theirs)
                if transport.is_closing() or not transport.get_write_buffer_size():
                    break
                await asyncio.sleep(0)
            if theirs.fileno() >= 0:
                received += drain(theirs)
            found.append(Found(bytes(received), client.is_short, transport.is_closing()))
            transport.abort()
        await asyncio.sleep(0)
        assert len(failed) == flushes * sum(one.state is State.FAILING for one, _ in everyone)
    return handed, found


PIECES = st.lists(
    st.one_of(st.binary(min_size=1, max_size=300), st.integers(1, 600_000).map(lambda size: LARGE[:size])),
    min_size=1,
    max_size=4,
)
LANES = st.lists(st.builds(Lane, PIECES, st.lists(st.sampled_from(State), max_size=4)), max_size=4)


@pytest.mark.skipif(not ACCELERATED, reason="the accelerator is not built, or switched off")
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LANES, st.integers(1, 3))
def test_both_come_to_the_same(lanes: list[Lane], flushes: int) -> None:
    python, in_c = (asyncio.run(outcome(one, lanes, flushes)) for one in (carry_in_python, carry))
    assert python == in_c


@over_both
def test_each_gets_all_of_its_load_and_no_other(carrying: Carry) -> None:
    lanes = [
        Lane([b"one ", b"two"], [State.OPEN, State.INDIRECT, State.OPEN]),
        Lane([b"three"], [State.OPEN]),
    ]
    handed, found = asyncio.run(outcome(carrying, lanes, 2))
    assert handed == [3 * 7 + 5] * 2
    assert [one.received for one in found] == [b"one twoone two"] * 3 + [b"threethree"]
    assert not any(one.is_short or one.closing for one in found)


@over_both
def test_who_cannot_take_all_is_pushed_the_rest_and_the_others_get_theirs(
    carrying: Carry,
) -> None:
    states = [State.OPEN, State.FULL, State.CLOSING, State.GONE, State.FAILING, State.OPEN]
    _, found = asyncio.run(outcome(carrying, [Lane([LARGE, b"end"], states), Lane([b"x"], [State.OPEN])], 1))
    large, full, closing, gone, _, other, small = found
    assert large.received == other.received == LARGE + b"end"
    assert large.is_short
    assert full.received == LARGE + LARGE + b"end"
    assert closing.received == b""
    assert (gone.closing, small) == (True, Found(b"x", False, False))


@contextmanager
def connected() -> Iterator[tuple[asyncio.Transport, socket.socket]]:
    class Still(asyncio.Transport):
        """Nothing waits in it."""

        def get_write_buffer_size(self) -> int:
            return 0

        def is_closing(self) -> bool:
            return False

    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        yield Still({"socket": ours}), theirs


@over_both
def test_clients_may_come_and_go_while_it_is_carried(carrying: Carry) -> None:
    clients: dict[str, Direct | None] = dict.fromkeys("abc")
    other: dict[str, Direct | None] = {"d": None}
    pieces, pushed = [b"1", b"2"], []

    def push(client: str, data: bytes) -> None:
        pushed.append((client, data))
        clients.clear()
        other["e"] = None
        pieces.clear()
        gc.collect()

    carrying([(pieces, clients), ([b"3"], other)], push)
    assert pushed == [("a", b"12"), ("b", b"12"), ("c", b"12"), ("d", b"3"), ("e", b"3")]


@over_both
def test_a_transport_that_fails_concerns_its_own_client_only(carrying: Carry) -> None:
    class Broken(asyncio.Transport):
        def get_write_buffer_size(self) -> int:
            raise ValueError

    pushed = []
    with connected() as (transport, theirs):
        descriptor = transport.get_extra_info("socket").fileno()
        ways: dict[str, Direct | None] = {"broken": (descriptor, Broken()), "other": None}
        assert carrying([([b"x"], ways)], lambda *one: pushed.append(one)) == 2
        assert pushed == [("broken", b"x"), ("other", b"x")]
        assert drain(theirs) == b""


@over_both
def test_what_ends_the_program_ends_it(carrying: Carry) -> None:
    def push(client: str, data: bytes) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        carrying([([b"x"], {"a": None, "b": None})], push)


needs_the_accelerator = pytest.mark.skipif(not ACCELERATED, reason="it is not built, or switched off")


@needs_the_accelerator
def test_a_descriptor_that_is_no_open_socket_is_left_to_the_client() -> None:
    pushed: list[Any] = []
    with connected() as (transport, _):
        read, write = os.pipe()
        os.close(read)
        os.close(write)
        for descriptor in (write, -1, 2**20):
            carry([([b"x"], {"a": (descriptor, transport)})], lambda *one: pushed.append(one))
    assert pushed == [("a", b"x")] * 3


@needs_the_accelerator
@pytest.mark.parametrize(
    "loads",
    [
        [()],
        [([b"x"],)],
        [None],
        [([b"x"], None)],
        [((b"x",), {})],
        [([b"x", "y"], {})],
        [(["y"], {})],
        [([b"x"], {"a": 1})],
        [([b"x"], {"a": ()})],
        [([b"x"], {"a": ("3", None)})],
        [([b"x"], {"a": (2**80, None)})],
        None,
    ],
)
def test_what_is_no_load_is_refused(loads: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        carry(loads, lambda *_: None)


@needs_the_accelerator
def test_it_keeps_nothing() -> None:
    def count() -> tuple[int, ...]:
        return (
            sys.getrefcount(push),
            sys.getrefcount(piece),
            sys.getrefcount(client),
            sys.getrefcount(transport),
        )

    def push(_: object, data: bytes) -> None:
        pushed.append(data)

    piece, client, pushed = bytes(10_000), object(), list[bytes]()
    with connected() as (transport, theirs):
        descriptor = transport.get_extra_info("socket").fileno()
        before = count()
        for pieces in ([piece], [piece, piece], [LARGE], [piece, LARGE], []):
            for direct in ((descriptor, transport), None):
                carry([(pieces, {client: direct})] * 3, push)
                drain(theirs)
                pushed.clear()
        del pieces, direct
        assert count() == before


def test_it_can_be_switched_off() -> None:
    command = "from tickwire.machine import *; print(ACCELERATED, carry is carry_in_python)"
    off = os.environ | {"TICKWIRE_ACCELERATOR": "off"}
    assert subprocess.check_output([sys.executable, "-c", command], env=off, timeout=60) == b"False True\n"
