"""A connection to NATS: order, access, and what is said when there is none."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tickwire.bus.cluster import Access, connected
from tickwire.bus.cluster import wire as module
from tickwire.bus.cluster.pieces import END, PIECE, Cutter, Joiner
from tickwire.errors import StartError
from tickwire.machine import REAL
from tickwire.server.authority import Authority

from ...nats_server import NatsServer, free_port, settled
from ...serving import until


async def test_what_is_sent_on_several_subjects_is_taken_in_its_order(nats: NatsServer) -> None:
    taken: list[tuple[str, bytes]] = []
    async with connected(Access((nats.url,)), "one") as one, connected(Access((nats.url,)), "other") as other:
        for subject in ("order.a", "order.b", "order.c.>"):
            await other.take(subject, lambda where, _, data: taken.append((where, data)))
        await settled(other)
        sent = [(f"order.{'abc'[n % 3]}{'.d' if n % 3 == 2 else ''}", b"%d" % n) for n in range(3000)]
        for subject, data in sent:
            one.send(subject, data)
        await until(lambda: len(taken) == len(sent))
    assert taken == sent


async def test_one_that_cannot_take_a_message_is_given_the_next(nats: NatsServer) -> None:
    taken: list[bytes] = []

    def take(_: str, __: str, data: bytes) -> None:
        taken.append(data)
        if data == b"1":
            raise RuntimeError("it cannot be taken")

    async with connected(Access((nats.url,)), "one") as one:
        end = await one.take("fails", take)
        for data in (b"1", b"2"):
            one.send("fails", data)
        await until(lambda: taken == [b"1", b"2"])
        end()
        await settled(one)
        one.send("fails", b"3")
        await settled(one)
        assert taken == [b"1", b"2"]


async def test_whether_anybody_answers(nats: NatsServer) -> None:
    async with connected(Access((nats.url,)), "one") as one, connected(Access((nats.url,)), "other") as other:
        await other.take("answers", lambda _, reply, __: other.send(reply, b""))
        await other.take("silent", lambda _, __, ___: None)
        await settled(other)
        assert await one.is_answered("answers", 60) is True
        assert await one.is_answered("nobody", 60) is False
        assert await one.is_answered("silent", 0.1) is None


async def test_users_are_let_in_by_password_or_token(tmp_path: Path) -> None:
    for more, right in (("user: a, password: b", "a:b"), ("token: secret", "secret")):
        server = NatsServer(more=f"authorization {{ {more} }}")
        try:
            async with connected(Access((server.url,), f"{right}\n"), "one") as one:
                assert one.client.is_connected
        finally:
            server.close()


async def test_a_start_says_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST", 3.0)
    with pytest.raises(StartError, match=r"NATS cannot be reached at nats://127\.0\.0\.1:\d+: .*Start it"):
        async with connected(Access((f"nats://127.0.0.1:{free_port()}",)), "one"):
            pass
    server = NatsServer(more="authorization { token: secret }")
    try:
        with pytest.raises(StartError, match=r"(?i)authorization") as raised:
            async with connected(Access((server.url,), "wrong"), "one"):
                pass
        assert "wrong" not in str(raised.value)
    finally:
        server.close()
    with pytest.raises(StartError, match="--bus-credentials"):
        Access(("nats://h",), "two\nlines").options()
    with pytest.raises(StartError, match="--bus-ca"):
        Access(("tls://h",), ca=Path("nowhere.pem")).options()


async def test_over_tls(tmp_path: Path) -> None:
    made = Authority(tmp_path / "ca.pem", ["127.0.0.1"], REAL)
    server = NatsServer(more=f'tls {{ cert_file: "{made.chain}", key_file: "{made.key}" }}')
    try:
        url = server.url.replace("nats:", "tls:")
        async with connected(Access((url,), ca=made.ca), "one") as one:
            taken: list[bytes] = []
            await one.take("a", lambda _, __, data: taken.append(data))
            one.send("a", b"1" * PIECE)
            await until(lambda: len(taken) == 1)
    finally:
        server.close()


@pytest.mark.parametrize("way", ["tls", "ca"])
async def test_a_server_that_does_not_encrypt_is_told_no_password(
    tmp_path: Path, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST", 1.0)
    made = Authority(tmp_path / "ca.pem", ["127.0.0.1"], REAL)
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'INFO {"server_id":"x","version":"2.15.0","max_payload":1048576,"auth_required":true}\r\n'
        )
        while data := await reader.read(4096):
            heard.extend(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        access = Access((f"tls://127.0.0.1:{port}",), "user:secret")
        if way == "ca":
            access = Access((f"nats://127.0.0.1:{port}",), "user:secret", made.ca)
        with pytest.raises(StartError, match="does not encrypt"):
            async with connected(access, "one"):
                pass
    assert not heard


async def test_what_is_sent_while_no_server_is_there_is_not_kept() -> None:
    server = NatsServer()
    try:
        async with connected(Access((server.url,)), "one") as one:
            lost, back = asyncio.Event(), asyncio.Event()
            one.lost.append(lost.set)
            one.back.append(back.set)
            taken: list[bytes] = []
            await one.take("a", lambda _, __, data: taken.append(data))
            server.kill()
            await lost.wait()
            one.send("a", b"old")
            await until(lambda: one.dropped == 1)
            server.start()
            await back.wait()
            one.send("a", b"new")
            await until(lambda: bool(taken))
            assert taken == [b"new"]
    finally:
        server.close()


def test_pieces() -> None:
    cutter, joiner = Cutter(), Joiner()
    long = bytes(range(256)) * (3 * PIECE // 256)
    pieces = [*cutter.pieces(b"first"), *cutter.pieces(long), *cutter.pieces(b"last")]
    assert all(len(one) <= PIECE + 8 for one in pieces)
    assert b"".join(joiner.piece(one) or b"" for one in pieces) == b"first" + long + b"last"
    for wrong in (pieces[0], b"", b"short", END):
        assert joiner.piece(wrong) is None
    missing = Joiner()
    assert missing.piece(pieces[0]) == b"first"
    assert missing.piece(pieces[2]) is None


def test_secrets_are_not_shown() -> None:
    assert Access(("nats://user:secret@h:4222", "tls://g:1")).shown == "nats://h:4222, tls://g:1"
