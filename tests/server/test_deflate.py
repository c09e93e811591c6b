"""permessage-deflate (RFC 7692): agreed to if the server is told to; each push is compressed once for all."""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from websockets.asyncio.client import connect
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from tickwire.wire import form
from tickwire.wire.messages import MAX_MESSAGE

from ..serving import DEPTH, OTHER_WS, TRADE, Link, Raw, Script, Served, book, masked, serving, trade, upgrade

OFFER = "Sec-WebSocket-Extensions: permessage-deflate"
ANSWER = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
HEARTBEAT = b'{"cmd_id":22000,"seq_id":7,"trace":"t","data":{}}'
RSV1 = 4
INVALID, TOO_BIG, BROKEN = 1007, 1009, 1002


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
async def served(tmp_path: Path, script: Script) -> AsyncIterator[Served]:
    async with serving(tmp_path, script, permessage_deflate=True) as served:
        yield served


def deflated(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)).removesuffix(b"\0\0\xff\xff")


def zeros(mebibytes: int) -> bytes:
    """So much of nothing, deflated. One piece knows nothing of another, so the first is all of them."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflate.compress(bytes(2**20)) + deflate.flush(zlib.Z_FULL_FLUSH)) * mebibytes


def inflated(data: bytes) -> bytes:
    return zlib.decompressobj(-form.WINDOW_BITS).decompress(data + b"\0\0\xff\xff")


def finished(data: bytes) -> bytes:
    """As `deflated`, with a final block at the end."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    return deflate.compress(data) + deflate.flush()


async def entered(raw: Raw) -> str:
    """What was agreed to; empty if nothing was."""
    lines = (await raw.head()).decode().splitlines()
    assert lines[0].startswith("http/1.1 101 ")
    found = [one.partition(": ")[2] for one in lines if one.startswith("sec-websocket-extensions: ")]
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        ("permessage-deflate", ANSWER),
        ("permessage-deflate; client_max_window_bits", ANSWER),
        ("permessage-deflate; client_max_window_bits=9; server_max_window_bits=12", f"{ANSWER}; server_max"),
        ("permessage-deflate; server_max_window_bits=10", f"{ANSWER}; server_max_window_bits=10"),
        ("permessage-deflate; server_max_window_bits=9", ""),
        ("permessage-deflate; server_max_window_bits=9, permessage-deflate", ANSWER),
        ("permessage-deflate; server_max_window_bits=8", ""),
        ("permessage-deflate; unheard_of", ""),
        ("x-webkit-deflate-frame", ""),
    ],
)
async def test_what_is_agreed_to(served: Served, offer: str, agreed: str) -> None:
    async with served.raw(upgrade(more=f"Sec-WebSocket-Extensions: {offer}\r\n")) as raw:
        answer = await entered(raw)
        assert answer.startswith(agreed) if agreed else not answer
        await raw.send(masked(1, HEARTBEAT))
        assert (await raw.frame())[0] == 1


async def test_nothing_is_agreed_to_unasked(tmp_path: Path, served: Served) -> None:
    async with served.raw(upgrade()) as raw:
        assert not await entered(raw)
    async with serving(tmp_path / "plain", Script()) as plain, plain.raw(upgrade(more=f"{OFFER}\r\n")) as raw:
        assert not await entered(raw)
        await raw.send(masked(1, deflated(HEARTBEAT), rsv=RSV1))
        assert (await raw.closing())[0] == BROKEN


async def test_a_push_is_compressed_once_for_all_who_take_it(
    served: Served, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bytes] = []
    compress = form.deflated_frame

    def counted(payload: bytes) -> bytes:
        made.append(payload)
        return compress(payload)

    monkeypatch.setattr(form, "deflated_frame", counted)
    url = served.url.replace("http", "ws") + OTHER_WS + "?token=t"
    async with (
        served.link() as plain,
        connect(url, compression="deflate") as one,
        connect(url, extensions=[ClientPerMessageDeflateFactory(client_max_window_bits=9)]) as other,
    ):
        links = [plain, Link(one), Link(other)]
        for link in links:
            assert (await link.subscribe(DEPTH, "BTCUSDT"))["ret"] == 200
            assert (await link.subscribe(TRADE, "BTCUSDT"))["ret"] == 200
        script.emit(book("BTCUSDT"), trade("BTCUSDT"))
        first, *others = [[await link.push(), await link.push()] for link in links]
        assert others == [first, first]
    assert len(made) == 2


async def test_the_bytes_are_fewer_and_mean_the_same(served: Served, script: Script) -> None:
    async with served.raw(upgrade(more=f"{OFFER}\r\n")) as raw, served.link() as plain:
        await entered(raw)
        await raw.send(
            masked(1, b'{"cmd_id":22002,"data":{"symbol_list":[{"code":"BTCUSDT","depth_level":5}]}}')
        )
        assert (await raw.frame())[1].startswith(b'{"ret":200')  # answers are not compressed
        await plain.subscribe(DEPTH, "BTCUSDT")
        script.emit(book("BTCUSDT"))
        first, size = await raw.reader.readexactly(2)
        assert first == 0xC1
        size = int.from_bytes(await raw.reader.readexactly(2), "big") if size == 126 else size
        data = await raw.reader.readexactly(size)
        said = await plain.socket.recv(decode=False)
        assert inflated(data) == said
        assert len(data) < len(said) * 0.6
    assert form.deflated_frame(b"{}") == form.text_frame(b"{}")


@pytest.mark.parametrize("pieces", [1, 2, 5])
async def test_a_client_may_compress(served: Served, pieces: int) -> None:
    data = deflated(HEARTBEAT)
    cuts = [len(data) * n // pieces for n in range(pieces + 1)]
    async with served.raw(upgrade(more=f"{OFFER}\r\n")) as raw:
        await entered(raw)
        for _ in range(3):
            for n in range(pieces):
                await raw.send(
                    masked(
                        0 if n else 1,
                        data[cuts[n] : cuts[n + 1]],
                        fin=n == pieces - 1,
                        rsv=0 if n else RSV1,
                    )
                )
                if n < pieces - 1:
                    await raw.send(masked(9, b"between"))
                    assert await raw.frame() == (10, b"between")
            opcode, answer = await raw.frame()
            assert opcode == 1
            assert b'"cmd_id":22001,"seq_id":7' in answer
            await raw.send(masked(1, HEARTBEAT))  # and need not
            assert (await raw.frame())[0] == 1


@pytest.mark.parametrize(
    "frames",
    [
        [masked(1, finished(HEARTBEAT) + b"\0", rsv=RSV1)],
        [masked(1, finished(HEARTBEAT), rsv=RSV1)],
        [masked(1, finished(HEARTBEAT[:9]) + finished(HEARTBEAT[9:20]) + deflated(HEARTBEAT[20:]), rsv=RSV1)],
        [masked(1, finished(HEARTBEAT[:9]), fin=False, rsv=RSV1), masked(0, deflated(HEARTBEAT[9:]))],
    ],
    ids="as-the-rfc-shows bare in-the-middle before-a-fragment".split(),
)
async def test_a_final_block_ends_no_message(served: Served, frames: list[bytes]) -> None:
    """RFC 7692, 7.2.1 and 7.2.3.4."""
    async with served.raw(upgrade(more=f"{OFFER}\r\n")) as raw:
        await entered(raw)
        for _ in range(2):
            for one in frames:
                await raw.send(one)
            assert b'"cmd_id":22001,"seq_id":7' in (await raw.frame())[1]


@pytest.mark.parametrize(
    ("frames", "code"),
    [
        ([masked(1, finished(b"{"), fin=False, rsv=RSV1), masked(0, b"\xff" * 40, fin=False)], BROKEN),
        ([masked(1, finished(b"") * 100, rsv=RSV1)], BROKEN),
        ([masked(1, finished(b"{") + deflated(b" " * MAX_MESSAGE), rsv=RSV1)], TOO_BIG),
        ([masked(1, deflated(b" " * (MAX_MESSAGE + 1)), rsv=RSV1)], TOO_BIG),
        ([masked(1, zeros(256).removesuffix(b"\0\0\xff\xff"), rsv=RSV1)], TOO_BIG),
        (
            [masked(1, deflated(b" " * MAX_MESSAGE), fin=False, rsv=RSV1), masked(0, deflated(b" " * 9))],
            TOO_BIG,
        ),
        ([masked(1, b"\xff" * 40, rsv=RSV1)], BROKEN),
        ([masked(1, deflated(b"\xff\xfe"), rsv=RSV1)], INVALID),
        ([masked(1, deflated(HEARTBEAT)[:20], rsv=RSV1)], BROKEN),
        ([masked(1, deflated(HEARTBEAT)[:9], fin=False, rsv=RSV1), masked(0, b"")], BROKEN),
        ([masked(9, b"", rsv=RSV1)], BROKEN),
        ([masked(8, b"\x03\xe8", rsv=RSV1)], BROKEN),
        ([masked(1, b"{", fin=False), masked(0, b"}", rsv=RSV1)], BROKEN),
        ([masked(1, HEARTBEAT, rsv=2)], BROKEN),
    ],
    ids=(
        "behind-a-final-block final-blocks too-long-in-two too-long bomb bomb-in-fragments no-deflate no-utf8"
        " cut-off cut-off-in-two ping close continuation other-bit"
    ).split(),
)
async def test_what_may_not_be_sent(served: Served, frames: list[bytes], code: int) -> None:
    async with served.raw(upgrade(more=f"{OFFER}\r\n")) as raw:
        await entered(raw)
        for one in frames:
            await raw.send(one)
        assert (await raw.closing())[0] == code


async def test_aiohttp_reads_it(served: Served, script: Script) -> None:
    url = served.url + OTHER_WS + "?token=t"
    async with aiohttp.ClientSession() as session, session.ws_connect(url, compress=15) as socket:
        assert socket.compress
        await socket.send_str(
            '{"cmd_id":22002,"data":{"symbol_list":[{"code":"BTCUSDT","depth_level":5}]}}' + " " * 200
        )
        assert (await socket.receive_json())["ret"] == 200
        script.emit(book("BTCUSDT"))
        assert (await socket.receive_json())["data"]["code"] == "BTCUSDT"
